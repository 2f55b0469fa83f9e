"""Where a call would go and why, without making it: the same steps that a real call goes through.

Whoever asks brings the live state: the running switch its own, the command line an idle one with the balances
of the database. Nothing that the steps take is kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from vosd.base.clock import Instant
from vosd.base.errors import Refusal, VosError
from vosd.base.money import ZERO
from vosd.base.number import for_matching
from vosd.billing.holds import AccountCredit
from vosd.callcontrol.admission import STEPS, Admission, CallRequest
from vosd.callcontrol.explain import Offered, PassedOver, explain_routes
from vosd.callcontrol.live_state import LiveState
from vosd.catalogue.catalogue import Catalogue
from vosd.cdr.ports import Standing
from vosd.routing.pipeline import RouteRequest
from vosd.trunks.gateways import Address, MappingGateway, RoutingGateway

OK: Final = "ok"
_HOPS_LEFT: Final = 69
_SOMEWHERE: Final = (Address("0.0.0.0", 5060),)


class UnknownGatewayError(VosError):
    """No mapping gateway of that name is configured."""


@dataclass(frozen=True, slots=True)
class RouteExplanation:
    """What would become of a call (INTERFACES section 2, ``route explain``)."""

    result: str
    """``ok``, or the end reason of the refusal."""
    detail: str
    """Which object and which figure refused it; empty when it is carried."""
    callee_billed: str
    candidates: Sequence[Offered]
    left: Sequence[PassedOver]

    def to_json(self) -> dict[str, object]:
        """Return the JSON object, key by key as INTERFACES names them."""
        return {
            "result": self.result,
            "detail": self.detail,
            "callee_billed": self.callee_billed,
            "candidates": [offered._asdict() for offered in self.candidates],
            "left": [passed_over._asdict() for passed_over in self.left],
        }


def idle_state(catalogue: Catalogue, standings: Mapping[str, Standing] | None) -> LiveState:
    """Return a switch's live state without calls; with ``standings`` None, money is not judged."""
    credits = {}
    for account in catalogue.accounts.values():
        if standings is None:
            credits[account.id] = AccountCredit(account.id, limit=None)
        else:
            known = standings.get(account.id, Standing(ZERO, 0))
            credits[account.id] = AccountCredit(account.id, account.overdraft_limit, known.balance, known.seq)
    return LiveState(credits, _as_far_as_known)


def _as_far_as_known(gateway: RoutingGateway) -> Sequence[Address]:
    """Return where a gateway is.

    A phone, and a vendor that registers, count as registered: only the running switch could tell.
    """
    return _SOMEWHERE if gateway.registers else gateway.addresses


def explain_route(
    catalogue: Catalogue,
    live: LiveState,
    *,
    gateway: str,
    caller: str,
    callee: str,
    at: Instant,
    knows_phones: bool = True,
) -> RouteExplanation:
    """Put a call from ``gateway`` through admission and routing and tell what became of it.

    ``callee`` may be said with the gateway's tech prefix or without. The gateways are listed if the steps get as
    far as the search for routes. With an idle ``live`` state say that it does not know which phones are registered.

    Raises:
        UnknownGatewayError: there is no such mapping gateway.
    """
    mapping = catalogue.mapping_gateways.get(gateway)
    if mapping is None:
        message = f"no mapping gateway {gateway!r} is configured; there are {', '.join(catalogue.mapping_gateways)}"
        raise UnknownGatewayError(message)
    admission = Admission(catalogue, live)
    call = _call_request(catalogue, mapping, caller, callee, at)
    refusal = _try(admission, call)
    request = RouteRequest(call.callee, call.caller, at, mapping.account)
    routes = None
    if call.rate:
        routes = explain_routes(
            request, catalogue.routes, live.occupancy, live.rests, admission.vendors, knows_phones=knows_phones
        )
    return RouteExplanation(
        result=refusal.reason.text if refusal else OK,
        detail=refusal.detail if refusal else "",
        callee_billed=call.callee_billing,
        candidates=routes.candidates if routes else (),
        left=routes.left if routes else (),
    )


def _call_request(catalogue: Catalogue, mapping: MappingGateway, caller: str, callee: str, at: Instant) -> CallRequest:
    """Make the call as it stands once its gateway is identified."""
    number = callee.removeprefix(mapping.tech_prefix)
    pattern = mapping.hosts[0] if mapping.hosts else None  # whoever proves who it is may come from anywhere
    return CallRequest(
        caller=caller if mapping.caller_numbers is None else mapping.caller_numbers.permitted(caller),
        callee=number,
        source_host=str(pattern.network.network_address) if pattern else "",
        source_port=(pattern.port or 0) if pattern else 0,
        hops=_HOPS_LEFT,
        looped=False,
        at=at,
        callee_billing=for_matching(number),
        mapping=mapping,
        account=catalogue.accounts[mapping.account],
    )


def _try(admission: Admission, call: CallRequest) -> Refusal | None:
    """Go through the steps behind identification and give back whatever they took."""
    refusals = (step(admission, call) for step in STEPS if step is not Admission.identify)
    refusal = next((found for found in refusals if found is not None), None)
    for scope, name in reversed(call.taken):
        admission.live.occupancy.undo(scope, name)
    if call.hold is not None and call.account is not None:
        admission.live.credits[call.account.id].release(call.hold)
    return refusal
