"""Unanswered calls: cancelled by the caller, with early media, ended by order."""

import re
from sys import getrefcount

import pytest
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, usual_catalogue
from doubles.virtual.vendor import RINGS, SILENT, TRIES, Line, Script, answers, refuses

from vosd.base.cause import EndReason


def attempts_of(record):
    return [(attempt.gateway, attempt.code, attempt.reason) for attempt in record.attempts]


def end_of(record):
    return record.end_reason, record.hangup_source, record.sip_code


# -- the caller gives up ------------------------------------------------------------------------------------------


def test_cancel_while_it_rings_ends_both_sides_with_487(scene):
    call = scene.whole_call(Intent(cancel_after_ms=3_000), script=RINGS)
    scene.wire.run_for(10)
    there = scene.vendor.only_call
    assert call.final == 487
    assert (there.is_cancelled, there.final, len(there.acks)) == (True, 487, 1)
    record = scene.close()
    assert end_of(record) == ("Cancelled", "caller", 487)
    assert record.ringing_at == record.started_at + 2
    assert attempts_of(record) == [("vendor-0", 0, "Cancelled")]
    assert (record.fee, record.cost, record.hold_time_ms) == (0, 0, 0)


def test_the_cancel_and_its_invite_are_answered_under_one_to_tag(scene):
    """RFC 3261 section 9.2."""
    scene.whole_call(Intent(cancel_after_ms=1_000), script=SILENT)
    tags = set(re.findall(rb"SIP/2.0 (?:200|487) .*?\r\nTo: [^\r]*;tag=(\w+)", scene.bytes_to(CUSTOMER), re.DOTALL))
    assert len(tags) == 1
    scene.close()


def test_a_phone_whose_first_responses_were_lost_stops_ringing_soon_after_the_caller_gave_up(scene):
    """RFC 3261 sections 9.1 and 17.1.1.2: the INVITE is repeated until a response brings the CANCEL out."""
    scene.vendor.script = Script((Line(0, 100), Line(10, 180), Line(17_000, 200, ANSWER)))
    lost_until = scene.wire.clock.now().mono + 1_200

    def delays(packet):
        is_lost = packet.source == VENDORS[0] and scene.wire.clock.now().mono < lost_until
        return () if is_lost else (1,)

    scene.wire.delays = delays
    call = scene.whole_call(Intent(cancel_after_ms=700))
    assert call.final == 487
    there = scene.vendor.only_call
    scene.wire.run_until(lambda: there.is_cancelled, within_ms=1_000)
    assert there.final == 487
    record = scene.close()
    assert (record.end_reason, len(there.acks)) == ("Cancelled", 1)


def test_cancel_before_any_provisional_waits_for_one(scene):
    """RFC 3261 section 9.1: no CANCEL to a vendor that has not shown itself; the caller does not wait for that."""
    call = scene.whole_call(Intent(cancel_after_ms=1_000), script=Script((Line(2_000, 100), Line(60_000, 200, ANSWER))))
    assert call.final == 487
    assert scene.exchange.leftovers() == {}
    there = scene.vendor.only_call
    assert not there.is_cancelled
    scene.wire.run_for(1_100)
    assert there.is_cancelled
    assert end_of(scene.close()) == ("Cancelled", "caller", 487)


def test_cancel_of_a_silent_vendor_leaves_nothing(scene):
    scene.whole_call(Intent(cancel_after_ms=1_000), script=SILENT)
    scene.close()
    assert scene.vendor.received("CANCEL") == []


def test_cancel_that_crosses_the_200_ends_an_answered_call(scene):
    """The call was answered first: the CANCEL gets its 200 and means nothing, the caller says BYE."""
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: scene.caller.wire.packets[-1].data.startswith(b"SIP/2.0 200"))
    call.cancel()
    scene.wire.run_until(lambda: call.is_over)
    assert call.final == 200
    assert len(scene.caller.received(481)) == 0
    record = scene.close()
    assert end_of(record) == ("Normal", "caller", 200)
    assert record.answered_at is not None


def test_cancel_that_crosses_the_vendors_200_hangs_that_up(scene):
    """A late 200 of a gateway that was given up is acknowledged and gets its BYE."""
    call = scene.whole_call(Intent(cancel_after_ms=998), script=answers(1_000)._replace(accepts_cancel=False))
    scene.wire.run_for(100)
    there = scene.vendor.only_call
    assert (call.final, there.final) == (487, 200)
    assert len(there.acks) == 1
    assert there.is_over
    record = scene.close()
    assert end_of(record) == ("Cancelled", "caller", 487)
    assert record.answered_at is None


def test_bye_on_an_early_dialog_is_as_good_as_cancel(scene):
    """RFC 3261 section 15: a caller may end an early dialog with BYE."""
    call = scene.begun_call(script=RINGS)
    scene.wire.run_until(lambda: 180 in call.statuses)
    call.remote = call.responses[-1]["To"]
    call.hang_up()
    scene.wire.run_until(lambda: call.final is not None)
    assert call.got["BYE"] == [200]
    assert call.final == 487
    assert scene.vendor.only_call.is_cancelled
    assert end_of(scene.close()) == ("Cancelled", "caller", 487)


