"""An error in the switch ends one call, leaves nothing behind, and stops no other call."""

import pytest
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE
from doubles.virtual.vendor import SILENT, answers, refuses

from vosd.b2bua.call import Call
from vosd.b2bua.caller import Caller
from vosd.b2bua.leg import Leg
from vosd.b2bua.search import CalleeSearch
from vosd.base.cause import EndReason
from vosd.callcontrol.admission import Admission


class MistakeError(Exception):
    """An unexpected error."""


def mistaken(*_arguments, **_more):
    raise MistakeError


def another_call_works(scene):
    call = scene.whole_call(Intent(hang_up_after_ms=100))
    assert call.final == 200


def nothing_is_left(scene):
    scene.expect_nothing_left(within_ms=0)


def test_in_admission(scene, monkeypatch):
    with monkeypatch.context() as patch:
        steps = (Admission.identify, Admission.check_gateway, mistaken)
        patch.setattr(scene.exchange.switch.services, "steps", steps)
        call = scene.whole_call()
    assert call.final == 500
    nothing_is_left(scene)
    another_call_works(scene)


@pytest.mark.parametrize(
    ("part", "call_event"),
    [(CalleeSearch, "progressed"), (Call, "answered"), (Call, "begin"), (CalleeSearch, "attempt_failed")],
)
def test_while_the_call_is_set_up(scene, monkeypatch, part, call_event):
    if call_event == "attempt_failed":
        scene.vendor.script = refuses(503)
    with monkeypatch.context() as patch:
        patch.setattr(part, call_event, mistaken)
        call = scene.whole_call()
    assert call.final == 503
    assert scene.record.end_reason == "Lost"
    nothing_is_left(scene)
    scene.vendor.script = answers()
    another_call_works(scene)


def test_in_a_request_within_the_call(scene, monkeypatch):
    call = scene.begun_call(after_ms=2_000)
    with monkeypatch.context() as patch:
        patch.setattr(Leg, "request_came", mistaken)
        call.ask("OPTIONS")
        scene.wire.run_until(lambda: call.is_over)
    assert call.got["OPTIONS"] == [500]
    assert scene.record.end_reason == "Lost"
    nothing_is_left(scene)
    another_call_works(scene)


@pytest.mark.parametrize("call_event", ["_caller_hung_up", "_callee_hung_up", "deadline_due", "acknowledged"])
def test_while_the_parties_talk(scene, monkeypatch, call_event):
    scene.vendor.script = answers(hang_up_after_ms=5_000 if call_event == "_callee_hung_up" else None)
    with monkeypatch.context() as patch:
        patch.setattr(Call, call_event, mistaken)
        scene.whole_call(Intent(hang_up_after_ms=20_000 if call_event == "_caller_hung_up" else None))
        scene.wire.run_for(100)
    assert (scene.record.end_reason, scene.record.answered_at is None) == ("Lost", False)
    assert scene.vendor.only_call.is_over
    nothing_is_left(scene)
    scene.vendor.script = answers()
    another_call_works(scene)


@pytest.mark.parametrize("method", ["answered", "ended"])
def test_in_the_ledger(scene, monkeypatch, method):
    with monkeypatch.context() as patch:
        patch.setattr(scene.exchange.sink, method, mistaken)
        scene.whole_call(Intent(hang_up_after_ms=1_000))
        scene.wire.run_for(100)
    assert scene.vendor.only_call.is_over
    scene.exchange.sink.open.clear()
    nothing_is_left(scene)
    another_call_works(scene)


def test_in_the_end_itself_when_many_are_ended_by_order(scene, monkeypatch):
    for _ in range(3):
        scene.caller.call(CALLEE)
    scene.wire.run_for(2_000)
    with monkeypatch.context() as patch:
        patch.setattr(Caller, "hang_up", mistaken)
        scene.exchange.end_all(EndReason.ADMINISTRATIVE)
    assert len(scene.exchange.sink.records) == 3
    assert scene.exchange.switch.census()["calls"] == 0
    scene.wire.run_for(100)
    assert all(there.is_over for there in scene.vendor.calls)
    nothing_is_left(scene)


def test_a_refusal_that_cannot_be_recorded_is_still_sent(scene, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(scene.exchange.sink, "ended", mistaken)
        call = scene.whole_call(callee="33")
    assert call.final == 403
    nothing_is_left(scene)


def test_a_failing_timer_does_not_stop_the_others(scene, monkeypatch):
    scene.vendor.script = scene.vendors[1].script = SILENT
    calls = [scene.caller.call(CALLEE) for _ in range(2)]
    original = Call.deadline_due

    def fail_for_the_first(call, now):
        if call.arrival.sip_call_id_in == calls[0].call_id:
            mistaken()
        original(call, now)

    monkeypatch.setattr(Call, "deadline_due", fail_for_the_first)
    scene.wire.run_until(lambda: all(call.is_over for call in calls))
    assert [call.final for call in calls] == [503, 408]
    nothing_is_left(scene)
