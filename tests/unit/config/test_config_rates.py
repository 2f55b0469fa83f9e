"""Rates from YAML and CSV, and the rounding of their group."""

from decimal import Decimal

import pytest
from doubles.data.builders import rates_in
from doubles.machine_zone import machine_zone

from vosd.base.money import Rounding
from vosd.billing.rates import Rate
from vosd.billing.sections import RateSection
from vosd.config.excerpt import Excerpt


def rates_of(site, rows: str, group: str = "") -> tuple[Rate, ...]:
    loaded = site.load(f"rate_groups:\n  - name: g\n    {group}\n    rates:\n{rows}")
    return rates_in(loaded.catalogue.rate_groups["g"])


def test_a_row_keeps_its_price_exactly_as_entered(site):
    (rate,) = rates_of(site, "      - {prefix: 0044, billing_rate: 0.01200000, area: UK, rate_type: International}")

    assert rate.prefix == "0044"
    assert str(rate.billing_rate) == "0.01200000"
    assert (rate.area, rate.rate_type) == ("UK", "international")


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
def test_the_last_day_of_all_ends_what_never_ends(site, zone):
    site.write("last.csv", "prefix,billing_rate,effective_to\n44,0.01,9999-12-31\n")
    row = "{prefix: 44, billing_rate: 1, effective_to: 9999-12-31}"
    with machine_zone(zone):
        loaded = site.load(f"rate_groups: [{{name: g, rates_file: last.csv}}, {{name: h, rates: [{row}]}}]")
    last = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z
    for group in loaded.catalogue.rate_groups.values():
        assert [group.find("4420", wall) is not None for wall in (0, last - 1, last)] == [True, True, False]


def test_a_day_without_midnight_begins_with_its_first_hour(site):
    rows = "prefix,billing_rate,effective_from,effective_to\n44,1,,2024-03-09\n44,2,2024-03-10,\n"
    site.write("days.csv", rows)
    with machine_zone("America/Havana"):
        loaded = site.load("rate_groups: [{name: g, rates_file: days.csv}]")
    group, begin = loaded.catalogue.rate_groups["g"], 1_710_046_800_000  # 2024-03-10T01:00:00-04:00
    assert [group.find("44", wall).rate.billing_rate for wall in (begin - 1, begin)] == [1, 2]


@pytest.mark.parametrize("begin", ["", ", effective_to: '2099-01-01'"])
def test_a_row_without_area_has_that_of_its_area_prefix(site, begin):
    rates = rates_of(
        site,
        f"      - {{prefix: '4420', billing_rate: '0.01', area_prefix: '44'{begin}}}\n"
        "      - {prefix: '44', billing_rate: '0.01', area: UK}\n"
        "      - {prefix: '4477', billing_rate: '0.01', area: Mobile, area_prefix: '44'}\n"
        "      - {prefix: '49', billing_rate: '0.01', area_prefix: '7'}",
    )

    assert {rate.prefix: rate.area for rate in rates} == {"4420": "UK", "44": "UK", "4477": "Mobile", "49": "7"}


@pytest.mark.parametrize(
    ("row", "group", "cycle"),
    [("billing_cycle: 6", "billing_unit: 30", 6), ("memo: x", "billing_unit: 30", 30), ("memo: x", "", 1)],
)
def test_a_rates_own_cycle_wins_over_its_groups_unit_over_the_parameter(site, row, group, cycle):
    (rate,) = rates_of(site, f"      - {{prefix: '44', billing_rate: '0.01', {row}}}", group)

    assert rate.billing_cycle == cycle


def test_an_interval_is_a_first_period_at_the_minutes_price(site):
    (rate,) = rates_of(site, "      - {prefix: '44', billing_rate: '0.01', interval: 30/6}")

    assert (rate.first_duration, rate.first_rate, rate.billing_cycle) == (30, None, 6)


def test_a_first_rate_is_the_price_of_the_whole_first_period(site):
    (rate,) = rates_of(
        site,
        "      - {prefix: '*', billing_rate: '0.15', billing_cycle: 60, first_rate: '0.21', first_duration: 180, "
        "tax_rate: '10.5'}",
    )

    assert (rate.first_duration, rate.first_rate, rate.tax_rate) == (180, Decimal("0.21"), Decimal("10.5"))


