"""Ages of records by the calendar, from which on retention may drop them, and what holds payments."""

from datetime import UTC, datetime

import pytest

from vosd.cdr.retention import Age, Guard, RetentionFacts, plan_calls, plan_ledger, plan_numbers, plan_payments


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000)


@pytest.mark.parametrize(
    ("age", "now", "before"),
    [
        (Age(months=1), "2026-03-31T23:59:59.999", "2026-02-28"),
        (Age(months=1), "2026-01-01", "2025-12-01"),
        (Age(months=12), "2028-02-29T12:00", "2027-02-28"),
        (Age(months=27), "2026-03-15", "2023-12-15"),
        (Age(days=90), "2026-03-01", "2025-12-01"),
        (Age(months=1), "2024-03-30T12:34:56.789", "2024-02-29"),
        (Age(months=1), "2026-02-01", "2026-01-01"),
    ],
)
def test_an_age_ends_at_a_midnight_of_the_calendar(age, now, before):
    assert age.before(ms(now)) == ms(before)


def test_no_record_is_older_than_the_calendar():
    assert Age(months=2026 * 12).before(ms("2026-03-31")) == 0


@pytest.mark.parametrize(
    ("age", "text"),
    [(Age(months=24), "2 years"), (Age(months=12), "1 year"), (Age(months=18), "18 months"), (Age(days=1), "1 day")],
)
def test_an_age_is_named_by_its_largest_unit(age, text):
    assert str(age) == text


@pytest.mark.parametrize(
    ("closes", "until", "held_until"),
    [
        ([], 0, 0),
        (["2025-11-01"], "2025-11-01", "2025-10-24"),
        (["2025-12-01"], "2025-12-01", None),
        (["2025-11-01", "2026-01-01"], "2025-11-01", None),
        (["2026-01-01"], 0, None),
    ],
)
def test_payments_are_dropped_up_to_a_close_that_is_old_enough(closes, until, held_until):
    wanted = "2025-12-01"
    plan = plan_payments(Age(months=1), ms("2026-01-01"), RetentionFacts([ms(close) for close in closes], None))
    assert (plan.wanted, plan.until) == (ms(wanted), ms(until) if until else 0)
    expected = [] if held_until is None else [(Guard.CLOSE, ms(held_until) if held_until else 0)]
    assert [(hold.guard, hold.until) for hold in plan.holds] == expected
    if not closes:
        assert plan.holds[0].why == "no period is closed: vosd ledger close"


def test_two_ages_are_compared_once(monkeypatch):
    """Each reading of the settings compares them, and the API reads these for most requests."""
    ages = Age(months=8, days=321), Age(months=8, days=123)
    assert ages[0].is_at_least(ages[1])
    monkeypatch.delattr(Age, "before")
    assert ages[0].is_at_least(ages[1])


@pytest.mark.parametrize(
    ("closes", "calls_dropped", "until", "holds"),
    [
        (["2025-11-01", "2025-12-01"], "2025-12-01", "2025-12-01", []),
        (["2025-11-01", "2026-01-01"], "2025-12-01", "2025-11-01", []),
        (["2025-11-01", "2025-12-01"], "2025-11-15", "2025-11-01", [(Guard.CALLS, "2025-11-15")]),
        (["2025-11-01"], "2025-12-01", "2025-11-01", [(Guard.CLOSE, "2025-10-24")]),
        (["2025-11-01"], "1970-01-01", None, [(Guard.CALLS, "1970-01-01"), (Guard.CLOSE, "2025-10-24")]),
    ],
)
def test_entries_of_calls_are_dropped_up_to_a_close_and_after_their_calls(closes, calls_dropped, until, holds):
    facts = RetentionFacts([ms(close) for close in closes], None)
    plan = plan_ledger(Age(months=1), ms("2026-01-01"), facts, ms(calls_dropped))
    assert (plan.wanted, plan.until) == (ms("2025-12-01"), ms(until) if until else 0)
    assert [(hold.guard, hold.until) for hold in plan.holds] == [(guard, ms(moment)) for guard, moment in holds]


def test_calls_that_the_sums_of_reports_lack_are_kept_and_their_numbers_masked():
    facts = RetentionFacts([ms("2026-01-01")], None, sums_oldest=ms("2025-11-10T05:00"))
    plan = plan_calls(Age(months=1), ms("2026-01-01"), facts)
    assert (plan.until, [hold.guard for hold in plan.holds]) == (ms("2025-11-10"), [Guard.SUMS])
    assert plan_numbers(Age(months=1), ms("2026-01-01"), facts).until == ms("2025-12-01")
