"""Calls of two books: which are one, and which are missing."""

import random
from collections.abc import Iterator
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, strategies as st

from vosd.clearing import matching
from vosd.clearing.calls import BilledCall, CallPair, SentCall, comparable
from vosd.clearing.matching import Matcher

NUMBER = "442012345"


def sent(at_s: float, number: str = NUMBER, caller: str = "49301", seconds: float = 60) -> SentCall:
    ms = round(1_000 * seconds)
    return SentCall(round(at_s * 1_000), number, f"{at_s}/{number}", caller, ms, ms, 60, Decimal(1), "44", "", 0, "")


def billed(at_s: float, number: str = NUMBER, caller: str = "", seconds: float = 60, line: int = 1) -> BilledCall:
    return BilledCall(round(at_s * 1_000), number, line, caller, round(1_000 * seconds), None, Decimal(1))


def matched(ours: list[SentCall], theirs: list[BilledCall]) -> list[tuple[float | None, float | None]]:
    def at(call: SentCall | BilledCall | None) -> float | None:
        return None if call is None else call.at / 1_000

    pairs = Matcher(3_000, 2_000).pairs(ours, theirs)
    return sorted(((at(each.ours), at(each.theirs)) for each in pairs), key=str)


def test_a_start_two_seconds_apart_is_one_call_and_five_are_two():
    assert matched([sent(100)], [billed(102)]) == [(100, 102)]
    assert matched([sent(100)], [billed(105)]) == [(100, None), (None, 105)]
    assert matched([sent(105)], [billed(103)]) == [(105, 103)]


def test_a_row_of_the_hour_that_comes_twice_is_a_call_of_either():
    def twice(at_s: float, line: int = 1, number: str = NUMBER) -> BilledCall:
        row = billed(at_s, number, line=line)
        return BilledCall(row.at, number, line, "", row.duration_ms, None, row.price, 3_600_000)

    assert matched([sent(100), sent(3_700)], [twice(100), twice(100, 2)]) == [(100, 100), (3_700, 3_700)]
    assert matched([sent(3_700)], [twice(100)]) == [(3_700, 3_700)]
    assert matched([sent(3_710)], [twice(100)]) == [(3_710, None), (None, 100)]
    assert matched([sent(100), sent(9_999)], [twice(100), twice(101, 2)]) == [(100, 100), (9_999, None), (None, 101)]
    assert matched([sent(3_700)], [billed(100)]) == [(3_700, None), (None, 100)]
    shown = [twice(60 * (place % 60), place) for place in range(120)]
    rows = [msgspec.structs.replace(row, duration_ms=10_000 * row.line) for row in shown]
    busy = [sent(60 * place, seconds=10 * place) for place in range(120)]
    pairs = [*Matcher(90_000, 2_000).pairs(busy, sorted(rows, key=lambda row: row.at))]
    assert sum(each.ours is not None and each.theirs is not None for each in pairs) >= 119, "a number without pause"
    others = [sent(3_700, "33"), sent(3_800, "33")]
    assert matched(others, [twice(100), twice(200, 2, "33")]) == [(3_700, None), (3_800, 3_800), (None, 100)]


def test_other_numbers_are_other_calls():
    assert matched([sent(100)], [billed(100, "442099999")]) == [(100, None), (None, 100)]


def test_the_nearest_is_the_same_call_and_the_other_is_missing():
    assert matched([sent(100), sent(102)], [billed(102)]) == [(100, None), (102, 102)]


def test_as_many_as_possible_are_matched_where_they_are_of_equal_length():
    assert matched([sent(100), sent(103)], [billed(103), billed(106)]) == [(100, 103), (103, 106)]


def test_length_tells_calls_apart_that_begin_together():
    ours = [sent(100, seconds=10), sent(101, seconds=50)]
    theirs = [billed(100.5, seconds=50), billed(101.5, seconds=10)]
    assert matched(ours, theirs) == [(100, 101.5), (101, 100.5)]


