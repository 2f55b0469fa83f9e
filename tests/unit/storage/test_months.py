"""Partitions by month: names, bounds, what is missing and what may be dropped."""

from datetime import UTC, datetime

from hypothesis import given, strategies as st

from vosd.base.ids import bounds, uuid7
from vosd.storage.months import (
    KEPT,
    LATER,
    Partition,
    PartitionMonth,
    from_now,
    missing,
    month_named,
    month_of,
    to_drop,
)

NOVEMBER = PartitionMonth(2026, 11)


def ms(*date: int) -> int:
    return int(datetime(*date, tzinfo=UTC).timestamp()) * 1000


def partition(name: str) -> Partition:
    month = month_named(name)
    return Partition(name, None if month is None else month.until)


@given(st.integers(ms(2000, 1, 1), ms(2099, 12, 31)))
def test_a_call_is_in_the_month_in_which_it_began(moment):
    month = month_of(moment)
    assert month.after(-1).until <= moment < month.until
    assert month_named(month.partition) == month
    smallest_behind, _ = bounds(month.key_until)
    assert uuid7(moment, bytes(10)) < smallest_behind <= uuid7(month.until, bytes(10))


def test_a_year_ends_with_december():
    assert NOVEMBER.after(2) == PartitionMonth(2027, 1)
    assert PartitionMonth(2026, 12).period_until == 2701
    assert NOVEMBER.until == ms(2026, 12, 1)
    assert NOVEMBER.partition == "p2026_11"


def test_months_are_made_from_now_on():
    made = from_now(ms(2026, 11, 30, 23, 59, 59), ahead=2)
    assert [month.partition for month in made] == ["p2026_11", "p2026_12", "p2027_01"]


def test_only_months_behind_the_last_one_are_missing():
    names = [KEPT, "p2026_08", "p2026_12", LATER]
    assert missing(names, ms(2026, 11, 5), ahead=2) == [PartitionMonth(2027, 1)]
    assert missing(names, ms(2026, 9, 5), ahead=2) == []
    assert missing([KEPT, LATER], ms(2026, 9, 5), ahead=1) == [PartitionMonth(2026, 9), PartitionMonth(2026, 10)]


def test_a_month_is_dropped_when_all_of_it_is_before_the_time():
    found = [partition(name) for name in (KEPT, "p2026_08", "p2026_09", "p2026_10", LATER)]
    assert to_drop(found, ms(2026, 10, 1)) == ["p2026_08", "p2026_09"]
    assert to_drop(found, ms(2026, 10, 1) - 1) == ["p2026_08"]
    assert to_drop(found, ms(2099, 1, 1)) == ["p2026_08", "p2026_09", "p2026_10"]


def test_other_names_are_no_months():
    assert [month_named(name) for name in (KEPT, LATER, "p2026_1", "p2026_11x", "P2026_11")] == [None] * 5
