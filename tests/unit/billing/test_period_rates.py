"""Period rates: which period a moment is in, and what a number costs in it."""

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from doubles.data.builders import rating_policy
from doubles.recomputed import recompute

from vosd.billing.period_rates import Period, PeriodTable, When, missing_prefixes, multiplied
from vosd.billing.rate_group import RateGroup
from vosd.billing.rate_rows import RateRows
from vosd.billing.rater import breakdown, rate_call, total_at
from vosd.billing.rates import AppliedRate, Rate
from vosd.billing.sections import parse_sections, read_sections
from vosd.routing.calendar import Calendar, CalendarEntry

BUSINESS = Calendar(
    "business", ZoneInfo("UTC"), (CalendarEntry(weekdays=(0, 1, 2, 3, 4), from_s=8 * 3600, until_s=18 * 3600),)
)
CHRISTMAS = Calendar("christmas", ZoneInfo("UTC"), (CalendarEntry(first=date(2026, 12, 25), last=date(2026, 12, 25)),))


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def group(name: str, **prices: str) -> RateGroup:
    rates = [Rate(prefix[1:], Decimal(price), 1) for prefix, price in prices.items()]
    return RateGroup(name, "USD", rating_policy(), RateRows(rates, f"{name}-1"), f"{name}-1")


def table() -> PeriodTable:
    periods = PeriodTable("tariff")
    periods.add(Period("day", "business", rate_group="d"), BUSINESS, group("d", p44="0.012"))
    periods.add(Period("night", "business", When.REST, rate_group="n"), BUSINESS, group("n", p44="0.008", p1="0.003"))
    return periods


def test_the_period_changes_at_the_second():
    for moment, name, price in (
        ("2026-02-02T17:59:59.999", "d", "0.012"),
        ("2026-02-02T18:00:00", "n", "0.008"),
        ("2026-02-07T12:00:00", "n", "0.008"),
    ):
        rate = table().find("4420", at(moment))
        assert (rate.group, rate.rate.billing_rate) == (name, Decimal(price)), moment
    assert table().find("4420", at("2026-02-07T12:00:00")).source == "period night"


def test_a_number_that_the_period_does_not_price_has_no_period_rate():
    assert table().find("1201", at("2026-02-02T12:00:00")) is None
    assert table().find("1201", at("2026-02-02T20:00:00")).rate.prefix == "1"


def test_the_closest_entry_decides_between_periods_and_then_their_order():
    periods = table()
    periods.add(Period("feast", "christmas", rate_group="f"), CHRISTMAS, group("f", p44="0.001"))
    periods.add(Period("other", rate_group="o"), None, group("o", p44="0.002"))
    assert periods.at(at("2026-12-25T10:00:00")).name == "feast"
    assert periods.at(at("2026-12-24T10:00:00")).name == "day"
    assert periods.at(at("2026-12-24T20:00:00")).name == "night"
    periods.add(Period("twin", "business", rate_group="t"), BUSINESS, group("t", p44="0.002"))
    assert periods.at(at("2026-12-24T10:00:00")).name == "day"


def test_the_tables_of_periods_are_those_in_force():
    versions = [[each.version for each in table().tables_at(at(f"2026-02-02T{hour}:00:00"))] for hour in (12, 20)]
    assert [len(each) for each in versions] == [1, 1]
    assert versions[0] != versions[1]


def test_a_period_without_calendar_holds_at_all_other_times():
    periods = PeriodTable("tariff")
    periods.add(Period("other", rate_group="o"), None, group("o", p44="0.002"))
    periods.add(Period("day", "business", rate_group="d"), BUSINESS, group("d", p44="0.012"))
    assert periods.at(at("2026-02-02T12:00:00")).name == "day"
    assert periods.at(at("2026-02-02T20:00:00")).name == "other"


def test_no_period_is_no_rate():
    periods = PeriodTable("tariff")
    assert periods.is_empty
    periods.add(Period("day", "business", rate_group="d"), BUSINESS, group("d", p44="0.012"))
    assert periods.at(at("2026-02-02T20:00:00")) is None
    assert periods.find("4420", at("2026-02-02T20:00:00")) is None


def test_a_multiplier_multiplies_the_amount_before_it_is_rounded_and_tax_not_twice():
    base = Rate("44", Decimal("0.0333"), 6, first_rate=Decimal("0.05"), first_duration=30, tax_rate=Decimal(10))
    policy = rating_policy(fee_precision=4)
    half = AppliedRate("g", "1", "USD", multiplied(base, Decimal("0.5")), policy)
    charge = rate_call(half, 95_000)
    assert charge.fee == Decimal("0.0433"), "(0.05 + 66 s at 0.0333 a minute) / 2 = 0.043315"
    assert charge.tax == Decimal("0.0043")
    assert multiplied(base, Decimal(0)).billing_rate == 0


def test_a_multiplied_price_keeps_every_digit_and_so_does_its_breakdown():
    """A minute costs 0.004110885, so two hours cost 0.4933062; by 0.00411089 they would cost 0.4933068."""
    base = Rate("44", Decimal("0.012345"), 1)
    applied = AppliedRate("g", "1", "USD", multiplied(base, Decimal("0.333")), rating_policy(fee_precision=6))
    charge = rate_call(applied, 7_200_000)
    assert (charge.fee, total_at(applied, 7_200)) == (Decimal("0.493306"), Decimal("0.493306"))
    steps = breakdown(applied, 1_000 * charge.hold_time_s)
    assert (steps[0]["billing_rate"], steps[-2]["raw"]) == ("0.004110885", "0.4933062")
    assert recompute(steps) == charge


def test_multiplied_sections_and_first_periods_are_read_again_with_every_digit():
    factor, policy = Decimal("0.12345678"), rating_policy(fee_precision=8)
    with_sections = Rate("44", Decimal("0.01"), 1, sections=parse_sections("0.00000005@60;0.1234@90"))
    with_first = Rate("44", Decimal("0.01"), 1, first_rate=Decimal("0.00000005"), first_duration=60)
    for rate in (with_sections, with_first):
        applied = AppliedRate("g", "1", "USD", multiplied(rate, factor), policy)
        charge = rate_call(applied, 60_000)
        assert charge.fee == Decimal("0.00000001"), "0.00000000617..."
        assert recompute(breakdown(applied, 1_000 * charge.hold_time_s)) == charge
    with pytest.raises(ValueError, match="amounts and seconds"):
        read_sections("0.10;0.18@120")


def test_a_multiplied_rate_is_that_of_the_main_group_with_the_period_s_name():
    periods = PeriodTable("tariff")
    periods.add(
        Period("weekend", "business", When.REST, multiplier=Decimal("0.5")), BUSINESS, group("main", p44="0.01")
    )
    rate = periods.find("4420", at("2026-02-07T12:00:00"))
    assert (rate.group, rate.source, rate.rate.billing_rate) == ("main", "period weekend", Decimal("0.005"))
    assert periods.find("4420", at("2026-02-07T12:00:01")) is rate


def test_prefixes_that_only_some_tables_have_are_found():
    day, night = group("d", p44="1", p1="1").table, group("n", p44="1", p8801="1").table
    assert missing_prefixes((day, night), 10) == (("1", "8801"), 2)
    assert missing_prefixes((day, night), 1) == (("1",), 2)
    assert missing_prefixes((day, day), 10) == ((), 0)
