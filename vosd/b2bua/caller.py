"""The caller: its INVITE, from the 100 to the final response, of which the switch is the server, and its leg."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from vosd.b2bua.extensions import reliability_of
from vosd.b2bua.identity import CallerIdentity
from vosd.b2bua.invite_progress import InviteProgress, ShownFork
from vosd.b2bua.leg import Leg
from vosd.b2bua.leg_facts import LegSessions
from vosd.b2bua.outgoing.headers import of_answer, of_rejection, of_reliable_ringing, of_ringing
from vosd.b2bua.outgoing.reasons import NO_CAUSES, of_signature
from vosd.b2bua.prack_queue import PrackQueue
from vosd.b2bua.states import CallState
from vosd.b2bua.supervision import Supervision, SupervisionFacts
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.nat import Nat
from vosd.base.wheel import Timer
from vosd.sdp.anonymous import anonymous
from vosd.sdp.origin import alike
from vosd.sip.dialog.acceptance import Acceptance
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.dialog.prack import ReliableProvisional
from vosd.sip.dialog.session_wish import Wish
from vosd.sip.door.door import Door
from vosd.sip.door.messages import OutgoingReliable, OutgoingResponse, OutgoingSuccess
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import AlarmFired, CancelArrived, ProvisionalUnacknowledged, RequestArrived
from vosd.sip.headers.rack import Rack
from vosd.sip.headers.reason import Q850, causes, reason_text
from vosd.sip.nat import is_answered_where_seen
from vosd.sip.transaction.server import InviteServer, Server
from vosd.sip.transaction.states import TransactionState
from vosd.sip.transaction.store import TimerOwner
from vosd.sip.wire.message import Request
from vosd.sip.wire.outgoing import Peer
from vosd.trunks.dialect import CallerDialect, Reliability

if TYPE_CHECKING:
    from vosd.b2bua.call_port import CallPort

_OFF: Final = Reliability.OFF  # access to enum members is slow
_REQUIRED: Final = Reliability.REQUIRED
_AUTO: Final = Nat.AUTO
VALID_MAX_S: Final = 1_800
"""An INVITE has its final response sooner: the last attempt begins within three minutes, and rings for ten at most."""
_RSEQ_CHOICES = 1 << 20
"""First RSeq numbers are drawn below this; any below 2^31 is allowed (RFC 3262 section 3)."""


class Caller:
    """The calling side of a call, as long as the customer is in it (``CallerSide``)."""

    __slots__ = (
        "_endpoint", "call", "caller_identity", "dialect", "dialog", "expiry", "invite", "invite_message",
        "leg", "offer", "pracks", "progress", "reasons", "shown", "takes_100rel",
    )  # fmt: skip

    left_media = None
    """The customer has not left the call."""

    def __init__(
        self,
        endpoint: Endpoint,
        invite: InviteServer,
        dialog: Dialog,
        dialect: CallerDialect,
        progress: InviteProgress,
        caller_identity: CallerIdentity,
    ) -> None:
        """``invite`` is the transaction of its INVITE."""
        self._endpoint = endpoint
        self.call: CallPort
        """Set before anything happens."""
        self.invite = invite
        self.dialog = dialog
        """That of the leg, too, whose dialog may be None if it is not a caller's."""
        self.leg = Leg(endpoint, dialect.session_timer, dialect.sent_as)
        self.leg.dialog = dialog
        self.dialect = dialect
        self.reasons = dialect.reasons
        self.progress = progress
        self.caller_identity = caller_identity
        self.invite_message: Request | None = None
        """The INVITE until its final response: rules of vendors' trunks pass headers of it."""
        self.takes_100rel = progress.reliability is not _OFF
        """Whether the caller supports reliable provisional responses, and its trunk allows them."""
        self.offer = b""
        self.pracks: PrackQueue | None = None
        """Responses that wait for PRACKs; None = none does."""
        self.shown: dict[str, ShownFork] | None = None
        """The forks that the caller was shown, by ``GatewayAttempt.fork_key``, but for the current one."""
        self.expiry: Timer[TimerOwner] | None = None

    @classmethod
    def of_invite(
        cls,
        endpoint: Endpoint,
        transaction: InviteServer,
        request: Request,
        source: Peer,
        dialect: CallerDialect,
        wish: Wish,
        user: str,
        identity: CallerIdentity,
        server_name: str,
    ) -> "Caller":
        """Make the caller of an INVITE; ``user`` has proven to be the caller. Nothing is sent before ``begin``.

        ``server_name`` is what the certificate of its connection has proven.

        Raises:
            ParseError: the INVITE has no Contact to call back.
        """
        is_detected = user != "" and dialect.nat is _AUTO
        is_elsewhere = is_detected and endpoint.dialogs.has_called_from_elsewhere(user, request, source)
        dialog = Dialog.of_caller(
            request,
            endpoint.token(),
            source,
            endpoint.flows.next_hop,
            dialect.nat,
            user,
            is_elsewhere=is_elsewhere,
            server_name=server_name,
        )
        if dialog.is_behind_nat and is_answered_where_seen(dialect.nat, request, source):
            transaction.answer_at(source)
        progress = InviteProgress(request.sequence, wish, reliability_of(request, dialect))
        caller = cls(endpoint, transaction, dialog, dialect, progress, identity)
        caller.invite_message = request
        caller.leg.facts.is_anonymous = not identity.is_simple and identity.withholds_session
        caller.offer = caller.leg.take_session(request)
        progress.valid_s = None if request.header("expires") is None else _valid_s(request)
        transaction.owner = caller
        return caller

    def begin(self, now: Instant) -> None:
        """Send 100, accept requests within the dialog from now on, and set the timer of the Expires header."""
        endpoint = self._endpoint
        self.leg.send(OutgoingResponse(endpoint.server_header, b"", self.invite, 100, ""), now)
        endpoint.dialogs.adopt(self.dialog.local_tag, self.leg)
        if self.progress.valid_s is not None:
            self.expiry = endpoint.set_alarm(self, now.plus(1_000 * self.progress.valid_s))

    @property
    def inviter(self) -> "Caller":
        """The caller itself: the customer is in the call."""
        return self

    @property
    def trunk(self) -> str | None:
        """Name of its mapping gateway, or its number as a phone: one that has taken the call over has its own."""
        newcomer, customer = self.progress.newcomer, self.call.board.customer
        if newcomer is not None:
            return newcomer.trunk
        return None if customer is None else customer.name

    @property
    def named(self) -> str:
        """Name of the caller in the From of the dialog."""
        return self.dialog.remote

    @property
    def awaits_prack(self) -> bool:
        """Whether the 200 has to wait for the PRACK of a response with media."""
        return self.pracks is not None and self.pracks.holds_answer

    # -- before the answer --------------------------------------------------------------------------------------

    def ring(self, status: int, session: bytes, now: Instant) -> None:
        """Forward a provisional response, with its early media if there is any.

        It is sent reliably if the caller requires that, or if it carries SDP that must not get lost. One is
        repeated at a time: later ones wait for its PRACK, in order.
        """
        if self.dialect.changes_ringing and self.offer:
            status, session = self.dialect.rung(status, session)
        pracks = self.pracks
        if pracks is not None and pracks.unacknowledged is not None:
            pracks.add(status, session, self.call.conversation.to_forward)
            return
        left_out = None
        if session:
            if self.progress.has_ring_back:
                self.leave_ring_back(now)
            self.progress.sent_early_media = True
            if self.leg.door is not None and self.leg.door.queue:
                self._pass_over(self.leg.door)
            sessions, agreed = self.leg.sessions, self.leg.sessions.said
            given_up = sessions.given_up
            session = self.leg.as_sent(session)
            if self.progress.is_settled and self.offer and not alike(session, agreed):
                sessions.said, sessions.given_up = agreed, session  # callers may ignore it (RFC 3261 section 13.2.1)
            left_out = sessions.undoing(agreed, given_up) if self.offer else None
        message: OutgoingResponse | OutgoingReliable
        if self.progress.reliability is _REQUIRED or (session and self.takes_100rel):
            message = self._reliable(status, session)
        else:
            headers = of_ringing(self._endpoint, self.dialog, session)
            if self.progress.identity_status:
                headers += self._of_signature()
            message = OutgoingResponse(headers, session, self.invite, status, self.dialog.local_tag)
        message.left_out = left_out
        self.leg.send(message, now)

    def _reliable(self, status: int, session: bytes) -> OutgoingReliable:
        """Return a provisional response that is repeated until its PRACK."""
        draw = 0 if self.progress.rseq else int(self._endpoint.token()[-6:], 36) % _RSEQ_CHOICES
        self.progress.rseq += 1 + draw
        tag, number = self.dialog.local_tag, self.progress.rseq
        headers = of_reliable_ringing(self._endpoint, self.dialog, session, number)
        if self.progress.identity_status:
            headers += self._of_signature()
        if self.pracks is None:
            self.pracks = PrackQueue()
        self.pracks.unacknowledged = reliable = ReliableProvisional(number, bool(session), owner=self)
        return OutgoingReliable(headers, session, self.invite, status, tag, reliable)

    def begin_attempt(self, now: Instant) -> None:
        """Prepare for another gateway: after early media of the last one the caller needs another To tag.

        After ring-back of the switch, too: its description has answered the caller's offer.
        """
        self.shown = None
        self.progress.sent_early_media = self.progress.sent_early_media or self.progress.has_ring_back
        self._begin_dialog(None, now)

    def leave_ring_back(self, now: Instant) -> None:
        """Begin another early dialog, for a description of the callee.

        That of the ring-back has answered the offer in the one before: the caller ignores a second one there (RFC 3261
        section 13.2.1).
        """
        self._change_tag(None, now)

    def withhold_names(self) -> None:
        """Leave out of what is kept for other gateways and forks what the caller has written about itself."""
        self.offer = anonymous(self.offer)
        for fork in (self.shown or {}).values():
            fork.sessions.withhold_names()

    def switch_fork(self, before: str, after: str, now: Instant, *, answers: bool) -> None:
        """Prepare for another fork of the attempt, by the keys of the forks; one that ``answers`` keeps its To tag.

        More early media of a fork begin a new dialog again: some callers count RSeq for each dialog by itself, others
        over all of them, and only the number of a new dialog suits both.
        """
        shown = self.shown or {}
        if self.progress.sent_early_media:
            dialog = self.dialog
            number = dialog.remote_sequence if self.progress.last_tag is None else self._resumed
            shown = {**shown, before: ShownFork(dialog.local_tag, number, self.leg.sessions, self.progress.is_settled)}
            self.shown = shown
        self._begin_dialog(shown.get(after) if answers else None, now)

    def answer(self, session: bytes, now: Instant) -> None:
        """Answer the call with 200, but not before the PRACK of a response with SDP (RFC 3262 section 3)."""
        if self.pracks is not None and self.pracks.holds_answer:
            self.pracks.answer = session
            return
        self._decided(200, now)
        if self.progress.is_settled:
            session = b""  # offer and answer were exchanged before: a 2xx with SDP would be read as an offer
        if self.leg.door is not None and self.leg.door.queue:
            self._pass_over(self.leg.door)
        session = self.leg.as_sent(session, b"" if self.progress.newcomer is None else self.offer)
        agreed = self.leg.timer.accept(self.progress.wish, now)
        headers = of_answer(self._endpoint, self.dialog, session, self.leg.timer, agreed)
        if self.progress.identity_status:
            headers += self._of_signature()
        sequence = self.progress.invite_sequence
        self.leg.acceptance = Acceptance(self.dialog, sequence, store=self._endpoint.store, owner=self.leg)
        self.leg.send(OutgoingSuccess(headers, session, self.invite, self.leg.acceptance), now)
        self.call.conversation.to_forward = None
        self.invite = self._endpoint.answered_invite
        self.leg.facts.last_seen_at = now
        self.leg.supervision = Supervision(self._endpoint, self.leg, SupervisionFacts(now))
        self.leg.supervision.begin(now)

    def was_answered(self, session: bytes, now: Instant) -> None:
        """Take the call as answered by an earlier process, and its 200 as acknowledged."""
        self._decided(200, now)
        if not self.progress.is_settled:
            self.leg.as_sent(session)
        self.leg.timer.accept(self.progress.wish, now)
        self.invite = self._endpoint.answered_invite
        self.leg.supervision = Supervision(self._endpoint, self.leg, SupervisionFacts(now))
        self.leg.supervision.begin(now)

    def answer_again(self, transaction: InviteServer, session: bytes, at: Instant, now: Instant) -> None:
        """Send the 200 that may not have been sent ``at`` the answer: an earlier process was killed."""
        self.leg.facts.is_confirmed = False
        self.invite = transaction
        self.answer(session, now)
        self.leg.supervision = Supervision(self._endpoint, self.leg, SupervisionFacts(at))
        self.leg.supervision.begin(at)

    def go_on(self, now: Instant, *, is_awaited: bool) -> bool:
        """Send the 200 of an earlier process again if its ACK ``is_awaited``; return whether that was done.

        Otherwise it counts as acknowledged.
        """
        acceptance = self.leg.acceptance
        if is_awaited and acceptance is not None:
            acceptance.go_on(now)
            return True
        if acceptance is not None:
            acceptance.acknowledged()
        self.leg.acceptance, self.leg.facts.is_confirmed = None, True
        return False

    def undo_answer(self, answer: OutgoingSuccess, now: Instant) -> None:
        """Be as before the answer: the 200 was not sent."""
        leg = self.leg
        self.invite, leg.acceptance = answer.transaction, None
        self.progress.is_answered, self.progress.final = False, None
        supervision, leg.supervision = leg.supervision, None
        if supervision is not None:
            supervision.stop(now)

    def reject(self, status: int, reason: str, now: Instant) -> None:
        """End an unanswered call with a failure; ``reason`` are whole Reason lines."""
        self._decided(status, now)
        headers = of_rejection(self._endpoint, status, reason)
        if self.progress.identity_status:
            headers += self._of_signature()
        self.leg.send(OutgoingResponse(headers, b"", self.invite, status, self.dialog.local_tag), now)
        self._endpoint.dialogs.forget(self.dialog.local_tag, now, self.leg.facts.overtaken)
        if self.leg.door is not None:
            self.leg.door.keeper.leg_over(self.leg, now)

    def _of_signature(self) -> str:
        """Return the line about the caller's signature, which one response has."""
        status, self.progress.identity_status = self.progress.identity_status, 0
        return of_signature(self.reasons, status)

    def prack_came(self, event: RequestArrived) -> None:
        """Handle a PRACK (RFC 3262 section 3); its body answers an offer of ours, or is an offer."""
        rack = Rack.of(event.request)
        pracks = self.pracks
        unacknowledged = None if pracks is None else pracks.unacknowledged
        if pracks is None or unacknowledged is None or rack != (unacknowledged.number, self.progress.invite_sequence):
            is_late = rack == self.leg.facts.overtaken
            if is_late:
                self.leg.facts.overtaken = None
            self.leg.respond(event.transaction, 200 if is_late else 481, event.at)
            return
        unacknowledged.stop()
        pracks.unacknowledged = None
        session = self.leg.session_in(event.request)
        if self.progress.is_of_last_attempt:
            is_settled = unacknowledged.has_session and bool(self.offer)
            self._end_last_attempt(event, session, is_settled=is_settled)
        elif self.leg.sessions.said and not self.offer and not self.progress.is_settled:
            is_blocked = self.call.conversation.is_media_blocked(self.leg, session, self.leg.sessions.remote, event.at)
            is_unusable = self._is_unusable(session, event.at)
            if session:
                self.leg.sessions.note(session)
                self.progress.is_settled = True
            self.leg.respond(event.transaction, 200, event.at)
            if is_blocked or is_unusable:  # a refusal of the PRACK would leave the response unacknowledged
                reason = EndReason.GEOFENCE_BLOCKED if is_blocked else EndReason.NO_COMMON_CODEC
                self.call.end(reason, event.at)
                return
            waiting, self.call.conversation.to_forward = self.call.conversation.to_forward, event.request
            callee = self.call.callee
            if callee is not None:
                callee.answer_early_offer(session, event.at)
            self.call.conversation.to_forward = waiting
        else:
            self.progress.is_settled = self.progress.is_settled or (unacknowledged.has_session and bool(self.offer))
            self._confirm(event, session)
        self._send_waiting(pracks, event.at)

    def provisional_unacknowledged(self, event: ProvisionalUnacknowledged) -> None:
        """End the call: a reliable response was repeated for 64·T1 without a PRACK (RFC 3262 section 3)."""
        self.pracks = None
        self.call.caller_unreachable(event.at)

    def cancelled(self, event: CancelArrived) -> None:
        """Handle a CANCEL of the call."""
        if event.transaction is self.invite or self.call.take_answer_back(event.at):
            self.call.journey.reason_text = reason_text(event.request)
            given, of_trunk = causes(event.request), self.dialect.causes
            if of_trunk is not None and Q850 in given:
                given[Q850] = of_trunk.received.get(str(given[Q850]), given[Q850])
            self._invite_over(event.at, given)

    def alarm_fired(self, event: AlarmFired) -> None:
        """End an INVITE that has expired by its Expires header (RFC 3261 section 13.3.1)."""
        self._invite_over(event.at)

    # -- the end ------------------------------------------------------------------------------------------------

    def hang_up(self, reason: str, now: Instant) -> None:
        """End an answered call from our side; the BYE waits for the ACK of our 200 if that is still missing."""
        if not self.progress.is_answered:
            # An error in the switch occurred between the gateway's answer and ours.
            self.reject(500, reason, now)
            return
        self.leg.hang_up(reason, now)

    def close(self, now: Instant) -> None:
        """Drop the dialog, which the caller itself has ended."""
        if not self.progress.is_answered:
            self._stop_repeating(now)
        if self.invite.state is TransactionState.PROCEEDING:
            self._decided(487, now)
            tag = self.dialog.local_tag
            self.leg.send(OutgoingResponse(self._endpoint.server_header, b"", self.invite, 487, tag), now)
        self.leg.close(now)

    # -- inside -------------------------------------------------------------------------------------------------

    def _send_waiting(self, pracks: PrackQueue, now: Instant) -> None:
        """Send the responses that waited for a PRACK, up to the next one that needs a PRACK itself."""
        answer = pracks.take_answer()
        if answer is not None and self.call.caller_answered(now):
            self.answer(answer, now)
            self.call.watch()
        while self.pracks is not None and (ring := self.pracks.next_ring()) is not None:
            status, session, forwarded = ring
            self.call.conversation.to_forward = forwarded or self.call.conversation.to_forward
            self.ring(status, session, now)
        if self.pracks is not None and self.pracks.unacknowledged is None:
            self.pracks = None

    def _confirm(self, event: RequestArrived, session: bytes) -> None:
        """Answer a PRACK; an offer in it is forwarded and answered in the 2xx (RFC 3262 section 5)."""
        server, callee = event.transaction, self.call.callee
        if not session:
            self.leg.respond(server, 200, event.at)
        elif self.call.conversation.is_media_blocked(self.leg, session, self.leg.sessions.remote, event.at):
            self.leg.respond(server, 403, event.at)
        elif (
            callee is None
            or callee.leg.early is None
            or callee.leg.early.agreed is None
            or not (self.progress.is_settled and callee.leg.facts.allows_update)
            or not (self.call.conversation.bridge is None or self.call.conversation.bridge.is_quiet)
            or (self.pracks is not None and self.pracks.answer is not None)
            or not isinstance(server, Server)
        ):
            self.leg.respond(server, 488, event.at)  # it cannot be forwarded now
        else:
            self.leg.proposing = server
            self.call.conversation.bridge_to(callee).session_wanted(self.leg, event)

    def _is_unusable(self, session: bytes, now: Instant) -> bool:
        """Return whether the gateway cannot be sent the answer of the caller."""
        door, callee = self.leg.door, self.call.callee
        return door is not None and callee is not None and door.keeper.refuses(session, self.leg, callee.leg, now)

    def _pass_over(self, door: Door) -> None:
        """Let early media that wait to leave shape nothing but the next version: they may be left out yet."""
        sessions, waiting = self.leg.sessions, self.leg.sessions.said
        door.take_back()
        if sessions.said is not waiting:
            sessions.given_up = waiting

    def _begin_dialog(self, shown: ShownFork | None, now: Instant) -> None:
        """Leave an early dialog with media for one that the caller was shown before, else for a new one.

        A reliable response of the last one is repeated until its PRACK, and later responses wait: a peer that missed
        one RSeq discards all higher ones (RFC 3262 section 4).
        """
        if self.pracks is not None:
            self.pracks.rings.clear()
        is_awaited = self.pracks is not None and self.pracks.unacknowledged is not None
        self.progress.is_of_last_attempt = is_awaited
        if shown is not None or self.progress.sent_early_media:
            self._change_tag(shown, now)

    def _change_tag(self, shown: ShownFork | None, now: Instant) -> None:
        """Go on in an early dialog that the caller was shown before, else in a new one."""
        # An early session has been answered and cannot be replaced by another answer to the same offer. Another To tag
        # makes this a new early dialog, as if a proxy had forked the INVITE (RFC 3261 section 12.1).
        dialog, sequence = self.dialog, self.progress.invite_sequence
        old, self.progress.sent_early_media = dialog.local_tag, shown is not None
        self.progress.has_ring_back = False
        if shown is None:
            # What was agreed in another early dialog does not hold in this one: the offer is that of the INVITE.
            new, self.leg.sessions, self.progress.is_settled = self._endpoint.token(), LegSessions(self.offer), False
        else:
            new, sequence, self.leg.sessions, self.progress.is_settled = shown
        dialog.local = dialog.local.removesuffix(old) + new
        dialog.local_tag = new
        self.progress.resumed_sequence = sequence
        if self.progress.last_tag is None:
            self.progress.last_tag = old
        else:  # the PRACK of an earlier one is still awaited
            self._endpoint.dialogs.forget(old, now)
        if self.progress.last_tag == new:
            self.progress.is_of_last_attempt, self.progress.last_tag = False, None
        elif not self.progress.is_of_last_attempt:
            self._forget_last_tag(now)
        dialog.remote_sequence = sequence if self.progress.last_tag is None else self.progress.invite_sequence
        self._endpoint.dialogs.adopt(new, self.leg)

    def _end_last_attempt(self, event: RequestArrived, session: bytes, *, is_settled: bool) -> None:
        """Answer the PRACK of a response for a gateway or fork that was left; an answer in it is void."""
        self.progress.is_of_last_attempt = False
        for tag, fork in (self.shown or {}).items():
            if fork.tag == self.progress.last_tag:
                number = max(fork.remote_sequence, event.request.sequence)
                shown = fork._replace(remote_sequence=number, is_settled=is_settled)
                self.shown = {**(self.shown or {}), tag: shown}
        self.leg.respond(event.transaction, 488 if session and self.offer else 200, event.at)
        if self.progress.last_tag is not None:
            self.dialog.remote_sequence = self._resumed  # that PRACK counted in the dialog before
            self._forget_last_tag(event.at)

    @property
    def _resumed(self) -> int:
        """The CSeq number of the caller in the current dialog."""
        return self.progress.resumed_sequence or self.progress.invite_sequence

    def _forget_last_tag(self, now: Instant, overtaken: Rack | None = None) -> None:
        if self.progress.last_tag is not None:
            self._endpoint.dialogs.forget(self.progress.last_tag, now, overtaken)
            self.progress.last_tag = None

    def _invite_over(self, now: Instant, given: Mapping[str, int] = NO_CAUSES) -> None:
        """End the call, or the takeover, of an INVITE that was cancelled or has expired."""
        if self.call.state is CallState.OVER:
            return  # its refusal waits to leave
        if self.call.caller is not self:  # a newcomer (Replaces) that the callee has not accepted yet
            if self.call.conversation.bridge is not None:
                self.call.conversation.bridge.session_unwanted(self.leg, now)
        else:
            self.call.caller_cancelled(now, given)

    def _decided(self, status: int, now: Instant) -> None:
        """Note the status of the final response, and stop repeating provisional ones."""
        if self.pracks is not None or self.progress.last_tag is not None:
            self._stop_repeating(now)
        self.progress.is_answered = True
        self.shown = self.invite_message = None
        self.progress.final = status
        if self.expiry is not None:
            self._endpoint.call_off(self.expiry)
            self.expiry = None

    def _stop_repeating(self, now: Instant) -> None:
        pracks, self.pracks = self.pracks, None
        number = None if pracks is None else pracks.stop()
        overtaken = None if number is None else Rack(number, self.progress.invite_sequence)
        if overtaken is not None and not (self.progress.is_of_last_attempt and self.progress.last_tag is not None):
            self.leg.facts.overtaken, overtaken = overtaken, None
        self._forget_last_tag(now, overtaken)


def _valid_s(request: Request) -> int | None:
    """Return the Expires header of an INVITE in seconds; None if it has none, or one that no call reaches."""
    value = request.header("expires") or ""
    if not (value.isascii() and value.isdigit() and len(value) <= 10):
        return None
    valid_s = int(value)
    return valid_s if valid_s <= VALID_MAX_S else None
