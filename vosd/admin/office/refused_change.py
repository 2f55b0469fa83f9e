"""Mistakes of a change in brief: who uses what would end, and the same mistake of many objects once."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from vosd.catalogue.problems import ConfigError, DefinitionProblem, Severity
from vosd.catalogue.stored_objects import KINDS

if TYPE_CHECKING:
    from vosd.admin.office.ports import KeySheet, ObjectKindSheet
    from vosd.catalogue.stored_objects import ObjectVersion

_LABEL: Final = re.compile(r"(\w+)\[(.+?)\]\.([\w.\[\]]+)\Z")
"""Key of a problem: kind and name of the object, and the key in it."""
_INDEX: Final = re.compile(r"\[\d+\]")
_NAMED_AT_MOST: Final = 5
"""Objects that a message names."""


class _Place(NamedTuple):
    """Place of a problem in an object."""

    kind: str
    name: str
    path: str
    """The key, without its place in lists."""


def in_brief(
    error: ConfigError, versions: Collection["ObjectVersion"], keys: Callable[[str], "ObjectKindSheet"]
) -> ConfigError:
    """Return the mistakes of a change; ``versions`` are what it makes, ``keys`` returns the keys of a kind.

    References to what would end are one sentence with the first objects that use it: nothing was mistyped there. A
    mistake that is the same in objects that the change leaves as they are stands at the first one and names others.
    """
    changed = {(each.kind, each.name) for each in versions}
    ended = {(each.kind, each.name): each.source for each in versions if each.body is None}
    users: dict[tuple[str, str], list[_Place]] = {}
    same: dict[tuple[object, ...], list[tuple[DefinitionProblem, _Place]]] = {}
    rest: list[DefinitionProblem] = []
    for problem in error.problems:
        place = _place_of(problem)
        if problem.severity is Severity.WARNING or place is None:
            rest.append(problem)
            continue
        used = (_named_at(keys(place.kind).keys, place.path.split(".")), problem.value or "")
        if used in ended:
            users.setdefault(used, []).append(place)
        elif place[:2] in changed:
            rest.append(problem)
        else:
            same.setdefault((place.kind, place.path, problem.value, problem.expected), []).append((problem, place))
    still = [
        DefinitionProblem(*ended[used], "", None, f"that nothing uses it any more; it is used by {_uses(places)}")
        for used, places in users.items()
    ]
    if not users and all(len(each) == 1 for each in same.values()):
        return error
    first = chain.from_iterable(map(_together, same.values()))
    found = sorted((*rest, *still, *first), key=lambda each: each.severity is Severity.WARNING)
    return type(error)(found)


def _place_of(problem: DefinitionProblem) -> _Place | None:
    label = _LABEL.match(problem.key)
    if label is None or label[1] not in KINDS:
        return None
    return _Place(label[1], label[2], _INDEX.sub("", label[3]))


def _named_at(keys: Iterable["KeySheet"], path: Sequence[str]) -> str:
    """Return the kind of objects that a key names; empty = it names none."""
    found = next((each for each in keys if each.name == path[0]), None)
    if found is None:
        return ""
    return _named_at(found.keys, path[1:]) if path[1:] else found.names


def _uses(places: Iterable[_Place]) -> str:
    by_kind: dict[str, dict[str, None]] = {}
    for each in places:
        by_kind.setdefault(each.kind, {})[each.name] = None
    return ", ".join(_users(kind, [*names]) for kind, names in by_kind.items())


def _users(kind: str, names: Sequence[str]) -> str:
    label = _label(kind)
    if len(names) == 1:
        return f"{label.removesuffix('s')} {names[0]}"
    return f"{len(names):,} {label} ({_first(names)})"


def _label(kind: str) -> str:
    return "DIDs" if kind == "dids" else kind.replace("_", " ")


def _together(found: Sequence[tuple[DefinitionProblem, _Place]]) -> list[DefinitionProblem]:
    """Return the first of equal mistakes, and one that names others that have it."""
    (first, place), *others = found
    if not others:
        return [first]
    names = _first([each.name for _, each in others], _NAMED_AT_MOST - 1)
    also = f"the same of {len(others):,} more {_label(place.kind)}: {names}"
    return [first, DefinitionProblem(*first[:3], None, also)]


def _first(names: Sequence[str], most: int = _NAMED_AT_MOST) -> str:
    return ", ".join((*names[:most], *(("…",) if len(names) > most else ())))
