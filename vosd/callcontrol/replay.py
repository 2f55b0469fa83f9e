"""Routing of stored calls again, by any catalogue: the steps of a real call, without live state (docs/routing.md).

No call runs, so no limit of concurrent calls or calls a second is reached, no gateway is down or rests, quality is
unknown, and money is not checked. What the stored call knows takes the place of what servers would answer: the number
by which it was routed, whether its signature was right, and which gateways failed it.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.billing.rates import AppliedRate
from vosd.callcontrol.admission import Admission
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.live_state import LiveState
from vosd.callcontrol.number_tools import RoutingNumber, WhichRoutingNumber, find_routing_number, route_by
from vosd.callcontrol.questions import Ask, Unanswered
from vosd.callcontrol.setup import STEPS, Setup
from vosd.catalogue.catalogue import Catalogue
from vosd.cdr.past import PastCall
from vosd.routing.pipeline import RouteChoice
from vosd.trunks.dialect import CalleeSource, CallerPrivacy, CallerSource

_HOPS_LEFT: Final = 69


class Replayed(NamedTuple):
    """Route that a stored call would take."""

    refusal: Refusal | None
    """None = it has a route."""
    choice: RouteChoice | None = None
    """The gateway that would carry it."""
    rate: AppliedRate | None = None
    """Rate that the customer would pay by."""
    sold: AppliedRate | None = None
    """Rate by which the carrier is paid: that of the last agent, else of the customer."""
    is_unasked: bool = False
    """A redirect server would have been asked: here it gives no answer."""
    is_failed: bool = False
    """All gateways that it comes to have failed the stored call."""


class Replay:
    """Routes stored calls by one catalogue."""

    def __init__(self, catalogue: Catalogue, idle: LiveState) -> None:
        """``idle`` is a state without calls that checks no money; turns of gateways that share calls go on in it."""
        self._admission = Admission(catalogue, idle)
        self._routing_number = ""
        behind = STEPS.index(find_routing_number) + 1
        self._steps = (*STEPS[:behind], self._take_routing_number, *STEPS[behind:])

    def route(self, past: PastCall) -> Replayed:
        """Return where a call goes that came from a mapping gateway.

        A gateway that the call has tried in vain fails it again, so the first one is taken that did not, else the last
        that the call comes to within its attempts.
        """
        call = CallRequest(
            source_host="",
            source_port=0,
            hops=_HOPS_LEFT,
            at=Instant(past.started_at, past.started_at),
            numbers=_Stored(past.caller_in, past.callee_in, past.forward_prefix is not None),
            user=past.mapping_gateway or "",
            verstat=past.verstat or "",
            caller_privacy=CallerPrivacy.of_word(past.caller_privacy),
        )
        self._routing_number = past.routing_number or ""
        is_unasked = False
        setup = Setup(self._admission, call, iter(self._steps))
        outcome = setup.advance()
        while isinstance(outcome, Ask):
            if isinstance(outcome.question, WhichRoutingNumber):
                outcome = setup.settle(RoutingNumber(self._routing_number), call.at)
            else:
                is_unasked = True
                outcome = setup.settle(Unanswered("the call is not made"), call.at)
        if outcome is not None:
            return Replayed(outcome, rate=call.rate, is_unasked=is_unasked)
        failed = set(past.tried)
        failed.discard(past.routing_gateway or "")
        choice: RouteChoice | None = None
        catalogue = self._admission.catalogue
        is_failed, attempts = True, 0
        most = self._admission.table_of(call).plan.max_attempts or catalogue.parameters.max_attempts
        for found in call.choices:
            choice, is_failed = found, found.gateway.name in failed
            if not found.gateway.is_phone:
                attempts += past.tried.count(found.gateway.name) or 1  # it may have several addresses
            if not is_failed or attempts >= most:
                break
        call.undo()
        sold = call.agents[-1].applied if call.agents else call.rate
        return Replayed(None, choice, call.rate, sold, is_unasked, is_failed)

    def _take_routing_number(self, admission: Admission, call: CallRequest) -> None:
        """Route a call by the number that its INVITE had, where its mapping gateway may send one."""
        if self._routing_number and not call.routing_number and call.mapping and call.mapping.accept_routing_number:
            route_by(self._routing_number, admission.catalogue.parameters.number_portability, call)


class _Stored:
    """The numbers of a stored call; ``Admission.identify`` has read them from the INVITE when it came."""

    context = ""
    is_withheld = False
    """The record says it, for all headers."""

    def __init__(self, caller: str, callee: str, is_forwarded: bool) -> None:
        self._caller, self._callee, self._is_forwarded = caller, callee, is_forwarded

    def called(self, _source: CalleeSource) -> str:
        return self._callee

    def calling(self, _order: Iterable[CallerSource]) -> str:
        return self._caller

    def is_forwarded(self) -> bool:
        return self._is_forwarded

    def agent(self) -> None:
        return None

    def media_hosts(self) -> tuple[str, ...]:
        return ()