@pytest.mark.parametrize("seconds", [(1.6, 1), (1, 1.6)])
def test_of_calls_that_begin_together_those_of_the_same_length_are_one(seconds):
    """Both answers to a forked INVITE begin within a moment, and are as long but for a second or two."""
    ours = [sent(100, seconds=1.6), sent(100, seconds=1)]
    theirs = [billed(100, seconds=each, line=line) for line, each in enumerate(seconds, start=2)]
    pairs = [(each.ours, each.theirs) for each in Matcher(3_000, 2_000).pairs(ours, theirs)]
    assert {(mine and mine.duration_ms, row and row.duration_ms) for mine, row in pairs} == {(1_000,) * 2, (1_600,) * 2}
    missing = [(each.ours, each.theirs) for each in Matcher(3_000, 2_000).pairs(ours, theirs[:1])]
    assert [mine and mine.duration_ms for mine, row in missing if row] == [theirs[0].duration_ms]


def test_a_call_of_another_length_is_not_exchanged_for_a_match():
    ours = [sent(100, seconds=10), sent(103, seconds=60)]
    theirs = [billed(103, seconds=60), billed(106, seconds=300)]
    assert matched(ours, theirs) == [(100, None), (103, 103), (None, 106)]


def test_the_calling_number_decides_between_equal_calls():
    ours = [sent(100, caller="1"), sent(100.5, caller="2")]
    assert matched(ours, [billed(100, caller="2")]) == [(100, None), (100.5, 100)]


def test_a_row_that_the_vendor_has_twice_is_said_to_be_repeated():
    pairs = list(Matcher(3_000, 2_000).pairs([sent(100)], [billed(100, line=2), billed(100, line=3)]))
    assert {(each.theirs and each.theirs.line, each.is_repeated) for each in pairs} == {(2, False), (3, True)}


@pytest.mark.parametrize(("at_s", "is_repeated"), [(100, True), (3_700, True), (9_999, False)])
def test_a_row_of_the_hour_that_comes_twice_is_repeated_where_the_other_has_a_call(at_s, is_repeated):
    rows = [BilledCall(100_000, NUMBER, line, "", 60_000, None, Decimal(1), 3_600_000) for line in (2, 3)]
    pairs = list(Matcher(3_000, 2_000).pairs([sent(at_s)], rows))
    assert [each.is_repeated for each in pairs if each.ours is None] == [is_repeated] * (1 if is_repeated else 2)


@pytest.mark.parametrize(
    ("number", "strip", "expected"),
    [
        ("+442012345", (), "442012345"),
        ("00442012345", (), "442012345"),
        ("442012345", ("99", "#"), "442012345"),
        ("9900442012345", ("99",), "442012345"),
        ("0201", (), "0201"),
    ],
)
def test_prefixes_plus_and_zeros_do_not_make_another_number(number, strip, expected):
    assert comparable(number, strip) == expected


def in_time(pairs: Iterator[CallPair], counted: dict[str, int]) -> list[CallPair]:
    found = list(pairs)
    for each in found:
        counted["ours"] += each.ours is not None
        counted["theirs"] += each.theirs is not None
    return found


def test_one_number_called_all_day_is_settled_in_parts_and_each_call_once(monkeypatch):
    monkeypatch.setattr(matching, "GROUP_MAX", 20)
    ours = [sent(each * 0.7) for each in range(1_000)]
    theirs = [billed(each.at / 1_000 + 0.2, line=line) for line, each in enumerate(ours) if line % 50]
    counted = {"ours": 0, "theirs": 0}
    pairs = in_time(Matcher(3_000, 2_000).pairs(ours, theirs), counted)
    assert counted == {"ours": len(ours), "theirs": len(theirs)}
    assert sum(each.theirs is None for each in pairs) == len(ours) - len(theirs)
    assert not [each for each in pairs if each.ours is None]