@pytest.mark.parametrize("is_reliable", [False, True])
def test_a_bye_of_the_vendor_on_an_early_dialog_gets_481(scene, is_reliable):
    """RFC 3261 section 15: the called side refuses the INVITE instead."""
    call = scene.begun_call(script=Script((Line(0, 100), Line(0, 180, is_reliable=is_reliable))))
    scene.wire.run_until(lambda: 180 in call.statuses)
    there = scene.vendor.only_call
    there.ask("BYE")
    scene.wire.run_for(10)
    assert there.got["BYE"] == [481]
    assert scene.exchange.switch.census()["calls"] == 1
    call.cancel()
    scene.wire.run_until(lambda: call.final is not None)
    scene.close()


# -- early media --------------------------------------------------------------------------------------------------


def to_tags(call):
    return {response.status: response.to_tag for response in call.responses if response.status > 100}


def test_after_early_media_the_next_attempt_has_a_to_tag_of_its_own(scene):
    scene.vendor.script = Script((Line(0, 100), Line(10, 183, ANSWER), Line(500, 503)))
    call = scene.whole_call(Intent(hang_up_after_ms=1_000))
    tags = to_tags(call)
    assert tags[183] != tags[180] == tags[200]
    assert next(response.body for response in call.responses if response.status == 183) == ANSWER
    scene.close()


def test_without_early_media_all_attempts_share_a_to_tag(scene):
    scene.vendor.script = Script((Line(0, 180), Line(500, 503)))
    scene.vendors[1].script = Script((Line(0, 183, ANSWER), Line(500, 200, ANSWER)))
    call = scene.whole_call(Intent(hang_up_after_ms=1_000))
    assert len(set(to_tags(call).values())) == 1
    assert call.statuses == [180, 183, 200]
    scene.close()


def test_early_media_of_an_other_kind_is_not_passed_on(scene):
    lines = (Line(0, 183, "x=y", ("Content-Type: text/plain",)), Line(500, 200, ANSWER))
    call = scene.whole_call(Intent(hang_up_after_ms=1_000), script=Script(lines))
    assert next(response.body for response in call.responses if response.status == 183) == ""
    scene.close()


def test_progress_that_is_no_ringing_keeps_the_call_waiting_and_is_not_passed_on(scene):
    scene.vendor.script = Script((Line(0, 100), Line(10, 199), Line(2_000, 200, ANSWER)))
    call = scene.whole_call(Intent(hang_up_after_ms=1_000))
    assert call.statuses == [200]
    record = scene.close()
    assert (record.ringing_at, record.pdd_ms) == (None, 2_002)


# -- ended by order -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", [RINGS, TRIES, SILENT])
@pytest.mark.parametrize("reason", [EndReason.ADMINISTRATIVE, EndReason.SHUTDOWN])
def test_an_order_ends_a_call_that_is_not_answered(scene, script, reason):
    call = scene.begun_call(script=script, after_ms=1_000)
    scene.exchange.end_all(reason)
    record = scene.end_of(call)
    assert call.final == 503
    assert re.search(reason.text, call.refusal["Reason"])
    assert end_of(record) == (reason.text, "switch", 503)
    assert attempts_of(record) == [("vendor-0", 0, reason.text)]


def test_an_order_ends_a_call_in_talk_on_both_sides(scene):
    call = scene.begun_call(after_ms=5_000)
    scene.exchange.end_all(EndReason.ADMINISTRATIVE)
    record = scene.end_of(call)
    assert scene.vendor.only_call.is_over
    assert end_of(record) == ("Administrative", "switch", 200)
    for address in (CUSTOMER, VENDORS[0]):
        assert b'Reason: Q.850;cause=31;text="Administrative"' in scene.bytes_to(address)


def test_the_offer_is_the_same_for_every_gateway(scene):
    scene.whole_call(Intent(hang_up_after_ms=1_000), script=refuses(503))
    assert [vendor.only_call.invite.body for vendor in scene.vendors[:2]] == [OFFER, OFFER]
    scene.close()


def test_a_call_that_rings_over_a_reload_holds_the_catalogue_of_before_until_it_talks(scene):
    """A large catalogue takes memory, and 50 ms to free."""
    scene.vendors[0].script = Script((Line(200, 180), Line(3_000, 200)))
    call = scene.begun_call(after_ms=500)
    before = scene.exchange.switch.catalogue
    scene.exchange.swap_catalogue(usual_catalogue())
    ringing = getrefcount(before)
    scene.wire.run_until(lambda: call.final == 200)
    talking = getrefcount(before)
    assert ringing - talking == 1
    scene.finish(call)
