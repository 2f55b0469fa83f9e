"""Count open connections of clients by source, and choose the one that has to go for another; knows no pages.

A client that only holds its connection is worth less than one that comes: a scrape sends its request at once.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final

CONNECTIONS_MAX: Final = 32
"""Most connections of sources that are allowed."""
PER_SOURCE_MAX: Final = 8
"""Most of one such source."""
REFUSED_MAX: Final = 8
"""Most connections of all other sources together, which have slots of their own."""


class Slot:
    """One open connection."""

    def __init__(self, source: str, abort: Callable[[], None], opened_s: float) -> None:
        self.source = source
        self.abort = abort
        self.opened_s = opened_s
        self.has_asked = False
        """Whether its request is complete."""


class Slots:
    """The open connections of allowed sources, in order of time."""

    def __init__(self) -> None:
        self._open: list[Slot] = []

    def __len__(self) -> int:
        return len(self._open)

    def take(self, source: str, abort: Callable[[], None], now_s: float, patience_s: float) -> Slot | None:
        """Open a connection; where there is no room, abort another one, or return None if none may be aborted.

        That is the oldest whose request is not complete, of this source if it has its share, else of the source with
        most; then the oldest for longer than ``patience_s``.
        """
        held = Counter(each.source for each in self._open)
        rivals = self._open
        if held[source] >= PER_SOURCE_MAX:
            rivals = [each for each in rivals if each.source == source]
        elif len(self._open) < CONNECTIONS_MAX:
            return self._added(source, abort, now_s)
        else:
            rivals = sorted(rivals, key=lambda each: -held[each.source])
        silent = (each for each in rivals if not each.has_asked)
        slow = (each for each in rivals if now_s - each.opened_s > patience_s)
        leaving = next(silent, None) or next(slow, None)
        if leaving is None:
            return None
        self._open.remove(leaving)
        leaving.abort()
        return self._added(source, abort, now_s)

    def leave(self, slot: Slot) -> None:
        """Give a slot back; one that was taken away is ignored."""
        if slot in self._open:
            self._open.remove(slot)

    def _added(self, source: str, abort: Callable[[], None], now_s: float) -> Slot:
        slot = Slot(source, abort, now_s)
        self._open.append(slot)
        return slot
