"""A change of objects before it is checked: what is wanted, what stands, and the difference."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

import msgspec

from vosd.admin.office.agent_objects import SETTABLE, AgentObjects, agent_of
from vosd.admin.office.new_names import check_no_dots
from vosd.admin.office.object_versions import NoSuchObjectError, differing, owned_by
from vosd.admin.office.objects_below import check_number
from vosd.admin.office.office import Office, needs, require
from vosd.admin.office.passwords import CHANGED, HIDDEN, WeakPassword, weak_password
from vosd.admin.office.principal import OrderError, Permission, Principal
from vosd.admin.office.shown_objects import as_version
from vosd.admin.office.template_users import TemplateUsers
from vosd.admin.office.withdrawn_changes import WithdrawChange
from vosd.base.errors import VosError
from vosd.catalogue.problems import is_secret
from vosd.catalogue.stored_objects import KINDS, ObjectVersion, check_kind, in_force_at
from vosd.cdr.columns import iso_utc
from vosd.storage.audit_line import AuditLine

if TYPE_CHECKING:
    from vosd.storage.stored_objects import SqlObjects

_NOTED_AT_MOST: Final = 100
"""Versions that a line of the audit names."""
_ASKED_ALONE: Final = 50
"""Objects whose versions are read one by one; for more all are read."""
_NEEDED_BESIDE: Final[Mapping[str, Permission]] = {"reports": Permission.BOOKS_SEE}
"""Permission that a change of a kind needs, too: a report at a fixed time shows costs and profit to its recipients."""


class StaleVersionError(VosError):
    """The object has another version than the order says."""


class AlreadyDefinedError(VosError):
    """The database defines the object already."""


class DefinedInFilesError(VosError):
    """The object stands in the configuration files, where alone it can be changed."""


class WantedObject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One object as it shall be."""

    kind: str
    name: str
    keys: Any
    """Keys and values without the name; values are text, as in the files. None = the database shall not define it.

    ``(hidden)`` in place of a password leaves it as it is.
    """
    is_new: bool = False
    """Refused where the database defines it already."""
    is_merged: bool = False
    """Keys that are left out stay as they are; one of None is taken away (RFC 7396)."""
    if_version: int | None = None
    """Refused unless this version, which may have ended the object, is in force when the change begins."""
    if_exists: bool | None = None
    """Refused unless the database defines it already (true), or does not (false); None = either way."""


class ObjectOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Terms of a change; times are UTC milliseconds."""

    at: int | None = None
    """From when it holds; None = at once."""
    memo: str | None = None
    """Why; kept with the version."""
    is_trial: bool = False
    """Everything is validated, and nothing changed."""
    is_confirmed: bool = False
    """Also where it removes what running calls use, or ends an account that has a balance."""
    takes_weak_passwords: ClassVar[bool] = False
    """Whether passwords of phones and trunks that are easy to guess are taken: those of an import are what they are."""


class Action(Enum):
    """Kind of a change to one object."""

    DEFINED = "defined"
    CHANGED = "changed"
    ENDED = "ended"
    UNCHANGED = "unchanged"


class CallsUsing(msgspec.Struct, frozen=True):
    """Running calls that use an object; they go on, whatever becomes of it."""

    number: int
    """Number of calls."""
    first: Sequence[str]
    """Ids of the oldest of them."""


class DifferenceSheet(msgspec.Struct, frozen=True, kw_only=True):
    """Effect of a change on one object, its time as text."""

    kind: str
    name: str
    action: Action
    """Change of the object."""
    version: int | None
    """The version that it makes; None = it makes none."""
    begins_at: str
    """Time at which the change comes into force, RFC 3339."""
    keys: Mapping[str, tuple[Any, Any]]
    """Value before and after of each key that differs; None = it is left out.

    Secrets are ``(hidden)``; in the value after, those that differ are ``(changed)``.
    """
    planned: tuple[int, ...] = ()
    """Versions that begin later and replace this one then; of several for one moment the one that will hold."""
    calls: CallsUsing | None = None
    """Running calls that use it, in a trial. None = not known, or running calls keep what they began with."""
    users: tuple[TemplateUsers, ...] = ()
    """Objects that take keys from it, in a trial: of a template alone."""


class Compared(NamedTuple):
    """An object as it is wanted, compared with what there is."""

    difference: DifferenceSheet
    versions: list[ObjectVersion]
    """Version to be added, where it needs one."""
    weak: WeakPassword | None
    """New password that is easy to guess: the object is refused, with its other mistakes."""


class Plan(NamedTuple):
    """A change that was compared with what there is, and not checked."""

    differences: list[DifferenceSheet]
    versions: list[ObjectVersion]
    """Versions to be added."""
    weak: list[WeakPassword]
    """New passwords for which its check refuses it."""

    def add(self, found: Compared) -> None:
        """Add the change of one more object."""
        self.differences.append(found.difference)
        self.versions.extend(found.versions)
        if found.weak is not None:
            self.weak.append(found.weak)


@needs(Permission.DEFINITIONS_CHANGE, by_account=True)
async def plan_of(office: Office, who: Principal, order: ObjectOrder, objects: Sequence[WantedObject]) -> Plan:
    """Compare wanted objects with those of the database.

    Raises:
        BadObjectError: the database cannot define such objects.
        NoSuchObjectError: one shall end and does not exist.
    """
    return await planned(office, who, order, objects, owned_by(office, office.scope_of(who)))


async def planned(
    office: Office, who: Principal, terms: ObjectOrder, objects: Sequence[WantedObject], owned: AgentObjects | None
) -> Plan:
    """Compare wanted objects with those of the database by the rules of an agent's objects; None = by no rules."""
    for kind in {each.kind for each in objects}:
        check_kind(kind)
    plan = Plan([], [], [])
    for found in await compared_each(office, who, terms, objects, owned):
        if isinstance(found, VosError):
            raise found
        plan.add(found)
    if owned is not None and who.account is not None:
        actions = Counter(each.action for each in plan.differences)
        made = actions[Action.DEFINED] - actions[Action.ENDED]
        if made > 0:
            await check_number(office.definitions, who.account, made)
    return plan


async def compared_each(
    office: Office, who: Principal, terms: ObjectOrder, objects: Sequence[WantedObject], owned: AgentObjects | None
) -> list[Compared | VosError]:
    """Compare wanted objects of known kinds with those of the database, each with the version that it needs.

    An error in the place of one says why it cannot be as it is wanted.
    """
    if owned is not None and terms.at is not None:
        raise OrderError("at", "is not for agents", "their changes hold at once")
    now = office.now()
    known = await versions_of(office.stores.objects, objects)
    if terms.at is None:  # what a clock ahead has ordered to hold at once does, and this comes behind it
        at_once = (each for versions in known.values() for each in versions if each.begins_at <= each.made_at)
        now = max(now, *(each.begins_at for each in at_once), 0)
    outcome: list[Compared | VosError] = []
    for asked in objects:
        try:
            outcome.append(
                await _compared(office, who, terms, asked, known.get((asked.kind, asked.name), ()), owned, now)
            )
        except VosError as error:
            outcome.append(error)
    return outcome


