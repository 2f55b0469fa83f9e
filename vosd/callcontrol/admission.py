"""The steps of admission: may this call be carried, and what does it take while it lasts?

Their order is ``setup.STEPS``. A step that refuses leaves nothing behind: what earlier steps have taken (places, money)
stands in ``CallRequest.taken``. Pure but for the live counters that it is handed.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, Protocol

import msgspec

from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.errors import Refusal, VosError
from vosd.base.number import for_matching
from vosd.billing.accounts import Account, admissible
from vosd.billing.holds import AccountCredit, Hold
from vosd.billing.rate_group import RateGroup
from vosd.billing.rates import AppliedRate
from vosd.callcontrol.live_state import LiveState
from vosd.callcontrol.vendor_terms import LiveVendors
from vosd.catalogue.catalogue import Catalogue
from vosd.routing.capacity import Full, Occupancy
from vosd.routing.identify import identified_by_proof
from vosd.routing.pipeline import RouteChoice, RouteRequest, find_routes
from vosd.trunks.dialect import CalleeSource, CallerSource
from vosd.trunks.gateways import MappingGateway
from vosd.trunks.scope import Scope

_UNIDENTIFIED: Final = "the call is not identified yet"


class Numbers(Protocol):
    """The numbers of a call that asks to be carried: where they stand is for its gateway to say."""

    def called(self, source: CalleeSource) -> str:
        """Return the called number."""
        ...

    def calling(self, order: Iterable[CallerSource]) -> str:
        """Return the calling number of the first source that has one, empty for none."""
        ...


class StepOutOfOrderError(VosError):
    """A step needs what a later one finds: a mistake in the list of the steps."""


class Taken(Protocol):
    """Something that a call has taken and has to give back."""

    def give_back(self) -> None:
        """Free it: the call is over."""
        ...

    def undo(self) -> None:
        """Free it as if it had never been taken: the call is refused."""
        ...


class PlaceTaken(NamedTuple):
    """A place among the concurrent calls of a gateway or account, and among its calls of the last second."""

    occupancy: Occupancy
    scope: Scope
    name: str
    mono_ms: int
    """When it was taken."""

    def give_back(self) -> None:
        """Count the call out; the calls of the last second still include it."""
        self.occupancy.release(self.scope, self.name)

    def undo(self) -> None:
        """Count the call out there as well."""
        self.occupancy.undo(self.scope, self.name, self.mono_ms)


class HoldTaken(NamedTuple):
    """Money set aside on the customer's account."""

    credit: AccountCredit
    hold: Hold

    def give_back(self) -> None:
        """Release the hold."""
        self.credit.release(self.hold)

    def undo(self) -> None:
        """Release the hold: nothing else remembers it."""
        self.credit.release(self.hold)


class CallRequest(msgspec.Struct):
    """A call that asks to be carried; the steps fill in what they find, also when a later one refuses."""

    source_host: str
    source_port: int
    hops: int
    """Max-Forwards of the outgoing INVITE; below zero it is used up."""
    looped: bool
    at: Instant
    """When the INVITE came; its monotonic part, which limits go by, moves on with each answer to a question."""
    numbers: Numbers | None = None
    """None where the call was identified elsewhere."""
    closed: Refusal | None = None
    """Why the switch takes no new calls, if so."""
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
    taken: list[Taken] = []
    """What the call occupies until it is over, in the order in which it was taken."""

    def give_back(self) -> None:
        """Free everything that the call occupies, the latest first; what is freed once is not freed again."""
        self.hold = None
        while self.taken:
            self.taken.pop().give_back()

    def undo(self) -> None:
        """Free everything as if it had never been taken, because a step refuses the call."""
        self.hold = None
        while self.taken:
            self.taken.pop().undo()


def rate_in(group: RateGroup | None, number: str, wall_ms: int) -> AppliedRate | Refusal:
    """Return the rate of a call to ``number`` that came at ``wall_ms`` (UTC), or the refusal of a call without one.

    ``vosd rate explain`` asks the same.
    """
    rate = None if group is None else group.find(number, wall_ms)
    if rate is None:
        name = "no rate group" if group is None else group.name
        return Refusal(EndReason.NO_MATCHING_RATE, 403, f"{name} rates no {number}")
    return rate


