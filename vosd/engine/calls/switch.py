"""The switch: takes what the SIP engine hears, admits calls, keeps them, and lets them go.

The only holder of live calls (DESIGN section 4). Synchronous: a datagram or a timer comes in, everything it causes
is done, and the journal and the datagrams are flushed by ``engine.loop``. Everything else sees snapshots.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec
import structlog

from vosd.b2bua.call import Call
from vosd.b2bua.callee_leg import CalleeLeg
from vosd.b2bua.hunt import Way
from vosd.b2bua.leg import Leg
from vosd.b2bua.settings import CallSettings
from vosd.b2bua.states import CallState
from vosd.b2bua.transfer import Substitute
from vosd.base.cause import EndReason, HangupSource
from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.base.wheel import TICK_MS, TimerWheel
from vosd.billing.holds import AccountCredit
from vosd.callcontrol.admission import Admission, CallRequest
from vosd.callcontrol.bookkeeping import conclude, draft
from vosd.callcontrol.live_state import AddressesOf, LiveState, as_configured
from vosd.callcontrol.vendor_terms import LiveVendors
from vosd.catalogue.catalogue import Catalogue
from vosd.cdr.record import Attempt, CallRecord
from vosd.engine.calls.attempts import Attempts
from vosd.engine.calls.call_sink import CallSink
from vosd.engine.calls.intake import Intake
from vosd.engine.calls.live_call import LiveCall, legs_of
from vosd.engine.calls.notices import Notices, vendors_by_host
from vosd.engine.calls.refusals import Refusals
from vosd.engine.trace.followers import TraceFollowers
from vosd.obs.events import Event as LogEvent
from vosd.obs.log import call_line
from vosd.routing.failover import AttemptOutcome
from vosd.routing.pipeline import RouteChoice
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import (
    AckArrived,
    AckMissing,
    AlarmRang,
    AnswerStrayed,
    CancelArrived,
    Event,
    InviteArrived,
    NoResponse,
    ProvisionalUnheard,
    RegisterArrived,
    RequestArrived,
    ResponseArrived,
    StrangerIgnored,
)
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Response
from vosd.trunks.gateways import Address, RoutingGateway

_log = structlog.get_logger()

_OWNERS_TOLD: Final[Mapping[type, str]] = {
    CancelArrived: "cancelled",
    NoResponse: "no_response",
    AckMissing: "ack_missing",
    ProvisionalUnheard: "provisional_unheard",
    AlarmRang: "alarm_rang",
    AnswerStrayed: "answer_strayed",
}
"""The rarer events that are the business of whoever asked, or keeps the dialog, and the method that hears of each."""


class Switch:
    """All live calls, and the ``Switchboard`` that they ask."""

    def __init__(
        self,
        *,
        node: str,
        endpoint: Endpoint,
        catalogue: Catalogue,
        ledger: CallSink,
        entropy: Callable[[], bytes],
        credits: dict[str, AccountCredit],
        followers: TraceFollowers,
        register: Callable[[RegisterArrived], None],
        addresses_of: AddressesOf = as_configured,
    ) -> None:
        self._node = node
        self._register = register
        self._endpoint = endpoint
        self._ledger = ledger
        self._entropy = entropy
        self._followers = followers
        self.live = LiveState(credits, addresses_of)
        self._carried: dict[str, LiveCall] = {}
        self._deadlines: TimerWheel[Call] = TimerWheel(TICK_MS)
        self.notices = Notices(endpoint)
        self._attempts = Attempts(self.live, self._carried)
        self._refusals = Refusals(node, endpoint, ledger, self.notices, followers, entropy)
        self._empty = asyncio.Event()
        self._empty.set()
        self.takes_calls = True
        """False once a stop was asked for: new calls are refused with 503."""
        self._intake = Intake(
            endpoint,
            self,
            self._refusals,
            entropy,
            carry=self._carry,
            closed=self._closed,
            admission=Admission(catalogue, self.live),
            settings=CallSettings(),
        )
        self.swap_catalogue(catalogue)

    # -- in -----------------------------------------------------------------------------------------------------

    def hear(self, event: Event) -> None:
        """Act on one event of the SIP engine."""
        try:
            if isinstance(event, ResponseArrived):
                event.owner.response_came(event)
            elif isinstance(event, RequestArrived):
                event.owner.request_came(event)
            elif isinstance(event, InviteArrived):
                self._intake.take_invite(event)
            elif isinstance(event, AckArrived):
                event.owner.ack_came(event)
            elif isinstance(event, RegisterArrived):
                self._register(event)
            elif isinstance(event, StrangerIgnored):
                self._refusals.stranger(event)
            else:
                getattr(event.owner, _OWNERS_TOLD[type(event)])(event)
        except ParseError as error:
            self._refusals.unreadable(event, error)
        except Exception:  # noqa: BLE001  the boundary: our mistake ends one call, never the switch
            _log.exception("a mistake of ours ended a call", call_event=type(event).__name__)
            owner = event.transaction.owner if isinstance(event, InviteArrived) else getattr(event, "owner", None)
            call = getattr(owner, "call", None)  # a leg whose making went wrong has none
            if call is None or isinstance(event, RequestArrived):
                self._refusals.unreadable(event, ParseError(500, "a mistake of ours"))
            if call is not None:
                self._abort(call, event.at)

    def handle_deadlines(self, now: Instant) -> None:
        """Tell every call whose deadline has come."""
        for call in self._deadlines.expire(now.mono):
            try:
                call.deadline_due(now)
            except Exception:  # noqa: BLE001  the same boundary
                _log.exception("a mistake of ours ended a call", call_event="deadline")
                self._abort(call, now)

    def next_deadline(self) -> int | None:
        """Return when ``handle_deadlines`` is wanted next, in milliseconds of the monotonic clock."""
        return self._deadlines.next_due()

    def knows_host(self, host: str) -> bool:
        """Say whether a gateway of ours may send from an address, whatever the port."""
        return host in self._routing_hosts or self.catalogue.sources.knows_host(host)

    def knows(self, host: str, port: int) -> bool:
        """Say whether a source is a gateway of ours, of either kind."""
        return host in self._routing_hosts or self.catalogue.sources.knows(host, port)

    # -- people -------------------------------------------------------------------------------------------------

    @property
    def catalogue(self) -> Catalogue:
        """The snapshot that new calls are decided by."""
        return self._intake.admission.catalogue

    @property
    def admission(self) -> Admission:
        """The steps that new calls go through, for ``explain --live``."""
        return self._intake.admission

    def swap_catalogue(self, catalogue: Catalogue) -> None:
        """Decide new calls by another snapshot; running calls keep what they copied (DESIGN D3).

        Every account of the catalogue must have a credit by now, but at the very first.
        """
        self._intake.admission = Admission(catalogue, self.live)
        self.live.breakers.keep(catalogue.routing_gateways.keys())
        self.live.rests.keep(catalogue.routing_gateways.keys())
        self.notices.near_matches.catalogue = catalogue
        self._routing_hosts = self.notices.vendors = vendors_by_host(catalogue.routing_gateways.values())
        parameters = catalogue.parameters
        self._intake.settings = CallSettings(
            parameters.max_attempts, parameters.search_ms, parameters.challenges_max, parameters.dead_call_billing
        )
        for account in catalogue.accounts.values():
            credit = self.live.credits.get(account.id)
            if credit is not None:
                credit.set_terms(account.overdraft_limit, account.balance_low)

    @property
    def has_calls(self) -> bool:
        """Whether any call is alive."""
        return bool(self._carried)

    async def emptied(self) -> None:
        """Wait until no call is alive."""
        await self._empty.wait()

    def calls(self) -> Sequence[LiveCall]:
        """Return the live calls, oldest first."""
        return tuple(self._carried.values())

    def end_calls(self, chosen: Iterable[LiveCall], reason: EndReason, now: Instant) -> int:
        """End calls by order; return how many there were."""
        ended = 0
        for carried in chosen:
            self._end(carried.call, reason, now)
            ended += 1
        return ended

    def census(self) -> dict[str, int]:
        """Count what is alive, for ``vosd status``."""
        sip = self._endpoint.census()
        calls = [carried.call for carried in self._carried.values()]
        return {
            "calls": len(calls),
            "legs": sum(call.legs for call in calls),
            "dialogs": sip["dialogs"],
            "transactions": sip["transactions"],
            "timers": sip["timers"] + len(self._deadlines),
            "holds": sum(1 for carried in self._carried.values() if carried.call_request.hold is not None),
        }

    # -- what calls ask (b2bua.ports.Switchboard) ---------------------------------------------------------------

    def occupy(self, call: Call, way: Way, now: Instant) -> bool:
        """Take a place on a routing gateway."""
        carried, gateway = self._carried[call.arrival.call_id], way[0].gateway
        if not self._attempts.occupy(carried, way, now):
            return False
        self._followers.attempted(call, carried.call_request, gateway.name)
        return True

    def vacate(self, choice: RouteChoice) -> None:
        """Give a place on a routing gateway back."""
        self.live.occupancy.release(choice.gateway.scope, choice.gateway.name)

    def attempt_rings(self, leg: CalleeLeg) -> None:
        """Note that a gateway rings."""
        self._attempts.rings(leg)

    def attempt_over(self, leg: CalleeLeg, outcome: AttemptOutcome | None, now: Instant) -> None:
        """Give the place of an attempt back that was not answered, and note whose doing its end was."""
        self._attempts.over(leg, outcome, now)

    def addresses_of(self, call: Call, gateway: RoutingGateway, now: Instant) -> Sequence[Address]:
        """Return where a gateway is right now."""
        return self._attempts.addresses_of(call, gateway, now)

    def refused(self, leg: CalleeLeg, response: Response, now: Instant) -> None:
        """Note what a refusal tells of the vendor."""
        self._attempts.refused(leg, response, now)

    def answer_strayed(self, call: Call, attempt: Attempt, now: Instant) -> None:
        """Say in the log what may cost money beyond the call: its record, if written already, cannot tell."""
        is_recorded = call.arrival.call_id in self._carried
        self.notices.strayed(call.arrival.call_id, attempt, now, is_recorded=is_recorded)

    def customer_of(self, call: Call) -> str | None:
        """Return the name of the mapping gateway that a call came from."""
        carried = self._carried.get(call.arrival.call_id)
        return None if carried is None or carried.call_request.mapping is None else carried.call_request.mapping.name

    def place_transfer(self, first: Call, substitute: Substitute, number: str, now: Instant) -> Call | int:
        """Admit the call that a transfer asks for."""
        paid_by = self._carried[first.arrival.call_id].call_request
        return self._intake.place_transfer(first, paid_by, substitute, number, now)

    def set_deadline(self, call: Call, at: Instant) -> None:
        """Let the call hear of ``at``, and of nothing it had set before."""
        carried = self._carried[call.arrival.call_id]
        if carried.timer is not None:
            self._deadlines.cancel(carried.timer)
        carried.timer = self._deadlines.schedule(at.mono, call)

    def answer_waits(self, call: Call) -> bool:
        """Journal the gateway's answer: it bills from now on, whatever becomes of the caller."""
        return self._keep(self._carried[call.arrival.call_id], call)

    def answered(self, call: Call) -> int | None:
        """Journal the answer before anybody is told of it; return the seconds that are paid for, None if it fails."""
        carried = self._carried[call.arrival.call_id]
        hold = carried.call_request.hold
        if hold is None:
            raise RuntimeError(f"{call!r} answered without a hold")
        return carried.granted_s(hold) if self._keep(carried, call) else None

    def moved(self, call: Call) -> None:
        """Journal where the sides of an answered call are now."""
        carried = self._carried[call.arrival.call_id]
        if carried.kept is not None:
            carried.kept = msgspec.structs.replace(carried.kept, legs=legs_of(call))
            self._ledger.moved(carried.kept)

    def extend(self, call: Call) -> int | EndReason:
        """Hold money for more seconds, or say why there are none (RES-11)."""
        call_request = self._carried[call.arrival.call_id].call_request
        hold, account = call_request.hold, call_request.account
        if hold is None or account is None:
            raise RuntimeError(f"{call!r} talks without a hold")
        if self.live.credits[account.id].extend(hold, account.advance_s):
            return hold.granted_s
        return EndReason.MAXIMUM_DURATION if hold.granted_s >= hold.ceiling_s else EndReason.BALANCE_EXHAUSTED

    def refresh_failed(self, call: Call, leg: Leg, status: int, now: Instant) -> None:
        """Say in the log, seldom, that a gateway does not take refreshes: its calls will end by it."""
        gateway = leg.choice.gateway.name if isinstance(leg, CalleeLeg) else self.customer_of(call)
        self.notices.refresh_failed(gateway or "", call.arrival.call_id, status, now)

    def over(self, call: Call) -> None:
        """Price and journal the end, free what the call held, forget it."""
        carried = self._carried.pop(call.arrival.call_id)
        if not self._carried:
            self._empty.set()
        call_request, ending = carried.call_request, call.ending
        if ending is None:
            raise RuntimeError(f"{call!r} is over without an ending")
        if carried.timer is not None:
            self._deadlines.cancel(carried.timer)
        kept = carried.kept or carried.opened(self._node, recorded=self._records_own_ends)
        if kept is None:
            record = draft(self._node, call.arrival, call_request, call.journey, ending)
            self.notices.quarrels(record, ending.at)
        else:
            strays = call.journey.attempts[len(kept.record.attempts) :]
            recorded = ending.source is not HangupSource.SWITCH or self._records_own_ends
            acked = call.journey.acknowledged_at
            record = conclude(kept, ending, call.journey.codec, recorded=recorded, strays=strays, acknowledged=acked)
            self.notices.unheard(record, ending.at)
        self._close(record, call_request)
        self._followers.ended(call.arrival, call.journey, record)

    def _carry(self, call: Call, call_request: CallRequest, vendors: LiveVendors) -> None:
        self._carried[call.arrival.call_id] = LiveCall(call, call_request, vendors)
        self._empty.clear()

    def _closed(self) -> Refusal | None:
        """Refuse every new call while the switch stops, or cannot write calls down."""
        if not self.takes_calls:
            return Refusal(EndReason.SHUTDOWN, 503, "the switch is stopping")
        if self._ledger.refuses_calls:
            return Refusal(EndReason.OVERLOAD, 503, "too many calls wait to be written to disk and database")
        return None

    def _keep(self, carried: LiveCall, call: Call) -> bool:
        """Journal what is known of a call that a gateway has answered, in place of what was known before."""
        kept = carried.opened(self._node, recorded=self._records_own_ends)
        answered_at, choice = call.journey.vendor_answered_at, call.journey.choice
        if kept is None or answered_at is None or choice is None:
            raise RuntimeError(f"{call!r} was answered by no gateway")
        self.live.health.answered(choice.gateway.name, answered_at.mono)
        if call.callee is not None:
            self._attempts.rings(call.callee)
        self.notices.quarrels(kept.record, answered_at)
        if self._ledger.answered(kept):
            carried.kept = kept
            return True
        _log.error(LogEvent.ANSWERED_CALL_REFUSED, call_id=call.arrival.call_id, why="the journal cannot be written")
        return False

    @property
    def _records_own_ends(self) -> bool:
        """Whether answered calls that the switch ended leave a CDR (SERVER_BILLING_RECORD_SERVER_HANG_UP)."""
        return self._intake.admission.catalogue.parameters.record_server_hang_up

    def _close(self, record: CallRecord, call_request: CallRequest) -> None:
        """Journal the priced record, then move its money from held to owed."""
        credits = self.live.credits
        try:
            self._ledger.ended(record)
        finally:
            self._intake.admission.give_back(call_request)
        for posting in record.postings:
            credits[posting.account].post(posting.amount)
        call_line(record)

    def _abort(self, call: Call, now: Instant) -> None:
        """End a call that a mistake of ours has left in an unknown state; it still leaves its record."""
        if call.state is not CallState.OVER:
            self._end(call, EndReason.LOST, now)

    def _end(self, call: Call, reason: EndReason, now: Instant) -> None:
        try:
            call.end(reason, now)
        except Exception:  # noqa: BLE001  nothing is left to try but to let go of the call, with its record
            _log.exception("a call could not even be ended", call_id=call.arrival.call_id)
            if call.state is not CallState.OVER:
                call.drop(now)
