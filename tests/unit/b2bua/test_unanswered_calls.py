"""Unanswered calls: cancelled, busy, redirected, silent, failed over."""

import re

import pytest
import structlog

from vosd.base.cause import EndReason
from vosd.testing.data.builders import catalogue, mapping_gateway, routing_gateway
from vosd.testing.sockets.peer import ANSWER, OFFER
from vosd.testing.virtual.customer import Intent
from vosd.testing.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, usual_catalogue
from vosd.testing.virtual.vendor import RINGS, SILENT, TRIES, Line, Script, answers, refuses
from vosd.trunks.gateways import Address as GatewayAddress


def attempts_of(record):
    return [(attempt.gateway, attempt.code, attempt.reason) for attempt in record.attempts]


def end_of(record):
    return record.end_reason, record.hangup_source, record.sip_code


# -- the caller gives up ------------------------------------------------------------------------------------------


def test_cancel_while_it_rings_ends_both_sides_with_487(scene):
    scene.vendor.script = RINGS
    call = scene.caller.call(CALLEE, Intent(cancel_after_ms=3_000))
    scene.wire.run_until(lambda: call.is_over)
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
    scene.vendor.script = SILENT
    call = scene.caller.call(CALLEE, Intent(cancel_after_ms=1_000))
    scene.wire.run_until(lambda: call.is_over)
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
    call = scene.caller.call(CALLEE, Intent(cancel_after_ms=700))
    scene.wire.run_until(lambda: call.is_over)
    assert call.final == 487
    there = scene.vendor.only_call
    scene.wire.run_until(lambda: there.is_cancelled, within_ms=1_000)
    assert there.final == 487
    record = scene.close()
    assert (record.end_reason, len(there.acks)) == ("Cancelled", 1)


def test_cancel_before_any_provisional_waits_for_one(scene):
    """RFC 3261 section 9.1: no CANCEL to a vendor that has not shown itself; the caller does not wait for that."""
    scene.vendor.script = Script((Line(2_000, 100), Line(60_000, 200, ANSWER)))
    call = scene.caller.call(CALLEE, Intent(cancel_after_ms=1_000))
    scene.wire.run_until(lambda: call.is_over)
    assert call.final == 487
    assert scene.exchange.leftovers() == {}
    there = scene.vendor.only_call
    assert not there.is_cancelled
    scene.wire.run_for(1_100)
    assert there.is_cancelled
    assert end_of(scene.close()) == ("Cancelled", "caller", 487)


def test_cancel_of_a_silent_vendor_leaves_nothing(scene):
    scene.vendor.script = SILENT
    call = scene.caller.call(CALLEE, Intent(cancel_after_ms=1_000))
    scene.wire.run_until(lambda: call.is_over)
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
    scene.vendor.script = answers(1_000)._replace(accepts_cancel=False)
    call = scene.caller.call(CALLEE, Intent(cancel_after_ms=998))
    scene.wire.run_until(lambda: call.is_over)
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
    scene.vendor.script = RINGS
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: 180 in call.statuses)
    call.remote = call.responses[-1]["To"]
    call.hang_up()
    scene.wire.run_until(lambda: call.final is not None)
    assert call.got["BYE"] == [200]
    assert call.final == 487
    assert scene.vendor.only_call.is_cancelled
    assert end_of(scene.close()) == ("Cancelled", "caller", 487)


def test_a_request_of_the_vendor_on_an_early_dialog_gets_481(scene):
    scene.vendor.script = RINGS
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: 180 in call.statuses)
    there = scene.vendor.only_call
    there.ask("BYE")
    scene.wire.run_for(10)
    assert there.got["BYE"] == [481]
    assert scene.exchange.switch.census()["calls"] == 1
    call.cancel()
    scene.wire.run_until(lambda: call.final is not None)
    scene.close()


