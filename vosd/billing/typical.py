"""The price of a call of usual length: what vendors and margins are compared by.

The price of a minute says little where calls are short: a vendor that charges by begun minutes takes for five seconds
as much as for sixty. Compared is what a call of typical length is charged, with everything that makes a charge but
tax, as the price of a minute.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from vosd.base.money import EXACT
from vosd.billing.rater import rate_call
from vosd.billing.rates import AppliedRate

_KEPT_MAX: Final = 16_384


def typical_price(applied: AppliedRate, seconds: int) -> Decimal:
    """Return the price of a minute, without tax, by the charge of a call of ``seconds``, in the account's currency.

    0 seconds: the price of a minute after the first period, whatever the increments are.
    """
    if seconds:
        return EXACT.divide(60 * rate_call(applied, 1_000 * seconds).fee, Decimal(seconds))
    return applied.price_per_minute


class TypicalPrices:
    """Typical prices of the rates of one catalogue, computed when they are first asked for.

    Every call compares some, and rates and lengths change seldom.
    """

    __slots__ = ("_kept", "_size")

    def __init__(self) -> None:
        self._kept: dict[int, dict[AppliedRate, Decimal]] = {}
        """By the seconds of the call."""
        self._size = 0

    def of(self, seconds: int) -> Mapping[AppliedRate, Decimal]:
        """Return the prices that are known for a length; ``price`` returns the others."""
        return self._kept.get(seconds) or {}

    def price(self, applied: AppliedRate, seconds: int) -> Decimal:
        """Return ``typical_price``."""
        known = self._kept.get(seconds)
        price = None if known is None else known.get(applied)
        return self._computed(applied, seconds) if price is None else price

    def _computed(self, applied: AppliedRate, seconds: int) -> Decimal:
        if self._size >= _KEPT_MAX:
            self._kept.clear()
            self._size = 0
        self._size += 1
        price = self._kept.setdefault(seconds, {})[applied] = typical_price(applied, seconds)
        return price
