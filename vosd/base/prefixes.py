"""Longest-prefix index, for routing and rates."""

import heapq
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final, Generic, TypeVar

ANY: Final = "*"
"""The prefix that matches every number with length zero."""

Value = TypeVar("Value")


def each_once(*ordered: Iterable[str]) -> Iterator[str]:
    """Yield the prefixes of several lists in order, each once; each list is in order."""
    return (prefix for prefix, _ in groupby(heapq.merge(*ordered)))


class PrefixIndex(Generic[Value]):
    """Values by number prefix; a look-up costs one dictionary probe for each distinct prefix length."""

    __slots__ = ("_cuts", "_lengths", "_values")

    def __init__(self, entries: Iterable[tuple[str, Value]] = ()) -> None:
        self._values: dict[str, Value] = {"" if prefix == ANY else prefix: value for prefix, value in entries}
        self._lengths = sorted({len(prefix) for prefix in self._values}, reverse=True)
        self._cuts = tuple(map(slice, self._lengths))
        """One for each length of a prefix, the longest first; made once, to save time in each look-up."""

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[tuple[str, Value]]:
        """Iterate over (prefix, value) in insertion order, the catch-all written as ``*``."""
        return ((prefix or ANY, value) for prefix, value in self._values.items())

    def longest(self, number: str) -> Value | None:
        """Return the value of the longest prefix of ``number``, or None if none matches."""
        values = self._values
        for cut in self._cuts:
            value = values.get(number[cut])
            if value is not None:  # a number shorter than the cut stays whole: what it finds fits all the same
                return value
        return None

    def every(self, number: str) -> Iterator[tuple[str, Value]]:
        """Yield (prefix, value) for every prefix of ``number``, the longest first."""
        for length in self._lengths:
            prefix = number[:length]
            if length <= len(number) and prefix in self._values:
                yield prefix or ANY, self._values[prefix]
