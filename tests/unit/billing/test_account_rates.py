"""Accounts that are charged otherwise than their rate groups say: rounding, billing unit, tax, free time."""

import json
from decimal import Decimal

import msgspec
import pytest
from doubles.data import builders
from doubles.data.builders import applied_rate, rating_policy
from doubles.recomputed import recompute

from vosd.base.money import Rounding
from vosd.billing.account_rates import AccountRounding, FreeTimeScope, for_account, rounded_for
from vosd.billing.accounts import AccountType
from vosd.billing.rate_group import RateGroup
from vosd.billing.rate_rows import RateRows
from vosd.billing.rater import breakdown, rate_call
from vosd.billing.rates import AppliedRate, Rate
from vosd.catalogue.catalogue import Catalogue

TAXED = applied_rate("0.05", 7, tax_rate="19", policy=rating_policy(fee_precision=4, free_time_s=3))


def group_of(*rates: Rate, name: str = "sell", **policy: object) -> RateGroup:
    return RateGroup(name, "USD", rating_policy(**policy), RateRows(rates, f"{name}-1"), f"{name}-1")


def test_an_account_that_says_nothing_is_charged_by_the_rates_of_the_group_themselves():
    group = group_of(TAXED.rate)
    assert for_account(group, group.policy, AccountRounding()) is group
    alike = AccountRounding(hold_time_precision_ms=50, fee_precision=6, without_free_time=True)
    assert for_account(group, group.policy, alike) is group, "what it says is what the group says"
    assert for_account(group, group.policy, AccountRounding(billing_unit=30)) is not group


def test_what_an_account_says_wins_over_the_group_and_the_rest_stays():
    rounding = AccountRounding(500, 2, Decimal("0.05"), Rounding.UP)
    policy = rounding.over(TAXED.policy)
    assert policy == msgspec.structs.replace(
        TAXED.policy, hold_time_precision_ms=500, fee_precision=2, fee_unit=Decimal("0.05"), rounding=Rounding.UP
    )
    assert AccountRounding(fee_precision=3).over(policy).fee_unit == Decimal("0.001"), "decimals set the unit"
    assert AccountRounding(fee_rounding=Rounding.DOWN).over(policy).fee_unit == Decimal("0.05")
    exempt = msgspec.structs.replace(policy, tax_exempt=True)
    assert AccountRounding(fee_precision=3).over(exempt).tax_exempt


def test_customer_and_vendor_may_round_seconds_and_money_differently():
    vendor = rounded_for(TAXED, AccountRounding(hold_time_precision_ms=999, fee_precision=2, fee_rounding=Rounding.UP))
    assert (rate_call(TAXED, 60_998).hold_time_s, rate_call(vendor, 60_998).hold_time_s) == (61, 60)
    assert (rate_call(TAXED, 60_998).fee, rate_call(vendor, 60_998).fee) == (Decimal("0.0525"), Decimal("0.06"))


@pytest.mark.parametrize(
    ("rate", "cycle"),
    [
        (Rate("44", Decimal(1), 1, has_cycle_of_group=True), 30),
        (Rate("44", Decimal(1), 6), 6),
        (Rate("44", Decimal(1), 1, per_cycle=True, has_cycle_of_group=True), 1),
    ],
)
def test_its_billing_unit_replaces_that_of_the_group_not_the_cycle_of_a_rate(rate, cycle):
    applied = AppliedRate("sell", "v1", "USD", rate, rating_policy())
    assert rounded_for(applied, AccountRounding(billing_unit=30)).rate.billing_cycle == cycle


def test_an_account_without_billing_unit_has_that_of_the_group():
    rate = Rate("44", Decimal(1), 6, has_cycle_of_group=True)
    applied = AppliedRate("sell", "v1", "USD", rate, rating_policy())
    assert rounded_for(applied, AccountRounding(fee_precision=2)).rate is rate


def test_an_exempt_account_pays_no_tax_and_its_breakdown_says_why():
    exempt = rounded_for(TAXED, AccountRounding(tax_exempt=True))
    charge = rate_call(exempt, 65_000)
    assert (charge.fee, charge.tax) == (rate_call(TAXED, 65_000).fee, 0)
    steps = json.loads(json.dumps(breakdown(exempt, 1_000 * charge.hold_time_s)))
    assert (steps[0]["tax_rate"], steps[0]["tax_exempt"], steps[-1]["amount"]) == ("19", True, "0.00")
    assert recompute(steps) == charge


def test_calls_at_one_rate_share_it_and_a_number_without_rate_has_none():
    group = group_of(TAXED.rate)
    own = for_account(group, group.policy, AccountRounding(fee_precision=2))
    assert own.find("44201", 0) is own.find("44202", 0)
    assert own.find("+44201", 0).policy.fee_precision == 2
    assert own.find("33", 0) is None
    assert (own.name, own.tables_at(0)) == (group.name, group.tables_at(0))


def catalogue_of(scope: FreeTimeScope = FreeTimeScope.ALL, **terms: object) -> Catalogue:
    sell = group_of(Rate("44", Decimal("0.60"), 1, tax_rate=Decimal(10)), free_time_s=6)
    buy = group_of(Rate("44", Decimal("0.30"), 1), name="buy", free_time_s=6)
    return builders.catalogue(
        [builders.mapping_gateway("acme", "127.0.0.1/32"), builders.routing_gateway("carrier", "44")],
        accounts=[
            builders.account("acme", **terms),
            builders.account("carrier", type=AccountType.CLEARING, rate_group="buy", overdraft_limit=None),
        ],
        rate_groups=[sell, buy],
        free_time_scope=scope,
    )


def test_a_catalogue_has_rates_apart_only_for_accounts_that_differ():
    plain = catalogue_of()
    assert (plain.customer_rates, plain.vendor_rates, plain.account_rates) == ({}, {}, {})
    differs = catalogue_of(tax_exempt=True, fee_precision=2)
    assert [*differs.customer_rates, *differs.vendor_rates, *differs.account_rates] == ["acme", "acme"]
    found = differs.customer_rates["acme"].find("44201", 0)
    assert (found.policy.tax_exempt, found.policy.fee_precision) == (True, 2)


def test_free_time_of_customers_alone_leaves_vendors_every_second():
    both = catalogue_of(FreeTimeScope.CUSTOMER)
    assert both.customer_rates == {}
    assert both.vendor_rates["carrier"].find("44201", 0).policy.free_time_s == 0
    assert both.rate_groups["sell"].find("44201", 0).policy.free_time_s == 6


def test_a_vendor_with_a_private_group_is_charged_by_its_own_rounding_in_both():
    night = group_of(Rate("44", Decimal("0.10"), 1), name="night")
    buy = group_of(Rate("44", Decimal("0.30"), 1), name="buy")
    both = builders.catalogue(
        [builders.mapping_gateway("acme", "127.0.0.1/32"),
         builders.routing_gateway("carrier", "44", private_rate_group="night")],
        accounts=[builders.account("carrier", type=AccountType.CLEARING, rate_group="buy", overdraft_limit=None,
                                   hold_time_precision_ms=0)],
        rate_groups=[buy, night],
    )  # fmt: skip
    found = both.vendor_rates["carrier"].find("44201", 0)
    assert found.group == "night"
    assert {each.policy.hold_time_precision_ms for each in (found, *found.candidates)} == {0}
