"""Use cases of trunks and phones: gateways, registrations, and the sources and callers that the switch refuses."""

from collections.abc import Sequence
from ipaddress import IPv6Network, ip_address
from typing import Final

import msgspec

from vosd.admin.office.errors import OrderError
from vosd.admin.office.office import Office
from vosd.admin.office.ports import WrittenGateway
from vosd.admin.office.principal import Principal
from vosd.base.errors import VosError
from vosd.control.peers import (
    BlacklistedCaller,
    ClearBlacklist,
    ClearedCallers,
    GatewayRow,
    InboundRow,
    ListBlacklist,
    ListGateways,
    ListLockedOut,
    ListRegistrations,
    OutboundRow,
    SilencedSource,
    Unblock,
    UnblockOutcome,
)

_SITE: Final = "/64"
_NUMBER_CHARACTERS_MAX: Final = 128


class NoSuchTrunkError(VosError):
    """Neither the files nor the running switch have a gateway or phone of that name."""


class NotRefusedNowError(VosError):
    """The source or caller is not refused, so there is nothing to lift."""


class ListTrunks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every gateway of the running switch."""


async def list_trunks(office: Office, who: Principal, _order: ListTrunks) -> list[GatewayRow]:
    """Return state, calls and figures of the last hour.

    Raises:
        OperatorsOnlyError: an agent asks.
        DaemonUnreachableError: no switch answers.
    """
    office.scope_of(who).require_operator()
    return await office.switch.ask(ListGateways())


class ShowTrunk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One gateway or phone."""

    name: str


class TrunkSheet(msgspec.Struct, frozen=True):
    """A gateway or phone, or both halves of a trunk, as written and as it runs."""

    defined: Sequence[WrittenGateway]
    running: list[GatewayRow] | None
    """None = no switch runs."""


async def show_trunk(office: Office, who: Principal, order: ShowTrunk) -> TrunkSheet:
    """Return how a gateway or phone is defined, and how it is if the switch runs.

    Raises:
        OperatorsOnlyError: an agent asks.
        NoSuchTrunkError: there is none.
        ConfigError: the files cannot be read.
        DaemonUnreachableError: a switch runs and does not answer.
    """
    office.scope_of(who).require_operator()
    defined = office.definitions.written_gateways(order.name)
    rows = await office.switch.ask_if_running(ListGateways())
    running = None if rows is None else [row for row in rows if row.gateway == order.name]
    if not defined and not running:
        message = f"there is no gateway or phone {order.name!r}; vosd gateway list names those of the running switch"
        raise NoSuchTrunkError(message)
    return TrunkSheet(defined, running)


class ListAllRegistrations(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Registrations in both directions."""


async def list_all_registrations(
    office: Office, who: Principal, _order: ListAllRegistrations
) -> list[InboundRow | OutboundRow]:
    """Return who is registered with the switch, and where the switch is.

    Raises:
        OperatorsOnlyError: an agent asks.
        DaemonUnreachableError: no switch answers.
    """
    office.scope_of(who).require_operator()
    return await office.switch.ask(ListRegistrations())


class ListRefusedSources(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Addresses that are locked out for wrong passwords, or blocked for a flood."""


async def list_refused_sources(office: Office, who: Principal, _order: ListRefusedSources) -> list[SilencedSource]:
    """Return them with cause and remaining time.

    Raises:
        OperatorsOnlyError: an agent asks.
        DaemonUnreachableError: no switch answers.
    """
    office.scope_of(who).require_operator()
    return await office.switch.ask(ListLockedOut())


class UnblockSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Order to listen to an address again; of IPv6 the /64 is locked out, so any address of it will do."""

    address: str

    @property
    def host(self) -> str:
        """An address of the source; raises OrderError."""
        text = self.address
        try:
            if text.endswith(_SITE):
                return str(IPv6Network(text, strict=False).network_address)
            return str(ip_address(text.removeprefix("[").removesuffix("]")))
        except ValueError:
            expected = f"expected an IP address or an IPv6 network of {_SITE}, as the list shows them"
            raise OrderError("address", f"{text!r}: {expected}") from None


class UnblockedSource(msgspec.Struct, frozen=True):
    """An address that is listened to again."""

    outcome: UnblockOutcome
    unaudited: str = ""
    """Why the audit has no line of it; empty if it has one."""


async def unblock_source(office: Office, who: Principal, order: UnblockSource) -> UnblockedSource:
    """Unblock the address. The line of the audit is written afterwards.

    Raises:
        OrderError: it is no address.
        OperatorsOnlyError: an agent orders it.
        NotRefusedNowError: it was neither locked out nor blocked.
        DaemonUnreachableError: no switch answers.
    """
    office.scope_of(who).require_operator()
    host = order.host
    outcome = await office.switch.ask(Unblock(host))
    if not outcome.unblocked:
        message = f"{host} was not locked out; vosd unblock --list shows who is"
        raise NotRefusedNowError(message)
    return UnblockedSource(outcome, await office.note(who, order, host))


class ListRefusedCallers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Callers that exceeded a limit of ``dynamic_blacklist``."""


async def list_refused_callers(office: Office, who: Principal, _order: ListRefusedCallers) -> list[BlacklistedCaller]:
    """Return them, the one that was put on the list first at the top.

    Raises:
        OperatorsOnlyError: an agent asks.
        DaemonUnreachableError: no switch answers.
    """
    office.scope_of(who).require_operator()
    return await office.switch.ask(ListBlacklist())


class AcceptCallers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Order to take calls of a caller on the dynamic blacklist again; a leading + makes no difference."""

    number: str | None = None
    """None = all callers."""

    def __post_init__(self) -> None:
        """Raise OrderError where the number is none."""
        number = self.number
        if number is not None and not (
            number.strip("+ ") and number.isprintable() and len(number) <= _NUMBER_CHARACTERS_MAX
        ):
            raise OrderError("number", f"{number!r}: expected a calling number as the list shows it")


class AcceptedCallers(msgspec.Struct, frozen=True):
    """Callers that were taken off the list."""

    outcome: ClearedCallers
    unaudited: str = ""
    """Why the audit has no line of it; empty if it has one, or if the list was empty."""


async def accept_callers(office: Office, who: Principal, order: AcceptCallers) -> AcceptedCallers:
    """Take the callers off the list. The line of the audit is written afterwards.

    Raises:
        OperatorsOnlyError: an agent orders it.
        NotRefusedNowError: the number is not on the list.
        DaemonUnreachableError: no switch answers.
    """
    office.scope_of(who).require_operator()
    outcome = await office.switch.ask(ClearBlacklist(order.number))
    if outcome.cleared:
        return AcceptedCallers(outcome, await office.note(who, order, order.number or "all callers"))
    if order.number is not None:
        message = f"{order.number} is not on the list; vosd blacklist list shows who is"
        raise NotRefusedNowError(message)
    return AcceptedCallers(outcome)
