"""Prefixes with wildcards: ``?`` is any digit, as on the left side of a rewriting rule (docs/routing.md)."""

from collections.abc import Iterable, Iterator
from typing import Final, Generic, TypeVar

WILDCARD: Final = "?"
_DIGITS: Final = frozenset("0123456789")

Value = TypeVar("Value")


def has_wildcard(prefix: str) -> bool:
    """Return whether a prefix fits more than one beginning of a number."""
    return WILDCARD in prefix


class WildcardIndex(Generic[Value]):
    """Values by prefix with wildcards; the cost of a look-up grows with the shapes of prefixes, not with their number.

    The shape is the length and the positions of the wildcards.
    """

    __slots__ = ("_shapes",)

    def __init__(self, entries: Iterable[tuple[str, Value]]) -> None:
        shapes: dict[tuple[int, ...], dict[str, tuple[str, Value]]] = {}
        for prefix, value in entries:
            places = tuple(place for place, character in enumerate(prefix) if character == WILDCARD)
            plain = prefix.replace(WILDCARD, "")
            shapes.setdefault((len(prefix), *places), {})[plain] = prefix, value
        self._shapes = sorted(shapes.items(), key=lambda each: -each[0][0])
        """The longest prefixes first, then as given."""

    def __bool__(self) -> bool:
        return bool(self._shapes)

    def every(self, number: str) -> Iterator[tuple[str, Value]]:
        """Yield (prefix, value) for every prefix that fits ``number``, the longest first."""
        for (length, *places), values in self._shapes:
            if length > len(number) or any(number[place] not in _DIGITS for place in places):
                continue
            plain, begin = "", 0
            for place in places:
                plain, begin = plain + number[begin:place], place + 1
            found = values.get(plain + number[begin:length])
            if found is not None:
                yield found
