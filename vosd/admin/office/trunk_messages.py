"""Use case of trying a trunk: what it would be sent for a message, and by which rule."""

import asyncio

import msgspec

from vosd.admin.explained_messages import TrunkMessage
from vosd.admin.office.errors import OrderError
from vosd.admin.office.needs import needs
from vosd.admin.office.object_versions import NoSuchObjectError
from vosd.admin.office.office import Office
from vosd.admin.office.permissions import Permission
from vosd.admin.office.principal import Principal


class ExplainTrunk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message that came, and the gateway that another one would be sent for it."""

    gateway: str
    """A routing gateway for an INVITE, a mapping gateway for a response."""
    message: str
    """The whole message as text."""
    source: str | None = None
    """Mapping gateway that an INVITE came from; None = values with its account are left out."""


@needs(Permission.ROUTES_SEE, without_database=True)
async def explain_trunk(office: Office, who: Principal, order: ExplainTrunk) -> TrunkMessage:
    """Return the message that would leave; nothing is sent.

    Raises:
        OrderError: the message cannot be read.
        NoSuchObjectError: there is no such gateway for a message of this kind.
        ConfigError: the configuration is invalid.
    """
    from vosd.admin.trunk_messages import NotReadableError, explain_message

    office.scope_of(who).require_operator()
    catalogue = await asyncio.to_thread(office.definitions.catalogue, None, ())
    try:
        found = explain_message(catalogue, order.gateway, order.message, order.source, office.now())
    except NotReadableError as error:
        raise OrderError("message", str(error), "name a file with an INVITE, or with a response to one") from error
    if found is None:
        kind = "mapping gateway" if order.message.startswith("SIP/2.0") else "routing gateway"
        if order.source is None:
            raise NoSuchObjectError(f"no {kind} {order.gateway}")
        raise NoSuchObjectError(f"no {kind} {order.gateway}, or no mapping gateway {order.source} as its source")
    return found
