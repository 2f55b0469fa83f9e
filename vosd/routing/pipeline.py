"""Which gateways a call may be offered to, in which order, and why the others were left out.

The checks only read: a place on a gateway is taken when the attempt begins, and may be gone by then. Reasons are enum
members; ``callcontrol.explain`` turns them into sentences.
"""

from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from itertools import chain
from typing import Final, NamedTuple

from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.routing.capacity import Full, Occupancy
from vosd.routing.ports import Vendors, VendorTerms
from vosd.routing.rest import Rests
from vosd.routing.route_table import RouteTable
from vosd.trunks.gateways import RoutingGateway


class RouteRequest(NamedTuple):
    """A call that needs a route: its numbers, and the instant that counts for rate limits and prices."""

    callee: str
    caller: str
    at: Instant
    payer: str = ""
    """The account that pays for it."""


class RouteChoice(NamedTuple):
    """A gateway that may be tried, the prefix by which it fits, the numbers as they go out to it, and its terms."""

    gateway: RoutingGateway
    prefix: str
    callee_out: str
    caller_out: str
    terms: VendorTerms | None = None
    """What the vendor charges, found once: the call is compared and booked by it. None = it has no buy rate."""
    is_last_resort: bool = False
    """It rests, and there is no other."""
    is_redirected: bool = False
    """``callee_out`` was named by a 3xx of the vendor, and ``terms`` are those of the number before."""


class Cause(Enum):
    """Why a gateway that the number fits is not tried."""

    DISABLED = "disabled"
    RESTING = "asked for a rest"
    UNREGISTERED = "not registered"
    DOWN = "down"
    NOT_LOCATED = "no address known"
    OFFLINE = "phone not registered"
    NO_BUY_RATE = "no buy rate"
    NO_FUNDS = "vendor without funds"
    FULL = "full"
    TOO_FAST = "rate limit"
    FAILING = "resting after failures"


class LeftOut(NamedTuple):
    """A gateway that the number fits and a check left out."""

    gateway: RoutingGateway
    cause: Cause


class Routes(NamedTuple):
    """What may be tried, in order, and what was left out."""

    choices: tuple[RouteChoice, ...]
    left: tuple[LeftOut, ...]


class Circumstances(NamedTuple):
    """What the checks may read beside the gateway itself."""

    request: RouteRequest
    occupancy: Occupancy
    rests: Rests
    vendors: Vendors


Check = Callable[[RoutingGateway, Circumstances], Cause | None]


def is_enabled(gateway: RoutingGateway, _now: Circumstances) -> Cause | None:
    """Leave out gateways that the operator disabled."""
    return None if gateway.enabled else Cause.DISABLED


def takes_calls_again(gateway: RoutingGateway, now: Circumstances) -> Cause | None:
    """Skip gateways in a Retry-After pause (RFC 3261 section 21.5.4)."""
    rests = now.rests
    return Cause.RESTING if rests and rests.remaining_ms(gateway.name, now.request.at.mono) else None


def is_registered(gateway: RoutingGateway, now: Circumstances) -> Cause | None:
    """Leave out vendors that require a registration of ours and have none."""
    if gateway.registration is None or now.vendors.registered(gateway):
        return None
    return Cause.UNREGISTERED


def is_up(gateway: RoutingGateway, now: Circumstances) -> Cause | None:
    """Leave out vendors that do not answer OPTIONS."""
    if gateway.ping is None or now.vendors.down_ms(gateway, now.request.at.mono) is None:
        return None
    return Cause.DOWN


def is_located(gateway: RoutingGateway, now: Circumstances) -> Cause | None:
    """Leave out gateways whose names do not resolve, and phones and vendors that are not registered with us."""
    if now.vendors.located(gateway):
        return None
    if gateway.is_phone:
        return Cause.OFFLINE
    return Cause.UNREGISTERED if gateway.registers else Cause.NOT_LOCATED


def has_funds(gateway: RoutingGateway, now: Circumstances) -> Cause | None:
    """Leave out prepaid vendors with nothing left."""
    return None if now.vendors.funded(gateway) else Cause.NO_FUNDS


def has_room(gateway: RoutingGateway, now: Circumstances) -> Cause | None:
    """Leave out gateways at their concurrency or rate limit."""
    full = now.occupancy.would_refuse(
        gateway.scope, gateway.name, gateway.max_concurrent, gateway.max_cps, now.request.at.mono
    )
    match full:
        case None:
            return None
        case Full.CONCURRENCY:
            return Cause.FULL
        case Full.RATE:
            return Cause.TOO_FAST


