"""The reasons of a routing decision in words, for ``vosd route explain``.

Only the words are here. The decision is made by ``pipeline.examine_routes``, as for a call.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from vosd.base.money import EXACT, format_amount, format_price
from vosd.billing.typical import typical_price
from vosd.callcontrol.media_outlook import MediaOutlook
from vosd.callcontrol.vendor_terms import buy_rate
from vosd.routing.pipeline import Cause, LeftOut, RouteChoice, RouteRequest, examine_routes
from vosd.routing.plan import BY_QUALITY
from vosd.routing.ports import Capacity, Vendors
from vosd.routing.quality import QualityFigures
from vosd.routing.rest import Rests
from vosd.routing.route_table import RouteTable
from vosd.trunks.dialect import Redirects
from vosd.trunks.gateways import RoutingGateway
from vosd.trunks.ringing import RingOrder

_OWN_NUMBER: Final = "the number is this phone's"


class Offered(NamedTuple):
    """A gateway that would be tried; ``position`` counts from 1."""

    routing_gateway: str
    position: int
    callee_out: str
    caller_out: str
    reason: str
    prefix: str
    """By which the number fits; ``*`` = any number."""
    priority: int
    weight: int
    cost: str | None
    """The buy rate of a minute, in the vendor's currency; None = the gateway has none."""
    quality: QualityFigures | None = None
    """Quality by the calls of the last hours; nothing where the plan compares it and the attempts are too few for that.
    None = only the running switch knows."""
    currency: str | None = None
    """The vendor's."""
    effective_cost: str | None = None
    """The cost of a minute in a call of typical length, which is what costs are compared by."""
    margin: str | None = None
    """The rest of the sell price of a minute, in the customer's currency, as the loss guard compares it."""
    media: MediaOutlook | None = None
    """Whether its media would be relayed; None = there is no engine for that."""
    attestation: str | None = None
    """Attestation of a call without a signature of its own; None = it is sent no signature of ours."""


class PassedOver(NamedTuple):
    """A gateway that would not be tried, and why."""

    routing_gateway: str
    reason: str


class Explanation(NamedTuple):
    """The gateways that the number fits: tried or left out."""

    candidates: tuple[Offered, ...]
    left: tuple[PassedOver, ...]
    """In the order in which they would have been tried, then those that the plan does without."""
    unfit: int = 0
    """Gateways that the number does not fit, by the plan or at all."""