def test_a_first_duration_of_zero_is_no_first_period(site):
    (rate,) = rates_of(site, "      - {prefix: '44', billing_rate: '0.01', first_rate: '0', first_duration: 0}")

    assert (rate.first_duration, rate.first_rate) == (0, None)


def test_sections_and_what_is_added_to_a_call_are_kept_as_entered(site):
    (rate,) = rates_of(
        site,
        "      - {prefix: '44', billing_rate: '0.05', billing_cycle: 60, sections: '0.10@60; 0.18@120', "
        "connection_fee: 0.010, minimum_charge: 0.02}",
    )

    assert rate.sections == (RateSection(Decimal("0.10"), 60), RateSection(Decimal("0.18"), 120))
    assert (str(rate.connection_fee), rate.minimum_charge) == ("0.010", Decimal("0.02"))


def test_a_locked_rate_bars_its_prefix(site):
    rows = "[{prefix: '44', billing_rate: '1'}, {prefix: '4479', billing_rate: '0', locked: yes}]"
    group = site.load(f"rate_groups: [{{name: g, rates: {rows}}}]").catalogue.rate_groups["g"]

    assert group.find("4420", 0) is not None
    assert group.find("44791", 0) is None
    assert group.table.find("44791", 0).locked


def test_a_first_period_of_no_seconds_is_none(site):
    row = "- {prefix: '44', billing_rate: '0.01', first_rate: '0.21', first_duration: 0}"
    (rate,) = rates_of(site, f"      {row}")

    assert (rate.first_rate, rate.first_duration) == (None, 0)


@pytest.mark.parametrize("end", ["", ", effective_to: '2099-01-01'"])
@pytest.mark.parametrize(("price_per", "is_marked"), [("cycle", True), ("minute", False)])
def test_a_price_per_cycle_is_marked_as_such(site, price_per, is_marked, end):
    row = f"- {{prefix: '44', billing_rate: '0.01', billing_cycle: 60{end}}}"
    (rate,) = rates_of(site, f"      {row}", f"price_per: {price_per}")

    assert rate.per_cycle is is_marked


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ("interval: 30/6, billing_cycle: 6",
         "billing_cycle: value '6': expected either interval or billing_cycle: an interval holds both"),
        ("interval: 30/6, first_duration: 6, first_rate: 1",
         "interval: value '30/6': expected either interval or first_rate with first_duration"),
        ("first_rate: 1", "first_rate: value '1': expected first_duration with first_rate, which is its price"),
        ("first_duration: 60",
         "first_duration: value '60': expected first_rate with first_duration, or interval instead"),
        ("interval: 0/6", ("interval: value '0/6': "
         "expected first/following seconds, each 1 to 3600, such as 30/6")),
        ("interval: 30", ("interval: value '30': "
         "expected first/following seconds, each 1 to 3600, such as 30/6")),
        ("tax_rate: '1.23456'", "tax_rate: value '1.23456': expected percent from 0 to 100, with at most 4 decimals"),
        ("rate_type: lokal", ("rate_type: value 'lokal': "
         "expected one of net, local, domestic, international; did you mean 'local'?")),
        ("sections: 0.10/60", ("sections: value '0.10/60': "
         "expected amounts and seconds of whole calls, such as 0.10@60;0.18@120")),
        ("sections: 0.10@60;0.05@120", ("sections: value '0.10@60;0.05@120': "
         "expected each section longer than the one before and not cheaper: amounts are of the whole call")),
        ("sections: 0.10@60;0.18@60", ("sections: value '0.10@60;0.18@60': "
         "expected each section longer than the one before and not cheaper: amounts are of the whole call")),
        ("sections: 0.10@86401", ("sections: value '0.10@86401': expected amounts and seconds of whole calls, "
         "such as 0.10@60;0.18@120: amounts of 0 or more, seconds from 1 to 86400")),
        ("billing_cycle: 3601", "billing_cycle: value '3601': expected a whole number from 1 to 3600"),
        ("rate_prefix: '45'", "rate_prefix: expected either rate_prefix or prefix, which stands at vosd.yaml:5"),
    ],
)  # fmt: skip
def test_contradictions_in_a_row_are_named(site, row, error):
    errors = site.errors(
        "rate_groups:\n  - name: g\n    rates:\n      # the line below\n"
        f"      - {{prefix: '44', billing_rate: '0.01', {row}}}"
    )

    assert errors == [f"vosd.yaml:5: rate_groups[g].rates[0].{error}"]


