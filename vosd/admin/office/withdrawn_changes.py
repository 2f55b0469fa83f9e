"""Versions that put back what was in force before a change that the running switch has refused.

A version is never deleted, so a change is withdrawn by further ones. One is withdrawn only for a mistake in its own
objects: a mistake elsewhere would keep it out of force as well, and is not its fault.
"""

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

import msgspec

from vosd.admin.office.principal import Principal
from vosd.admin.office.untaken_versions import UntakenVersions
from vosd.catalogue.stored_objects import KINDS, ObjectVersion, in_force_at

MEMO: Final = "the running switch did not take the version before"
_WARNING: Final = "warning: "
_KIND: Final = "|".join(KINDS)
_PLACE: Final = re.compile(
    rf"(?:({_KIND}) (.+?)|[^:]*/({_KIND}) ([^/]+?)) \(version (\d+)\) in the database: (.*)", re.DOTALL
)
"""Place of a mistake: with the name as it is, or in quotes behind a directory, where no name has a slash."""


class WithdrawChange(msgspec.Struct, frozen=True):
    """The withdrawal of a change that the running switch has refused; the audit names it beside the change.

    It has the terms that the line of every change has.
    """

    why: tuple[str, ...]
    """Reasons of the switch."""
    beside: tuple[str, ...] = ()
    """Versions of others that are withdrawn, too, each with who has made it: the refused one was made on top of it."""
    at: None = None
    """It holds at once."""
    memo: str = MEMO


def has_mistake(refused: Sequence[ObjectVersion], problems: Iterable[str]) -> bool:
    """Return whether a problem of the running switch is a mistake in one of the versions that a change has made."""
    places = [place for each in refused for place in _places(each)]
    return any(_is_mistake_at(place, problem) for problem in problems for place in places)


def _places(version: ObjectVersion) -> Set[str]:
    """Return a version as problems name it, also where an account is looked up by the place that it was read from."""
    return {
        f"{version.kind} {name} (version {version.version}) in the database: "
        for name in (version.name, quote(version.name, safe=""))
    }


def _is_mistake_at(place: str, problem: str) -> bool:
    before, found, behind = problem.partition(place)
    is_place = not before or (before.endswith("/") and ": " not in before)
    return bool(found) and is_place and not behind.startswith(_WARNING)


def objects_at_fault(problems: Iterable[str]) -> Mapping[tuple[str, str], int]:
    """Return the objects of the database in which problems of the running switch are, with their versions."""
    at_fault: dict[tuple[str, str], int] = {}
    for problem in problems:
        found = _PLACE.match(problem)
        if found is not None:
            kind, name, quoted_kind, quoted, version, said = found.groups()
            if not said.startswith(_WARNING):
                at_fault[kind or quoted_kind, name or unquote(quoted)] = int(version)
    return at_fault


class PutBack(NamedTuple):
    """Versions that put back what was before a change."""

    made: Sequence[ObjectVersion]
    beside: Sequence[ObjectVersion]
    """Versions of other changes, on top of which the refused ones were made, and which are withdrawn with these."""


def put_back(
    refused: Sequence[ObjectVersion],
    histories: Mapping[tuple[str, str], Sequence[ObjectVersion]],
    untaken: UntakenVersions,
    who: Principal,
    now: int,
) -> PutBack | None:
    """Return the versions that put back what was before; None where one of the objects was changed since.

    An object gets none where a version that was planned has begun meanwhile: that one stays in force. Versions that the
    switch has not taken are not put back: the mistake may be theirs.
    ``histories`` have all versions of each object, ``now`` is UTC milliseconds.
    """
    made: list[ObjectVersion] = []
    beside: list[ObjectVersion] = []
    for each in refused:
        known = histories.get((each.kind, each.name), ())
        if any(other.version > each.version for other in known):
            return None
        begins_at = max(now, each.begins_at)
        in_force = in_force_at(known, begins_at)
        if in_force is None or in_force.version != each.version:  # its memo may have been cut where it was stored
            continue
        others = untaken.of(each.kind, each.name)
        earlier = [other for other in known if other.version != each.version and other.begins_at <= begins_at]
        before = in_force_at((other for other in earlier if other.version not in others), begins_at)
        beside += (other for other in earlier if before is None or other.place > before.place)
        made.append(
            ObjectVersion(
                kind=each.kind,
                name=each.name,
                version=each.version + 1,
                body=None if before is None else before.body,
                begins_at=begins_at,
                made_at=begins_at if each.begins_at <= each.made_at else now,  # what holds at once is put back at once
                operator=who.recorded,
                memo=MEMO,
            )
        )
    return PutBack(made, beside)
