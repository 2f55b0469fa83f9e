"""Times of a file in another zone: named where most calls say so."""

from decimal import Decimal

import pytest

from vosd.clearing.calls import BilledCall, SentCall
from vosd.clearing.time_shift import TimeShift

HOUR_MS = 3_600_000


def shift_of(*shifts_ms: int, longer_ms: int = 900) -> int | None:
    """Return the shift that is found of calls whose times are so much after ours."""
    found = TimeShift(3_000, 2_000)
    for index, shift in enumerate(shifts_ms):
        at, ms = 600_000 * index, 10_000 * (index % 40 + 1)
        found.add_ours(SentCall(at, f"44{index % 7}", str(index), "", ms, ms, 0, Decimal(0), "", "", 0, ""))
        found.add_theirs(BilledCall(at + shift, f"44{index % 7}", index, "", ms + longer_ms, None, None))
    return found.found()


@pytest.mark.parametrize("shift", [2 * HOUR_MS, -HOUR_MS, 5 * HOUR_MS + 1_800_000, 5 * HOUR_MS + 2_700_000])
def test_a_shift_of_zones_is_found(shift):
    assert shift_of(*(shift + jitter for jitter in range(-1_000, 1_000, 100))) == shift


@pytest.mark.parametrize(("longer_ms", "shift"), [(2_000, HOUR_MS), (-2_000, HOUR_MS), (2_001, None)])
def test_calls_of_other_lengths_say_nothing_of_the_times(longer_ms, shift):
    assert shift_of(*[HOUR_MS] * 5, longer_ms=longer_ms) == shift


def test_calls_that_are_missing_beside_it_do_not_hide_it():
    assert shift_of(*[HOUR_MS + 200] * 20, *range(100_000, 800_000, 11_111)) == HOUR_MS


def test_nothing_stands_out_where_the_differences_are_any():
    assert shift_of(*range(60_000, 800_000, 17_777)) is None
    assert shift_of(*[HOUR_MS] * 4) is None
    assert shift_of() is None


def lacks_seconds(*starts_ms: tuple[int, int], longer_ms: int = 0) -> bool:
    """Return whether seconds are found to be lacking, of calls that began for us and in the file at these times."""
    found = TimeShift(3_000, 2_000)
    for index, (ours, theirs) in enumerate(starts_ms):
        found.add_ours(SentCall(ours, "44", str(index), "", 9_000, 9_000, 0, Decimal(0), "", "", 0, ""))
        found.add_theirs(BilledCall(theirs, "44", index, "", 9_000 + longer_ms, None, None))
    return found.lacks_seconds()


def test_starts_that_were_cut_off_to_whole_minutes_are_found():
    minutes = [HOUR_MS * number for number in range(5)]
    cut_off = [(at + 4_000 + 11_000 * number, at) for number, at in enumerate(minutes)]
    assert lacks_seconds(*cut_off)
    assert lacks_seconds(*cut_off, *((at + 600_000, at + 900_000) for at in minutes * 3))
    assert lacks_seconds(*cut_off, longer_ms=2_000)
    assert not lacks_seconds(*cut_off, longer_ms=2_001)
    assert not lacks_seconds(*cut_off[1:])
    assert not lacks_seconds(*cut_off[1:], (0, 0))
    assert not lacks_seconds(*cut_off, (HOUR_MS, HOUR_MS + 1_000))
    assert not lacks_seconds(*((at + 60_000, at) for at in minutes))
    assert not lacks_seconds(*((at, at + 60_000) for at in minutes))
    assert not lacks_seconds()
