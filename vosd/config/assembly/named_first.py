"""One warning about many objects: it stands at the first of them, and names a few."""

from collections.abc import Collection, Iterable
from heapq import nsmallest
from operator import attrgetter
from typing import Any, Final, NamedTuple

from vosd.catalogue.problems import SourceLine
from vosd.catalogue.source import Definition

_NAMED_MAX: Final = 5
"""Objects that a warning names."""


class NamedFirst(NamedTuple):
    """The first of many objects."""

    place: SourceLine
    """Place of the key that the warning is about."""
    key: str
    named: str
    """The names of the first objects, as messages call them."""
    others: str
    """The number of the others as the end of a sentence; empty = there are none."""


def named_first(found: Iterable[tuple[str, Collection[Definition[Any]]]]) -> NamedFirst | None:
    """Return the first objects by name, list by list; None where there are none.

    Each list is given with the key that the warning is about.
    """
    lists = [*found]
    number = sum(len(these) for _, these in lists)
    if not number:
        return None
    first = [(each, key) for key, these in lists for each in nsmallest(_NAMED_MAX, these, attrgetter("label"))]
    named = ", ".join(each.label for each, _ in first[:_NAMED_MAX])
    others = f" and {number - _NAMED_MAX} others" if number > _NAMED_MAX else ""
    definition, key = first[0]
    return NamedFirst(*definition.at(key), named, others)