def explain_routes(
    request: RouteRequest,
    table: RouteTable,
    occupancy: Capacity,
    rests: Rests,
    vendors: Vendors,
    *,
    max_attempts: int | None = None,
    others: RouteTable | None = None,
    is_live: bool = True,
    outlook: Callable[[RoutingGateway], MediaOutlook | None] = lambda _gateway: None,
    attestation: Callable[[RouteChoice], str | None] = lambda _choice: None,
) -> Explanation:
    """Return for every gateway that the number fits whether it would be tried, in which position, and why.

    A call makes ``max_attempts`` at gateways (None = any number), and any number at phones: what comes behind is left
    out. ``others`` is the table of calls without a plan, whose gateways the plan may lack. ``is_live``: the state is
    that of the running switch. Else all phones are assumed to be registered, and quality is unknown. ``outlook`` says
    whether the media of the call would be relayed, ``attestation`` what would be attested of its caller.
    """
    least = table.plan.quality.min_attempts
    dialled = None if request.targets else table.phone(request.callee)
    phones = {each.gateway.name: each.phone for each in request.targets if each.phone}
    callee = request.callee_rated or request.callee
    routes = examine_routes(request, table, occupancy, rests, vendors)
    tried = _within(routes.choices, max_attempts)
    is_compared = not BY_QUALITY.isdisjoint(table.plan.order)

    def offered(position: int, choice: RouteChoice) -> Offered:
        gateway, quality, too_few = choice.gateway, None, None
        phone = phones.get(gateway.name, "") if dialled is None else dialled.name
        if is_live:
            caller = request.caller_at(gateway)
            quality = vendors.quality(gateway, choice.prefix, callee, caller, request.at, least)
        # a phone and what takes its calls have their places whatever their quality is, and an announcement has none
        has_place = phone or gateway.is_phone or gateway.sound is not None
        if is_compared and not has_place and quality is not None and quality.attempts < least:
            quality, too_few = QualityFigures(), (quality.attempts, least)
        is_doubted = gateway.name in vendors.doubted
        return Offered(
            gateway.name,
            position,
            choice.callee_out,
            choice.caller_out,
            _why_tried(choice, phone, request, is_live=is_live, too_few=too_few, is_doubted=is_doubted),
            choice.prefix,
            choice.priority,
            choice.weight,
            None if choice.terms is None else format_amount(choice.terms.price_per_minute),
            quality,
            *_compared(choice, request),
            outlook(gateway) if gateway.sound is None else None,
            attestation(choice),
        )

    candidates = tuple(offered(position, choice) for position, choice in enumerate(tried, start=1))
    behind = f"{Cause.SEARCH_OVER.word}: behind as many attempts as a call may make: {max_attempts}"
    left = [PassedOver(each.gateway.name, behind) for each in routes.choices[len(tried) :]]
    left += [PassedOver(each.gateway.name, _why(each, request, occupancy, rests, vendors)) for each in routes.left]
    fitting = {*(each.routing_gateway for each in candidates), *(each.routing_gateway for each in left)}
    every = {each.name for each in table.gateways}
    if others is not None and others is not table:
        number, rated = request.routing_number or request.callee, request.routing_number or request.callee_rated
        fit = others.fit(number, request.at.wall, request.caller, rated, caller_privacy=request.caller_privacy)
        without_plan = [each.gateway.name for each in fit.ranked]
        missing = f"plan: not among the gateways of plan {table.plan.name}"
        left += [PassedOver(name, missing) for name in dict.fromkeys(without_plan) if name not in every | fitting]
        every |= {each.name for each in others.gateways}
    return Explanation(candidates, tuple(left), len(every - {*fitting, *(each.routing_gateway for each in left)}))


def _within(choices: Sequence[RouteChoice], max_attempts: int | None) -> Sequence[RouteChoice]:
    """Return the gateways that a call comes to; one attempt is made at each of them."""
    counted = [place for place, choice in enumerate(choices, start=1) if not choice.gateway.is_phone]
    if max_attempts is None or len(counted) < max_attempts:
        return choices
    return choices[: counted[max_attempts - 1]]


def _compared(choice: RouteChoice, request: RouteRequest) -> tuple[str | None, str | None, str | None]:
    """Return currency, effective cost and margin of a route."""
    rate = buy_rate(choice)
    if rate is None:
        return None, None, None
    price = request.price_of(rate, 0 if request.guard.by_price else request.typical_s)
    is_comparable = request.meets_currencies or rate.currency == request.currency
    margin = None
    if price is not None and request.sell_price is not None and is_comparable:
        margin = format_price(EXACT.subtract(request.sell_price, price))
    effective = format_price(typical_price(rate, request.typical_s))
    return rate.paid_in or rate.currency, effective, margin


