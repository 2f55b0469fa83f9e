"""Mappings of the last catalogue with what has changed: a copy, as calls go on by the last one (ADR 60)."""

from collections.abc import Mapping, Set
from typing import TypeVar

from vosd.base.parts import give_way

Thing = TypeVar("Thing")


def edited(before: Mapping[str, Thing], without: Set[str], things: Mapping[str, Thing]) -> Mapping[str, Thing]:
    """Return a mapping without some names, and with others; their order is open.

    A copy is one call of the interpreter, of 2 ms for 100,000 entries. In parts, or in another order, it takes 20 to 50
    times as long, in which calls share the interpreter with it.
    """
    if not things and not any(name in before for name in without):
        return before
    made = dict(before)
    for name in without:
        made.pop(name, None)
    made.update(things)
    give_way()
    return made
