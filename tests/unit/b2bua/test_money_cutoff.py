"""A call ends at the millisecond up to which it is paid, whenever the timer runs.

One cent a second; the account reserves a minute at a time.
"""

from decimal import Decimal

import pytest
from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, rate_group, rating_policy
from doubles.successor import replace_node
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, usual_catalogue, vendor_gateway
from doubles.virtual.vendor import answers

from vosd.base.cause import EndReason
from vosd.base.margin import LossGuard
from vosd.callcontrol.verdicts import verdicts_in
from vosd.sip.settings import SipSettings, Timers

LATENESS = [0, 9, 49, 50, 700, 3_000]
STRICT = rating_policy(hold_time_precision_ms=0)
"""Every begun second is charged: one millisecond too long costs a cent."""


def strict_scene(balance, *, lateness_ms=0, sip=None, **terms):
    sell = rate_group("sell", applied_rate("0.60", policy=STRICT))
    gateways = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    content = catalogue(gateways, accounts=[account("acme", **terms)], rate_groups=[sell])
    return Scene(content, balance=balance, lateness_ms=lateness_ms, sip=sip)


@pytest.mark.parametrize("lateness_ms", LATENESS)
def test_a_call_that_used_its_balance_up_ends_at_the_paid_millisecond(lateness_ms):
    scene = strict_scene("1.50", lateness_ms=lateness_ms)
    scene.whole_call()
    scene.wire.run_for(10)
    record = scene.close()
    assert (record.end_reason, record.hangup_source) == ("Balance Exhausted", "switch")
    assert (record.hold_time_ms, record.fee) == (150_000, Decimal("1.50"))
    assert record.ended_at == record.answered_at + 150_000
    noted = verdicts_in(record.verdicts)
    assert noted is not None
    assert noted.refusal == "account acme has 0.00 USD available, 1 s to prefix 44 hold 0.01"
    assert noted.chosen is not None
    assert scene.vendor.only_call.is_over
    for address in (CUSTOMER, VENDORS[0]):
        assert b'Reason: Q.850;cause=31;text="Balance Exhausted"' in scene.bytes_to(address)


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_call_that_used_its_balance_up_keeps_which_gateways_were_too_dear(is_restarted):
    """A restart keeps that in the record alone, where the refusal of more money must not take its place."""
    prices = {"sell": "0.60", "dear": "0.90", "cheap": "0.30"}
    groups = [rate_group(name, applied_rate(price, policy=STRICT)) for name, price in prices.items()]
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32", loss_guard=LossGuard())
    vendors = [vendor_gateway(0, account="dear"), vendor_gateway(1, account="cheap")]
    carriers = [account(name, rate_group=name, overdraft_limit=None) for name in ("dear", "cheap")]
    content = catalogue([trunk, *vendors], accounts=[account("acme"), *carriers], rate_groups=groups)
    scene = Scene(content, balance="1.50")
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: scene.exchange.sink.open)
    scene.wire.run_for(1_000)
    if is_restarted:
        replace_node(scene)
    scene.wire.run_until(lambda: call.is_over)
    scene.wire.run_for(10)
    record = scene.close()
    noted = verdicts_in(record.verdicts)
    assert noted is not None
    assert (record.end_reason, noted.refusal[:12]) == ("Balance Exhausted", "account acme")
    assert [each.routing_gateway for each in noted.left] == [vendors[0].name]


def test_the_overdraft_limit_is_spent_to_the_last_cent():
    scene = strict_scene("1.00", overdraft_limit=Decimal("0.37"))
    scene.whole_call()
    assert scene.close().fee == Decimal("1.37")


@pytest.mark.parametrize("side", ["caller", "callee"])
@pytest.mark.parametrize("late_ms", [0, 1, 999, 2_500])
def test_a_bye_after_the_deadline_but_before_the_timer_is_not_billed_beyond_it(side, late_ms):
    scene = strict_scene("1.50", lateness_ms=3_000)
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: scene.exchange.sink.open)
    party = call if side == "caller" else scene.vendor.only_call
    scene.wire.after(150_000 - 1 + late_ms, party.hang_up)
    record = scene.end_of(call)
    assert (record.hold_time_ms, record.end_reason) == (150_000, "Balance Exhausted")
    assert party.got["BYE"] == [200]


