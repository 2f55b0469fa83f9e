"""A call from its INVITE to its end: set-up, hunting, conversation, release.

Each public method is an event, with the instant of its packet or deadline; it does all that follows and leaves the
call in one state of ``states``. A call has one deadline at every moment (ADR 10).
"""

from collections.abc import Mapping, Sequence
from typing import Final

from vosd.b2bua import states, talk
from vosd.b2bua.attempt import GatewayAttempt
from vosd.b2bua.attempt_progress import AttemptProgress
from vosd.b2bua.bridge import Bridge
from vosd.b2bua.caller import Caller
from vosd.b2bua.caller_side import CallerSide
from vosd.b2bua.given_up import GivenUp
from vosd.b2bua.hunt import Hunt, NextHop, is_trying
from vosd.b2bua.leg import RINGING, Leg
from vosd.b2bua.lifetime import ANSWER_WAIT_MS, Granted, Lifetime
from vosd.b2bua.outgoing.reasons import NO_CAUSES, passed_on, reason_headers
from vosd.b2bua.outgoing.signatures import CallerAttestation
from vosd.b2bua.ports import Decision, SetupAnswer, Switchboard
from vosd.b2bua.settings import CallSettings
from vosd.b2bua.stamps import Announced, Arrival, DeadCall, Ending, GatewayPlaying, Journey
from vosd.b2bua.states import ACCEPTED, CallEvent
from vosd.b2bua.takeover import in_place_of
from vosd.b2bua.transfer import CallTransfer
from vosd.base.cause import EndReason, HangupSource, q850_of_status
from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.cdr.record import (
    ANNOUNCEMENT,
    ANSWERED_ELSEWHERE,
    LATE_ANSWER,
    PICKED_UP_ELSEWHERE,
    REFUSED_ELSEWHERE,
    Attempt,
)
from vosd.media.leg_media import MediaRefusal
from vosd.routing.failover import AttemptOutcome, tries_next, verdict
from vosd.routing.pipeline import RouteChoice
from vosd.sdp.codec import first_audio_codec
from vosd.sdp.pairing import answer_of
from vosd.sip.door.messages import OutgoingInvite, OutgoingSuccess
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import RequestArrived
from vosd.sip.headers.reason import Q850, SIP
from vosd.sip.transaction.invite_server import InviteServer
from vosd.sip.wire.message import Message, Response
from vosd.trunks.announcements import GatewaySound
from vosd.trunks.gateways import Address

_ELSEWHERE: Final[Mapping[str, int]] = {SIP: 200}
"""Cause of the CANCEL to a telephone whose call another one has taken: it lists no missed call (RFC 3326 3.1)."""
TOGETHER_MAX: Final = 20
"""Most telephones of a call that ring at the same time; the others ring when none of these has answered."""
_PEER_VANISHED: Final = frozenset({EndReason.SESSION_TIMEOUT, EndReason.NO_MEDIA})
_SWITCH: Final = HangupSource.SWITCH  # access to enum members is slow
_WITHHELD: Final = {
    MediaRefusal.NO_COMMON_CODEC: EndReason.NO_COMMON_CODEC,
    MediaRefusal.BAD_SESSION: EndReason.NO_COMMON_CODEC,
    MediaRefusal.NOT_ENCRYPTED: EndReason.NO_COMMON_CODEC,
    MediaRefusal.NO_MEDIA_PORT: EndReason.NO_MEDIA_PORT,
}
"""End reason of an attempt whose INVITE was not sent."""
_RINGING: Final = 180
_PROGRESS: Final = 183
_UNPAID_STATUS: Final = 402
"""The caller gets it where the money ends before the answer."""


