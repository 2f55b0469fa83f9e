"""The price of a call of usual length: what vendors and margins are compared by.

The price of a minute says little where calls are short: a vendor that charges by begun minutes takes for five seconds
as much as for sixty. Compared is what a call of typical length is charged, with everything that makes a charge but
tax, as the price of a minute.
"""

from decimal import Decimal
from typing import Final
from weakref import ref

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


class TypicalPrices(dict[int, "PricesOfLength"]):
    """Typical prices of the rates of one catalogue, by the seconds of the call, then by the rate.

    Each is computed when it is first asked for: every call compares some, and rates and lengths change seldom. They are
    dictionaries, since a price that is known costs no call of a function then.
    """

    def __init__(self) -> None:
        super().__init__()
        self.size = 0
        """Prices that are kept."""

    def __missing__(self, seconds: int) -> "PricesOfLength":
        found = self[seconds] = PricesOfLength(seconds, self)
        return found

    def price(self, applied: AppliedRate, seconds: int) -> Decimal:
        """Return ``typical_price``."""
        return self[seconds][applied]

    def make_room(self) -> None:
        """Count one price more; where there are too many, forget all before."""
        if self.size >= _KEPT_MAX:
            for each in self.values():
                each.clear()
            self.size = 0
        self.size += 1


class PricesOfLength(dict[AppliedRate, Decimal]):
    """Prices of calls of one length, by rate."""

    def __init__(self, seconds: int, owner: TypicalPrices) -> None:
        super().__init__()
        self._seconds = seconds
        self._all = ref(owner)
        """All prices. A cycle with them would stay for good when a reload has replaced their catalogue, for a reload
        puts what there is out of sight of the garbage collector."""

    def __missing__(self, applied: AppliedRate) -> Decimal:
        owner = self._all()
        if owner is not None:
            owner.make_room()
        price = self[applied] = typical_price(applied, self._seconds)
        return price
