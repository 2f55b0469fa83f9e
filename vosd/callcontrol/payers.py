"""Checks of the accounts that a call or text is charged to: the customer's, and those of the agents above it (ADR 56).

A refusal names the account that it is about. Everything is taken as the steps of ``admission`` take it, so that a later
refusal releases it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.base.number import for_matching
from vosd.billing.accounts import Account, WhileAway
from vosd.billing.call_hold import CallHold
from vosd.billing.parties import Party
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.destinations import destination_objection
from vosd.callcontrol.live_state import LiveState
from vosd.callcontrol.taken import PlaceTaken, Taken
from vosd.catalogue.catalogue import Catalogue
from vosd.routing.ports import Full
from vosd.routing.sections import objection_in
from vosd.trunks.scope import LimitScope

_ACCOUNT: Final = "account"
_AGENT: Final = "agent"


def payers_objection(call: CallRequest, account: Account, catalogue: Catalogue, live: LiveState) -> Refusal | None:
    """Return why nothing may be charged to ``account``: it, or an agent above it, is disabled, blocked or expired.

    Or it may not use the called number. Nothing is reserved.
    """
    if live.blocks.destinations:
        blocked = destination_objection(account, call.callee_billing, catalogue, live)
        if blocked is not None:
            return blocked
    what, at = _ACCOUNT, call.at
    for payer in (account, *catalogue.agents.get(account.id, ())):
        if not payer.enabled:
            return Refusal(EndReason.ACCOUNT_DISABLED, 403, f"{what} {payer.id} is disabled")
        if payer.id in live.blocks.accounts:
            block = live.blocks.accounts[payer.id]
            return Refusal(EndReason.ACCOUNT_DISABLED, 403, f"{what} {payer.id} is {block.setting.value} {block}")
        expires_at = live.credits[payer.id].expires_at or payer.expires_at
        # What has its rate already goes to a free number, which no one is refused for money.
        if expires_at is not None and at.wall >= expires_at and call.rate is None:
            return Refusal(EndReason.ACCOUNT_EXPIRED, 403, f"{what} {payer.id} has expired")
        what = _AGENT
    if account.id in catalogue.sections:  # those of its agents are among them
        levels, number, billed = catalogue.sections[account.id], for_matching(call.callee), call.callee_billing
        objection = objection_in(levels, number, billed)
        if objection is not None and catalogue.parameters.special_numbers.is_emergency(billed):
            objection = objection_in(levels, number, billed, is_emergency=True)
        if objection is not None:
            return Refusal(EndReason.NUMBER_NOT_ALLOWED, 403, objection)
    return None


def occupy_payers(payers: Sequence[Account], at: Instant, live: LiveState, taken: list[Taken]) -> Refusal | None:
    """Reserve capacity of an account and of the agents above it, who count all calls below them.

    One that takes no calls while the database is away is refused. ``payers`` begins with the account.
    """
    what, occupancy, scope = _ACCOUNT, live.occupancy, LimitScope.ACCOUNT
    for payer in payers:
        if live.is_database_away and payer.database_away is WhileAway.REFUSE:
            detail = f"{what} {payer.id} takes no calls while the database is away"
            return Refusal(EndReason.OVERLOAD, 503, detail)
        full = occupancy.take(scope, payer.id, payer.max_concurrent, payer.max_cps, at.mono)
        if full is not None:
            limit = payer.max_concurrent if full is Full.CONCURRENCY else payer.max_cps
            return Refusal(EndReason.ACCOUNT_CAPACITY, 503, f"{what} {payer.id}: {full.value} limit {limit}")
        taken.append(PlaceTaken(occupancy, scope, payer.id, at.mono))
        what = _AGENT
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
