"""Calls that are charged from their INVITE (SS_STARTBILLINGTIME 1) and ring when the switch is killed."""

from decimal import Decimal

import pytest
from doubles.announcing import scene_with
from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, rate_group
from doubles.killed import KilledScene
from doubles.month_of_calls import past_of
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, vendor_gateway
from doubles.virtual.vendor import ANSWER, Line, Script, answers
from structlog.testing import capture_logs

from vosd.admin.rerate import Rerating
from vosd.billing.accounts import AccountType
from vosd.billing.rater import rate_call

SELL, BUY = applied_rate("0.60", 1), applied_rate("0.30", 1, connection_fee="0.05")
RINGS_ON = Script((Line(0, 180),), accepts_cancel=False)


def content(buy=BUY, vendors=1, ring_ms=60_000):
    gateways = [
        vendor_gateway(number, ring_timeout_ms=ring_ms if number < vendors - 1 else 60_000, failover_after_ringing=True)
        for number in range(vendors)
    ]
    accounts = [
        account("acme", overdraft_limit=Decimal(0)),
        account("carriers", rate_group="buy", overdraft_limit=None),
    ]
    rates = [rate_group("sell", SELL), rate_group("buy", buy)]
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32")
    return catalogue([trunk, *gateways], rate_groups=rates, accounts=accounts, charges_ringing=True)


def ringing(directory, for_ms=5_000, **given):
    scene = KilledScene(directory, content(**given))
    for vendor in scene.vendors:
        vendor.script = RINGS_ON
    call = scene.begun_call(after_ms=for_ms)
    return scene, call


def answer(scene, vendor=0):
    scene.vendors[vendor].only_call.respond(Line(0, 200, ANSWER))


def charges_again(*records):
    again = Rerating(content(), compares_steps=True)
    for record in records:
        again.add(past_of(record))
    return again.differences.differ, again.steps_differ


@pytest.mark.parametrize("kills", [1, 2, 3])
def test_a_vendor_that_answers_behind_the_kill_is_paid_once_from_its_invite(tmp_path, kills):
    """It was paid for the ringing alone, and its answer was in no record."""
    scene, _ = ringing(tmp_path)
    for _ in range(kills):
        scene.kill(away_ms=100, then_ms=500)
    answer(scene)
    scene.wire.run_for(40_000)
    (cut,), (late,) = scene.exchange.sink.records, scene.exchange.sink.late_answers
    assert (cut.end_reason, cut.fee, cut.cost) == ("Lost", Decimal("0.05"), Decimal("0.025"))
    assert [(row.gateway, row.code, row.reason) for row in cut.attempts] == [("vendor-0", 0, "Lost")]
    assert late.vendor_paid_ms == cut.vendor_billing_base_ms
    assert late.vendor_billing_base_ms == late.vendor_answered_at - late.started_at + 1_000
    assert cut.cost + late.cost == rate_call(BUY, late.vendor_billing_base_ms).fee
    assert (late.is_cost_of_another, late.sip_call_id_out) == (True, cut.sip_call_id_out)
    assert [(row.code, row.reason) for row in late.attempts] == [(200, "Late Answer")]
    assert [(each.account, each.amount) for each in late.postings] == [("carriers", -late.cost)]
    assert charges_again(cut, late) == (0, 0)
    assert scene.vendor.only_call.is_over


def test_its_record_says_what_that_of_a_call_which_was_given_up_says(tmp_path):
    killed, _ = ringing(tmp_path / "killed")
    killed.kill()
    given_up, call = ringing(tmp_path / "given up")
    call.cancel()
    for scene in (killed, given_up):
        scene.wire.run_for(1_500)
        answer(scene)
        scene.wire.run_for(40_000)
    (one,), (other,) = (scene.exchange.sink.late_answers for scene in (killed, given_up))
    names = set(one.__struct_fields__) - {"fee_breakdown", "attempts", "charges", "postings", "vendor_paid_ms", "cost"}
    of_a_moment = {"call_id", "started_at", "ended_at", "vendor_answered_at", "vendor_billing_base_ms", "reason_text"}
    names -= {*of_a_moment, "sip_call_id_in", "sip_call_id_out"}
    assert {name: getattr(one, name) for name in names} == {name: getattr(other, name) for name in names}
    assert one.reason_text.partition(" in call ")[0] == other.reason_text.partition(" in call ")[0]


def test_a_vendor_that_was_left_before_the_kill_is_paid_for_its_own_attempt(tmp_path):
    scene, _ = ringing(tmp_path, 7_000, vendors=2, ring_ms=5_000)
    scene.kill(then_ms=500)
    answer(scene, 0)
    scene.wire.run_for(40_000)
    (cut,), (late,) = scene.exchange.sink.records, scene.exchange.sink.late_answers
    assert [(row.gateway, row.reason) for row in cut.attempts] == [("vendor-0", "No Answer"), ("vendor-1", "Lost")]
    assert (cut.routing_gateway, cut.vendor_billing_base_ms // 1_000) == ("vendor-1", 1)
    assert (late.routing_gateway, late.vendor_paid_ms) == ("vendor-0", None)
    assert late.cost == rate_call(BUY, late.vendor_billing_base_ms).fee
    assert late.vendor_billing_base_ms // 1_000 == 8


@pytest.mark.parametrize("accepts_cancel", [True, False])
def test_without_an_answer_the_ringing_is_all(tmp_path, accepts_cancel):
    scene, _ = ringing(tmp_path)
    scene.vendor.only_call.script = Script((Line(0, 180),), accepts_cancel=accepts_cancel)
    scene.kill(then_ms=100_000)
    (cut,) = scene.exchange.sink.all_records
    assert (cut.end_reason, cut.cost) == ("Lost", Decimal("0.025"))


def test_a_vendor_without_a_rate_leaves_a_line_in_the_log_alone(tmp_path):
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0, allow_unrated=True)]
    accounts = [account("acme"), account("carriers", type=AccountType.CLEARING, rate_group=None, overdraft_limit=None)]
    scene = KilledScene(tmp_path, catalogue(known, accounts=accounts, charges_ringing=True))
    scene.vendor.script = RINGS_ON
    scene.caller.call(CALLEE)
    scene.wire.run_for(5_000)
    scene.kill(then_ms=500)
    with capture_logs() as lines:
        answer(scene)
        scene.wire.run_for(40_000)
    assert [line["gateway"] for line in lines if line["event"] == "answer_released"] == ["vendor-0"]
    assert [record.end_reason for record in scene.exchange.sink.all_records] == ["Lost"]
    assert (scene.leftovers._lost.answered, scene.leftovers._lost.unknown) == (1, 0)


