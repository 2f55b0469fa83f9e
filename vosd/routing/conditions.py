"""Conditions on a call that a gateway, a line of a plan's routes or a customer's trunk makes, each by itself.

They are examined only for the few candidates and calls that are marked as conditional.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from vosd.base.number import for_matching
from vosd.routing.fit import Candidate
from vosd.routing.ports import Capacity, Full
from vosd.routing.routes import Cause, LeftOut, RouteRequest
from vosd.trunks.gateways import RoutingGateway
from vosd.trunks.scope import SharedLimit

CAUSE_OF_FULL: Final = {Full.CONCURRENCY: Cause.FULL, Full.RATE: Cause.TOO_FAST}
OF_ROOM: Final = frozenset({Cause.FULL, Cause.TOO_FAST, Cause.NO_FUNDS})
"""Causes that pass when other calls end, the attempt in progress of the same call among them."""

Condition = Callable[[Candidate, RouteRequest, Capacity], LeftOut | None]
"""A condition on the call that a candidate makes: None = it is met."""


def _is_wanted(candidate: Candidate, request: RouteRequest, _occupancy: Capacity) -> LeftOut | None:
    gateway = candidate.gateway
    names, allowed = gateway.groups | {gateway.name}, request.allowed
    is_given = gateway.is_phone or candidate.is_of_phone or request.is_given
    is_allowed = not allowed or is_given or not names.isdisjoint(allowed)
    if is_allowed and names.isdisjoint(request.denied):
        return None
    return LeftOut(gateway, Cause.PLAN, f"not among the gateways that {request.mapping} uses")


def _is_valid(candidate: Candidate, request: RouteRequest, _occupancy: Capacity) -> LeftOut | None:
    gateway, now = candidate.gateway, request.at.wall
    for valid_from, valid_to in ((candidate.valid_from, candidate.valid_to), (gateway.valid_from, gateway.valid_to)):
        if valid_from is not None and now < valid_from:
            return LeftOut(gateway, Cause.EXPIRED, f"valid from {_in_utc(valid_from)}")
        if valid_to is not None and now >= valid_to:
            return LeftOut(gateway, Cause.EXPIRED, f"valid until {_in_utc(valid_to)}")
    return None


def _takes_bodies(candidate: Candidate, request: RouteRequest, _occupancy: Capacity) -> LeftOut | None:
    dialect = candidate.gateway.dialect
    bodies = dialect.bodies if request.is_emergency else dialect.bodies_of(request.caller_privacy)
    missing = request.required_types - bodies
    return LeftOut(candidate.gateway, Cause.BODY, f"it is not sent {', '.join(sorted(missing))}") if missing else None


def _is_verified(candidate: Candidate, request: RouteRequest, _occupancy: Capacity) -> LeftOut | None:
    stir = candidate.gateway.dialect.stir
    # the signatures of calls to emergency numbers are not looked at, and such calls have all vendors
    if stir is None or not stir.only_verified or request.is_verified or request.is_emergency:
        return None
    return LeftOut(candidate.gateway, Cause.SIGNATURE)


def _in_utc(wall_ms: int) -> str:
    return datetime.fromtimestamp(wall_ms // 1_000, UTC).isoformat().replace("+00:00", "Z")


def _is_in_calendar(candidate: Candidate, request: RouteRequest, _occupancy: Capacity) -> LeftOut | None:
    calendar = candidate.calendar
    if calendar is None or calendar.tier(request.at.wall) is not None:
        return None
    return LeftOut(candidate.gateway, Cause.CALENDAR, calendar.objection(request.at.wall))


def _takes_prefix(candidate: Candidate, request: RouteRequest, _occupancy: Capacity) -> LeftOut | None:
    prefix = denied_prefix(candidate, request)
    return LeftOut(candidate.gateway, Cause.DENIED_PREFIX, prefix) if prefix else None


def _takes_prefix_at_last(candidate: Candidate, request: RouteRequest, occupancy: Capacity) -> LeftOut | None:
    """Check the same when its turn has come; an emergency number is denied then by nothing but the whole number."""
    if request.is_emergency and denied_prefix(candidate, request) != for_matching(request.callee):
        return None
    return _takes_prefix(candidate, request, occupancy)


def denied_prefix(candidate: Candidate, request: RouteRequest) -> str:
    """Return the longest prefix of the number that a gateway denies; empty = none."""
    denied = candidate.gateway.denied_prefixes
    number = for_matching(request.routing_number or request.callee)
    if not denied or not number.startswith(denied):
        return ""
    return max((each for each in denied if number.startswith(each)), key=len)


def denying_last(candidates: Iterable[Candidate], request: RouteRequest) -> Iterator[Candidate]:
    """Yield candidates in their order, those that deny a prefix of the number behind all others."""
    denying = []
    for candidate in candidates:
        if denied_prefix(candidate, request):
            denying.append(candidate)
        else:
            yield candidate
    yield from denying


def _is_of_other_partner(candidate: Candidate, request: RouteRequest, _occupancy: Capacity) -> LeftOut | None:
    partner = candidate.gateway.partner
    if partner is None or partner != request.partner:
        return None
    return LeftOut(candidate.gateway, Cause.PARTNER, f"the call comes from {partner}")


def _has_room(candidate: Candidate, request: RouteRequest, occupancy: Capacity) -> LeftOut | None:
    for limit in candidate.limits:
        full = occupancy.would_refuse(*limit, request.at.mono)
        if full is not None:
            return without_room(candidate.gateway, limit, full)
    return None


def without_room(gateway: RoutingGateway, limit: SharedLimit, full: Full) -> LeftOut:
    """Return that a gateway is left out because a limit that it shares is reached."""
    most = limit.max_concurrent if full is Full.CONCURRENCY else limit.max_cps
    return LeftOut(gateway, CAUSE_OF_FULL[full], f"{limit.name} has its {most}")


_OF_CALL: Final[tuple[Condition, ...]] = (
    _is_wanted, _takes_bodies, _is_verified, _is_valid, _takes_prefix, _is_of_other_partner,
)  # fmt: skip
_AT_LAST: Final[tuple[Condition, ...]] = (
    _is_wanted, _takes_bodies, _is_verified, _is_valid, _is_in_calendar, _takes_prefix_at_last, _is_of_other_partner,
)  # fmt: skip
CONDITIONS: Final[tuple[Condition, ...]] = (*_AT_LAST, _has_room)
"""Conditions of few gateways or calls: examined only for those that are marked so, in this order."""


def accepts(candidate: Candidate, request: RouteRequest, occupancy: Capacity) -> bool:
    """Return whether a candidate is there for such calls at this time, whether or not it has room for one now."""
    is_in_calendar = _is_in_calendar(candidate, request, occupancy) is None
    return is_in_calendar and may_take(candidate, request, occupancy)


def may_take(candidate: Candidate, request: RouteRequest, occupancy: Capacity) -> bool:
    """Return whether a candidate is there for such calls, whatever its calendar says, and its room."""
    return all(condition(candidate, request, occupancy) is None for condition in _OF_CALL)


def takes_at_last(candidate: Candidate, request: RouteRequest, occupancy: Capacity) -> bool:
    """Return whether a candidate takes a call when its turn has come, whether or not it has room for one."""
    return all(condition(candidate, request, occupancy) is None for condition in _AT_LAST)
