"""The margin that calls must leave between what they are sold for and what they cost."""

from decimal import Decimal

import msgspec

from vosd.base.money import ZERO


class LossGuard(msgspec.Struct, frozen=True):
    """The most that a gateway may cost, where the sell and the buy rate of a call are known.

    A buy price that cannot be converted into the currency of the customer is above any limit.

    Prices are those of a minute, without tax: of a call of typical length, or of the regular cycle alone.
    """

    min_margin: Decimal | None = ZERO
    """Least difference of the prices of a minute; None = calls may be sold below cost."""
    max_price_per_second: Decimal | None = None
    """Highest buy price of a second; None = any."""
    by_price: bool = False
    """Whether the prices of the regular cycle are compared, whatever increments and first periods are."""