async def _compared(
    office: Office,
    who: Principal,
    terms: ObjectOrder,
    asked: WantedObject,
    versions: Sequence[ObjectVersion],
    owned: AgentObjects | None,
    now: int,
) -> Compared:
    """Compare one wanted object with its versions; raises VosError where it cannot be as it is wanted."""
    if owned is None and asked.kind in _NEEDED_BESIDE:  # agents learn that there are none
        require(who, _NEEDED_BESIDE[asked.kind])
    found = in_force_at(versions, now)
    if found is None or found.body is None:
        _check_name(asked)
        _check_not_written(office, asked, owned)
        if owned is not None:
            await _check_free(office, asked, versions, owned)
    _check_texts(office, asked)
    wanted = asked if owned is None else _of_agent(asked, found, owned)
    if terms.at is not None and terms.at <= now:  # before versions are compared: another one may have held then
        raise OrderError("at", "is in the past", "leave it out, and the change holds at once")
    change, version = _changed(wanted, versions, now if terms.at is None else terms.at, now)
    if version is None:
        return Compared(change, [], None)
    if owned is not None:
        owned.check_change(asked.kind, asked.name, _parsed(found), _parsed(version))
    made = msgspec.structs.replace(version, made_at=now, operator=who.recorded, memo=terms.memo)
    before = None if found is None else found.body
    weak = None if terms.takes_weak_passwords else weak_password(asked.kind, asked.name, asked.keys, before)
    return Compared(change, [made], weak)


def _check_name(wanted: WantedObject) -> None:
    """Raise OrderError for an empty name, one that no path has, and one with a variable, which a file would replace."""
    if not wanted.name:
        raise OrderError("name", "has no value")
    check_no_dots(wanted.name)
    if "${" in wanted.name:
        raise OrderError("name", "has ${, which begins a variable", "choose another one")


def _check_not_written(office: Office, wanted: WantedObject, owned: AgentObjects | None) -> None:
    """Raise DefinedInFilesError for an object of the files; a whole one is refused with the configuration."""
    if not (wanted.is_new or wanted.is_merged or wanted.keys is None):
        return
    written = office.definitions.written_object(wanted.kind, wanted.name)
    if written is None:
        return
    if owned is None:
        message = f"{wanted.kind} {wanted.name} is defined at {written.at}: change it there, then say vosd reload"
        raise DefinedInFilesError(message)
    if owned.sees(as_version(wanted.kind, wanted.name, written)):
        message = f"{wanted.kind} {wanted.name} is in the files of the switch: only its operators change it"
        raise DefinedInFilesError(message)


async def _check_free(
    office: Office, wanted: WantedObject, versions: Sequence[ObjectVersion], owned: AgentObjects
) -> None:
    """Raise AlreadyDefinedError for a new account whose name another one had: its money and its tokens stay."""
    if wanted.kind != "accounts" or wanted.keys is None or wanted.is_merged:
        return
    had = max((each for each in versions if each.body is not None), key=lambda each: each.place, default=None)
    if had is None:
        is_free = await office.stores.queries.standing(wanted.name) is None
    else:
        is_free = await _was_below(office, had, owned)
    if not is_free:
        raise _taken(wanted)


async def _was_below(office: Office, had: ObjectVersion, owned: AgentObjects) -> bool:
    """Return whether an agent had an account that has ended: below one that has ended, too, it was where that was."""
    passed = {had.name}
    while not owned.sees(had):
        above = agent_of(office.definitions, had)
        if above is None or above in passed or above in office.definitions.accounts():
            return False
        passed.add(above)
        versions = await office.stores.objects.history("accounts", above)
        last = in_force_at((each for each in versions if each.body is not None), office.now())
        if last is None:
            return False
        had = last
    return True


def _taken(wanted: WantedObject) -> AlreadyDefinedError:
    return AlreadyDefinedError(f"{wanted.kind} {wanted.name} is taken: choose another name")


def _parsed(version: ObjectVersion | None) -> dict[str, Any] | None:
    if version is None or version.body is None:
        return None
    keys: dict[str, Any] = json.loads(version.body)
    return keys


def _check_texts(office: Office, wanted: WantedObject) -> None:
    """Raise OrderError for a number or a boolean where text is meant: it would be kept as another text."""
    found = office.definitions.number_for_text(wanted.kind, wanted.keys) if _has_number(wanted.keys) else None
    if found is not None:
        key, value = found
        shown = "a boolean" if isinstance(value, bool) else "a number"  # it may be a password
        raise OrderError(f"keys.{key}", f"is {shown}, and text is expected", "write it in quotes")


