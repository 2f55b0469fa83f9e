"""Calls of ours of whose number the beginning alone is known, and the rows of a vendor's file that are theirs."""

from decimal import Decimal
from random import Random
from time import process_time

import msgspec
import pytest

from vosd.clearing.beginnings import BeginningPairing
from vosd.clearing.calls import BilledCall, SentCall, comparable_beginning

TOLERANCE_MS = 3_000


def sent(at: int, number: str, seconds: int = 60, billed: int | None = None, setup_ms: int = 0) -> SentCall:
    return SentCall(
        at, number, f"{at}/{number}", "", 1_000 * seconds, setup_ms + 1_000 * seconds,
        seconds if billed is None else billed, Decimal(1), number, "", at, number,
    )  # fmt: skip


def row(at: int, number: str, seconds: int = 60, line: int = 0) -> BilledCall:
    return BilledCall(at, number, line, "", 1_000 * seconds, None, Decimal(1))


def paired(ours: list[SentCall], rows: list[BilledCall], early_ms: int = 4_000) -> dict[int, int]:
    """Return the lines of the rows by the places of their calls."""
    pairing = BeginningPairing(ours, early_ms, 4_000, TOLERANCE_MS, 2_000)
    accepted = [pairing.add(each) for each in rows]
    assert sum(accepted) == len(pairing.rows)
    return {place: each.line for place, each in pairing.rows.items()}


@pytest.mark.parametrize(
    ("prefix", "strip", "beginning"),
    [
        ("44", (), "44"),
        ("+44", ("99",), "44"),
        ("0044", ("99",), "44"),
        ("9944", ("99",), "44"),
        ("*", (), ""),
        ("*", ("99",), ""),
        ("99", ("99",), ""),
        ("4", ("44",), ""),
        ("442", ("44",), "2"),
        ("990", ("99",), ""),
        ("0", (), ""),
        ("", (), ""),
    ],
)
def test_the_prefix_of_a_rate_says_the_beginning_of_a_number_unless_it_may_be_taken_off(
    prefix: str, strip: tuple[str, ...], beginning: str
) -> None:
    assert comparable_beginning(prefix, strip) == beginning


def test_rows_of_one_number_and_length_that_are_billed_twice_are_told_by_the_nearest_that_has_a_call() -> None:
    """A vendor that bills each of 20,000 calls twice costs a look at the nearest row each, not at all of them."""
    apart_ms, calls = 10_000, 20_000
    ours = [sent(apart_ms * number, "44") for number in range(calls)]
    pairing = BeginningPairing(ours, 4_000, 4_000, TOLERANCE_MS, 2_000)
    rows = [row(apart_ms * number, "4420") for number in range(calls)]
    Random(1).shuffle(rows)
    assert all(pairing.add(each) for each in rows)
    began = process_time()
    assert all(pairing.repeats(row(each.at + TOLERANCE_MS, "4420")) for each in rows)
    assert not any(pairing.repeats(row(each.at + TOLERANCE_MS + 1, "4420")) for each in rows)
    assert process_time() - began < 5, "seconds of the processor"


def test_a_row_that_may_mean_two_times_is_told_by_either() -> None:
    hour = 3_600_000
    pairing = BeginningPairing([sent(hour, "44")], 4_000, 4_000, TOLERANCE_MS, 2_000)
    assert pairing.add(row(hour, "4420"))
    twice = msgspec.structs.replace(row(0, "4420"), again_ms=hour)
    assert pairing.repeats(twice)
    assert not pairing.repeats(msgspec.structs.replace(twice, again_ms=-hour))
    assert not pairing.repeats(row(hour, "4421"))


def test_a_row_takes_the_call_of_the_longest_beginning_however_near_another_is() -> None:
    ours = [sent(0, ""), sent(0, "44"), sent(900, "4420")]
    assert [paired(ours, [row(0, number, line=9)]) for number in ("4420794", "447700")] == [{2: 9}, {1: 9}]
    assert paired(ours, [row(0, "4420794", line=1), row(0, "447700", line=2), row(0, "33", line=3)]) == {
        2: 1,
        1: 2,
        0: 3,
    }


def test_a_row_gives_its_call_to_one_that_has_no_other() -> None:
    ours = [sent(0, "44"), sent(3_900, "44")]
    assert paired(ours, [row(2_000, "4420", line=1), row(6_000, "4421", line=2)]) == {0: 1, 1: 2}


def test_a_row_may_have_the_length_or_the_billed_seconds() -> None:
    ours = [sent(0, "44", 61, 120), sent(0, "44", 119)]
    assert paired(ours, [row(0, "4420", 120, 1), row(0, "4420", 120, 2), row(0, "4420", 90, 3)]) == {0: 1, 1: 2}


def test_a_call_that_had_ended_before_a_row_is_not_its_call() -> None:
    short, long = 1_000, 60_000
    for setups, place in (((short, long), 1), ((long, short), 0)):
        ours = [sent(at, "44", 5, setup_ms=setup_ms) for at, setup_ms in enumerate(setups)]
        assert paired(ours, [row(30_000, "4420", 5, 1)], early_ms=3_600_000) == {place: 1}


@pytest.mark.parametrize(("first", "second", "place"), [(0, 3_000, 1), (1_000, 3_500, 0), (2_500, 3_000, 0)])
@pytest.mark.parametrize("seconds", [60, 61])
def test_a_row_takes_the_nearest_call_before_or_after_it(first: int, second: int, place: int, seconds: int) -> None:
    ours = [sent(first, "44", 60), sent(second, "44", seconds)]
    assert paired(ours, [row(2_000, "4420", 60, 1)]) == {place: 1}


@pytest.mark.parametrize("seed", range(60))
def test_as_many_rows_as_possible_have_a_call(seed: int) -> None:
    random = Random(seed)
    ours = sorted(
        (
            sent(
                1_000 * random.randrange(12),
                random.choice(("", "4", "44", "442")),
                random.choice((1, 4)),
                6,
                1_000 * random.randrange(4),
            )
            for _ in range(random.randrange(2, 24))
        ),
        key=lambda call: call.at,
    )
    rows = sorted(
        (
            row(
                1_000 * random.randrange(12), random.choice(("441", "4421", "33", "45")), random.choice((1, 3, 6)), line
            )
            for line in range(random.randrange(2, 24))
        ),
        key=lambda call: call.at,
    )
    found = paired(ours, rows, early_ms=8_000)
    by_line = {each.line: each for each in rows}
    assert all(_fits(ours[place], by_line[line]) for place, line in found.items())
    assert len(found) == len(set(found.values())) == _most(ours, rows)


def _fits(ours: SentCall, theirs: BilledCall) -> bool:
    return (
        theirs.number.startswith(ours.number)
        and -8_000 <= ours.at - theirs.at <= 4_000
        and theirs.at <= ours.started_at + ours.from_invite_ms + TOLERANCE_MS
        and (abs(ours.duration_ms - theirs.duration_ms) <= 2_000 or theirs.duration_ms == 1_000 * ours.billed_seconds)
    )


def _most(ours: list[SentCall], rows: list[BilledCall]) -> int:
    """Return the most pairs there can be, by trying to move each call in turn."""
    owner: dict[int, int] = {}

    def placed(mine: int, seen: set[int]) -> bool:
        for other, theirs in enumerate(rows):
            if other not in seen and _fits(ours[mine], theirs):
                seen.add(other)
                if other not in owner or placed(owner[other], seen):
                    owner[other] = mine
                    return True
        return False

    return sum(placed(mine, set()) for mine in range(len(ours)))
