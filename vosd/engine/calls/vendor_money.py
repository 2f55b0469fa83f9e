"""What attempts hold of vendors that are paid in advance: taken when one is made, released when it is over (ADR 56)."""

from vosd.base.clock import Instant
from vosd.billing.call_hold import CallHold
from vosd.billing.holds import AccountCredit
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.vendor_terms import LiveVendors, buy_rate
from vosd.engine.calls.ringing_money import RingingMoney
from vosd.routing.capacity import Occupancy
from vosd.routing.pipeline import Cause, LeftOut, RouteChoice


def hold_vendor(
    credit: AccountCredit,
    choice: RouteChoice,
    call_request: CallRequest,
    vendors: LiveVendors,
    occupancy: Occupancy,
    now: Instant,
    ringing: RingingMoney | None,
) -> bool:
    """Hold the first seconds of an attempt on the account of its vendor; False = it has too little.

    A vendor of a call that is charged already (``ringing``) charges from the INVITE of its own attempt.
    What the attempt occupies is released then, and the gateway noted among those that were left out.
    """
    hold, rate, gateway = call_request.hold, buy_rate(choice), choice.gateway
    if hold is None or rate is None or gateway.earns:
        return True
    elapsed_s = 0 if ringing is None else ringing.elapsed_s(now)
    refusal = hold.join(credit, rate, vendors.first_period_s(gateway), elapsed_s)
    if refusal is None:
        return True
    for limit in choice.limits:
        occupancy.undo(limit.scope, limit.name, now.mono)
    occupancy.undo(gateway.scope, gateway.name, now.mono)
    call_request.left.append(LeftOut(gateway, Cause.NO_FUNDS, refusal.detail))
    return False


def release_vendor(hold: CallHold, choice: RouteChoice) -> None:
    """Release what is held for an attempt that is over; for most there is nothing."""
    rate, account = buy_rate(choice), choice.gateway.account
    if rate is not None and account is not None:
        hold.leave(account, rate)
