"""Operations about objects that the database defines: a resource for each kind."""

from collections.abc import Iterator, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from vosd.admin.office.calendars import draw_calendar
from vosd.admin.office.definitions import ChangeSheet, SetObjects, end_object, revert_object, set_objects
from vosd.admin.office.dids import assign_did, free_did, import_dids
from vosd.admin.office.object_versions import (
    KeysSheet,
    ListVersions,
    compare_versions,
    list_parameter_versions,
    list_versions,
)
from vosd.admin.office.office import Office
from vosd.admin.office.phone_passwords import set_phone_password
from vosd.admin.office.planned_change import ObjectOrder, WantedObject
from vosd.admin.office.planned_versions import list_planned
from vosd.admin.office.principal import Principal
from vosd.admin.office.shown_objects import DefinitionSheet, list_definitions, show_definition, show_kind
from vosd.api.operation import Listing, Operation

KINDS: Final = (
    "accounts", "mapping_gateways", "routing_gateways", "phones", "rate_groups", "routing_plans", "calendars",
    "number_lists", "number_pools", "dids", "address_groups", "gateway_groups", "reports", "templates",
)  # fmt: skip
_PATHS: Final[Mapping[str, str]] = {"reports": "/report-schedules"}
"""Paths of kinds whose name is another resource: ``/reports`` has the figures."""
_WORDS: Final[Mapping[str, str]] = {"reports": "reports at fixed times"}


def path_of(kind: str) -> str:
    """Return the path of the objects of a kind."""
    return _PATHS.get(kind, f"/{kind.replace('_', '-')}")


_OF_ACCOUNTS: Final = frozenset({"mapping_gateways", "routing_gateways", "phones", "dids"})


