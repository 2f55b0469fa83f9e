"""A call from its INVITE to its end: set-up, hunting, conversation, release.

Each public method is an event, with the instant of its packet or deadline; it does all that follows and leaves the
call in one state of ``states``. A call has one deadline at every moment (ADR 10).
"""

from vosd.b2bua import states, talk
from vosd.b2bua.attempt_progress import AttemptProgress
from vosd.b2bua.callee_leg import CalleeLeg
from vosd.b2bua.caller_leg import CallerLeg
from vosd.b2bua.conversation import CallConversation
from vosd.b2bua.given_up import GivenUp
from vosd.b2bua.hunt import Hunt, NextHop, own_deadline
from vosd.b2bua.leg import RINGING, Leg
from vosd.b2bua.lifetime import Granted, Lifetime
from vosd.b2bua.ports import Answer, Decision
from vosd.b2bua.reasons import reason_headers
from vosd.b2bua.states import ACCEPTED, CallEvent
from vosd.b2bua.takeover import in_place_of
from vosd.base.cause import EndReason, HangupSource
from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.cdr.record import Attempt
from vosd.routing.failover import AttemptOutcome, tries_next, verdict
from vosd.routing.pipeline import RouteChoice
from vosd.sdp.codec import first_audio_codec
from vosd.sdp.pairing import answer_of
from vosd.sip.events import RequestArrived
from vosd.sip.headers.reason import SIP
from vosd.sip.transaction.invite_server import InviteServer
from vosd.sip.wire.message import Response
from vosd.trunks.gateways import Address


