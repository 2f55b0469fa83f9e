"""Calls that are charged from their INVITE on (SS_STARTBILLINGTIME 1): who pays, for how long, and after a kill."""

from decimal import Decimal

import msgspec
import pytest
from doubles.announcing import scene_with
from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, rate_group
from doubles.left_legs import INVITE
from doubles.month_of_calls import past_of
from doubles.recomputed import recompute
from doubles.virtual.customer import Intent
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import ANSWER, RINGS, Line, Script, answers, refuses

from vosd.admin.rerate import Rerating
from vosd.base.clock import Instant
from vosd.base.money import format_amount
from vosd.billing.rater import itemise_rest, rate_call
from vosd.billing.rates import for_unanswered
from vosd.callcontrol.bookkeeping import lost
from vosd.callcontrol.open_call import OpenCall
from vosd.engine.journal import Journal
from vosd.engine.journal.entries import PlacedCall
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters, MediaSettings

RATES = [
    rate_group("sell", applied_rate("0.60", 1, connection_fee="0.05", minimum_charge="0.10")),
    rate_group("agents", applied_rate("0.54", 1)),
    rate_group("buy", applied_rate("0.30", 1, connection_fee="0.02")),
]


def content(*, charges_ringing=True, advance_s=10, vendors=1, vendor_limit=None, ring_ms=60_000, rates=RATES):
    rings_ms = [ring_ms, *[60_000] * (vendors - 1)]
    gateways = [
        vendor_gateway(number, ring_timeout_ms=each, failover_after_ringing=True)
        for number, each in enumerate(rings_ms)
    ]
    accounts = [
        account("acme", agent="top", overdraft_limit=Decimal(0), advance_s=advance_s),
        account("top", rate_group="agents", overdraft_limit=None, advance_s=advance_s),
        account("carriers", rate_group="buy", overdraft_limit=vendor_limit, advance_s=advance_s),
    ]
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32")
    return catalogue([trunk, *gateways], rate_groups=rates, accounts=accounts, charges_ringing=charges_ringing)


def scene_of(*, balance="100", **given) -> Scene:
    scene = Scene(content(**given), balance=balance)
    for vendor in scene.vendors:
        vendor.script = RINGS
    return scene


def ring(scene, ms, intent=None):
    return scene.begun_call(intent, after_ms=ms)


def end(scene, call):
    return scene.end_of(call)


def total(record, role):
    return sum(row.fee + row.tax for row in record.charges if row.role == role)


def test_no_one_answers_and_everyone_is_paid_for_the_ringing_without_connection_fee():
    scene = scene_of()
    record = end(scene, ring(scene, 0, Intent(cancel_after_ms=30_000)))
    assert (record.answered_at, record.hold_time_ms, record.hold_time_s) == (None, 0, 0)
    assert record.billing_base_ms == record.vendor_billing_base_ms == record.ended_at - record.started_at
    assert (record.fee, record.cost) == (Decimal("0.30"), Decimal("0.15"))
    assert total(record, "agent") == Decimal("0.27")
    assert {posting.account for posting in record.postings} == {"acme", "top", "carriers"}
    assert record.recorded


def test_an_answered_call_pays_the_connection_fee_and_its_record_has_the_conversation_alone():
    scene = scene_of()
    scene.vendor.script = answers(10_000)
    record = end(scene, ring(scene, 0, Intent(hang_up_after_ms=20_000)))
    assert record.hold_time_s == 20
    assert (record.fee, record.cost) == (Decimal("0.35"), Decimal("0.17"))
    assert record.billed_seconds == record.vendor_billed_seconds == 30


def test_each_vendor_is_paid_from_its_own_invite_and_the_customer_pays_from_the_first():
    scene = scene_of(vendors=2, ring_ms=20_000)
    scene.vendors[1].script = answers(5_000)
    record = end(scene, ring(scene, 0, Intent(hang_up_after_ms=10_000)))
    assert record.routing_gateway == "vendor-1"
    assert (record.billed_seconds, record.vendor_billed_seconds) == (35, 15)


