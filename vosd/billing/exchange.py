"""Rates of exchange applied to prices: a fee in another currency than that of the rate (ADR 64).

The sum of a fee is converted before it is rounded, so the rounding needs every digit. All amounts of a rate are
multiplied, and the fee is computed by these: converting a sum that was divided by sixty would lose digits.
"""

from decimal import Decimal
from functools import lru_cache
from typing import Final

import msgspec

from vosd.base.money import EXACT
from vosd.billing.rates import Rate

_KEPT: Final = 4_096


class ExchangeRate(msgspec.Struct, frozen=True):
    """Value of one unit of a currency in another one, from a moment on."""

    base: str
    quote: str
    rate: Decimal
    """Units of ``quote`` for one of ``base``."""
    effective_from: int | None = None
    """UTC milliseconds; None = it holds until another one of the same pair begins."""


@lru_cache(maxsize=_KEPT)
def exchanged(rate: Rate, exchange_rate: Decimal) -> Rate:
    """Return a rate with its amounts in another currency, every digit kept; seconds and tax rate stay."""

    def converted(amount: Decimal) -> Decimal:
        return EXACT.multiply(amount, exchange_rate)

    return msgspec.structs.replace(
        rate,
        billing_rate=converted(rate.billing_rate),
        first_rate=None if rate.first_rate is None else converted(rate.first_rate),
        connection_fee=converted(rate.connection_fee),
        minimum_charge=converted(rate.minimum_charge),
        sections=tuple(each._replace(amount=converted(each.amount)) for each in rate.sections),
    )
