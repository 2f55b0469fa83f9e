"""Use case of many objects at once: all of them are changed or none, and every mistake is reported."""

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import msgspec

from vosd.admin.office.definitions import ChangeSheet, check_and_add
from vosd.admin.office.office import Office, needs
from vosd.admin.office.planned_change import ObjectOrder, Plan, WantedObject, compared_each
from vosd.admin.office.principal import OrderError, Permission, Principal
from vosd.base.errors import VosError
from vosd.catalogue.problems import ConfigError, DefinitionProblem, Severity
from vosd.catalogue.stored_objects import check_kind

OBJECTS_AT_MOST: Final = 10_000
MISTAKES_AT_MOST: Final = 100
"""Mistakes that are listed; the others are counted."""
_OBJECT: Final = re.compile(r"(\w+) (\S.*) \(version \d+\) in the database")


class BulkAction(Enum):
    """Kind of a wanted change."""

    CREATE = "create"
    REPLACE = "replace"
    MERGE = "merge"
    DELETE = "delete"


class BulkObject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A wanted change of one object."""

    action: BulkAction
    """Change of the object."""
    kind: str
    """The section of the configuration, such as ``accounts`` or ``routing_gateways``."""
    name: str
    keys: dict[str, Any] | None = None
    """Keys as in the configuration files, without the name; none to delete it."""
    if_version: int | None = None
    """Refused unless this version is in force."""


class ChangeObjects(ObjectOrder, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Up to 10,000 objects of any kinds, which are all changed in one transaction, or none of them."""

    objects: tuple[BulkObject, ...]
    """Changes, at most 10,000."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.objects) <= OBJECTS_AT_MOST:
            raise OrderError("objects", f"are {len(self.objects)}: expected 1 to {OBJECTS_AT_MOST}")


class BulkMistake(NamedTuple):
    """A mistake in one object."""

    field: str
    """``objects[17].keys.currency``; the first object is 0."""
    said: str


class BulkRefusedError(VosError):
    """Some of the objects cannot be as they are wanted; nothing was changed."""

    def __init__(self, mistakes: Sequence[BulkMistake], warnings: Sequence[BulkMistake] = ()) -> None:
        """``warnings`` refuse nothing; a mistake of an object that is not in the order has its own key."""
        shown = "\n".join(f"{each.field}: {each.said}" for each in mistakes[:MISTAKES_AT_MOST])
        super().__init__(f"{len(mistakes)} mistakes, and nothing was changed:\n{shown}")
        self.mistakes = mistakes[:MISTAKES_AT_MOST]
        self.warnings = warnings[:MISTAKES_AT_MOST]
        self.field = mistakes[0].field


@needs(Permission.DEFINITIONS_CHANGE)
async def change_objects(office: Office, who: Principal, order: ChangeObjects) -> ChangeSheet:
    """Create, replace, merge and delete objects; a running switch has taken the change when this returns.

    Raises:
        BulkRefusedError: with every mistake; nothing was changed.
        ConfigError: the configuration would not be valid because of other objects; nothing was changed.
        ObjectsMoved, ContentRefused: nothing was changed.
        NotTakenError: the running switch does not take the change, as ``taken`` has it.
    """
    plan = await plan_objects(office, who, order, order.objects)
    numbers = {(each.kind, each.name): number for number, each in enumerate(order.objects)}
    try:
        return await check_and_add(office, who, order, plan, None)
    except OrderError as error:
        if not plan.weak:
            raise
        weak = [(numbers[each.kind, each.name], each.error()) for each in plan.weak]
        raise BulkRefusedError([BulkMistake(f"objects[{at}].{each.field}", str(each)) for at, each in weak]) from error
    except ConfigError as error:
        placed = [(each, _place_of(numbers, each)) for each in error.problems]
        if not any(place and each.severity is Severity.ERROR for each, place in placed):
            raise
        mistakes: list[BulkMistake] = []
        warnings: list[BulkMistake] = []
        for each, place in placed:
            found = warnings if each.severity is Severity.WARNING else mistakes
            found.append(BulkMistake(place or each.key, str(each)))
        raise BulkRefusedError(mistakes, warnings) from error


async def plan_objects(office: Office, who: Principal, terms: ObjectOrder, objects: Sequence[BulkObject]) -> Plan:
    """Compare wanted objects with those that there are; raises BulkRefusedError with every mistake of that."""
    wanted = [_wanted(each) for each in objects]
    mistakes = [*_unfit(office, objects)]
    plan = Plan([], [], [])
    if not mistakes:
        for number, found in enumerate(await compared_each(office, who, terms, wanted, None)):
            if isinstance(found, VosError):
                field = f".{found.field}" if isinstance(found, OrderError) else ""
                mistakes.append(BulkMistake(f"objects[{number}]{field}", str(found)))
            else:
                plan.add(found)
    if mistakes:
        raise BulkRefusedError(mistakes)
    return plan


def _wanted(each: BulkObject) -> WantedObject:
    return WantedObject(
        each.kind,
        each.name,
        None if each.action is BulkAction.DELETE else each.keys,
        is_new=each.action is BulkAction.CREATE,
        is_merged=each.action is BulkAction.MERGE,
        if_version=each.if_version,
    )


def _unfit(office: Office, objects: Sequence[BulkObject]) -> Iterator[BulkMistake]:
    """Yield mistakes that are seen without the database."""
    first: dict[tuple[str, str], int] = {}
    bad: dict[str, str] = {}
    for kind in {each.kind for each in objects}:
        try:
            check_kind(kind)
        except VosError as error:
            bad[kind] = str(error)
    for number, each in enumerate(objects):
        place = f"objects[{number}]"
        if each.kind in bad:
            yield BulkMistake(f"{place}.kind", bad[each.kind])
        if (each.keys is None) is not (each.action is BulkAction.DELETE):
            said = "has no keys" if each.keys is None else "has keys, and is to be deleted"
            yield BulkMistake(f"{place}.keys", f"{each.kind} {each.name} {said}")
        earlier = first.setdefault((each.kind, each.name), number)
        if earlier != number:
            yield BulkMistake(f"{place}.name", f"{each.kind} {each.name} is objects[{earlier}], too")


def _place_of(numbers: Mapping[tuple[str, str], int], problem: DefinitionProblem) -> str | None:
    """Return the place in the order of a problem of the configuration; None = it is one of another object."""
    named = _OBJECT.fullmatch(problem.file)
    number = None if named is None else numbers.get((named[1], unquote(named[2])))
    if named is None or number is None:
        return None
    key = problem.key.partition("].")[2] if problem.key.startswith(f"{named[1]}[") else problem.key
    return f"objects[{number}].keys.{key}" if key else f"objects[{number}]"