def test_an_answer_that_meets_the_cancel_is_paid_once_from_the_invite():
    """The record of the call has the ringing, that of the late answer what the vendor charges above it."""
    scene = scene_of()
    scene.vendor.script = Script((Line(0, 180),), accepts_cancel=False)
    call = ring(scene, 10_000)
    call.cancel()
    scene.wire.run_until(lambda: call.is_over)
    scene.wire.run_for(700)
    scene.vendor.only_call.respond(Line(0, 200, ANSWER))
    scene.wire.run_for(40_000)
    (ringing,), (late,) = scene.exchange.sink.records, scene.exchange.sink.late_answers
    assert (ringing.end_reason, ringing.cost, ringing.vendor_paid_ms) == ("Cancelled", Decimal("0.05"), None)
    assert late.vendor_paid_ms == ringing.vendor_billing_base_ms
    assert late.sip_call_id_out == ringing.sip_call_id_out
    # 12 seconds from the INVITE to the end of the first second behind the answer, and the connection fee
    assert (late.vendor_billing_base_ms // 1_000, late.cost) == (11, Decimal("0.08") - ringing.cost)
    assert total(late, "vendor") == late.cost
    assert [each.amount for each in late.postings] == [-late.cost]
    again = Rerating(content(charges_ringing=False), compares_steps=True)
    for record in (ringing, late):
        again.add(past_of(record))
    assert (again.differences.differ, again.steps_differ) == (0, 0)


@pytest.mark.parametrize(("price", "kept"), [("0.30", 1), ("0", 0)])
def test_a_late_answer_leaves_a_record_where_the_ringing_has_paid_the_whole(price, kept):
    """By 60/60 the minute is paid; the vendor's bill has the answer, which the CDR of the call has not."""
    rates = [*RATES[:2], rate_group("buy", applied_rate(price, 60))]
    scene = scene_of(rates=rates)
    scene.vendor.script = Script((Line(0, 180),), accepts_cancel=False)
    call = ring(scene, 10_000)
    call.cancel()
    scene.wire.run_until(lambda: call.is_over)
    scene.wire.run_for(700)
    scene.vendor.only_call.respond(Line(0, 200, ANSWER))
    scene.wire.run_for(40_000)
    (ringing,), late = scene.exchange.sink.records, scene.exchange.sink.late_answers
    assert (ringing.cost, len(late)) == (Decimal(price), kept)
    for each in late:
        assert (each.cost, each.vendor_billed_seconds, each.postings) == (0, 0, ())
        assert each.vendor_paid_ms == ringing.vendor_billing_base_ms
        assert each.vendor_answered_at > ringing.ended_at
        assert [row.reason for row in each.attempts] == ["Late Answer"]
    again = Rerating(content(charges_ringing=False, rates=rates), compares_steps=True)
    for record in (ringing, *late):
        again.add(past_of(record))
    assert (again.differences.differ, again.steps_differ) == (0, 0)


def test_an_attempt_that_was_given_up_and_answers_late_is_paid_once():
    scene = scene_of(ring_ms=5_000)
    scene.vendor.script = Script((Line(0, 180),), accepts_cancel=False)
    call = ring(scene, 0)
    scene.wire.run_until(lambda: call.is_over)
    scene.wire.run_for(2_000)
    scene.vendor.only_call.respond(Line(0, 200, ANSWER))
    scene.wire.run_for(40_000)
    (ringing,), (late,) = scene.exchange.sink.records, scene.exchange.sink.late_answers
    assert (ringing.end_reason, ringing.cost) == ("No Answer", Decimal("0.025"))
    assert ringing.cost + late.cost == Decimal("0.06")  # eight seconds, and the connection fee


@pytest.mark.parametrize("ends", ["as announced", "after a restart", "by a kill"])
def test_an_attempt_that_answers_late_while_the_end_of_its_call_is_announced_is_paid_once(tmp_path, ends):
    """The call lasts during the announcement, and its record is that of the end before."""
    scene, _ = scene_with({"No Answer": "busy"}, directory=tmp_path, charges_ringing=True)
    call = scene.begun_call(script=Script((Line(0, 180),), accepts_cancel=False))
    scene.wire.run_until(lambda: any(each.status == 183 for each in call.responses))
    scene.wire.run_for(300)
    scene.vendor.only_call.respond(Line(0, 200, ANSWER))
    scene.wire.run_for(300)
    if ends == "after a restart":
        scene.stop_and_keep()
    elif ends == "by a kill":
        scene.kill()
    scene.wire.run_for(60_000)
    late, ringing = scene.exchange.sink.all_records
    assert (ringing.end_reason, ringing.cost) == ("Lost" if ends == "by a kill" else "No Answer", Decimal("0.30"))
    assert (late.vendor_paid_ms // 1_000, late.cost) == (60, Decimal("0.01"))
    if ends != "by a kill":
        assert (call.final, late.vendor_paid_ms) == (480, ringing.vendor_billing_base_ms)


@pytest.mark.parametrize("answers_next", [False, True])
def test_an_answer_whose_session_the_caller_cannot_be_sent_is_paid_once(answers_next):
    """The record of the call pays the attempt only where no other follows."""
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32", media=MediaSettings(codecs=("pcmu",)))]
    known += [vendor_gateway(number) for number in range(1 + answers_next)]
    media = MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON)
    scene = Scene(catalogue(known, media=media, charges_ringing=True), relay=VirtualRelay())
    g729 = ANSWER.replace("RTP/AVP 0 101", "RTP/AVP 18").replace("a=rtpmap:0 PCMU/8000", "a=rtpmap:18 G729/8000")
    scene.vendor.script = Script((Line(0, 180), Line(10_500, 200, g729)))
    scene.vendors[-1].script = answers(2_000) if answers_next else scene.vendor.script
    ring(scene, 20_000, Intent(hang_up_after_ms=20_000))
    (late,) = scene.exchange.sink.late_answers  # while the call goes on by another vendor
    scene.wire.run_for(60_000)
    (record,) = scene.exchange.sink.records
    assert (late.routing_gateway, late.vendor_billing_base_ms // 1_000) == ("vendor-0", 11)
    whole = Decimal("0.06")  # twelve seconds
    assert late.cost + (0 if answers_next else record.cost) == whole
    assert (late.vendor_paid_ms is None, record.routing_gateway == "vendor-1") == (answers_next, answers_next)


def test_a_late_answer_of_an_attempt_that_its_call_does_not_pay_is_paid_whole():
    scene = scene_of(vendors=2, ring_ms=5_000)
    scene.vendor.script = Script((Line(0, 180),), accepts_cancel=False)
    scene.vendors[1].script = answers(6_000)
    call = ring(scene, 7_000, Intent(hang_up_after_ms=10_000))
    scene.vendor.only_call.respond(Line(0, 200, ANSWER))
    scene.wire.run_until(lambda: call.is_over)
    scene.wire.run_for(40_000)
    (talk,), (late,) = scene.exchange.sink.records, scene.exchange.sink.late_answers
    assert (late.routing_gateway, talk.routing_gateway) == ("vendor-0", "vendor-1")
    assert (late.vendor_paid_ms, late.cost) == (None, Decimal("0.06"))
    assert (talk.vendor_billed_seconds, talk.cost) == (16, Decimal("0.10"))


RATES_OF_VENDORS = [
    applied_rate("0.30", 60, connection_fee="0.02", tax_rate="19"),
    applied_rate("0.0137", 6, minimum_charge="0.07", tax_rate="7.7"),
    applied_rate("0.90", 7, first_rate="0.21", first_duration=30),
    applied_rate("0.05", 30, per_cycle=True),
]


@pytest.mark.parametrize("rate", RATES_OF_VENDORS)
@pytest.mark.parametrize(("whole_ms", "paid_ms"), [(11_700, 10_000), (61_000, 59_999), (8_000, 0), (9_000, 12_000)])
def test_the_rest_of_an_attempt_and_what_was_paid_of_it_are_the_price_of_the_whole(rate, whole_ms, paid_ms):
    whole, paid = rate_call(rate, whole_ms), rate_call(for_unanswered(rate), paid_ms)
    rest, text = itemise_rest(rate, whole_ms, paid_ms)
    assert (rest.fee + paid.fee, rest.tax + paid.tax) == (whole.fee, whole.tax)
    assert rest.billed_seconds + paid.billed_seconds == whole.billed_seconds
    steps = msgspec.json.decode(text)
    assert recompute(steps) == whole
    assert (steps[-1]["amount"], steps[-1]["ms"]) == (format_amount(paid.fee), paid_ms)


@pytest.mark.parametrize("advance_s", [5, 10, 60])
def test_a_call_rings_no_longer_than_its_money_lasts(advance_s):
    scene = scene_of(balance="0.25", advance_s=min(advance_s, 20))
    call = ring(scene, 0)
    record = end(scene, call)
    assert call.final == 402
    assert (record.end_reason, record.hangup_source, record.sip_code) == ("Balance Exhausted", "switch", 402)
    # What is held is for an answered call, with its connection fee of 0.05; unanswered it costs less.
    assert (record.billing_base_ms, record.fee) == (20_000, Decimal("0.20"))
    assert scene.vendor.calls[-1].final == 487


def test_a_cancel_that_waited_until_the_money_had_run_out_ends_the_call_when_it_came():
    scene = scene_of(balance="0.30")
    ring(scene, 5_000)
    (live,) = scene.exchange.switch.calls()
    now = scene.exchange.clock.now()
    live.call.caller_cancelled(Instant(now.mono + 35_000, now.wall + 35_000, 35_000))
    assert (scene.record.ended_at, scene.record.end_reason) == (now.wall, "Cancelled")


def test_a_vendor_in_advance_is_held_for_from_its_own_invite():
    scene = scene_of(vendors=2, ring_ms=15_000, vendor_limit=Decimal("0.12"))
    call = ring(scene, 0)
    record = end(scene, call)
    # Its money is for 20 seconds, with the connection fee: the second gateway rings for as long after the first one.
    assert (record.end_reason, record.routing_gateway) == ("Balance Exhausted", "vendor-1")
    assert record.vendor_billing_base_ms in range(19_000, 20_001)
    assert record.billing_base_ms in range(34_000, 35_001)
    assert record.cost == Decimal("0.10")


def test_a_payment_while_it_rings_lets_it_go_on_and_the_limits_of_the_gateway_hold():
    scene = scene_of(balance="0.25", ring_ms=40_000)
    call = ring(scene, 15_000)
    scene.exchange.credits["acme"].committed(Decimal(50), 99)
    record = end(scene, call)
    assert (record.end_reason, call.final) == ("No Answer", 480)
    assert record.billed_seconds == 40


def test_a_call_that_is_refused_before_any_invite_costs_nothing():
    scene = scene_of(balance="0.01")
    call = ring(scene, 100)
    record = end(scene, call)
    assert (call.final, record.billing_base_ms, record.postings) == (402, None, ())


def test_a_vendor_that_refuses_at_once_leaves_no_second_to_pay():
    scene = scene_of()
    scene.vendor.script = refuses(486)
    record = end(scene, ring(scene, 0))
    assert (record.billed_seconds, record.postings, record.sip_code) == (0, (), 486)
    assert record.billing_base_ms is not None


def test_a_call_that_cannot_be_written_down_does_not_ring():
    scene = scene_of()
    scene.exchange.sink.takes_answers = False
    call = ring(scene, 0)
    record = end(scene, call)
    assert (call.final, record.end_reason, record.postings) == (503, "Overload", ())


def test_a_change_of_the_parameter_does_not_concern_calls_that_ring():
    scene = scene_of()
    call = ring(scene, 10_000)
    scene.exchange.switch.terms.swap(content(charges_ringing=False))
    scene.wire.run_for(10_000)
    call.cancel()
    assert end(scene, call).billed_seconds == 20


@pytest.mark.parametrize("answered", [False, True])
def test_stored_calls_come_to_the_same_whatever_the_parameter_says_now(answered):
    scene = scene_of()
    if answered:
        scene.vendor.script = answers(7_300)
    record = end(scene, ring(scene, 0, Intent(cancel_after_ms=None if answered else 9_700, hang_up_after_ms=5_100)))
    steps = msgspec.json.decode(record.fee_breakdown)
    assert recompute(steps["customer"]).total == record.fee + record.tax
    assert recompute(steps["vendor"]).total == record.cost + record.cost_tax
    again = Rerating(content(charges_ringing=False), compares_steps=True)
    again.add(past_of(record))
    assert (again.differences.differ, again.steps_differ) == (0, 0)


def test_a_call_that_rings_when_the_switch_is_killed_is_charged_until_then_and_both_sides_are_told(tmp_path):
    scene = scene_of()
    call = ring(scene, 10_000)
    (ringing,) = scene.exchange.sink.open.values()
    record = lost(ringing, ringing.charged_mono[0] + 12_000)
    assert (record.end_reason, record.fee, record.cost) == ("Lost", Decimal("0.12"), Decimal("0.06"))
    assert (record.answered_at, record.hold_time_ms, record.sip_code) == (None, 0, None)
    at_once = lost(ringing, ringing.charged_mono[0])
    assert (at_once.billing_base_ms, at_once.billed_seconds, at_once.fee) == (0, 0, 0)
    call.cancel()
    end(scene, call)

    journal = Journal(tmp_path / "journal")
    journal.open()
    assert journal.answered(ringing)
    journal.mark(Instant(ringing.charged_mono[0] + 12_000, 0))
    journal.flush()
    remains = Journal(tmp_path / "journal").open()
    (found,) = remains.open_calls.values()
    assert lost(found, remains.last_mono) == record


def test_the_invite_of_a_charged_call_is_kept_for_its_cancel_until_a_vendor_answers(tmp_path):
    scene = scene_of()
    scene.vendor.script = answers(20_000)
    call = ring(scene, 10_000, Intent(hang_up_after_ms=20_000))
    (ringing,) = scene.exchange.sink.open.values()
    scene.wire.run_for(12_000)
    (talking,) = scene.exchange.sink.open.values()
    for number, (charged, kept) in enumerate([(ringing, 1), (talking, 0)]):
        journal = Journal(tmp_path / str(number))
        journal.open()
        journal.placed(PlacedCall(charged.record.call_id, INVITE))
        assert journal.answered(charged)
        journal.flush()
        assert len(Journal(tmp_path / str(number)).open().placed) == kept
    end(scene, call)


class OfEarlierVersion(msgspec.Struct, tag="answered"):
    """An answered call as a version without the parameter reads it: what it does not know it ignores."""

    record: msgspec.Raw
    answered_mono: int
    vendor_answered_mono: int | None = None


def test_an_earlier_version_reads_a_ringing_call_and_a_later_one_an_earlier_call():
    scene = scene_of()
    call = ring(scene, 10_000)
    (ringing,) = scene.exchange.sink.open.values()
    call.cancel()
    end(scene, call)
    written = msgspec.msgpack.encode(ringing)
    earlier = msgspec.msgpack.decode(written, type=OfEarlierVersion)
    assert (earlier.answered_mono, earlier.vendor_answered_mono) == (ringing.answered_mono, None)
    without = {name: value for name, value in msgspec.msgpack.decode(written).items() if name != "charged_mono"}
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(without), type=OpenCall).charged_mono is None
