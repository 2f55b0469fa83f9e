"""Mappings of the last catalogue with what has changed (ADR 60).

Calls go on by the last one, so it stays as it is. A large one is not copied: to count a reference to each of 100,000
keys and values takes the interpreter 25 to 50 ms while calls use the processor's caches.
"""

from collections.abc import Hashable, ItemsView, Iterator, Mapping, Set, ValuesView
from itertools import chain, compress, filterfalse
from operator import not_
from typing import Any, Final, TypeVar

from vosd.base.parts import in_parts

LARGE: Final = 4_096
"""Entries of a mapping from which on it is not copied."""
EDITS_MAX: Final = 2_048
"""Entries that differ, from which on it is copied all the same."""

Key = TypeVar("Key", bound=Hashable)
Thing = TypeVar("Thing")


def edited(before: Mapping[Key, Thing], without: Set[Key], things: Mapping[Key, Thing]) -> Mapping[Key, Thing]:
    """Return a mapping without some keys, and with others; these come last in its order."""
    if not things and not any(key in before for key in without):
        return before
    if isinstance(before, Edited):
        return before.edited(without, things)
    if isinstance(before, dict) and len(before) >= LARGE:
        return Edited(before, frozenset(), {}).edited(without, things)
    made = dict(before)
    for key in without:
        made.pop(key, None)
    made.update(things)
    return made


class Edited(Mapping[Key, Thing]):
    """A mapping that shares all but some entries with a large one, which never changes."""

    __slots__ = ("_base", "_hidden", "_later")

    def __init__(self, base: dict[Key, Thing], hidden: frozenset[Key], later: dict[Key, Thing]) -> None:
        self._base = base
        self._hidden = hidden
        """Keys of the base that are gone or have another value."""
        self._later = later

    def edited(self, without: Set[Key], things: Mapping[Key, Thing]) -> Mapping[Key, Thing]:
        """Return it without some keys, and with others."""
        base = self._base
        later = {key: thing for key, thing in self._later.items() if key not in without and key not in things}
        later.update(things)
        hidden = self._hidden.union((key for key in without if key in base), (key for key in things if key in base))
        made = Edited(base, hidden, later)
        return made if len(later) + len(hidden) <= EDITS_MAX else made.copied()

    def copied(self) -> dict[Key, Thing]:
        """Return a copy, made in parts."""
        made: dict[Key, Thing] = {}
        for part in in_parts(self.items()):
            made.update(part)
        return made

    def __getitem__(self, key: Key) -> Thing:
        """Return what is under a key; raises KeyError where there is nothing."""
        later = self._later
        if key in later:
            return later[key]
        if key in self._hidden:
            raise KeyError(key)
        return self._base[key]

    def get(self, key: Key, default: Any = None) -> Any:
        """Return what is under a key, else ``default``."""
        later = self._later
        if key in later:
            return later[key]
        return default if key in self._hidden else self._base.get(key, default)

    def __contains__(self, key: object) -> bool:
        return key in self._later or (key in self._base and key not in self._hidden)

    def __len__(self) -> int:
        return len(self._base) - len(self._hidden) + len(self._later)

    def __iter__(self) -> Iterator[Key]:
        return chain(filterfalse(self._hidden.__contains__, self._base), self._later)

    def values(self) -> ValuesView[Thing]:
        """Return all values."""
        return _Values(self)

    def items(self) -> ItemsView[Key, Thing]:
        """Return all keys and values."""
        return _Items(self)

    def shown(self) -> Iterator[bool]:
        """Yield of each entry of the base whether it holds."""
        return map(not_, map(self._hidden.__contains__, self._base))

    def each_value(self) -> Iterator[Thing]:
        """Yield the values."""
        return chain(compress(self._base.values(), self.shown()), self._later.values())

    def each_item(self) -> Iterator[tuple[Key, Thing]]:
        """Yield the keys and values."""
        return chain(compress(self._base.items(), self.shown()), self._later.items())


class _Values(ValuesView[Thing]):
    """The values; all are passed over without a call of Python for each."""

    _mapping: Edited[Any, Thing]

    def __iter__(self) -> Iterator[Thing]:
        return self._mapping.each_value()


class _Items(ItemsView[Key, Thing]):
    _mapping: Edited[Key, Thing]

    def __iter__(self) -> Iterator[tuple[Key, Thing]]:
        return self._mapping.each_item()
