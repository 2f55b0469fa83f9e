"""The leg of the caller: the switch is the server of its INVITE."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from vosd.b2bua.extensions import reliability_of
from vosd.b2bua.identity import CallerIdentity, caller_identity_of
from vosd.b2bua.invite_progress import InviteProgress, ShownFork
from vosd.b2bua.leg import Leg
from vosd.b2bua.outgoing.headers import SDP, of_answer, of_rejection, of_reliable_ringing, of_response, of_ringing
from vosd.b2bua.outgoing.reasons import NO_CAUSES
from vosd.b2bua.prack_queue import PrackQueue
from vosd.b2bua.states import CallState
from vosd.b2bua.supervision import Supervision, SupervisionFacts
from vosd.base.clock import Instant
from vosd.base.wheel import Timer
from vosd.sip.dialog.acceptance import Acceptance
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.dialog.prack import Rack, ReliableProvisional
from vosd.sip.dialog.session_wish import Wish
from vosd.sip.door.messages import Outgoing, OutgoingReliable, OutgoingResponse, OutgoingSuccess
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import AlarmFired, CancelArrived, ProvisionalUnacknowledged, RequestArrived
from vosd.sip.headers.reason import causes, reason_text
from vosd.sip.transaction.invite_server import InviteServer
from vosd.sip.transaction.server import Server
from vosd.sip.transaction.states import TransactionState
from vosd.sip.transaction.store import TimerOwner
from vosd.sip.wire.message import Request
from vosd.sip.wire.outgoing import Peer
from vosd.trunks.dialect import CallerDialect, Reliability, Transfers

if TYPE_CHECKING:
    from vosd.b2bua.call_port import PressedKeys

_OFF: Final = Reliability.OFF  # access to enum members is slow
_REQUIRED: Final = Reliability.REQUIRED
VALID_MAX_S: Final = 1_800
"""An INVITE has its final response sooner: the last attempt begins within three minutes, and rings for ten at most."""
_RSEQ_CHOICES = 1 << 20
"""First RSeq numbers are drawn below this; any below 2^31 is allowed (RFC 3262 section 3)."""


class CallerLeg(Leg):
    """The leg of a customer."""

    __slots__ = (
        "caller_identity", "dialect", "expiry", "invite", "invite_dialog", "invite_message", "keypad",
        "offer", "pracks", "progress", "proposing", "shown", "takes_100rel",
    )  # fmt: skip

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
        super().__init__(endpoint, dialect.reasons, dialect.session_timer, dialect.sent_as)
        self.invite = invite
        self.dialog = self.invite_dialog = dialog
        """One object: ``dialog`` of any leg may be None, that of the INVITE of a caller never is."""
        self.dialect = dialect
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
        """The forks of this attempt that the caller was shown, by their tags, but for the current one."""
        self.proposing: Server | None = None
        """The PRACK whose offer was forwarded to the callee."""
        self.keypad: PressedKeys | None = None
        """The keys it has pressed, if its keys may transfer."""
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
        user: str = "",
    ) -> "CallerLeg":
        """Make the leg of an INVITE; ``user`` has proven to be the caller. Nothing is sent before ``begin``.

        Raises:
            ParseError: the INVITE has no Contact to call back.
        """
        caller_identity, reliability = caller_identity_of(request), reliability_of(request, dialect)
        dialog = Dialog.of_caller(request, endpoint.token(), source, endpoint.flows.next_hop, dialect.nat, user)
        if dialog.is_behind_nat:
            transaction.answer_at(source)
        progress = InviteProgress(request.sequence, wish, reliability)
        leg = cls(endpoint, transaction, dialog, dialect, progress, caller_identity)
        leg.invite_message = request
        leg.offer = leg._take_session(request)
        progress.valid_s = None if request.header("expires") is None else _valid_s(request)
        transaction.owner = leg
        return leg

    def begin(self, now: Instant) -> None:
        """Send 100, accept requests within the dialog from now on, and set the timer of the Expires header."""
        endpoint = self._endpoint
        self.send(OutgoingResponse(endpoint.server_header, b"", self.invite, 100, ""), now)
        endpoint.adopt(self.invite_dialog.local_tag, self)
        if self.progress.valid_s is not None:
            self.expiry = endpoint.set_alarm(self, now.plus(1_000 * self.progress.valid_s))

    @property
    def leg(self) -> "CallerLeg":
        """This leg: the customer is in the call (``CallerSide``)."""
        return self

    @property
    def may_transfer(self) -> bool:  # type: ignore[override]
        """Whether the operator allows this trunk to transfer calls."""
        return self.dialect.transfers is Transfers.ACCEPT

    @property
    def named(self) -> str:
        """Name of the caller in the From of the dialog."""
        return self.invite_dialog.remote

    @property
    def awaits_prack(self) -> bool:
        """Whether the 200 has to wait for the PRACK of a response with media."""
        return self.pracks is not None and self.pracks.holds_answer

    @property
    def is_early(self) -> bool:
        """Whether the caller has not been answered yet."""
        return not self.progress.is_answered

    # -- before the answer --------------------------------------------------------------------------------------

    def ring(self, status: int, session: bytes, now: Instant) -> None:
        """Forward a provisional response, with its early media if there is any.

        It is sent reliably if the caller requires that, or if it carries SDP that must not get lost. One is
        repeated at a time: later ones wait for its PRACK, in order.
        """
        pracks = self.pracks
        if pracks is not None and pracks.unacknowledged is not None:
            pracks.add(status, session)
            return
        if session:
            self.progress.sent_early_media = True
            session = self._as_sent(session)
        reliably = self.progress.reliability is _REQUIRED or (session and self.takes_100rel)
        if not reliably:
            headers = of_ringing(self._endpoint, self.invite_dialog, session)
            self.send(OutgoingResponse(headers, session, self.invite, status, self.invite_dialog.local_tag), now)
            return
        draw = 0 if self.progress.rseq else int(self._endpoint.token()[-6:], 36) % _RSEQ_CHOICES
        self.progress.rseq += 1 + draw
        tag, number = self.invite_dialog.local_tag, self.progress.rseq
        headers = of_reliable_ringing(self._endpoint, self.invite_dialog, session, number)
        if pracks is None:
            pracks = self.pracks = PrackQueue()
        pracks.unacknowledged = reliable = ReliableProvisional(number, bool(session), owner=self)
        self.send(OutgoingReliable(headers, session, self.invite, status, tag, reliable), now)

    def begin_attempt(self, now: Instant) -> None:
        """Prepare for another gateway: after early media of the last one the caller needs another To tag."""
        self.shown = None
        self._begin_dialog(None, now)

    def switch_fork(self, before: str, after: str, now: Instant, *, answers: bool) -> None:
        """Prepare for another fork of the attempt, by the tags of the forks; one that ``answers`` keeps its To tag.

        More early media of a fork begin a new dialog again: some callers count RSeq for each dialog by itself, others
        over all of them, and only the number of a new dialog suits both.
        """
        shown = self.shown or {}
        if self.progress.sent_early_media:
            dialog = self.invite_dialog
            number = dialog.remote_sequence if self.progress.last_tag is None else self._resumed
            shown = {
                **shown,
                before: ShownFork(dialog.local_tag, number, bytes(self.sessions.said), self.progress.is_settled),
            }
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
        session = self._as_sent(session)
        agreed = self.timer.accept(self.progress.wish, now)
        headers = of_answer(self._endpoint, self.invite_dialog, session, self.timer, agreed)
        sequence = self.progress.invite_sequence
        self.acceptance = Acceptance(self.invite_dialog, sequence, store=self._endpoint.store, owner=self)
        self.send(OutgoingSuccess(headers, session, self.invite, self.acceptance), now)
        self.call.to_forward = None
        self.invite = self._endpoint.answered_invite
        self.facts.last_seen_at = now
        self.supervision = Supervision(self._endpoint, self, SupervisionFacts(now))
        self.supervision.begin(now)

    def was_answered(self, session: bytes, now: Instant) -> None:
        """Take the call as answered by an earlier process, and its 200 as acknowledged."""
        self._decided(200, now)
        if not self.progress.is_settled:
            self._as_sent(session)
        self.timer.accept(self.progress.wish, now)
        self.invite = self._endpoint.answered_invite
        self.supervision = Supervision(self._endpoint, self, SupervisionFacts(now))
        self.supervision.begin(now)

    def answer_again(self, transaction: InviteServer, session: bytes, at: Instant, now: Instant) -> None:
        """Send the 200 that may not have been sent ``at`` the answer: an earlier process was killed."""
        self.facts.is_confirmed = False
        self.invite = transaction
        self.answer(session, now)
        self.supervision = Supervision(self._endpoint, self, SupervisionFacts(at))
        self.supervision.begin(at)

    def go_on(self, now: Instant, *, is_awaited: bool) -> bool:
        """Send the 200 of an earlier process again if its ACK ``is_awaited``; return whether that was done.

        Otherwise it counts as acknowledged.
        """
        acceptance = self.acceptance
        if is_awaited and acceptance is not None:
            acceptance.go_on(now)
            return True
        if acceptance is not None:
            acceptance.acknowledged()
        self.acceptance, self.facts.is_confirmed = None, True
        return False

    def reject(self, status: int, reason: str, now: Instant) -> None:
        """End an unanswered call with a failure; ``reason`` are whole Reason lines."""
        self._decided(status, now)
        headers = of_rejection(self._endpoint, status, reason)
        self.send(OutgoingResponse(headers, b"", self.invite, status, self.invite_dialog.local_tag), now)
        self._endpoint.forget(self.invite_dialog.local_tag, now)
        if self.door is not None:
            self.door.leg_over(self, now)

    def _prack_came(self, event: RequestArrived) -> None:
        """Handle a PRACK (RFC 3262 section 3); its body answers an offer of ours, or is an offer."""
        rack = Rack.of(event.request)
        pracks = self.pracks
        unacknowledged = None if pracks is None else pracks.unacknowledged
        if pracks is None or unacknowledged is None or rack != (unacknowledged.number, self.progress.invite_sequence):
            is_late = rack == (self.progress.overtaken, self.progress.invite_sequence)
            self.respond(event.transaction, 200 if is_late else 481, event.at)
            return
        unacknowledged.stop()
        pracks.unacknowledged = None
        session = self.session_in(event.request)
        if self.progress.is_of_last_attempt:
            is_settled = unacknowledged.has_session and bool(self.offer)
            self._end_last_attempt(event, session, is_settled=is_settled)
        elif unacknowledged.has_session and not self.offer and not self.progress.is_settled:
            if session:
                self.note_session(session)
                self.progress.is_settled = True
            self.respond(event.transaction, 200, event.at)
            self.call.early_answer_came(session, event.at)
        else:
            self.progress.is_settled = self.progress.is_settled or (unacknowledged.has_session and bool(self.offer))
            self._confirm(event, session)
        self._send_waiting(pracks, event.at)

    def provisional_unacknowledged(self, event: ProvisionalUnacknowledged) -> None:
        """End the call: a reliable response was repeated for 64·T1 without a PRACK (RFC 3262 section 3)."""
        self.pracks = None
        self.call.caller_unreachable(event.at)

    def cancelled(self, event: CancelArrived) -> None:
        """Handle a CANCEL of the call, or of a re-INVITE within it."""
        if event.transaction is self.invite or self.takes_back_answer(event.at):
            self.call.journey.reason_text = reason_text(event.request)
            self._invite_over(event.at, causes(event.request))
        else:
            super().cancelled(event)

    def alarm_fired(self, event: AlarmFired) -> None:
        """End an INVITE that has expired by its Expires header (RFC 3261 section 13.3.1)."""
        self._invite_over(event.at)

    def agree(self, transaction: Server | InviteServer, session: bytes, now: Instant) -> None:
        """Answer this side's offer with 200; that of a newcomer is its first INVITE (RFC 3891)."""
        if transaction is self.invite:
            self.answer(session, now)
        elif transaction is self.proposing:
            self.proposing = None
            session = self._as_sent(session)
            headers = of_response(self._endpoint, 200, SDP if session else "")
            self.send(OutgoingResponse(headers, session, transaction, 200, ""), now)
        else:
            super().agree(transaction, session, now)

    def sent(self, message: Outgoing, _now: Instant) -> None:
        """Report that the 200 of the call has left."""
        if isinstance(message, OutgoingSuccess) and self._is_answer(message):
            self.call.answer_sent()

    def not_sent(self, message: Outgoing, now: Instant) -> None:
        """Refuse the call if its 200 was not let out."""
        if isinstance(message, OutgoingSuccess) and self._is_answer(message):
            self._take_back(message, now)
            self.call.answer_withheld(now)
        else:
            super().not_sent(message, now)

    # -- the end ------------------------------------------------------------------------------------------------

    def hang_up(self, reason: str, now: Instant) -> None:
        """End an answered call from our side; the BYE waits for the ACK of our 200 if that is still missing."""
        if not self.progress.is_answered:
            # An error in the switch occurred between the gateway's answer and ours.
            self.reject(500, reason, now)
            return
        if self.keypad is not None:
            self.keypad.stop()
        super().hang_up(reason, now)

    def close(self, now: Instant) -> None:
        """Drop the dialog, which the caller itself has ended."""
        if not self.progress.is_answered:
            self._stop_repeating(now)
        if self.keypad is not None:
            self.keypad.stop()
        if self.invite.state is TransactionState.PROCEEDING:
            self._decided(487, now)
            tag = self.invite_dialog.local_tag
            self.send(OutgoingResponse(self._endpoint.server_header, b"", self.invite, 487, tag), now)
        super().close(now)

    # -- inside -------------------------------------------------------------------------------------------------

    @property
    def _is_caller(self) -> bool:
        """Whether it is the caller of a call that goes on."""
        return self.call.state is not CallState.OVER and self.call.caller is self

    def _is_answer(self, message: OutgoingSuccess) -> bool:
        """Return whether a 200 is that of the call to its caller, not of a re-INVITE or of a takeover."""
        return message.acceptance is self.acceptance and not self.facts.is_confirmed and self._is_caller

    def takes_back_answer(self, now: Instant) -> bool:
        """Take the 200 of the call back if it waits to leave; return whether it does."""
        if self.door is None or self.acceptance is None or self.facts.is_confirmed or not self._is_caller:
            return False
        message = self.door.withdraw(self.acceptance, now)
        if isinstance(message, OutgoingSuccess):
            self._take_back(message, now)
            return True
        return False

    def _take_back(self, message: OutgoingSuccess, now: Instant) -> None:
        """Be as before the answer: the 200 was not sent, and the customer is not charged for it."""
        self.invite, self.acceptance = message.transaction, None
        self.progress.is_answered, self.progress.final = False, None
        supervision, self.supervision = self.supervision, None
        if supervision is not None:
            supervision.stop(now)
        self.call.answer_taken_back()

    def _send_waiting(self, pracks: PrackQueue, now: Instant) -> None:
        """Send the responses that waited for a PRACK, up to the next one that needs a PRACK itself."""
        answer = pracks.take_answer()
        if answer is not None and self.call.caller_answered(now):
            self.answer(answer, now)
            self.call.watch()
        while self.pracks is not None and (ring := self.pracks.next_ring()) is not None:
            self.ring(*ring, now)
        if self.pracks is not None and self.pracks.unacknowledged is None:
            self.pracks = None

    def _confirm(self, event: RequestArrived, session: bytes) -> None:
        """Answer a PRACK; an offer in it is forwarded and answered in the 2xx (RFC 3262 section 5)."""
        server, callee = event.transaction, self.call.callee
        if not session:
            self.respond(server, 200, event.at)
        elif (
            callee is None
            or callee.early_dialog is None
            or not (self.progress.is_settled and callee.facts.allows_update)
            or not (self.call.bridge is None or self.call.bridge.is_quiet)
            or (self.pracks is not None and self.pracks.answer is not None)
            or not isinstance(server, Server)
        ):
            self.respond(server, 488, event.at)  # it cannot be forwarded now
        else:
            self.proposing = server
            self.call.asked(self, event)

    def _begin_dialog(self, shown: ShownFork | None, now: Instant) -> None:
        """Leave an early dialog with media for one that the caller was shown before, else for a new one.

        A reliable response of the last one is repeated until its PRACK, and later responses wait: a peer that missed
        one RSeq discards all higher ones (RFC 3262 section 4).
        """
        if self.pracks is not None:
            self.pracks.rings.clear()
        is_awaited = self.pracks is not None and self.pracks.unacknowledged is not None
        self.progress.is_of_last_attempt = is_awaited
        if shown is None and not self.progress.sent_early_media:
            return
        # An early session has been answered and cannot be replaced by another answer to the same offer. Another To tag
        # makes this a new early dialog, as if a proxy had forked the INVITE (RFC 3261 section 12.1).
        dialog, sequence = self.invite_dialog, self.progress.invite_sequence
        old, self.progress.sent_early_media = dialog.local_tag, shown is not None
        if shown is None:
            new, self.sessions.said, self.progress.is_settled = self._endpoint.token(), b"", False
        else:
            new, sequence, self.sessions.said, self.progress.is_settled = shown
        dialog.local = dialog.local.removesuffix(old) + new
        dialog.local_tag = new
        self.progress.resumed_sequence = sequence
        if self.progress.last_tag is None:
            self.progress.last_tag = old
        else:  # the PRACK of an earlier one is still awaited
            self._endpoint.forget(old, now)
        if self.progress.last_tag == new:
            self.progress.is_of_last_attempt, self.progress.last_tag = False, None
        elif not is_awaited:
            self._forget_last_tag(now)
        dialog.remote_sequence = sequence if self.progress.last_tag is None else self.progress.invite_sequence
        self._endpoint.adopt(new, self)

    def _end_last_attempt(self, event: RequestArrived, session: bytes, *, is_settled: bool) -> None:
        """Answer the PRACK of a response for a gateway or fork that was left; an answer in it is void."""
        self.progress.is_of_last_attempt = False
        for tag, fork in (self.shown or {}).items():
            if fork.tag == self.progress.last_tag:
                shown = fork._replace(remote_sequence=event.request.sequence, is_settled=is_settled)
                self.shown = {**(self.shown or {}), tag: shown}
        self.respond(event.transaction, 488 if session and self.offer else 200, event.at)
        if self.progress.last_tag is not None:
            self.invite_dialog.remote_sequence = self._resumed  # that PRACK counted in the dialog before
            self._forget_last_tag(event.at)

    @property
    def _resumed(self) -> int:
        """The CSeq number of the caller in the current dialog."""
        return self.progress.resumed_sequence or self.progress.invite_sequence

    def _forget_last_tag(self, now: Instant) -> None:
        if self.progress.last_tag is not None:
            self._endpoint.forget(self.progress.last_tag, now)
            self.progress.last_tag = None

    def _invite_over(self, now: Instant, given: Mapping[str, int] = NO_CAUSES) -> None:
        """End the call, or the takeover, of an INVITE that was cancelled or has expired."""
        if self.call.state is CallState.OVER:
            return  # its refusal waits to leave
        if self.call.caller is not self:  # a newcomer (Replaces) that the callee has not accepted yet
            if self.call.bridge is not None:
                self.call.bridge.session_unwanted(self, now)
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
        overtaken = None if pracks is None else pracks.stop()
        if overtaken is not None:
            self.progress.overtaken = overtaken
        self._forget_last_tag(now)


def _valid_s(request: Request) -> int | None:
    """Return the Expires header of an INVITE in seconds; None if it has none, or one that no call reaches."""
    value = request.header("expires") or ""
    if not (value.isascii() and value.isdigit() and len(value) <= 10):
        return None
    valid_s = int(value)
    return valid_s if valid_s <= VALID_MAX_S else None