class Call:
    """One call: its two sides, its state, its history, and what each event makes of them."""

    __slots__ = (
        "_asks",
        "_board",
        "arrival",
        "beside",
        "bridge",
        "callee",
        "caller",
        "ending",
        "endpoint",
        "hops",
        "hunt",
        "journey",
        "lifetime",
        "settings",
        "state",
        "to_forward",
        "transfer",
    )
    __deletable__ = ("caller", "hunt")  # for a compiler (ADR 84)

    def __init__(
        self,
        arrival: Arrival,
        caller: CallerSide,
        hunt: Hunt | None,
        hops: int,
        endpoint: Endpoint,
        board: Switchboard,
        settings: CallSettings,
        *,
        asks: bool = False,
    ) -> None:
        """``hunt`` is None once the call is answered; ``asks``: a question of its set-up has to be answered first."""
        self.arrival = arrival
        self.caller = caller
        caller.call = self
        if caller.leg is not None:
            caller.leg.call = self
        self.callee: GatewayAttempt | None = None
        """The attempt in progress, of several the foremost one: its responses and media go to the caller."""
        self.beside: tuple[GatewayAttempt, ...] = ()
        """Attempts in progress beside the foremost one: telephones that ring together."""
        self.transfer: CallTransfer | None = None
        self.bridge: Bridge | None = None
        """Bridge between the two legs; made when the first request within a dialog needs it."""
        self.state = states.SETUP
        self.journey = Journey()
        self.ending: Ending | None = None
        self.to_forward: Message | None = None
        self.endpoint = endpoint
        self._asks = asks
        if hunt is not None:
            self.hunt = hunt
        self.hops = hops
        self._board = board
        self.settings = settings
        self.lifetime: Lifetime | None = None
        """Time limit, once the call is answered."""

    def __repr__(self) -> str:
        return f"<Call {self.arrival.call_id} {self.state.name}>"

    @property
    def customer(self) -> str | None:
        """Name of the trunk that the call came from."""
        return self._board.customer

    @property
    def account(self) -> str:
        """Id of the account that the call came from; empty if it is unknown."""
        return self._board.account

    def attested(self, choice: RouteChoice) -> CallerAttestation:
        """Return what we attest of the call that is sent to a gateway."""
        return self._board.attested(choice)

    @property
    def legs(self) -> int:
        """Return the number of established legs."""
        return 0 if self.state is states.OVER else 1 + (self.callee is not None) + len(self.beside)

    @property
    def parties(self) -> Sequence[Leg]:
        """The legs that take part, the caller's first."""
        callee = None if self.callee is None else self.callee.leg
        return [leg for leg in (self.caller.leg, callee) if leg is not None]

    @property
    def all_legs(self) -> Sequence[Leg]:
        """The legs that take part, the caller's first, and those of attempts beside the foremost one."""
        return [*self.parties, *(each.leg for each in self.beside)]

    @property
    def occupied(self) -> Sequence[RouteChoice]:
        """The routes whose capacity is taken: of attempts, those to one phone once, or of a gateway's sound."""
        if self.callee is not None:
            return list({each.choice.gateway.name: each.choice for each in self._in_progress}.values())
        is_playing = self.state is states.ANNOUNCING and self.journey.announced is None
        return [self.journey.choice] if is_playing and self.journey.choice is not None else []

    def attempt_of(self, leg: Leg) -> GatewayAttempt | None:
        """Return the attempt that a leg is of, in progress or answered."""
        callee = self.callee
        if callee is None or callee.leg is leg:
            return callee
        return next((each for each in self.beside if each.leg is leg), None)

    @property
    def is_conversing(self) -> bool:
        """Return whether both legs are established and have agreed on a session."""
        if self.state is not states.TALKING or self.callee is None or not self.callee.progress.acknowledged:
            return False
        return self.bridge is not None or self.caller.leg is not None

    def drop_bridge(self, now: Instant) -> None:
        """Abandon a change of the session in progress, before the dialogs end."""
        bridge, self.bridge = self.bridge, None
        if bridge is not None:
            bridge.over(now)

    def talk(self, callee: GatewayAttempt) -> Bridge:
        """Return the bridge between the two legs."""
        if self.bridge is None:
            caller = self.caller.leg
            if caller is None:
                raise RuntimeError(f"the customer has left {self!r}")
            self.bridge = Bridge(self.endpoint, caller, callee.leg)
        return self.bridge

    # -- the set-up ---------------------------------------------------------------------------------------------

    def begin(self, now: Instant) -> None:
        """Send the caller 100, then try the first gateway, or ask what the set-up waits for."""
        self.caller.begin(now)
        if self._asks:
            self._set_up(self._board.ask(now), now)
        else:
            self._try_next(now)

    def begin_refused(self, refusal: Refusal, now: Instant) -> None:
        """Send the caller 100, then refuse it, after an announcement."""
        self.caller.begin(now)
        self._refuse(refusal, now)

    def question_answered(self, answer: SetupAnswer, now: Instant) -> None:
        """Go on with the set-up by the answer to its open question."""
        if self._accepts(CallEvent.QUESTION_ANSWERED):
            self._set_up(self._board.settle(answer, now), now)

    # -- hunting ------------------------------------------------------------------------------------------------

    def progressed(self, attempt: GatewayAttempt, status: int, session: bytes, now: Instant) -> None:
        """Handle a provisional response: the gateway is trying (100), rings, or sends early media."""
        if (attempt is not self.callee and attempt not in self.beside) or states.PROGRESS not in ACCEPTED[self.state]:
            return
        if self.beside:
            self._progressed_beside(attempt, status, session, now)
            return
        self._board.set_deadline(attempt.progress.waits_until_ms(attempt.choice.gateway))
        if status not in RINGING:
            if attempt.choice.protect_times:
                self.hunt.wait(self, attempt, attempt.progress.waits_until_ms(attempt.choice.gateway), now)
            return
        self._board.attempt_rings(attempt)
        self.state = states.RINGING
        self.journey.note_ringing(now.came)
        self.caller.ring(status, session, now)

    def target_rings(self, session: bytes, now: Instant) -> None:
        """Let the side that is transferred be played what the target sends, or ring-back."""
        self._board.target_rings(session, now)

    def early_answer_came(self, session: bytes, now: Instant) -> None:
        """Forward the caller's answer, which came in a PRACK, to the offer of a ringing gateway."""
        if self._accepts(CallEvent.EARLY_ANSWER) and self.callee is not None:
            self.callee.answer_early_offer(session, now)

    def fork_changed(self, attempt: GatewayAttempt, before: str, after: str, now: Instant, *, answers: bool) -> None:
        """Prepare the caller for another fork of the INVITE, which sends early media or answers."""
        if attempt is self.callee:
            self.drop_bridge(now)
            self.caller.switch_fork(before, after, now, answers=answers)

    def attempt_failed(self, attempt: GatewayAttempt, response: Response, now: Instant) -> None:
        """Handle a final refusal of a gateway."""
        if not self._awaits(attempt):
            return
        self._board.refused(attempt, response, now)
        outcome = attempt.refusal(response)
        goes_on = self.hunt.continues_at_gateway(attempt.choice, outcome, response)
        self._attempt_over(attempt, outcome, now, code=response.status, goes_on=goes_on)

    def answer_unusable(self, attempt: GatewayAttempt, now: Instant) -> None:
        """Hang up a gateway whose description the caller cannot be sent, and try the next one; the vendor charges."""
        if not self._awaits(attempt):
            self.answered(attempt, now)
            return
        media = attempt.leg.facts.media
        refusal = None if media is None else media.refusal
        reason = EndReason.NO_COMMON_CODEC if refusal is None else _WITHHELD[refusal]
        self._board.unwanted_answer(attempt.row(200, LATE_ANSWER, now), now, attempt.remembered())
        attempt.give_up(reason, now)
        self._attempt_over(attempt, AttemptOutcome.withheld(reason), now, code=200, is_telling=False)

    def attempt_silent(self, attempt: GatewayAttempt, outcome: AttemptOutcome, now: Instant) -> None:
        """Handle a gateway that sent no response, or could not be reached."""
        if self._awaits(attempt):
            self._attempt_over(attempt, outcome, now)

    def sent(self, leg: Leg, message: OutgoingInvite | OutgoingSuccess, now: Instant) -> None:
        """Count the time of a gateway, or report the answer, from now on: the message had to wait."""
        attempt = self.attempt_of(leg)
        if isinstance(message, OutgoingSuccess):
            if self._is_answer(leg, message):
                self._board.answer_sent()
                self.watch()  # the ports of its media are known now
                self.moved()
        elif attempt is not None and self._accepts(CallEvent.ATTEMPT_FAILED):
            if message.parts.sequence > 1:
                return  # it follows a 422: the time of its attempt goes on
            attempt.progress.started_at = now
            self._wait(attempt, now)

    def answer_left(self, leg: Leg, message: OutgoingSuccess) -> None:
        """Report the answer, which has left at once."""
        if self._is_answer(leg, message):
            self._board.answer_sent()

    def not_sent(self, leg: Leg, message: OutgoingInvite | OutgoingSuccess, now: Instant) -> bool:
        """Try the next gateway, or end a call whose 200 could not be sent; False = it is the 200 to another INVITE."""
        attempt = self.attempt_of(leg)
        if isinstance(message, OutgoingSuccess):
            if not self._is_answer(leg, message):
                return False
            self._undo_answer(message, now)
            self._give_up_callee(EndReason.UNAVAILABLE, now)
            self._reject(EndReason.UNAVAILABLE, 503, None, HangupSource.SWITCH, now)
        elif attempt is not None and self._accepts(CallEvent.ATTEMPT_FAILED):
            media = leg.facts.media
            refusal = None if media is None else media.refusal
            outcome = AttemptOutcome.final(500) if refusal is None else AttemptOutcome.withheld(_WITHHELD[refusal])
            self._attempt_over(attempt, outcome, now, is_telling=False)  # it says nothing of the vendor
        return True

    def answered(self, attempt: GatewayAttempt, now: Instant) -> None:
        """Handle the answer of a gateway: the vendor charges from now on."""
        if (attempt is not self.callee and attempt not in self.beside) or states.ANSWER not in ACCEPTED[self.state]:
            return
        if self.beside:
            self._won(attempt, ANSWERED_ELSEWHERE, now)
        self.state = states.ANSWERED
        has_answer = bool(self.caller.offer) or attempt.progress.is_settled
        # Without an offer of the caller the answer is its own: it was sent to the gateway in a PRACK (``said``), or
        # comes in the caller's ACK, and only then the gateway's 200 is acknowledged (``acknowledged``).
        answer = attempt.answer if self.caller.offer else attempt.leg.sessions.said
        codec = vendor_codec = first_audio_codec(answer) if has_answer else None
        if self.caller.progress.is_settled and self.caller.offer and self.caller.leg is not None:
            codec = first_audio_codec(self.caller.leg.sessions.said)  # answered before the 200
        self.journey.answered(
            attempt.row(200, "Answered", now),
            codec,
            vendor_codec,
            now.came if now.waited_ms else now,
        )
        if has_answer:
            attempt.acknowledge(b"", now)
        del self.hunt  # hunting is over
        if not self.caller.awaits_prack:
            if not self.caller_answered(now):
                return
        elif self._board.answer_waits():
            self.watch()
        else:
            self._refuse_unwritten(attempt, now)
            return
        self.caller.answer(attempt.answer, now)
        self.to_forward = None
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

    def take_answer_back(self, now: Instant) -> bool:
        """Take the caller's 200 back if it waits to leave: the call is as before, and the customer does not pay."""
        leg = self.caller.leg
        if leg is None or leg.door is None or leg.acceptance is None or leg.facts.is_confirmed:
            return False
        answer = leg.door.withdraw(leg.acceptance, now)
        if isinstance(answer, OutgoingSuccess):
            self._undo_answer(answer, now)
            return True
        return False

    def unwanted_answer(self, row: Attempt, now: Instant, given_up: GivenUp) -> None:
        """Record the answer of another fork, or of an attempt given up: the vendor charges for it."""
        if self.state is not states.OVER:
            self.journey.late_answer(row)
        self._board.unwanted_answer(row, now, given_up)

    # -- requests between the legs -----------------------------------------------------------------------------

    def asked(self, leg: Leg, event: RequestArrived) -> None:
        """Handle an INVITE, UPDATE, INFO or REFER of a leg."""
        talk.asked(self, leg, event, self._board)

    def take_over(self, newcomer: Caller, replaced: Leg, server: InviteServer, now: Instant) -> bool:
        """Let a newcomer replace a leg (RFC 3891); False = not in this state."""
        if self.callee is None or not self.is_conversing or self.transfer is not None:
            return False
        return self.talk(self.callee).take_over(self, replaced, newcomer, server, now)

    def pick_up(self, newcomer: Caller, replaced: Leg, choice: RouteChoice, now: Instant) -> int:
        """Answer a call that rings by another phone (RFC 3891 section 3); return the status if that is refused, else 0.

        The offers of both are answers to each other. ``choice`` is the route to the newcomer, in place of the phone
        that rings, which is cancelled with all that ring beside it.
        """
        ringing, caller = self.attempt_of(replaced), self.caller
        if ringing is None or states.ANSWER not in ACCEPTED[self.state] or self.transfer is not None:
            return 481
        to_newcomer, to_caller = answer_of(newcomer.offer, caller.offer), answer_of(caller.offer, newcomer.offer)
        if not (to_newcomer and to_caller):
            return 488
        peer = newcomer.dialog.peer
        next_hop = choice, Address(peer.host, peer.port)
        has_place = choice.gateway.name == ringing.choice.gateway.name
        if (
            self.beside and not has_place and is_trying(self._in_progress, choice.gateway.name)
        ):  # its own ringing call ends now
            self._won(ringing, PICKED_UP_ELSEWHERE, now)
        if not self._board.occupy(next_hop, now):
            return 486
        if self.beside:
            self._won(ringing, PICKED_UP_ELSEWHERE, now)
        self.drop_bridge(now)
        ringing.give_up(EndReason.CANCELLED, now, _ELSEWHERE)
        self.journey.attempts.append(ringing.row(0, PICKED_UP_ELSEWHERE, now))
        self._leave_place(ringing, None, now)
        caller.begin_attempt(now)
        newcomer.answer(to_newcomer, now)
        attempt = self.callee = in_place_of(ringing, newcomer, self.endpoint, now, choice)
        attempt.answer = to_caller
        self.journey.note_attempt(choice, newcomer.dialog.call_id, str(peer))
        if self.settings.charges_ringing and not self._begin_to_charge(now):
            return 0
        self.answered(attempt, now)
        self.moved(at_once=True)
        return 0

    # -- the conversation -----------------------------------------------------------------------------------------

    def acknowledged(self, leg: Leg, session: bytes, now: Instant) -> None:
        """Handle the ACK of our 200; the answer to a late offer is sent in the ACK to the other leg."""
        if states.ACK not in ACCEPTED[self.state] or self.callee is None:
            return
        is_caller = leg is self.caller.leg
        if is_caller and self.journey.acknowledged_at is None:
            self.journey.acknowledged(now.came)
            self._board.acknowledged(now)
        if self.bridge is not None and self.callee.progress.acknowledged:
            self.bridge.acknowledged(leg, session, now)
        elif is_caller and not self.callee.progress.acknowledged:
            self.journey.codec = self.journey.vendor_codec = first_audio_codec(session)
            self.callee.acknowledge(session, now)

    def taken_over(self, newcomer: Caller, far: Leg, now: Instant) -> Leg:
        """Replace a side by a newcomer whose session the far side has accepted (RFC 3891); send the old one BYE."""
        callee, caller = self.callee, self.caller
        leg = newcomer.leg
        if callee is None or far is callee.leg:
            self.caller = newcomer
            if self.bridge is not None and caller.leg is not None:
                self.bridge.replace(caller.leg, leg)
            caller.hang_up("", now)
        else:
            self.callee = in_place_of(callee, newcomer, self.endpoint, now)
            leg = self.callee.leg
            if self.bridge is not None:
                self.bridge.replace(callee.leg, leg)
            callee.hang_up("", now)
        self.watch()
        self.moved(at_once=True)
        return leg

    def moved(self, *, at_once: bool = False) -> None:
        """Journal the call as it is now, for the switch that goes on with it after a crash."""
        if self.state is states.TALKING:
            self._board.moved(at_once=at_once)

    def watch(self) -> None:
        """Set the deadline again, after the answer, or after a session was agreed or refreshed."""
        if self.state is states.TALKING and self.lifetime is not None:
            self.lifetime.watch(self)
        elif self.state is states.ANSWERED and self.callee is not None:
            supervision, until_ms = self.callee.leg.supervision, self._answer_wait_ends().mono
            self._board.set_deadline(until_ms if supervision is None else min(until_ms, supervision.facts.refresh_ms))

    def examine(self, now: Instant) -> None:
        """Send the refreshes that are due, then end a call that has reached a limit.

        In this order, because a session may be refreshed at the very instant at which it expires.
        """
        if self.state is states.TALKING:
            self._refresh_sessions(now)
            self._check_limits(now)

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

    def refresh_failed(self, leg: Leg, status: int, now: Instant) -> None:
        """Count a refresh that a leg refused; 408 = it did not answer."""
        callee = self.callee
        gateway = callee.choice.gateway.name if callee is not None and leg is callee.leg else None
        self._board.refresh_failed(gateway, status, now)

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

    def lost(self, leg: Leg, status: int, now: Instant) -> None:
        """End a call: a leg has no such dialog (481), does not answer (408), or accepts no session (488)."""
        if not self._accepts(CallEvent.LEG_LOST):
            return
        side = self._side_of(leg)
        if side is None:
            return  # it was replaced, and has its BYE
        if self._check_limits(now):
            return
        if side is self.caller and self.caller.progress.final is None:
            return  # it did not receive the 18x of its early dialog, and its INVITE still waits for our answer
        if status == 481 or self.state is states.ANSWERED:
            side.hang_up("", now)  # 481 may concern that request alone, and a leg that stays up is charged
            self.hung_up(leg, None, now)
        else:
            self._end_from_switch(EndReason.NO_COMMON_CODEC if status == 488 else EndReason.SESSION_TIMEOUT, now)

    def hung_up(self, leg: Leg | None, cause: int | None, now: Instant, at: Instant | None = None) -> None:
        """End a call that a leg has hung up with that Q.850 cause; ``at`` is when, if it is processed later.

        None = the side of a caller that has no leg any more.
        """
        if self.state is states.OVER:
            return
        if leg is self.caller.leg:
            if self.endpoint.doors is not None:
                self.take_answer_back(now)
            self._caller_hung_up(cause, at or now, now)
        elif self.callee is not None and leg is self.callee.leg:
            self._callee_hung_up(cause, now)

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
        self._over(reason, HangupSource.CALLER, now, 487)

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
        if self.state in (states.SETUP, states.ANNOUNCING):
            self._due_without_attempt(now)
            return
        attempt = self.callee
        if attempt is None or (self.journey.invited_at is not None and self._has_only_paid(now)):
            return
        if self.beside:
            self._due_together(now)
        else:
            self._attempt_due(attempt, now)

    def sound_failed(self, now: Instant) -> None:
        """Go on without the sound that the caller is played: it cannot be."""
        announced, playing, choice = self.journey.announced, self.journey.playing, self.journey.choice
        if self.state is not states.ANNOUNCING:
            return
        if announced is not None:
            self._announcement_over(announced, now)
        elif playing is not None and choice is not None:
            self._sound_over(choice, AttemptOutcome.withheld(EndReason.NO_MEDIA_PORT), playing.began_at, now)

    def end(self, reason: EndReason, now: Instant) -> None:
        """End the call by order (``vosd hangup``, a stop of the switch)."""
        if not self._accepts(CallEvent.ORDERED_END):
            return
        if self.state is states.TALKING:
            if not self._check_limits(now):
                self._end_from_switch(reason, now)
            return
        if self.state is states.ANNOUNCING and self.journey.announced is not None:
            self._announcement_over(self.journey.announced, now)
            return
        self._give_up_callee(reason, now)
        self._reject(reason, 503, None, HangupSource.SWITCH, now)

    def drop(self, now: Instant) -> None:
        """Close a call that could not be ended because of an error in the switch: its peers are sent nothing more."""
        self.take_answer_back(now)
        self.caller.close(now)
        for attempt in self._in_progress:
            attempt.close(now)
        for choice in self.occupied[1:]:
            self._board.vacate(choice)
        self.beside = ()
        at = now if self.lifetime is None else min(now, self.lifetime.granted_until)
        self._over(EndReason.LOST, HangupSource.SWITCH, at, self.caller.progress.final, now=now)

    # -- inside: set-up and hunting -------------------------------------------------------------------------------

    def _accepts(self, call_event: CallEvent) -> bool:
        return call_event in ACCEPTED[self.state]

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
        if choice.gateway.sound is not None:
            self._play(choice, choice.gateway.sound, now)
            return
        if self.state is not states.SETUP:
            self.caller.begin_attempt(now)
        self.state = states.HUNTING
        try:
            attempt = GatewayAttempt(self.endpoint, self, choice, address, AttemptProgress(now))
            sip_call_id = attempt.begin(self.caller.offer, self.hops, now)
            self.callee = attempt
        finally:
            if self.callee is None:  # an error occurred: nothing else releases the capacity of the gateway
                self._board.vacate(choice)
        self.journey.note_attempt(choice, sip_call_id, str(attempt.peer))
        if self.settings.charges_ringing and not self._begin_to_charge(now):
            return
        self._board.set_deadline(now.mono + choice.gateway.response_timeout_ms)
        if choice.protect_times:
            self.hunt.wait(self, attempt, attempt.own_deadline(), now)
        if choice.gateway.rings_with:
            self._ring_beside(attempt, now)

    def _attempt_due(self, attempt: GatewayAttempt, now: Instant) -> None:
        """Leave a gateway whose time is over, or one for which a protected gateway joins."""
        next_hop, is_telling = None, True
        outcome = attempt.timed_out()
        may_leave = tries_next(attempt.choice.gateway, outcome)
        if attempt.choice.protect_times and now.mono < (until_ms := attempt.own_deadline()):
            next_hop = self.hunt.take(self, now, only_protected=True) if may_leave else None
            if next_hop is None:
                self.hunt.wait(self, attempt, until_ms, now)
                return
            is_telling = attempt.given_up(now) is not None
        # ``progress_timeout`` has passed after 100 alone: leave the gateway only if there is another one to try.
        elif attempt.progress.is_only_trying(attempt.choice.gateway) and now.mono < attempt.progress.rings_until_ms(
            attempt.choice.gateway
        ):
            next_hop = self.hunt.take(self, now) if may_leave else None
            if next_hop is None:
                self.hunt.wait(self, attempt, attempt.progress.rings_until_ms(attempt.choice.gateway), now)
                return
        attempt.leave(outcome, now)
        is_telling = is_telling and not attempt.transaction.is_unsent
        self._attempt_over(attempt, outcome, now, next_hop=next_hop, is_telling=is_telling)

    def _attempt_over(
        self, attempt: GatewayAttempt, outcome: AttemptOutcome, now: Instant, *, code: int = 0, goes_on: bool = False,
        next_hop: NextHop | None = None, is_telling: bool = True,
    ) -> None:  # fmt: skip
        """Record an attempt, and try the next one; capacity for ``next_hop`` is reserved already.

        ``code`` is the gateway's own; ``goes_on``: its other addresses are tried even if no other gateway would be;
        ``is_telling``: whether the outcome says anything of the vendor.
        """
        if self.beside:
            self._one_over(attempt, outcome, now, code=code, is_telling=is_telling)
            return
        if attempt.choice.gateway.rings_with and not goes_on:
            self.hunt.note_beside(attempt.choice, outcome)  # the last of those that rang together
        else:
            self.hunt.note(attempt.choice, outcome, redirected=goes_on)
        text = verdict([outcome]).reason.text
        self.journey.attempts.append(attempt.row(code, text, now))
        self._leave_place(attempt, outcome if is_telling else None, now)
        self.drop_bridge(now)
        attempt.close(now)
        self.callee = None
        if goes_on or (tries_next(attempt.choice.gateway, outcome) and not self.hunt.is_refused):
            self._try_next(now, next_hop)
        else:
            self._search_failed(now)

    # -- inside: telephones that ring together --------------------------------------------------------------------

    def _awaits(self, attempt: GatewayAttempt) -> bool:
        """Return whether an attempt is in progress."""
        is_known = attempt is self.callee or attempt in self.beside
        return is_known and CallEvent.ATTEMPT_FAILED in ACCEPTED[self.state]

    def _leave_place(self, attempt: GatewayAttempt, outcome: AttemptOutcome | None, now: Instant) -> None:
        """Note the outcome of an attempt (None = nothing learnt of the vendor), and release what it has occupied.

        Attempts at one phone are one call of it: the last one gives its place back.
        """
        is_last = not self.beside or not self._shares_place(attempt)
        self._board.attempt_over(attempt, outcome, now, frees_place=is_last)

    def _shares_place(self, attempt: GatewayAttempt) -> bool:
        """Return whether another attempt in progress is at the same phone, which counts them as one call."""
        name = attempt.choice.gateway.name
        return any(each is not attempt and each.choice.gateway.name == name for each in self._in_progress)

    @property
    def _in_progress(self) -> tuple[GatewayAttempt, ...]:
        """The attempts in progress."""
        return self.beside if self.callee is None else (self.callee, *self.beside)

    def _wait(self, attempt: GatewayAttempt, now: Instant) -> None:
        """Set the deadline of an attempt, or the earliest one of several."""
        if self.beside:
            self._board.set_deadline(min(each.rings_until_ms() for each in self._in_progress))
        else:
            self.hunt.wait(self, attempt, attempt.own_deadline(), now)

    def _ring_beside(self, tried: GatewayAttempt, now: Instant) -> None:
        """Call the other telephones that ring together with the one that is tried."""
        gateway, journey = tried.choice.gateway, self.journey
        while len(self.beside) < TOGETHER_MAX - 1 and (
            next_hop := self.hunt.take_beside(gateway, self._in_progress, now)
        ):
            choice, address = next_hop
            attempt = GatewayAttempt(self.endpoint, self, choice, address, AttemptProgress(now))
            try:
                sip_call_id = attempt.begin(self.caller.offer, self.hops, now)
                self.beside = (*self.beside, attempt)
            finally:
                if attempt not in self.beside and not self._shares_place(attempt):
                    self._board.vacate(choice)
            if not journey.foremost_call_id:
                journey.note_together(journey.sip_call_ids_out[-1], gateway.name)
            journey.sip_call_ids_out.append(sip_call_id)
            journey.note_together(sip_call_id, choice.gateway.name)
        self._wait(tried, now)

    def _progressed_beside(self, attempt: GatewayAttempt, status: int, session: bytes, now: Instant) -> None:
        """Handle a provisional response of one of several telephones.

        The foremost one is that which has sent media last; while none has, the one that rang first.
        """
        self._wait(attempt, now)
        if status not in RINGING:
            return
        if attempt is not self.callee and (session or self.state is not states.RINGING):
            self._put_first(attempt, now)
        if attempt is self.callee:
            self._board.attempt_rings(attempt)
            self.state = states.RINGING
            self.journey.note_ringing(now.came)
            self.caller.ring(status, session, now)

    def _put_first(self, attempt: GatewayAttempt, now: Instant, *, answers: bool = False) -> None:
        """Make another one of several attempts the foremost; ``answers``: its telephone has answered."""
        before, self.callee = self.callee, attempt
        others = (each for each in (before, *self.beside) if each is not attempt and each is not None)
        self.beside = tuple(others)
        self._note_foremost(attempt)
        self.fork_changed(attempt, before.fork_shown if before else "", attempt.fork_shown, now, answers=answers)

    def _note_foremost(self, attempt: GatewayAttempt) -> None:
        sip_call_id, product = attempt.transaction.parts.call_id, attempt.progress.product
        self.journey.note_foremost(attempt.choice, sip_call_id, str(attempt.peer), product)

    def _won(self, attempt: GatewayAttempt, row: str, now: Instant) -> None:
        """Let one of several telephones be the callee, and cancel the others: the call is completed elsewhere."""
        if attempt is not self.callee:
            self._put_first(attempt, now, answers=True)
        for each in self.beside:
            self._cancel_beside(each, EndReason.CANCELLED, row, now, _ELSEWHERE)

    def _cancel_beside(
        self, attempt: GatewayAttempt, reason: EndReason, row: str, now: Instant, given: Mapping[str, int] = NO_CAUSES
    ) -> None:
        """Cancel an attempt beside the foremost one."""
        outcome = attempt.given_up(now)
        attempt.give_up(reason, now, given)
        self.journey.attempts.append(attempt.row(0, row, now))
        self._leave_place(attempt, outcome, now)
        self.beside = tuple(each for each in self.beside if each is not attempt)

    def _one_over(
        self, attempt: GatewayAttempt, outcome: AttemptOutcome, now: Instant, *, code: int, is_telling: bool
    ) -> None:
        """Record one of several attempts; the others go on, unless it has refused the call for all of them."""
        reason = verdict([outcome]).reason
        self.journey.attempts.append(attempt.row(code, reason.text, now))
        if self.hunt.note_beside(attempt.choice, outcome):
            self._note_foremost(attempt)
            others = tuple(each for each in self._in_progress if each is not attempt)
            self.callee, self.beside = attempt, others
            for each in others:
                self._cancel_beside(each, reason, REFUSED_ELSEWHERE, now)
            self._leave_place(attempt, outcome if is_telling else None, now)
            self.drop_bridge(now)
            attempt.close(now)
            self.callee = None
            if self.hunt.is_refused:
                self._search_failed(now)
            else:
                self._try_next(now)
            return
        self._leave_place(attempt, outcome if is_telling else None, now)
        if attempt is self.callee:
            self._put_another_first(now)
        self.beside = tuple(each for each in self.beside if each is not attempt)
        attempt.close(now)
        if self.callee is not None:
            self._wait(self.callee, now)

    def _put_another_first(self, now: Instant) -> None:
        """Put another attempt in place of the foremost one, which has failed; forward its media, or that it rings."""
        was_playing = self.caller.progress.sent_early_media
        attempt = max(self.beside, key=lambda each: (bool(each.fork_shown), each.progress.rang))
        self._put_first(attempt, now)
        if was_playing and attempt.progress.rang:
            early, self.to_forward = attempt.leg.early, None
            session = b"" if early is None else early.sessions.get(attempt.fork_shown, b"")
            self.caller.ring(_PROGRESS if session else _RINGING, session, now)

    def _due_together(self, now: Instant) -> None:
        """End those of several attempts whose time is over; the last one is not one of several."""
        for attempt in self._in_progress:
            if not self.beside or attempt.rings_until_ms() > now.mono:
                continue
            outcome = attempt.timed_out()
            attempt.leave(outcome, now)
            self._one_over(attempt, outcome, now, code=0, is_telling=not attempt.transaction.is_unsent)
        if self.callee is not None:
            self._wait(self.callee, now)

    # -- inside: sounds, and the end of the search ------------------------------------------------------------------

    def _play(self, choice: RouteChoice, sound: GatewaySound, now: Instant) -> None:
        """Play the caller the sound of a gateway; where that is not possible, try the next gateway.

        Of a call that is charged since a vendor was sent it, the gateway has its code alone: the customer would pay for
        the sound, and the record would lose that vendor.
        """
        if self.journey.invited_at is not None:
            self._sound_over(choice, AttemptOutcome.final(sound.code), now, now)
            return
        inviter = self.caller.inviter
        self.state, self.journey.choice = states.HUNTING, choice
        offer = None if inviter is None or self.endpoint.doors is None else self._board.gateway_sound(sound, now)
        if inviter is None or offer is None:
            self._sound_over(choice, AttemptOutcome.withheld(EndReason.NO_MEDIA_PORT), now, now)
            return
        self.state = states.ANNOUNCING
        self.journey.playing = GatewayPlaying(now.mono + offer.lasts_ms, Instant(now.mono, now.wall))
        inviter.begin_attempt(now)
        inviter.ring(_PROGRESS, offer.session, now)
        self._board.set_deadline(self.journey.playing.until_ms)

    def _sound_over(self, choice: RouteChoice, outcome: AttemptOutcome, began_at: Instant, now: Instant) -> None:
        """Go on after the sound of a gateway, as after the refusal of a vendor."""
        self._note_sound(choice, outcome.code, began_at, now)
        self.state = states.HUNTING
        self.hunt.note(choice, outcome)
        if tries_next(choice.gateway, outcome):
            self._try_next(now)
        else:
            self._search_failed(now)

    def _note_sound(self, choice: RouteChoice, code: int, began_at: Instant, now: Instant) -> None:
        """Record that the sound of a gateway is over, and release its capacity."""
        self._board.announcement_over(now)
        lasted_ms = max(0, now.mono - began_at.mono)
        self.journey.attempts.append(Attempt(choice.gateway.name, code, lasted_ms, None, ANNOUNCEMENT))
        self._board.vacate(choice)

    def _due_without_attempt(self, now: Instant) -> None:
        """Handle the deadline of a question, or of an announcement."""
        announced, playing, choice = self.journey.announced, self.journey.playing, self.journey.choice
        if self.state is states.SETUP:
            self._set_up(self._board.settle(None, now), now)
        elif announced is not None and now.mono < announced.until_ms:
            self._board.set_deadline(announced.until_ms)
        elif announced is not None:
            self._announcement_over(announced, now)
        elif playing is None or choice is None or choice.gateway.sound is None:
            self._search_failed(now)  # a reload in between has made it a trunk
        elif now.mono < playing.until_ms:
            self._board.set_deadline(playing.until_ms)
        else:
            self._sound_over(choice, AttemptOutcome.final(choice.gateway.sound.code), playing.began_at, now)

    def _search_failed(self, now: Instant) -> None:
        reason, status, cause, source, self.journey.reason_text = self.hunt.failure()
        if self.endpoint.doors is None or not self._is_announced(reason, status, cause, source, now):
            self._reject(reason, status, cause, source, now)

    def _is_announced(
        self, reason: EndReason, status: int, cause: int | None, source: HangupSource, now: Instant
    ) -> bool:
        """Announce to the caller why its call fails, if there is a sound for that; the refusal follows."""
        inviter = self.caller.inviter
        is_first = self.journey.announced is None and self.journey.playing is None
        offer = None if inviter is None or not is_first else self._board.announcement(reason, now)
        if inviter is None or offer is None:
            return False
        until_ms = now.mono + offer.lasts_ms
        at, text = Instant(now.mono, now.wall), self.journey.reason_text
        self.journey.announced = Announced(until_ms, reason, status, cause, source, at, text)
        self.state = states.ANNOUNCING
        inviter.begin_attempt(now)  # another early dialog than that of a gateway's media
        inviter.ring(_PROGRESS, offer.session, now)
        self._board.set_deadline(until_ms)
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
        return self.callee if self.callee is not None and leg is self.callee.leg else None

    def _refresh_sessions(self, now: Instant) -> None:
        """Send the refreshes and probes that are due."""
        for leg in reversed(self.parties):
            if leg.supervision is not None:
                leg.supervision.refresh_if_due(now)

    def _caller_hung_up(self, cause: int | None, at: Instant, now: Instant) -> None:
        if self.state is states.TALKING:
            if self._check_limits(now, at):
                return
            if self.bridge is not None:
                self.drop_bridge(now)
            if self.transfer is not None and self.transfer.is_under_way and self.caller.leg is not None:
                self.transfer.transferor_left(now)
                return
            self.caller.close(now)
            if self.callee is not None:
                self.callee.hang_up("" if cause is None else passed_on(cause, self.callee.reasons), now)
            self._over(EndReason.NORMAL, HangupSource.CALLER, at, self.caller.progress.final, cause, now=now)
        elif self._accepts(CallEvent.CALLER_BYE):
            self.caller_cancelled(now, NO_CAUSES if cause is None else {Q850: cause})

    def _callee_hung_up(self, cause: int | None, now: Instant) -> None:
        if not self._accepts(CallEvent.CALLEE_BYE) or self._check_limits(now) or self.callee is None:
            return
        if self.endpoint.doors is not None:
            self.take_answer_back(now)
        self.drop_bridge(now)
        self.callee.close(now)
        if self.state is states.ANSWERED:
            self._reject(EndReason.UNAVAILABLE, 480, cause, HangupSource.CALLEE, now)
            return
        self.caller.hang_up(passed_on(cause, self.caller.reasons), now)
        self._over(EndReason.NORMAL, HangupSource.CALLEE, now, self.caller.progress.final, cause)

    # -- inside: the end ------------------------------------------------------------------------------------------

    def _end_from_switch(
        self, reason: EndReason, at: Instant, now: Instant | None = None, proof: Instant | None = None
    ) -> None:
        """Send BYE to both legs; ``proof``: the last one that a side was alive which has fallen silent."""
        now, at, dead = now or at, at.came, None
        if self.endpoint.doors is not None:
            self.take_answer_back(now)
        if reason in _PEER_VANISHED and self.lifetime is not None:
            at, dead = self.lifetime.billed_until(self, at, self.settings.dead_call_billing, proof)
        self.drop_bridge(now)
        if self.callee is not None:
            self.callee.hang_up(reason_headers(self.callee.reasons, reason, reason.q850_cause), now)
        self.caller.hang_up(reason_headers(self.caller.reasons, reason, reason.q850_cause), now)
        self._over(reason, HangupSource.SWITCH, at, self.caller.progress.final, dead=dead, now=now)

    def _is_answer(self, leg: Leg, message: OutgoingSuccess) -> bool:
        """Return whether a 200 is that of the call to its caller, not of a re-INVITE or of a takeover."""
        if self.state is states.OVER or leg is not self.caller.leg:
            return False
        return message.acceptance is leg.acceptance and not leg.facts.is_confirmed

    def _undo_answer(self, answer: OutgoingSuccess, now: Instant) -> None:
        """Be as before the caller's 200, which has not left: the customer does not pay."""
        if self.caller.inviter is not None:
            self.caller.inviter.undo_answer(answer, now)
        self.journey.answer_not_sent("Not Sent")
        self._board.answer_taken_back()
        self.state, self.lifetime = states.ANSWERED, None

    def _begin_to_charge(self, now: Instant) -> bool:
        """Charge the call from the INVITE on that is about to be sent; end it where that cannot be journalled."""
        self.journey.charged_from(now)
        if self._board.rings(now):
            return True
        self._give_up_callee(EndReason.OVERLOAD, now)
        self._reject(EndReason.OVERLOAD, 503, None, HangupSource.SWITCH, now)
        return False

    def _has_only_paid(self, now: Instant) -> bool:
        """Hold more money for a call that is charged before its answer, or end it for want of money.

        False = the deadline was its own.
        """
        limit = self._board.unpaid(now)
        if limit is None:
            return self._board.is_early(now)
        self._give_up_callee(limit.reason, now)
        self._reject(limit.reason, _UNPAID_STATUS, None, HangupSource.SWITCH, now)
        return True

    def _give_up_callee(
        self, reason: EndReason, now: Instant, row: str = "", given: Mapping[str, int] = NO_CAUSES
    ) -> None:
        attempt = self.callee
        if attempt is None:
            return
        for each in self.beside:
            self._cancel_beside(each, reason, row or reason.text, now, given)
        outcome = attempt.given_up(now)
        self.drop_bridge(now)
        attempt.give_up(reason, now, given)
        if self.state is not states.ANSWERED:
            self.journey.attempts.append(attempt.row(0, row or reason.text, now))
            self._leave_place(attempt, outcome, now)
            self.callee = None

    def _reject(self, reason: EndReason, status: int, cause: int | None, source: HangupSource, now: Instant) -> None:
        cause = reason.q850_cause if cause is None else cause
        status = self.caller.dialect.sent_for(status)
        self.caller.reject(status, reason_headers(self.caller.reasons, reason, cause, status), now)
        self._over(reason, source, now, status, cause)

    def _refuse(self, refusal: Refusal, now: Instant) -> None:
        """End a call that a step of the set-up refuses; the trunk's map of codes applies."""
        if self.endpoint.doors is not None and self._is_announced(
            refusal.reason, refusal.status, _cause_of(refusal), _SWITCH, now
        ):
            return
        reason, status = refusal.reason, self.caller.dialect.sent_for(refusal.status)
        self.caller.reject(status, reason_headers(self.caller.reasons, reason, reason.q850_cause, status), now)
        self._over(reason, HangupSource.SWITCH, now, status, _cause_of(refusal._replace(status=status)))

    def _answer_wait_ends(self) -> Instant:
        """Return until when our 200 waits for a PRACK of the caller: no longer than the vendor is paid for."""
        answered_at, paid_s = self.journey.vendor_answered_at or self.arrival.at, self._board.vendor_s
        return answered_at.plus(ANSWER_WAIT_MS if paid_s is None else min(ANSWER_WAIT_MS, 1_000 * paid_s))

    def _over(
        self, reason: EndReason, source: HangupSource, at: Instant, code: int | None, cause: int | None = None,
        dead: DeadCall | None = None, now: Instant | None = None,
    ) -> None:  # fmt: skip
        playing, choice = self.journey.playing, self.journey.choice
        if self.state is states.ANNOUNCING and self.journey.announced is None and playing and choice:
            self._note_sound(choice, 0, playing.began_at, now or at)
        if self.state is states.ANSWERED and (until := self._answer_wait_ends()).mono < at.mono:
            at = until  # the vendor is paid for no longer
        if self.journey.invited_at is not None and self.lifetime is None:
            limit = self._board.unpaid(at)
            at = at if limit is None else limit.at
        at_last = self.journey.ended_at(at, self.arrival)
        text = None if source is _SWITCH else self.journey.reason_text
        self.ending = Ending(reason, source, at_last, code, reason.q850_cause if cause is None else cause, dead, text)
        self.state = states.OVER
        if self.callee is not None:
            self._board.vacate(self.callee.choice)
        moved, self.transfer = self.transfer, None
        self._board.over()
        if moved is not None:
            moved.ended(self, at if dead is None else dead.noticed_at, now or at)
        # A call and its legs refer to each other: cutting that frees them now instead of at a garbage collection.
        self.callee = None
        self.bridge = None
        del self.caller


def _cause_of(refusal: Refusal) -> int | None:
    """Return the Q.850 cause of a refusal in the record; None = that of its reason."""
    return q850_of_status(refusal.status) if refusal.reason is EndReason.UNAVAILABLE else None
