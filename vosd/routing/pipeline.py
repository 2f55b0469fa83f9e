"""Which gateways a call may be offered to, in which order, and why the others were left out (RTE-01, RTE-05).

Owns the list of steps. A step only looks: a place on a gateway is taken when the attempt begins, by which time
it may be gone. Reasons are kept as enum members; ``explain`` turns them into prose for those who ask.
"""

from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from itertools import chain
from typing import Final, NamedTuple

from vosd.base.cause import EndReason
from vosd.base.errors import Refusal
from vosd.routing.capacity import Full, Occupancy
from vosd.routing.ports import VendorTerms
from vosd.routing.rest import Rests
from vosd.routing.route_table import RouteTable
from vosd.trunks.gateways import RoutingGateway


class RouteRequest(NamedTuple):
    """A call that looks for a route: its numbers, and the monotonic instant that counts for rate limits."""

    callee: str
    caller: str
    mono_ms: int
    payer: str = ""
    """The account that pays for it."""


class RouteChoice(NamedTuple):
    """A gateway that may be tried, why it fits, and the numbers as they go out to it."""

    gateway: RoutingGateway
    prefix: str
    callee_out: str
    caller_out: str
    is_last_resort: bool = False
    """It rests, and there is no other."""


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
    """A gateway that the number fits and a step refused."""

    gateway: RoutingGateway
    cause: Cause


class Routes(NamedTuple):
    """The outcome of the steps: what may be tried, in order, and what was left out."""

    choices: tuple[RouteChoice, ...]
    left: tuple[LeftOut, ...]


class Circumstances(NamedTuple):
    """All that steps may look at beside the gateway itself."""

    request: RouteRequest
    occupancy: Occupancy
    rests: Rests
    vendors: VendorTerms


Step = Callable[[RoutingGateway, Circumstances], Cause | None]


def is_enabled(gateway: RoutingGateway, _now: Circumstances) -> Cause | None:
    """Leave out what the operator switched off."""
    return None if gateway.enabled else Cause.DISABLED


def takes_calls_again(gateway: RoutingGateway, now: Circumstances) -> Cause | None:
    """Leave out vendors that asked to be left alone for a while (SIP-07)."""
    rests = now.rests
    return Cause.RESTING if rests and rests.remaining_ms(gateway.name, now.request.mono_ms) else None


def is_registered(gateway: RoutingGateway, now: Circumstances) -> Cause | None:
    """Leave out vendors that want a registration and have none of ours."""
    if gateway.registration is None or now.vendors.registered(gateway):
        return None
    return Cause.UNREGISTERED


def is_up(gateway: RoutingGateway, now: Circumstances) -> Cause | None:
    """Leave out vendors that answer nothing."""
    if gateway.ping is None or now.vendors.down_ms(gateway, now.request.mono_ms) is None:
        return None
    return Cause.DOWN


def is_located(gateway: RoutingGateway, now: Circumstances) -> Cause | None:
    """Leave out gateways whose names lead nowhere for now, and phones and vendors that are not registered with us."""
    if now.vendors.located(gateway):
        return None
    if gateway.is_phone:
        return Cause.OFFLINE
    return Cause.UNREGISTERED if gateway.registers else Cause.NOT_LOCATED


def has_buy_rate(gateway: RoutingGateway, now: Circumstances) -> Cause | None:
    """Leave out vendors whose price for the number is unknown, unless that was allowed for the gateway."""
    if gateway.allow_unrated or now.vendors.rated(gateway, now.request.callee):
        return None
    return Cause.NO_BUY_RATE


def has_funds(gateway: RoutingGateway, now: Circumstances) -> Cause | None:
    """Leave out prepaid vendors with nothing left (GW-08)."""
    return None if now.vendors.funded(gateway) else Cause.NO_FUNDS


def has_room(gateway: RoutingGateway, now: Circumstances) -> Cause | None:
    """Leave out gateways at their concurrency or rate limit (GW-03)."""
    full = now.occupancy.would_refuse(
        gateway.scope, gateway.name, gateway.max_concurrent, gateway.max_cps, now.request.mono_ms
    )
    match full:
        case None:
            return None
        case Full.CONCURRENCY:
            return Cause.FULL
        case Full.RATE:
            return Cause.TOO_FAST


def is_well(gateway: RoutingGateway, now: Circumstances) -> Cause | None:
    """Leave out vendors at which calls have failed in a row, while there is another."""
    return Cause.FAILING if now.vendors.resting_ms(gateway, now.request.mono_ms, now.request.payer) else None


STEPS: Final[tuple[Step, ...]] = (
    is_enabled,
    takes_calls_again,
    is_registered,
    is_up,
    is_located,
    has_funds,
    has_room,
    has_buy_rate,
    is_well,
)
"""In this order; the first that objects decides, so the cheapest questions come first.

``is_well`` is the last: what it alone leaves out is tried where there is no other.
"""


def find_routes(
    request: RouteRequest, table: RouteTable, occupancy: Occupancy, rests: Rests, vendors: VendorTerms
) -> Iterator[RouteChoice] | Refusal:
    """Return the routes of a call in order, or the refusal of a call that has none (RTE-06).

    The first is found now, each of the others when it is asked for: mostly nobody does.
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


def sift(request: RouteRequest, table: RouteTable, occupancy: Occupancy, rests: Rests, vendors: VendorTerms) -> Routes:
    """Put every gateway that the number fits through the steps, in the order in which they would be tried."""
    left: list[LeftOut] = []
    choices = tuple(_search(Circumstances(request, occupancy, rests, vendors), table, left))
    return Routes(choices, tuple(left))


def _search(now: Circumstances, table: RouteTable, left: list[LeftOut]) -> Iterator[RouteChoice]:
    """Yield what may be tried, and note what is left out on the way; what rests is tried where there is no other."""
    callee, caller = now.request.callee, now.request.caller
    resting: list[RouteChoice] = []
    is_found = False
    for gateway, prefix in table.candidates(callee):
        cause = _first_objection(gateway, now)
        if cause is None:
            is_found = True
            yield RouteChoice(gateway, prefix, callee, caller)
        else:
            if cause is Cause.FAILING:
                resting.append(RouteChoice(gateway, prefix, callee, caller, is_last_resort=True))
            left.append(LeftOut(gateway, cause))
            if gateway.is_phone and cause is not Cause.OFFLINE:
                return  # its offline gateway is for when it is not there
    if resting and not is_found:
        left[:] = [each for each in left if each.cause is not Cause.FAILING]
        yield from resting


def _phone_unavailable(phone: LeftOut, left: Sequence[LeftOut]) -> Refusal:
    """Refuse a call to a phone that is not there, or has as many calls as it may have."""
    if phone.cause in {Cause.FULL, Cause.TOO_FAST}:
        return Refusal(EndReason.BUSY, 486, f"phone {phone.gateway.name}: {phone.cause.value}")
    objections = ", ".join(f"{each.gateway.name} ({each.cause.value})" for each in left)
    return Refusal(EndReason.UNAVAILABLE, 480, objections)


def _first_objection(gateway: RoutingGateway, now: Circumstances) -> Cause | None:
    for step in STEPS:
        cause = step(gateway, now)
        if cause is not None:
            return cause
    return None
