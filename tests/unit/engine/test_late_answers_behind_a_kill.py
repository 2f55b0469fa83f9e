"""Vendors that answer behind a kill of a call that is not charged while it rings: each answer is paid once."""

import pytest
from doubles.announcing import scene_with
from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, rate_group
from doubles.data.records import call_id
from doubles.killed import KilledScene
from doubles.left_legs import INVITE
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, vendor_gateway
from doubles.virtual.vendor import ANSWER, Line, Script

from vosd.base.cause import EndReason
from vosd.billing.rater import rate_call
from vosd.cdr.record import CallRecord
from vosd.engine.journal.entries import Ended, PlacedCall
from vosd.engine.journal.output import JournalOutput
from vosd.engine.journal.replay import Remains

RINGS_ON = Script((Line(0, 180),), accepts_cancel=False)


BUY = applied_rate("0.30", 1)


def cancelled(directory, after_ms, *, charges_ringing):
    """Return a call that its caller has cancelled after 3 s; its vendor has not accepted our CANCEL."""
    accounts = [account("acme", overdraft_limit=None), account("carriers", rate_group="buy", overdraft_limit=None)]
    rates = [rate_group("sell", applied_rate("0.60", 1)), rate_group("buy", BUY)]
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    scene = KilledScene(
        directory, catalogue(trunks, accounts=accounts, rate_groups=rates, charges_ringing=charges_ringing)
    )
    scene.vendor.script = RINGS_ON
    scene.caller.call(CALLEE, Intent(cancel_after_ms=3_000))
    scene.wire.run_for(3_000 + after_ms)
    return scene


def ringing(directory, **parameters):
    """Return a call that rings at the second of two vendors; the first one has not accepted its CANCEL."""
    terms = {"ring_timeout_ms": 5_000, "failover_after_ringing": True}
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), *(vendor_gateway(n, **terms) for n in range(2))]
    scene = KilledScene(directory, catalogue(trunks, **parameters))
    for vendor in scene.vendors:
        vendor.script = RINGS_ON
    scene.caller.call(CALLEE)
    scene.wire.run_for(7_000)
    return scene


def answer(scene, vendor):
    scene.vendors[vendor].only_call.respond(Line(0, 200, ANSWER))


def repeated(scene, packet):
    scene.wire.send(packet.source, packet.target, packet.data)
    scene.wire.run_for(1_500)


def killed_and_repeated(scene, packet):
    """Kill the switch, have the next process get a packet once more, and run until all is over."""
    scene.kill(10, then_ms=10)
    repeated(scene, packet)
    scene.wire.run_for(70_000)


def latest_answer(scene):
    return next(each for each in reversed(scene.wire.packets) if each.data.startswith(b"SIP/2.0 200"))


@pytest.mark.parametrize("kills", [1, 2])
@pytest.mark.parametrize("latest_too", [False, True])
def test_a_vendor_that_was_left_before_the_kill_is_paid_for_its_answer_behind_it(tmp_path, kills, latest_too):
    """The record of the call has the row of the answer; the cost of it needs a record of its own."""
    scene = ringing(tmp_path)
    for _ in range(kills):
        scene.kill(then_ms=500)
    answer(scene, 0)
    if latest_too:
        answer(scene, 1)
    scene.wire.run_for(70_000)
    late, cut = sorted(scene.exchange.sink.all_records, key=lambda record: record.end_reason)
    rows = [
        ("vendor-0", "No Answer"),
        ("vendor-0", "Late Answer"),
        ("vendor-1", "Late Answer" if latest_too else "Lost"),
    ]
    assert [(row.gateway, row.reason) for row in cut.attempts] == rows
    assert (cut.end_reason, cut.routing_gateway, cut.vendor_billed_seconds) == ("Lost", "vendor-1", int(latest_too))
    assert (late.routing_gateway, late.vendor_billed_seconds, late.vendor_paid_ms) == ("vendor-0", 1, None)
    assert (late.is_cost_of_another, late.customer_account, late.cost > 0) == (True, None, True)
    assert [row.reason for row in late.attempts] == ["Late Answer"]


