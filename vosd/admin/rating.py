"""Compute the price of a call of a given length, step by step, without making one.

The rate is looked up by the function that the set-up of a call uses.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from vosd.admin.names import configured
from vosd.base.errors import Refusal, VosError
from vosd.base.money import format_amount
from vosd.base.number import for_matching, without_separators
from vosd.billing.accounts import Account
from vosd.billing.agents import LEVELS_MAX
from vosd.billing.free_numbers import free_rate
from vosd.billing.parties import Party
from vosd.billing.ports import Rates
from vosd.billing.rate_choice import RateChoice
from vosd.billing.rater import Step, breakdown, charged_by, rate_call
from vosd.billing.rates import AppliedRate, RatingPolicy
from vosd.callcontrol.sell_rate import of_allowed_type, rate_in, rated_agents
from vosd.routing.special_numbers import SpecialNumbers


class NoRateError(VosError):
    """The account has no rate for the number."""


class FreeNumbers(NamedTuple):
    """Called numbers that cost a customer nothing, and how the seconds of their calls are rounded."""

    numbers: SpecialNumbers
    policy: RatingPolicy


class CandidateRate(msgspec.Struct, frozen=True):
    """One of several rates that may price a call."""

    source: str
    """``trunk``, ``account``, ``period NAME`` or ``main``."""
    rate_group: str
    rate_prefix: str
    total: str
    """Fee and tax of the call by this rate."""
    chosen: str
    """Why it prices the call; empty = it does not."""


class AgentCharge(msgspec.Struct, frozen=True):
    """Charge of an agent above the account for the same call."""

    account: str
    level: int
    """1 = the account's agent, 2 = the agent of that one, and so on."""
    rate_group: str
    rate_prefix: str
    billed_seconds: int
    fee: str
    tax: str
    currency: str


class RateExplanation(msgspec.Struct, frozen=True, omit_defaults=True):
    """A charge and its computation, as ``vosd rate explain`` prints it."""

    rate_group: str
    rate_prefix: str
    rate_area: str | None
    """None = the rate has none."""
    billed_seconds: int
    fee: str
    tax: str
    steps: Sequence[Step]
    currency: str = ""
    """Currency of fee and tax, if they are converted; empty = that of the rate group."""
    candidates: Sequence[CandidateRate] = ()
    """In order of preference; none = one rate group prices the calls of the account."""
    agents: Sequence[AgentCharge] = ()
    """From the nearest up."""
    trunk_groups: Sequence[str] = ()
    """Rate groups that gateways and phones of the account name: their calls may cost otherwise."""


def explain_rate(
    accounts: Mapping[str, Account],
    rates_of: Callable[[Account], Rates | None],
    account_id: str,
    callee: str,
    duration_ms: int,
    wall_ms: int,
    caller: str = "",
    *,
    free: FreeNumbers | None = None,
) -> RateExplanation:
    """Rate a call from ``caller`` to ``callee`` that begins at ``wall_ms`` (UTC) and lasts ``duration_ms``.

    ``rates_of`` returns the rates of an account, None where what it names is not configured. ``free`` are the numbers
    that cost a customer nothing; None for a vendor.

    Raises:
        UnknownAccountError: the account is not configured.
        NoRateError: it has no rate group, or none of its groups has a rate for the number.
    """
    account = configured(accounts, account_id)
    callee, caller = without_separators(callee), without_separators(caller)
    number = for_matching(callee)
    if free is not None and free.numbers.leaves_no_cdr(number):
        memo = free.numbers.why_no_cdr(number)
        explained = _explained(free_rate("", account, free.policy), duration_ms)
        return msgspec.structs.replace(explained, rate_area=f"leaves no CDR: {memo}" if memo else "leaves no CDR")
    pattern = None if free is None else free.numbers.free_by(number, number)
    if free is not None and pattern is not None:
        return _explained(free_rate(pattern, account, free.policy), duration_ms)
    rates = rates_named_by(account, rates_of)
    applied = rate_in(rates, callee, wall_ms, caller)
    if isinstance(applied, Refusal):
        raise NoRateError(f"{applied.reason.text}: rate group {applied.detail}")
    permitted = of_allowed_type(account, applied)
    if isinstance(permitted, Refusal):
        raise NoRateError(f"{permitted.reason.text}: {permitted.detail}")
    parties = rated_agents(_agents_above(account, accounts), rates_of, callee, wall_ms, caller)
    if isinstance(parties, Refusal):
        raise NoRateError(f"{parties.reason.text}: {parties.detail}")
    found = rates.found(callee, wall_ms, caller) if isinstance(rates, RateChoice) else ()
    explained = _explained(permitted, duration_ms, found)
    return msgspec.structs.replace(explained, agents=tuple(_charged(each, duration_ms) for each in parties))


def rates_named_by(account: Account, rates_of: Callable[[Account], Rates | None]) -> Rates:
    """Return the rates of an account; raises NoRateError where it has none."""
    if not account.names_rates:
        raise NoRateError(f"account {account.id} has no rate_group, so nothing has a price on it")
    rates = rates_of(account)
    if rates is None:
        raise NoRateError(f"rate group {account.rate_group} of account {account.id} is not configured")
    return rates


def _agents_above(account: Account, accounts: Mapping[str, Account]) -> list[Account]:
    """Return the agents above an account; a loop, which ``vosd check`` reports, ends at the highest level."""
    found: list[Account] = []
    while account.agent is not None and account.agent in accounts and len(found) < LEVELS_MAX:
        account = accounts[account.agent]
        found.append(account)
    return found


def _charged(agent: Party, duration_ms: int) -> AgentCharge:
    charge, rate = rate_call(agent.applied, duration_ms), charged_by(agent.applied, duration_ms)
    fee, tax = format_amount(charge.fee), format_amount(charge.tax)
    currency = rate.paid_in or rate.currency
    return AgentCharge(
        agent.account, agent.level, rate.group, rate.rate.prefix, charge.billed_seconds, fee, tax, currency
    )


def _explained(applied: AppliedRate, duration_ms: int, found: Sequence[AppliedRate] = ()) -> RateExplanation:
    """Return what a call costs by a rate; ``found`` are all rates that may price it."""
    charge, charged = rate_call(applied, duration_ms), charged_by(applied, duration_ms)
    why = "the cheapest of this call" if len(applied.candidates) > 1 else "the first with a rate for the number"
    return RateExplanation(
        rate_group=charged.group,
        rate_prefix=charged.rate.prefix,
        rate_area=charged.rate.area or None,
        billed_seconds=charge.billed_seconds,
        fee=format_amount(charge.fee),
        tax=format_amount(charge.tax),
        currency=charged.paid_in,
        steps=breakdown(applied, duration_ms),
        candidates=tuple(_candidate(each, duration_ms, why if each == charged else "") for each in found),
    )


def _candidate(applied: AppliedRate, duration_ms: int, chosen: str) -> CandidateRate:
    total = format_amount(rate_call(applied, duration_ms).total)
    return CandidateRate(applied.source, applied.group, applied.rate.prefix, total, chosen)
