"""Whether a gateway leaves the margin that a call must leave, and what it costs at most (docs/routing.md)."""

from decimal import Decimal
from typing import Final

from vosd.base.margin import LossGuard
from vosd.base.money import EXACT, format_amount
from vosd.routing.ports import PriceIn, VendorTerms

_MINUTE: Final = Decimal(60)


def loss(
    guard: LossGuard,
    sell_price: Decimal | None,
    currency: str,
    terms: VendorTerms,
    price_in: PriceIn | None = None,
) -> str | None:
    """Return why a gateway is too dear for a call; None = it is not.

    The margin is compared only where the sell price of a minute is known. ``price_in`` converts the price of the terms
    into ``currency``; None = there are no exchange rates. A price that cannot be converted is too dear where the guard
    would compare it: what it loses would be noticed in the ledger only.
    """
    ceiling = guard.max_price_per_second
    if ceiling is None and (guard.min_margin is None or sell_price is None):
        return None
    price = terms.price_per_minute if price_in is None else price_in(terms)
    if price is None or (price_in is None and terms.currency != currency):
        return f"its price cannot be compared: no exchange rate into {currency} is in force"
    if ceiling is not None and price > EXACT.multiply(ceiling, _MINUTE):
        second = EXACT.divide(price, _MINUTE)
        return f"bought for {format_amount(second)} a second, at most {format_amount(ceiling)} is allowed"
    if guard.min_margin is None or sell_price is None:
        return None
    margin = EXACT.subtract(sell_price, price)
    if margin >= guard.min_margin:
        return None
    return (
        f"sold for {format_amount(sell_price)} a minute and bought for {format_amount(price)}: "
        f"a margin of {format_amount(margin)}, at least {format_amount(guard.min_margin)} is wanted"
    )
