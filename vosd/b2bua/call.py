"""A call from its INVITE to its end: set-up, hunting, conversation, release.

Each public method is an event, with the instant of its packet or deadline; it does all that follows and leaves the
call in one state of ``states``. A call has one deadline at every moment (ADR 10).
"""

from collections.abc import Mapping
from typing import Final, Protocol

from vosd.b2bua import states
from vosd.b2bua.attempt import GatewayAttempt, leg_of
from vosd.b2bua.caller_side import CallerSide
from vosd.b2bua.conversation import Conversation
from vosd.b2bua.given_up import GivenUp
from vosd.b2bua.hunt import Failure, Hunt
from vosd.b2bua.leg import Leg
from vosd.b2bua.lifetime import ANSWER_WAIT_MS, Granted, Lifetime
from vosd.b2bua.outgoing.reasons import NO_CAUSES, passed_on, reason_headers
from vosd.b2bua.ports import Decision, SetupAnswer, Switchboard
from vosd.b2bua.search import CalleeSearch
from vosd.b2bua.settings import CallSettings
from vosd.b2bua.stamps import Announced, Arrival, DeadCall, Ending, Journey
from vosd.b2bua.states import ACCEPTED, CallEvent
from vosd.b2bua.substitute import Substitute
from vosd.base.cause import EndReason, HangupSource, q850_of_refusal, q850_of_status
from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.cdr.record import ANSWERED_ELSEWHERE, Attempt
from vosd.sdp.codec import first_audio_codec
from vosd.sip.door.messages import OutgoingInvite, OutgoingSuccess
from vosd.sip.endpoint import Endpoint
from vosd.sip.headers.reason import Q850

_PEER_VANISHED: Final = frozenset({EndReason.SESSION_TIMEOUT, EndReason.NO_MEDIA})
_SWITCH: Final = HangupSource.SWITCH  # access to enum members is slow
_PROGRESS: Final = 183
_UNPAID_STATUS: Final = 402
"""The caller gets it where the money ends before the answer."""


class CallBoard(Switchboard, Protocol):
    """The switch for one call, which may be asked for another one: ``LiveCall`` of ``engine``, which stands above."""

    def place_transfer(self, substitute: Substitute, number: str, now: Instant, *, is_called: bool) -> "Call | int":
        """Admit a call to the target of a transfer, on the transferor's account; a status if it is refused.

        ``is_called``: the transferor is the callee of this call.
        """