class CreateObject(ObjectOrder, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An object that the database does not define yet."""

    kind: str
    name: str
    keys: dict[str, Any]
    """Keys as in the configuration files, without the name."""


class ReplaceObject(ObjectOrder, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An object that has exactly these keys then; one that does not exist is made."""

    kind: str
    name: str
    keys: dict[str, Any]
    """Keys as in the configuration files, without the name. ``(hidden)`` leaves a password as it is."""
    if_version: int | None = None
    if_exists: bool | None = None


class MergeObject(ObjectOrder, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys that change; the others stay."""

    kind: str
    name: str
    keys: dict[str, Any]
    """Keys as in the configuration files; null takes one away (RFC 7396)."""
    if_version: int | None = None


class SetParameter(ObjectOrder, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A parameter that has this value then, whether the database had one or not."""

    name: str
    """Name of the parameter, such as ``SS_BILLINGUNIT``."""
    value: str
    """Value as text."""
    if_version: int | None = None
    if_exists: bool | None = None


async def list_version_sheets(office: Office, who: Principal, order: ListVersions) -> list[KeysSheet]:
    """Return the versions of an object with what each has changed."""
    return [each.sheet() for each in await list_versions(office, who, order)]


async def create(office: Office, who: Principal, order: CreateObject) -> ChangeSheet:
    """Define an object that there is not yet."""
    return await _change(office, who, order, WantedObject(order.kind, order.name, order.keys, is_new=True))


async def replace(office: Office, who: Principal, order: ReplaceObject) -> ChangeSheet:
    """Define or change an object."""
    wanted = WantedObject(order.kind, order.name, order.keys, if_version=order.if_version, if_exists=order.if_exists)
    return await _change(office, who, order, wanted)


async def set_parameter(office: Office, who: Principal, order: SetParameter) -> ChangeSheet:
    """Give a parameter a value."""
    wanted = WantedObject("parameters", order.name, order.value, if_version=order.if_version, if_exists=order.if_exists)
    return await _change(office, who, order, wanted)


async def merge(office: Office, who: Principal, order: MergeObject) -> ChangeSheet:
    """Change some keys of an object."""
    wanted = WantedObject(order.kind, order.name, order.keys, is_merged=True, if_version=order.if_version)
    return await _change(office, who, order, wanted)


async def _change(office: Office, who: Principal, order: ObjectOrder, wanted: WantedObject) -> ChangeSheet:
    whole = SetObjects(
        objects=(wanted,), at=order.at, memo=order.memo, is_trial=order.is_trial, is_confirmed=order.is_confirmed
    )
    return await set_objects(office, who, whole)


def _version_of(result: DefinitionSheet | ChangeSheet) -> str | None:
    version = result.version if isinstance(result, DefinitionSheet) else result.changes[0].version
    return None if version is None else str(version)


def _place_of(path: str, made: ChangeSheet) -> str:
    return f"/api/v1{path}/{quote(made.changes[0].name, safe='')}"


_ABSENT: Final = ("no_such_object",)
_CHANGES: Final = (
    *_ABSENT, "busy", "check_ended", "check_too_slow", "defined_in_files", "no_agent", "not_taken", "objects_moved",
    "operators_only", "out_of_scope", "right_lacking", "socket_not_open", "too_many_changes", "too_many_objects",
    "unconfirmed",
)  # fmt: skip


def _operations() -> Iterator[Operation]:
    for kind in KINDS:
        path = path_of(kind)
        words = _WORDS.get(kind, kind.replace("_", " "))
        one, fixed = f"{path}/{{name}}", {"kind": kind}
        yield Operation(
            f"GET {path}",
            f"The {words} of the database and of the files, with their keys.",
            list_definitions,
            problems=("unknown_name",) if kind in _OF_ACCOUNTS else (),
            fixed=fixed if kind in _OF_ACCOUNTS else {**fixed, "account": None},
            listing=Listing(
                "name", filters=("operator", "memo", "source"), sorts=("name", "made_at", "begins_at"), in_parts=True
            ),
        )
        yield Operation(
            f"POST {path}",
            f"Define one of the {words}.",
            create,
            use_case=set_objects,
            problems=("already_defined", *_CHANGES),
            fixed=fixed,
            status=HTTPStatus.CREATED,
            etag=_version_of,
            location=partial(_place_of, path),
        )
        yield Operation(
            f"GET {one}",
            f"One of the {words} with its keys.",
            show_definition,
            problems=_ABSENT,
            fixed={**fixed, "secrets": False},
            etag=_version_of,
        )
        yield Operation(
            f"PUT {one}",
            f"Define or replace one of the {words}.",
            replace,
            use_case=set_objects,
            problems=("already_defined", *_CHANGES),
            fixed=fixed,
            etag=_version_of,
        )
        yield Operation(
            f"PATCH {one}",
            f"Change some keys of one of the {words}.",
            merge,
            use_case=set_objects,
            problems=_CHANGES,
            fixed=fixed,
            etag=_version_of,
            merges=True,
        )
        yield Operation(
            f"DELETE {one}",
            f"End one of the {words}; its versions stay.",
            end_object,
            problems=("accounts_below", *_CHANGES),
            fixed=fixed,
        )
        yield from _of_versions(one, words, fixed)


def _of_versions(one: str, words: str, fixed: Mapping[str, str]) -> Iterator[Operation]:
    """Yield what is done with the versions of an object."""
    yield Operation(
        f"GET {one}/versions",
        f"The versions of one of the {words}, and what each has changed.",
        list_version_sheets,
        use_case=list_versions,
        problems=_ABSENT,
        fixed=fixed,
        listing=Listing("version", filters=("operator", "version"), sorts=("version", "made_at", "begins_at")),
    )
    yield Operation(
        f"GET {one}/diff",
        f"Keys in which two versions of one of the {words} differ.",
        compare_versions,
        problems=_ABSENT,
        fixed=fixed,
    )
    yield Operation(
        f"POST {one}/revert",
        f"Give one of the {words} the keys of an earlier version again, as a new version.",
        revert_object,
        problems=_CHANGES,
        fixed=fixed,
        etag=_version_of,
    )


_PARAMETER: Final = "/parameters/{name}"
_OF_PARAMETERS: Final = {"kind": "parameters"}

OPERATIONS: Final = (
    *_operations(),
    Operation(
        "GET /definitions/{kind}",
        "The keys of a kind of object as they are declared: form, bounds, default and meaning of each.",
        show_kind,
        problems=_ABSENT,
    ),
    Operation(
        "GET /planned-versions",
        "The versions of objects and parameters that begin later, and what each will change.",
        list_planned,
        listing=Listing("begins_at,kind,name", filters=("name", "operator", "memo"), sorts=("begins_at", "made_at")),
    ),
    Operation(
        "POST /calendar-days",
        "What a calendar says of some days, which need not be stored: working time, and which entries decide.",
        draw_calendar,
        is_question=True,
    ),
    Operation(
        f"PUT {_PARAMETER}",
        "Set one of the parameters.",
        set_parameter,
        use_case=set_objects,
        problems=_CHANGES,
        etag=_version_of,
    ),
    Operation(
        f"DELETE {_PARAMETER}",
        "Forget the value in the database of one of the parameters; that of the files, or the default, holds.",
        end_object,
        problems=_CHANGES,
        fixed=_OF_PARAMETERS,
    ),
    *_of_versions(_PARAMETER, "parameters", _OF_PARAMETERS),
    Operation(
        "GET /parameter-versions",
        "The versions of all parameters, each with the value before and after it.",
        list_parameter_versions,
        listing=Listing(
            "made_at,name,version", filters=("name", "operator", "memo"), sorts=("made_at", "begins_at", "name")
        ),
    ),
    Operation(
        "PUT /phones/{number}/password",
        "Change the password of a phone, and nothing else of it; its customer may, too.",
        set_phone_password,
        problems=(*_CHANGES, "too_many_passwords"),
        etag=_version_of,
    ),
    Operation(
        "POST /dids/{number}/assign",
        "Give a number, or a range, to an account, with what it rings.",
        assign_did,
        problems=_CHANGES,
        etag=_version_of,
    ),
    Operation(
        "POST /dids/{number}/free",
        "Take a number back from its account; it stays in the inventory.",
        free_did,
        problems=_CHANGES,
        etag=_version_of,
    ),
    Operation(
        "POST /dids/import", "Set the numbers of a CSV file, all of them or none.", import_dids, problems=_CHANGES
    ),
)