# -- the vendor refuses -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vendors_code", "callers_code", "reason", "q850"),
    [
        (486, 486, "Busy", 17),
        (600, 600, "Busy", 17),
        (603, 603, "Rejected", 21),
        (403, 403, "Rejected", 21),
        (404, 404, "Not Found", 1),
        (410, 410, "Not Found", 1),
        (604, 604, "Not Found", 1),
        (480, 480, "Unavailable", 18),
        (488, 488, "Unavailable", 65),
        (503, 503, "Unavailable", 41),
        (302, 480, "Unavailable", 18),
        (401, 503, "Unavailable", 41),
        (402, 503, "Unavailable", 41),
        (407, 503, "Unavailable", 41),
        (699, 699, "Unavailable", 41),
    ],
)
def test_a_refusal_is_passed_on_by_the_map(vendors_code, callers_code, reason, q850):
    """Nothing of a redirection or a challenge reaches the caller."""
    scene = Scene(usual_catalogue(vendors=1))
    secrets = ("Contact: <sip:elsewhere@203.0.113.99>", 'WWW-Authenticate: Digest realm="vendor", nonce="x"')
    scene.vendor.script = refuses(vendors_code, headers=(*secrets, "Retry-After: 99"))
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: call.is_over)
    record = scene.close()
    assert call.final == callers_code
    assert call.refusal["Reason"] == f'Q.850;cause={q850};text="{reason}"'
    assert end_of(record) == (reason, "callee", callers_code)
    assert record.q850_cause == q850
    assert attempts_of(record) == [("vendor-0", vendors_code, reason)]
    told = scene.bytes_to(CUSTOMER)
    for secret in (b"elsewhere", b"203.0.113.", b"realm", b"Authenticate", b"Retry-After"):
        assert secret not in told


@pytest.mark.parametrize("code", [401, 402, 403, 404, 407, 408, 480, 488, 500, 503, 599])
def test_codes_after_which_the_next_gateway_is_tried(scene, code):
    scene.vendor.script = refuses(code, after_ms=300)
    call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=1_000))
    scene.wire.run_until(lambda: call.is_over)
    record = scene.close()
    assert call.statuses == [180, 200]
    assert [(attempt.gateway, attempt.code, attempt.ms) for attempt in record.attempts] == [
        ("vendor-0", code, 302),
        ("vendor-1", 200, 1_002),
    ]
    assert (record.routing_gateway, record.destination_address) == ("vendor-1", str(VENDORS[1]))
    assert len(scene.vendor.only_call.acks) == 1


@pytest.mark.parametrize("code", [302, 400, 410, 484, 486, 600, 603, 604])
def test_codes_after_which_no_other_gateway_is_tried(scene, code):
    scene.vendor.script = refuses(code)
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: call.is_over)
    assert len(scene.close().attempts) == 1
    assert scene.vendors[1].calls == []


def test_all_gateways_refuse_and_the_most_telling_reason_wins(scene):
    scene.vendor.script = refuses(404)
    scene.vendors[1].script = refuses(503)
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: call.is_over)
    record = scene.close()
    assert end_of(record) == ("Not Found", "callee", 404)
    assert [attempt.code for attempt in record.attempts] == [404, 503]


# -- silence and endless ringing ----------------------------------------------------------------------------------


def test_a_silent_gateway_is_left_after_its_response_timeout(scene):
    scene.vendor.script = SILENT
    call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=1_000))
    scene.wire.run_until(lambda: call.is_over)
    record = scene.close()
    assert [(attempt.code, attempt.reason) for attempt in record.attempts] == [(0, "No Answer"), (200, "Answered")]
    assert 5_000 <= record.attempts[0].ms <= 5_010
    assert scene.vendor.received("CANCEL") == []


def two_addresses() -> Scene:
    addresses = tuple(GatewayAddress(*VENDORS[index]) for index in (0, 1))
    gateway = routing_gateway("vendor-0", "44", addresses=addresses, account="carriers")
    return Scene(catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), gateway]))