def _why_tried(
    choice: RouteChoice,
    phone: str,
    request: RouteRequest,
    *,
    is_live: bool,
    too_few: tuple[int, int] | None,
    is_doubted: bool,
) -> str:
    """Return why a gateway is tried; ``phone`` is the one that is called or that names it, empty = none.

    ``too_few``: its attempts, where they are too few to compare its quality, and the least that are compared.
    """
    presence = "which is registered" if is_live else "taken to be registered (the running switch knows)"
    are_several = sum(each.gateway.is_phone for each in request.targets) > 1
    if choice.gateway.is_phone:
        return f"{_why_phone(choice.gateway, are_several=are_several)}, {presence}"
    if phone and are_several:
        return f"takes the calls where none of the phones can be reached; it is the offline gateway of phone {phone}"
    if phone and choice.gateway.dialect.redirects is Redirects.FOLLOW:
        return f"is asked where the calls of phone {phone} go, or takes them while it is not registered"
    if phone:
        return f"takes the calls of phone {phone} while it is not registered"
    fits = f"prefix {choice.prefix}, priority {choice.priority}"
    if choice.gateway.protect_ms is not None:
        fits = f"{fits}; protected, so behind the others or {choice.gateway.protect_ms / 1_000:g} s after the INVITE"
    if choice.gateway.registers:
        fits = f"{fits}, {presence}"
    if too_few is not None:
        attempts, least = too_few
        fits = f"{fits}; as good as the best by quality, with {attempts} of the {least} attempts that are compared"
    if choice.gateway.sound is not None:
        fits = f"{fits}; plays {choice.gateway.sound.name}, then {choice.gateway.sound.code}"
    if choice.is_at_rest and request.is_emergency:
        return f"{fits}; behind all others: it rests or answers no OPTIONS, but calls to emergency numbers are tried"
    if is_doubted:
        return f"{fits}; after all others: too many of its answered calls are short"
    return f"{fits}; resting after failures, but there is no other" if choice.is_last_resort else fits


def _why_phone(gateway: RoutingGateway, *, are_several: bool) -> str:
    """Return why a phone is called, and what rings at the same time."""
    group = gateway.ring_group
    if group is None or not are_several:
        return "the number is this phone's; all its places ring at once" if gateway.rings_with else _OWN_NUMBER
    order = "at once with the others" if group.order is RingOrder.TOGETHER else "in turn"
    return f"one of the phones of {group.number}, which rings {order} for {group.ring_timeout_ms / 1_000:g} s"


def _why(left: LeftOut, request: RouteRequest, occupancy: Capacity, rests: Rests, vendors: Vendors) -> str:
    """Return the reason: the word by which programs tell reasons apart, a colon, and what there is to say."""
    return left.cause.because(_detail(left, request, occupancy, rests, vendors))


def _asked_for_rest(remaining_ms: int) -> str:
    return f"answered 503 and asked to be left alone: {-(-remaining_ms // 1_000)} s remain"


def _detail(left: LeftOut, request: RouteRequest, occupancy: Capacity, rests: Rests, vendors: Vendors) -> str:
    """Return what the state of this moment says of the cause; empty = the cause says it all."""
    gateway, detail = left.gateway, left.detail
    match left.cause:
        case Cause.RESTING:
            remaining_ms = rests.remaining_ms(gateway.name, request.at.mono)
            detail = _asked_for_rest(remaining_ms or vendors.paused_ms(gateway, request.at.mono))
        case Cause.FAILING if not detail:
            remaining_ms = vendors.resting_ms(gateway, request.at.mono, request.payer)
            if vendors.why_resting(gateway, request.at.mono, request.payer) == Cause.RESTING.detail:
                detail = _asked_for_rest(remaining_ms)
            else:
                detail = f"calls to it failed in a row, one is let through in {-(-remaining_ms // 1_000)} s"
        case Cause.UNREGISTERED:
            server = " with us" if gateway.registration is None else f" at {gateway.registration.server}"
            detail = f"not registered{server}; `vosd registrations` says more"
        case Cause.DOWN:
            down_s = (vendors.down_ms(gateway, request.at.mono) or 0) // 1_000
            detail = f"answers no OPTIONS for {down_s} s"
        case Cause.NOT_LOCATED:
            detail = f"no address is known for {', '.join(address.host for address in gateway.addresses)}"
        case Cause.NO_BUY_RATE if not detail:
            detail = f"vendor account {gateway.account} has none for {request.callee_rated or request.callee}"
        case Cause.NO_FUNDS:
            detail = f"vendor account {gateway.account} cannot pay for the first seconds of a call"
        case Cause.FULL:
            active = occupancy.active(gateway.scope, gateway.name)
            detail = left.detail or f"{active} of {gateway.max_concurrent} calls"
        case Cause.TOO_FAST:
            recent = occupancy.recent(gateway.scope, gateway.name, request.at.mono)
            detail = left.detail or f"{recent} calls in the last second, {gateway.max_cps} allowed"
    return detail
