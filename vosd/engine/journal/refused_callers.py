"""INVITEs of callers that were refused shortly before the process was killed: they may come again.

A copy that was on its way, or whose refusal was lost, would be a call of the next process, and its caller has given up.
Only what the journal has anyhow is known: callers that were refused before a gateway was sent an INVITE are not in it.
"""

from collections import deque
from collections.abc import Iterator

import msgspec

from vosd.engine.journal.released import LATE_MS
from vosd.sip.dialog.snapshot import CallerSnapshot


class RefusedCallers(msgspec.Struct):
    """Callers in the order of their refusals, each with its time and status."""

    _refused: deque[tuple[int, CallerSnapshot, int]] = msgspec.field(default_factory=deque)

    def refused(self, caller: CallerSnapshot, status: int, at: int) -> None:
        """Note that a caller was refused at this time, UTC milliseconds."""
        self._refused.append((at, caller, status))
        while self._refused[0][0] < at - LATE_MS:
            self._refused.popleft()

    def lately(self, now_wall: int) -> Iterator[tuple[CallerSnapshot, int]]:
        """Yield those whose INVITE may still come again, with the status that each was refused with."""
        return ((caller, status) for at, caller, status in self._refused if at >= now_wall - LATE_MS)
