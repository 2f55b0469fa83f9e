"""What a call of a given length costs on an account, step by step, without making one."""

from collections.abc import Sequence

import msgspec

from vosd.admin.accounts import configured
from vosd.base.errors import VosError
from vosd.base.money import format_amount
from vosd.billing.rater import Step, breakdown, rate_call
from vosd.engine.catalogue import Catalogue


class NoRateError(VosError):
    """The account has no rate for the number."""


class RateExplanation(msgspec.Struct, frozen=True):
    """A charge and how it came about (INTERFACES section 2, ``rate explain``)."""

    rate_group: str
    rate_prefix: str
    rate_area: str
    billed_seconds: int
    fee: str
    tax: str
    steps: Sequence[Step]


def explain_rate(catalogue: Catalogue, account_id: str, callee: str, duration_ms: int) -> RateExplanation:
    """Rate a call to ``callee`` that lasts ``duration_ms``, as the account's rate group says now.

    Raises:
        UnknownAccountError: the account is not configured.
        NoRateError: it has no rate group, or the group has no rate for the number.
    """
    account = configured(catalogue, account_id)
    if account.rate_group is None:
        message = f"account {account_id} has no rate_group, so nothing has a price on it"
        raise NoRateError(message)
    applied = catalogue.rate_groups[account.rate_group].find(callee)
    if applied is None:
        message = f"No Matching Rate: rate group {account.rate_group} has none for {callee}"
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
