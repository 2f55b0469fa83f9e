"""Use of classes of destinations in an hour: which class, what counts, and how much is allowed."""

from decimal import Decimal

import pytest

from vosd.billing.destination_past import PastUsage, Span, by_class, highest, past_of, same_hours
from vosd.billing.destinations import (
    HOUR_MS,
    DestinationClass,
    DestinationLimit,
    Destinations,
    DestinationUse,
    DestinationUses,
    Past,
    Usage,
    excess,
)

NOON = 1_790_000_000_000 - 1_790_000_000_000 % HOUR_MS
CLASSES = Destinations(
    [
        DestinationClass("premium", ("4490", "1900")),
        DestinationClass("british", ("44",)),
        DestinationClass("other", ("*",)),
    ]
)


def used(minutes: float = 0, spend: str = "0") -> Usage:
    return Usage(1, int(minutes * 60_000), Decimal(spend))


def past(minutes: float = 0, spend: str = "0", *, is_new: bool = False) -> Past:
    return Past(is_new, used(minutes, spend))


@pytest.mark.parametrize(
    ("number", "name"),
    [("449012", "premium"), ("442079", "british"), ("33", "other"), ("19", "other"), ("1900", "premium")],
)
def test_the_longest_prefix_decides(number, name):
    assert CLASSES.of(number) == name
    assert CLASSES.of(number[: CLASSES.digits]) == name


def test_a_number_of_no_class_has_none():
    assert Destinations([DestinationClass("premium", ("4490",))]).of("33") is None
    assert Destinations().digits == 0


@pytest.mark.parametrize(
    ("limit", "before", "allowed"),
    [
        ({}, past(2), 30),  # the floor
        ({}, past(10), 50),  # five times the past
        ({"factor": 2}, past(20), 40),
        ({"max_minutes": 45}, past(10), 45),
        ({"max_minutes": 45}, past(2), 30),
        ({}, past(is_new=True), 30),  # in its first day
        ({"max_minutes": 90}, past(is_new=True), 90),
        ({"max_minutes": 90}, None, 90),  # not read yet
        ({}, None, None),
        ({"minutes": None}, past(2), None),
        ({"minutes": None, "max_minutes": 20}, past(200), 20),
    ],
)
def test_how_many_minutes_are_allowed(limit, before, allowed):
    terms = DestinationLimit("premium", **limit)
    if allowed is None:
        assert excess(terms, before, used(10**6)) is None
    else:
        assert excess(terms, before, used(allowed - 0.01)) is None
        assert excess(terms, before, used(allowed)) is not None


def test_money_is_compared_as_minutes_are():
    limit = DestinationLimit("premium", minutes=None, spend=Decimal(10), max_spend=Decimal(40))
    for before, allowed in ((past(0, "1"), 10), (past(0, "4"), 20), (past(0, "9"), 40), (past(is_new=True), 40)):
        assert excess(limit, before, used(0, f"{allowed}")) is not None
        assert excess(limit, before, used(0, f"{allowed - 1}.99")) is None


def test_an_excess_says_what_is_used_what_is_allowed_and_what_was_usual():
    found = excess(DestinationLimit("premium"), past(7), used(35.25))
    assert str(found) == "35.2 minutes in an hour, 35.0 allowed, at most 7.0 minutes in this hour of the past days"
    found = excess(DestinationLimit("premium", spend=Decimal(2)), past(is_new=True), used(1, "2.50"))
    assert str(found) == "2.50 in an hour, 2.00 allowed"


def test_running_calls_count_with_their_talk_so_far_and_what_they_hold_and_ended_ones_until_the_hour_ends():
    uses = DestinationUses()
    use = uses.of("acme", "premium", NOON)
    assert uses.of("acme", "premium", NOON + 1) is use
    assert uses.active == {}
    uses.answered(use, 1_000, "449012")
    uses.answered(use, 5_000, "449013")
    use.held = Decimal("1.50")
    assert use.used(61_000) == (2, 116_000, Decimal("1.50"))
    use.released(1_000)
    use.ended(60_000, Decimal("0.60"), NOON + 61_000)
    use.held = Decimal("0.50")
    assert use.used(61_000) == (2, 116_000, Decimal("1.10"))
    assert (use.first_number, not use.is_idle) == ("449012", True)
    assert not use.roll(NOON + HOUR_MS - 1)
    assert use.roll(NOON + HOUR_MS)
    assert use.used(61_000) == (1, 56_000, Decimal("0.50"))
    use.released(5_000)
    assert use.is_idle


def test_the_calls_of_an_hour_add_up_and_the_first_of_the_next_one_begins_anew():
    use = DestinationUse("acme", "premium", NOON)
    use.ended(60_000, Decimal("0.60"), NOON)
    use.ended(60_000, Decimal("0.60"), NOON + HOUR_MS - 1)
    assert use.used(0) == (2, 120_000, Decimal("1.20"))
    use.ended(30_000, Decimal("0.30"), NOON + HOUR_MS)
    assert use.used(0) == (1, 30_000, Decimal("0.30"))
    assert not use.is_idle


def test_what_is_forgiven_does_not_count_until_the_hour_ends():
    use = DestinationUse("acme", "premium", NOON)
    use.before = used(5, "5")
    use.answered(0)
    use.forgive(60_000)
    assert use.used(60_000) == (0, 0, 0)
    assert use.used(90_000) == (0, 30_000, 0)
    use.released(0)
    assert use.used(90_000).talk_ms == 0
    use.roll(NOON + HOUR_MS)
    assert use.forgiven == Usage()


def test_the_past_is_the_highest_of_the_same_hours_by_class():
    spans = same_hours(NOON, 2)
    day = 24 * HOUR_MS
    assert spans == [Span(NOON - day, NOON - day + HOUR_MS), Span(NOON - 2 * day, NOON - 2 * day + HOUR_MS)]
    found = [
        PastUsage(0, "4490", Usage(2, 100, Decimal(1))),
        PastUsage(0, "1900", Usage(1, 50, Decimal(3))),
        PastUsage(1, "4490", Usage(1, 170, Decimal(2))),
        PastUsage(1, "4420", Usage(9, 900, Decimal(9))),
    ]
    sums = by_class(found, CLASSES)
    assert sums[0, "premium"] == (3, 150, 4)
    assert highest(sums) == {"premium": (3, 170, 4), "british": (9, 900, 9)}


@pytest.mark.parametrize(("first", "is_new"), [(None, True), (NOON - HOUR_MS, True), (NOON - 25 * HOUR_MS, False)])
def test_an_account_is_new_until_its_first_call_is_a_day_old(first, is_new):
    assert past_of(first, NOON, Usage()).is_new is is_new


def test_a_clock_that_is_ahead_for_a_second_gives_back_nothing_of_the_hour():
    use = DestinationUse("acme", "premium", NOON)
    use.before = used(2)
    for _ in range(3):
        use.ended(60_000, Decimal("0.10"), NOON + 1_000)
    assert use.roll(NOON + 2_000 + HOUR_MS)
    assert use.used(0) == Usage(0, 0, Decimal(0))
    use.ended(60_000, Decimal("0.10"), NOON + 2_000 + HOUR_MS)
    assert use.roll(NOON + 3_000)
    assert use.used(0) == Usage(5, 6 * 60_000, Decimal("0.40"))
    assert use.roll(NOON + HOUR_MS)
    assert not use.used(0).calls
