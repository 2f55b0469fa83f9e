"""Use case of the declarations of keys: the forms by which objects are made and changed follow from them."""

import asyncio

import msgspec

from vosd.admin.office.agent_objects import SETTABLE
from vosd.admin.office.needs import needs
from vosd.admin.office.object_versions import NoSuchObjectError
from vosd.admin.office.office import Office
from vosd.admin.office.permissions import Permission
from vosd.admin.office.ports import ObjectKindSheet
from vosd.admin.office.principal import Principal
from vosd.catalogue.stored_objects import KINDS


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
