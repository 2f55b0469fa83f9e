"""Named lists of patterns, with up to tens of millions of exact numbers.

An exact number of up to 15 digits (the longest of E.164) is kept as one double with a 1 in front, for its leading
zeros: whole numbers below 2^53 are exact, they are sorted and searched faster than integers, and take 8 bytes each.
Prefixes, longer numbers and text are a ``PatternSet``.
"""

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final, NamedTuple

from vosd.routing.patterns import PatternSet, has_separators, is_pattern

_DIGITS_MAX: Final = 15
_MARK: Final = b"1"
"""In front of each number, for its leading zeros."""
_LONGEST: Final = 2.0 * 10**_DIGITS_MAX
"""Packed numbers are below this."""
_EMPTY: Final = 1.0
"""The packed form of an empty line."""
_DIGITS_AND_LINES: Final = b"0123456789\n"
_UNUSUAL: Final = re.compile(rb"^(?![0-9]{1,15}$).*\n?", re.MULTILINE)
"""A line that is not one exact number alone."""
COMMENT: Final = b"#"
UNUSABLE_MAX: Final = 100
"""Unusable lines that are reported."""
_DOUBLE: Final = "d"


class UnusableLine(NamedTuple):
    """A line of a file that is no pattern."""

    number: int
    """Counted from 1."""
    text: str


class PackedLines(NamedTuple):
    """The content of a file of patterns."""

    numbers: "array[float]"
    """Sorted."""
    others: list[str]
    """The other patterns, in the order of the file."""
    unusable: list[UnusableLine]


class NumberList:
    """One list; equal content has an equal ``version``."""

    __slots__ = ("__weakref__", "_numbers", "_others", "separated", "version")

    def __init__(self, numbers: "array[float]", others: Collection[str], version: str) -> None:
        """``numbers`` are packed and sorted."""
        self._numbers = numbers
        self._others = PatternSet(others)
        self.separated = next(filter(has_separators, others), None)
        """The first pattern that is written as a number with visual separators, and fits none."""
        self.version = version

    def __len__(self) -> int:
        """Return how many patterns there are, repeated numbers counted again."""
        return len(self._numbers) + len(self._others)

    def __contains__(self, number: str) -> bool:
        """Return whether a number without leading ``+`` is in the list, or any prefix of the list fits it."""
        return self._is_packed(number) or number in self._others

    def has_whole(self, number: str) -> bool:
        """Return whether a pattern of the list is the whole number, perhaps with ``*`` behind it."""
        return self._is_packed(number) or self._others.pattern_of(number) is not None

    def _is_packed(self, number: str) -> bool:
        if len(number) <= _DIGITS_MAX and number.isdigit() and number.isascii():
            numbers, wanted = self._numbers, float(f"1{number}")
            position = bisect_left(numbers, wanted)
            if position < len(numbers) and numbers[position] == wanted:
                return True
        return False


def packed(patterns: Iterable[str]) -> PackedLines:
    """Pack patterns that are valid."""
    text = "\n".join(patterns).encode()
    return pack_lines(iter((text, b"")).__next__)


def pack_lines(read: Callable[[], bytes]) -> PackedLines:
    """Pack a file of one pattern a line; ``read`` returns its next block, empty at the end.

    Empty lines and lines that begin with ``#`` are left out. Whole blocks are split and converted at once, since a loop
    over ten million lines would take minutes.
    """
    packing, rest = _Packing(), b""
    while block := read():
        whole, newline, tail = (rest + block).rpartition(b"\n")
        packing.add(whole + newline)
        rest = tail
    packing.add(rest)
    return packing.finished()


class _Packing:
    """The lines packed so far."""

    def __init__(self) -> None:
        self._numbers = array(_DOUBLE)
        self._others: list[str] = []
        self._unusable: list[UnusableLine] = []
        self._lines = 0

    def add(self, lines: bytes) -> None:
        """Pack whole lines."""
        count = lines.count(b"\n")
        lines = lines.replace(b"\r\n", b"\n").removeprefix(b"+").replace(b"\n+", b"\n")
        if lines.translate(None, _DIGITS_AND_LINES) or not self._packs(lines):
            self._packs(_UNUSUAL.sub(self._note, lines))
        self._lines += count

    def _packs(self, lines: bytes) -> bool:
        """Pack lines of digits; False: one is too long, and none is packed."""
        packed = array(_DOUBLE, map(float, (_MARK + lines.replace(b"\n", b"\n" + _MARK)).split()))
        if packed and max(packed) >= _LONGEST:
            return False
        self._numbers += packed
        return True

    def _note(self, line: "re.Match[bytes]") -> bytes:
        """Keep a line that is no number to pack; return what is packed in its place."""
        raw = line[0].strip().removeprefix(b"+")
        if raw.isdigit() and len(raw) <= _DIGITS_MAX:
            return raw + b"\n"
        if raw and not raw.startswith(COMMENT):
            text = raw.decode("utf-8", "replace")
            if is_pattern(text):
                self._others.append(text)
            elif len(self._unusable) < UNUSABLE_MAX:
                number = self._lines + 1 + line.string.count(b"\n", 0, line.start())
                self._unusable.append(UnusableLine(number, text))
        return b""

    def finished(self) -> PackedLines:
        """Return everything, sorted."""
        numbers = self._numbers.tolist()
        self._numbers = array(_DOUBLE)
        numbers.sort()
        del numbers[: bisect_right(numbers, _EMPTY)]
        return PackedLines(array(_DOUBLE, numbers), self._others, self._unusable)


def unpacked(numbers: Iterable[float]) -> Iterator[str]:
    """Yield packed numbers as text."""
    return (f"{number:.0f}"[1:] for number in numbers)