@pytest.mark.parametrize("price", ["0.123456789", "-0.01", "1e-3", "0,01", "1 000", "1'000", ".5", "NaN", ""])
def test_what_is_no_price_is_an_error(site, price):
    (error,) = site.errors(f'rate_groups: [{{name: g, rates: [{{prefix: 44, billing_rate: "{price}"}}]}}]')

    assert "expected an amount of 0 or more with at most 8 decimals" in error


def test_an_interval_needs_a_price_per_minute(site):
    assert site.errors(
        "rate_groups: [{name: g, price_per: cycle, rates: [{prefix: 44, billing_rate: 1, interval: 30/6}]}]"
    ) == [
        (
            "vosd.yaml:1: rate_groups[g].rates[0].interval: value '30/6': "
            "expected no interval where price_per is cycle, as it is with preset: vos3000: it divides the price of a "
            "minute; say price_per: minute in the group, or billing_cycle here"
        )
    ]


def test_a_prefix_that_stands_twice_is_named_with_both_lines(site):
    assert site.errors(
        """
        rate_groups:
          - name: g
            rates:
              - {prefix: "44", billing_rate: "1"}
              - {prefix: "1", billing_rate: "1"}
              - {prefix: "44", billing_rate: "2"}
        """
    ) == [
        (
            "vosd.yaml:6: rate_groups[g].rates[2].prefix: value '44': "
            "expected each prefix once in a rate group, or with another effective_from; it also stands at vosd.yaml:4"
        )
    ]


def test_more_than_a_thousand_rates_belong_into_a_file(site):
    rows = ", ".join(f"{{prefix: {n}, billing_rate: 1}}" for n in range(1001))

    assert site.errors(f"rate_groups: [{{name: g, rates: [{rows}]}}]") == [
        "vosd.yaml:1: rate_groups[g].rates: expected at most 1000 rates here; put them into a rates_file"
    ]


def test_a_groups_own_rounding_wins_over_the_parameters(site):
    text = """
        parameters: {SERVER_BILLING_FEE_PRECISTION: 4, SERVER_BILLING_FEE_UNIT: "0.0001", SERVER_BILLING_FREE_TIME: 6,
          SERVER_BILLING_HOLD_TIME_PRECISION: 500}
        rate_groups:
          - {name: own, rates: [], free_time: 0, fee_precision: 2, fee_rounding: up, fee_nonzero_floor: yes}
          - {name: plain, rates: []}
        """
    groups = site.load(text).catalogue.rate_groups

    own, plain = groups["own"].policy, groups["plain"].policy
    assert (own.free_time_s, own.fee_precision, own.fee_unit) == (0, 2, Decimal("0.01"))
    assert (own.rounding, own.nonzero_floor, own.hold_time_precision_ms) == (Rounding.UP, True, 500)
    assert (plain.free_time_s, plain.fee_precision, plain.fee_unit) == (6, 4, Decimal("0.0001"))
    assert (plain.rounding, plain.nonzero_floor) == (Rounding.HALF_UP, False)


def test_a_group_may_round_to_another_step_than_that_of_its_decimals(site):
    text = (
        "rate_groups: [{name: g, rates: [], hold_time_precision: 0, fee_precision: 2, fee_unit: 0.05, section_cap: no}]"
    )
    policy = site.load(text).catalogue.rate_groups["g"].policy

    assert (policy.hold_time_precision_ms, policy.fee_precision, policy.fee_unit) == (0, 2, Decimal("0.05"))
    assert not policy.section_cap