def test_a_minute_that_the_ringing_has_paid_is_not_paid_again(tmp_path):
    scene, _ = ringing(tmp_path, buy=applied_rate("0.30", 60))
    scene.kill(then_ms=500)
    answer(scene)
    scene.wire.run_for(40_000)
    (cut,), (late,) = scene.exchange.sink.records, scene.exchange.sink.late_answers
    assert (cut.cost, late.cost, late.postings) == (Decimal("0.30"), 0, ())
    assert late.vendor_answered_at > cut.ended_at


@pytest.mark.parametrize("answers_late", [False, True])
@pytest.mark.parametrize("stops_before", [False, True])
def test_seconds_of_an_announcement_before_a_kill_are_charged_to_no_one(tmp_path, answers_late, stops_before):
    """The call had ended: these seconds were in its record, and once more in that of a late answer."""
    scene, _ = scene_with({"No Answer": "long"}, directory=tmp_path, charges_ringing=True)
    call = scene.begun_call(script=RINGS_ON)
    scene.wire.run_until(lambda: any(each.status == 183 for each in call.responses))
    scene.wire.run_for(4_000)
    if answers_late:
        answer(scene)
    if stops_before:
        scene.stop_and_keep()
    scene.wire.run_for(6_000)
    scene.kill(then_ms=60_000)
    *late, cut = scene.exchange.sink.all_records
    assert (cut.end_reason, cut.billed_seconds, cut.vendor_billed_seconds) == ("Lost", 60, 60)
    assert [row.reason for row in cut.attempts][:1] == ["No Answer"]
    assert "Lost" not in [row.reason for row in cut.attempts]
    assert [each.vendor_paid_ms for each in late] == [cut.vendor_billing_base_ms] * answers_late


def test_an_answer_that_was_booked_before_the_kill_is_not_booked_again(tmp_path):
    """The gateway repeats its 200, whose ACK was lost."""
    scene, _ = scene_with({"No Answer": "long"}, directory=tmp_path, charges_ringing=True)
    call = scene.begun_call(script=RINGS_ON)
    scene.wire.run_until(lambda: any(each.status == 183 for each in call.responses))
    scene.wire.run_for(4_000)
    answer(scene)
    scene.wire.run_until(lambda: scene.exchange.sink.late_answers)
    sent = next(each for each in reversed(scene.wire.packets) if each.data.startswith(b"SIP/2.0 200"))
    scene.kill(then_ms=10)
    scene.wire.send(sent.source, sent.target, sent.data)
    scene.wire.run_for(60_000)
    assert [record.end_reason for record in scene.exchange.sink.all_records] == ["Cancelled", "Lost"]


@pytest.mark.parametrize("after_ms", [0, 3_000])
@pytest.mark.parametrize("kills", [1, 2])
def test_a_late_answer_that_was_booked_is_not_booked_again_while_another_vendor_rings(tmp_path, after_ms, kills):
    """The BYE has its answer by then, and nothing but the INVITE was left of the attempt."""
    scene, _ = ringing(tmp_path, 7_000, vendors=2, ring_ms=5_000)
    answer(scene, 0)
    scene.wire.run_until(lambda: scene.exchange.sink.late_answers)
    sent = next(each for each in reversed(scene.wire.packets) if each.data.startswith(b"SIP/2.0 200"))
    scene.wire.run_for(after_ms)
    for _ in range(kills):
        scene.kill(10, then_ms=10)
        scene.wire.send(sent.source, sent.target, sent.data)
        scene.wire.run_for(1_500)
    answer(scene, 1)
    scene.wire.run_for(60_000)
    (cut,), late = scene.exchange.sink.records, scene.exchange.sink.late_answers
    assert (cut.end_reason, cut.routing_gateway) == ("Lost", "vendor-1")
    assert [(each.routing_gateway, each.vendor_paid_ms is None) for each in late] == [
        ("vendor-0", True), ("vendor-1", False),
    ]  # fmt: skip
    assert (scene.leftovers._lost.answered, scene.leftovers._lost.unknown) == (1, 0)


def test_an_answer_before_the_kill_goes_on_and_leaves_one_record(tmp_path):
    scene, _ = ringing(tmp_path, 0)
    scene.vendor.script = answers(3_000)
    scene.wire.run_for(100)
    call = scene.answered_call(Intent(hang_up_after_ms=10_000), talk_ms=2_000)
    scene.kill()
    scene.wire.run_until(lambda: call.is_over)
    scene.wire.run_for(40_000)
    (talk,) = [record for record in scene.exchange.sink.all_records if record.answered_at]
    assert (talk.vendor_billed_seconds, talk.cost) == (13, Decimal("0.115"))
