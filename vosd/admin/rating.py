"""Compute the price of a call of a given length, step by step, without making one.

The rate is looked up by the function that the set-up of a call uses.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from vosd.admin.accounts import configured
from vosd.base.errors import Refusal, VosError
from vosd.base.money import format_amount
from vosd.billing.accounts import Account
from vosd.billing.rate_group import RateGroup
from vosd.billing.rater import Step, breakdown, rate_call
from vosd.callcontrol.admission import rate_in


class NoRateError(VosError):
    """The account has no rate for the number."""


class RateExplanation(msgspec.Struct, frozen=True):
    """A charge and its computation, as ``vosd rate explain`` prints it."""

    rate_group: str
    rate_prefix: str
    rate_area: str
    billed_seconds: int
    fee: str
    tax: str
    steps: Sequence[Step]


def explain_rate(
    accounts: Mapping[str, Account],
    group_of: Callable[[str], RateGroup | None],
    account_id: str,
    callee: str,
    duration_ms: int,
    wall_ms: int,
) -> RateExplanation:
    """Rate a call to ``callee`` that begins at ``wall_ms`` (UTC) and lasts ``duration_ms``.

    ``group_of`` returns the rate group with a name.

    Raises:
        UnknownAccountError: the account is not configured.
        NoRateError: it has no rate group, or the group has no rate for the number.
    """
    account = configured(accounts, account_id)
    if account.rate_group is None:
        message = f"account {account.id} has no rate_group, so nothing has a price on it"
        raise NoRateError(message)
    group = group_of(account.rate_group)
    if group is None:
        message = f"rate group {account.rate_group} of account {account.id} is not configured"
        raise NoRateError(message)
    applied = rate_in(group, callee, wall_ms)
    if isinstance(applied, Refusal):
        message = f"{applied.reason.text}: rate group {account.rate_group} has none for {callee}"
        raise NoRateError(message)
    charge = rate_call(applied, duration_ms)
    return RateExplanation(
        rate_group=applied.group,
        rate_prefix=applied.rate.prefix,
        rate_area=applied.rate.area,
        billed_seconds=charge.billed_seconds,
        fee=format_amount(charge.fee),
        tax=format_amount(charge.tax),
        steps=breakdown(applied, charge),
    )