def test_a_silent_address_of_a_gateway_is_followed_by_its_next():
    scene = two_addresses()
    scene.vendors[0].script = SILENT
    call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=1_000))
    scene.wire.run_until(lambda: call.is_over)
    record = scene.close()
    assert [(attempt.gateway, attempt.code) for attempt in record.attempts] == [("vendor-0", 0), ("vendor-0", 200)]
    assert record.destination_address == str(VENDORS[1])


def test_a_gateway_that_refused_is_not_asked_again_at_its_other_address():
    scene = two_addresses()
    scene.vendors[0].script = refuses(500)
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: call.is_over)
    record = scene.close()
    assert [(attempt.gateway, attempt.code) for attempt in record.attempts] == [("vendor-0", 500)]
    assert scene.vendors[1].calls == []


def test_only_silent_gateways_give_408(scene):
    for vendor in scene.vendors:
        vendor.script = SILENT
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: call.is_over)
    record = scene.close()
    assert end_of(record) == ("No Answer", "switch", 408)
    assert call.refusal["Reason"] == 'Q.850;cause=19;text="No Answer"'


def test_a_gateway_that_tries_without_ringing_is_left_after_its_ring_timeout(scene):
    scene.vendor.script = TRIES
    call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=1_000))
    scene.wire.run_until(lambda: call.is_over)
    record = scene.close()
    assert [attempt.code for attempt in record.attempts] == [0]  # 60 s later no new attempt may begin
    assert end_of(record) == ("No Answer", "switch", 480)
    assert scene.vendor.only_call.is_cancelled


@pytest.mark.parametrize(("after_ringing", "gateways"), [(False, ["vendor-0"]), (True, ["vendor-0", "vendor-1"])])
def test_ring_timeout_after_ringing_ends_the_call_unless_the_gateway_says_otherwise(after_ringing, gateways):
    terms = {"ring_timeout_ms": 10_000, "failover_after_ringing": after_ringing}
    scene = Scene(usual_catalogue(terms=terms))
    scene.vendor.script = RINGS
    scene.vendors[1].script = refuses(503)
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: call.is_over)
    record = scene.close()
    assert [attempt.gateway for attempt in record.attempts] == gateways
    assert end_of(record) == ("No Answer", "switch", 480)
    assert record.attempts[0].pdd_ms == 2
    assert scene.vendor.only_call.is_cancelled


def test_a_late_answer_of_a_silent_gateway_is_acknowledged_and_hung_up(scene):
    scene.vendor.script = Script((Line(7_000, 200, ANSWER),))
    call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=10_000))
    scene.wire.run_until(lambda: call.is_over)
    there = scene.vendor.only_call
    assert (len(there.acks), there.is_over) == (1, True)
    assert scene.close().routing_gateway == "vendor-1"


def test_at_most_ten_attempts_are_made(scene):
    content = usual_catalogue(vendors=3, max_attempts=2)
    scene = Scene(content)
    for vendor in scene.vendors:
        vendor.script = refuses(503)
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: call.is_over)
    assert len(scene.close().attempts) == 2
    assert scene.vendors[2].calls == []


def test_no_attempt_begins_later_than_30_s_after_the_invite():
    scene = Scene(usual_catalogue(vendors=3, terms={"response_timeout_ms": 15_500}))
    for vendor in scene.vendors:
        vendor.script = SILENT
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: call.is_over)
    record = scene.close()
    assert [attempt.gateway for attempt in record.attempts] == ["vendor-0", "vendor-1"]
    assert end_of(record) == ("No Answer", "switch", 408)


# -- early media --------------------------------------------------------------------------------------------------


def to_tags(call):
    return {response.status: response.to_tag for response in call.responses if response.status > 100}


def test_after_early_media_the_next_attempt_has_a_to_tag_of_its_own(scene):
    scene.vendor.script = Script((Line(0, 100), Line(10, 183, ANSWER), Line(500, 503)))
    call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=1_000))
    scene.wire.run_until(lambda: call.is_over)
    tags = to_tags(call)
    assert tags[183] != tags[180] == tags[200]
    assert next(response.body for response in call.responses if response.status == 183) == ANSWER
    scene.close()


