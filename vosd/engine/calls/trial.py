"""A test call to one routing gateway: an INVITE with a session on hold, without a caller, step by step for an operator.

It is sent as a call of a customer would be, takes a place on the gateway, and is not part of the gateway's quality. The
vendor charges for it like for any call, so an answered one is journaled and booked as a call of no customer (ADR 63),
and so is one that rings where calls are charged from the INVITE (ADR 66).
"""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Final

import msgspec

from vosd.b2bua.early_dialogs import EARLY_MAX
from vosd.b2bua.given_up import released
from vosd.b2bua.identity import PLAIN
from vosd.b2bua.outgoing.invitation import written
from vosd.b2bua.outgoing.signatures import CallerAttestation, signature_lines
from vosd.b2bua.stamps import Arrival, Ending, Journey
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
from vosd.callcontrol.vendor_terms import buy_rate
from vosd.cdr.record import FORKED, LATE_ANSWER, Attempt, CallRecord
from vosd.control.calls import TrialReport, TrialResult, TrialStep
from vosd.engine.calls.late_answers import Tried, cost_of_late_answer
from vosd.routing.failover import AttemptOutcome, verdict
from vosd.routing.pipeline import RouteChoice
from vosd.sdp.codec import first_audio_codec
from vosd.sip.dialog.acceptance import Acceptance
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.dialog.snapshot import DialogSnapshot
from vosd.sip.digest.answer import Answers
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import AckArrived, AlarmFired, NoResponse, RequestArrived, ResponseArrived, UnwantedAnswer
from vosd.sip.flows import peer_of
from vosd.sip.headers.reason import q850_cause, reason_text
from vosd.sip.screening import ALLOW, CAPABILITIES
from vosd.sip.transaction.invite_client import InviteClient
from vosd.sip.transaction.store import TimerOwner
from vosd.sip.wire.body import session_of
from vosd.sip.wire.message import Response
from vosd.trunks.gateways import Address, RoutingGateway

PATIENCE_MS: Final = 60_000
"""Longest time of a test call without answer, whatever the gateway's own limits are."""
_HOPS: Final = 70
_LATE_S: Final = 2
"""Time that an answered call may last longer than wanted, until its BYE is sent."""
_RINGING: Final = range(180, 200)
_REFUSED: Final = {"INVITE": 488, "PRACK": 481, "REFER": 403}
"""Requests of a vendor that a test call refuses; so is an UPDATE with an offer."""
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
        self.steps: list[TrialStep] = []
        """Steps of the call so far."""
        self.pdd_ms: int | None = None
        self.code = 0
        """Code of the final response; 0 = there is none."""
        self.reason: str | None = None
        """Reason in the vendor's words when it refused or hung up."""
        self.has_responded = False

    def note(self, what: str, now: Instant) -> None:
        """Add a step."""
        self.steps.append(TrialStep(self._since_invite(now), what))

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
            self.pdd_ms = self._since_invite(now)

    def result(self, record: CallRecord | None) -> TrialResult:
        """Return what has come of the call; ``record`` is that of a call that the vendor charges for."""
        if record is not None and record.vendor_answered_at is not None:
            return TrialResult.ANSWERED
        if self.code >= 300 and self.code != _CANCELLED:
            return TrialResult.REFUSED
        if self._order.is_ring_only and self.pdd_ms is not None:
            return TrialResult.RANG
        return TrialResult.NO_ANSWER if self.has_responded else TrialResult.NO_RESPONSE

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


class _Phase(Enum):
    CALLING = "calling"
    CANCELLING = "cancelling"
    TALKING = "talking"
    OVER = "over"


