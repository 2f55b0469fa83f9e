"""Patterns of numbers: an exact number, or a prefix with a trailing ``*`` (docs/routing.md).

Numbers are compared without their leading ``+``. What is no number is compared as text.
"""

import re
from collections.abc import Iterable
from typing import Final

from vosd.base.number import for_matching, without_separators

ANY_REST: Final = "*"
"""Ends a prefix."""
NO_CALLER: Final = "anonymous"
"""The text as which a caller without a number is compared."""
_PATTERN: Final = re.compile(r"[0-9A-Za-z*#._-]{1,64}\Z")


def is_pattern(text: str) -> bool:
    """Return whether a text may stand in a list of patterns: letters, digits, ``*#._-``, at most 64 of them."""
    return bool(_PATTERN.match(text))


def has_separators(pattern: str) -> bool:
    """Return whether a pattern is written as a number with visual separators, without which numbers are compared."""
    return ("-" in pattern or "." in pattern) and without_separators(pattern) != pattern


def compared_caller(caller: str) -> str:
    """Return a calling number as patterns compare it: one that is empty or withheld as ``anonymous``."""
    number = for_matching(caller)
    return NO_CALLER if not number or number.lower() == NO_CALLER else number


class PatternSet:
    """Patterns, each found by its text: a look-up does not go through the list."""

    __slots__ = ("_lengths", "_positions")

    def __init__(self, patterns: Iterable[str]) -> None:
        self._positions: dict[str, int] = {}
        """By pattern as written, its place in the list."""
        for pattern in patterns:
            self._positions.setdefault(pattern, len(self._positions))
        prefixes = (each for each in self._positions if each.endswith(ANY_REST))
        self._lengths = tuple(sorted({len(prefix) - len(ANY_REST) for prefix in prefixes}))
        """Length of the prefixes, without the ``*``."""

    def __len__(self) -> int:
        return len(self._positions)

    def __contains__(self, number: str) -> bool:
        """Return whether any pattern fits a number that has no leading ``+``."""
        positions = self._positions
        return number in positions or any(f"{number[:length]}*" in positions for length in self._lengths)

    def first_hit(self, number: str) -> str | None:
        """Return the first pattern of the list that fits, or None."""
        positions = self._positions
        written = [number, *(f"{number[:length]}*" for length in self._lengths)]
        return min((each for each in written if each in positions), key=positions.__getitem__, default=None)

    def pattern_of(self, number: str) -> str | None:
        """Return the pattern that is the whole number, perhaps with ``*`` behind it, or None."""
        return next((each for each in (number, f"{number}{ANY_REST}") if each in self._positions), None)
