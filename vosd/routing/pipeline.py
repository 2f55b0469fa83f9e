"""Find the gateways that a call may be offered to, in their order, and why the others were left out.

The checks only read: a place on a gateway is taken when the attempt begins, and may be gone by then. Reasons are enum
members; ``callcontrol.explain`` turns them into sentences.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

import msgspec

from vosd.base.cause import EndReason
from vosd.base.errors import Refusal
from vosd.base.number import for_matching
from vosd.base.prefixes import ANY
from vosd.routing.calendar_order import in_tiers
from vosd.routing.capacity import Boundless
from vosd.routing.carriage import caller_objection, is_there_now, may_carry, price_objection
from vosd.routing.conditions import CAUSE_OF_FULL, CONDITIONS, OF_ROOM, denied_prefix, denying_last
from vosd.routing.fit import Candidate, Fit
from vosd.routing.order import Ordering
from vosd.routing.ports import Capacity, Vendors
from vosd.routing.rest import Rests
from vosd.routing.route_table import RouteTable
from vosd.routing.routes import Cause, Destination, FoundRoutes, LeftOut, RouteChoice, RouteRequest
from vosd.trunks.dialect import PortedNumber
from vosd.trunks.gateways import RoutingGateway

__all__ = [
    "Cause", "Destination", "FoundRoutes", "LeftOut", "RouteChoice", "RouteRequest", "examine_routes", "find_routes",
]  # fmt: skip

_OUTRANKED: Final = "the calendar of another gateway fits more closely"
_NOT_OF_PLAN: Final = "the redirect server has named it, and the routing plan does without it"
_STOPPED: Final = "a gateway with a longer prefix ends the search"
_BOUNDLESS: Final = Boundless()
_AT_LAST: Final = frozenset({Cause.RESTING, Cause.DOWN})
"""Why a gateway takes no calls but those to emergency numbers, which are offered to it after all others."""
_OF_REST: Final = _AT_LAST | {Cause.FAILING}


def find_routes(
    request: RouteRequest,
    table: RouteTable,
    occupancy: Capacity,
    rests: Rests,
    vendors: Vendors,
    left: list[LeftOut] | None = None,
) -> Iterator[RouteChoice] | Refusal:
    """Return the routes of a call in order, or the refusal of a call that has none.

    The first is found now, each of the others only when it is asked for: most calls need one. What is left out is
    appended to ``left``.
    """
    left = [] if left is None else left
    search = _search(request, table, occupancy, rests, vendors, left)
    first = next(search, None)
    if first is not None:
        return chain((first,), search)
    if not left:
        return Refusal(EndReason.NO_AVAILABLE_ROUTE, 404, _unfit(request))
    if all(each.cause is Cause.BODY for each in left):
        return Refusal(EndReason.NO_AVAILABLE_ROUTE, 415, f"left out for {request.callee}: {left[0].detail}")
    if all(each.cause is Cause.FAMILY for each in left):
        return Refusal(EndReason.NO_COMMON_CODEC, 488, f"left out for {request.callee}: {left[0].detail}")
    phone = next((each for each in left if each.gateway.is_phone), None)
    if phone is not None:
        return _phone_unavailable(phone, left)
    objections = ", ".join(f"{each.gateway.name} ({each.cause.value})" for each in left)
    return Refusal(EndReason.NO_AVAILABLE_ROUTE, 503, f"left out for {request.callee}: {objections}")


def _unfit(request: RouteRequest) -> str:
    ported = request.routing_number
    if ported and not request.targets:
        return f"no gateway's prefix fits {ported}, the routing number of {request.callee}"
    return f"no gateway's prefix fits {request.callee}"


def examine_routes(
    request: RouteRequest, table: RouteTable, occupancy: Capacity, rests: Rests, vendors: Vendors
) -> FoundRoutes:
    """Examine every gateway that the number fits, in the order in which they would be tried."""
    left: list[LeftOut] = []
    choices = tuple(_search(request, table, occupancy, rests, vendors, left))
    return FoundRoutes(choices, tuple(left))


def _search(
    request: RouteRequest, table: RouteTable, occupancy: Capacity, rests: Rests, vendors: Vendors, left: list[LeftOut]
) -> Iterator[RouteChoice]:
    """Yield what may be tried and append the others to ``left``; resting gateways come last, as ``_after_all`` says.

    Each candidate is examined when its turn comes: what has changed since the gateway before it was tried counts. Where
    ``request.looks_ahead``, that turn has not come yet, and room is judged when it has.
    """
    if request.targets:
        yield from _search_named(request, table, occupancy, rests, vendors, left)
        return
    ported, ordering = request.routing_number, None
    number, rated = ported or request.callee, ported or request.callee_rated
    fit = table.fit(number, request.at.wall, request.caller, rated, caller_privacy=request.caller_privacy)
    if fit.stoppers or fit.calendars:
        fit = _at_this_time(fit, request, table, occupancy, vendors)
    candidates: Iterable[Candidate] = fit.ranked
    if fit.criteria:
        rated = request.callee_rated or request.callee
        ordering = Ordering(table.plan, rated, request, occupancy, vendors)
        candidates = ordering.in_order(fit.groups, fit.criteria, fit.alike)
    if request.is_emergency:
        candidates = denying_last(candidates, request)
    resting: dict[str, RouteChoice] = {}
    is_offered = False
    for candidate in candidates:
        found, has_room = _examine(candidate, request, occupancy, rests, vendors), True
        if request.looks_ahead and isinstance(found, LeftOut) and found.cause in OF_ROOM:
            found, has_room = _examine(candidate, request, _BOUNDLESS, rests, vendors), False
        if isinstance(found, LeftOut):
            left.append(found)
            if found.gateway.is_phone and found.cause is not Cause.OFFLINE:
                return  # the offline gateway takes calls only while the phone is not registered, not while it is busy
        elif found.is_last_resort:
            left.append(_resting(found.gateway, request, occupancy, rests, vendors))
            resting.setdefault(found.gateway.name, found)
        else:
            is_offered = True
            if ordering is not None and has_room and not request.is_over:
                ordering.offered(candidate)
            yield found if found.gateway.numbers is None else _renumbered(found, request, vendors)
            if found.gateway.is_phone and not has_room:
                return  # as above
    left += _not_in_order(fit, ordering)
    yield from _after_all(resting.values(), request, vendors, left, are_others=is_offered)


def _after_all(
    resting: Collection[RouteChoice], request: RouteRequest, vendors: Vendors, left: list[LeftOut], *, are_others: bool
) -> Iterator[RouteChoice]:
    """Yield the gateways that rest, because there is no other; behind others only those that are in doubt.

    A call to an emergency number is offered to all of them, behind others, too: first to those that are only in doubt.
    A caller that reads ``left`` once the search is over must not find them there.
    """
    if request.is_emergency:
        resting = sorted(resting, key=lambda choice: choice.is_at_rest)
    if resting and are_others and not request.is_emergency:
        mono_ms, payer = request.at.mono, request.payer
        resting = [
            each
            for each in resting
            if each.gateway.name in vendors.doubted
            and (each.gateway.name not in vendors.resting or not vendors.resting_ms(each.gateway, mono_ms, payer))
        ]
    tried = {each.gateway.name for each in resting}
    left[:] = [each for each in left if each.cause not in _OF_REST or each.gateway.name not in tried]
    for choice in resting:
        yield choice if choice.gateway.numbers is None else _renumbered(choice, request, vendors)


def _at_this_time(fit: Fit, request: RouteRequest, table: RouteTable, occupancy: Capacity, vendors: Vendors) -> Fit:
    """Return the candidates of a call: by what accepts its number now, and by the calendars that fit most closely."""
    while fit.otherwise is not None and not any(
        is_there_now(each, request, occupancy, vendors) for each in fit.stoppers
    ):
        fit = fit.otherwise
    if not fit.calendars or vendors.blocked:
        return fit  # ``Ordering`` sorts by calendars then
    tiered = in_tiers(fit, table.plan, request.at.wall)
    for group in tiered.closest:
        if not any(may_carry(each, request, occupancy, vendors) for each in group):
            return fit
    return tiered


def _not_in_order(fit: Fit, ordering: Ordering | None) -> Iterator[LeftOut]:
    """Yield the gateways that the order itself leaves out."""
    outranked = fit.outranked if ordering is None else (*fit.outranked, *ordering.outranked)
    yield from (LeftOut(each.gateway, Cause.CALENDAR, _OUTRANKED) for each in outranked)
    yield from (LeftOut(each.gateway, Cause.PLAN, _STOPPED) for each in fit.stopped)


def _renumbered(choice: RouteChoice, request: RouteRequest, vendors: Vendors) -> RouteChoice:
    """Return a route with the numbers as its gateway is sent them.

    A pool gives a number to each gateway that is offered, and to no other: not yet to one found before its turn, and
    never for an emergency call.
    """
    waits = request.looks_ahead and not request.is_emergency
    callee, caller = vendors.numbers_out(
        choice.gateway, choice.callee_out, choice.caller_out, is_emergency=request.is_emergency, draws=not waits
    )
    return msgspec.structs.replace(choice, callee_out=callee, caller_out=caller, awaits_number=waits)


def _examine(
    candidate: Candidate, request: RouteRequest, occupancy: Capacity, rests: Rests, vendors: Vendors
) -> RouteChoice | LeftOut:
    """Return a candidate as a route, or why it is not tried: its state, conditions of the call, its price."""
    gateway, at = candidate.gateway, request.at
    cause = state_objection(gateway, at.mono, occupancy, rests, vendors)
    comes_last = request.is_emergency and cause in _AT_LAST
    if comes_last:
        cause = state_objection(gateway, at.mono, occupancy, rests, vendors, is_emergency=True)
    if cause is not None:
        return LeftOut(gateway, cause, str(vendors.blocked[gateway.name]) if cause is Cause.BLOCKED else "")
    if candidate.is_of_phone and candidate.prefix in vendors.blocked:
        return _of_blocked_phone(gateway, candidate.prefix, vendors)
    if candidate.is_conditional or request.is_selective:
        for condition in CONDITIONS:
            unmet = condition(candidate, request, occupancy)
            if unmet is not None:
                return unmet
    if request.media_family or gateway.numbers is not None:
        unmet = caller_objection(gateway, request, vendors)
        if unmet is not None:
            return unmet
    shows_caller = gateway.dialect.shows_number[request.caller_privacy]
    caller = request.caller if shows_caller else ""  # ``caller_at``, written out
    terms = vendors.terms(gateway, request.callee_rated or request.callee, at.wall, caller)
    unmet = price_objection(gateway, request, terms, vendors)
    if unmet is not None:
        return unmet
    if occupancy is not _BOUNDLESS and not vendors.funded(gateway, terms):
        return LeftOut(gateway, Cause.NO_FUNDS)
    # A gateway that only rests may be tried after all, so all that concerns its price is known by now.
    is_at_rest = comes_last or (
        gateway.name in vendors.resting and vendors.resting_ms(gateway, at.mono, request.payer) > 0
    )
    choice = RouteChoice(
        gateway,
        candidate.prefix,
        request.callee,
        request.caller,
        terms,
        is_last_resort=is_at_rest or gateway.name in vendors.doubted,
        priority=candidate.priority,
        weight=candidate.weight,
        protect_times=candidate.protect_times,
        limits=candidate.limits,
        hides_caller=not shows_caller,
        denies_prefix=request.is_emergency and bool(denied_prefix(candidate, request)),
        is_at_rest=is_at_rest,
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
    request: RouteRequest, table: RouteTable, occupancy: Capacity, rests: Rests, vendors: Vendors, left: list[LeftOut]
) -> Iterator[RouteChoice]:
    """Yield the gateways that a redirect server or the inventory names, in order, as ``_search`` does others."""
    resting: list[RouteChoice] = []
    is_found = is_busy = False
    for gateway, callee, phone in request.targets:
        if is_busy and phone and not gateway.is_phone:
            return  # the offline gateway takes no calls of a phone that is busy
        if phone in vendors.blocked and not gateway.is_phone and not _may_ring(request, vendors):
            left.append(_of_blocked_phone(gateway, phone, vendors))
            continue
        named = msgspec.structs.replace(request, callee=callee)
        if for_matching(callee) != for_matching(request.callee):
            # What is known about the dialled number (routing prefix, routing number) does not hold for another one.
            named = msgspec.structs.replace(named, routing_number="", callee_rated="")
        candidate = table.named(gateway, phone or ANY, is_given=request.is_given)
        if candidate is None:
            left.append(LeftOut(gateway, Cause.PLAN, _NOT_OF_PLAN))
            continue
        found = _examine(candidate, named, occupancy, rests, vendors)
        if request.looks_ahead and isinstance(found, LeftOut) and found.cause in OF_ROOM:
            found = _examine(candidate, named, _BOUNDLESS, rests, vendors)  # its room is judged in its turn
        is_busy = is_busy or (isinstance(found, LeftOut) and _is_busy(found, request))
        if isinstance(found, LeftOut):
            left.append(found)
        elif found.is_last_resort:
            left.append(_resting(gateway, request, occupancy, rests, vendors))
            resting.append(found)
        else:
            is_found = True
            yield found if gateway.numbers is None else _renumbered(found, request, vendors)
    yield from _after_all(resting, request, vendors, left, are_others=is_found)


def _is_busy(left: LeftOut, request: RouteRequest) -> bool:
    """Return whether what is left out is a phone whose calls are not left to its offline gateway.

    Of several phones those that are switched off or blocked do not count.
    """
    if not left.gateway.is_phone or left.cause is Cause.OFFLINE:
        return False
    return left.cause in OF_ROOM or _rings_one(request)


def _rings_one(request: RouteRequest) -> bool:
    """Return whether one phone alone was named."""
    return sum(each.gateway.is_phone for each in request.targets) == 1


def _may_ring(request: RouteRequest, vendors: Vendors) -> bool:
    """Return whether a phone was named that is neither switched off nor blocked."""
    return any(
        each.gateway.is_phone and each.gateway.enabled and each.phone not in vendors.blocked for each in request.targets
    )


def _of_blocked_phone(gateway: RoutingGateway, phone: str, vendors: Vendors) -> LeftOut:
    """Return that the redirect server or the offline gateway of a phone gets none of its calls."""
    return LeftOut(gateway, Cause.BLOCKED, f"phone {phone}: {vendors.blocked[phone]}")


def state_objection(
    gateway: RoutingGateway,
    mono_ms: int,
    occupancy: Capacity,
    rests: Rests,
    vendors: Vendors,
    *,
    is_emergency: bool = False,
) -> Cause | None:
    """Return why a gateway takes no call at all now; the first reason that applies decides.

    The cheapest conditions come first. Every call passes them for each gateway that it may be offered to, so what is
    rare costs one look at a dictionary or at an attribute of the gateway. A call to an emergency number is tried also
    where the gateway has asked for a pause, or answers no OPTIONS (ADR 26).
    """
    name = gateway.name
    if not gateway.enabled or name in vendors.blocked:
        return Cause.BLOCKED if gateway.enabled else Cause.DISABLED
    if rests.until and not is_emergency and rests.remaining_ms(name, mono_ms):
        return Cause.RESTING  # it answered 503 and asked to be left alone
    if name in vendors.resting and not is_emergency and vendors.paused_ms(gateway, mono_ms):
        return Cause.RESTING  # each of its addresses did
    if name in vendors.unregistered and gateway.registration is not None:
        return Cause.UNREGISTERED
    if name in vendors.down and gateway.ping is not None and not is_emergency:
        return Cause.DOWN
    if not gateway.fixed_addresses and not vendors.located(gateway):
        return _why_not_located(gateway)
    return _why_full(gateway, mono_ms, occupancy) if gateway.is_limited else None


def _resting(
    gateway: RoutingGateway, request: RouteRequest, occupancy: Capacity, rests: Rests, vendors: Vendors
) -> LeftOut:
    """Return a gateway that rests as one that is left out while there are others."""
    cause = state_objection(gateway, request.at.mono, occupancy, rests, vendors) if request.is_emergency else None
    if cause in _AT_LAST and cause is not None:
        return LeftOut(gateway, cause)
    return LeftOut(gateway, Cause.FAILING, vendors.doubted.get(gateway.name, ""))


def _why_not_located(gateway: RoutingGateway) -> Cause:
    """Return what it means that no address of a gateway is known: its names may not resolve, or it must register."""
    if gateway.is_phone:
        return Cause.OFFLINE
    return Cause.UNREGISTERED if gateway.registers else Cause.NOT_LOCATED


def _why_full(gateway: RoutingGateway, mono_ms: int, occupancy: Capacity) -> Cause | None:
    full = occupancy.would_refuse(gateway.scope, gateway.name, gateway.max_concurrent, gateway.max_cps, mono_ms)
    return None if full is None else CAUSE_OF_FULL[full]


def _phone_unavailable(phone: LeftOut, left: Sequence[LeftOut]) -> Refusal:
    """Refuse a call to a phone that is not registered, or has as many calls as it may have."""
    if phone.cause in {Cause.FULL, Cause.TOO_FAST}:
        return Refusal(EndReason.BUSY, 486, f"phone {phone.gateway.name}: {phone.cause.value}")
    objections = ", ".join(f"{each.gateway.name} ({each.cause.value})" for each in left)
    return Refusal(EndReason.UNAVAILABLE, 480, objections)
