"""Use cases of the versions of an object that the database defines, and how they are shown: without passwords."""

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Annotated, Any, Final

import msgspec
from msgspec.structs import asdict

from vosd.admin.office.agent_objects import AgentObjects
from vosd.admin.office.office import Office, needs
from vosd.admin.office.passwords import CHANGED, HIDDEN
from vosd.admin.office.principal import Permission, Principal, Scope
from vosd.base.errors import VosError
from vosd.catalogue.problems import is_secret
from vosd.catalogue.stored_objects import ObjectVersion, check_kind
from vosd.cdr.shown import shown_as

_is_secret: Final = lru_cache(maxsize=1_024)(is_secret)
"""Whether a key is a password's: a list of 100,000 objects asks for the same few keys each time."""
_place: Final = attrgetter("place")
"""Key by which versions of an object are sorted as they come into force."""


class NoSuchObjectError(VosError):
    """The database defines no such object, or has no such version of it."""


class VersionSheet(msgspec.Struct, frozen=True, kw_only=True):
    """A version of an object, without its keys; times as text."""

    kind: str
    name: str
    version: int
    """Number of the version."""
    begins_at: str
    """Time from which it holds."""
    made_at: str
    """Time at which the version was made, RFC 3339."""
    operator: str
    memo: str | None
    defined: bool
    """False: from then on the database does not define the object."""


class KeysSheet(VersionSheet, frozen=True, kw_only=True):
    """A version of an object with keys."""

    keys: Any
    """All of them, passwords hidden; in a list of versions those that it changed, with the value before and after."""
    source: str = "database"
    """Always ``database``: files have no versions."""


class ObjectSheet(msgspec.Struct, frozen=True):
    """A version of an object, and keys: all of them, or those that it changed with their values before and after."""

    version: ObjectVersion
    keys: Any

    def sheet(self) -> KeysSheet:
        """Return it as programs read it."""
        return KeysSheet(**asdict(sheet_of(self.version)), keys=self.keys)


def sheet_of(version: ObjectVersion) -> VersionSheet:
    """Return a version as programs read it."""
    return shown_as(VersionSheet, version, defined=version.body is not None)


class ListVersions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All versions of an object."""

    kind: str
    name: str


@needs(Permission.DEFINITIONS_SEE, by_account=True)
async def list_versions(office: Office, who: Principal, order: ListVersions) -> list[ObjectSheet]:
    """Return the versions with what each changed, the newest first; raises as ``show_object``."""
    return _sheets(await history_of(office, order.kind, order.name, owned_by(office, office.scope_of(who))))


def _sheets(versions: Sequence[ObjectVersion]) -> list[ObjectSheet]:
    ordered = sorted(versions, key=_place)
    return [ObjectSheet(hidden_in(each), _change_of(_replaced(each, ordered), each)) for each in versions]


class ListParameterVersions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All versions of all parameters."""


@needs(Permission.DEFINITIONS_SEE)
async def list_parameter_versions(office: Office, who: Principal, order: ListParameterVersions) -> list[KeysSheet]:
    """Return the versions of all parameters with the value before and after, those that were made last first."""
    by_name: dict[str, list[ObjectVersion]] = defaultdict(list)
    for each in await office.stores.objects.all_versions({"parameters"}):
        by_name[each.name].append(each)
    sheets = [sheet.sheet() for versions in by_name.values() for sheet in _sheets(versions)]
    return sorted(sheets, key=lambda each: (each.made_at, each.name, each.version), reverse=True)


def _replaced(version: ObjectVersion, ordered: Sequence[ObjectVersion]) -> ObjectVersion | None:
    """Return the version that is in force until another one begins; None = there is none.

    Of two that were planned for the same moment neither replaces the other.
    """
    is_planned = version.made_at < version.begins_at
    number = bisect_left(ordered, (version.begins_at, 0 if is_planned else version.version), key=_place)
    return ordered[number - 1] if number else None


class CompareVersions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two versions of an object: the newest and the one that it replaces, where none are named."""

    kind: str
    name: str
    first: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """The earlier version; None = the one that is in force until the later one begins."""
    last: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """The later version; None = the newest."""


class ComparedVersions(msgspec.Struct, frozen=True):
    """Keys that differ, with both values."""

    first: int
    """0 = before there was one."""
    last: int
    """The later version."""
    keys: Mapping[str, tuple[Any, Any]]
    """Keys that differ, each with the value before and after."""


@needs(Permission.DEFINITIONS_SEE, by_account=True)
async def compare_versions(office: Office, who: Principal, order: CompareVersions) -> ComparedVersions:
    """Compare two versions; raises as ``show_object``."""
    versions = await history_of(office, order.kind, order.name, owned_by(office, office.scope_of(who)))
    after = versions[0] if order.last is None else numbered(versions, order.last)
    before = _replaced(after, sorted(versions, key=_place))
    if order.first is not None:
        before = numbered(versions, order.first) if order.first else None
    earlier = 0 if before is None else before.version
    return ComparedVersions(earlier, after.version, _change_of(before, after))


def _change_of(before: ObjectVersion | None, after: ObjectVersion) -> dict[str, tuple[Any, Any]]:
    return differing(None if before is None else before.body, after.body)


def owned_by(office: Office, scope: Scope) -> AgentObjects | None:
    """Return the objects of an agent; None = an operator asks, who sees all."""
    return None if scope.agent is None else AgentObjects(office.definitions, scope)


async def history_of(office: Office, kind: str, name: str, owned: AgentObjects | None) -> Sequence[ObjectVersion]:
    """Return the versions of an object, the newest first; of an agent those while it was in its tree."""
    check_kind(kind)
    versions = await office.stores.objects.history(kind, name)
    if owned is not None:
        versions = owned.history(versions, office.now())
    if not versions:
        raise NoSuchObjectError(f"the database has never defined {kind} {name}: see vosd definitions list {kind}")
    return versions


def numbered(versions: Sequence[ObjectVersion], version: int) -> ObjectVersion:
    """Return one of the versions of an object; raises NoSuchObjectError where there is none of that number."""
    for each in versions:
        if each.version == version:
            return each
    message = f"{versions[0].kind} {versions[0].name} has no version {version}; the newest is {versions[0].version}"
    raise NoSuchObjectError(message)


def differing(before: str | None, after: str | None) -> dict[str, tuple[Any, Any]]:
    """Return the keys of two bodies that differ, with both values; secrets are hidden, changed ones named as such."""
    old, new = _keys(before), _keys(after)
    return {
        key: (hidden(key, old.get(key)), _hidden_after(key, old.get(key), new.get(key)))
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
    return HIDDEN if _is_secret(key) else value


def _hidden_after(key: str, old: Any, new: Any) -> Any:
    """Return a new value to be shown beside an old one: only that a password was changed is seen."""
    match old, new:
        case dict(), dict():
            return {name: _hidden_after(name, old.get(name), each) for name, each in new.items()}
        case list(), list() if len(old) == len(new):
            return [_hidden_after(key, was, each) for was, each in zip(old, new, strict=True)]
        case str(), str() if _is_secret(key) and old != new:
            return CHANGED
        case _:
            return hidden(key, new)


def hidden_in(version: ObjectVersion) -> ObjectVersion:
    """Return a version without its passwords."""
    if version.body is None:
        return version
    return msgspec.structs.replace(version, body=json.dumps(hidden("", json.loads(version.body)), ensure_ascii=False))


def _keys(body: str | None) -> dict[str, Any]:
    keys = {} if body is None else json.loads(body)
    return keys if isinstance(keys, dict) else {"value": keys}