def test_a_busy_number_with_a_clock_off_is_matched_as_a_whole():
    """2,000 calls, of which 1,200 of both books are within the tolerance of each other at every moment."""
    ours = [sent(each * 0.1) for each in range(2_000)]
    theirs = [billed(each.at / 1_000 + 30, line=line) for line, each in enumerate(ours, 1)]
    assert all(each.ours and each.theirs for each in Matcher(60_000, 2_000).pairs(ours, theirs))


def books(calls: list[tuple[bool, float, int]]) -> tuple[list[SentCall], list[BilledCall]]:
    """Return both books of calls: whether we have sent it, its start and its length in seconds."""
    calls = sorted(calls, key=lambda call: call[1])
    ours = [sent(at_s, seconds=seconds) for is_ours, at_s, seconds in calls if is_ours]
    rows = [(at_s, seconds) for is_ours, at_s, seconds in calls if not is_ours]
    theirs = [billed(at_s, seconds=seconds, line=line) for line, (at_s, seconds) in enumerate(rows, 1)]
    return ours, theirs


def settled(ours: list[SentCall], theirs: list[BilledCall], most: int) -> list[CallPair]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(matching, "GROUP_MAX", most)
        found = Matcher(3_000, 2_000).pairs(ours, theirs)
        return sorted(
            found, key=lambda pair: (pair.ours.at if pair.ours else -1, pair.theirs.line if pair.theirs else 0)
        )


LENGTHS = st.sampled_from([10, 11, 60, 300])
CLUSTERS = st.lists(
    st.lists(st.tuples(st.booleans(), st.floats(0.1, 4.9), LENGTHS), min_size=2, max_size=6), min_size=8, max_size=20
)


@given(CLUSTERS)
def test_calls_that_no_later_call_can_touch_are_settled_in_parts_as_all_together(clusters):
    """Calls that the vendor does not bill join all to one group; no row is within the tolerance of another cluster."""
    calls = [(is_ours, 20 * place + at, length) for place, each in enumerate(clusters) for is_ours, at, length in each]
    between = (20 * place + at for place in range(len(clusters)) for at in (0, 5, 8, 11, 14, 17))
    ours, theirs = books([*calls, *((True, at, 60) for at in between)])
    assert settled(ours, theirs, 20) == settled(ours, theirs, 10_000)


@given(st.lists(st.tuples(st.floats(0.4, 1), st.floats(-1, 1), st.integers(0, 9)), min_size=80, max_size=120))
def test_a_call_and_its_row_find_each_other_in_a_group_that_does_not_end(calls):
    """A call has its row a second away at most, each of a length of its own; of some one book has nothing."""
    at, sides, both = 10.0, [], set()
    for number, (gap, late, lacking) in enumerate(calls):
        at += gap
        sides += [(is_ours, at + late * (not is_ours), 10 * number) for is_ours in (True, False) if lacking != is_ours]
        both |= {10_000 * number} if lacking > 1 else set()
    found = settled(*books(sides), 40)
    assert len([each for each in found if each.ours]) == sum(is_ours for is_ours, *_ in sides)
    assert len([each for each in found if each.theirs]) == sum(not is_ours for is_ours, *_ in sides)
    pairs = {(each.ours.duration_ms, each.theirs.duration_ms) for each in found if each.ours and each.theirs}
    assert {(length, length) for length in both} <= pairs


def test_random_books_without_faults_match_as_a_whole():
    source = random.Random(7)
    numbers = [f"4420{each}" for each in range(40)]
    ours, theirs = [], []
    for each in range(600):
        at, number, seconds = each * 0.9, source.choice(numbers), source.choice([7, 60, 185])
        ours.append(sent(at, number, seconds=seconds))
        theirs.append(billed(at + source.uniform(-1, 1), number, seconds=seconds + source.uniform(-0.9, 0.9)))
    theirs.sort(key=lambda call: call.at)
    assert all(each.ours and each.theirs for each in Matcher(3_000, 2_000).pairs(ours, theirs))
