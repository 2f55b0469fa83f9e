"""Use cases of the inventory of numbers: who has a number and what it rings, and who had it when.

A number is an object of the database, kind ``dids``: each assignment is a version of it, so its past is what the
definitions keep.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec

from vosd.admin.names import check_account
from vosd.admin.office.definitions import ChangeSheet, SetObjects, set_objects
from vosd.admin.office.object_versions import ListVersions, NoSuchObjectError, list_versions
from vosd.admin.office.office import Office, needs
from vosd.admin.office.planned_change import ObjectOrder, WantedObject
from vosd.admin.office.principal import OrderError, Permission, Principal
from vosd.admin.office.shown_objects import ListObjects, list_definitions
from vosd.base.csv_text import BOM
from vosd.catalogue.stored_objects import in_force_at
from vosd.trunks.ringing import RingOrder

DIDS: Final = "dids"
COLUMNS: Final = ("number", "account", "trunk", "phones", "ring", "ring_timeout", "calendar", "otherwise")
"""Columns of a file; the first is needed. Several phones stand in one cell with blanks between."""
_TIMES: Final = ("ring_timeout", "calendar", "otherwise")
IMPORT_MAX: Final = 100_000
"""Most lines of one file."""


class AssignDid(ObjectOrder, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A number, or a range of numbers, that an account has from now on, also where another one had it.

    An account that has it then keeps its times: ``ring_timeout``, ``calendar``, ``otherwise``.
    """

    number: str
    """The number in digits, or the first and the last one of a range with a hyphen."""
    account: str
    trunk: str | None = None
    """The routing gateway, or the mapping gateway that registers, that calls to it go to."""
    phones: tuple[str, ...] = ()
    """Instead of a trunk: phones that ring."""
    ring: RingOrder | None = None
    """Whether several phones ring one after the other, or at the same time. Default: one after the other."""
    if_version: int | None = None
    """Only where this version is in force; None = whichever is."""


