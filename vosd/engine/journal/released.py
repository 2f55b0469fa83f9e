"""Legs that ended shortly before the process was killed: their BYE may not have been sent, or received."""

from collections import deque
from itertools import islice
from typing import Final

import msgspec

from vosd.base.cause import HangupSource
from vosd.callcontrol.open_call import OpenCall, end_of
from vosd.cdr.record import CallRecord
from vosd.engine.journal.entries import LeftOver
from vosd.sip.dialog.snapshot import DialogSnapshot
from vosd.sip.transaction.bye_to_user import WAIT_MS

RECENT_MS: Final = 4_000
"""For how long the BYE to the side that did not end the call is in doubt."""
LATE_MS: Final = 32_000
"""Time for legs whose BYE may have had to wait, up to 64·T1.

Over TCP it waits for a connection, first to where the peer was seen and then to where its Contact says. To a caller
that has not acknowledged our 200, it waits for that (RFC 3261 section 15).
"""
USER_MS: Final = WAIT_MS
"""Time for the BYE to a registered phone over a connection: where that is lost, the BYE waits for its next one."""


class ReleasedLegs(msgspec.Struct):
    """Legs that are hung up again by the next start, each with the end of its call on the monotonic clock."""

    recent: deque[tuple[int, LeftOver]] = msgspec.field(default_factory=deque)
    late: dict[str, tuple[int, LeftOver]] = {}
    """By call id: those whose BYE may have had to wait."""
    of_users: deque[tuple[int, LeftOver]] = msgspec.field(default_factory=deque)
    """Legs whose BYE may have had to wait until a phone registered again."""

    def ended(self, call: OpenCall, record: CallRecord, *, is_acknowledged: bool) -> None:
        """Note the legs of a call that ended, without that of the side that has ended it."""
        call_id, at, source = record.call_id, end_of(call, record), record.hangup_source
        over = {HangupSource.CALLEE.value: True, HangupSource.CALLER.value: False}.get(source)
        legs = [leg for leg in call.legs if bool(leg.gateway) is not over]
        of_users = tuple(leg for leg in legs if leg.user and _is_connected(leg))
        rest = [leg for leg in legs if leg not in of_users]
        late = tuple(leg for leg in rest if _is_connected(leg) or not (is_acknowledged or leg.gateway))
        recent = tuple(leg for leg in rest if leg not in late)
        if of_users:
            self.of_users.append((at, LeftOver(call_id, of_users)))
        if late:
            self.late[call_id] = at, LeftOver(call_id, late)
        if recent:
            self.recent.append((at, LeftOver(call_id, recent)))
        for queue, longest in ((self.recent, RECENT_MS), (self.of_users, USER_MS)):
            while queue and queue[0][0] < at - longest:
                queue.popleft()
        for earlier_id, (earlier, _left) in [*islice(self.late.items(), 2)]:
            if earlier < at - LATE_MS:
                del self.late[earlier_id]

    def left(self, before: OpenCall, call: OpenCall, at: int) -> None:
        """Note the legs that a call goes on without: that of a caller who has connected two others was sent a BYE."""
        present = {leg.local for leg in call.legs}
        for leg in before.legs:
            if leg.local not in present:
                queue = self.of_users if leg.user and _is_connected(leg) else self.recent
                queue.append((at, LeftOver(call.record.call_id, (leg,))))

    def acknowledged(self, call_id: str) -> None:
        """Note that a caller has acknowledged our 200, and so can have got its BYE."""
        known = self.late.get(call_id)
        if known is not None and not any(map(_is_connected, known[1].dialogs)):
            self.recent.append(self.late.pop(call_id))

    def repeated(self) -> None:
        """Forget the legs whose BYE is sent again anyhow.

        Over a connection not every one is: a peer may get two BYEs, and answers 481 to the second one.
        """
        self.recent = deque(each for each in self.recent if any(map(_is_connected, each[1].dialogs)))
        self.late = {call_id: each for call_id, each in self.late.items() if any(map(_is_connected, each[1].dialogs))}

    def moved_by(self, ms: int) -> None:
        """Move all instants."""
        self.recent = deque((at + ms, left) for at, left in self.recent)
        self.late = {call_id: (at + ms, left) for call_id, (at, left) in self.late.items()}
        self.of_users = deque((at + ms, left) for at, left in self.of_users)

    def legs(self, last_mono: int) -> list[LeftOver]:
        """Return those that are in doubt where the process was killed then, or later."""
        doubts = ((self.recent, RECENT_MS), (self.late.values(), LATE_MS), (self.of_users, USER_MS))
        last = max((last_mono, *(at for queue, _ in doubts for at, _ in queue)))
        return [left for queue, longest in doubts for at, left in queue if at >= last - longest]


def _is_connected(leg: DialogSnapshot) -> bool:
    return not leg.seen_at.socket.startswith("udp")
