"""May this call be carried, by whom and at what price? The one order of refusals (INTERFACES section 3).

A call and ``vosd route explain`` go through the same function. It takes what the call will occupy (a place on the
mapping gateway and the account, money) and leaves nothing behind when it refuses. Pure but for the live counters
that it is handed.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol, TypeVar

import msgspec

from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.base.number import for_matching
from vosd.billing.accounts import Account, admissible
from vosd.billing.holds import Hold
from vosd.billing.rates import AppliedRate
from vosd.callcontrol.live_state import LiveState
from vosd.callcontrol.vendor_terms import LiveVendors
from vosd.catalogue.catalogue import Catalogue
from vosd.routing.capacity import Full
from vosd.routing.identify import identified_by_proof
from vosd.routing.pipeline import RouteChoice, RouteRequest, find_routes
from vosd.trunks.dialect import CalleeSource, CallerSource
from vosd.trunks.gateways import MappingGateway
from vosd.trunks.scope import Scope


class Numbers(Protocol):
    """The numbers of a call that asks to be carried: where they stand is for its gateway to say."""

    def called(self, source: CalleeSource) -> str:
        """Return the called number."""
        ...

    def calling(self, order: Iterable[CallerSource]) -> str:
        """Return the calling number of the first source that has one, empty for none."""
        ...


class CallRequest(msgspec.Struct):
    """A call that asks to be carried; the steps fill in what they find, also when a later one refuses."""

    source_host: str
    source_port: int
    hops: int
    """Max-Forwards of the outgoing INVITE; below zero it is used up."""
    looped: bool
    at: Instant
    numbers: Numbers | None = None
    """None where the call was identified elsewhere."""
    closed: Refusal | None = None
    """Why the switch takes no new call of anybody, if so."""
    user: str = ""
    """The mapping gateway or phone that has proven to be the sender; empty = its address says who it is."""
    caller_in: str = ""
    """As it came."""
    caller: str = ""
    """What may go out for it."""
    callee_in: str = ""
    """As it came."""
    callee: str = ""
    """Without tech prefix."""
    callee_billing: str = ""
    mapping: MappingGateway | None = None
    account: Account | None = None
    rate: AppliedRate | None = None
    choices: Iterator[RouteChoice] = iter(())
    hold: Hold | None = None
    taken: list[tuple[Scope, str]] = []
    """Places that the call occupies until it is over."""


class Admission:
    """The steps, over one catalogue and the live state."""

    __slots__ = ("catalogue", "live", "vendors")

    def __init__(self, catalogue: Catalogue, live: LiveState) -> None:
        self.catalogue = catalogue
        self.live = live
        self.vendors = LiveVendors(catalogue, live)

    def admit(self, call: CallRequest) -> Refusal | None:
        """Put a call through every step; on refusal give back what it had taken, window included."""
        for step in STEPS:
            refusal = step(self, call)
            if refusal is not None:
                for scope, name in reversed(call.taken):
                    self.live.occupancy.undo(scope, name)
                call.taken = []
                return refusal
        return None

    def give_back(self, call: CallRequest) -> None:
        """Free everything that a call occupies."""
        for scope, name in call.taken:
            self.live.occupancy.release(scope, name)
        call.taken = []
        if call.hold is not None and call.account is not None:
            self.live.credits[call.account.id].release(call.hold)
            call.hold = None

    def identify(self, call: CallRequest) -> Refusal | None:
        """Find the mapping gateway by its proof, or else by source address; its tech prefix is taken off."""
        numbers = _known(call.numbers)
        if call.user:
            gateway = self.catalogue.mapping_gateways.get(call.user)
            found = None if gateway is None else identified_by_proof(gateway, numbers.called)
        else:
            found = self.catalogue.sources.identify(call.source_host, call.source_port, numbers.called)
        if found is None:
            who = call.user or f"{call.source_host}:{call.source_port}"
            return Refusal(EndReason.UNKNOWN_SOURCE, 403, f"no mapping gateway for {who}")
        gateway = found.gateway
        call.mapping, call.callee, call.callee_in = found
        call.caller = call.caller_in = numbers.calling(gateway.dialect.caller_from)
        if gateway.caller_numbers is not None:
            call.caller = gateway.caller_numbers.permitted(call.caller_in)
        call.callee_billing = for_matching(call.callee)
        call.account = self.catalogue.accounts[gateway.account]
        if gateway.credentials is not None and not call.user:
            return Refusal(EndReason.AUTHENTICATION_FAILED, 401, f"{gateway.name} has proven nothing")
        return None

    def check_enabled(self, call: CallRequest) -> Refusal | None:
        """Refuse the calls of a gateway that the operator switched off: known as it is, it is told and recorded."""
        gateway = _known(call.mapping)
        if not gateway.enabled:
            return Refusal(EndReason.ACCOUNT_DISABLED, 403, f"mapping gateway {gateway.name} is disabled")
        return None

    def check_open(self, call: CallRequest) -> Refusal | None:
        """Refuse a customer's call while the switch takes none; strangers are not told."""
        return call.closed

    def check_loop(self, call: CallRequest) -> Refusal | None:
        """Refuse a call that has been here before, or has been too far."""
        if call.looped:
            return Refusal(EndReason.LOOP, 482, "a Via of this switch is in the request already")
        if call.hops < 0:
            return Refusal(EndReason.LOOP, 483, "Max-Forwards is used up")
        return None

    def check_gateway(self, call: CallRequest) -> Refusal | None:
        """Take a place on the mapping gateway."""
        gateway = _known(call.mapping)
        full = self._take(call, Scope.MAPPING, gateway.name, gateway.max_concurrent, gateway.max_cps)
        if full is Full.CONCURRENCY:
            return Refusal(EndReason.GATEWAY_CAPACITY, 503, f"{gateway.name} has its {gateway.max_concurrent} calls")
        if full is Full.RATE:
            return Refusal(EndReason.GATEWAY_RATE_LIMIT, 503, f"{gateway.name}: {gateway.max_cps} calls a second")
        return None

    def check_number(self, call: CallRequest) -> Refusal | None:
        """Refuse a call of which the tech prefix was all, or that lacks the one its proven sender has to dial."""
        if call.callee_billing:
            return None
        return Refusal(EndReason.NUMBER_NOT_ALLOWED, 403, "no number is left behind tech prefix and plus sign")

    def check_account(self, call: CallRequest) -> Refusal | None:
        """Refuse a disabled or expired account, and take a place on it."""
        account = _known(call.account)
        refusal = admissible(account, call.at.wall)
        if refusal is not None:
            return refusal
        full = self._take(call, Scope.ACCOUNT, account.id, account.max_concurrent, account.max_cps)
        if full is not None:
            limit = account.max_concurrent if full is Full.CONCURRENCY else account.max_cps
            return Refusal(EndReason.ACCOUNT_CAPACITY, 503, f"account {account.id}: {full.value} limit {limit}")
        return None

    def find_sell_rate(self, call: CallRequest) -> Refusal | None:
        """Find what the customer pays; without a rate the call is never carried (RATE-15)."""
        name = _known(call.mapping).rate_group or _known(call.account).rate_group
        if name is not None:
            call.rate = self.catalogue.rate_groups[name].find(call.callee_billing)
        if call.rate is None:
            return Refusal(EndReason.NO_MATCHING_RATE, 403, f"{name or 'no rate group'} rates no {call.callee_billing}")
        return None

    def find_routes(self, call: CallRequest) -> Refusal | None:
        """Find the routing gateways that may be tried."""
        request = RouteRequest(call.callee, call.caller, call.at, _known(call.account).id)
        live = self.live
        routes = find_routes(request, self.catalogue.routes, live.occupancy, live.rests, self.vendors)
        if isinstance(routes, Refusal):
            return routes
        call.choices = routes
        return None

    def take_hold(self, call: CallRequest) -> Refusal | None:
        """Set the money of the first seconds aside (RES-02, DESIGN D13)."""
        account = _known(call.account)
        limits = (
            self.catalogue.parameters.max_call_seconds,
            account.max_call_seconds,
            _known(call.mapping).max_call_seconds,
        )
        ceiling_s = min(limit for limit in limits if limit is not None)
        hold = self.live.credits[account.id].hold(_known(call.rate), account.advance_s, ceiling_s)
        if isinstance(hold, Refusal):
            return hold
        call.hold = hold
        return None

    def _take(
        self, call: CallRequest, scope: Scope, name: str, max_concurrent: int | None, max_cps: int | None
    ) -> Full | None:
        full = self.live.occupancy.take(scope, name, max_concurrent, max_cps, call.at.mono)
        if full is None:
            call.taken.append((scope, name))
        return full


Step = Callable[[Admission, CallRequest], Refusal | None]

STEPS: Final[tuple[Step, ...]] = (
    Admission.identify,
    Admission.check_enabled,
    Admission.check_open,
    Admission.check_loop,
    Admission.check_gateway,
    Admission.check_number,
    Admission.check_account,
    Admission.find_sell_rate,
    Admission.find_routes,
    Admission.take_hold,
)
"""In the order of INTERFACES section 3; the first refusal wins."""


Found = TypeVar("Found")


def _known(value: Found | None) -> Found:
    """Return what an earlier step has found; a step before its time is a mistake of ``STEPS``."""
    if value is None:
        raise RuntimeError("the steps of admission are in the wrong order")
    return value
