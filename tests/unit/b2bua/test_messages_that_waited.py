"""Messages that waited in a queue: bills use their time of reception, our own timers the time of processing."""

from decimal import Decimal

import pytest
from doubles.data.builders import account
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, Scene, usual_catalogue
from doubles.virtual.vendor import ANSWER, RINGS, SILENT, Line, Script, answers

from vosd.b2bua.lifetime import ANSWER_WAIT_MS

TARGET = "442071111111"


def test_an_invite_that_waited_leaves_the_gateway_all_its_time():
    scene = Scene(usual_catalogue(vendors=2, terms={"response_timeout_ms": 5_000}))
    scene.vendor.script = SILENT
    scene.vendors[1].script = answers(100)
    scene.exchange.waiting_ms = 4_900
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: bool(scene.vendor.calls))
    scene.exchange.waiting_ms = 0
    began = scene.exchange.clock.now()
    scene.wire.run_until(lambda: call.final == 200)
    assert scene.exchange.clock.now().mono - began.mono > 5_000
    record = scene.finish(call)
    silent, answered = record.attempts
    assert silent.ms in range(5_000, 5_011)
    assert answered.code == 200
    assert began.wall - record.started_at in range(4_900, 4_910), "the call began when its INVITE came"


def test_an_invite_that_waited_is_repeated_at_the_usual_times():
    scene = Scene()
    scene.vendor.script = SILENT
    scene.exchange.waiting_ms = 4_900
    call = scene.caller.call(CALLEE, Intent(cancel_after_ms=3_000))
    scene.wire.run_until(lambda: bool(scene.vendor.calls))
    sent = [packet for packet in scene.wire.packets if packet.target == scene.vendor.address]
    scene.wire.run_for(400)
    assert [packet for packet in scene.wire.packets if packet.target == scene.vendor.address] == sent
    scene.wire.run_until(lambda: call.is_over)


def test_a_bye_that_waited_ends_the_call_when_it_came():
    scene = Scene()
    call, _ = scene.talk()
    scene.exchange.waiting_ms = 250
    scene.hang_up(call)
    at = scene.exchange.clock.now().wall
    record = scene.close()
    assert at - record.ended_at in range(250, 260)
    assert record.end_reason == "Normal"


def test_a_200_that_waited_is_the_vendors_from_when_it_came_and_the_callers_from_when_it_left():
    scene = Scene()
    call = scene.begun_call(script=answers(1_000), after_ms=500)
    scene.exchange.waiting_ms = 250
    scene.wire.run_until(lambda: call.final == 200)
    at = scene.exchange.clock.now().wall
    scene.exchange.waiting_ms = 0
    record = scene.finish(call)
    assert record.answered_at is not None
    assert record.vendor_answered_at is not None
    assert record.answered_at - record.vendor_answered_at == 250
    assert at - record.answered_at in range(10)
    assert record.hold_time_ms == record.ended_at - record.answered_at


def test_an_answer_of_a_gateway_given_up_that_waited_is_dated_by_when_it_came():
    scene = Scene(usual_catalogue(vendors=2, terms={"response_timeout_ms": 5_000}))
    scene.vendor.script = Script((Line(7_000, 200, ANSWER),))
    scene.vendors[1].script = answers(100)
    call = scene.begun_call(after_ms=6_000)
    scene.exchange.waiting_ms = 500
    scene.wire.run_until(lambda: bool(scene.exchange.sink.late_answers))
    scene.exchange.waiting_ms = 0
    (late,) = scene.exchange.sink.late_answers
    assert late.vendor_answered_at is not None
    assert scene.exchange.clock.now().wall - late.vendor_answered_at in range(500, 520)
    scene.finish(call)


