"""Open calls are written again to each file of the journal that is begun, some in each turn of the event loop.

To describe thousands of them at once would take tenths of a second, in which no packet is read. Until the last of them
is written the older files stay in use, so a start finds every call in one file or another.
"""

from collections import deque
from collections.abc import Collection, Iterator
from typing import Final

AT_ONCE: Final = 8
"""Calls of a turn: less than a millisecond."""
AT_TICK: Final = 100
"""Calls of a turn once a second, where no other turn writes anything."""
STAY_TICKS: Final = 5
"""For how many seconds the older files stay at least when a call has ended before its turn.

Its legs are in them alone, and a start that follows soon has to release them once more (``released.RECENT_MS``).
"""


class Carrying:
    """Choose the open calls that are to be written to the file that was begun last."""

    def __init__(self) -> None:
        self.file = 0
        """Number of that file; 0 = it has all of them."""
        self.left: deque[str] = deque()
        self.stays_until = 0
        """The older files stay until then, counted in seconds as ``ticks`` below."""

    def begin(self, file: int, call_ids: Collection[str]) -> None:
        """Begin with a new file."""
        self.file, self.left = file, deque(call_ids)

    def stop(self) -> None:
        """Write no more of them to this file."""
        self.file, self.left = 0, deque()

    def take(self, open_calls: Collection[str], most: int, ticks: int) -> Iterator[str]:
        """Yield the next calls, at most so many, which are written now; ``ticks`` counts the seconds."""
        for _ in range(min(most, len(self.left))):
            call_id = self.left.popleft()
            if call_id in open_calls:
                yield call_id
            else:
                self.stays_until = ticks + STAY_TICKS
