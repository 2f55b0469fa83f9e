"""Partners of one group, compared with all pairs that there may be."""

from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from vosd.clearing.calls import BilledCall, SentCall
from vosd.clearing.partners import Pairing

TOLERANCE_MS, LENGTH_TOLERANCE_MS = 3_000, 2_000
CALLERS = st.sampled_from(["", "49301", "49302"])
CALLS = st.lists(
    st.tuples(st.integers(0, 20).map(lambda step: 500 * step), st.sampled_from([0, 1_500, 3_400, 60_000]), CALLERS),
    max_size=12,
)
Edge = tuple[bool, bool, int, int, int]


def group(ours: list[tuple[int, int, str]], theirs: list[tuple[int, int, str]]):
    sent = [SentCall(at, "44", "", caller, ms, ms, 60, Decimal(1), "", "", 0, "") for at, ms, caller in sorted(ours)]
    rows = [BilledCall(at, "44", line, caller, ms, None, None) for line, (at, ms, caller) in enumerate(sorted(theirs))]
    return sent, rows


def edges(ours: list[SentCall], theirs: list[BilledCall]) -> list[Edge]:
    """Return all pairs within the tolerance, the best first."""
    return sorted(
        (
            abs(row.duration_ms - call.duration_ms) > LENGTH_TOLERANCE_MS,
            bool(row.caller) and row.caller != call.caller,
            abs(row.at - call.at),
            mine,
            other,
        )
        for mine, call in enumerate(ours)
        for other, row in enumerate(theirs)
        if abs(row.at - call.at) <= TOLERANCE_MS
    )


def most_pairs(pairs: list[tuple[int, int]]) -> int:
    """Return how many pairs can be made at most."""
    owners: dict[int, int] = {}

    def has_partner(mine: int, seen: set[int]) -> bool:
        for each, other in pairs:
            if each == mine and other not in seen:
                seen.add(other)
                if other not in owners or has_partner(owners[other], seen):
                    owners[other] = mine
                    return True
        return False

    return sum(has_partner(mine, set()) for mine in {mine for mine, _ in pairs})


def nearest_first(pairs: list[Edge]) -> dict[int, int]:
    found: dict[int, int] = {}
    for _, _, _, mine, other in pairs:
        if mine not in found and other not in found.values():
            found[mine] = other
    return found


@given(CALLS, CALLS)
def test_as_many_of_equal_length_as_possible_are_partners_and_the_nearest_where_these_are_as_many(ours, theirs):
    sent, rows = group(ours, theirs)
    pairs = edges(sent, rows)
    found = Pairing(sent, rows, TOLERANCE_MS, LENGTH_TOLERANCE_MS).find()
    equal = [each for each in pairs if not each[0]]
    made = [each for each in pairs if found.get(each[3]) == each[4]]
    assert len(made) == len(found) == len(set(found.values()))
    assert sum(not each[0] for each in made) == most_pairs([each[3:] for each in equal])
    assert not [each for each in pairs if each[3] not in found and each[4] not in found.values()]
    if len(nearest_first(equal)) == most_pairs([each[3:] for each in equal]):
        assert found == nearest_first(pairs)


@pytest.mark.parametrize(("mine_ms", "theirs_ms"), [(1_500, 3_400), (3_400, 1_500)])
def test_a_row_of_equal_length_is_taken_before_a_nearer_one_also_across_a_multiple_of_the_tolerance(mine_ms, theirs_ms):
    sent, rows = group([(5_000, mine_ms, "")], [(5_000, 60_000, ""), (6_000, theirs_ms, "")])
    assert Pairing(sent, rows, TOLERANCE_MS, LENGTH_TOLERANCE_MS).find() == {0: 1}


@pytest.mark.parametrize("later_ms", [-1_000, 0, 1_000])
def test_thousands_of_calls_may_begin_together(later_ms):
    """A number that many call at once, as that of a vote: each is compared with few rows, not with all of them."""
    compared = 0

    class Counted(Pairing):
        def _is_equal(self, *words):
            nonlocal compared
            compared += 1
            return super()._is_equal(*words)

    count = 2_000
    sent, rows = group(
        [(5_000, 60_000 + place, "") for place in range(count)], [(5_000 + later_ms, 61_000, "")] * count
    )
    found = Counted(sent, rows, 3_000, 2_000).find()
    assert len(found) == count
    assert compared < 100 * count


def test_thousands_of_calls_of_other_lengths_may_begin_together():
    """A column of lengths that was mapped wrongly: each call is compared with few rows, not with all of them."""
    looks = 0

    class Counted(Pairing):
        def _nearest(self, *words, **named):
            nonlocal looks
            looks += 1
            return super()._nearest(*words, **named)

    count = 1_000
    sent, rows = group(
        [(5_000, 60_000 + 7 * place % 97, "") for place in range(count)],
        [(5_000, 500_000 + 7_919 * place % 100_000, "") for place in range(count)],
    )
    assert len(Counted(sent, rows, 3_000, 2_000).find()) == count
    assert looks < 10 * count


def test_calls_that_begin_together_are_partners_by_the_nearest_lengths_though_none_is_equal():
    """As where the vendor counts from ringing on, in the order of its own bill."""
    sent, _ = group([(5_000, 60_000, ""), (5_000, 300_000, ""), (5_000, 600_000, "")], [])
    rows = [BilledCall(5_000, "44", line, "", ms, None, None) for line, ms in enumerate((606_000, 66_000, 306_000))]
    found = Pairing(sent, rows, TOLERANCE_MS, LENGTH_TOLERANCE_MS).find()
    assert {sent[ours].duration_ms: rows[other].duration_ms for ours, other in found.items()} == {
        60_000: 66_000,
        300_000: 306_000,
        600_000: 606_000,
    }


def test_all_lengths_of_one_time_are_compared_while_they_are_no_crowd():
    lengths = range(60_000, 60_000 + 64 * 7_000, 7_000)
    shuffled = [lengths[place * 37 % 64] for place in range(64)]
    sent, _ = group([(5_000, length, "") for length in lengths], [])
    rows = [BilledCall(5_000, "44", line, "", ms + 3_000, None, None) for line, ms in enumerate(shuffled)]
    found = Pairing(sent, rows, TOLERANCE_MS, LENGTH_TOLERANCE_MS).find()
    assert {rows[other].duration_ms - sent[ours].duration_ms for ours, other in found.items()} == {3_000}


def test_a_chain_of_changes_may_be_long():
    """The row before its own is nearer to each call, which leaves the first call without one."""
    starts = range(0, 6_000_000, 2_000)
    sent, rows = group([(at, 60_000, "") for at in starts], [(at + 1_100, 60_000, "") for at in starts])
    assert Pairing(sent, rows, 1_100, LENGTH_TOLERANCE_MS).find() == {place: place for place in range(len(starts))}