@pytest.mark.parametrize("kills", [1, 2])
def test_an_answer_that_was_booked_before_the_kill_is_not_booked_again(tmp_path, kills):
    """The vendor repeats its 200, whose ACK was lost, while another one rings."""
    scene = ringing(tmp_path)
    answer(scene, 0)
    scene.wire.run_until(lambda: scene.exchange.sink.late_answers)
    sent = latest_answer(scene)
    scene.wire.run_for(3_000)
    for _ in range(kills):
        scene.kill(10, then_ms=10)
        repeated(scene, sent)
    scene.wire.run_for(70_000)
    (cut,), (late,) = scene.exchange.sink.records, scene.exchange.sink.late_answers
    assert (cut.end_reason, cut.routing_gateway, cut.cost, late.routing_gateway) == ("Lost", "vendor-1", 0, "vendor-0")


@pytest.mark.parametrize("charges_ringing", [False, True])
def test_an_answer_that_was_booked_on_a_full_disk_before_the_kill_is_not_booked_again(
    tmp_path, monkeypatch, charges_ringing
):
    """The disk takes the record, and not the frame that says that the attempt is booked."""
    scene = ringing(tmp_path, charges_ringing=charges_ringing)
    with monkeypatch.context() as full:
        full.setattr(JournalOutput, "append_spare", lambda _output, _frame, _ends: None)
        answer(scene, 0)
        scene.wire.run_until(lambda: scene.exchange.sink.late_answers)
    sent = latest_answer(scene)
    scene.wire.run_for(3_000)
    killed_and_repeated(scene, sent)
    (cut,), (late,) = scene.exchange.sink.records, scene.exchange.sink.late_answers
    assert (cut.end_reason, cut.routing_gateway, late.routing_gateway) == ("Lost", "vendor-1", "vendor-0")


def test_an_answer_that_was_booked_during_an_announcement_before_the_kill_costs_nothing_in_the_record_of_the_call(
    tmp_path,
):
    """A second was charged again where the vendor repeated its 200."""
    scene, _ = scene_with({"No Answer": "long"}, directory=tmp_path)
    call = scene.begun_call(script=RINGS_ON)
    scene.wire.run_until(lambda: any(each.status == 183 for each in call.responses))
    scene.wire.run_for(4_000)
    answer(scene, 0)
    scene.wire.run_until(lambda: scene.exchange.sink.late_answers)
    sent = latest_answer(scene)
    scene.kill(then_ms=10)
    repeated(scene, sent)
    scene.wire.run_for(60_000)
    (cut,), (late,) = scene.exchange.sink.records, scene.exchange.sink.late_answers
    assert (cut.end_reason, cut.cost, late.cost > 0) == ("Lost", 0, True)


@pytest.mark.parametrize("charges_ringing", [False, True])
@pytest.mark.parametrize(
    ("restart", "after_ms"), [("kill", 100), ("kill", 20_000), ("stop_and_keep", 100), ("stop_and_keep", 20_000)]
)
def test_a_vendor_is_paid_for_its_answer_behind_a_restart_to_a_call_that_had_ended_before_it(
    tmp_path, charges_ringing, restart, after_ms
):
    """It was released, and in no record."""
    scene = cancelled(tmp_path, after_ms, charges_ringing=charges_ringing)
    getattr(scene, restart)()
    scene.wire.run_for(500)
    before = len(scene.wire.packets)
    answer(scene, 0)
    scene.wire.run_for(1_000)
    sent = [each.data.split()[0] for each in scene.wire.packets[before:] if each.target == scene.vendor.address]
    assert sent == [b"ACK", b"BYE"]
    repeated(scene, latest_answer(scene))
    scene.wire.run_for(70_000)
    (call,), (late,) = scene.exchange.sink.records, scene.exchange.sink.late_answers
    assert (call.end_reason, late.end_reason, late.is_cost_of_another) == ("Cancelled", "Cancelled", True)
    assert (late.sip_call_id_out, late.vendor_paid_ms) == (call.sip_call_id_out, call.vendor_billing_base_ms)
    assert call.call_id in late.reason_text
    whole_ms = 1_000
    if charges_ringing:
        whole_ms = late.vendor_billing_base_ms
        assert whole_ms // 1_000 == (3_600 + after_ms + 1_000) // 1_000
    assert call.cost + late.cost == rate_call(BUY, whole_ms).fee