def test_without_early_media_all_attempts_share_a_to_tag(scene):
    scene.vendor.script = Script((Line(0, 180), Line(500, 503)))
    scene.vendors[1].script = Script((Line(0, 183, ANSWER), Line(500, 200, ANSWER)))
    call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=1_000))
    scene.wire.run_until(lambda: call.is_over)
    assert len(set(to_tags(call).values())) == 1
    assert call.statuses == [180, 183, 200]
    scene.close()


def test_early_media_of_an_other_kind_is_not_passed_on(scene):
    lines = (Line(0, 183, "x=y", ("Content-Type: text/plain",)), Line(500, 200, ANSWER))
    scene.vendor.script = Script(lines)
    call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=1_000))
    scene.wire.run_until(lambda: call.is_over)
    assert next(response.body for response in call.responses if response.status == 183) == ""
    scene.close()


def test_progress_that_is_no_ringing_keeps_the_call_waiting_and_is_not_passed_on(scene):
    scene.vendor.script = Script((Line(0, 100), Line(10, 199), Line(2_000, 200, ANSWER)))
    call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=1_000))
    scene.wire.run_until(lambda: call.is_over)
    assert call.statuses == [200]
    record = scene.close()
    assert (record.ringing_at, record.pdd_ms) == (None, 2_002)


# -- ended by order -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", [RINGS, TRIES, SILENT])
@pytest.mark.parametrize("reason", [EndReason.ADMINISTRATIVE, EndReason.SHUTDOWN])
def test_an_order_ends_a_call_that_is_not_answered(scene, script, reason):
    scene.vendor.script = script
    call = scene.caller.call(CALLEE)
    scene.wire.run_for(1_000)
    scene.exchange.end_all(reason)
    scene.wire.run_until(lambda: call.is_over)
    record = scene.close()
    assert call.final == 503
    assert re.search(reason.text, call.refusal["Reason"])
    assert end_of(record) == (reason.text, "switch", 503)
    assert attempts_of(record) == [("vendor-0", 0, reason.text)]


def test_an_order_ends_a_call_in_talk_on_both_sides(scene):
    call = scene.caller.call(CALLEE)
    scene.wire.run_for(5_000)
    scene.exchange.end_all(EndReason.ADMINISTRATIVE)
    scene.wire.run_until(lambda: call.is_over)
    record = scene.close()
    assert scene.vendor.only_call.is_over
    assert end_of(record) == ("Administrative", "switch", 200)
    for address in (CUSTOMER, VENDORS[0]):
        assert b'Reason: Q.850;cause=31;text="Administrative"' in scene.bytes_to(address)


def test_the_offer_is_the_same_for_every_gateway(scene):
    scene.vendor.script = refuses(503)
    call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=1_000))
    scene.wire.run_until(lambda: call.is_over)
    assert [vendor.only_call.invite.body for vendor in scene.vendors[:2]] == [OFFER, OFFER]
    scene.close()


def refusals(lines):
    found = [line for line in lines if line["event"] == "account_refused"]
    return [(line["log_level"], line["gateway"], line["code"]) for line in found]


def test_vendors_that_ask_for_credentials_or_money_are_logged_once_a_minute(scene):
    scene.vendor.script, scene.vendors[1].script = refuses(407), refuses(402)
    with structlog.testing.capture_logs() as lines:
        for _ in range(2):
            call = scene.caller.call(CALLEE)
            scene.wire.run_until(lambda call=call: call.is_over)
    assert refusals(lines) == [("warning", "vendor-0", 407), ("warning", "vendor-1", 402)]


def test_such_a_vendor_is_named_when_the_next_one_answers_and_not_again_at_the_end(scene):
    scene.vendor.script, scene.vendors[1].script = refuses(401), answers()
    with structlog.testing.capture_logs() as lines:
        call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=120_000))
        scene.wire.run_for(10_000)
        assert refusals(lines) == [("warning", "vendor-0", 401)]
        scene.wire.run_until(lambda: call.is_over)
    assert len(refusals(lines)) == 1
