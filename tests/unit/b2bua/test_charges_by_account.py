"""Customer and vendor of one call are charged by what their accounts say: rounding, billing unit, tax, free time."""

import json
from decimal import Decimal

import pytest
from doubles.data.builders import account, catalogue, mapping_gateway, rating_policy
from doubles.recomputed import recompute
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway

from vosd.base.margin import LossGuard
from vosd.base.money import Rounding
from vosd.billing.account_rates import FreeTimeScope
from vosd.billing.accounts import AccountType
from vosd.billing.rate_group import RateGroup
from vosd.billing.rate_rows import RateRows
from vosd.billing.rates import Rate
from vosd.cdr.record import CallRecord

RATE = Rate("44", Decimal("0.60"), 1, tax_rate=Decimal(10), has_cycle_of_group=True)
VENDOR = vendor_gateway(0)


def call_of(talk_ms: int, scope: FreeTimeScope, customer: dict[str, object], vendor: dict[str, object]) -> CallRecord:
    """Make a call at 0.60 a minute on both sides, 6 s of it free, sold below cost or not; return its record."""
    groups = [
        RateGroup(name, "USD", rating_policy(free_time_s=6), RateRows([RATE], f"{name}-1"), f"{name}-1")
        for name in ("sell", "buy")
    ]
    clearing = {"type": AccountType.CLEARING, "rate_group": "buy", "overdraft_limit": None}
    accounts = [account("acme", **customer), account(VENDOR.account, **clearing, **vendor)]
    gateways = [mapping_gateway("acme", f"{CUSTOMER.host}/32", loss_guard=LossGuard(None)), VENDOR]
    scene = Scene(catalogue(gateways, accounts=accounts, rate_groups=groups, free_time_scope=scope))
    scene.whole_call(Intent(hang_up_after_ms=talk_ms))
    return scene.close()


def test_each_side_is_charged_by_its_own_account_and_its_steps_say_so():
    record = call_of(
        66_300,
        FreeTimeScope.ALL,
        {"billing_unit": 60, "fee_precision": 1, "fee_rounding": Rounding.UP, "tax_exempt": True},
        {"hold_time_precision_ms": 500},
    )
    # 66.3 s are 67 s for the customer, 61 of them billed in minutes; for the vendor 66 s, of which 60 are billed.
    assert (record.billed_seconds, record.fee, record.tax) == (120, Decimal("1.2"), 0)
    assert (record.vendor_billed_seconds, record.cost, record.cost_tax) == (60, Decimal("0.6"), Decimal("0.06"))
    steps = json.loads(record.fee_breakdown)
    customer, vendor = recompute(steps["customer"]), recompute(steps["vendor"])
    assert (customer.total, vendor.total) == (record.fee, record.cost + record.cost_tax)
    assert {each.account: each.amount for each in record.postings} == {
        "acme": -customer.total, VENDOR.account: -vendor.total,
    }  # fmt: skip


def test_free_time_may_be_that_of_the_customer_alone():
    record = call_of(66_000, FreeTimeScope.CUSTOMER, {}, {})
    assert (record.billed_seconds, record.vendor_billed_seconds) == (60, 66)
    assert (record.fee, record.cost) == (Decimal("0.60"), Decimal("0.66"))


def test_a_call_within_the_free_time_of_the_customer_still_costs_its_vendor():
    record = call_of(5_000, FreeTimeScope.CUSTOMER, {}, {})
    assert (record.fee, record.cost) == (0, Decimal("0.05"))
    assert [each.account for each in record.postings] == [VENDOR.account]


@pytest.mark.parametrize("prefix", ["4420", "44", "*"])
def test_a_vendor_is_not_sent_a_locked_prefix_even_if_it_needs_no_rates(prefix):
    deck = RateRows([Rate(prefix, Decimal(0), 1, locked=True)], "buy-1")
    gateways = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32"),
        vendor_gateway(0, allow_unrated=True),
        vendor_gateway(1, allow_unrated=True, account="unpriced"),
    ]
    unpriced = account("unpriced", type=AccountType.CLEARING, rate_group=None, overdraft_limit=None)
    groups = [RateGroup("buy", "USD", rating_policy(), deck, "buy-1")]
    scene = Scene(catalogue(gateways, accounts=[unpriced], rate_groups=groups))
    scene.whole_call(Intent(hang_up_after_ms=2_000))
    record = scene.close()
    assert [attempt.gateway for attempt in record.attempts] == ["vendor-1"]
    assert (record.cost, record.fee) == (0, Decimal("0.02"))