@pytest.mark.parametrize("early_ms", [1, 10, 500])
def test_a_bye_before_the_deadline_ends_a_call_as_the_party_wanted(early_ms):
    scene = strict_scene("1.50", lateness_ms=3_000)
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: scene.exchange.sink.open)
    scene.wire.after(150_000 - 1 - early_ms, call.hang_up)
    record = scene.end_of(call)
    assert (record.hold_time_ms, record.end_reason) == (150_000 - early_ms, "Normal")


@pytest.mark.parametrize("paid_s", [31, 32, 33])
@pytest.mark.parametrize("lateness_ms", LATENESS)
def test_a_call_whose_ack_is_missing_is_not_billed_beyond_what_is_paid(lateness_ms, paid_s):
    """64·T1 are 32 s: the money may end just before, just then or just after."""
    scene = strict_scene(Decimal(paid_s) / 100, lateness_ms=lateness_ms, advance_s=paid_s)
    scene.whole_call(Intent(acknowledges=False))
    scene.wire.run_for(10)
    record = scene.close()
    assert record.hold_time_ms == min(paid_s, 32) * 1_000
    assert record.end_reason == ("No ACK" if paid_s == 33 else "Balance Exhausted")


def test_an_order_after_the_deadline_but_before_the_timer_does_not_bill_beyond_it():
    scene = strict_scene("0.60", lateness_ms=3_000)
    scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: scene.exchange.sink.open)
    scene.wire.run_for(61_000)
    scene.exchange.end_all(EndReason.ADMINISTRATIVE)
    scene.wire.run_for(10)
    record = scene.close()
    assert (record.hold_time_ms, record.end_reason) == (60_000, "Balance Exhausted")


def test_money_that_comes_in_while_a_call_runs_prolongs_it():
    scene = strict_scene("0.60")
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: scene.exchange.sink.open)
    scene.wire.run_for(30_000)
    scene.exchange.credits["acme"].committed(Decimal("1.00"), 2)
    assert scene.end_of(call).fee == Decimal("1.00")


def test_two_calls_share_a_balance_and_neither_goes_below_it():
    scene = strict_scene("2.00")
    calls = [scene.caller.call(CALLEE) for _ in range(3)]
    scene.wire.run_until(lambda: all(call.is_over for call in calls))
    scene.expect_nothing_left(within_ms=10)
    assert sum(record.fee for record in scene.exchange.sink.records) == Decimal("2.00")
    assert scene.exchange.credits["acme"].unbooked == Decimal("-2.00")
    assert scene.exchange.residue() == {}


def test_a_call_that_costs_less_than_its_hold_frees_the_rest_at_once():
    scene = strict_scene("0.60")
    scene.whole_call(Intent(hang_up_after_ms=4_500))
    assert scene.close().fee == Decimal("0.05")
    assert scene.exchange.credits["acme"].available == Decimal("0.55")


def test_while_it_rings_a_call_holds_its_first_minute():
    scene = strict_scene("0.60")
    first, second = scene.caller.call(CALLEE), scene.caller.call(CALLEE)
    scene.wire.run_for(100)
    assert (first.final, second.final) == (None, 402)
    assert scene.exchange.credits["acme"].reserved == Decimal("0.60")
    first.cancel()
    scene.expect_nothing_left(within_ms=100)
    assert scene.caller.call(CALLEE, Intent(hang_up_after_ms=1)).final is None
    scene.expect_nothing_left(within_ms=2_000)


def test_a_short_t1_does_not_shorten_the_money():
    scene = strict_scene("0.60", sip=SipSettings(timers=Timers(50, 400, 500)))
    scene.whole_call(script=answers(hang_up_after_ms=12_000))
    assert scene.close().fee == Decimal("0.12")


def test_vendors_are_paid_by_their_own_rate_and_customers_by_theirs():
    scene = Scene(usual_catalogue())
    scene.whole_call(Intent(hang_up_after_ms=10_000))
    record = scene.close()
    assert [(posting.account, posting.amount) for posting in record.postings] == [
        ("acme", Decimal("-0.10")),
        ("carriers", Decimal("-0.05")),
    ]
    assert len({posting.reference for posting in record.postings}) == 2