@pytest.mark.parametrize("charges_ringing", [False, True])
def test_a_vendor_that_hung_up_before_the_caller_was_answered_is_paid_until_then(charges_ringing):
    """Both messages waited for the start: the caller got its 200 after the vendor's BYE had come.

    A customer that pays from its INVITE on, and its agents, pay no longer than that either.
    """
    rich = {"overdraft_limit": Decimal(100)}
    sold = [account("reseller", **rich), account("acme", agent="reseller", **rich)]
    scene = Scene(usual_catalogue(accounts=[*sold, account("carriers", **rich)], charges_ringing=charges_ringing))
    call = scene.begun_call(script=Script((Line(100, 180), Line(20_000, 200, ANSWER))), after_ms=500)
    scene.exchange.waiting_ms = 12_000
    scene.wire.run_until(lambda: call.final == 200)
    scene.exchange.waiting_ms = 10_000
    scene.vendor.calls[0].hang_up()
    scene.wire.run_until(lambda: call.is_over)
    scene.exchange.waiting_ms = 0
    record = scene.close()
    assert (record.hangup_source, record.hold_time_ms) == ("callee", 0)
    rang_s = 8 if charges_ringing else 0
    assert record.vendor_billing_base_ms in range(1_000 * (rang_s + 2), 1_000 * (rang_s + 2) + 50)
    sold_s = 10 if charges_ringing else 0
    paid = {(each.role, each.billed_seconds) for each in record.charges}
    assert paid == {("customer", sold_s), ("agent", sold_s), ("vendor", rang_s + 2)}


@pytest.mark.parametrize("hangs_up", [True, False])
def test_an_answer_that_waited_for_minutes_is_the_callers_and_the_vendor_is_paid_until_it_hung_up(hangs_up):
    """It ended the call before the vendor's BYE behind it was served, and the vendor was paid for the whole limit."""
    scene = Scene()
    call = scene.begun_call(script=answers(1_000), after_ms=500)
    scene.exchange.waiting_ms = ANSWER_WAIT_MS + 20_000
    scene.wire.run_until(lambda: call.final == 200)
    scene.exchange.waiting_ms -= 5_000
    if hangs_up:
        scene.vendor.calls[0].hang_up()
        scene.wire.run_until(lambda: call.is_over)
        scene.exchange.waiting_ms = 0
        record = scene.close()
        assert (record.end_reason, record.hangup_source, record.fee) == ("Normal", "callee", 0)
        assert record.vendor_billing_base_ms in range(5_000, 5_050)
    else:
        scene.exchange.waiting_ms = 0
        scene.wire.run_for(3_000)
        assert scene.finish(call).end_reason == "Normal"


@pytest.mark.parametrize(("limit", "paid_s"), [("0.70", 70), ("1.30", 130), ("100", 203)])
@pytest.mark.parametrize("hangs_up_s", [5, 69, 100, 195, None])
def test_a_vendor_paid_in_advance_is_paid_no_more_than_it_has_for_a_200_that_waited(limit, paid_s, hangs_up_s):
    """A BYE of the vendor behind the 200 says better for how long, unless its money was used up before."""
    accounts = [account("acme"), account("carriers", overdraft_limit=Decimal(limit))]
    scene = Scene(usual_catalogue(accounts=accounts))
    call = scene.begun_call(script=answers(1_000), after_ms=500)
    scene.exchange.waiting_ms = 200_000
    scene.wire.run_until(lambda: call.final == 200)
    if hangs_up_s is not None:
        scene.exchange.waiting_ms -= 1_000 * hangs_up_s
        scene.hang_up(scene.vendor.calls[0], wait_ms=100)
    scene.exchange.waiting_ms = 0
    scene.wire.run_for(3_000)
    if not call.is_over:
        scene.hang_up(call, wait_ms=1_000)
    record = scene.close()
    assert record.vendor_billed_seconds == (paid_s if hangs_up_s is None else min(hangs_up_s, paid_s))
    assert record.cost <= Decimal(limit)
    assert record.end_reason == ("Normal" if hangs_up_s or limit == "100" else "Balance Exhausted")


