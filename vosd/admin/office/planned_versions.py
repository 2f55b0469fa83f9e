"""Use case of versions of objects that begin later: what each will change, and what calls it off."""

from collections import defaultdict
from collections.abc import Sequence

import msgspec
from msgspec.structs import asdict

from vosd.admin.office.object_versions import KeysSheet, differing, sheet_of
from vosd.admin.office.office import Office, needs
from vosd.admin.office.principal import Permission, Principal
from vosd.catalogue.stored_objects import ObjectVersion, check_kind


class ListPlanned(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Versions that begin later, of one kind of objects or of all."""

    kind: str | None = None


class PlannedSheet(KeysSheet, frozen=True, kw_only=True):
    """A version that begins later; of its keys those that differ from the version that holds until then."""

    replaces: int | None
    """The version that holds until then: reverting to it at that moment calls this one off. None = the object does not
    exist until then, and to end it at that moment does so."""


@needs(Permission.DEFINITIONS_SEE)
async def list_planned(office: Office, who: Principal, order: ListPlanned) -> list[PlannedSheet]:
    """Return them, the first to begin first; of several of one object for the same moment the one that will hold.

    Raises:
        OperatorsOnlyError: an agent asks; its changes hold at once.
        BadObjectError: there is no such kind.
    """
    if order.kind is not None:
        check_kind(order.kind)
    now = office.now()
    planned = [each for each in await office.stores.objects.planned(now) if order.kind in {None, each.kind}]
    holding = {(each.begins_at, each.kind, each.name): each for each in planned}.values()
    versions: dict[tuple[str, str], list[ObjectVersion]] = defaultdict(list)
    for kind in sorted({each.kind for each in holding}):
        names = sorted({each.name for each in holding if each.kind == kind})
        for each in await office.stores.objects.named(now, kind, names):
            versions[kind, each.name].append(each)
    shown: list[PlannedSheet] = []
    for each in holding:
        of_object = versions[each.kind, each.name]
        shown.append(_sheet(each, of_object))
        of_object.append(each)
    return shown


def _sheet(version: ObjectVersion, before: Sequence[ObjectVersion]) -> PlannedSheet:
    """Return a version as programs read it; the last of those before is the one that it replaces."""
    replaced = before[-1] if before and before[-1].body is not None else None
    keys = differing(None if replaced is None else replaced.body, version.body)
    replaces = None if replaced is None else replaced.version
    return PlannedSheet(**asdict(sheet_of(version)), keys=keys, replaces=replaces)
