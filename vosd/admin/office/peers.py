"""Use cases of the other side of the wire: gateways and registrations."""

from typing import TypeVar

from vosd.admin.office.office import Office
from vosd.admin.office.principal import Principal
from vosd.control.order import Order

Rows = TypeVar("Rows")


async def list_peers(office: Office, who: Principal, order: Order[Rows]) -> Rows:
    """Return what the running switch knows of its peers: ``ListGateways``, ``ListRegistrations``.

    Raises:
        OperatorsOnlyError: an agent asks.
        DaemonUnreachableError, DaemonRefusedError: the switch does not answer.
    """
    office.scope_of(who).require_operator()
    return await office.switch.ask(order)