class Call(CallConversation):
    """One call: what leads to its answer, and its deadline."""

    __slots__ = ()

    # -- the set-up ---------------------------------------------------------------------------------------------

    def begin(self, now: Instant) -> None:
        """Send the caller 100, then try the first gateway, or ask what the set-up waits for."""
        self.caller.begin(now)
        if self._asks:
            self._set_up(self._board.ask(now), now)
        else:
            self._try_next(now)

    def question_answered(self, answer: Answer, now: Instant) -> None:
        """Go on with the set-up by the answer to its open question."""
        if self._accepts(CallEvent.QUESTION_ANSWERED):
            self._set_up(self._board.settle(answer, now), now)

    # -- hunting ------------------------------------------------------------------------------------------------

    def progressed(self, leg: CalleeLeg, status: int, session: bytes, now: Instant) -> None:
        """Handle a provisional response: the gateway is trying (100), rings, or sends early media."""
        if leg is not self.callee or states.PROGRESS not in ACCEPTED[self.state]:
            return
        self._board.set_deadline(leg.waits_until_ms())
        if status not in RINGING:
            if leg.choice.protect_times:
                self.hunt.wait(self, leg, leg.waits_until_ms(), now)
            return
        self._board.attempt_rings(leg)
        self.state = states.RINGING
        self.journey.note_ringing(now.came)
        self.caller.ring(status, session, now)

    def early_answer_came(self, session: bytes, now: Instant) -> None:
        """Forward the caller's answer, which came in a PRACK, to the offer of a ringing gateway."""
        if self._accepts(CallEvent.EARLY_ANSWER) and self.callee is not None:
            self.callee.answer_early_offer(session, now)

    def fork_changed(self, before: str, after: str, now: Instant, *, answers: bool) -> None:
        """Prepare the caller for another fork of the INVITE, which sends early media or answers."""
        self.drop_bridge(now)
        self.caller.switch_fork(before, after, now, answers=answers)

    def attempt_failed(self, leg: CalleeLeg, response: Response, now: Instant) -> None:
        """Handle a final refusal of a gateway."""
        if leg is not self.callee or not self._accepts(CallEvent.ATTEMPT_FAILED):
            return
        self._board.refused(leg, response, now)
        outcome = leg.refusal(response)
        goes_on = self.hunt.continues_at_gateway(leg.choice, outcome, response)
        self._attempt_over(leg, outcome, now, code=response.status, goes_on=goes_on)

    def attempt_silent(self, leg: CalleeLeg, outcome: AttemptOutcome, now: Instant) -> None:
        """Handle a gateway that sent no response, or could not be reached."""
        if leg is self.callee and self._accepts(CallEvent.ATTEMPT_FAILED):
            self._attempt_over(leg, outcome, now)

    def answered(self, leg: CalleeLeg, now: Instant) -> None:
        """Handle the answer of a gateway: the vendor charges from now on."""
        if leg is not self.callee or states.ANSWER not in ACCEPTED[self.state]:
            return
        self.state = states.ANSWERED
        has_answer = bool(self.caller.offer) or leg.progress.is_settled
        # Without an offer of the caller the answer is its own: it was sent to the gateway in a PRACK (``said``), or
        # comes in the caller's ACK, and only then the gateway's 200 is acknowledged (``acknowledged``).
        answer = leg.answer if self.caller.offer else leg.sessions.said
        codec = vendor_codec = first_audio_codec(answer) if has_answer else None
        if self.caller.progress.is_settled and self.caller.offer and self.caller.leg is not None:
            codec = first_audio_codec(self.caller.leg.sessions.said)  # answered before the 200
        self.journey.answered(
            leg.attempt(200, "Answered", now), codec, vendor_codec, now.came if now.waited_ms else now
        )
        if has_answer:
            leg.acknowledge(b"")
        del self.hunt  # hunting is over
        if not self.caller.awaits_prack:
            if not self.caller_answered(now):
                return
        elif self._board.answer_waits():
            self.watch()
        else:
            self._refuse_unwritten(leg, now)
            return
        self.caller.answer(leg.answer, now)
        self.watch()

    def caller_answered(self, now: Instant) -> bool:
        """Start charging the caller, whose 200 need not wait for a PRACK; False = the 200 must not be sent.

        ``watch`` is called after the 200, which begins the session of the caller.
        """
        if self.state is not states.ANSWERED or self.callee is None:
            return False
        journey, answered_at = self.journey, Instant(now.mono, now.wall)
        came = journey.vendor_answered_at
        if came is not None and now.mono > came.mono and now.mono >= self._answer_wait_ends().mono:
            self.caller_unreachable(now)  # the PRACK came when the timer was due already
            return False
        journey.answered_at = answered_at
        journey.progress_at = journey.progress_at or answered_at
        granted_s = self._board.answered()
        if granted_s is None:
            self._refuse_unwritten(self.callee, now)
            return False
        self.state = states.TALKING
        self.lifetime = Lifetime(self._board, Granted(answered_at, granted_s, paid_from=journey.invited_at))
        return True

    def unwanted_answer(self, row: Attempt, now: Instant, given_up: GivenUp | None) -> None:
        """Record the answer of another fork, or of an attempt given up: the vendor may charge for it."""
        if self.state is not states.OVER:
            self.journey.late_answer(row)
        self._board.unwanted_answer(row, now, given_up)

    # -- requests between the legs -----------------------------------------------------------------------------

    def asked(self, leg: Leg, event: RequestArrived) -> None:
        """Handle an INVITE, UPDATE, INFO or REFER of a leg."""
        talk.asked(self, leg, event, self._board)

    def take_over(self, newcomer: CallerLeg, replaced: Leg, server: InviteServer, now: Instant) -> bool:
        """Let a newcomer replace a leg (RFC 3891); False = not in this state."""
        if self.callee is None or not self.is_conversing or self.transfer is not None:
            return False
        return self.talk(self.callee).take_over(self, replaced, newcomer, server, now)

    def pick_up(self, newcomer: CallerLeg, choice: RouteChoice, now: Instant) -> int:
        """Answer a call that rings by another phone (RFC 3891 section 3); return the status if that is refused, else 0.

        The offers of both are answers to each other. ``choice`` is the route to the newcomer, in place of the phone
        that rings, which is cancelled.
        """
        ringing, caller = self.callee, self.caller
        if ringing is None or states.ANSWER not in ACCEPTED[self.state] or self.transfer is not None:
            return 481
        to_newcomer, to_caller = answer_of(newcomer.offer, caller.offer), answer_of(caller.offer, newcomer.offer)
        if not (to_newcomer and to_caller):
            return 488
        peer = newcomer.invite_dialog.peer
        if not self._board.occupy((choice, Address(peer.host, peer.port)), now):
            return 486
        self.drop_bridge(now)
        ringing.give_up(EndReason.CANCELLED, now, {SIP: 200})
        self.journey.attempts.append(ringing.attempt(0, "Picked Up Elsewhere", now))
        self._board.attempt_over(ringing, None, now)
        caller.begin_attempt(now)
        newcomer.answer(to_newcomer, now)
        leg = self.callee = in_place_of(ringing, newcomer, self.endpoint, now, choice)
        leg.answer = to_caller
        self.journey.note_attempt(choice, newcomer.invite_dialog.call_id, str(peer))
        if self.settings.charges_ringing and not self._begin_to_charge(now):
            return 0
        self.answered(leg, now)
        self.moved(at_once=True)
        return 0

    # -- the end ------------------------------------------------------------------------------------------------

    def deadline_due(self, now: Instant) -> None:
        """Handle the deadline of the call: of a question, a response, ringing, a session, or the money."""
        if not self._accepts(CallEvent.DEADLINE):
            return
        if self.state is states.TALKING:
            self.examine(now)
            return
        if self.state is states.ANSWERED:
            self._refresh_sessions(now)
            if self.journey.invited_at is not None and self._has_only_paid(now):
                return
            if now.mono < self._answer_wait_ends().mono:
                self.watch()
            else:
                self.caller_unreachable(now)
            return
        if self.state is states.SETUP:
            self._set_up(self._board.settle(None, now), now)
            return
        leg, next_hop = self.callee, None
        if leg is None or (self.journey.invited_at is not None and self._has_only_paid(now)):
            return
        is_telling = True
        outcome = leg.timed_out()
        may_leave = tries_next(leg.choice.gateway, outcome)
        if leg.choice.protect_times and now.mono < (until_ms := own_deadline(leg)):
            next_hop = self.hunt.take(self, now, only_protected=True) if may_leave else None
            if next_hop is None:
                self.hunt.wait(self, leg, until_ms, now)
                return
            is_telling = leg.given_up(now) is not None
        # ``progress_timeout`` has passed after 100 alone: leave the gateway only if there is another one to try.
        elif leg.is_only_trying and now.mono < leg.rings_until_ms:
            next_hop = self.hunt.take(self, now) if may_leave else None
            if next_hop is None:
                self.hunt.wait(self, leg, leg.rings_until_ms, now)
                return
        leg.leave(outcome, now)
        self._attempt_over(leg, outcome, now, next_hop=next_hop, is_telling=is_telling)

    def end(self, reason: EndReason, now: Instant) -> None:
        """End the call by order (``vosd hangup``, a stop of the switch)."""
        if not self._accepts(CallEvent.ORDERED_END):
            return
        if self.state is states.TALKING:
            if not self.check_limits(now):
                self._end_from_switch(reason, now)
            return
        self._give_up_callee(reason, now)
        self._reject(reason, 503, None, HangupSource.SWITCH, now)

    def _set_up(self, decision: Decision, now: Instant) -> None:
        """Act on the decision of the set-up."""
        if isinstance(decision, Refusal):
            self._refuse(decision, now)
        elif decision is not None:
            self.hunt = Hunt(decision, self._board, self.endpoint.flows)
            self._try_next(now)

    def _try_next(self, now: Instant, next_hop: NextHop | None = None) -> None:
        """Send an INVITE to ``next_hop``, else to the next gateway that has room; end the call if there is none."""
        next_hop = next_hop or self.hunt.take(self, now)
        if next_hop is None:
            self._search_failed(now)
            return
        choice, address = next_hop
        if self.state is not states.SETUP:
            self.caller.begin_attempt(now)
        self.state = states.HUNTING
        try:
            leg = CalleeLeg(self.endpoint, self, choice, address, AttemptProgress(now))
            sip_call_id = leg.begin(self.caller.offer, self.hops, now)
            self.callee = leg
        finally:
            if self.callee is None:  # an error occurred: nothing else releases the capacity of the gateway
                self._board.vacate(choice)
        self.journey.note_attempt(choice, sip_call_id, str(leg.peer))
        if self.settings.charges_ringing and not self._begin_to_charge(now):
            return
        self._board.set_deadline(now.mono + choice.gateway.response_timeout_ms)
        if choice.protect_times:
            self.hunt.wait(self, leg, own_deadline(leg), now)

    def _attempt_over(
        self, leg: CalleeLeg, outcome: AttemptOutcome, now: Instant, *, code: int = 0, goes_on: bool = False,
        next_hop: NextHop | None = None, is_telling: bool = True,
    ) -> None:  # fmt: skip
        """Record an attempt, and try the next one; capacity for ``next_hop`` is reserved already.

        ``code`` is the gateway's own; ``goes_on``: its other addresses are tried even if no other gateway would be;
        ``is_telling``: whether the outcome says anything of the vendor.
        """
        self.hunt.note(leg.choice, outcome, redirected=goes_on)
        self.journey.attempts.append(leg.attempt(code, verdict([outcome]).reason.text, now))
        self._board.attempt_over(leg, outcome if is_telling else None, now)
        self.drop_bridge(now)
        leg.close(now)
        self.callee = None
        if goes_on or tries_next(leg.choice.gateway, outcome):
            self._try_next(now, next_hop)
        else:
            self._search_failed(now)

    def _search_failed(self, now: Instant) -> None:
        reason, status, cause, source, self.journey.reason_text = self.hunt.failure()
        self._reject(reason, status, cause, source, now)

    def _refuse_unwritten(self, leg: CalleeLeg, now: Instant) -> None:
        """End a call whose answer cannot be journalled: the caller gets 503 and pays nothing."""
        self.journey.answer_not_written()
        leg.hang_up(reason_headers(leg.reasons, EndReason.OVERLOAD, EndReason.OVERLOAD.q850_cause), now)
        self._reject(EndReason.OVERLOAD, 503, None, HangupSource.SWITCH, now)
