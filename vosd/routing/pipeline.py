"""Which gateways a call may be offered to, in which order, and why the others were left out.

The checks only read: a place on a gateway is taken when the attempt begins, and may be gone by then. Reasons are enum
members; ``callcontrol.explain`` turns them into sentences.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from enum import Enum
from itertools import chain
from typing import Final, NamedTuple

import msgspec

from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.routing.capacity import Full, Occupancy
from vosd.routing.order import Ordering
from vosd.routing.ports import Vendors, VendorTerms
from vosd.routing.rest import Rests
from vosd.routing.route_table import Candidate, RouteTable
from vosd.trunks.dialect import PortedNumber
from vosd.trunks.gateways import RoutingGateway


class Destination(NamedTuple):
    """A gateway, and the number to call there."""

    gateway: RoutingGateway
    callee: str


class RouteRequest(msgspec.Struct, frozen=True):
    """A call that needs a route: its numbers, and the instant that counts for rate limits and prices."""

    callee: str
    caller: str
    at: Instant
    payer: str = ""
    """The account that pays for it."""
    mapping: str = ""
    """The mapping gateway or phone that it comes from."""
    sell_price: Decimal | None = None
    """What the payer is charged for a minute after the first period, without tax; None = unknown."""
    currency: str = ""
    """The currency of that price (ISO 4217)."""
    routing_number: str = ""
    """The number by which a ported number is routed; empty = ``callee``."""
    callee_rated: str = ""
    """The number whose buy rates hold; empty = ``callee``."""
    targets: tuple[Destination, ...] = ()
    """The gateways and numbers that a redirect server has named; none = the route table has the gateways."""


class RouteChoice(msgspec.Struct, frozen=True, gc=False):
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
    priority: int = 1
    weight: int = 100
    routing_number: str = ""
    """What goes out beside ``callee_out`` as its routing number (RFC 4694); empty = none."""
    protect_times: tuple[int, ...] = ()
    """When protected gateways join the search, in ms since the arrival of a call without any 18x; mostly none."""


class Cause(Enum):
    """Why a gateway that the number fits is not tried."""

    DISABLED = "disabled"
    BLOCKED = "blocked"
    CALENDAR = "not in its calendar"
    RESTING = "asked for a rest"
    UNREGISTERED = "not registered"
    DOWN = "down"
    NOT_LOCATED = "no address known"
    OFFLINE = "phone not registered"
    NO_BUY_RATE = "no buy rate"
    NO_FUNDS = "vendor without funds"
    CALLER = "calling number"
    FULL = "full"
    TOO_FAST = "rate limit"
    FAILING = "resting after failures"


_FULL: Final = {Full.CONCURRENCY: Cause.FULL, Full.RATE: Cause.TOO_FAST}


class LeftOut(NamedTuple):
    """A gateway that the number fits and a check left out."""

    gateway: RoutingGateway
    cause: Cause
    detail: str = ""
    """What the cause alone does not say."""


class Routes(NamedTuple):
    """What may be tried, in order, and what was left out."""

    choices: tuple[RouteChoice, ...]
    left: tuple[LeftOut, ...]


def find_routes(
    request: RouteRequest, table: RouteTable, occupancy: Occupancy, rests: Rests, vendors: Vendors
) -> Iterator[RouteChoice] | Refusal:
    """Return the routes of a call in order, or the refusal of a call that has none.

    The first is found now, each of the others only when it is asked for: most calls need one.
    """
    left: list[LeftOut] = []
    search = _search(request, table, occupancy, rests, vendors, left)
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
    choices = tuple(_search(request, table, occupancy, rests, vendors, left))
    return Routes(choices, tuple(left))


def _search(
    request: RouteRequest, table: RouteTable, occupancy: Occupancy, rests: Rests, vendors: Vendors, left: list[LeftOut]
) -> Iterator[RouteChoice]:
    """Yield what may be tried and append the others to ``left``; resting gateways come where there is no other.

    Each candidate is examined when its turn comes: what has changed since the gateway before it was tried counts.
    """
    if request.targets:
        yield from _search_named(request, table, occupancy, rests, vendors, left)
        return
    ranked, groups, criteria = table.fit(request.routing_number or request.callee)
    rated = request.callee_rated or request.callee
    ordering = Ordering(table.plan, rated, request.at, vendors) if criteria else None
    candidates: Iterable[Candidate] = ranked if ordering is None else ordering.in_order(groups, criteria)
    resting: list[RouteChoice] = []
    is_found = False
    for candidate in candidates:
        found = _examine(candidate, request, occupancy, rests, vendors)
        if isinstance(found, LeftOut):
            left.append(found)
            if found.gateway.is_phone and found.cause is not Cause.OFFLINE:
                return  # the offline gateway takes calls only while the phone is not registered, not while it is busy
        elif found.is_last_resort:
            left.append(LeftOut(found.gateway, Cause.FAILING))
            resting.append(found)
        else:
            is_found = True
            if ordering is not None:
                ordering.offered(candidate)
            yield found if found.gateway.numbers is None else _renumbered(found, vendors)
    if ordering is not None:
        left += [LeftOut(each.gateway, Cause.CALENDAR, _OUTRANKED) for each in ordering.outranked]
    if resting and not is_found:
        # These are tried after all. A caller that reads ``left`` once the search is over must not find them there.
        left[:] = [each for each in left if each.cause is not Cause.FAILING]
        yield from (each if each.gateway.numbers is None else _renumbered(each, vendors) for each in resting)


def _renumbered(choice: RouteChoice, vendors: Vendors) -> RouteChoice:
    """Return a route with the numbers as its gateway is sent them.

    A pool gives a number to each gateway that is offered, and to no other.
    """
    callee, caller = vendors.numbers_out(choice.gateway, choice.callee_out, choice.caller_out)
    return msgspec.structs.replace(choice, callee_out=callee, caller_out=caller)


def _examine(
    candidate: Candidate, request: RouteRequest, occupancy: Occupancy, rests: Rests, vendors: Vendors
) -> RouteChoice | LeftOut:
    """Return a candidate as a route, or why it is not tried: its state, conditions of the call, its price."""
    gateway, at = candidate.gateway, request.at
    cause = _objection(gateway, at.mono, occupancy, rests, vendors)
    if cause is not None:
        return LeftOut(gateway, cause, str(vendors.blocked[gateway.name]) if cause is Cause.BLOCKED else "")
    if candidate.is_conditional:
        for condition in _CONDITIONS:
            unmet = condition(candidate, request)
            if unmet is not None:
                return unmet
    if gateway.numbers is not None:
        objection = vendors.objection(gateway, request.caller)
        if objection is not None:
            return LeftOut(gateway, Cause.CALLER, objection)
    terms = vendors.terms(gateway, request.callee_rated or request.callee, at.wall)
    if terms is None and not gateway.allow_unrated:
        return LeftOut(gateway, Cause.NO_BUY_RATE)
    # A gateway that only rests may be tried after all, so all that concerns its price is known by now.
    is_resting = gateway.name in vendors.resting and vendors.resting_ms(gateway, at.mono, request.payer) > 0
    choice = RouteChoice(
        gateway,
        candidate.prefix,
        request.callee,
        request.caller,
        terms,
        is_last_resort=is_resting,
        priority=candidate.priority,
        weight=candidate.weight,
        protect_times=candidate.protect_times,
    )
    return _ported(choice, request.routing_number) if request.routing_number else choice


def _ported(choice: RouteChoice, routing_number: str) -> RouteChoice:
    """Return a route to a ported number in the form that its gateway wants."""
    match choice.gateway.dialect.ported_number:
        case PortedNumber.DIALLED:
            return choice
        case PortedNumber.ROUTING:
            return msgspec.structs.replace(choice, callee_out=routing_number)
        case PortedNumber.PARAMETERS:
            return msgspec.structs.replace(choice, routing_number=routing_number)


def _search_named(
    request: RouteRequest, table: RouteTable, occupancy: Occupancy, rests: Rests, vendors: Vendors, left: list[LeftOut]
) -> Iterator[RouteChoice]:
    """Yield the gateways that a redirect server has named, in its order, as ``_search`` does those of the table."""
    resting: list[RouteChoice] = []
    is_found = False
    for gateway, callee in request.targets:
        named = msgspec.structs.replace(request, callee=callee, routing_number="", callee_rated="")
        found = _examine(table.named(gateway), named, occupancy, rests, vendors)
        if isinstance(found, LeftOut):
            left.append(found)
        elif found.is_last_resort:
            left.append(LeftOut(gateway, Cause.FAILING))
            resting.append(found)
        else:
            is_found = True
            yield found if gateway.numbers is None else _renumbered(found, vendors)
    if resting and not is_found:
        left[:] = [each for each in left if each.cause is not Cause.FAILING]
        yield from (each if each.gateway.numbers is None else _renumbered(each, vendors) for each in resting)


def _objection(
    gateway: RoutingGateway, mono_ms: int, occupancy: Occupancy, rests: Rests, vendors: Vendors
) -> Cause | None:
    """Return why a gateway takes no call at all now; the first reason that applies decides.

    The cheapest conditions come first. Every call passes them for each gateway that it may be offered to, so what is
    rare costs one look at a dictionary or at an attribute of the gateway.
    """
    name = gateway.name
    if not gateway.enabled or name in vendors.blocked:
        return Cause.BLOCKED if gateway.enabled else Cause.DISABLED
    if rests.until and rests.remaining_ms(name, mono_ms):
        return Cause.RESTING  # it answered 503 and asked to be left alone
    if name in vendors.unregistered and gateway.registration is not None:
        return Cause.UNREGISTERED
    if name in vendors.down and gateway.ping is not None:
        return Cause.DOWN
    if not gateway.fixed_addresses and not vendors.located(gateway):
        return _why_not_located(gateway)
    if not vendors.funded(gateway):
        return Cause.NO_FUNDS
    return _why_full(gateway, mono_ms, occupancy) if gateway.is_limited else None


def _why_not_located(gateway: RoutingGateway) -> Cause:
    """Return what it means that no address of a gateway is known: its names may not resolve, or it must register."""
    if gateway.is_phone:
        return Cause.OFFLINE
    return Cause.UNREGISTERED if gateway.registers else Cause.NOT_LOCATED


def _why_full(gateway: RoutingGateway, mono_ms: int, occupancy: Occupancy) -> Cause | None:
    full = occupancy.would_refuse(gateway.scope, gateway.name, gateway.max_concurrent, gateway.max_cps, mono_ms)
    return None if full is None else _FULL[full]


Condition = Callable[[Candidate, RouteRequest], LeftOut | None]
"""A condition on the call that a candidate makes: None = it is met."""


def _is_in_calendar(candidate: Candidate, request: RouteRequest) -> LeftOut | None:
    calendar = candidate.calendar
    if calendar is None or calendar.tier(request.at.wall) is not None:
        return None
    return LeftOut(candidate.gateway, Cause.CALENDAR, calendar.objection(request.at.wall))


_CONDITIONS: Final[tuple[Condition, ...]] = (_is_in_calendar,)
"""What few gateways require: examined for candidates that are marked as conditional, in this order."""
_OUTRANKED: Final = "the calendar of another gateway fits more closely"


def _phone_unavailable(phone: LeftOut, left: Sequence[LeftOut]) -> Refusal:
    """Refuse a call to a phone that is not registered, or has as many calls as it may have."""
    if phone.cause in {Cause.FULL, Cause.TOO_FAST}:
        return Refusal(EndReason.BUSY, 486, f"phone {phone.gateway.name}: {phone.cause.value}")
    objections = ", ".join(f"{each.gateway.name} ({each.cause.value})" for each in left)
    return Refusal(EndReason.UNAVAILABLE, 480, objections)
