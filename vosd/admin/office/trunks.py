"""Use cases of trunks and phones: those of the running switch, as they are written, and what one would be sent."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter

import msgspec

from vosd.admin.explained_messages import TrunkMessage
from vosd.admin.office.object_versions import NoSuchObjectError
from vosd.admin.office.office import Done, Office, needs
from vosd.admin.office.ports import WrittenGateway
from vosd.admin.office.principal import OrderError, Permission, Principal, Scope
from vosd.base.errors import VosError
from vosd.control.order import fitting_names
from vosd.control.peers import (
    ForgetRegistration,
    ForgottenRegistrations,
    GatewayRow,
    InboundRow,
    ListGateways,
    ListRegistrations,
    ListRegistrationsOf,
    OutboundRow,
    RetryRegistration,
)


class NoSuchTrunkError(VosError):
    """Neither the files nor the running switch have a gateway or phone of that name."""


@needs(Permission.ROUTES_SEE, without_database=True)
async def list_gateways(office: Office, who: Principal, order: ListGateways) -> list[GatewayRow]:
    """Return state, calls and figures of the last hour of every gateway of the running switch."""
    return await office.switch.ask(order)


@needs(Permission.ROUTES_SEE, by_account=True, without_database=True)
async def list_registrations(
    office: Office, who: Principal, order: ListRegistrations
) -> list[InboundRow | OutboundRow]:
    """Return who is registered with the switch, and where the switch is.

    Agents and customers see phones and gateways of accounts that they see, by name.
    """
    scope = office.scope_of(who)
    if scope.visible is None:
        return await office.switch.ask(order)
    own = await asyncio.to_thread(_paid_for, office.definitions.accounts_of("mapping_gateways", "phones"), scope)
    names = fitting_names(own)
    found: Sequence[InboundRow | OutboundRow]
    if names is None:
        found = await office.switch.ask(order)
    else:
        found = await office.switch.ask(ListRegistrationsOf(names, order.containing))
    return sorted((each for each in found if isinstance(each, InboundRow) and each.name in own), key=attrgetter("name"))


def _paid_for(accounts_of: Callable[[], Mapping[str, str]], scope: Scope) -> frozenset[str]:
    """Return the phones and gateways of accounts that a principal sees."""
    return frozenset(name for name, account in accounts_of().items() if scope.sees(account))


class NotRegisteredError(VosError):
    """No phone or gateway of that name is registered with the switch, or none that the switch registers for."""


@needs(Permission.BLOCK, without_database=True)
async def forget_registration(
    office: Office, who: Principal, order: ForgetRegistration
) -> Done[ForgottenRegistrations]:
    """Remove what a phone or gateway has registered, such as a wrong address; it may register again at once.

    Raises:
        NotRegisteredError: it is not registered.
    """
    outcome = await office.carried_out(office.switch.ask(order), who, order, order.name)
    if not outcome.bindings:
        raise NotRegisteredError(f"{order.name} is not registered with the switch; vosd registrations lists who is")
    return await office.noted(outcome, who, order, order.name)


@needs(Permission.BLOCK, without_database=True)
async def retry_registration(office: Office, who: Principal, order: RetryRegistration) -> Done[OutboundRow]:
    """Have our registration with a vendor asked for at once, whatever it waits for: what was wrong is mended.

    One that has failed, or was refused, less than 5 s ago is asked for after these.

    Raises:
        NotRegisteredError: the switch does not register for that gateway.
    """
    row = await office.carried_out(office.switch.ask(order), who, order, order.name)
    if row is None:
        raise NotRegisteredError(
            f"the switch does not register for {order.name}; vosd registrations lists where it does"
        )
    return await office.noted(row, who, order, order.name)


class ShowTrunk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One gateway or phone."""

    name: str


class TrunkSheet(msgspec.Struct, frozen=True):
    """A gateway or phone, or both halves of a trunk, as written and as it runs."""

    defined: Sequence[WrittenGateway]
    """The object as it is written, or both halves of a trunk."""
    running: list[GatewayRow] | None
    """None = no switch runs."""


@needs(Permission.ROUTES_SEE, without_database=True)
async def show_trunk(office: Office, who: Principal, order: ShowTrunk) -> TrunkSheet:
    """Return how a gateway or phone is defined, and how it is if the switch runs.

    Raises:
        NoSuchTrunkError: there is none.
        ConfigError: the files cannot be read.
    """
    defined = office.definitions.written_gateways(order.name)
    rows = await office.switch.ask_if_running(ListGateways())
    running = None if rows is None else [row for row in rows if row.gateway == order.name]
    if not defined and not running:
        raise NoSuchTrunkError(
            f"neither the files nor the running switch have a gateway or phone {order.name!r}; vosd gateway list names "
            "those of the switch, vosd definitions list those of the database"
        )
    return TrunkSheet(defined, running)


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
