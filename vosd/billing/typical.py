"""The price of a call of usual length: what vendors and margins are compared by.

The price of a minute says little where calls are short: a vendor that charges by begun minutes takes for five seconds
as much as for sixty. Compared is what a call of typical length is charged, with everything that makes a charge but
tax, as the price of a minute.
"""

from decimal import Decimal
from typing import Final

from vosd.base.money import EXACT
from vosd.billing.rater import rate_call
from vosd.billing.rates import AppliedRate

_KEPT_MAX: Final = 16_384
_KEPT: Final[dict[tuple[AppliedRate, int], Decimal]] = {}
"""Prices that were asked for: every call compares some, and rates and lengths change seldom."""


def typical_price(applied: AppliedRate, seconds: int) -> Decimal:
    """Return the price of a minute, without tax, by the charge of a call of ``seconds``, in the account's currency.

    0 seconds: the price of a minute after the first period, whatever the increments are.
    """
    price = _KEPT.get((applied, seconds))
    return _computed(applied, seconds) if price is None else price


def _computed(applied: AppliedRate, seconds: int) -> Decimal:
    if seconds:
        price = EXACT.divide(60 * rate_call(applied, 1_000 * seconds).fee, Decimal(seconds))
    else:
        price = applied.price_per_minute
    if len(_KEPT) >= _KEPT_MAX:
        _KEPT.clear()
    _KEPT[applied, seconds] = price
    return price
