"""Sets of telephone numbers that are written as single numbers and ranges."""

from bisect import bisect_right
from collections.abc import Iterable


class NumberRanges:
    """Numbers in digits; ranges may overlap, and are searched by halves."""

    __slots__ = ("_first", "_last")

    def __init__(self, written: Iterable[str]) -> None:
        """``written`` are numbers in digits, or the first and the last one of a range with a hyphen."""
        self._first: list[tuple[int, str]] = []
        self._last: list[str] = []
        for length, first, last in sorted(map(_bounds, written)):
            if self._first and self._first[-1][0] == length and first <= self._last[-1]:
                self._last[-1] = max(self._last[-1], last)
            else:
                self._first.append((length, first))
                self._last.append(last)

    def __contains__(self, number: str) -> bool:
        at = bisect_right(self._first, (len(number), number)) - 1
        return at >= 0 and self._first[at][0] == len(number) and number <= self._last[at]


def _bounds(written: str) -> tuple[int, str, str]:
    first, _, last = written.partition("-")
    return len(first), first, last or first
