"""Live events as the switch makes them, with facts that a test says."""

from typing import Any

from vosd.control.call_states import CallStateReport
from vosd.control.events import BalanceLow, BalanceLowFacts, CallEnded, GatewayDown, GatewayFacts

AT = "2026-01-01T00:00:00.000Z"


def call_ended(at: str = AT, accounts: tuple[str, ...] = (), gateways: tuple[str, ...] = (), **facts: Any) -> CallEnded:
    """Return the end of a call."""
    usual: dict[str, Any] = {"id": "c-1", "seq": 1, "node": "sw1", "call_id": "c", "state": "ended", "at": at}
    return CallEnded(at, CallStateReport(**usual | facts), accounts, gateways)


def balance_low(account: str, at: str = AT) -> BalanceLow:
    """Return an account whose money is nearly used up."""
    return BalanceLow(at, BalanceLowFacts(account, "1.00", "EUR", "2.00", "1.00", "5.00"), (account,))


def gateway_down(gateway: str, at: str = AT) -> GatewayDown:
    """Return a gateway that does not answer."""
    return GatewayDown(at, GatewayFacts(gateway), gateways=(gateway,))
