"""Use cases of the other side of the wire: gateways, registrations, and sources that are locked out."""

from typing import TypeVar

from vosd.admin.office.office import Done, Office
from vosd.admin.office.principal import Principal
from vosd.control.order import Order
from vosd.control.peers import Unblock, UnblockOutcome

Rows = TypeVar("Rows")


async def list_peers(office: Office, who: Principal, order: Order[Rows]) -> Rows:
    """Return what the running switch knows of its peers: ``ListGateways``, ``ListRegistrations``, ``ListLockedOut``.

    Raises:
        OperatorsOnlyError: an agent asks.
        DaemonUnreachableError, DaemonRefusedError: the switch does not answer.
    """
    office.scope_of(who).require_operator()
    return await office.switch.ask(order)


async def unblock_source(office: Office, who: Principal, order: Unblock) -> Done[UnblockOutcome]:
    """Let a source in again; the outcome says whether it was locked out.

    Raises:
        OperatorsOnlyError: an agent orders it.
        DaemonUnreachableError, DaemonRefusedError: the switch does not answer.
    """
    office.scope_of(who).require_operator()
    outcome = await office.switch.ask(order)
    return await office.noted(outcome, who, order, order.address) if outcome.unblocked else Done(outcome)