class TrialCall:
    """One test call."""

    def __init__(
        self,
        endpoint: Endpoint,
        live: LiveState,
        sink: CallSink,
        node: str,
        entropy: Callable[[], bytes],
        choice: RouteChoice,
        order: TrialOrder,
        now: Instant,
        attested: CallerAttestation | None = None,
        *,
        charges_ringing: bool = False,
    ) -> None:
        """``choice`` has the gateway, the numbers as they are sent, and the vendor's terms.

        ``attested`` is for a gateway that is sent signatures. ``charges_ringing``: the vendor charges from the INVITE.
        """
        self._attested = attested
        self._charges_ringing = charges_ringing
        self._endpoint, self._live, self._sink, self._node, self._entropy = endpoint, live, sink, node, entropy
        self._choice = choice
        self._phase = _Phase.CALLING
        self._tag = endpoint.token()
        self._alarm: Timer[TimerOwner] | None = None
        self._transaction: InviteClient | None = None
        self._journey = Journey()
        self._open: OpenCall | None = None
        self._order, self._began = order, now
        self._log = TrialLog(order, now)
        self._arrival = Arrival(uuid7(now.wall, entropy()), order.caller, order.callee, "", "", now)
        self._request = CallRequest(source_host="", source_port=0, hops=_HOPS, looped=False, at=now)
        self._request.callee_billing = for_matching(order.callee)
        self._called_off: tuple[EndReason, Instant] | None = None
        """Why and when it was cancelled."""
        self._record: CallRecord | None = None
        self._hold: AccountHold | None = None
        self.dialog: Dialog | None = None
        self._early: dict[str, Dialog] = {}

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self._phase is _Phase.OVER

    @property
    def forks(self) -> Mapping[str, Dialog]:
        """Early dialogs by their remote tags: a vendor may ask something within them."""
        return self._early

    @property
    def steps(self) -> Sequence[TrialStep]:
        """Steps of the call so far."""
        return self._log.steps

    def report(self) -> TrialReport:
        """Return the outcome."""
        return self._log.report(self._choice, self._journey, self._record)

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
            message = f"no address of {gateway.name} is known: vosd status --gateways says why"
            raise GatewayBusyError(message)
        full = self._live.occupancy.take(gateway.scope, gateway.name, gateway.max_concurrent, gateway.max_cps, now.mono)
        if full is not None:
            message = f"{gateway.name} has reached its limit ({full.value}): a test call counts like any other"
            raise GatewayBusyError(message)
        refusal = self._hold_money(gateway)
        if refusal is not None:
            self._live.occupancy.undo(gateway.scope, gateway.name, now.mono)
            raise GatewayBusyError(refusal.detail)
        if not self._send(addresses[0], gateway, now):
            self._live.occupancy.undo(gateway.scope, gateway.name, now.mono)
            self._release()
            raise GatewayBusyError("the journal cannot be written, so no call is made")

    def _hold_money(self, gateway: RoutingGateway) -> Refusal | None:
        """Hold what the whole call may cost on the vendor's account, which may be paid in advance."""
        credit, rate = self._live.credits.get(gateway.account or ""), buy_rate(self._choice)
        if credit is None or rate is None or gateway.earns:
            return None
        rings_ms = min(max(gateway.response_timeout_ms, gateway.ring_timeout_ms), PATIENCE_MS)
        seconds = (self._order.talk_ms + (rings_ms if self._charges_ringing else 0)) // 1_000 + _LATE_S
        hold = credit.hold(rate, seconds, seconds)
        if isinstance(hold, Refusal):
            return hold
        self._hold = hold
        return None

    def _send(self, address: Address, gateway: RoutingGateway, now: Instant) -> bool:
        """Send the INVITE; False = the vendor charges from it on, and that cannot be journaled."""
        endpoint, dialect, login = self._endpoint, gateway.dialect, gateway.login
        flow = address.flow
        if flow is None:
            flow = endpoint.flows.towards(address.host, address.transport, dialect.interface)
        peer = peer_of(flow, address.host, address.port or 5060)
        invitation = written(
            endpoint,
            self._choice,
            address,
            peer,
            _HOPS,
            caller_identity=PLAIN,
            tag=self._tag,
            offer=_on_hold(endpoint.flows.listeners[flow].host, now),
            may_be_reliable=False,
            answers=None if login is None else Answers(login, 1, gateway.name),
            signed=None
            if self._attested is None
            else signature_lines(PLAIN, self._choice, self._attested, shows_number=True, now=now),
        )
        self._log.note(f"INVITE to {peer.host}:{peer.port} for {self._choice.callee_out}", now)
        self._journey.note_attempt(self._choice, invitation.parts.call_id, f"{peer.host}:{peer.port}")
        if self._charges_ringing:
            self._journey.charged_from(now)
            self._open = self._opened()
            if self._open is not None and not self._sink.answered(self._open, UNDESCRIBED):
                return False
        self._wait(now.plus(min(gateway.response_timeout_ms, PATIENCE_MS)))
        headers = invitation.headers if dialect.sent_as is None else dialect.sent_as.named(invitation.headers)
        self._transaction = endpoint.client.send_invite(
            invitation.parts, _HOPS, headers + invitation.content, invitation.body, self, now,
            is_fixed=invitation.is_fixed,
        )  # fmt: skip
        return True

    # -- what the vendor says -----------------------------------------------------------------------------------

    def response_came(self, event: ResponseArrived) -> None:
        """Take a response to the INVITE."""
        response, now = event.response, event.at
        self._log.responded(response, now)
        if response.status >= 300:
            self._over(now, AttemptOutcome.final(response.status, q850=q850_cause(response), text=self._log.reason))
        elif response.status >= 200:
            self._answered(response, now)
        elif self._phase is _Phase.CALLING:
            self._progressed(response, now)

    def _progressed(self, response: Response, now: Instant) -> None:
        tag, transaction = response.to_tag, self._transaction
        if tag and tag not in self._early and len(self._early) < EARLY_MAX and transaction is not None:
            if not self._early:
                self._endpoint.dialogs.adopt(self._tag, self)
            next_hop = self._endpoint.flows.next_hop
            self._early[tag] = Dialog.of_callee(transaction.parts, self._tag, response, next_hop)
        if response.status in _RINGING and self._order.is_ring_only:
            self._cancel(EndReason.CANCELLED, now)
            return
        gateway = self._choice.gateway
        self._wait(self._began.plus(min(gateway.ring_timeout_ms, PATIENCE_MS)))

    def _answered(self, response: Response, now: Instant) -> None:
        transaction = self._transaction
        if transaction is None:
            return
        endpoint, gateway = self._endpoint, self._choice.gateway
        early = self._early.get(response.to_tag)
        if early is not None:
            early.confirm(response)
        dialog = early or Dialog.of_callee(transaction.parts, self._tag, response, endpoint.flows.next_hop)
        self.dialog = dialog
        self._early = {}
        endpoint.dialogs.adopt(self._tag, self)
        endpoint.client.send_ack(transaction, dialog, "", b"")
        self._log.note("ACK", now)
        attempt = Attempt(gateway.name, response.status, now.mono - self._began.mono, self._log.pdd_ms, "Answered")
        codec = first_audio_codec(response.body)
        self._journey.answered(attempt, codec, codec, now.came)
        self._open = self._opened()
        legs = (DialogSnapshot.of(dialog, endpoint.flows, gateway.name, transaction.parts.sequence),)
        is_kept = self._open is not None and self._sink.answered(self._open, Description(legs))
        if self._phase is _Phase.CANCELLING or self._order.is_ring_only or not is_kept:
            self._hang_up(now)
            return
        self._phase = _Phase.TALKING
        self._wait(now.plus(self._order.talk_ms))

    def no_response(self, event: NoResponse) -> None:
        """End: no response came in time, or the vendor cannot be reached."""
        said = "no response" if self._phase is _Phase.CALLING else "no final response to the CANCEL"
        self._log.note("unreachable" if event.is_unreachable else said, event.at)
        self._over(event.at, AttemptOutcome.unreachable() if event.is_unreachable else AttemptOutcome.silent())

    def request_came(self, event: RequestArrived) -> None:
        """Answer a request of the vendor within a dialog; its BYE ends an answered call (RFC 3261 section 15)."""
        request, transaction, now = event.request, event.transaction, event.at
        method, is_early = request.method, self.dialog is None
        status = 481 if is_early and method == "BYE" else _REFUSED.get(method, 200)
        headers = CAPABILITIES if method == "OPTIONS" else ""
        if method == "UPDATE":
            if session_of(request):
                status = 488
            elif event.dialog.refresh(request):
                self.moved()
            headers = self._endpoint.flows.contacts[event.dialog.peer.flow] + ALLOW
        transaction.respond(status, self._tag, self._endpoint.server_header + headers, now)
        self._log.note(f"{method} of the vendor, answered {status}", now)
        if method == "BYE" and not is_early:
            self._log.reason = reason_text(request)
            self._ended(HangupSource.CALLEE, now)

    def ack_came(self, event: AckArrived) -> None:
        """Do nothing: a re-INVITE is refused, and the ACK of that is absorbed before."""

    def unwanted_answer(self, event: UnwantedAnswer) -> None:
        """Book an answer of another fork, or one that came too late; it is hung up already, and charged for."""
        now, is_fork = event.at, self._journey.vendor_answered_at is not None
        another = "200 of another fork, which was sent BYE: the vendor may charge for both"
        late = "200 after the end, which was sent BYE: the vendor may charge for it"
        self._log.note(another if is_fork else late, now)
        journey = self._journey
        tried = Tried(self._choice, journey.sip_call_ids_out[-1], journey.destination_address or "", self._began)
        reason = FORKED if is_fork else LATE_ANSWER
        row = released(self._choice.gateway.name, self._began, self._log.pdd_ms, reason, now)
        call_id = uuid7(now.wall, self._entropy())
        record = cost_of_late_answer(
            self._node, call_id, self._arrival, self._request, tried, row, now,
            charged_from_invite=self._charges_ringing,
        )  # fmt: skip
        if record is not None:
            self._book(record)

    @property
    def acceptance(self) -> Acceptance | None:
        """Nothing: a test call has no caller."""
        return None

    def moved(self) -> None:
        """Do nothing: a test call does not outlive a change of address."""

    def alarm_fired(self, event: AlarmFired) -> None:
        """Hang up, or give up an INVITE that was not answered in time."""
        self._alarm = None
        self._stop(EndReason.NO_ANSWER, event.at)

    def stop(self, now: Instant) -> None:
        """End the call: the operator has interrupted it."""
        self._stop(EndReason.CANCELLED, now)

    def abandon(self, now: Instant) -> None:
        """End the call with the process: it receives nothing any more, and what it has sent is repeated without it."""
        if self._phase is _Phase.TALKING:
            self._hang_up(now)
        elif self._phase is not _Phase.OVER and self._transaction is not None:
            self._log.note("given up: the switch stops", now)
            self._called_off = self._called_off or (EndReason.SHUTDOWN, now)
            self._transaction.abandon("", now, self)
            self._over(now)

    # -- endings ------------------------------------------------------------------------------------------------

    def _stop(self, unanswered: EndReason, now: Instant) -> None:
        if self._phase is _Phase.TALKING:
            self._hang_up(now)
        elif self._phase is _Phase.CALLING:
            self._cancel(unanswered, now)

    def _cancel(self, reason: EndReason, now: Instant) -> None:
        self._call_off()
        self._called_off = reason, now
        self._phase = _Phase.CANCELLING
        transaction = self._transaction
        if transaction is None:
            return
        if self._log.has_responded:
            self._log.note("CANCEL", now)
            transaction.cancel("", now)
        else:
            self._log.note("given up: no response", now)
            transaction.abandon("", now, self)  # a late answer is sent BYE
            self._over(now)

    def _hang_up(self, now: Instant) -> None:
        if self.dialog is not None:
            self._endpoint.client.send_bye(self.dialog, "", now)
            self._log.note("BYE", now)
        self._ended(HangupSource.SWITCH, now)

    def _ended(self, source: HangupSource, now: Instant) -> None:
        """Book an answered call: the vendor charges for it."""
        if self._open is not None:
            at = now.came if now.came.mono > self._open.answered_mono else Instant(self._open.answered_mono, now.wall)
            ending = Ending(EndReason.NORMAL, source, at, None, EndReason.NORMAL.q850_cause, text=self._log.reason)
            self._record = conclude(self._open, ending, self._journey.codec, self._journey.vendor_codec, recorded=True)
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
        if self._phase is _Phase.OVER:
            return
        self._phase = _Phase.OVER
        if self._open is not None and self._record is None:
            self._unanswered(self._open, outcome or AttemptOutcome.silent(), now)
        self._call_off()
        self._endpoint.dialogs.forget(self._tag, now)
        self._release()
        gateway = self._choice.gateway
        self._live.occupancy.release(gateway.scope, gateway.name)

    def _release(self) -> None:
        hold, self._hold = self._hold, None
        if hold is not None:
            hold.credit.release(hold)

    def _opened(self) -> OpenCall | None:
        """Return the call as the journal keeps it: a record with a vendor, and without a customer."""
        return opened(self._node, self._arrival, self._request, self._journey, recorded=True)

    def _wait(self, until: Instant) -> None:
        self._call_off()
        self._alarm = self._endpoint.set_alarm(self, until)

    def _call_off(self) -> None:
        if self._alarm is not None:
            self._endpoint.call_off(self._alarm)
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
