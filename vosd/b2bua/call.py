"""A call from its first gateway to its end: hunting, talking, and every way of being over.

Each public method is something that happened, with the instant of the packet or deadline that brought it; it does
all that follows and leaves the call in one state of ``states``. There is one deadline at every moment (DESIGN D10).
"""

from collections.abc import Iterator, Sequence

from vosd.b2bua.leg import RINGING, CalleeLeg, CallerLeg
from vosd.b2bua.ports import Switchboard
from vosd.b2bua.settings import CallSettings
from vosd.b2bua.stamps import Arrival, Ending, Journey
from vosd.b2bua.states import HEEDED, CallState, Happening
from vosd.base.cause import EndReason, HangupSource, q850_of_status
from vosd.base.clock import Instant
from vosd.cdr.record import Attempt
from vosd.routing.failover import AttemptEnd, AttemptOutcome, tries_next, verdict
from vosd.routing.pipeline import RouteChoice
from vosd.routing.tables import Address, RoutingGateway
from vosd.sdp.codec import first_audio_codec
from vosd.sip.endpoint import Endpoint


class Call:
    """One call that was admitted and has somewhere to go."""

    __slots__ = (
        "_board",
        "_endpoint",
        "_granted_s",
        "_heard_from",
        "_hops",
        "_outcomes",
        "_settings",
        "_ways",
        "arrival",
        "callee",
        "caller",
        "ending",
        "journey",
        "state",
    )

    def __init__(
        self,
        *,
        arrival: Arrival,
        caller: CallerLeg,
        choices: Sequence[RouteChoice],
        hops: int,
        endpoint: Endpoint,
        board: Switchboard,
        settings: CallSettings,
    ) -> None:
        self.arrival = arrival
        self.caller = caller
        self.callee: CalleeLeg | None = None
        self.state = CallState.HUNTING
        self.journey = Journey()
        self.ending: Ending | None = None
        self._ways: Iterator[tuple[RouteChoice, Address]] = (
            (choice, address) for choice in choices for address in choice.gateway.addresses
        )
        self._heard_from: RoutingGateway | None = None
        """The gateway that gave the latest refusal: its other addresses would give the same."""
        self._hops = hops
        self._endpoint = endpoint
        self._board = board
        self._settings = settings
        self._outcomes: list[AttemptOutcome] = []
        self._granted_s = 0
        caller.call = self

    def __repr__(self) -> str:
        return (
            f"<Call {self.arrival.call_id} {self.state.name} {self.callee.choice.gateway.name if self.callee else '-'}>"
        )

    @property
    def legs(self) -> int:
        """How many legs are up."""
        return 0 if self.state is CallState.OVER else 1 + (self.callee is not None)

    # -- hunting ------------------------------------------------------------------------------------------------

    def begin(self, now: Instant) -> None:
        """Try the first gateway."""
        self._try_next(now)

    def progressed(self, leg: CalleeLeg, status: int, body: bytes, now: Instant) -> None:
        """A gateway has shown itself (100), rings, or sends early media."""
        if leg is not self.callee or not self._heeds(Happening.PROGRESS):
            return
        self._board.set_deadline(self, leg.started_at.plus(leg.choice.gateway.ring_timeout_ms))
        if status not in RINGING:
            return
        self.state = CallState.RINGING
        journey = self.journey
        journey.ringing_at = journey.ringing_at or now
        journey.progress_at = journey.progress_at or now
        self.caller.ring(status, body, now)

    def attempt_failed(self, leg: CalleeLeg, code: int, now: Instant) -> None:
        """A gateway has refused the call with a final code."""
        if leg is self.callee and self._heeds(Happening.ATTEMPT_FAILED):
            self._attempt_over(leg, AttemptOutcome.final(code, rang=leg.rang), now)

    def attempt_silent(self, leg: CalleeLeg, now: Instant) -> None:
        """A gateway was not to be reached at all."""
        if leg is self.callee and self._heeds(Happening.ATTEMPT_FAILED):
            self._attempt_over(leg, AttemptOutcome.silent(), now)

    def answered(self, leg: CalleeLeg, now: Instant) -> None:
        """A gateway has answered: from here on the call costs money."""
        if leg is not self.callee or not self._heeds(Happening.ANSWER):
            return
        self.state = CallState.TALKING
        journey = self.journey
        journey.answered_at = now
        journey.progress_at = journey.progress_at or now
        journey.codec = first_audio_codec(leg.answer) if self.caller.offer else None
        self._note_attempt(leg, 200, "Answered", now)
        if self.caller.offer:
            leg.acknowledge(b"")
        self._granted_s = self._board.answered(self)
        self._board.set_deadline(self, self._granted_until())
        self.caller.answer(leg.answer, now)

    # -- talking ------------------------------------------------------------------------------------------------

    def acknowledged(self, body: bytes) -> None:
        """The caller has acknowledged our 200; with a late offer its answer goes into the gateway's ACK."""
        if self._heeds(Happening.ACK) and self.callee is not None and not self.caller.offer:
            self.journey.codec = first_audio_codec(body)
            self.callee.acknowledge(body)

    def ack_missing(self, now: Instant) -> None:
        """The caller never acknowledged our 200; the call is billed as answered (INTERFACES section 6)."""
        if self._heeds(Happening.ACK_MISSING) and not self._outlived(now):
            self._end_from_switch(EndReason.NO_ACK, now)

    def caller_hung_up(self, now: Instant) -> None:
        """BYE from the caller."""
        if self.state is CallState.TALKING:
            if self._outlived(now):
                return
            self.caller.close(now)
            self._hang_up_callee("", now)
            self._over(EndReason.NORMAL, HangupSource.CALLER, now, 200)
        elif self._heeds(Happening.CALLER_BYE):
            self.caller_cancelled(now)

    def callee_hung_up(self, now: Instant) -> None:
        """BYE from the gateway."""
        if not self._heeds(Happening.CALLEE_BYE) or self._outlived(now) or self.callee is None:
            return
        self.callee.close(now)
        self.caller.hang_up("", now)
        self._over(EndReason.NORMAL, HangupSource.CALLEE, now, 200)

    # -- the end ------------------------------------------------------------------------------------------------

    def caller_cancelled(self, now: Instant) -> None:
        """The caller gave up before the answer: 487 to it, CANCEL to the gateway."""
        if not self._heeds(Happening.CANCEL):
            return
        self._give_up_callee("Cancelled", now)
        self.caller.reject(487, reason_line(EndReason.CANCELLED, EndReason.CANCELLED.q850_cause), now)
        self._over(EndReason.CANCELLED, HangupSource.CALLER, now, 487)

    def deadline_due(self, now: Instant) -> None:
        """The call's one deadline has come: a silent gateway, endless ringing, or the end of what is paid for."""
        if not self._heeds(Happening.DEADLINE):
            return
        if self.state is CallState.TALKING:
            self._outlived(now)
            return
        leg = self.callee
        if leg is None:
            return
        outcome = AttemptOutcome.ring_timeout(rang=leg.rang) if leg.heard else AttemptOutcome.silent()
        leg.give_up("", now)
        self._attempt_over(leg, outcome, now)

    def end(self, reason: EndReason, now: Instant) -> None:
        """End the call because somebody ordered it (``vosd hangup``, a stop of the switch)."""
        if not self._heeds(Happening.ORDERED_END):
            return
        if self.state is CallState.TALKING:
            if not self._outlived(now):
                self._end_from_switch(reason, now)
            return
        self._give_up_callee(reason.text, now)
        self._reject(reason, 503, reason.q850_cause, HangupSource.SWITCH, now)

    def drop(self, now: Instant) -> None:
        """Let go of a call that a mistake of ours kept from being ended: its peers are told nothing more."""
        self.caller.close(now)
        if self.callee is not None:
            self.callee.close(now)
        at = now if self.journey.answered_at is None else min(now, self._granted_until())
        self._over(EndReason.LOST, HangupSource.SWITCH, at, 200 if self.journey.answered_at else None)

    # -- inside -------------------------------------------------------------------------------------------------

    def _heeds(self, happening: Happening) -> bool:
        return happening in HEEDED[self.state]

    def _try_next(self, now: Instant) -> None:
        """Place a leg at the next gateway that has room, or end the call with what the attempts gave.

        A gateway with several addresses is tried at the next of them only where one was silent.
        """
        in_time = now.mono - self.arrival.at.mono <= self._settings.search_ms
        while in_time and len(self._outcomes) < self._settings.max_attempts:
            choice, address = next(self._ways, (None, None))
            if choice is None or address is None:
                break
            if choice.gateway is self._heard_from or not self._board.occupy(self, choice, now):
                continue
            self.state = CallState.HUNTING
            self.caller.begin_attempt(now)
            self.callee = CalleeLeg(self._endpoint, self, choice, address, self._hops, now)
            self.journey.choice = choice
            self.journey.sip_call_id_out = self.callee.sip_call_id
            self.journey.destination_address = str(self.callee.peer)
            self._board.set_deadline(self, now.plus(choice.gateway.response_timeout_ms))
            return
        self._fail(now)

    def _fail(self, now: Instant) -> None:
        if not self._outcomes:
            reason = EndReason.NO_AVAILABLE_ROUTE
            self._reject(reason, 503, reason.q850_cause, HangupSource.SWITCH, now)
            return
        reason, status = verdict(self._outcomes)
        source = HangupSource.SWITCH if reason is EndReason.NO_ANSWER else HangupSource.CALLEE
        cause = q850_of_status(status) if reason is EndReason.UNAVAILABLE else reason.q850_cause
        self._reject(reason, status, cause, source, now)

    def _attempt_over(self, leg: CalleeLeg, outcome: AttemptOutcome, now: Instant) -> None:
        self._outcomes.append(outcome)
        self._heard_from = None if outcome.end is AttemptEnd.SILENT else leg.choice.gateway
        self._note_attempt(leg, outcome.code, verdict([outcome]).reason.text, now)
        self._board.vacate(leg.choice)
        self.callee = None
        if tries_next(leg.choice.gateway, outcome):
            self._try_next(now)
        else:
            self._fail(now)

    def _note_attempt(self, leg: CalleeLeg, code: int, reason: str, now: Instant) -> None:
        pdd_ms = None if leg.rang_at is None else leg.rang_at.mono - leg.started_at.mono
        took_ms = now.mono - leg.started_at.mono
        self.journey.attempts.append(Attempt(leg.choice.gateway.name, code, took_ms, pdd_ms, reason))

    def _granted_until(self) -> Instant:
        answered_at = self.journey.answered_at
        if answered_at is None:
            raise RuntimeError(f"{self!r} was never answered")
        return answered_at.plus(1000 * self._granted_s)

    def _outlived(self, now: Instant) -> bool:
        """Extend or end a call whose granted time is over by ``now``; say whether it has ended.

        The end is stamped with the deadline, not with when this ran: that is what makes the bound exact (D13).
        """
        while now.mono >= self._granted_until().mono:
            more = self._board.extend(self)
            if isinstance(more, EndReason):
                self._end_from_switch(more, self._granted_until(), now)
                return True
            self._granted_s = more
            self._board.set_deadline(self, self._granted_until())
        return False

    def _end_from_switch(self, reason: EndReason, at: Instant, now: Instant | None = None) -> None:
        """BYE both ways."""
        line = reason_line(reason, reason.q850_cause)
        self._hang_up_callee(line, now or at)
        self.caller.hang_up(line, now or at)
        self._over(reason, HangupSource.SWITCH, at, 200)

    def _hang_up_callee(self, reason: str, now: Instant) -> None:
        if self.callee is not None:
            self.callee.hang_up(reason, now)

    def _give_up_callee(self, reason: str, now: Instant) -> None:
        if self.callee is not None:
            self.callee.give_up("", now)
            self._note_attempt(self.callee, 0, reason, now)

    def _reject(self, reason: EndReason, status: int, cause: int, source: HangupSource, now: Instant) -> None:
        self.caller.reject(status, reason_line(reason, cause), now)
        self._over(reason, source, now, status, cause)

    def _over(
        self, reason: EndReason, source: HangupSource, at: Instant, code: int | None, cause: int | None = None
    ) -> None:
        self.ending = Ending(reason, source, at, code, reason.q850_cause if cause is None else cause)
        self.state = CallState.OVER
        if self.callee is not None:
            self._board.vacate(self.callee.choice)
        self._board.over(self)
        # A call and its legs point at each other: parting frees them now, not when the collector comes.
        self.callee = None
        del self.caller


def reason_line(reason: EndReason, q850_cause: int) -> str:
    """Return the Reason header of a message that ends a call (RFC 3326, RFC 6432; INTERFACES section 4)."""
    return f'Reason: Q.850;cause={q850_cause};text="{reason.text}"\r\n'