class Admission:
    """The steps, over one catalogue and the live state."""

    __slots__ = ("catalogue", "live", "vendors")

    def __init__(self, catalogue: Catalogue, live: LiveState) -> None:
        self.catalogue = catalogue
        self.live = live
        self.vendors = LiveVendors(catalogue, live)

    def identify(self, call: CallRequest) -> Refusal | None:
        """Find the mapping gateway by its proof, or else by source address; its tech prefix is taken off."""
        numbers = call.numbers
        if numbers is None:
            raise StepOutOfOrderError("the call is identified already")
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
        """Refuse the calls of a disabled gateway; the source is known, so it is answered and recorded."""
        gateway = call.mapping
        if gateway is None:
            raise StepOutOfOrderError(_UNIDENTIFIED)
        if not gateway.enabled:
            return Refusal(EndReason.ACCOUNT_DISABLED, 403, f"mapping gateway {gateway.name} is disabled")
        return None

    def check_open(self, call: CallRequest) -> Refusal | None:
        """Refuse a customer's call while the switch takes none; unknown sources get no answer from this step."""
        return call.closed

    def check_loop(self, call: CallRequest) -> Refusal | None:
        """Refuse a call that has passed this switch before (482), or too many hops (483)."""
        if call.looped:
            return Refusal(EndReason.LOOP, 482, "a Via of this switch is in the request already")
        if call.hops < 0:
            return Refusal(EndReason.LOOP, 483, "Max-Forwards is used up")
        return None

    def check_gateway(self, call: CallRequest) -> Refusal | None:
        """Take a place on the mapping gateway."""
        gateway = call.mapping
        if gateway is None:
            raise StepOutOfOrderError(_UNIDENTIFIED)
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
        account = call.account
        if account is None:
            raise StepOutOfOrderError(_UNIDENTIFIED)
        refusal = admissible(account, call.at.wall)
        if refusal is not None:
            return refusal
        full = self._take(call, Scope.ACCOUNT, account.id, account.max_concurrent, account.max_cps)
        if full is not None:
            limit = account.max_concurrent if full is Full.CONCURRENCY else account.max_cps
            return Refusal(EndReason.ACCOUNT_CAPACITY, 503, f"account {account.id}: {full.value} limit {limit}")
        return None

    def find_sell_rate(self, call: CallRequest) -> Refusal | None:
        """Find what the customer pays; without a rate the call is never carried."""
        gateway, account = call.mapping, call.account
        if gateway is None or account is None:
            raise StepOutOfOrderError(_UNIDENTIFIED)
        name = gateway.rate_group or account.rate_group
        group = None if name is None else self.catalogue.rate_groups[name]
        rate = rate_in(group, call.callee_billing, call.at.wall)
        if isinstance(rate, Refusal):
            return rate
        call.rate = rate
        return None

    def find_routes(self, call: CallRequest) -> Refusal | None:
        """Find the routing gateways that may be tried."""
        if call.account is None:
            raise StepOutOfOrderError(_UNIDENTIFIED)
        request, live = RouteRequest(call.callee, call.caller, call.at, call.account.id), self.live
        routes = find_routes(request, self.catalogue.routes, live.occupancy, live.rests, self.vendors)
        if isinstance(routes, Refusal):
            return routes
        call.choices = routes
        return None

    def take_hold(self, call: CallRequest) -> Refusal | None:
        """Set the money of the first seconds aside."""
        gateway, account, rate = call.mapping, call.account, call.rate
        if gateway is None or account is None or rate is None:
            raise StepOutOfOrderError("the call has no rate yet")
        ceiling_s = self.catalogue.parameters.max_call_seconds
        for limit_s in (account.max_call_seconds, gateway.max_call_seconds):
            if limit_s is not None and limit_s < ceiling_s:
                ceiling_s = limit_s
        credit = self.live.credits[account.id]
        hold = credit.hold(rate, account.advance_s, ceiling_s)
        if isinstance(hold, Refusal):
            return hold
        call.hold = hold
        call.taken.append(HoldTaken(credit, hold))
        return None

    def _take(
        self, call: CallRequest, scope: Scope, name: str, max_concurrent: int | None, max_cps: int | None
    ) -> Full | None:
        full = self.live.occupancy.take(scope, name, max_concurrent, max_cps, call.at.mono)
        if full is None:
            call.taken.append(PlaceTaken(self.live.occupancy, scope, name, call.at.mono))
        return full
