"""Planning of what is dropped, against a model of calls: whatever the state, no guard is ever broken."""

from datetime import UTC, datetime
from typing import NamedTuple

from hypothesis import example, given, strategies as st

from vosd.cdr.retention import (
    DAY_MS,
    LONGEST_CALL_MS,
    Age,
    ExportProgress,
    Guard,
    RetentionFacts,
    plan_calls,
    plan_ledger,
    plan_sums,
)

NOW = round(datetime(2026, 11, 21, 3, 30, tzinfo=UTC).timestamp() * 1_000)
DAYS = 900


class Call(NamedTuple):
    """A call of the model: its beginning, its end, its export number, and whether the journal has it."""

    began: int
    ended: int
    number: int
    is_in_journal: bool


MOMENTS = st.integers(NOW - DAYS * DAY_MS, NOW)
CALLS = st.lists(
    st.builds(
        lambda began, length, number, kept: Call(began, began + length, number, kept),
        MOMENTS,
        st.integers(0, 7 * DAY_MS),
        st.integers(1, 1_000),
        st.integers(0, 9).map(lambda drawn: drawn == 0),
    ),
    max_size=25,
)
AGES = st.one_of(
    st.integers(1, DAYS).map(lambda days: Age(days=days)), st.integers(1, 30).map(lambda months: Age(months=months))
)
CLOSES = st.lists(MOMENTS.map(lambda moment: moment - moment % DAY_MS), max_size=6)


def found_in(calls, closes, exported):
    in_journal = [call.began for call in calls if call.is_in_journal]
    left = [[call.began for call in calls if call.number > number] for number in exported]
    exports = [ExportProgress(str(place), min(each, default=None)) for place, each in enumerate(left)]
    return RetentionFacts(closes, min(in_journal, default=None), exports)


EXPORTED = st.lists(st.integers(0, 1_000), max_size=2)
LATE = [Call(NOW - 300 * DAY_MS, NOW - 299 * DAY_MS, 5, False)]


@given(calls=CALLS, age=AGES, closes=CLOSES, exported=EXPORTED, minimum=st.one_of(st.none(), AGES))
@example(calls=LATE, age=Age(days=1), closes=[NOW], exported=[4], minimum=None)
def test_no_call_goes_that_a_guard_keeps(calls, age, closes, exported, minimum):
    plan = plan_calls(age, NOW, found_in(calls, closes, exported), minimum)
    assert plan.until <= plan.wanted <= NOW
    for call in (each for each in calls if each.began < plan.until):
        assert call.began < age.before(NOW), "its time is over"
        assert minimum is None or call.began < minimum.before(NOW), "the law wants it no more"
        assert call.ended < max(closes, default=0), "its period is closed"
        assert call.began < max(closes) - LONGEST_CALL_MS, "no audit compares it"
        assert not call.is_in_journal, "it cannot be booked again"
        assert all(call.number <= number for number in exported), "every export has it"
    assert bool(plan.holds) == (plan.until < plan.wanted)
    if plan.holds:
        assert plan.until <= plan.holds[0].until < plan.until + DAY_MS


@given(age=AGES, closes=CLOSES, calls_dropped=st.one_of(st.just(0), MOMENTS))
def test_entries_go_only_behind_a_checkpoint_and_after_their_calls(age, closes, calls_dropped):
    plan = plan_ledger(age, NOW, RetentionFacts(closes, None), calls_dropped)
    assert plan.until in {0, *closes}
    assert plan.until <= age.before(NOW)
    assert plan.until <= calls_dropped
    better = [close for close in closes if plan.until < close <= min(age.before(NOW), calls_dropped)]
    assert better == [], "everything that may go goes"


def test_a_plan_without_a_close_says_what_to_do():
    plan = plan_calls(Age(days=180), NOW, RetentionFacts([], None))
    assert (plan.until, [hold.guard for hold in plan.holds]) == (0, [Guard.CLOSE])
    assert "vosd ledger close" in plan.holds[0].why


def test_nothing_holds_entries_up_to_a_close_at_the_very_midnight_of_their_age():
    wanted = Age(days=180).before(NOW)
    plan = plan_ledger(Age(days=180), NOW, RetentionFacts([wanted], None), calls_dropped=wanted)
    assert (plan.until, plan.holds) == (wanted, [])


def test_an_age_is_counted_in_whole_days_of_utc():
    def before(age):
        return datetime.fromtimestamp(age.before(NOW) / 1_000, UTC).isoformat()

    assert before(Age(days=1)) == "2026-11-20T00:00:00+00:00"
    assert before(Age(months=9)) == "2026-02-21T00:00:00+00:00"
    assert before(Age(months=12 * 10)) == "2016-11-21T00:00:00+00:00"
    march = round(datetime(2026, 3, 31, tzinfo=UTC).timestamp() * 1_000)
    assert datetime.fromtimestamp(Age(months=1).before(march) / 1_000, UTC).day == 28
    assert Age(months=12 * 4_000).before(NOW) == 0
    assert [str(age) for age in (Age(days=180), Age(months=18), Age(months=120))] == [
        "180 days",
        "18 months",
        "10 years",
    ]


def test_ages_are_compared_on_every_day():
    for longer, shorter in (
        (Age(days=184), Age(months=6)),
        (Age(months=6), Age(days=181)),
        (Age(months=6), Age(months=6)),
        (Age(days=366), Age(months=12)),
    ):
        assert longer.is_at_least(shorter)
        assert longer == shorter or not shorter.is_at_least(longer)
    assert not Age(days=180).is_at_least(Age(months=6))


@given(age=AGES, calls_gone=st.one_of(st.just(0), MOMENTS), minimum=st.one_of(st.none(), AGES))
def test_sums_go_in_whole_days_and_never_before_their_calls(age, calls_gone, minimum):
    plan = plan_sums(age, NOW, calls_gone, minimum)
    assert plan.until % DAY_MS == 0
    assert plan.until <= min(plan.wanted, calls_gone, age.before(NOW))
    assert minimum is None or plan.until <= minimum.before(NOW)
    assert [hold.until for hold in plan.holds] == ([plan.until] if plan.until < plan.wanted else [])
    assert plan.until > min(plan.wanted, calls_gone) - DAY_MS, "no more is kept than has to be"
