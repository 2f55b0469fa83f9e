"""The rate of a customer's call, or why it has none: what the set-up of a call and its explanations have in common."""

from collections.abc import Callable, Sequence

from vosd.base.cause import EndReason
from vosd.base.errors import Refusal
from vosd.billing.accounts import Account
from vosd.billing.parties import CallSide, Party
from vosd.billing.ports import Rates
from vosd.billing.rate_choice import locked_prefix, of_types
from vosd.billing.rates import AppliedRate


def rate_in(
    group: Rates | None, number: str, wall_ms: int, caller: str = "", forward_prefix: str = ""
) -> AppliedRate | Refusal:
    """Return the rate of a call as ``Rates.find`` does, or a refusal, as a call gets it."""
    rate = None if group is None else group.find(number, wall_ms, caller, forward_prefix)
    return no_rate(group, number, wall_ms) if rate is None else rate


def of_allowed_type(account: Account, rate: AppliedRate) -> AppliedRate | Refusal:
    """Return a rate as far as its type is authorised for an account, or the refusal of the call."""
    if not account.rate_types:
        return rate
    allowed = of_types(rate, account.rate_types)
    if allowed is not None:
        return allowed
    kind = rate.rate.rate_type or "a destination without rate type"
    permitted = ", ".join(sorted(account.rate_types))
    detail = f"account {account.id} may call {permitted}; prefix {rate.rate.prefix} of {rate.group} is {kind}"
    return Refusal(EndReason.RATE_TYPE_NOT_ALLOWED, 403, detail)


def no_rate(group: Rates | None, number: str, wall_ms: int, dialled: str = "") -> Refusal:
    """Return the refusal of a call to a number without rate; ``dialled`` is how it is shown, if otherwise.

    Where callers have different rates, a prefix may be locked for others alone: then none is named.
    """
    name = "no rate group" if group is None else group.name
    locked = None if group is None or group.depends_on_caller else locked_prefix(group, number, wall_ms)
    shown = dialled or number
    detail = f"{name} rates no {shown}" if locked is None else f"{name} rates no {shown}: prefix {locked} is locked"
    return Refusal(EndReason.NO_MATCHING_RATE, 403, detail)


def rated_agents(
    agents: Sequence[Account],
    rates_of: Callable[[Account], Rates | None],
    number: str,
    wall_ms: int,
    caller: str,
    forward_prefix: str = "",
) -> tuple[Party, ...] | Refusal:
    """Return the agents, each with its own rate; refuse where one has none, or none of a type that it may call."""
    parties = []
    for level, agent in enumerate(agents, start=1):
        rate = rate_in(rates_of(agent), number, wall_ms, caller, forward_prefix)
        if not isinstance(rate, Refusal):
            rate = of_allowed_type(agent, rate)
        if isinstance(rate, Refusal):
            return Refusal(rate.reason, rate.status, f"agent {agent.id}: {rate.detail}")
        parties.append(Party(agent.id, CallSide.AGENT, level, rate))
    return tuple(parties)
