"""Mappings of the last catalogue with what has changed: a copy, as calls go on by the last one (ADR 60)."""

from collections.abc import Mapping, Set
from itertools import islice
from typing import TypeVar

from vosd.base.parts import copied, put
from vosd.catalogue.source import Change

Thing = TypeVar("Thing")


def spliced(
    before: Mapping[str, Thing], change: Change, things: Mapping[str, Thing], number: int
) -> Mapping[str, Thing]:
    """Return what a catalogue has of one kind after a change, in the order of the source.

    ``things`` are new or other values, and the first ``number`` of ``before`` are of that kind.
    """
    names, replaced = [*change.names], [*change.before]
    if names == replaced and not things:
        return before
    if names == [name for name in replaced if name not in change.gone]:
        made = copied(before)
    elif change.begin + len(replaced) == number == len(before):
        made = copied(before)
        for name in replaced:
            del made[name]
    else:
        made = {}
        put(made, islice(before.items(), change.begin))
        made.update((name, things[name] if name in things else before[name]) for name in names)
        put(made, before.items())
    made.update((name, things[name] if name in things else before[name]) for name in names)
    made.update(things)
    for name in change.gone:
        made.pop(name, None)
    return made


def edited(before: Mapping[str, Thing], without: Set[str], things: Mapping[str, Thing]) -> Mapping[str, Thing]:
    """Return a mapping without some names, and with others; their order is open."""
    if not things and not any(name in before for name in without):
        return before
    made = copied(before)
    for name in without:
        made.pop(name, None)
    made.update(things)
    return made
