"""Routing plans in the file, and the keys of gateways and accounts that routing uses."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from vosd.base.margin import LossGuard
from vosd.routing.plan import NO_PLAN, Criterion, RouteRow
from vosd.routing.quality_order import Blend, QualityTerms
from vosd.trunks.gateways import PrefixMode
from vosd.trunks.scope import LimitScope, SharedLimit

PLANS = """
calendars: [{name: office, entries: [{weekdays: mon}]}]
routing_plans:
  - name: premium
    order: [cost, priority, weight]
    loss_guard: {min_margin: "0.001", max_price_per_second: "0.02"}
    gateways: carrier
    routes_file: routes/premium.csv
    max_attempts: 3
    search_seconds: 12.5
    quality: {asr_band: 7, acd_band_s: 20, min_attempts: 9}
    blend: {asr: 3, cost: 1}
    calendar_strict: yes
  - name: plain
"""
ROUTES = (
    "prefix;gateway;priority;weight;percent;max_calls;calendar;valid_to\n44;carrier;2;;40;7;office;\n*;carrier;;;;;;\n"
)


def test_a_plan_has_what_the_file_says(site):
    site.write("routes/premium.csv", ROUTES)
    plan = site.load(site.minimal + PLANS).catalogue.plans["premium"].plan
    assert plan.order == (Criterion.COST, Criterion.PRIORITY, Criterion.WEIGHT)
    assert plan.loss_guard == LossGuard(Decimal("0.001"), Decimal("0.02"))
    assert plan.gateways == {"carrier"}
    assert plan.routes == (
        RouteRow("44", "carrier", priority=2, percent=40, max_calls=7, calendar="office"),
        RouteRow("*", "carrier"),
    )
    assert (plan.max_attempts, plan.search_ms) == (3, 12_500)
    assert (plan.quality, plan.blend) == (QualityTerms(7, 20, 9), Blend(asr=3, cost=1))
    assert plan.calendar_strict


def test_a_plan_that_says_nothing_is_the_way_without_a_plan(site):
    site.write("routes/premium.csv", ROUTES)
    plain = site.load(site.minimal + PLANS).catalogue.plans["plain"].plan
    assert (plain.order, plain.loss_guard, plain.gateways, plain.routes) == (NO_PLAN.order, LossGuard(), None, None)


@pytest.mark.parametrize(
    ("plan", "error"),
    [
        ("{name: a, order: [weight, cost]}", "routing_plans[a].order: expected weight as the last criterion"),
        ("{name: a, order: [cost, cost]}", "routing_plans[a].order: expected at least one criterion, each once"),
        ("{name: a, order: [dear]}", "routing_plans[a].order[0]: value 'dear': expected one of calendar, prefix"),
        ("{name: a, gateways: [carrier, unknown]}", "the name of a routing gateway"),
        ("{name: a, loss_guard: on}", "routing_plans[a].loss_guard: value 'on': expected off, or keys such as"),
        ("{name: a, loss_guard: {margin: 1}}", "expected one of min_margin, max_price_per_second"),
        ("{name: a, loss_guard: {min_margin: x}}", "expected an amount with at most 8 decimals"),
        ("{name: a, quality: {asr_band: 0}}", "routing_plans[a].quality.asr_band: value '0': expected a whole number"),
        ("{name: a, order: [blend]}", "routing_plans[a].blend: expected at least one of asr, acd, pdd and cost"),
        ("{name: a, routes_file: none.csv}", "routing_plans[a].routes_file: value"),
    ],
)
def test_a_mistake_in_a_plan_is_named(site, plan, error):
    assert any(error in each for each in site.errors(f"{site.minimal}routing_plans: [{plan}]"))


@pytest.mark.parametrize(
    ("routes", "error"),
    [
        ("prefix,carrier\n44,a\n", "r.csv:1: routing_plans[a].routes_file: value 'carrier': expected a known column"),
        ("prefix\n44\n", "r.csv:1: routing_plans[a].routes_file: expected a header line with a column gateway"),
        ("prefix,prefix,gateway\n44,44,carrier\n", "expected each column once"),
        ("prefix,gateway\n44\n", "r.csv:2: routing_plans[a].routes_file: expected 2 columns as in the header, not 1"),
        ("prefix,gateway\n+44,carrier\n", "r.csv:2: routing_plans[a].routes_file.prefix: value '+44': expected digits"),
        (
            "prefix,gateway,valid_from,valid_to\n44,carrier,2026-12-01,2026-11-30\n",
            "r.csv:2: routing_plans[a].routes_file.valid_to: value '2026-11-30': expected an end after valid_from",
        ),
        ("prefix,gateway\n44,other\n", "r.csv:2: routing_plans[a].routes_file[0].gateway: value 'other': expected the"),
        (
            "prefix,gateway,percent\n44,carrier,60\n44,carrier,50\n",
            "r.csv:3: routing_plans[a].routes_file.percent: value '50': expected at most 100 in all",
        ),
        (
            "prefix,gateway,percent,valid_from,valid_to\n44,carrier,70,,2026-05-31\n44,second,20,,\n44,third,20,2026-05-31,\n",
            "r.csv:4: routing_plans[a].routes_file.percent: value '20': expected at most 100 in all",
        ),
        ("prefix,gateway,percent\n44,carrier,101\n", "expected a whole number from 0 to 100"),
        ("prefix,gateway,valid_to\n44,carrier,tomorrow\n", "expected a day such as 2026-12-31"),
        ('prefix,gateway\n"44,carrier\n', "expected valid CSV"),
        (
            "prefix,gateway,calendar\n44,carrier,no\n",
            "routes_file[0].calendar: value 'no': expected the name of a calendar",
        ),
    ],
)
def test_a_mistake_in_a_file_of_routes_is_named_with_its_line(site, routes, error):
    site.write("r.csv", routes)
    found = site.errors(f"{site.minimal}routing_plans: [{{name: a, routes_file: r.csv}}]")
    assert any(error in each for each in found), found


def test_percentages_of_lines_that_are_never_in_force_together_are_not_added_up(site):
    """The third line overlaps each of the others, which do not overlap."""
    site.write(
        "r.csv",
        "prefix,gateway,percent,valid_from,valid_to\n44,carrier,70,,2026-05-31\n44,carrier,60,2026-06-01,\n44,carrier,30,,\n",
    )
    plan = site.load(f"{site.minimal}routing_plans: [{{name: a, routes_file: r.csv}}]").catalogue.plans["a"].plan
    assert [row.percent for row in plan.routes] == [70, 60, 30]


def test_many_bad_lines_are_counted(site):
    site.write("r.csv", "prefix,gateway\n" + "x,carrier\n" * 150)
    found = site.errors(f"{site.minimal}routing_plans: [{{name: a, routes_file: r.csv}}]")
    assert len(found) == 101
    assert "50 more lines have some" in "".join(found)


def test_a_route_names_gateways_of_its_plan(site):
    site.write("r.csv", "prefix,gateway\n44,second\n")
    text = site.minimal + "  - {name: second, account: carrier, address: 192.0.2.10}\n"
    found = site.errors(f"{text}routing_plans: [{{name: a, gateways: carrier, routes_file: r.csv}}]")
    assert found == [
        "r.csv:2: routing_plans[a].routes_file[0].gateway: value 'second': expected one of the gateways of the plan"
    ]


def test_accounts_and_trunks_name_their_plan(site):
    text = site.minimal.replace("hosts: 192.0.2.1}", "hosts: 192.0.2.1, routing_plan: plain}")
    text = text.replace("{id: acme, ", "{id: acme, routing_plan: other, ")
    catalogue = site.load(f"{text}routing_plans: [{{name: plain}}, {{name: other}}]").catalogue
    assert catalogue.mapping_gateways["acme-pbx"].routing_plan == "plain"
    assert catalogue.accounts["acme"].routing_plan == "other"
    errors = site.errors(text)
    assert sum("expected the name of a routing plan; there is none yet" in each for each in errors) == 2


def test_gateways_that_a_trunk_uses_must_exist(site):
    text = site.minimal.replace("hosts: 192.0.2.1}", "hosts: 192.0.2.1, gateways_allow: carier}")
    assert any(
        "gateways_allow: value 'carier': expected the name of a routing gateway" in each for each in site.errors(text)
    )


def test_below_cost_is_refused_unless_the_preset_or_the_file_allows_it(site):
    def guard(text):
        return site.load(text + site.minimal).catalogue.routes.plan.loss_guard

    assert guard("") == LossGuard(Decimal(0))
    assert guard("preset: vos3000\n") == LossGuard(None)
    assert guard("routing: {loss_guard: off}\n") == LossGuard(None)
    assert guard("preset: vos3000\nrouting: {loss_guard: {min_margin: 0.002}}\n") == LossGuard(Decimal("0.002"))


def test_a_vendor_has_partner_and_limits_of_its_account(site):
    text = site.minimal.replace(
        "overdraft_limit: unlimited}", "overdraft_limit: unlimited, partner: group, max_concurrent: 9}"
    )
    vendor = site.load(text).catalogue.routing_gateways["carrier"]
    assert (vendor.partner, vendor.shared_limits) == ("group", (SharedLimit(LimitScope.VENDOR, "carrier", 9, None),))
    own = text.replace("address: 192.0.2.9}", "address: 192.0.2.9, partner: own, prefix_mode: stop}")
    vendor = site.load(own).catalogue.routing_gateways["carrier"]
    assert (vendor.partner, vendor.prefix_mode) == ("own", PrefixMode.STOP)


def test_validity_is_of_days_or_of_times(site):
    def vendor(keys):
        text = site.minimal.replace("address: 192.0.2.9}", f"address: 192.0.2.9, {keys}}}")
        found = site.load(text).catalogue.routing_gateways["carrier"]
        return found.valid_from, found.valid_to

    def midnight(day):
        return round(datetime(2026, 1, day).astimezone().timestamp() * 1_000)

    assert vendor("valid_from: 2026-01-05, valid_to: 2026-01-05") == (midnight(5), midnight(6))
    noon = round(datetime(2026, 1, 5, 12, tzinfo=UTC).timestamp() * 1_000)
    assert vendor("valid_from: 2026-01-05T12:00:00Z, valid_to: 2026-01-05T14:00:00+01:00") == (noon, noon + 3_600_000)


def test_a_vendor_in_another_currency_is_kept_from_a_customer_by_his_plan(site):
    text = site.minimal + (
        "  - {name: euro, account: euro, address: 192.0.2.10}\nrouting_plans: [{name: dollars, gateways: carrier}]\n"
    )
    text = text.replace("accounts:\n", "accounts:\n  - {id: euro, rate_group: euros, overdraft_limit: unlimited}\n")
    text = text.replace(
        "rate_groups:\n",
        'rate_groups:\n  - {name: euros, currency: EUR, rates: [{prefix: "44", billing_rate: "0.008"}]}\n',
    )
    assert any("is paid in EUR" in each for each in site.errors(text))
    site.load(text.replace("{id: acme, ", "{id: acme, routing_plan: dollars, "))
