"""Time limit of an answered call: money, the session timers of its legs, and the limit for peers without timer.

A call has one deadline: the earliest of these. Its end is stamped with the deadline, even if the timer fires later.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from vosd.b2bua.leg import Leg
from vosd.b2bua.settings import DeadCallBilling
from vosd.b2bua.stamps import DeadCall
from vosd.b2bua.supervision import Limit
from vosd.base.cause import EndReason
from vosd.base.clock import Instant

ANSWER_WAIT_MS: Final = 300_000
"""Longest wait for a PRACK before our 200. The time-out of the reliable response (64·T1) is usually far shorter."""

if TYPE_CHECKING:
    from vosd.b2bua.call import Call
    from vosd.b2bua.parts import CallParts
    from vosd.b2bua.ports import Switchboard


class Lifetime:
    """The limits of one call."""

    __slots__ = ("_answered_at", "_board", "_deadline", "_granted_s")

    def __init__(self, board: "Switchboard", answered_at: Instant, granted_s: int) -> None:
        self._board = board
        self._answered_at = answered_at
        self._granted_s = granted_s
        self._deadline = answered_at
        """The earliest limit at the last check."""

    @property
    def granted_until(self) -> Instant:
        """The end of the time paid for so far."""
        return self._answered_at.plus(1_000 * self._granted_s)

    def watch(self, call: "Call") -> None:
        """Set the call's deadline to the next limit."""
        first = self._nearest(call)
        self._deadline = self.granted_until if first is None else first.due
        self._board.set_deadline(self._deadline)

    def exceeded(self, call: "Call", now: Instant) -> Limit | None:
        """Return the limit that the call has reached by ``now``; if only the money is used up, try to extend it."""
        if now.mono < self._deadline.mono:
            return None
        while True:
            limit, until = self._nearest(call), self.granted_until
            if limit is not None and limit.due.mono <= now.mono:
                return limit
            if now.mono < until.mono:
                self.watch(call)
                return None
            more = self._board.extend()
            if isinstance(more, EndReason):
                return Limit(until, more, until)
            self._granted_s = more

    def billed_until(
        self, call: "CallParts", noticed_at: Instant, billing: DeadCallBilling
    ) -> tuple[Instant, DeadCall]:
        """Return the billed end of a call whose peer vanished: at most the time of detection, at least the answer."""
        dead = DeadCall(billing, noticed_at)
        if billing is DeadCallBilling.DETECTION:
            return noticed_at, dead
        proofs = [leg.last_seen_at for leg in _legs(call) if leg.last_seen_at is not None]
        return min(noticed_at, max([self._answered_at, *proofs])), dead

    def _nearest(self, call: "Call") -> Limit | None:
        """Return the next limit before the end of the time paid for, or None."""
        nearest, until = None, self.granted_until.mono
        for leg in _legs(call):
            if leg.supervision is None:
                continue
            for limit in leg.supervision.limits():
                if limit.due.mono <= until:
                    nearest, until = limit, limit.due.mono
        return nearest


def _legs(call: "CallParts") -> Iterator[Leg]:
    caller = call.caller.leg
    if caller is not None:
        yield caller
    if call.callee is not None:
        yield call.callee
