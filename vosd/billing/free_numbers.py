"""The rate of free numbers, which is in no rate group: it costs nothing, and says how seconds are rounded."""

from typing import Final

from vosd.base.money import ZERO
from vosd.billing.accounts import Account
from vosd.billing.rates import AppliedRate, Rate, RatingPolicy

FREE_NUMBER: Final = "free number"
"""Stands in the place of a rate group in the CDR of a call to a free number."""
_VERSION: Final = "-"
"""Free numbers are in no rate group that could have versions."""


def free_rate(pattern: str, account: Account, policy: RatingPolicy) -> AppliedRate:
    """Return the rate of free numbers: it costs nothing, and by it their calls are billed like all others."""
    return AppliedRate(FREE_NUMBER, _VERSION, account.currency, Rate(pattern, ZERO, 1), policy)
