"""The conversation of a call: ACKs, changes of the session, transfers, limits, and who hangs up.

What leads to the answer is in ``call``.
"""

from collections.abc import Mapping

from vosd.b2bua import states
from vosd.b2bua.caller_leg import CallerLeg
from vosd.b2bua.caller_side import CallerSide
from vosd.b2bua.endings import CallEndings
from vosd.b2bua.leg import Leg
from vosd.b2bua.reasons import NO_CAUSES, passed_on, reason_headers
from vosd.b2bua.states import ACCEPTED, CallEvent
from vosd.b2bua.takeover import in_place_of
from vosd.base.cause import EndReason, HangupSource, q850_of_status
from vosd.base.clock import Instant
from vosd.sdp.codec import first_audio_codec
from vosd.sip.headers.reason import Q850


class CallConversation(CallEndings):
    """A call with the events of its conversation, and those of a caller or a callee that leaves."""

    __slots__ = ()

    def acknowledged(self, leg: Leg, session: bytes, now: Instant) -> None:
        """Handle the ACK of our 200; the answer to a late offer is sent in the ACK to the other leg."""
        if states.ACK not in ACCEPTED[self.state] or self.callee is None:
            return
        is_caller = leg is self.caller.leg
        if is_caller and self.journey.acknowledged_at is None:
            self.journey.acknowledged(now.came)
            self._board.acknowledged(now)
        if self.bridge is not None and self.callee.is_acknowledged:
            self.bridge.acknowledged(leg, session)
        elif is_caller and not self.callee.is_acknowledged:
            self.journey.codec = self.journey.vendor_codec = first_audio_codec(session)
            self.callee.acknowledge(session)

    def taken_over(self, newcomer: CallerLeg, far: Leg, now: Instant) -> Leg:
        """Replace a side by a newcomer whose session the far side has accepted (RFC 3891); send the old one BYE."""
        callee, caller = self.callee, self.caller.leg
        leg: Leg = newcomer
        left: Leg | None = caller
        if callee is None or far is callee:
            self.caller = newcomer
        else:
            left, leg = callee, in_place_of(callee, newcomer, self.endpoint, now)
            self.callee = leg
        if left is not None:
            if self.bridge is not None:
                self.bridge.replace(left, leg)
            left.hang_up("", now)
        self.watch()
        self.moved(at_once=True)
        return leg

    def moved(self, *, at_once: bool = False) -> None:
        """Journal the call as it is now, for the switch that goes on with it after a crash."""
        if self.state is states.TALKING:
            self._board.moved(at_once=at_once)

    def grant(self, granted_s: int) -> None:
        """Take what an answered call has paid for, after a restart."""
        if self.lifetime is not None:
            self.lifetime.grant(granted_s)

    def watch(self) -> None:
        """Set the deadline again, after the answer, or after a session was agreed or refreshed."""
        if self.state is states.TALKING and self.lifetime is not None:
            self.lifetime.watch(self)
        elif self.state is states.ANSWERED and self.callee is not None:
            supervision, until_ms = self.callee.supervision, self._answer_wait_ends().mono
            self._board.set_deadline(until_ms if supervision is None else min(until_ms, supervision.facts.refresh_ms))

    def examine(self, now: Instant) -> None:
        """Send the refreshes that are due, then end a call that has reached a limit.

        In this order, because a session may be refreshed at the very instant at which it expires.
        """
        if self.state is states.TALKING:
            self._refresh_sessions(now)
            self.check_limits(now)

    def check_limits(self, now: Instant, at: Instant | None = None) -> bool:
        """Extend or end a call that has reached one of its limits by ``at``, else now; return whether it has ended.

        The end is the deadline, even if the timer ran later, so that no call costs more than was held.
        """
        if self.lifetime is None:
            return False
        at = at or now
        limit = self.lifetime.exceeded(self, at.mono - at.waited_ms)
        if limit is None:
            return False
        self._end_from_switch(limit.reason, limit.at, now)
        return True

    def refresh_failed(self, leg: Leg, status: int, now: Instant) -> None:
        """Count a refresh that a leg refused; 408 = it did not answer."""
        gateway = self.callee.choice.gateway.name if self.callee is not None and leg is self.callee else None
        self._board.refresh_failed(gateway, status, now)

    def ack_missing(self, _leg: Leg, now: Instant) -> None:
        """End a call whose 200 was never acknowledged (RFC 3261 section 13.3.1.4); it is billed as answered."""
        if self._accepts(CallEvent.ACK_MISSING) and not self.check_limits(now):
            self._end_from_switch(EndReason.NO_ACK, now)

    def caller_unreachable(self, now: Instant) -> None:
        """Reject a call whose caller sent no PRACK for a reliable response (RFC 3262 section 3)."""
        if self._accepts(CallEvent.PRACK_MISSING):
            self._give_up_callee(EndReason.UNAVAILABLE, now, "Unreachable Caller")
            self._reject(EndReason.UNAVAILABLE, 504, q850_of_status(504), HangupSource.CALLER, now)

    def lost(self, leg: Leg, status: int, now: Instant) -> None:
        """End a call: a leg has no such dialog (481), does not answer (408), or accepts no session (488)."""
        if not self._accepts(CallEvent.LEG_LOST) or self.check_limits(now):
            return
        if leg is self.caller.leg and self.caller.progress.final is None:
            return  # it did not receive the 18x of its early dialog, and its INVITE still waits for our answer
        if status == 481 or self.state is states.ANSWERED:
            leg.hang_up("", now)  # 481 may concern that request alone, and a leg that stays up is charged
            self.hung_up(leg, None, now)
        else:
            self._end_from_switch(EndReason.NO_COMMON_CODEC if status == 488 else EndReason.SESSION_TIMEOUT, now)

    def hung_up(self, leg: Leg | CallerSide, cause: int | None, now: Instant, at: Instant | None = None) -> None:
        """End a call that a leg has hung up with that Q.850 cause; ``at`` is when, if it is processed later."""
        if self.state is states.OVER:
            return
        if leg is self.caller:
            self._caller_hung_up(cause, at or now, now)
        elif leg is self.callee:
            self._callee_hung_up(cause, now)

    def caller_cancelled(self, now: Instant, given: Mapping[str, int] = NO_CAUSES) -> None:
        """Answer a CANCEL of the caller: send it 487, and cancel the attempt with the causes that it gave."""
        if not self._accepts(CallEvent.CANCEL):
            return
        reason = EndReason.CANCELLED
        self._give_up_callee(reason, now, given=given)
        self.caller.reject(487, reason_headers(self.caller.reasons, reason, reason.q850_cause, 487), now)
        self._over(reason, HangupSource.CALLER, now, 487)

    def _refresh_sessions(self, now: Instant) -> None:
        """Send the refreshes and probes that are due."""
        for leg in (self.callee, self.caller.leg):
            if leg is not None and leg.supervision is not None:
                leg.supervision.refresh_if_due(now)

    def _caller_hung_up(self, cause: int | None, at: Instant, now: Instant) -> None:
        if self.state is states.TALKING:
            if self.check_limits(now, at):
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
        if not self._accepts(CallEvent.CALLEE_BYE) or self.check_limits(now) or self.callee is None:
            return
        self.drop_bridge(now)
        self.callee.close(now)
        if self.state is states.ANSWERED:
            self._reject(EndReason.UNAVAILABLE, 480, cause, HangupSource.CALLEE, now)
            return
        self.caller.hang_up(passed_on(cause, self.caller.reasons), now)
        self._over(EndReason.NORMAL, HangupSource.CALLEE, now, self.caller.progress.final, cause)
