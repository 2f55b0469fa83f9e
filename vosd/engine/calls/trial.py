"""A test call to one routing gateway: an INVITE with a session on hold, without a caller, step by step for an operator.

It is an attempt at the gateway like one of a customer's call (ADR 205), takes its places, and is not part of its
quality. The vendor charges for it like for any call, so an answered one is journaled and booked as a call of no
customer (ADR 63), and so is one that rings where calls are charged from the INVITE (ADR 66).
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from vosd.b2bua import states
from vosd.b2bua.attempt import GatewayAttempt
from vosd.b2bua.attempt_progress import AttemptProgress
from vosd.b2bua.call_port import ConversationPort, SearchPort, SwitchPort
from vosd.b2bua.caller_side import CallerSide
from vosd.b2bua.given_up import GivenUp
from vosd.b2bua.leg import RINGING, Leg
from vosd.b2bua.outgoing.reasons import reason_headers
from vosd.b2bua.outgoing.signatures import CallerAttestation
from vosd.b2bua.settings import CallSettings
from vosd.b2bua.stamps import Arrival, Ending, Journey
from vosd.b2bua.substitute import Substitute
from vosd.base.cause import EndReason, HangupSource, q850_of_status
from vosd.base.clock import Instant
from vosd.base.errors import Refusal, VosError
from vosd.base.ids import uuid7
from vosd.base.money import ZERO, format_amount
from vosd.base.number import for_matching
from vosd.base.wheel import Timer
from vosd.billing.holds import AccountHold
from vosd.callcontrol.bookkeeping import conclude, opened
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.live_state import LiveState
from vosd.callcontrol.open_call import UNDESCRIBED, Description, OpenCall
from vosd.callcontrol.ports import CallSink
from vosd.callcontrol.taken import PlaceTaken
from vosd.callcontrol.vendor_terms import buy_rate
from vosd.cdr.record import FORKED, Attempt, CallRecord
from vosd.control.calls import TrialReport, TrialResult, TrialStep
from vosd.engine.calls.late_answers import Tried, cost_of_late_answer
from vosd.engine.calls.trial_sides import BoardOfTrial, ConversationOfTrial, DialogOfTrial, WithoutCaller
from vosd.routing.failover import AttemptEnd, AttemptOutcome, verdict
from vosd.routing.pipeline import RouteChoice
from vosd.sdp.codec import first_audio_codec
from vosd.sip.dialog.snapshot import DialogSnapshot
from vosd.sip.door.messages import OutgoingCancel, OutgoingInvite, OutgoingSuccess
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import AlarmFired
from vosd.sip.headers.reason import q850_cause, reason_text
from vosd.sip.transaction.store import TimerOwner
from vosd.sip.wire.message import Message, Response
from vosd.trunks.gateways import Address, RoutingGateway

PATIENCE_MS: Final = 60_000
"""Longest time of a test call without answer, whatever the gateway's own limits are."""
_HOPS: Final = 70
_LATE_S: Final = 2
"""Time that an answered call may last longer than wanted, until its BYE is sent."""
_CANCELLED: Final = 487


class TrialOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The call to make."""

    callee: str
    caller: str = ""
    is_ring_only: bool = False
    """Cancel it as soon as it rings."""
    talk_ms: int = 5_000
    """Hang up so long after the answer."""


class TrialLog:
    """The steps of a test call, and the figures of its outcome."""

    def __init__(self, order: TrialOrder, began: Instant) -> None:
        self._order, self._began = order, began
        self._left_ms = began.mono
        self.steps: list[TrialStep] = []
        """Steps of the call so far."""
        self.pdd_ms: int | None = None
        self.code = 0
        """Code of the final response; 0 = there is none."""
        self.reason: str | None = None
        """Reason in the vendor's words when it refused or hung up."""
        self.has_responded = False
        self.is_unreachable = False
        """Whether the INVITE could not be delivered."""

    def note(self, what: str, now: Instant) -> None:
        """Add a step."""
        self.steps.append(TrialStep(self._since_invite(now), what))

    def invited(self, now: Instant) -> None:
        """Begin the delay after dialling: the INVITE leaves."""
        self._left_ms = now.mono

    def responded(self, response: Response, now: Instant) -> None:
        """Add a response of the vendor; the first that rings or answers ends the delay after dialling."""
        self.has_responded = True
        said = words_of(response)
        self.note(f"{response.status} {said}", now)
        if response.status >= 200:
            self.code = response.status
        if response.status >= 300:
            self.reason = said
        elif response.status >= 180 and self.pdd_ms is None:
            self.pdd_ms = max(0, now.came.mono - self._left_ms)

    def result(self, record: CallRecord | None) -> TrialResult:
        """Return what has come of the call; ``record`` is that of a call that the vendor charges for."""
        if record is not None and record.vendor_answered_at is not None:
            return TrialResult.ANSWERED
        if self.code >= 300 and self.code != _CANCELLED:
            return TrialResult.REFUSED
        if self._order.is_ring_only and self.pdd_ms is not None:
            return TrialResult.RANG
        if self.has_responded:
            return TrialResult.NO_ANSWER
        return TrialResult.UNREACHABLE if self.is_unreachable else TrialResult.NO_RESPONSE

    def report(self, choice: RouteChoice, journey: Journey, record: CallRecord | None) -> TrialReport:
        """Return the outcome."""
        answered_at = None if record is None else record.vendor_answered_at
        return TrialReport(
            result=self.result(record),
            routing_gateway=choice.gateway.name,
            address=journey.destination_address,
            caller_out=choice.caller_out,
            callee_out=choice.callee_out,
            code=self.code or None,
            reason=self.reason,
            pdd_ms=self.pdd_ms,
            codec=journey.codec,
            talk_ms=None if record is None or answered_at is None else record.ended_at - answered_at,
            call_id=None if record is None or not record.recorded else record.call_id,
            vendor_account=choice.gateway.account,
            vendor_billed_seconds=0 if record is None else record.vendor_billed_seconds,
            cost=format_amount(ZERO if record is None else record.cost),
            cost_tax=format_amount(ZERO if record is None else record.cost_tax),
            vendor_currency=None if record is None else record.vendor_currency,
            steps=list(self.steps),
        )

    def _since_invite(self, now: Instant) -> int:
        return max(0, now.came.mono - self._began.mono)


def words_of(response: Response) -> str:
    """Return the reason phrase of a response, and the text and cause of its Reason header."""
    text, cause = reason_text(response), q850_cause(response)
    more = [f"Q.850 cause {cause}"] if cause is not None else []
    return ", ".join([response.reason, *([text] if text else []), *more])


class GatewayBusyError(VosError):
    """The gateway takes no test call now: it has one, it is full, or it has no address."""


