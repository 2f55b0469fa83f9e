"""Time limit of an answered call: money, the session timers of its legs, and the limit for peers without timer.

A call has one deadline: the earliest of these, or the next refresh of a session if that is earlier. Its end is stamped
with the limit that it has reached, even if the timer fires later.
"""

from typing import TYPE_CHECKING, Final

from vosd.b2bua.settings import DeadCallBilling
from vosd.b2bua.stamps import DeadCall
from vosd.b2bua.supervision import Limit
from vosd.base.cause import EndReason
from vosd.base.clock import Instant

ANSWER_WAIT_MS: Final = 300_000
"""Longest wait for a PRACK before our 200. The time-out of the reliable response (64·T1) is usually far shorter."""

if TYPE_CHECKING:
    from vosd.b2bua.parts import CallParts
    from vosd.b2bua.ports import Switchboard


class Lifetime:
    """The limits of one call."""

    __slots__ = ("_answered_at", "_board", "_due_ms", "_granted_s", "_paid_from")

    def __init__(
        self, board: "Switchboard", answered_at: Instant, granted_s: int, paid_from: Instant, due_ms: int = 0
    ) -> None:
        """``granted_s`` are paid for from ``paid_from`` on: the answer, or the first INVITE to a gateway."""
        self._board = board
        self._answered_at = answered_at
        self._granted_s = granted_s
        self._paid_from = paid_from
        self._due_ms = due_ms
        """The deadline of the call: no limit is reached before."""

    @property
    def granted_until(self) -> Instant:
        """The end of the time paid for so far."""
        return self._paid_from.plus(1_000 * self._granted_s)

    def grant(self, granted_s: int) -> None:
        """Take what the call has paid for, after a restart."""
        self._granted_s = granted_s

    def watch(self, call: "CallParts") -> None:
        """Set the call's deadline to the next limit or refresh."""
        due_ms = self._paid_from.mono + 1_000 * self._granted_s
        caller, callee = call.caller.leg, call.callee
        if caller is not None and caller.supervision is not None and caller.supervision.due_ms < due_ms:
            due_ms = caller.supervision.due_ms
        if callee is not None and callee.supervision is not None and callee.supervision.due_ms < due_ms:
            due_ms = callee.supervision.due_ms
        self._due_ms = due_ms
        self._board.set_deadline(due_ms)

    def exceeded(self, call: "CallParts", now_ms: int) -> Limit | None:
        """Return the limit that the call has reached by ``now_ms``; if only the money is used up, try to extend it."""
        if now_ms < self._due_ms:
            return None
        while True:
            until = self.granted_until
            limit = self._first_limit(call, until.mono)
            if limit is not None and limit.due_ms <= now_ms:
                return limit
            if now_ms < until.mono:
                self.watch(call)
                return None
            more = self._board.extend()
            if isinstance(more, EndReason):
                return Limit(until, more, until.mono)
            self._granted_s = more

    def billed_until(
        self, call: "CallParts", noticed_at: Instant, billing: DeadCallBilling
    ) -> tuple[Instant, DeadCall]:
        """Return the billed end of a call whose peer vanished: at most the time of detection, at least the answer."""
        dead = DeadCall(billing, noticed_at)
        if billing is DeadCallBilling.DETECTION:
            return noticed_at, dead
        legs = (call.caller.leg, call.callee)
        proofs = [leg.facts.last_seen_at.came for leg in legs if leg is not None and leg.facts.last_seen_at is not None]
        return min(noticed_at, max([self._answered_at, *proofs])), dead

    def _first_limit(self, call: "CallParts", until_ms: int) -> Limit | None:
        """Return the first limit that a leg sets by ``until_ms``, or None; note when each leg is due again."""
        first = None
        for leg in (call.caller.leg, call.callee):
            if leg is None or leg.supervision is None:
                continue
            limit = leg.supervision.next_limit()
            if limit is not None and limit.due_ms <= until_ms:
                first, until_ms = limit, limit.due_ms
        return first