def is_well(gateway: RoutingGateway, now: Circumstances) -> Cause | None:
    """Leave out vendors at which calls have failed in a row; they are tried where there is no other."""
    return Cause.FAILING if now.vendors.resting_ms(gateway, now.request.at.mono, now.request.payer) else None


CHECKS: Final[tuple[Check, ...]] = (
    is_enabled,
    takes_calls_again,
    is_registered,
    is_up,
    is_located,
    has_funds,
    has_room,
)
"""What a gateway must pass before its terms are looked up. The first that fails decides; the cheapest come first."""


def find_routes(
    request: RouteRequest, table: RouteTable, occupancy: Occupancy, rests: Rests, vendors: Vendors
) -> Iterator[RouteChoice] | Refusal:
    """Return the routes of a call in order, or the refusal of a call that has none.

    The first is found now, each of the others only when it is asked for: most calls need one.
    """
    left: list[LeftOut] = []
    search = _search(Circumstances(request, occupancy, rests, vendors), table, left)
    first = next(search, None)
    if first is not None:
        return chain((first,), search)
    if not left:
        return Refusal(EndReason.NO_AVAILABLE_ROUTE, 404, f"no gateway's prefix fits {request.callee}")
    phone = next((each for each in left if each.gateway.is_phone), None)
    if phone is not None:
        return _phone_unavailable(phone, left)
    objections = ", ".join(f"{each.gateway.name} ({each.cause.value})" for each in left)
    return Refusal(EndReason.NO_AVAILABLE_ROUTE, 503, f"left out for {request.callee}: {objections}")


def examine_routes(
    request: RouteRequest, table: RouteTable, occupancy: Occupancy, rests: Rests, vendors: Vendors
) -> Routes:
    """Examine every gateway that the number fits, in the order in which they would be tried."""
    left: list[LeftOut] = []
    choices = tuple(_search(Circumstances(request, occupancy, rests, vendors), table, left))
    return Routes(choices, tuple(left))


def _search(now: Circumstances, table: RouteTable, left: list[LeftOut]) -> Iterator[RouteChoice]:
    """Yield what may be tried and append the others to ``left``; resting gateways come where there is no other."""
    callee, caller = now.request.callee, now.request.caller
    resting: list[RouteChoice] = []
    is_found = False
    for gateway, prefix in table.candidates(callee):
        cause, terms = _examine(gateway, now)
        if cause is None:
            is_found = True
            yield RouteChoice(gateway, prefix, callee, caller, terms)
        else:
            if cause is Cause.FAILING:
                resting.append(RouteChoice(gateway, prefix, callee, caller, terms, is_last_resort=True))
            left.append(LeftOut(gateway, cause))
            if gateway.is_phone and cause is not Cause.OFFLINE:
                return  # the offline gateway takes calls only while the phone is not registered, not while it is busy
    if resting and not is_found:
        # These are tried after all. A caller that reads ``left`` once the search is over must not find them there.
        left[:] = [each for each in left if each.cause is not Cause.FAILING]
        yield from resting


def _phone_unavailable(phone: LeftOut, left: Sequence[LeftOut]) -> Refusal:
    """Refuse a call to a phone that is not registered, or has as many calls as it may have."""
    if phone.cause in {Cause.FULL, Cause.TOO_FAST}:
        return Refusal(EndReason.BUSY, 486, f"phone {phone.gateway.name}: {phone.cause.value}")
    objections = ", ".join(f"{each.gateway.name} ({each.cause.value})" for each in left)
    return Refusal(EndReason.UNAVAILABLE, 480, objections)


def _examine(gateway: RoutingGateway, now: Circumstances) -> tuple[Cause | None, VendorTerms | None]:
    """Return why a gateway is not tried, if so, and its terms.

    The terms are looked up after the checks, because that costs most. ``is_well`` comes last: a gateway that it alone
    leaves out is tried where there is no other, so all that concerns the price must be known by then.
    """
    for check in CHECKS:
        cause = check(gateway, now)
        if cause is not None:
            return cause, None
    terms = now.vendors.terms(gateway, now.request.callee, now.request.at.wall)
    if terms is None and not gateway.allow_unrated:
        return Cause.NO_BUY_RATE, None
    return is_well(gateway, now), terms
