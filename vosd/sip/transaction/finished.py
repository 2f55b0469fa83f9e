"""Finished transactions: a key, and the message to send again if the peer retransmits.

There are a hundred thousand of these at 1,000 calls/s. So none of them is an object: an entry is one row of a
dictionary, and entries expire by whole ticks of time.
"""

from collections import deque
from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple

from vosd.sip.wire.compose import Datagram, InviteParts


class Mark(Enum):
    """An entry without a message to send again."""

    ABSORB = auto()
    """Retransmissions are absorbed."""
    ACCEPTED = auto()
    """An INVITE answered with 2xx: retransmissions are absorbed, its ACK belongs to the dialog (RFC 6026)."""
    CLOSED_DIALOG = auto()
    """A dialog that we have ended: a BYE that crossed ours is answered 200."""


class Unacknowledged(NamedTuple):
    """An INVITE of ours with a 2xx whose ACK waits for the caller's answer; other forks may send a 2xx meanwhile."""

    parts: InviteParts
    to_tag: str
    """The tag of the 2xx that was accepted."""


Entry = Datagram | Mark | Unacknowledged


class _Lane:
    """Keys that are kept equally long, and so expire in the order in which they came, those of one tick together."""

    __slots__ = ("batches", "stay_ms")

    def __init__(self, stay_ms: int) -> None:
        self.stay_ms = stay_ms
        self.batches: deque[tuple[int, list[str]]] = deque()


class FinishedTransactions:
    """Keys of finished transactions until their last timer (D, I, J, K, L or M) fires."""

    __slots__ = ("_entries", "_lanes", "_tick_ms")

    def __init__(self, tick_ms: int) -> None:
        self._tick_ms = tick_ms
        self._entries: dict[str, Entry] = {}
        self._lanes: dict[int, _Lane] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> Entry | None:
        """Return what is kept for ``key``, or None."""
        return self._entries.get(key)

    def keep(self, key: str, what: Entry, stay_ms: int, now_ms: int) -> None:
        """Keep ``what`` for ``stay_ms`` milliseconds, at most one tick longer."""
        self._entries[key] = what
        lane = self._lanes.get(stay_ms)
        if lane is None:
            lane = self._lanes[stay_ms] = _Lane(stay_ms)
        tick = -(-(now_ms + stay_ms) // self._tick_ms) * self._tick_ms
        if lane.batches and lane.batches[-1][0] >= tick:
            lane.batches[-1][1].append(key)
        else:
            lane.batches.append((tick, [key]))

    def keep_until(self, key: str, what: Entry, stay_ms: int, due_ms: int) -> None:
        """Keep what was kept before, until the tick that ``kept`` named."""
        self.keep(key, what, stay_ms, due_ms - stay_ms)

    def kept(self) -> Iterator[tuple[str, Entry, int, int]]:
        """Return key, entry, stay and end of everything that is kept, the oldest of each stay first."""
        for lane in self._lanes.values():
            for due_ms, keys in lane.batches:
                for key in keys:
                    if key in self._entries:
                        yield key, self._entries[key], lane.stay_ms, due_ms

    def replace(self, key: str, what: Entry) -> None:
        """Change what is kept for a key, if it has not expired; when it expires does not change."""
        if key in self._entries:
            self._entries[key] = what

    def next_due(self) -> int | None:
        """Return when the next batch expires, in milliseconds of the monotonic clock, or None."""
        first = None
        for lane in self._lanes.values():
            if lane.batches:
                due = lane.batches[0][0]
                if first is None or due < first:
                    first = due
        return first

    def expire(self, now_ms: int) -> None:
        """Drop every key that has expired."""
        for lane in self._lanes.values():
            while lane.batches and lane.batches[0][0] <= now_ms:
                for key in lane.batches.popleft()[1]:
                    self._entries.pop(key, None)
