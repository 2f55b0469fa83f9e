"""Legs of calls that ended shortly before the process was killed: their BYE may not have been sent, or received."""

from collections import deque
from typing import Final

import msgspec

from vosd.base.cause import HangupSource
from vosd.callcontrol.bookkeeping import OpenCall, end_of
from vosd.cdr.record import CallRecord
from vosd.engine.journal.entries import LeftOver

RECENT_MS: Final = 4_000
"""For how long the BYE to the side that did not end the call is in doubt.

Over TCP it may have to wait for a connection, first to where the peer was seen and then to where its Contact says.
"""
UNACKNOWLEDGED_MS: Final = 32_000
"""The same where the caller has not acknowledged our 200: its BYE waits for that, up to 64·T1 (RFC 3261 section 15)."""


class ReleasedLegs(msgspec.Struct):
    """Legs that are hung up again by the next start, each with the end of its call on the monotonic clock."""

    recent: deque[tuple[int, LeftOver]] = msgspec.field(default_factory=deque)
    unacknowledged: dict[str, tuple[int, LeftOver]] = {}
    """By call id: callers."""

    def ended(self, call: OpenCall, record: CallRecord, *, is_acknowledged: bool) -> None:
        """Note the legs of a call that ended, without that of the side that has ended it."""
        at, source = end_of(call, record), record.hangup_source
        gateways = tuple(leg for leg in call.legs if leg.gateway) if source != HangupSource.CALLEE.value else ()
        callers = tuple(leg for leg in call.legs if not leg.gateway) if source != HangupSource.CALLER.value else ()
        if callers and not is_acknowledged:
            self.unacknowledged[record.call_id] = at, LeftOver(record.call_id, callers)
            callers = ()
        if gateways or callers:
            self.recent.append((at, LeftOver(record.call_id, gateways + callers)))
        while self.recent and self.recent[0][0] < at - RECENT_MS:
            self.recent.popleft()
        for call_id, (earlier, _left) in [*self.unacknowledged.items()][:2]:
            if earlier < at - UNACKNOWLEDGED_MS:
                del self.unacknowledged[call_id]

    def acknowledged(self, call_id: str) -> None:
        """Note that a caller has acknowledged our 200, and so can have got its BYE."""
        known = self.unacknowledged.pop(call_id, None)
        if known is not None:
            self.recent.append(known)

    def moved_by(self, ms: int) -> None:
        """Move all instants."""
        self.recent = deque((at + ms, left) for at, left in self.recent)
        self.unacknowledged = {call_id: (at + ms, left) for call_id, (at, left) in self.unacknowledged.items()}

    def legs(self, last_mono: int) -> list[LeftOver]:
        """Return those that are in doubt where the process was killed then, or later."""
        last = max((last_mono, *(at for at, _ in (*self.recent, *self.unacknowledged.values()))))
        found = [left for at, left in self.recent if at >= last - RECENT_MS]
        return found + [left for at, left in self.unacknowledged.values() if at >= last - UNACKNOWLEDGED_MS]
