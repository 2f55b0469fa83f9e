"""Use cases that show objects of the database and of the files, lists of them and single ones, and their kinds."""

import asyncio
import heapq
import json
from collections.abc import AsyncGenerator, Iterable, Sequence, Set
from contextlib import aclosing
from typing import Annotated, Any, Final

import msgspec

from vosd.admin.names import check_account
from vosd.admin.office.agent_objects import SETTABLE, AgentObjects
from vosd.admin.office.object_versions import (
    NoSuchObjectError,
    ObjectSheet,
    hidden,
    hidden_in,
    history_of,
    numbered,
    owned_by,
)
from vosd.admin.office.office import Office, needs, require
from vosd.admin.office.ports import ObjectKindSheet, WrittenObject
from vosd.admin.office.principal import OrderError, Permission, Principal
from vosd.base.parts import in_parts
from vosd.catalogue.stored_objects import KINDS, ObjectVersion, check_kind, in_force_at
from vosd.cdr.shown import shown_as

_HIDDEN_AT_ONCE: Final = 500
"""Objects whose passwords are hidden before other requests get their turn: about 20 ms."""
_LOOKED_AT_AT_ONCE: Final = 2_000
"""Names whose texts are looked at in between: some milliseconds."""


class ListObjects(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The objects in force, of one kind or of all."""

    kind: str | None = None
    limit: int | None = None
    """Only so many, the first ones by kind and name; None = all."""
    after: str | None = None
    """Name behind which the objects of a kind begin; None = at the first."""
    name: str | None = None
    """Only the object of this name, of the kind that is named, too."""
    account: str | None = None
    """Only those of this account, of gateways, phones or DIDs."""
    beginning: str = ""
    """Only those whose names begin with this."""
    containing: str = ""
    """Only those of a kind with this in their names, captions, addresses or numbers, whether letters are capital or
    small. A number is in the range that has it."""


@needs(Permission.DEFINITIONS_SEE, by_account=True)
async def list_objects(office: Office, who: Principal, order: ListObjects) -> Sequence[ObjectVersion]:
    """Return them with their keys; passwords are hidden from those who may not change definitions.

    Raises:
        BadObjectError: there is no such kind.
    """
    owned = owned_by(office, office.scope_of(who))
    if order.kind is not None:
        check_kind(order.kind)
    if order.kind is None and (order.name is not None or order.containing):
        raise OrderError("kind", "is missing", "name one beside `name`")
    is_by_name = order.name is not None or order.account is not None or owned is not None or order.containing != ""
    if order.kind is not None and is_by_name:
        return await _named(office, who, order, order.kind, owned)
    store, most = office.stores.objects, order.limit
    if most is not None and owned is None:
        objects = await store.first(office.now(), most, order.kind, order.after, order.beginning)
    else:
        found = (await store.current(office.now())).found
        objects = [each for each in found if each.body is not None and order.kind in {None, each.kind}]
        objects = [each for each in objects if _is_listed(order, each.name)]
    if owned is None and Permission.DEFINITIONS_CHANGE in who.permissions:
        return objects
    shown: list[ObjectVersion] = []
    for part in in_parts(objects, _HIDDEN_AT_ONCE):
        seen = part if owned is None else (owned.shown(each) for each in part if owned.sees(each))
        shown += map(hidden_in, seen)
        await asyncio.sleep(0)
    return shown[:most]


def _is_listed(order: ListObjects, name: str) -> bool:
    return name > (order.after or "") and name.startswith(order.beginning)


async def _chosen(
    office: Office, order: ListObjects, kind: str, names: Iterable[str], of_account: Set[str] | None, *, is_agent: bool
) -> AsyncGenerator[list[str], None]:
    """Yield those of some names that are asked for, by the texts that the principal may know of, some at a time.

    An agent may have 40,000 telephones: other requests have their turns while these are looked at.
    """
    texts = await office.definitions.search_text(kind) if order.containing else None

    def is_asked_for(name: str) -> bool:
        if not _is_listed(order, name) or (of_account is not None and name not in of_account):
            return False
        return texts is None or texts.has(name, order.containing, is_inner=not is_agent)

    found: list[str] = []
    for part in in_parts(names, _LOOKED_AT_AT_ONCE):
        found += filter(is_asked_for, part)
        await asyncio.sleep(0)
        while len(found) >= _HIDDEN_AT_ONCE:
            yield found[:_HIDDEN_AT_ONCE]
            del found[:_HIDDEN_AT_ONCE]
    if found:
        yield found


async def _names_of(office: Office, order: ListObjects, kind: str) -> Set[str] | None:
    """Return the names of the objects of the account that is asked for; None = of any."""
    if order.account is None:
        return None
    payers = await asyncio.to_thread(office.definitions.accounts_of(kind))
    return {name for name, account in payers.items() if account == order.account}


async def _named(
    office: Office, who: Principal, order: ListObjects, kind: str, owned: AgentObjects | None
) -> list[ObjectVersion]:
    """Return the object that is asked for, or the first ones of an agent: whatever others there are is not read."""
    names: Iterable[str] | None = [order.name] if order.name is not None else None
    if names is None and owned is not None:
        names = await owned.names(kind)
    of_account = await _names_of(office, order, kind)
    if names is None and order.containing:
        texts = await office.definitions.search_text(kind)
        names = texts.having(order.containing, order.after or "")
    elif names is None:
        names = sorted(of_account or ())
    is_open = owned is None and Permission.DEFINITIONS_CHANGE in who.permissions
    shown: list[ObjectVersion] = []
    async with aclosing(_chosen(office, order, kind, names, of_account, is_agent=owned is not None)) as parts:
        async for part in parts:
            for each in await office.stores.objects.named(office.now(), kind, part):
                if owned is None:
                    shown.append(each if is_open else hidden_in(each))
                elif owned.sees(each):
                    shown.append(hidden_in(owned.shown(each)))
            if order.limit is not None and len(shown) >= order.limit:
                break
            await asyncio.sleep(0)
    return shown[: order.limit]


class ExportObjects(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The objects in force, of one kind or of all, for a file."""

    kind: str | None = None


@needs(Permission.DEFINITIONS_SEE, by_account=True)
async def export_objects(office: Office, who: Principal, order: ExportObjects) -> Sequence[ObjectVersion]:
    """Return them as ``list_objects``, with the passwords that the principal may see; the audit has a line of it.

    Raises:
        BadObjectError: there is no such kind.
    """
    found = await list_objects(office, who, ListObjects(order.kind))
    await office.stores.audit.add(office.audit_line(who, order, order.kind or ""))
    return found


class DefinitionSheet(msgspec.Struct, frozen=True, kw_only=True):
    """An object in force with its keys, of the database or of the files; times as text."""

    kind: str
    name: str
    source: str
    """``database``; else the file and line where it stands and is changed, for agents ``files``."""
    version: int | None = None
    """None = it is in the files, as of the following fields."""
    begins_at: str | None = None
    """Time at which it comes into force, RFC 3339."""
    made_at: str | None = None
    operator: str | None = None
    memo: str | None = None
    defined: bool = True
    """Whether it exists; false = the version removed it."""
    keys: Any
    """All that the principal sees of them, passwords hidden."""


@needs(Permission.DEFINITIONS_SEE, by_account=True)
async def list_definitions(office: Office, who: Principal, order: ListObjects) -> list[DefinitionSheet]:
    """Return the objects of one kind by name, those of the database and those of the files.

    Raises:
        BadObjectError: there is no such kind.
        ConfigError: the files cannot be read.
        UnknownNameError: nothing fits, and the account is unknown; a planned one is known.
    """
    owned = owned_by(office, office.scope_of(who))
    if order.kind is None:
        raise OrderError("kind", "is missing")
    found: list[DefinitionSheet] = []
    for part in in_parts(await list_objects(office, who, order), _HIDDEN_AT_ONCE):
        found += map(_defined, part)
        await asyncio.sleep(0)
    of_kind = office.definitions.written_names(order.kind)
    wanted = of_kind if order.name is None else {order.name}.intersection(of_kind)
    of_account = await _names_of(office, order, order.kind)
    chosen = _chosen(office, order, order.kind, wanted, of_account, is_agent=owned is not None)
    names = sorted([name async for part in chosen for name in part])
    of_files: list[DefinitionSheet] = []
    for some in in_parts(names, _HIDDEN_AT_ONCE):
        of_files += filter(None, (_written(office, order.kind, name, owned) for name in some))
        if order.limit is not None and len(of_files) >= order.limit:
            break
        await asyncio.sleep(0)
    if not found and not of_files and owned is None:
        await check_account(order.account, office.definitions, office.stores, office.now())
    return [*heapq.merge(found, of_files, key=lambda each: each.name)][: order.limit]


def _defined(version: ObjectVersion) -> DefinitionSheet:
    return shown_as(DefinitionSheet, version, source="database", keys=hidden("", json.loads(version.body or "{}")))


def _written(office: Office, kind: str, name: str, owned: AgentObjects | None) -> DefinitionSheet | None:
    """Return an object of the files as it is shown; None = the agent does not see it."""
    written = office.definitions.written_object(kind, name)
    if written is None:
        return None
    keys, source = written.keys, written.at
    if owned is not None:
        version = as_version(kind, name, written)
        if not owned.sees(version):
            return None
        keys, source = json.loads(owned.shown(version).body or "{}"), "files"
    return DefinitionSheet(kind=kind, name=name, source=source, keys=hidden("", keys))


class ShowObject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One version of an object; None = the one in force."""

    kind: str
    name: str
    version: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Number of a version; None = the one in force."""
    secrets: bool = False
    """With its passwords."""


@needs(Permission.DEFINITIONS_SEE, by_account=True)
async def show_object(office: Office, who: Principal, order: ShowObject) -> ObjectSheet:
    """Return a version with its keys; the audit has a line of each look at passwords.

    Raises:
        OperatorsOnlyError: an agent asks for passwords.
        BadObjectError: there is no such kind.
        NoSuchObjectError: there is no such version, or none that the agent sees.
    """
    scope = office.scope_of(who)
    found = await object_in_force(office, order, owned_by(office, scope))
    keys = json.loads(found.body or "{}")
    if order.secrets:
        scope.require_operator()
        require(who, Permission.DEFINITIONS_CHANGE)
        await office.stores.audit.add(office.audit_line(who, order, f"{order.kind} {order.name}"))
        return ObjectSheet(found, keys)
    return ObjectSheet(hidden_in(found), hidden("", keys))


@needs(Permission.DEFINITIONS_SEE, by_account=True)
async def show_definition(office: Office, who: Principal, order: ShowObject) -> DefinitionSheet:
    """Return one object, of the database or of the files; raises as ``show_object``."""
    owned = owned_by(office, office.scope_of(who))
    check_kind(order.kind)
    if order.version is None:
        sheet = _written(office, order.kind, order.name, owned)
        if sheet is not None:
            return sheet
    return _defined((await show_object(office, who, order)).version)


async def object_in_force(office: Office, order: ShowObject, owned: AgentObjects | None) -> ObjectVersion:
    """Return a version that has keys, or raise NoSuchObjectError; ``owned`` are the objects that an agent sees."""
    kind, name, version = order.kind, order.name, order.version
    versions = await history_of(office, kind, name, owned)
    found = in_force_at(versions, office.now()) if version is None else numbered(versions, version)
    if found is None or found.body is None:
        which = "now" if version is None else f"by version {version}"
        message = f"the database does not define {kind} {name} {which}: see vosd definitions history {kind} {name}"
        raise NoSuchObjectError(message)
    return found


def as_version(kind: str, name: str, written: WrittenObject) -> ObjectVersion:
    """Return an object of the files as if it were a version of the database."""
    body = json.dumps(written.keys, ensure_ascii=False)
    return ObjectVersion(kind=kind, name=name, version=0, body=body, begins_at=0, made_at=0, operator="")


class ShowKind(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The keys of one kind of object."""

    kind: str
    """Kind of the objects, such as ``accounts`` or ``mapping_gateways``."""


@needs(Permission.DEFINITIONS_SEE, by_account=True)
async def show_kind(office: Office, who: Principal, order: ShowKind) -> ObjectKindSheet:
    """Return the keys that the principal sees of objects of a kind.

    Raises:
        NoSuchObjectError: there is no such kind, or none that agents and customers have.
    """
    is_operator = office.scope_of(who).agent is None
    kinds = KINDS if is_operator else SETTABLE
    if order.kind not in kinds:
        raise NoSuchObjectError(f"{order.kind!r} is no kind of object; there are {', '.join(kinds)}")
    # Meanings are read from the sources once in a process, which takes up to a second.
    sheet = await asyncio.to_thread(office.definitions.key_sheets, order.kind)
    if is_operator:
        return sheet
    return msgspec.structs.replace(sheet, keys=tuple(each for each in sheet.keys if each.name in SETTABLE[order.kind]))