class TrialCall(WithoutCaller):
    """One test call: the ``CallPort`` and the ``SearchPort`` of its attempt at the gateway."""

    def __init__(
        self,
        endpoint: Endpoint,
        live: LiveState,
        sink: CallSink,
        node: str,
        choice: RouteChoice,
        order: TrialOrder,
        now: Instant,
        attested: CallerAttestation,
        settings: CallSettings,
    ) -> None:
        """``choice`` has the gateway, the numbers as they are sent, and the vendor's terms.

        ``attested`` is for a gateway that is sent signatures.
        """
        self.endpoint, self.settings = endpoint, settings
        self._live, self._sink, self._node = live, sink, node
        self._choice, self._attested = choice, attested
        self._alarm: Timer[TimerOwner] | None = None
        self.journey = Journey()
        self._open: OpenCall | None = None
        self._order, self._began = order, now
        self._log = TrialLog(order, now)
        self.arrival = Arrival(uuid7(now.wall, live.entropy()), order.caller, order.callee, "", "", now)
        self._request = CallRequest(source_host="", source_port=0, hops=_HOPS, at=now)
        self._request.callee_billing = for_matching(order.callee)
        self._called_off: tuple[EndReason, Instant] | None = None
        """Why and when it was cancelled."""
        self._record: CallRecord | None = None
        self._hold: AccountHold | None = None
        self._places: list[PlaceTaken] = []
        """Places of the gateway, and of what it shares with others, that the call occupies."""
        self.state = states.SETUP
        self.callee: GatewayAttempt | None = None
        self.caller: CallerSide = Substitute(self)
        self.conversation: ConversationPort = ConversationOfTrial()
        """The conversation of the gateway with no one."""
        self.refused: tuple[GivenUp, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state is states.OVER

    @property
    def steps(self) -> Sequence[TrialStep]:
        """Steps of the call so far."""
        return self._log.steps

    def report(self) -> TrialReport:
        """Return the outcome."""
        return self._log.report(self._choice, self.journey, self._record)

    # -- as its leg knows it ------------------------------------------------------------------------------------

    @property
    def board(self) -> SwitchPort:
        """The switch, for a call of no customer."""
        return BoardOfTrial(self._attested)

    @property
    def search(self) -> SearchPort | None:
        """The call itself, until the answer."""
        return self if self.state is states.HUNTING else None

    # -- the beginning ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Send the INVITE.

        Raises:
            GatewayBusyError: the gateway has no peer or no address, its limits forbid a call, its vendor cannot be
                paid for it, or it cannot be journaled.
        """
        gateway, now = self._choice.gateway, self._began
        if gateway.sound is not None:
            raise GatewayBusyError(f"{gateway.name} is an announcement: there is no peer to call")
        addresses = self._live.addresses_of(gateway)
        if not addresses:
            raise GatewayBusyError(f"no address of {gateway.name} is known: vosd status --gateways says why")
        self._take_places(gateway, now)
        refusal = self._hold_money(gateway)
        if refusal is not None:
            self._undo()
            raise GatewayBusyError(refusal.detail)
        if not self._charge_ringing(now, has_left=False):
            self._undo()
            raise GatewayBusyError("the journal cannot be written, so no call is made")
        try:
            self._send(addresses[0], gateway, now)
        finally:
            if not self.journey.sip_call_ids_out:  # an error occurred: nothing else gives back what it holds
                self._over(now)

    def _take_places(self, gateway: RoutingGateway, now: Instant) -> None:
        """Take a place at the gateway, and those that it shares with others.

        Raises:
            GatewayBusyError: one of them has no room.
        """
        occupancy = self._live.occupancy
        for limit in gateway.limits:
            full = occupancy.take(*limit, now.mono)
            if full is not None:
                self._undo()
                message = f"{limit.name} has reached its limit ({full.value}): a test call counts like any other"
                raise GatewayBusyError(message)
            self._places.append(PlaceTaken(occupancy, limit.scope, limit.name, now.mono))

    def _undo(self) -> None:
        """Give back places and money as if there had been no call."""
        while self._places:
            self._places.pop().undo()
        self._release()

    def _hold_money(self, gateway: RoutingGateway) -> Refusal | None:
        """Hold what the whole call may cost on the vendor's account, which may be paid in advance."""
        credit, rate = self._live.credits.get(gateway.account or ""), buy_rate(self._choice)
        if credit is None or rate is None or gateway.earns:
            return None
        rings_ms = min(max(gateway.response_timeout_ms, gateway.ring_timeout_ms), PATIENCE_MS)
        seconds = (self._order.talk_ms + (rings_ms if self.settings.charges_ringing else 0)) // 1_000 + _LATE_S
        hold = credit.hold(rate, seconds, seconds)
        if isinstance(hold, Refusal):
            return hold
        self._hold = hold
        return None

    def _charge_ringing(self, now: Instant, *, has_left: bool) -> bool:
        """Journal a call that is charged from its INVITE on, before that is written; False = that fails.

        As long as it has not left, nothing is charged.
        """
        if not self.settings.charges_ringing:
            return True
        self.journey.choice = self._choice
        self.journey.invited_at = self.journey.vendor_invited_at = now
        self._open = self._opened()
        if self._open is not None and not has_left:
            self._open = msgspec.structs.replace(self._open, ended_mono=now.mono)
        return self._open is None or self._sink.answered(self._open, UNDESCRIBED)

    def _send(self, address: Address, gateway: RoutingGateway, now: Instant) -> None:
        """Send the INVITE, as one of a customer's call would be sent."""
        flows, flow = self.endpoint.flows, address.flow
        if flow is None:
            flow = flows.towards(address.host, address.transport, gateway.dialect.interface)
        self.state = states.HUNTING
        attempt = self.callee = GatewayAttempt(self.endpoint, self, self._choice, address, AttemptProgress(now))
        self._wait(now.plus(min(gateway.response_timeout_ms, PATIENCE_MS)))
        sip_call_id = attempt.begin(_on_hold(flows.listeners[flow].host, now), _HOPS, now)
        self.journey.note_attempt(self._choice, sip_call_id, str(attempt.peer))
        if not self.is_over and not attempt.transaction.is_unsent:
            self._left(attempt, now)

    def _left(self, attempt: GatewayAttempt, now: Instant) -> None:
        """Note that the INVITE leaves: the vendor charges from now on."""
        self._log.invited(now)
        self._log.note(f"INVITE to {attempt.peer} for {self._choice.callee_out}", now)
        if not self._charge_ringing(now, has_left=True):
            self.end(EndReason.OVERLOAD, now)

    # -- what the vendor says -----------------------------------------------------------------------------------

    def progressed(self, attempt: GatewayAttempt, status: int, _session: bytes, now: Instant) -> None:
        """Take a provisional response."""
        self._respond_noted(self.conversation.to_forward, now)
        self._watch(attempt)
        if self._called_off is not None:
            if attempt.transaction.cancel_headers is None:  # a 422 has crossed the CANCEL, and another INVITE followed
                self._cancel(attempt, self._called_off[0], now)
        elif status in RINGING and self._order.is_ring_only:
            self._call_back(attempt, EndReason.CANCELLED, now)
        else:
            self._wait(self._began.plus(min(self._choice.gateway.ring_timeout_ms, PATIENCE_MS)))

    def _respond_noted(self, response: Message | None, now: Instant) -> None:
        """Add a response to the steps, and the PRACK that it got."""
        if isinstance(response, Response):
            self._log.responded(response, now)
            if response.status < 200 and response.header("rseq") is not None:
                self._log.note("PRACK", now)

    def attempt_failed(self, attempt: GatewayAttempt, response: Response, now: Instant) -> None:
        """End: the vendor has refused the call."""
        self._log.responded(response, now)
        self._over(now, attempt.refusal(response))

    def attempt_silent(self, _attempt: GatewayAttempt, outcome: AttemptOutcome, now: Instant) -> None:
        """End: no response came in time, or the vendor cannot be reached."""
        silent = "no response" if self._called_off is None else "no final response to the CANCEL"
        self._log.is_unreachable = outcome.end is AttemptEnd.UNREACHABLE
        self._log.note("unreachable" if self._log.is_unreachable else silent, now)
        self._over(now, outcome)

    def not_sent(self, _leg: Leg, message: OutgoingInvite | OutgoingSuccess, now: Instant) -> bool:
        """End: the door has not let the INVITE out, because of its session; that of a 200 to a re-INVITE is refused."""
        if isinstance(message, OutgoingSuccess):
            return False
        self._log.note("INVITE not sent: the gateway takes none of the codecs of a test call", now)
        self._over(now, AttemptOutcome.withheld(EndReason.NO_COMMON_CODEC))
        return True

    def answered(self, attempt: GatewayAttempt, now: Instant) -> None:
        """Acknowledge the answer, and journal it: the vendor charges from now on."""
        if self.state is not states.HUNTING:
            return
        self._respond_noted(self.conversation.to_forward, now)
        self.state = states.TALKING
        self._watch(attempt)
        attempt.acknowledge(b"", now)
        self._log.note("ACK", now)
        codec, dialog = first_audio_codec(attempt.answer), attempt.leg.dialog
        self.journey.answered(attempt.row(200, "Answered", now), codec, codec, now.came)
        self._open = self._opened()
        legs = []
        if dialog is not None:
            name, sequence = self._choice.gateway.name, attempt.invite_sequence
            legs.append(DialogSnapshot.of(dialog, self.endpoint.flows, name, sequence))
        is_kept = self._open is not None and self._sink.answered(self._open, Description(tuple(legs)))
        if self._called_off is not None or self._order.is_ring_only or not is_kept:
            self._hang_up(attempt, now)
        else:
            self._wait(now.plus(self._order.talk_ms))

    def hung_up(self, _leg: Leg | None, _cause: int | None, now: Instant, _at: Instant | None = None) -> None:
        """End: the vendor has sent BYE (RFC 3261 section 15)."""
        if self.state is states.TALKING:
            self._log.reason = self.journey.reason_text
            self._ended(HangupSource.CALLEE, now)

    def lost(self, _leg: Leg, _status: int, now: Instant, _reason: EndReason = EndReason.NO_COMMON_CODEC) -> None:
        """End: the vendor does not know the dialog any more."""
        self.end(EndReason.NORMAL, now)

    def sent(
        self, _leg: Leg, message: OutgoingInvite | OutgoingSuccess, now: Instant, *, has_waited: bool = True
    ) -> None:
        """Count the time of the vendor from now on where the INVITE ``has_waited``; a 200 is that to a refresh."""
        attempt = self.callee
        is_first = has_waited and isinstance(message, OutgoingInvite) and message.parts.sequence == 1
        if attempt is None or self.state is not states.HUNTING or not is_first:
            return
        self._began = attempt.progress.started_at = now
        self._left(attempt, now)
        if not self.is_over:
            self._wait(now.plus(min(self._choice.gateway.response_timeout_ms, PATIENCE_MS)))

    def unwanted_answer(self, row: Attempt, now: Instant, given_up: GivenUp) -> None:
        """Book an answer of another fork, or one that came too late; it is hung up already, and charged for."""
        another = "200 of another fork, which was sent BYE: the vendor may charge for both"
        late = "200 after the end, which was sent BYE: the vendor may charge for it"
        self._log.note(another if row.reason == FORKED else late, now)
        tried = Tried(given_up.choice, given_up.sip_call_id, given_up.address, given_up.started_at)
        call_id, rang, paid_ms = uuid7(now.wall, self._live.entropy()), self._record, None
        if rang is not None and rang.vendor_answered_at is None and rang.sip_call_id_out == given_up.sip_call_id:
            paid_ms = rang.vendor_billing_base_ms
        record = cost_of_late_answer(
            self._node, call_id, self.arrival, self._request, tried, row, now,
            charged_from_invite=self.settings.charges_ringing, paid_ms=paid_ms,
        )  # fmt: skip
        if record is not None:
            self._book(record)

    def request_answered(self, method: str, status: int, now: Instant) -> None:
        """Add a request of the vendor within a dialog to the steps."""
        self._log.note(f"{method} of the vendor, answered {status}", now)

    def _watch(self, attempt: GatewayAttempt) -> None:
        """Have requests of the vendor pass here on their way to the leg."""
        if attempt.tag in self.endpoint.dialogs.owners:
            self.endpoint.dialogs.adopt(attempt.tag, DialogOfTrial(attempt, self.request_answered))

    # -- what a caller would do ---------------------------------------------------------------------------------

    def alarm_fired(self, event: AlarmFired) -> None:
        """Hang up, or give up an INVITE that was not answered in time."""
        self._alarm = None
        self._stop(EndReason.NO_ANSWER, event.at)

    def stop(self, now: Instant) -> None:
        """End the call: the operator has interrupted it."""
        self._stop(EndReason.CANCELLED, now)

    def abandon(self, now: Instant) -> None:
        """End the call with the process: it receives nothing any more, and what it has sent is repeated without it."""
        if self.state is states.HUNTING:
            self._log.note("given up: the switch stops", now)
        self.end(EndReason.SHUTDOWN, now)

    def end(self, reason: EndReason, now: Instant) -> None:
        """End the call at once, answered or not."""
        if self.callee is not None and self.state is states.TALKING:
            self._hang_up(self.callee, now)
        elif self.callee is not None:
            self._called_off = self._called_off or (reason, now)
            self.callee.give_up(reason, now)
            self._over(now)

    def drop(self, now: Instant) -> None:
        """End the call after an error in its end."""
        self._over(now)

    # -- endings ------------------------------------------------------------------------------------------------

    def _stop(self, unanswered: EndReason, now: Instant) -> None:
        attempt = self.callee
        if attempt is None:
            return
        if self.state is states.TALKING:
            self._hang_up(attempt, now)
        elif self._called_off is not None:
            return
        elif self._log.has_responded:
            self._call_back(attempt, unanswered, now)
        else:
            self._log.note("given up: no response", now)
            self.end(unanswered, now)  # a late answer is sent BYE

    def _call_back(self, attempt: GatewayAttempt, reason: EndReason, now: Instant) -> None:
        """Send CANCEL, and wait for the final response: a 200 may cross it, and is charged for."""
        self._call_off()
        self._called_off = reason, now
        self._cancel(attempt, reason, now)

    def _cancel(self, attempt: GatewayAttempt, reason: EndReason, now: Instant) -> None:
        lines = reason_headers(attempt.reasons, reason, reason.q850_cause, reason.sip_status)
        attempt.leg.send(OutgoingCancel(lines, b"", attempt.transaction, False, None), now)
        self._log.note("CANCEL", now)

    def _hang_up(self, attempt: GatewayAttempt, now: Instant) -> None:
        attempt.hang_up("", now)
        self._log.note("BYE", now)
        self._ended(HangupSource.SWITCH, now)

    def _ended(self, source: HangupSource, now: Instant) -> None:
        """Book an answered call: the vendor charges for it."""
        if self._open is not None:
            at = now.came if now.came.mono > self._open.answered_mono else Instant(self._open.answered_mono, now.wall)
            ending = Ending(EndReason.NORMAL, source, at, None, EndReason.NORMAL.q850_cause, text=self._log.reason)
            self._record = conclude(self._open, ending, self.journey.codec, self.journey.vendor_codec, recorded=True)
            self._book(self._record)
        self._over(now)

    def _unanswered(self, call: OpenCall, outcome: AttemptOutcome, now: Instant) -> None:
        """Book a call without answer that is charged from its INVITE on: the ringing, until it was called off."""
        reason, code, cause, text = verdict([outcome])
        source, at = HangupSource.CALLEE if outcome.code else HangupSource.SWITCH, now
        if self._called_off is not None:
            reason, at = self._called_off
            source, text = HangupSource.SWITCH, None
            code, cause = reason.sip_status or _CANCELLED, reason.q850_cause
        if call.ended_mono is not None:  # its INVITE has not left
            at = Instant(call.ended_mono, at.wall)
        name, log = self._choice.gateway.name, self._log
        row = Attempt(name, log.code, max(0, at.came.mono - self._began.mono), log.pdd_ms, reason.text)
        ending = Ending(reason, source, at, code, q850_of_status(code) if cause is None else cause, text=text)
        self._record = conclude(call, ending, None, None, recorded=True, zero_too=False, late_answers=[row])
        self._book(self._record)

    def _book(self, record: CallRecord) -> None:
        self._sink.ended(record)
        self._release()
        for posting in record.postings:  # owed until it is booked, as in ``CallServices.close``
            self._live.credits[posting.account].post(posting.amount)

    def _over(self, now: Instant, outcome: AttemptOutcome | None = None) -> None:
        if self.state is states.OVER:
            return
        self.state = states.OVER
        if self._open is not None and self._record is None:
            self._unanswered(self._open, outcome or AttemptOutcome.silent(), now)
        self._call_off()
        self._release()
        while self._places:
            self._places.pop().give_back()
        attempt, self.callee, self.refused = self.callee, None, ()
        if attempt is not None:
            attempt.close(now)
            self.endpoint.dialogs.refused.pop(attempt.tag, None)

    def _release(self) -> None:
        hold, self._hold = self._hold, None
        if hold is not None:
            hold.credit.release(hold)

    def _opened(self) -> OpenCall | None:
        """Return the call as the journal keeps it: a record with a vendor, and without a customer."""
        return opened(self._node, self.arrival, self._request, self.journey, recorded=True)

    def _wait(self, until: Instant) -> None:
        self._call_off()
        self._alarm = self.endpoint.set_alarm(self, until)

    def _call_off(self) -> None:
        if self._alarm is not None:
            self.endpoint.call_off(self._alarm)
            self._alarm = None


def _on_hold(host: str, now: Instant) -> bytes:
    """Return an offer of the usual codecs without media in either direction (RFC 3264 section 5.1)."""
    version = "IP6" if ":" in host else "IP4"
    lines = (
        "v=0",
        f"o=- {now.wall} {now.wall} IN {version} {host}",
        "s=-",
        f"c=IN {version} {host}",
        "t=0 0",
        "m=audio 9 RTP/AVP 8 0 18 101",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:18 G729/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=inactive",
        "",
    )
    return "\r\n".join(lines).encode()