class FreeDid(ObjectOrder, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A number that no account has any more; it stays in the inventory, and calls to it get 404."""

    number: str
    if_version: int | None = None
    """Only where this version is in force; None = whichever is."""


class ImportDids(ObjectOrder, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Numbers of a CSV file, all of them or none; a number without account is free."""

    text: str
    """The file: its first line names the columns."""


class ListDids(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Numbers of the inventory, those of the files included."""

    account: str | None = None
    """Only those of this account."""
    free: bool = False
    """Only those that no account has."""
    number: str | None = None
    """The past of this entry: who had it when."""


class DidRow(msgspec.Struct, frozen=True, kw_only=True):
    """One entry, or one state of its past."""

    number: str
    account: str | None
    """None = it is free."""
    rings: str
    """The trunk, or the phones with blanks between; empty for a free number."""
    ring: RingOrder = RingOrder.IN_TURN
    """Whether several phones ring one after the other, or at the same time."""
    since: str | None
    """Time from which it is so, RFC 3339; None = it stands in the files."""
    by: str | None
    memo: str | None


@needs(Permission.DEFINITIONS_CHANGE, by_account=True)
async def assign_did(office: Office, who: Principal, order: AssignDid) -> ChangeSheet:
    """Give a number to an account; a running switch has taken the change when this returns.

    Raises:
        OrderError: neither trunk nor phones are named, or both, or an order of ringing without phones.
        NoSuchObjectError: the number is not in the inventory: ``import_dids`` puts it there.
        ConfigError: account, trunk or phone does not exist, or a number stands in another entry; nothing was changed.
        BadObjectError, ObjectsMoved, NotTakenError, StoreUnavailable: as ``set_objects``.
    """
    if (order.trunk is None) is not bool(order.phones):
        raise OrderError("trunk", "is not named, or beside phones", "name either a trunk or phones")
    if order.ring is not None and not order.phones:
        raise OrderError("ring", "is for phones", "leave it out, or name phones")
    before = await _required(office, who, order)
    keys: dict[str, Any] = {
        "account": order.account,
        "trunk": order.trunk,
        "phones": list(order.phones) or None,
        "ring": None if order.ring is None else order.ring.value,
    }
    if before.get("account") != order.account:
        keys |= dict.fromkeys(_TIMES)
    wanted = WantedObject(DIDS, order.number, keys, is_merged=True, if_version=order.if_version)
    return await _set(office, who, order, [wanted])


@needs(Permission.DEFINITIONS_CHANGE, by_account=True)
async def free_did(office: Office, who: Principal, order: FreeDid) -> ChangeSheet:
    """Take a number back from its account; raises as ``assign_did``."""
    await _required(office, who, order)
    return await _set(office, who, order, [WantedObject(DIDS, order.number, {}, if_version=order.if_version)])


@needs(Permission.DEFINITIONS_CHANGE, by_account=True)
async def import_dids(office: Office, who: Principal, order: ImportDids) -> ChangeSheet:
    """Set the numbers of a file; others stay as they are. Raises OrderError for a bad line, and as ``assign_did``."""
    return await _set(office, who, order, _read(order.text))


@needs(Permission.DEFINITIONS_SEE, by_account=True)
async def list_dids(office: Office, who: Principal, order: ListDids) -> list[DidRow]:
    """Return the numbers in order, or the past of one, the latest first.

    Raises:
        NoSuchObjectError: the database never had such an entry.
        UnknownNameError: nothing fits, and the account is unknown; a planned one is known.
    """
    if order.number is not None:
        past = await list_versions(office, who, ListVersions(DIDS, order.number))
        return [
            _row(order.number, json.loads(each.version.body or "{}"), each.sheet().begins_at,
                 each.version.operator, each.version.memo)
            for each in past
        ]  # fmt: skip
    found = await list_definitions(office, who, ListObjects(DIDS))
    rows = [_row(each.name, each.keys, each.begins_at, each.operator, each.memo) for each in found]
    wanted = [
        row
        for row in rows
        if (order.account is None or row.account == order.account) and not (order.free and row.account is not None)
    ]
    if not wanted and who.account is None:
        await check_account(order.account, office.definitions, office.stores, office.now())
    return wanted


async def _required(office: Office, who: Principal, order: AssignDid | FreeDid) -> Mapping[str, Any]:
    """Return the keys that an entry has when an order begins.

    Raises:
        NoSuchObjectError: the inventory of the database has no such entry then, or the agent does not see it.
    """
    now, found = office.now(), None
    with suppress(NoSuchObjectError):
        past = await list_versions(office, who, ListVersions(DIDS, order.number))
        found = in_force_at((each.version for each in past), max(order.at or now, now))
    if found is None or found.body is None:
        message = f"there is no number {order.number}: vosd did list has all, vosd did import FILE adds others"
        raise NoSuchObjectError(message)
    keys: Mapping[str, Any] = json.loads(found.body)
    return keys


async def _set(office: Office, who: Principal, order: ObjectOrder, objects: Sequence[WantedObject]) -> ChangeSheet:
    terms = SetObjects(
        objects=tuple(objects), at=order.at, memo=order.memo, is_trial=order.is_trial, is_confirmed=order.is_confirmed
    )
    return await set_objects(office, who, terms)


def _row(number: str, keys: Mapping[str, Any], since: str | None, operator: str | None, memo: str | None) -> DidRow:
    phones = keys.get("phones") or ()
    rings = keys.get("trunk") or (phones if isinstance(phones, str) else " ".join(phones))
    account, ring = keys.get("account"), RingOrder(keys.get("ring", RingOrder.IN_TURN))
    return DidRow(number=number, account=account, rings=rings, ring=ring, since=since, by=operator, memo=memo)


def _read(text: str) -> list[WantedObject]:
    lines = csv.DictReader(io.StringIO(text.removeprefix(BOM)), strict=True)
    try:
        return _wanted(lines)
    except csv.Error as error:
        raise OrderError("text", f"is no valid CSV behind line {lines.line_num}: {error}", "mend it") from error


def _wanted(lines: "csv.DictReader[str]") -> list[WantedObject]:
    names = lines.fieldnames or ()
    unknown = [name for name in names if name not in COLUMNS]
    if "number" not in names or unknown:
        raise OrderError("text", "has no usable first line", f"name the columns, of {', '.join(COLUMNS)}")
    found: dict[str, WantedObject] = {}
    for line in lines:
        number = (line["number"] or "").strip()
        if not number or number in found or None in line or None in line.values():
            said = f"line {lines.line_num} has no number of its own, or not as many cells as the first line"
            raise OrderError("text", said, "mend it")
        keys: dict[str, Any] = {
            name: value.strip() for name, value in line.items() if name != "number" and value and value.strip()
        }
        for name in ("phones", "otherwise"):
            if name in keys:
                keys[name] = keys[name].split()
        found[number] = WantedObject(DIDS, number, keys)
        if len(found) > IMPORT_MAX:
            raise OrderError("text", "is too long", f"at most {IMPORT_MAX} numbers in one file")
    return list(found.values())
