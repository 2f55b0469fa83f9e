"""The end of a call: what each leg is sent, and the ``Ending`` that its record is made of.

Why and when a call ends is decided in ``call``.
"""

from collections.abc import Mapping
from typing import Final

from vosd.b2bua import states
from vosd.b2bua.lifetime import ANSWER_WAIT_MS
from vosd.b2bua.parts import CallParts
from vosd.b2bua.reasons import NO_CAUSES, reason_headers
from vosd.b2bua.stamps import DeadCall, Ending
from vosd.base.cause import EndReason, HangupSource, q850_of_status
from vosd.base.clock import Instant
from vosd.base.errors import Refusal

_SWITCH: Final = HangupSource.SWITCH  # access to enum members is slow
_UNPAID_STATUS: Final = 402
"""The caller gets it where the money ends before the answer."""


class CallEndings(CallParts):
    """The parts of a call, and the ways to end them."""

    __slots__ = ()

    def drop(self, now: Instant) -> None:
        """Close a call that could not be ended because of an error in the switch: its peers are sent nothing more."""
        self.caller.close(now)
        if self.callee is not None:
            self.callee.close(now)
        at = now if self.lifetime is None else min(now, self.lifetime.granted_until)
        self._over(EndReason.LOST, HangupSource.SWITCH, at, self.caller.progress.final, now=now)

    def _end_from_switch(self, reason: EndReason, at: Instant, now: Instant | None = None) -> None:
        """Send BYE to both legs."""
        now, at, dead = now or at, at.came, None
        if reason is EndReason.SESSION_TIMEOUT and self.lifetime is not None:
            at, dead = self.lifetime.billed_until(self, at, self.settings.dead_call_billing)
        self.drop_bridge(now)
        if self.callee is not None:
            self.callee.hang_up(reason_headers(self.callee.reasons, reason, reason.q850_cause), now)
        self.caller.hang_up(reason_headers(self.caller.reasons, reason, reason.q850_cause), now)
        self._over(reason, HangupSource.SWITCH, at, self.caller.progress.final, dead=dead, now=now)

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
        leg = self.callee
        if leg is None:
            return
        outcome = leg.given_up(now)
        self.drop_bridge(now)
        leg.give_up(reason, now, given)
        if self.state is not states.ANSWERED:
            self.journey.attempts.append(leg.attempt(0, row or reason.text, now))
            self._board.attempt_over(leg, outcome, now)
            self.callee = None

    def _reject(self, reason: EndReason, status: int, cause: int | None, source: HangupSource, now: Instant) -> None:
        cause = reason.q850_cause if cause is None else cause
        status = self.caller.dialect.sent_for(status)
        self.caller.reject(status, reason_headers(self.caller.reasons, reason, cause, status), now)
        self._over(reason, source, now, status, cause)

    def _refuse(self, refusal: Refusal, now: Instant) -> None:
        """End a call that a step of the set-up refuses; the trunk's map of codes applies."""
        reason, status = refusal.reason, self.caller.dialect.sent_for(refusal.status)
        self.caller.reject(status, reason_headers(self.caller.reasons, reason, reason.q850_cause, status), now)
        cause = q850_of_status(status) if reason is EndReason.UNAVAILABLE else None
        self._over(reason, HangupSource.SWITCH, now, status, cause)

    def _answer_wait_ends(self) -> Instant:
        """Return until when our 200 waits for a PRACK of the caller: no longer than the vendor is paid for."""
        answered_at, paid_s = self.journey.vendor_answered_at or self.arrival.at, self._board.vendor_s
        return answered_at.plus(ANSWER_WAIT_MS if paid_s is None else min(ANSWER_WAIT_MS, 1_000 * paid_s))

    def _over(
        self, reason: EndReason, source: HangupSource, at: Instant, code: int | None, cause: int | None = None,
        dead: DeadCall | None = None, now: Instant | None = None,
    ) -> None:  # fmt: skip
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