class Call:
    """One call: its two sides, its state, its history, and what each event makes of them."""

    __slots__ = (
        "_asks", "arrival", "board", "callee", "caller", "conversation", "endpoint", "journey", "lifetime", "refused",
        "search", "settings", "state",
    )  # fmt: skip
    __deletable__ = ("caller",)  # for a compiler (ADR 84)

    def __init__(
        self,
        arrival: Arrival,
        caller: CallerSide,
        hunt: Hunt | None,
        hops: int,
        endpoint: Endpoint,
        board: CallBoard,
        settings: CallSettings,
        *,
        asks: bool = False,
    ) -> None:
        """``hunt`` is None once the call is answered; ``asks``: a question of its set-up has to be answered first.

        ``hops`` is the Max-Forwards of INVITEs to gateways.
        """
        self.arrival = arrival
        self.caller = caller
        caller.call = self
        if caller.leg is not None:
            caller.leg.call = self
        self.callee: GatewayAttempt | None = None
        """The attempt in progress, of several the foremost one: its responses and media go to the caller."""
        self.refused: tuple[GivenUp, ...] = ()
        """Attempts that were refused: while the call lasts, an answer of another fork is recorded."""
        self.search = None if hunt is None else CalleeSearch(self, hunt, board, hops)
        """The search for a callee, until the answer or the end."""
        self.conversation = Conversation(self, board)
        self.state = states.SETUP
        self.journey = Journey()

        self.endpoint = endpoint
        self._asks = asks

        self.board = board
        """The switch, for this call."""
        self.settings = settings
        self.lifetime: Lifetime | None = None
        """Time limit, once the call is answered."""

    def __repr__(self) -> str:
        return f"<Call {self.arrival.call_id} {self.state.name}>"

    # -- the set-up ---------------------------------------------------------------------------------------------

    def begin(self, now: Instant, refusal: Refusal | None = None) -> None:
        """Send the caller 100, then try the first gateway, or ask what the set-up waits for.

        With a ``refusal`` the caller is refused, after an announcement.
        """
        self.caller.begin(now)
        if refusal is not None:
            self._refuse(refusal, now)
        elif self._asks:
            self._set_up(self.board.ask(now), now)
        elif self.search is not None:
            self.search.try_next(now)

    def question_answered(self, answer: SetupAnswer, now: Instant) -> None:
        """Go on with the set-up by the answer to its open question."""
        if self._accepts(CallEvent.QUESTION_ANSWERED):
            self._set_up(self.board.settle(answer, now), now)

    # -- hunting ------------------------------------------------------------------------------------------------

    def sent(
        self, leg: Leg, message: OutgoingInvite | OutgoingSuccess, now: Instant, *, has_waited: bool = True
    ) -> None:
        """Count the time of a gateway from now on, since its INVITE had to wait, or report the answer."""
        if type(message) is OutgoingSuccess:
            if self._is_answer(leg, message):
                self.board.answer_sent(has_waited=has_waited)
            elif has_waited and not leg.facts.is_confirmed:
                self.board.moved(at_once=True)  # to a newcomer (Replaces), with the description that it is sent
        elif type(message) is OutgoingInvite and self.search is not None:
            self.search.invite_left(leg, message, now)

    def not_sent(self, leg: Leg, message: OutgoingInvite | OutgoingSuccess, now: Instant) -> bool:
        """Try the next gateway, or end a call whose 200 could not be sent; False = it is the 200 to another INVITE."""
        if isinstance(message, OutgoingSuccess):
            if not self._is_answer(leg, message):
                return False
            media = leg.facts.media
            if media is None or media.refusal is None:
                reason = EndReason.UNAVAILABLE
                self._undo_answer(message, now)
            else:
                reason = media.refusal.end_reason
                self._undo_answer(message, now, reason.text, media.refused_for)
            self._give_up_callee(reason, now)
            status = 488 if reason is EndReason.NO_COMMON_CODEC else 503
            self._reject(reason, status, None, HangupSource.SWITCH, now)
        elif self.search is not None:
            self.search.invite_not_sent(leg, now)
        return True

    def answered(self, attempt: GatewayAttempt, now: Instant) -> None:
        """Handle the answer of a gateway: the vendor charges from now on."""
        search = self.search
        if search is None or states.ANSWER not in ACCEPTED[self.state]:
            return
        if attempt is not self.callee and attempt not in search.beside:
            return
        if search.beside:
            search.won(attempt, ANSWERED_ELSEWHERE, now)
        self.state, self.search = states.ANSWERED, None
        caller, door = self.caller.leg, attempt.leg.door
        if door is not None and caller is not None and self.caller.shown:
            door.keeper.session_returned(caller, attempt.leg, now)
        has_answer = bool(self.caller.offer) or attempt.progress.is_settled
        # Without an offer of the caller the answer is its own: it was sent to the gateway in a PRACK (``said``), or
        # comes in the caller's ACK, and only then the gateway's 200 is acknowledged (``acknowledged``).
        answer = attempt.answer if self.caller.offer else attempt.leg.sessions.said
        codec = vendor_codec = first_audio_codec(answer) if has_answer else None
        if self.caller.progress.is_settled and self.caller.offer and self.caller.leg is not None:
            codec = first_audio_codec(self.caller.leg.sessions.said)  # answered before the 200
        self.journey.answered(
            attempt.row(200, "Answered", now), codec, vendor_codec, now.came if now.waited_ms else now
        )
        if has_answer:
            attempt.acknowledge(b"", now)
        if self.caller.progress.has_ring_back and (inviter := self.caller.inviter) is not None:
            inviter.leave_ring_back(now)  # the journal is to have the tag of the 200
        if not self.caller.awaits_prack:
            if not self.caller_answered(now):
                return
        elif self.board.vendor_answered():
            self.watch()
        else:
            self._refuse_unwritten(attempt, now)
            return
        self.caller.answer(attempt.answer, now)
        self.conversation.to_forward = None
        self.watch()

    def caller_answered(self, now: Instant) -> bool:
        """Start charging the caller, whose 200 need not wait for a PRACK; False = the 200 must not be sent.

        ``watch`` is called after the 200, which begins the session of the caller.
        """
        if self.state is not states.ANSWERED or self.callee is None:
            return False
        journey, answered_at = self.journey, Instant(now.mono, now.wall)
        came, asked_ms = journey.vendor_answered_at, now.mono - now.waited_ms
        if came is not None and asked_ms > came.mono and asked_ms >= self._answer_wait_ends().mono:
            self.caller_unreachable(now)  # the PRACK came when the timer was due already, by no wait in our queues
            return False
        journey.answered_at = answered_at
        journey.progress_at = journey.progress_at or answered_at
        granted_s = self.board.answered()
        if granted_s is None:
            self._refuse_unwritten(self.callee, now)
            return False
        self.state = states.TALKING
        warns_ms = self.caller.dialect.end_warning_ms
        granted = Granted(answered_at, granted_s, paid_from=journey.invited_at, warns_ms=warns_ms)
        self.lifetime = Lifetime(self.board, granted)
        return True

    def take_answer_back(self, now: Instant) -> bool:
        """Take the caller's 200 back if it waits to leave: the call is as before, and the customer does not pay."""
        leg = self.caller.leg
        if leg is None or leg.door is None or leg.acceptance is None or leg.facts.is_confirmed:
            return False
        if self.caller.progress.newcomer is not None:
            return False  # the call was answered before
        answer = leg.door.withdraw(leg.acceptance, now)
        if isinstance(answer, OutgoingSuccess):
            self._undo_answer(answer, now)
            return True
        return False

    def unwanted_answer(self, row: Attempt, now: Instant, given_up: GivenUp) -> None:
        """Record the answer of another fork, or of an attempt given up: the vendor charges for it."""
        is_recorded = self.state is not states.OVER
        if is_recorded:
            self.journey.late_answer(row, given_up.fork)
        if self.search is not None:
            self.search.answered_late(given_up)
        self.board.unwanted_answer(row, now, given_up, is_recorded=is_recorded)
        self.board.moved()  # the record behind a kill is to have the row

    # -- the conversation -----------------------------------------------------------------------------------------

    def acknowledged(self, leg: Leg, session: bytes, now: Instant) -> None:
        """Handle the ACK of our 200; the answer to a late offer is sent in the ACK to the other leg."""
        if states.ACK not in ACCEPTED[self.state] or self.callee is None:
            return
        is_caller = leg is self.caller.leg
        if is_caller and self.journey.acknowledged_at is None:
            self.journey.acknowledged(now.came)
            self.board.acknowledged(now)
            if self.callee.progress.has_left:
                return  # it has transferred the call before this ACK, and the caller is offered the target's session
            if self.callee.leg.sessions.given_up:  # while another fork was shown, this one may have accepted an UPDATE
                self.conversation.bridge_to(self.callee).answer_changed(leg, leg.sessions.remote, now)
            if self.caller.progress.is_settled:
                self.conversation.offer_answer(now)
        if self.conversation.bridge is not None and self.callee.progress.acknowledged:
            self.conversation.bridge.acknowledged(leg, session, now)
        elif is_caller and not self.callee.progress.acknowledged:
            self.journey.codec = self.journey.vendor_codec = first_audio_codec(session)
            self.callee.acknowledge(session, now)

    def watch(self) -> None:
        """Set the deadline again, after the answer, or after a session was agreed or refreshed."""
        if self.state is states.TALKING and self.lifetime is not None:
            self.lifetime.watch(self)
        elif self.state is states.ANSWERED and self.callee is not None:
            supervision, until_ms = self.callee.leg.supervision, self._answer_wait_ends().mono
            self.board.set_deadline(until_ms if supervision is None else min(until_ms, supervision.facts.refresh_ms))

    def _check_limits(self, now: Instant, at: Instant | None = None) -> bool:
        """Extend or end a call that has reached one of its limits by ``at``, else now; return whether it has ended.

        The end is the deadline, even if the timer ran later, so that no call costs more than was held.
        """
        if self.lifetime is None:
            return False
        at = at or now
        limit = self.lifetime.exceeded(self, at.mono - at.waited_ms)
        if limit is None:
            return False
        self._end_from_switch(limit.reason, limit.at, now, limit.proof)
        return True

    def ack_missing(self, _leg: Leg, now: Instant) -> None:
        """End a call whose 200 was never acknowledged (RFC 3261 section 13.3.1.4); it is billed as answered."""
        if self._accepts(CallEvent.ACK_MISSING) and not self._check_limits(now):
            self._end_from_switch(EndReason.NO_ACK, now)

    def caller_unreachable(self, now: Instant) -> None:
        """Reject a call whose caller sent no PRACK for a reliable response (RFC 3262 section 3)."""
        if self.state is states.ANNOUNCING and self.journey.announced is not None:
            self._announcement_over(self.journey.announced, now)
        elif self._accepts(CallEvent.PRACK_MISSING):
            self._give_up_callee(EndReason.UNAVAILABLE, now, "Unreachable Caller")
            self._reject(EndReason.UNAVAILABLE, 504, q850_of_status(504), HangupSource.CALLER, now)

    def lost(self, leg: Leg, status: int, now: Instant, reason: EndReason = EndReason.NO_COMMON_CODEC) -> None:
        """End a call: a leg has no such dialog (481), does not answer (408), or has no session (488, ``reason``)."""
        if not self._accepts(CallEvent.LEG_LOST):
            return
        side = self._side_of(leg)
        if side is None:
            return  # it was replaced, and has its BYE
        if self._check_limits(now):
            return
        is_unsent = leg.acceptance is not None and leg.acceptance.retry is None
        if side is self.caller and (is_unsent or self.caller.progress.final is None):
            return  # it did not receive the 18x of its early dialog, and its INVITE still waits for our answer
        if status == 481 or self.state is states.ANSWERED:
            side.hang_up("", now)  # 481 may concern that request alone, and a leg that stays up is charged
            self.hung_up(leg, None, now)
        else:
            self._end_from_switch(reason if status == 488 else EndReason.SESSION_TIMEOUT, now)

    def hung_up(self, leg: Leg | None, cause: int | None, now: Instant, at: Instant | None = None) -> None:
        """End a call that a leg has hung up with that Q.850 cause; ``at`` is when, if it is processed later.

        None = the side that has left by a transfer.
        """
        if self.state is states.OVER:
            return
        if leg is self.caller.leg:
            if self.endpoint.doors is not None:
                self.take_answer_back(now)
            self._caller_hung_up(cause, at or now, now)
        elif self.callee is not None and leg is leg_of(self.callee):
            self._callee_hung_up(cause, at or now, now)

    def caller_cancelled(self, now: Instant, given: Mapping[str, int] = NO_CAUSES) -> None:
        """Answer a CANCEL of the caller: send it 487, and cancel the attempt with the causes that it gave."""
        if not self._accepts(CallEvent.CANCEL):
            return
        if self.state is states.ANNOUNCING and self.journey.announced is not None:
            self._announcement_over(self.journey.announced, now, 487)  # it had failed before
            return
        reason = EndReason.CANCELLED
        self._give_up_callee(reason, now, given=given)
        self.caller.reject(487, reason_headers(self.caller.reasons, reason, reason.q850_cause, 487), now)
        self._over(reason, HangupSource.CALLER, now, 487, given.get(Q850))

    # -- the end ------------------------------------------------------------------------------------------------

    def deadline_due(self, now: Instant) -> None:
        """Handle the deadline of the call: of a question, a response, ringing, a session, or the money."""
        if not self._accepts(CallEvent.DEADLINE):
            return
        if self.state is states.TALKING:
            self._refresh_sessions(now)  # first: a session may be refreshed at the very instant at which it expires
            self._check_limits(now)
            return
        if self.state is states.ANSWERED:
            self._refresh_sessions(now)
            if self._has_only_paid(now):
                return
            if now.mono < self._answer_wait_ends().mono:
                self.watch()
            else:
                self.caller_unreachable(now)
            return
        if self.state in (states.SETUP, states.ANNOUNCING):
            self._due_without_attempt(now)
            return
        attempt = self.callee
        if attempt is None or self._has_only_paid(now):
            return
        if self.search is not None:
            self.search.deadline_due(attempt, now)

    def sound_failed(self, now: Instant) -> None:
        """Go on without the sound that the caller is played: it cannot be."""
        if self.state is not states.ANNOUNCING:
            return
        if self.journey.announced is not None:
            self._announcement_over(self.journey.announced, now)
        elif self.search is not None:
            self.search.sound_failed(now)

    def end(self, reason: EndReason, now: Instant, dead: DeadCall | None = None) -> None:
        """End the call by order (``vosd hangup``, a stop of the switch), or for an address of the caller's media.

        ``dead`` is the joined call, one of whose peers has vanished: this one ends with it.
        """
        if not self._accepts(CallEvent.ORDERED_END):
            return
        if self.state is states.TALKING:
            if dead is not None:
                self._end_as_dead(reason, dead, now)
            elif not self._check_limits(now):
                self._end_from_switch(reason, now)
            return
        if self.state is states.ANNOUNCING and self.journey.announced is not None:
            self._announcement_over(self.journey.announced, now)
            return
        self._give_up_callee(reason, now)
        self._reject(reason, reason.sip_status or 503, None, HangupSource.SWITCH, now)

    def drop(self, now: Instant) -> None:
        """Close a call that could not be ended because of an error in the switch: its peers are sent nothing more."""
        self.take_answer_back(now)
        self.caller.close(now)
        if self.search is not None:
            self.search.close(now)
        elif self.callee is not None:
            self.callee.close(now)
        at = now if self.lifetime is None else min(now, self.lifetime.granted_until)
        self._over(EndReason.LOST, HangupSource.SWITCH, at, self.caller.progress.final, now=now)

    # -- inside: set-up and hunting -------------------------------------------------------------------------------

    def _accepts(self, call_event: CallEvent) -> bool:
        return call_event in ACCEPTED[self.state]

    def _set_up(self, decision: Decision, now: Instant) -> None:
        """Act on the decision of the set-up."""
        if isinstance(decision, Refusal):
            self._refuse(decision, now)
        elif decision is not None and self.search is not None:
            self.search.hunt = Hunt(decision, self.board, self.endpoint.flows)
            self.search.try_next(now)

    # -- inside: sounds, and the end of the search ------------------------------------------------------------------

    def _due_without_attempt(self, now: Instant) -> None:
        """Handle the deadline of a question, or of an announcement."""
        announced = self.journey.announced
        if self.state is states.SETUP:
            self._set_up(self.board.settle(None, now), now)
        elif announced is not None and now.mono < announced.until_ms:
            self.board.set_deadline(announced.until_ms)
        elif announced is not None:
            self._announcement_over(announced, now)
        elif self.search is not None:
            self.search.sound_due(now)

    def search_failed(self, failure: Failure, now: Instant) -> None:
        """End the call: no gateway is left to try."""
        reason, status, cause, source, self.journey.reason_text = failure
        if self.endpoint.doors is None or not self._is_announced(reason, status, cause, source, now):
            self._reject(reason, status, cause, source, now)

    def _is_announced(
        self, reason: EndReason, status: int, cause: int | None, source: HangupSource, now: Instant
    ) -> bool:
        """Announce to the caller why its call fails, if there is a sound for that; the refusal follows."""
        inviter = self.caller.inviter
        is_first = self.journey.announced is None and self.journey.playing is None
        offer = None if inviter is None or not is_first else self.board.media.announcement(reason, now)
        if inviter is None or offer is None:
            return False
        until_ms = now.mono + offer.lasts_ms
        self.journey.announced = Announced(until_ms, reason, status, cause, source, now.came, self.journey.reason_text)
        self.state = states.ANNOUNCING
        self.board.money.announced()
        inviter.begin_attempt(now)  # another early dialog than that of a gateway's media
        inviter.ring(_PROGRESS, offer.session, now)
        self.board.set_deadline(until_ms)
        return True

    def _announcement_over(self, announced: Announced, now: Instant, code: int | None = None) -> None:
        """Refuse the call after its announcement; ``code``: it was not played to its end."""
        reason, cause = announced.reason, announced.cause
        cause = reason.q850_cause if cause is None else cause
        status = code or self.caller.dialect.sent_for(announced.status)
        self.journey.reason_text = announced.text  # a CANCEL may have had another one
        self.caller.reject(status, reason_headers(self.caller.reasons, reason, cause, status), now)
        self._over(reason, announced.source, announced.at, status, cause, now=now)

    def _refuse_unwritten(self, attempt: GatewayAttempt, now: Instant) -> None:
        """End a call whose answer cannot be journalled: the caller gets 503 and pays nothing."""
        self.journey.answer_not_sent("Not Written Down")
        attempt.hang_up(reason_headers(attempt.reasons, EndReason.OVERLOAD, EndReason.OVERLOAD.q850_cause), now)
        self._reject(EndReason.OVERLOAD, 503, None, HangupSource.SWITCH, now)

    # -- inside: the conversation ---------------------------------------------------------------------------------

    def _side_of(self, leg: Leg) -> CallerSide | GatewayAttempt | None:
        """Return the side that a leg is of; None where it was replaced."""
        if leg is self.caller.leg:
            return self.caller
        return self.callee if leg is leg_of(self.callee) else None

    def _refresh_sessions(self, now: Instant) -> None:
        """Send the refreshes and probes that are due."""
        for leg in reversed(self.conversation.parties):
            if leg.supervision is not None:
                leg.supervision.refresh_if_due(now)

    def _caller_hung_up(self, cause: int | None, at: Instant, now: Instant) -> None:
        if self.state is states.TALKING:
            if self._check_limits(now, at):
                return
            if self.conversation.bridge is not None:
                self.conversation.drop_bridge(now)
            transfer = self.conversation.transfer
            if transfer is not None and transfer.is_transferor(self.caller.leg):
                transfer.transferor_left(cause, now)
                return
            self.caller.close(now)
            if transfer is not None:
                transfer.first_ends(now)
            if self.callee is not None:
                self.callee.hang_up("" if cause is None else passed_on(cause, self.callee.reasons), now)
            self._over(EndReason.NORMAL, HangupSource.CALLER, at, self.caller.progress.final, cause, now=now)
        elif self._accepts(CallEvent.CALLER_BYE):
            self.caller_cancelled(now, NO_CAUSES if cause is None else {Q850: cause})

    def _callee_hung_up(self, cause: int | None, at: Instant, now: Instant) -> None:
        if not self._accepts(CallEvent.CALLEE_BYE) or self._check_limits(now, at) or self.callee is None:
            return
        if self.endpoint.doors is not None:
            self.take_answer_back(now)
        self.conversation.drop_bridge(now)
        transfer = self.conversation.transfer
        if self.state is states.TALKING and transfer is not None and transfer.is_transferor(leg_of(self.callee)):
            transfer.transferor_left(cause, now)
            return
        self.callee.close(now)
        if self.state is states.ANSWERED:
            self._reject(EndReason.UNAVAILABLE, 480, cause, HangupSource.CALLEE, now)
            return
        if transfer is not None:
            transfer.first_ends(now)
        self.caller.hang_up(passed_on(cause, self.caller.reasons), now)
        self._over(EndReason.NORMAL, HangupSource.CALLEE, at, self.caller.progress.final, cause, now=now)

    # -- inside: the end ------------------------------------------------------------------------------------------

    def _end_from_switch(
        self, reason: EndReason, at: Instant, now: Instant | None = None, proof: Instant | None = None
    ) -> None:
        """Send BYE to both legs; ``proof``: the last one that a side was alive which has fallen silent."""
        now, at, dead = now or at, at.came, None
        if self.endpoint.doors is not None:
            self.take_answer_back(now)
        if reason in _PEER_VANISHED and self.lifetime is not None:
            legs, joined = self.conversation.parties, self.conversation.joined
            if joined is not None:  # by a transfer: the other side is in that call
                legs = [*legs, *joined.conversation.parties]
            at, dead = self.lifetime.billed_until(legs, at, self.settings.dead_call_billing, proof)
        self.conversation.drop_bridge(now)
        if self.conversation.transfer is not None:
            self.conversation.transfer.first_ends(now)
        if self.callee is not None:
            self.callee.hang_up(reason_headers(self.callee.reasons, reason, reason.q850_cause), now)
        self.caller.hang_up(reason_headers(self.caller.reasons, reason, reason.q850_cause), now)
        self._over(reason, HangupSource.SWITCH, at, self.caller.progress.final, dead=dead, now=now)

    def _end_as_dead(self, reason: EndReason, dead: DeadCall, now: Instant) -> None:
        """End with the joined call, one of whose peers has vanished: for the same reason, and by the same proof.

        A limit of this call that came before that was noticed holds, because timers may run late.
        """
        if self.lifetime is None:
            return
        noticed_at = dead.noticed_at
        limit = self.lifetime.exceeded(self, noticed_at.mono - 1)
        if limit is not None and limit.reason not in _PEER_VANISHED:
            self._end_from_switch(limit.reason, limit.at, now)
        else:
            self._end_from_switch(reason, noticed_at if limit is None else min(noticed_at, limit.at), now, dead.proof)

    def _is_answer(self, leg: Leg, message: OutgoingSuccess) -> bool:
        """Return whether a 200 is that of the call to its caller, not of a re-INVITE or of a takeover."""
        if self.state is states.OVER or leg is not self.caller.leg or self.caller.progress.newcomer is not None:
            return False
        return message.acceptance is leg.acceptance and not leg.facts.is_confirmed

    def _undo_answer(
        self, answer: OutgoingSuccess, now: Instant, why: str = "Not Sent", fault: str | None = None
    ) -> None:
        """Be as before the caller's 200, which has not left: the customer does not pay.

        ``fault`` is that of its description.
        """
        if self.caller.inviter is not None:
            self.caller.inviter.undo_answer(answer, now)
        self.journey.answer_not_sent(why, fault)
        self.board.answer_taken_back()
        self.state, self.lifetime = states.ANSWERED, None

    def _has_only_paid(self, now: Instant) -> bool:
        """Hold more money for a call that is charged before its answer, or end it for want of money.

        False = the deadline was its own.
        """
        limit = self.board.money.unpaid(now)
        if limit is None:
            return self.board.money.is_early(now)
        self._give_up_callee(limit.reason, now)
        self._reject(limit.reason, _UNPAID_STATUS, None, HangupSource.SWITCH, now)
        return True

    def _give_up_callee(
        self, reason: EndReason, now: Instant, row: str = "", given: Mapping[str, int] = NO_CAUSES
    ) -> None:
        if self.search is not None:
            self.search.give_up(reason, row or reason.text, now, given)
        elif self.callee is not None:
            self.conversation.drop_bridge(now)
            self.callee.give_up(reason, now, given)

    def _reject(self, reason: EndReason, status: int, cause: int | None, source: HangupSource, now: Instant) -> None:
        cause = reason.q850_cause if cause is None else cause
        status = self.caller.dialect.sent_for(status)
        self.caller.reject(status, reason_headers(self.caller.reasons, reason, cause, status), now)
        self._over(reason, source, now, status, cause)

    def _refuse(self, refusal: Refusal, now: Instant) -> None:
        """End a call that a step of the set-up refuses; the trunk's map of codes applies."""
        reason, status = refusal.reason, refusal.status
        cause = q850_of_refusal(reason, self.caller.dialect.sent_for(status))
        if self.endpoint.doors is None or not self._is_announced(reason, status, cause, _SWITCH, now):
            self._reject(reason, status, cause, _SWITCH, now)

    def _answer_wait_ends(self) -> Instant:
        """Return until when our 200 waits for a PRACK of the caller: no longer than the vendor is paid for."""
        answered_at, paid_s = self.journey.vendor_answered_at or self.arrival.at, self.board.money.vendor_s
        return answered_at.plus(ANSWER_WAIT_MS if paid_s is None else min(ANSWER_WAIT_MS, 1_000 * paid_s))

    def _vendor_paid_until(self, at_last: Instant, hung_up_mono: int | None) -> int | None:
        """Return when the vendor's money was used up, where its 200 waited longer than that, or it had hung up.

        None = at the end.
        """
        came, paid_s = self.journey.vendor_answered_at, self.board.money.vendor_s
        if came is None or paid_s is None or self.journey.invited_at is not None:
            return hung_up_mono
        return min(at_last.mono if hung_up_mono is None else hung_up_mono, came.mono + 1_000 * paid_s)

    def _over(
        self, reason: EndReason, source: HangupSource, at: Instant, code: int | None, cause: int | None = None,
        dead: DeadCall | None = None, now: Instant | None = None,
    ) -> None:  # fmt: skip
        if self.state is states.ANNOUNCING and self.journey.announced is None and self.search is not None:
            self.search.sound_ended(now or at)
        at = at.came if at.waited_ms else at  # no limit is passed by waiting
        if self.state is states.ANSWERED and (until := self._answer_wait_ends()).mono < at.mono:
            at = until  # the vendor is paid for no longer
        if self.journey.invited_at is not None and self.lifetime is None:
            limit = self.board.money.unpaid(at)
            at = at if limit is None else limit.at
        at_last = self.journey.ended_at(at, self.arrival)
        text = None if source is _SWITCH else self.journey.reason_text
        cause = reason.q850_cause if cause is None else cause
        # a BYE or CANCEL that waited for the start, with the 200 before it, is older than our own 200
        vendor_mono = at.mono if source is not _SWITCH and at.mono < at_last.mono else None
        if self.lifetime is not None and self.lifetime.granted.granted_s <= 0:
            vendor_mono = self._vendor_paid_until(at_last, vendor_mono)
        ending = Ending(reason, source, at_last, code, cause, dead, text, vendor_mono)
        self.state = states.OVER
        if self.callee is not None and not self.callee.progress.has_left:
            self.board.gateways.vacate(self.callee.choice)
        conversation = self.conversation
        transfer, conversation.transfer = conversation.transfer, None
        joined, conversation.joined = conversation.joined, None
        for attempt in self.refused:
            self.endpoint.dialogs.refused.pop(attempt.tag, None)
        self.refused = ()
        self.board.over(ending)
        noticed_at = at if dead is None else dead.noticed_at
        if joined is not None:
            joined.conversation.partner_ended(noticed_at, now or at, ending)
        if transfer is not None:
            transfer.ended(self, noticed_at, now or at)
        # A call and its legs refer to each other: cutting that frees them now instead of at a garbage collection.
        self.callee = None
        self.search = None
        conversation.bridge = None
        del self.caller, conversation.call