@pytest.mark.parametrize("charges_ringing", [False, True])
@pytest.mark.parametrize("stops", [False, True])
def test_an_answer_that_was_booked_after_the_end_of_its_call_is_not_booked_again_behind_a_kill(
    tmp_path, charges_ringing, stops
):
    scene = cancelled(tmp_path, 100, charges_ringing=charges_ringing)
    if stops:
        scene.stop_and_keep(then_ms=100)
    answer(scene, 0)
    scene.wire.run_until(lambda: scene.exchange.sink.late_answers)
    sent = latest_answer(scene)
    scene.wire.run_for(1_000)
    killed_and_repeated(scene, sent)
    assert [record.end_reason for record in scene.exchange.sink.all_records] == ["Cancelled", "Cancelled"]


def test_an_answer_to_a_call_that_ended_long_before_the_kill_has_no_record(tmp_path):
    scene = cancelled(tmp_path, 100, charges_ringing=False)
    scene.kill(33_000, then_ms=34_000)
    answer(scene, 0)
    scene.wire.run_for(70_000)
    assert len(scene.exchange.sink.all_records) == 1
    assert scene.vendor.only_call.is_over


def test_what_was_noted_for_late_answers_is_dropped_when_none_can_come(tmp_path):
    scene = cancelled(tmp_path, 100, charges_ringing=False)
    scene.kill(then_ms=1_000)
    assert scene.leftovers._ended
    scene.wire.run_for(35_000)
    assert not scene.leftovers._ended


@pytest.mark.parametrize("charges_ringing", [False, True])
@pytest.mark.parametrize("restart", [None, "kill", "stop_and_keep"])
@pytest.mark.parametrize("answers_before", [False, True])
def test_a_vendor_that_was_left_is_paid_once_for_its_answer_where_another_one_has_answered(
    tmp_path, charges_ringing, restart, answers_before
):
    scene = ringing(tmp_path, charges_ringing=charges_ringing)
    if answers_before:
        answer(scene, 0)
        scene.wire.run_for(500)
    answer(scene, 1)
    scene.wire.run_for(1_500)
    if restart is not None:
        getattr(scene, restart)(10)
        scene.wire.run_for(1_000)
    if answers_before:
        sent = next(
            each
            for each in scene.wire.packets
            if each.source == scene.vendor.address and each.data.startswith(b"SIP/2.0 200") and b" INVITE" in each.data
        )
        repeated(scene, sent)
    else:
        answer(scene, 0)
    scene.wire.run_for(70_000)
    for live_call in scene.exchange.switch.calls():
        live_call.call.end(EndReason.ADMINISTRATIVE, scene.exchange.clock.now())
    scene.exchange.flush()
    scene.wire.run_for(1_000)
    (call,) = [record for record in scene.exchange.sink.all_records if record.answered_at is not None]
    (late,) = [record for record in scene.exchange.sink.all_records if record.answered_at is None]
    assert (call.routing_gateway, late.routing_gateway, late.is_cost_of_another) == ("vendor-1", "vendor-0", True)
    assert late.vendor_paid_ms is None
    assert late.vendor_billed_seconds in (range(8, 12) if charges_ringing else [1])


@pytest.mark.parametrize(("end_reason", "awaited"), [("Lost", []), ("Cancelled", [INVITE])])
def test_invites_of_a_call_that_an_earlier_kill_has_cut_off_are_legs_to_release_alone(end_reason, awaited):
    """The record has what they cost: a start that is killed early leaves both beside the journal of before."""
    record = CallRecord(
        call_id=call_id(1), node="sw1", routing_gateway="vendor-0", sip_call_id_out=INVITE.call_id.decode(),
        started_at=1_000, ended_at=5_000, hangup_source="switch", end_reason=end_reason, sip_code=503,
    )  # fmt: skip
    remains = Remains()
    remains.take(PlacedCall(record.call_id, INVITE, None, record, BUY))
    remains.take(Ended(record))
    assert [each.invites[0] for each in remains.ended_attempts.awaited(10_000).values()] == awaited
    assert remains.ended_attempts.awaited(40_000) == {}
