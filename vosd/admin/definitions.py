"""Objects that the database defines: what is in force, what a change does, and every version there was.

Refuses to know how objects are written and validated: the caller passes what checks the configuration with a change.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

import msgspec

from vosd.base.errors import VosError
from vosd.catalogue.problems import is_secret
from vosd.catalogue.stored_objects import ObjectStore, ObjectVersion

HIDDEN = "(hidden)"
"""In place of a password."""


class NoSuchObjectError(VosError):
    """The database defines no such object, or has no such version of it."""


class Wanted(msgspec.Struct, frozen=True):
    """One object as it shall be."""

    kind: str
    name: str
    body: str | None
    """Keys and values as JSON; None = the database shall not define the object."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A change of objects; times are UTC milliseconds."""

    objects: Sequence[Wanted]
    operator: str
    now: int
    at: int | None = None
    """From when it holds; None = at once."""
    memo: str | None = None


class Action(Enum):
    """Kind of a change to one object."""

    DEFINED = "defined"
    CHANGED = "changed"
    ENDED = "ended"
    UNCHANGED = "unchanged"


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Effect of a change on one object."""

    kind: str
    name: str
    action: Action
    version: int | None
    """The version that it makes; None = it makes none."""
    begins_at: int
    keys: Mapping[str, tuple[Any, Any]]
    """Value before and after of each key that differs; None = it is left out. Secrets are hidden."""
    planned: tuple[int, ...] = ()
    """Versions that begin later and replace this one then."""


class Prepared(msgspec.Struct, frozen=True):
    """A change that was compared with what the database has."""

    differences: Sequence[Difference]
    versions: Sequence[ObjectVersion]
    """To be added."""


async def prepare(store: ObjectStore, order: Order) -> Prepared:
    """Compare what is wanted with what the database defines at the moment from which it shall hold.

    Raises:
        NoSuchObjectError: an object that shall end does not exist.
        StoreUnavailable: try again.
    """
    begins_at = order.now if order.at is None else order.at
    known = await _versions(store, order.objects)
    differences, added = [], []
    for each in order.objects:
        versions = known.get((each.kind, each.name), ())
        before = in_force_at(versions, begins_at)
        if each.body is None and (before is None or before.body is None):
            message = f"the database defines no {each.kind} {each.name}: see vosd definitions list {each.kind}"
            raise NoSuchObjectError(message)
        action = _action(before, each.body)
        version = None
        if action is not Action.UNCHANGED:
            version = max((one.version for one in versions), default=0) + 1
            added.append(_version(each, version, begins_at, order))
        differences.append(
            Difference(
                kind=each.kind,
                name=each.name,
                action=action,
                version=version,
                begins_at=begins_at,
                keys=differing(None if before is None else before.body, each.body),
                planned=tuple(one.version for one in versions if one.begins_at > begins_at),
            )
        )
    return Prepared(differences, added)


async def change(
    store: ObjectStore, order: Order, check: Callable[[Sequence[ObjectVersion]], object], *, is_dry: bool = False
) -> Prepared:
    """Put a change in force in one transaction, unless it is a trial or changes nothing.

    ``check`` validates the whole configuration with the change, and raises what is wrong with it.

    Raises:
        NoSuchObjectError: an object that shall end does not exist.
        ObjectsMoved: another change was made meanwhile; nothing was changed.
        ContentRefused: a name is too long; nothing was changed.
        StoreUnavailable: probably nothing was changed.
    """
    prepared = await prepare(store, order)
    if prepared.versions:
        check(prepared.versions)
        if not is_dry:
            await store.add(prepared.versions)
    return prepared


async def listed(store: ObjectStore, now: int, kind: str | None = None) -> Sequence[ObjectVersion]:
    """Return the objects in force, of one kind or of all.

    Raises:
        StoreUnavailable: try again.
    """
    found = (await store.current(now)).found
    return [each for each in found if each.body is not None and kind in {None, each.kind}]


async def history(store: ObjectStore, kind: str, name: str) -> Sequence[ObjectVersion]:
    """Return all versions of an object, newest first.

    Raises:
        NoSuchObjectError: there was never one.
        StoreUnavailable: try again.
    """
    versions = await store.history(kind, name)
    if not versions:
        message = f"the database has never defined {kind} {name}: see vosd definitions list {kind}"
        raise NoSuchObjectError(message)
    return versions


async def version_of(store: ObjectStore, kind: str, name: str, version: int | None, now: int) -> ObjectVersion:
    """Return one version of an object, None = the one in force.

    Raises:
        NoSuchObjectError: there is none.
        StoreUnavailable: try again.
    """
    versions = await history(store, kind, name)
    found = in_force_at(versions, now)
    if version is not None:
        found = numbered(versions, version)
    if found is None or found.body is None:
        which = "now" if version is None else f"by version {version}"
        message = f"the database does not define {kind} {name} {which}: see vosd definitions history {kind} {name}"
        raise NoSuchObjectError(message)
    return found


def numbered(versions: Sequence[ObjectVersion], version: int) -> ObjectVersion:
    """Return one of the versions of an object.

    Raises:
        NoSuchObjectError: there is none of that number.
    """
    for each in versions:
        if each.version == version:
            return each
    message = f"{versions[0].kind} {versions[0].name} has no version {version}; the newest is {versions[0].version}"
    raise NoSuchObjectError(message)


def in_force_at(versions: Iterable[ObjectVersion], at: int) -> ObjectVersion | None:
    """Return the version that began last; None = the object did not exist yet."""
    begun = [each for each in versions if each.begins_at <= at]
    return max(begun, key=lambda each: (each.begins_at, each.version), default=None)


def differing(before: str | None, after: str | None) -> dict[str, tuple[Any, Any]]:
    """Return the keys of two bodies that differ, with both values; secrets are hidden."""
    old, new = _keys(before), _keys(after)
    return {
        key: (hidden(key, old.get(key)), hidden(key, new.get(key)))
        for key in (*old, *(key for key in new if key not in old))
        if old.get(key) != new.get(key)
    }


def hidden(key: str, value: Any) -> Any:
    """Return a value to be shown: passwords are hidden at any depth."""
    if value is None:
        return None
    if isinstance(value, dict):
        return {name: hidden(name, each) for name, each in value.items()}
    if isinstance(value, list):
        return [hidden(key, each) for each in value]
    return HIDDEN if is_secret(key) else value


def _keys(body: str | None) -> dict[str, Any]:
    keys = {} if body is None else json.loads(body)
    return keys if isinstance(keys, dict) else {"value": keys}


def _action(before: ObjectVersion | None, body: str | None) -> Action:
    if body is None:
        return Action.ENDED
    if before is None or before.body is None:
        return Action.DEFINED
    return Action.UNCHANGED if json.loads(before.body) == json.loads(body) else Action.CHANGED


def _version(each: Wanted, version: int, begins_at: int, order: Order) -> ObjectVersion:
    return ObjectVersion(
        kind=each.kind,
        name=each.name,
        version=version,
        body=each.body,
        begins_at=begins_at,
        made_at=order.now,
        operator=order.operator,
        memo=order.memo,
    )


_ASKED_ALONE = 50
"""Objects whose versions are read one by one; for more all are read."""


async def _versions(store: ObjectStore, objects: Sequence[Wanted]) -> Mapping[tuple[str, str], Sequence[ObjectVersion]]:
    if len(objects) <= _ASKED_ALONE:
        return {(each.kind, each.name): await store.history(each.kind, each.name) for each in objects}
    found: dict[tuple[str, str], list[ObjectVersion]] = {}
    for version in await store.all_versions({each.kind for each in objects}):
        found.setdefault((version.kind, version.name), []).append(version)
    return found
