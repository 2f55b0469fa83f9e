"""Gateways that are there for a call at all: its conditions, their media and rules for callers, and their charges.

What passes by itself (full, down, resting) is judged elsewhere.
"""

from decimal import Decimal
from typing import Final

from vosd.base.money import EXACT, format_amount
from vosd.routing.conditions import accepts, may_take
from vosd.routing.fit import Candidate
from vosd.routing.ports import Capacity, Vendors, VendorTerms
from vosd.routing.routes import Cause, LeftOut, RouteRequest
from vosd.trunks.gateways import RoutingGateway

_MINUTE: Final = Decimal(60)


def may_carry(candidate: Candidate, request: RouteRequest, occupancy: Capacity, vendors: Vendors) -> bool:
    """Return whether a candidate is there for such calls, whatever its calendar says, its state and its room."""
    return may_take(candidate, request, occupancy) and _is_affordable(candidate.gateway, request, vendors)


def is_there_now(candidate: Candidate, request: RouteRequest, occupancy: Capacity, vendors: Vendors) -> bool:
    """Return whether a candidate is there for such calls at this time, whatever its state and its room."""
    return accepts(candidate, request, occupancy) and _is_affordable(candidate.gateway, request, vendors)


def _is_affordable(gateway: RoutingGateway, request: RouteRequest, vendors: Vendors) -> bool:
    """Return whether a gateway takes calls of the caller, and at a price that they may have."""
    if caller_objection(gateway, request, vendors) is not None:
        return False
    callee, caller = request.callee_rated or request.callee, request.caller_at(gateway)
    terms = vendors.terms(gateway, callee, request.at.wall, caller)
    return price_objection(gateway, request, terms, vendors) is None


def caller_objection(gateway: RoutingGateway, request: RouteRequest, vendors: Vendors) -> LeftOut | None:
    """Return why a gateway takes no call of the caller: for its media, or for its number; None = it does."""
    if request.media_family:
        unreachable = vendors.out_of_reach(gateway, request.mapping, request.media_family)
        if unreachable is not None:
            return LeftOut(gateway, Cause.FAMILY, unreachable)
    if gateway.numbers is None:
        return None
    objection = vendors.objection(gateway, request.caller, is_emergency=request.is_emergency)
    return None if objection is None else LeftOut(gateway, Cause.CALLER, objection)


def price_objection(
    gateway: RoutingGateway, request: RouteRequest, terms: VendorTerms | None, vendors: Vendors
) -> LeftOut | None:
    """Return why a gateway with these terms has no price for a call, or one that is too dear; None = neither.

    It is too dear above the ceiling, or where the margin is less than a call must leave, which is compared only where
    the sell price is known. A price that cannot be converted is too dear where the guard would compare it: what it
    loses would be noticed in the ledger only.
    """
    if terms is None:
        return _unrated(gateway, request, vendors)
    guard, sell_price = request.guard, request.sell_price
    ceiling, wanted = guard.max_price_per_second, guard.min_margin
    if ceiling is None and (wanted is None or sell_price is None):
        return None
    price = request.price_of(terms, 0 if guard.by_price else request.typical_s)
    if price is None or (not request.meets_currencies and terms.currency != request.currency):
        why = f"its price cannot be compared: no exchange rate into {request.currency} is in force"
        return LeftOut(gateway, Cause.LOSS, why)
    if ceiling is not None and price > EXACT.multiply(ceiling, _MINUTE):
        second = EXACT.divide(price, _MINUTE)
        why = f"bought for {format_amount(second)} a second, at most {format_amount(ceiling)} is allowed"
        return LeftOut(gateway, Cause.LOSS, why)
    if wanted is None or sell_price is None:
        return None
    margin = EXACT.subtract(sell_price, price)
    if margin >= wanted:
        return None
    why = (
        f"sold for {format_amount(sell_price)} a minute and bought for {format_amount(price)}"
        f"{_of_typical(request, terms, price)}: "
        f"a margin of {format_amount(margin)}, at least {format_amount(wanted)} is wanted"
    )
    return LeftOut(gateway, Cause.LOSS, why)


def _unrated(gateway: RoutingGateway, request: RouteRequest, vendors: Vendors) -> LeftOut | None:
    if vendors.is_barred(gateway, request.callee_rated or request.callee, request.at.wall):
        return LeftOut(gateway, Cause.NO_BUY_RATE, "the prefix is locked")
    return None if gateway.allow_unrated else LeftOut(gateway, Cause.NO_BUY_RATE)


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