def _has_number(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(map(_has_number, value.values() if isinstance(value, dict) else value))
    return isinstance(value, int | float)


def _of_agent(wanted: WantedObject, found: ObjectVersion | None, owned: AgentObjects) -> WantedObject:
    """Return a wanted object with the keys that an agent neither sees nor changes.

    Raises:
        NoSuchObjectError: there is none that the agent sees.
        AlreadyDefinedError: a new object has a name that is taken.
        OrderError: a key is not for agents.
    """
    before = _parsed(found)
    is_seen = before is not None and found is not None and owned.sees(found)
    if wanted.kind not in SETTABLE or (before is not None and not is_seen and not wanted.is_new):
        raise _not_defined(wanted.kind, wanted.name)
    if before is not None and not is_seen:
        raise _taken(wanted)
    if not isinstance(wanted.keys, dict):
        return wanted
    owned.check_seen(wanted.kind, wanted.keys)
    if wanted.is_merged:
        return wanted
    return msgspec.structs.replace(wanted, keys=owned.completed(wanted.kind, wanted.keys, before))


def _not_defined(kind: str, name: str) -> NoSuchObjectError:
    return NoSuchObjectError(f"the database defines no {kind} {name}: see vosd definitions list {kind}")


def _changed(
    wanted: WantedObject, versions: Sequence[ObjectVersion], begins_at: int, now: int
) -> tuple[DifferenceSheet, ObjectVersion | None]:
    """Return what is changed of an object from a moment on, and the version to be added; None = nothing is changed.

    Raises:
        NoSuchObjectError: it shall end and does not exist.
        StaleVersionError, AlreadyDefinedError: it is not as the order expects.
        OrderError: the keys are none.
    """
    before = in_force_at(versions, begins_at)
    _check_expected(wanted, in_force_at(versions, now), before)
    body = _body(wanted, None if before is None else before.body)
    if body is None and (before is None or before.body is None):
        raise _not_defined(wanted.kind, wanted.name)
    action = _action(before, body)
    number = None if action is Action.UNCHANGED else max((each.version for each in versions), default=0) + 1
    newest = {each.begins_at: each.version for each in sorted(versions, key=lambda each: each.version)}
    change = DifferenceSheet(
        kind=wanted.kind,
        name=wanted.name,
        action=action,
        version=number,
        begins_at=iso_utc(begins_at),
        keys=differing(None if before is None else before.body, body),
        planned=tuple(newest[begins] for begins in sorted(newest) if begins > begins_at),
    )
    if number is None:
        return change, None
    return change, ObjectVersion(
        kind=wanted.kind, name=wanted.name, version=number, body=body, begins_at=begins_at, made_at=0, operator=""
    )


def _check_expected(wanted: WantedObject, found: ObjectVersion | None, then: ObjectVersion | None) -> None:
    version = None if found is None or found.body is None else found.version
    if wanted.is_new and version is not None:
        raise AlreadyDefinedError(f"the database defines {wanted.kind} {wanted.name} already, by version {version}")
    is_other = wanted.if_version is not None and (then is None or then.version != wanted.if_version)
    if is_other or wanted.if_exists not in {None, version is not None}:
        # A version that is planned in between is what the change is made to: who names the one of now has not seen it.
        there = "does not exist" if version is None else f"has version {version} by now"
        if then is not None and then is not found:
            there += f", and version {then.version} when the change begins"
        raise StaleVersionError(f"{wanted.kind} {wanted.name} {there}: read it again, and change what you find")


def _body(wanted: WantedObject, before: str | None) -> str | None:
    """Return the keys as the database has them; ``before`` are those that the object has.

    Raises:
        NoSuchObjectError: keys are to be merged into an object that does not exist.
        OrderError: they are not the keys of an object.
    """
    if wanted.keys is None:
        return None
    if isinstance(wanted.keys, dict) == (wanted.kind == "parameters") or isinstance(wanted.keys, list):
        expected = "is no text" if wanted.kind == "parameters" else "is no object of keys and values"
        raise OrderError("keys", expected)
    name_key = KINDS[wanted.kind]
    if isinstance(wanted.keys, dict) and name_key is not None and wanted.keys.get(name_key, wanted.name) != wanted.name:
        said = f"has {name_key} {wanted.keys[name_key]!r}, and the object is {wanted.name}"
        raise OrderError("keys", said, "leave it out, for an object keeps its name")
    old = None if before is None else json.loads(before)
    keys = _as_written("", wanted.keys, old)
    if name_key is not None:
        keys.pop(name_key, None)
    if wanted.is_merged:
        if old is None:
            raise _not_defined(wanted.kind, wanted.name)
        keys = _merged(old, keys)
    elif isinstance(keys, dict):
        keys = {key: value for key, value in keys.items() if value is not None}
    return json.dumps(keys, ensure_ascii=False, separators=(",", ":"))


def _as_written(key: str, value: Any, old: Any) -> Any:
    """Return a value as a file would have it: text; a hidden password is the one that is there."""
    match value:
        case dict():
            keys = old if isinstance(old, dict) else {}
            return {name: _as_written(name, each, keys.get(name)) for name, each in value.items()}
        case list():
            items = old if isinstance(old, list) and len(old) == len(value) else [None] * len(value)
            return [_as_written(key, each, was) for each, was in zip(value, items, strict=True)]
        case bool():
            return "yes" if value else "no"
        case int() | float() | Decimal():
            return str(value)
        case str() if value == HIDDEN and is_secret(key):
            if isinstance(old, str):
                return old
            raise OrderError("keys", f"has {HIDDEN} as {key}, and there is none to be kept", "say it, or leave it out")
        case str() if value == CHANGED and is_secret(key):
            raise OrderError(
                "keys", f"has {CHANGED} as {key}, which is shown in place of a new one", f"say it, or {HIDDEN}"
            )
        case _:
            return value


def _merged(old: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    made = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = _merged(made.get(key), value)
    return made


def audit_line(
    office: Office, who: Principal, terms: ObjectOrder | WithdrawChange, versions: Sequence[ObjectVersion]
) -> AuditLine:
    """Return the line of a change: the versions that it makes, which have the keys; keys may be passwords."""
    named = [f"{each.kind} {each.name}" for each in versions]
    subject = named[0] if len(named) == 1 else f"{len(named)} objects"
    made = [f"{name} {each.version}" for name, each in zip(named, versions, strict=True)]
    detail = {"versions": made[:_NOTED_AT_MOST], "at": terms.at, "memo": terms.memo}
    if isinstance(terms, WithdrawChange):
        detail["why"] = [*terms.why]
        if terms.beside:
            detail["beside"] = [*terms.beside]
    return office.audit_line(who, terms, subject)._replace(detail=json.dumps(detail, ensure_ascii=False))


def _action(before: ObjectVersion | None, body: str | None) -> Action:
    if body is None:
        return Action.ENDED
    if before is None or before.body is None:
        return Action.DEFINED
    return Action.UNCHANGED if json.loads(before.body) == json.loads(body) else Action.CHANGED


async def versions_of(
    store: "SqlObjects", objects: Sequence[WantedObject]
) -> Mapping[tuple[str, str], Sequence[ObjectVersion]]:
    """Return the versions that objects have, by kind and name."""
    if len(objects) <= _ASKED_ALONE:
        return {(each.kind, each.name): await store.history(each.kind, each.name) for each in objects}
    found: dict[tuple[str, str], list[ObjectVersion]] = {(each.kind, each.name): [] for each in objects}
    for version in await store.all_versions({each.kind for each in objects}):
        if (version.kind, version.name) in found:
            found[version.kind, version.name].append(version)
    return found
