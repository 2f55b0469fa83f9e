"""Finished transactions: a key, and the message to send again if the peer retransmits.

There are a hundred thousand of these at 1,000 calls/s. So none of them is an object: an entry is one row of a
dictionary, and entries expire by whole ticks of time.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from vosd.base.clock import Instant
from vosd.base.wheel import TimerWheel
from vosd.sip.transaction.entries import Entry

if TYPE_CHECKING:
    from vosd.sip.transaction.store import TimerOwner


class FinishedTransactions:
    """Keys of finished transactions until their last timer (D, I, J, K, L or M) fires."""

    __slots__ = ("_batches", "_tick_ms", "_wheel", "entries", "get")

    def __init__(self, tick_ms: int, wheel: "TimerWheel[TimerOwner]") -> None:
        """Keys expire at multiples of ``tick_ms``, by one timer on the ``wheel`` for all of one instant."""
        self._tick_ms = tick_ms
        self._wheel = wheel
        self._batches: dict[int, list[str]] = {}
        """The keys that expire at an instant, in milliseconds of the monotonic clock."""
        self.entries: dict[str, Entry] = {}
        self.get: Callable[[str], Entry | None] = self.entries.get
        """``get(key)``: what is kept for a key, or None. The method of the dictionary itself: every message asks."""

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def timers(self) -> int:
        """Number of its timers on the wheel."""
        return len(self._batches)

    def keep(self, key: str, what: Entry, stay_ms: int, now: Instant, also: str = "") -> None:
        """Keep ``what`` for ``stay_ms`` milliseconds, at most one tick longer; ``also`` is another key for the same."""
        due_ms = -(-(now.mono + stay_ms) // self._tick_ms) * self._tick_ms
        keys = self._batches.get(due_ms)
        if keys is None:
            keys = self._batches[due_ms] = []
            self._wheel.schedule(due_ms, self)
        keys.append(key)
        self.entries[key] = what
        if also:
            keys.append(also)
            self.entries[also] = what

    def keep_until(self, key: str, what: Entry, due_ms: int) -> None:
        """Keep what was kept before, until the instant that ``kept`` named."""
        if due_ms not in self._batches:
            self._batches[due_ms] = []
            self._wheel.schedule(due_ms, self)
        self._batches[due_ms].append(key)
        self.entries[key] = what

    def clear(self) -> None:
        """Forget all of them; the wheel is cleared beside."""
        self._batches.clear()
        self.entries.clear()

    def kept(self) -> Iterator[tuple[str, Entry, int]]:
        """Return key, entry and end of everything that is kept, what expires first in front."""
        for due_ms, keys in sorted(self._batches.items()):
            for key in keys:
                if key in self.entries:
                    yield key, self.entries[key], due_ms

    def timer_due(self, now: Instant) -> None:
        """Drop every key that has expired."""
        for due_ms in tuple(self._batches):
            if due_ms <= now.mono:
                for key in self._batches.pop(due_ms):
                    self.entries.pop(key, None)
