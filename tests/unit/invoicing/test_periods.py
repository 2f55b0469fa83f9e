"""Periods of invoices as people write them."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from vosd.billing.invoice_terms import InvoiceCycle
from vosd.invoicing.periods import BadPeriodError, midnight, period_of, periods_that_end


@pytest.mark.parametrize(
    ("cycle", "expected"),
    [
        (InvoiceCycle.MONTH, ["2026-10"]), (InvoiceCycle.HALF_MONTH, ["2026-10-H1", "2026-10-H2"]),
        (InvoiceCycle.WEEK, ["2026-W40", "2026-W41", "2026-W42", "2026-W43"]),
        (InvoiceCycle.DAY, [f"2026-10-{day:02}" for day in range(1, 32)]),
    ],
)  # fmt: skip
def test_a_month_has_the_periods_that_end_in_it(cycle: InvoiceCycle, expected: list[str]) -> None:
    assert [*map(str, periods_that_end(date(2026, 10, 1), date(2026, 11, 1), cycle))] == expected


@pytest.mark.parametrize(
    ("text", "first", "behind"),
    [
        ("2026-10", "2026-10-01", "2026-11-01"),
        ("2026-12", "2026-12-01", "2027-01-01"),
        ("2028-02-H1", "2028-02-01", "2028-02-16"),
        ("2028-02-H2", "2028-02-16", "2028-03-01"),
        ("2026-W01", "2025-12-29", "2026-01-05"),
        ("2026-W53", "2026-12-28", "2027-01-04"),
        ("2026-12-31", "2026-12-31", "2027-01-01"),
    ],
)
def test_a_text_names_a_period(text: str, first: str, behind: str) -> None:
    found = period_of(text)
    assert (found.first.isoformat(), found.behind.isoformat(), str(found)) == (first, behind, text)


@pytest.mark.parametrize(
    "text", ["", "2026", "2026-13", "2026-W54", "2026-10-H3", "2026-02-30", "2026-1", "0001-01", "9999-12"]
)
def test_what_names_none_is_refused(text: str) -> None:
    with pytest.raises(BadPeriodError, match="is no period"):
        period_of(text)


def test_days_of_a_zone_follow_its_clock() -> None:
    since, until = period_of("2026-10").bounds(ZoneInfo("Europe/Berlin"))
    assert until - since == 31 * 86_400_000 + 3_600_000  # summer time ends in it


@given(st.dates(date(2001, 1, 1), date(2100, 1, 1)), st.sampled_from(InvoiceCycle))
def test_periods_of_a_cycle_follow_each_other_without_gap(day: date, cycle: InvoiceCycle) -> None:
    year, week, _ = day.isocalendar()
    text = {
        InvoiceCycle.MONTH: f"{day:%Y-%m}", InvoiceCycle.DAY: day.isoformat(), InvoiceCycle.WEEK: f"{year}-W{week:02}",
        InvoiceCycle.HALF_MONTH: f"{day:%Y-%m}-H{1 if day.day < 16 else 2}",
    }[cycle]  # fmt: skip
    found = period_of(text)
    assert found.first <= day < found.behind
    assert midnight(found.behind, ZoneInfo("UTC")) - midnight(found.first, ZoneInfo("UTC")) == (
        (found.behind - found.first) // timedelta(days=1) * 86_400_000
    )
    behind = found.behind
    if cycle in {InvoiceCycle.MONTH, InvoiceCycle.DAY}:
        assert period_of(behind.isoformat() if cycle is InvoiceCycle.DAY else f"{behind:%Y-%m}").first == behind
