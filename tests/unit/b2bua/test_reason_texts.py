"""The Reason text of the side that ended a call is kept in the record, and not forwarded."""

import pytest
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CUSTOMER, VENDORS, Scene, sides, usual_catalogue
from doubles.virtual.vendor import RINGS, answers, refuses

from vosd.base.cause import EndReason
from vosd.trunks.dialect import CalleeDialect, ReasonForm

SAID = 'Reason: Q.850;cause=17;text="rack 7 is full"'


@pytest.mark.parametrize("first", ["caller", "callee"])
def test_of_a_bye_of_either_side(scene, first):
    call, there = scene.talk()
    side, _ = sides(first, call, there)
    side.hang_up(SAID)
    scene.wire.run_until(lambda: call.is_over and there.is_over)
    scene.wire.run_for(10)
    record = scene.close()
    assert (record.reason_text, record.q850_cause, record.hangup_source) == ("rack 7 is full", 17, first)
    assert b"rack 7" not in scene.bytes_to(VENDORS[0] if first == "caller" else CUSTOMER)


def test_of_a_cancel(scene):
    scene.whole_call(Intent(cancel_after_ms=1_000, cancel_headers=(SAID,)), script=RINGS)
    scene.wire.run_for(10)
    record = scene.close()
    assert (record.end_reason, record.reason_text, record.q850_cause) == ("Cancelled", "rack 7 is full", 17)
    assert b"rack 7" not in scene.bytes_to(VENDORS[0])


def test_of_the_refusal_that_ends_the_call_and_of_no_other(scene):
    scene.vendor.script = refuses(404, headers=(SAID,))
    scene.vendors[1].script = refuses(503, headers=('Reason: Q.850;cause=34;text="no circuit"',))
    scene.whole_call()
    record = scene.close()
    assert (record.end_reason, record.reason_text) == ("Not Found", "rack 7 is full")
    assert b"rack 7" not in scene.bytes_to(CUSTOMER)


def test_no_text_of_a_gateway_that_was_left_stays_with_the_answered_call(scene):
    scene.whole_call(Intent(hang_up_after_ms=1_000), script=refuses(503, headers=(SAID,)))
    record = scene.close()
    assert (record.end_reason, record.reason_text) == ("Normal", None)


def test_no_text_of_a_transferor_stays_with_the_call_that_another_one_ends(scene):
    call, party = scene.talk()
    scene.vendor.script = answers(3_000)
    call.ask("REFER", headers=["Refer-To: <sip:442071111111@192.0.2.1>"])
    scene.wire.run_for(1_000)
    call.hang_up(SAID)
    scene.wire.run_for(60_000)
    scene.vendor.calls[-1].hang_up()
    scene.wire.run_until(lambda: party.is_over)
    scene.wire.run_for(100)
    assert {record.reason_text for record in scene.exchange.sink.records} == {None}


def test_none_where_the_switch_ends_the_call(scene):
    call, there = scene.talk()
    scene.exchange.end_all(EndReason.ADMINISTRATIVE)
    scene.wire.run_until(lambda: call.is_over and there.is_over)
    assert scene.close().reason_text is None


OURS = 'Q.850;cause=16;text="Cancelled"'
ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'


@pytest.mark.parametrize(
    ("said", "form", "sent"),
    [
        ('SIP;cause=200;text="secret"', ReasonForm.Q850, [ELSEWHERE, OURS]),
        ("SIP ;cause=200", ReasonForm.SIP, [ELSEWHERE]),
        ("SIP;cause=200, Q.850;cause=26", ReasonForm.BOTH, [ELSEWHERE, 'Q.850;cause=26;text="Cancelled"']),
        ("SIP;cause=603", ReasonForm.Q850, ['SIP;cause=603;text="Decline"', OURS]),
        ("Q.850;cause=26", ReasonForm.Q850, ['Q.850;cause=26;text="Cancelled"']),
        ("Q.850;cause=26", ReasonForm.BOTH, ['Q.850;cause=26;text="Cancelled"', 'SIP;cause=487;text="Cancelled"']),
        ("SIP;cause=200", ReasonForm.NONE, []),
        ("SIP;cause=1000, Preemption;cause=1, Q.850;cause=200, SIP", ReasonForm.Q850, [OURS]),
    ],
)
def test_the_causes_of_a_cancel_reach_the_callee_with_texts_of_ours(said, form, sent):
    """RFC 3326 section 3.1: a phone that is told that another one took the call lists no missed call."""
    scene = Scene(usual_catalogue(vendors=1, terms={"dialect": CalleeDialect(reasons=form)}))
    scene.whole_call(Intent(cancel_after_ms=1_000, cancel_headers=(f"Reason: {said}",)), script=RINGS)
    scene.wire.run_for(10)
    head = scene.bytes_to(VENDORS[0]).partition(b"CANCEL ")[2].partition(b"\r\n\r\n")[0].decode()
    assert [line.removeprefix("Reason: ") for line in head.split("\r\n") if line.startswith("Reason:")] == sent
    assert scene.close().end_reason == "Cancelled"
