"""Texts of many things as one, in which those that have a part are found without a look at each."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import groupby
from typing import Final, NamedTuple

_BETWEEN: Final = "\t"
_END: Final = "\n"
_LAST: Final = "\U0010ffff"


class Searched(NamedTuple):
    """The texts of one thing."""

    name: str
    shown: str = ""
    """Texts beside its name that all may know who see the thing."""
    inner: str = ""
    """Texts of which agents and customers learn nothing."""


class SearchText:
    """Names by a part of the texts of what they name, whether letters are capital or small.

    One of a hundred thousand is found in some milliseconds.
    """

    def __init__(self, things: Iterable[Searched]) -> None:
        """Put the texts together; a name that is a range of numbers (``4420-4429``) has each number of it."""
        self._names: list[str] = []
        self._begins = array("Q")
        self._inner = array("Q")
        """Begin of the inner texts of each thing."""
        lines: list[str] = []
        length = 0
        for name, shown, inner in sorted(things):
            line = _line(f"{name}{_BETWEEN}{shown}")
            self._names.append(name)
            self._begins.append(length)
            self._inner.append(length + len(line))
            if inner:
                line += _BETWEEN + _line(inner)
            lines.append(line)
            length += len(line) + len(_END)
        self._text = _END.join((*lines, ""))
        self._ranges = sorted(each for each in map(_range_of, self._names) if each is not None)

    def having(self, part: str, after: str = "") -> Iterator[str]:
        """Yield the names of what has a part, in order, those behind one."""
        found = merge(self._within(_line(part), after), self._with_number(part, after))
        return (name for name, _ in groupby(found))

    def has(self, name: str, part: str, *, is_inner: bool) -> bool:
        """Return whether a thing has a part, in its inner texts, too, or in what all may know of it."""
        place = bisect_left(self._names, name)
        if place == len(self._names) or self._names[place] != name:
            return False
        end = self._text.find(_END, self._begins[place]) if is_inner else self._inner[place]
        return self._text.find(_line(part), self._begins[place], end) >= 0 or name in self._with_number(part, "")

    def _within(self, wanted: str, after: str) -> Iterator[str]:
        place = bisect_right(self._names, after) if after else 0
        while place < len(self._names):
            at = self._text.find(wanted, self._begins[place])
            if at < 0:
                return
            place = bisect_right(self._begins, at)
            yield self._names[place - 1]

    def _with_number(self, number: str, after: str) -> Iterator[str]:
        """Yield the range that a number is in; no two have one."""
        if not (number.isascii() and number.isdecimal()):
            return
        place = bisect_right(self._ranges, (len(number), number, _LAST))
        if place > 0:
            digits, first, last = self._ranges[place - 1]
            if digits == len(number) and number <= last and (name := f"{first}-{last}") > after:
                yield name


def _line(text: str) -> str:
    return text.replace(_END, " ").lower()


def _range_of(name: str) -> tuple[int, str, str] | None:
    first, dash, last = name.partition("-")
    is_range = dash and first.isdecimal() and last.isdecimal() and len(first) == len(last)
    return (len(first), first, last) if is_range else None