@pytest.mark.parametrize("charges_ringing", [False, True])
def test_a_cancel_that_came_before_our_200_and_was_read_behind_it_ends_the_call(charges_ringing):
    """Both waited for the start, and the vendor's 200 had come first: the caller has gone, and sends no ACK."""
    scene = Scene(usual_catalogue(charges_ringing=charges_ringing))
    scene.vendor.script = Script((Line(100, 180), Line(50_000, 200, ANSWER)))
    call = scene.begun_call(Intent(acknowledges=False), after_ms=500)
    scene.exchange.waiting_ms = 42_000
    scene.wire.run_until(lambda: call.final == 200)
    scene.exchange.waiting_ms = 37_000
    call.agent.send(call._cancel_text)
    scene.wire.run_for(20)
    scene.exchange.waiting_ms = 0
    scene.hang_up(call, wait_ms=1_000)
    record = scene.close()
    assert call.is_over
    assert (record.end_reason, record.hangup_source, record.sip_code) == ("Normal", "caller", 200)
    rang_s = 8 if charges_ringing else 0
    assert (record.hold_time_ms, record.billed_seconds) == (0, rang_s + 5 if charges_ringing else 0)
    assert record.vendor_billed_seconds == rang_s + 5


@pytest.mark.parametrize("acknowledges", [False, True])
def test_a_cancel_that_came_behind_our_200_changes_nothing(acknowledges):
    """RFC 3261 section 9.2, also where it has waited in a queue."""
    scene = Scene()
    call = scene.answered_call(Intent(acknowledges=acknowledges), script=answers(1_000), talk_ms=500)
    scene.exchange.waiting_ms = 100 if not acknowledges else 5_000
    call.agent.send(call._cancel_text)
    scene.wire.run_for(500)
    scene.exchange.waiting_ms = 0
    assert scene.exchange.switch.has_calls
    if acknowledges:
        call.hang_up()
    scene.wire.run_for(40_000)
    assert scene.close().end_reason == ("Normal" if acknowledges else "No ACK")


def test_a_cancel_that_waited_ends_the_call_when_it_came():
    scene = Scene()
    call = scene.begun_call(Intent(cancel_after_ms=3_000), script=RINGS, after_ms=2_000)
    scene.exchange.waiting_ms = 250
    scene.wire.run_until(lambda: call.is_over)
    at = scene.exchange.clock.now().wall
    assert at - scene.close().ended_at in range(250, 260)


def test_a_call_to_a_target_ends_not_before_it_began():
    """The BYE was in the queue when the REFER was served that began the call to the target."""
    scene = Scene()
    scene.vendor.by_number = {TARGET: RINGS}
    call, _ = scene.talk()
    call.ask("REFER", headers=[f"Refer-To: <sip:{TARGET}@192.0.2.1>"])
    scene.wire.run_for(100)
    scene.exchange.waiting_ms = 300
    scene.hang_up(scene.vendor.calls[0], wait_ms=40)
    scene.exchange.waiting_ms = 0
    scene.wire.run_for(3_000)
    records = scene.exchange.sink.records
    assert len(records) == 2
    assert all(record.started_at <= (record.ringing_at or record.started_at) <= record.ended_at for record in records)
    assert all(attempt.ms >= 0 for record in records for attempt in record.attempts)


def test_an_answer_that_waited_makes_the_attempt_no_longer():
    scene = Scene()
    call = scene.begun_call(script=answers(750), after_ms=500)
    scene.exchange.waiting_ms = 200
    scene.wire.run_until(lambda: call.final == 200)
    scene.exchange.waiting_ms = 0
    record = scene.finish(call)
    assert record.vendor_answered_at is not None
    assert abs(record.attempts[0].ms - (record.vendor_answered_at - record.started_at)) <= 10


def test_the_window_of_new_calls_goes_by_the_clock():
    """Calls that waited unequally must not turn its time back: one would count as long gone or as yet to come."""
    scene = Scene(usual_catalogue(customer={"max_cps": 2}))
    scene.vendor.script = answers(100)
    finals = []
    for waited_ms in (0, 900, 0):
        scene.exchange.waiting_ms = waited_ms
        call = scene.begun_call(after_ms=50)
        finals.append(call)
    scene.exchange.waiting_ms = 0
    scene.wire.run_for(500)
    assert [call.final for call in finals] == [200, 200, 503]
    scene.wire.run_for(1_000)
    call = scene.settled_call()
    assert call.final == 200
