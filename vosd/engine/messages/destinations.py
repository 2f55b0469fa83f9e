"""Find where a MESSAGE goes: telephones, trunks of the inventory of numbers, or gateways by their prefixes."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.callcontrol.admission import Admission, StepOutOfOrderError
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.dids import ring_did
from vosd.engine.messages.delivery import RelayPlace
from vosd.routing.conditions import denying_last, takes_at_last
from vosd.routing.fit import Candidate
from vosd.routing.pipeline import state_objection
from vosd.routing.routes import Cause, RouteRequest
from vosd.trunks.gateways import Address, RoutingGateway
from vosd.trunks.phone import called_half

GROUPS_MAX: Final = 3
"""Most gateways that are tried one after the other."""
_OF_CALLS: Final = frozenset({Cause.FULL, Cause.TOO_FAST})
"""Limits of calls, which no relayed request is."""


def places_of(admission: Admission, call: CallRequest) -> Sequence[Sequence[RelayPlace]] | Refusal:
    """Return the places of a MESSAGE in groups: those of a group are sent it at once, each group after the one before.

    A telephone is sent it at each of its contacts. Gateways are tried in their order, as for calls, but for prices.
    """
    dids = admission.catalogue.dids
    if dids is not None:
        refusal = ring_did(dids, admission, call)
        if refusal is not None:
            return refusal
    if call.targets:
        named = [_named(each.gateway, admission) for each in call.targets]
        return _of_phones([each for each in named if each is not None], admission, call)
    table, caller, rated = admission.table_of(call), call.caller, call.callee_rated
    candidates = table.fit(call.callee, call.at.wall, caller, rated, caller_privacy=call.caller_privacy).ranked
    if not candidates:
        return Refusal(EndReason.NO_AVAILABLE_ROUTE, 404, f"no gateway's prefix fits {call.callee}")
    phone = next((each.gateway for each in candidates if each.gateway.is_phone), None)
    return _of_gateways(candidates, admission, call) if phone is None else _of_phones([phone], admission, call)


def contacts_of(gateway: RoutingGateway, admission: Admission, callee: str = "", caller: str = "") -> list[RelayPlace]:
    """Return the places of a phone, or of another gateway that registers: one of each of its devices.

    A device with several flows (RFC 5626 section 5.3) would show the same text once for each.
    """
    found: dict[str | Address, list[Address]] = {}
    for address in admission.live.addresses_of(gateway):
        found.setdefault(address.device or address, []).append(address)
    return [RelayPlace(gateway, first, callee, caller, tuple(others)) for first, *others in found.values()]


def is_reachable(gateway: RoutingGateway, admission: Admission, now: Instant, *, is_emergency: bool = False) -> bool:
    """Return whether a gateway takes requests now, however many calls it has."""
    live, vendors = admission.live, admission.vendors
    objection = state_objection(gateway, now.mono, live.occupancy, live.rests, vendors, is_emergency=is_emergency)
    return objection is None or objection in _OF_CALLS


def _of_phones(
    gateways: Sequence[RoutingGateway], admission: Admission, call: CallRequest
) -> Sequence[Sequence[RelayPlace]] | Refusal:
    """Return the contacts of phones, or trunks of the inventory, as one group."""
    taking = [each for each in gateways if each.dialect.messages and each.enabled]
    if not taking:
        return Refusal(EndReason.NUMBER_NOT_ALLOWED, 403, f"{call.callee} is sent no messages")
    free = [each for each in taking if each.name not in admission.vendors.blocked]
    found = [place for each in free for place in contacts_of(each, admission, call.callee, call.caller)]
    return [found] if found else Refusal(EndReason.UNAVAILABLE, 480, f"{call.callee} is not registered")


def _of_gateways(
    candidates: Iterable[Candidate], admission: Admission, call: CallRequest
) -> Sequence[Sequence[RelayPlace]] | Refusal:
    taking = [each for each in candidates if each.gateway.dialect.messages]
    if not taking:
        return Refusal(EndReason.NUMBER_NOT_ALLOWED, 403, f"no gateway for {call.callee} is sent messages")
    found: list[list[RelayPlace]] = []
    request = _request_of(admission, call)
    is_emergency = request.is_emergency
    candidates = denying_last(taking, request) if is_emergency else taking
    if is_emergency:  # gateways that have asked for a pause get the message, too, but behind all others
        candidates = sorted(candidates, key=lambda each: not is_reachable(each.gateway, admission, call.at))
    for candidate in candidates:
        gateway = candidate.gateway
        if _takes(candidate, admission, request):
            numbers = call.callee, call.caller
            if gateway.numbers is not None:
                numbers = admission.vendors.numbers_out(gateway, *numbers, is_emergency=is_emergency)
            addresses = admission.live.addresses_of(gateway)
            addresses = admission.live.open_addresses(gateway, addresses, call.at.mono, is_emergency=is_emergency)
            found += [[RelayPlace(gateway, address, *numbers)] for address in islice(addresses, GROUPS_MAX)]
    if not found:
        return Refusal(EndReason.UNAVAILABLE, 480, f"no gateway for {call.callee} can be reached now")
    return found[:GROUPS_MAX]


def _request_of(admission: Admission, call: CallRequest) -> RouteRequest:
    """Return what gateways are chosen for a MESSAGE by, as for a call; it has no price."""
    mapping, account = call.mapping, call.account
    if mapping is None or account is None:
        raise StepOutOfOrderError("the sender is not identified yet")
    is_emergency = admission.catalogue.parameters.special_numbers.is_emergency(call.callee_billing)
    return RouteRequest(
        call.callee, call.caller, call.at, account.id, mapping.name, partner=account.partner,
        allowed=mapping.gateways_allow, denied=mapping.gateways_deny, is_selective=True, is_emergency=is_emergency,
    )  # fmt: skip


def _takes(candidate: Candidate, admission: Admission, request: RouteRequest) -> bool:
    """Return whether a gateway takes messages of this sender now."""
    live, vendors, gateway = admission.live, admission.vendors, candidate.gateway
    is_emergency = request.is_emergency
    if not is_reachable(gateway, admission, request.at, is_emergency=is_emergency):
        return False
    if not takes_at_last(candidate, request, live.occupancy):
        return False
    return gateway.numbers is None or vendors.objection(gateway, request.caller, is_emergency=is_emergency) is None


def _named(name: str, admission: Admission) -> RoutingGateway | None:
    """Return what an entry of the inventory names: a phone, a gateway, or a trunk that registers."""
    catalogue = admission.catalogue
    phone = catalogue.phones.get(name)
    if phone is not None:
        return called_half(phone)
    return catalogue.routing_gateways.get(name) or catalogue.called_trunks.get(name)