def test_a_step_finer_than_the_decimals_is_an_error(site):
    assert site.errors("rate_groups: [{name: g, rates: [], fee_unit: 0.0000001}]") == [
        "vosd.yaml:1: rate_groups[g].fee_unit: value '0.0000001': expected at least 0.000001, as fees have 6 decimals"
    ]
    wrong = "accounts: [{{id: acme, {}}}]"
    assert site.errors(wrong.format("fee_unit: 0.05")) == [
        (
            "vosd.yaml:1: accounts[acme].fee_unit: value '0.05': "
            "expected fee_precision with fee_unit: the decimals to which it rounds"
        )
    ]
    assert site.errors(wrong.format("fee_unit: 1001, fee_precision: 2")) == [
        (
            "vosd.yaml:1: accounts[acme].fee_unit: value '1001': "
            "expected at most 1000: a larger charge might fit no column"
        )
    ]
    assert site.errors(wrong.format("fee_unit: 0.001, fee_precision: 2")) == [
        "vosd.yaml:1: accounts[acme].fee_unit: value '0.001': expected at least 0.01, as fees have 2 decimals"
    ]


def test_an_account_may_be_charged_otherwise_than_its_rate_group_says(site):
    text = """
        parameters: {SERVER_BILLING_FREE_TIME: 6}
        billing: {free_time_scope: customer}
        rate_groups:
          - {name: sell, rates: [{prefix: "44", billing_rate: "0.60", tax_rate: "19"}]}
          - {name: buy, hold_time_precision: 0, rates: [{prefix: "44", billing_rate: "0.30", billing_cycle: 6}]}
        accounts:
          - {id: acme, rate_group: sell, fee_precision: 2, fee_unit: "0.05", fee_rounding: up, hold_time_precision: 500,
             billing_unit: 30, tax_exempt: yes}
          - {id: plain, rate_group: sell}
          - {id: carrier, type: clearing, rate_group: buy, billing_unit: 60}
        """
    catalogue = site.load(text).catalogue
    acme, plain, carrier = (
        catalogue.rates_of(catalogue.accounts[name]).find("442012", 0) for name in ("acme", "plain", "carrier")
    )
    assert (str(acme.policy.fee_unit), acme.policy.fee_precision, acme.policy.rounding) == ("0.05", 2, Rounding.UP)
    assert (acme.policy.hold_time_precision_ms, acme.rate.billing_cycle, acme.policy.tax_exempt) == (500, 30, True)
    assert (plain.policy, plain.rate.billing_cycle) == (catalogue.rate_groups["sell"].policy, 1)
    assert (carrier.policy.free_time_s, carrier.rate.billing_cycle, carrier.policy.hold_time_precision_ms) == (0, 6, 0)
    assert plain.policy.free_time_s == 6


def test_a_verb_finds_the_rates_of_an_account_as_a_call_does(site):
    path = site.write(
        "vosd.yaml",
        """
        parameters: {SERVER_BILLING_FREE_TIME: 6}
        billing: {free_time_scope: customer}
        rate_groups: [{name: g, rates: [{prefix: "44", billing_rate: "0.30"}]}]
        accounts: [{id: both, rate_group: g, fee_precision: 2}]
        """,
    )
    excerpt = Excerpt(path, {})
    account = excerpt.accounts()["both"]
    as_customer, as_vendor = (
        excerpt.rates_of(account, is_vendor=each).find("442012", 0).policy for each in (False, True)
    )
    assert (as_customer.free_time_s, as_vendor.free_time_s) == (6, 0)
    assert (as_customer.fee_precision, as_vendor.fee_precision) == (2, 2)


def test_a_group_has_another_version_when_a_row_or_its_rounding_changes(site):
    def version(group: str, rate: str) -> str:
        text = f"rate_groups: [{{name: g, {group} rates: [{{prefix: 1, billing_rate: 1}}, {rate}]}}]"
        return site.load(text).catalogue.rate_groups["g"].version

    first = version("", "{prefix: 44, billing_rate: 2}")

    assert version("", "{billing_rate: '2', prefix: '44'}") == first
    assert (
        len(
            {
                first,
                version("", "{prefix: 44, billing_rate: 3}"),
                version("free_time: 1,", "{prefix: 44, billing_rate: 2}"),
            }
        )
        == 3
    )
