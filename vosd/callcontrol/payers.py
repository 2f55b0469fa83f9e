"""Checks of the accounts that a call is charged to: the customer's, and those of the agents above it (ADR 56).

A refusal names the account that it is about. Everything is taken as the steps of ``admission`` take it, so that a later
refusal releases it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.billing.accounts import Account, WhileAway
from vosd.billing.call_hold import CallHold
from vosd.billing.parties import Party
from vosd.callcontrol.live_state import LiveState
from vosd.callcontrol.taken import PlaceTaken, Taken
from vosd.routing.ports import Full
from vosd.routing.sections import NumberSection, objection_in
from vosd.trunks.scope import LimitScope

_AGENT: Final = "agent"


def occupy_account(
    account: Account,
    at: Instant,
    live: LiveState,
    taken: list[Taken],
    is_free: bool,
    sections: Iterable[NumberSection],
    numbers: tuple[str, str],
    what: str = "account",
) -> Refusal | None:
    """Refuse a disabled, blocked or expired account, and numbers outside its section; reserve capacity of it.

    So is one refused that takes no calls while the database is away.

    ``is_free``: the call costs nothing, so an expired account may make it. ``sections`` are those that hold for
    ``numbers``, the called one and the one that is billed; ``what`` is what a refusal calls the account.
    """
    if not account.enabled:
        return Refusal(EndReason.ACCOUNT_DISABLED, 403, f"{what} {account.id} is disabled")
    if account.id in live.blocks.accounts:
        block = live.blocks.accounts[account.id]
        return Refusal(EndReason.ACCOUNT_DISABLED, 403, f"{what} {account.id} is {block.setting.value} {block}")
    if live.is_database_away and account.database_away is WhileAway.REFUSE:
        detail = f"{what} {account.id} takes no calls while the database is away"
        return Refusal(EndReason.OVERLOAD, 503, detail)
    expires_at = live.credits[account.id].expires_at or account.expires_at
    if expires_at is not None and at.wall >= expires_at and not is_free:
        return Refusal(EndReason.ACCOUNT_EXPIRED, 403, f"{what} {account.id} has expired")
    if sections:
        objection = objection_in(sections, *numbers)
        if objection is not None:
            return Refusal(EndReason.NUMBER_NOT_ALLOWED, 403, objection)
    occupancy, scope = live.occupancy, LimitScope.ACCOUNT
    full = occupancy.take(scope, account.id, account.max_concurrent, account.max_cps, at.mono)
    if full is None:
        taken.append(PlaceTaken(occupancy, scope, account.id, at.mono))
        return None
    limit = account.max_concurrent if full is Full.CONCURRENCY else account.max_cps
    return Refusal(EndReason.ACCOUNT_CAPACITY, 503, f"{what} {account.id}: {full.value} limit {limit}")


def occupy_agents(
    agents: Sequence[Account], at: Instant, live: LiveState, taken: list[Taken], is_free: bool
) -> Refusal | None:
    """Refuse where an agent is disabled, blocked or expired; reserve capacity of all: they count all calls below.

    Their number sections are those of the account below them as well, so they have been applied.
    """
    for agent in agents:
        refusal = occupy_account(agent, at, live, taken, is_free, (), ("", ""), _AGENT)
        if refusal is not None:
            return refusal
    return None


def hold_agents(
    hold: CallHold, parties: Iterable[Party], accounts: Mapping[str, Account], live: LiveState
) -> Refusal | None:
    """Hold the first seconds on the accounts of all agents; refuse where one has not enough."""
    for party in parties:
        agent = accounts.get(party.account)
        # A call whose set-up has waited through a reload keeps its agents; one that is gone reserves as the others do.
        advance_s = hold.holds[0].advance_s if agent is None else agent.advance_s
        refusal = hold.add_agent(live.credits[party.account], party.applied, advance_s)
        if refusal is not None:
            return Refusal(refusal.reason, refusal.status, f"agent {party.account}: {refusal.detail}")
    return None
