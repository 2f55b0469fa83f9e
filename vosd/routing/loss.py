"""Whether a gateway leaves the margin that a call must leave, and what it costs at most (docs/routing.md)."""

from decimal import Decimal
from typing import Final

from vosd.base.money import EXACT, format_amount
from vosd.routing.ports import VendorTerms
from vosd.routing.routes import RouteRequest

_MINUTE: Final = Decimal(60)


def loss(request: RouteRequest, terms: VendorTerms) -> str | None:
    """Return why a gateway is too dear for a call; None = it is not.

    The margin is compared only where the sell price is known. A price that cannot be converted is too dear where the
    guard would compare it: what it loses would be noticed in the ledger only.
    """
    guard, sell_price = request.guard, request.sell_price
    ceiling, wanted = guard.max_price_per_second, guard.min_margin
    if ceiling is None and (wanted is None or sell_price is None):
        return None
    price = request.price_of(terms, 0 if guard.by_price else request.typical_s)
    if price is None or (not request.meets_currencies and terms.currency != request.currency):
        return f"its price cannot be compared: no exchange rate into {request.currency} is in force"
    if ceiling is not None and price > EXACT.multiply(ceiling, _MINUTE):
        second = EXACT.divide(price, _MINUTE)
        return f"bought for {format_amount(second)} a second, at most {format_amount(ceiling)} is allowed"
    if wanted is None or sell_price is None:
        return None
    margin = EXACT.subtract(sell_price, price)
    if margin >= wanted:
        return None
    return (
        f"sold for {format_amount(sell_price)} a minute and bought for {format_amount(price)}"
        f"{_of_typical(request, terms, price)}: "
        f"a margin of {format_amount(margin)}, at least {format_amount(wanted)} is wanted"
    )


def _of_typical(request: RouteRequest, terms: VendorTerms, price: Decimal) -> str:
    """Return by which call prices are compared, and the prices of the regular cycle where these are others."""
    alone = request.price_of(terms, 0)
    if request.guard.by_price or request.sell is None or alone is None:
        return ""
    sold_alone = request.sell.price_per_minute
    if (sold_alone, alone) == (request.sell_price, price):
        return ""
    return (
        f" where a call lasts {request.typical_s} s"
        f" (by the price alone {format_amount(sold_alone)} and {format_amount(alone)})"
    )
