"""Coarse timer wheel: many short deadlines, most of them cancelled before they are due.

Scheduling and cancelling cost one dictionary operation each, for any number of timers; a timer fires at most one tick
late and never early. Owns no clock: the time is an argument.
"""

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Final, Generic, TypeVar

TICK_MS: Final = 10
"""Resolution of timers: a timer may fire so much later; under load all timers of a tick need one wake-up."""

Owner = TypeVar("Owner")


class Timer(Generic[Owner]):
    """One deadline: its owner and its tick. Created by ``TimerWheel.schedule``."""

    __slots__ = ("owner", "tick")

    def __init__(self, owner: Owner, tick: int) -> None:
        self.owner = owner
        self.tick = tick


class TimerWheel(Generic[Owner]):
    """Timers in buckets of ``tick_ms`` milliseconds of the monotonic clock."""

    __slots__ = ("_buckets", "_order", "_size", "tick_ms")

    def __init__(self, tick_ms: int) -> None:
        self.tick_ms = tick_ms
        self._buckets: dict[int, dict[Timer[Owner], None]] = {}
        self._order: list[int] = []
        self._size = 0

    def __len__(self) -> int:
        """Return the number of timers that have neither fired nor been cancelled."""
        return self._size

    def schedule(self, at_ms: int, owner: Owner) -> Timer[Owner]:
        """Set a timer for ``at_ms`` on the monotonic clock; ``expire`` yields its ``owner``."""
        tick = -(-at_ms // self.tick_ms)
        timer = Timer(owner, tick)
        bucket = self._buckets.get(tick)
        if bucket is None:
            self._buckets[tick] = {timer: None}
            heappush(self._order, tick)
        else:
            bucket[timer] = None
        self._size += 1
        return timer

    def add(self, timer: Timer[Owner]) -> None:
        """Set a timer that was created before; it fires after all timers already in its tick."""
        bucket = self._buckets.get(timer.tick)
        if bucket is None:
            bucket = self._buckets[timer.tick] = {}
            heappush(self._order, timer.tick)
        bucket[timer] = None
        self._size += 1

    def position(self, timer: Timer[Owner]) -> tuple[int, int] | None:
        """Return the tick of a timer and its position in it; None if it has fired or was cancelled.

        Linear in the number of timers of the tick.
        """
        bucket = self._buckets.get(timer.tick, {})
        return (timer.tick, list(bucket).index(timer)) if timer in bucket else None

    def cancel(self, timer: Timer[Owner]) -> None:
        """Cancel a timer; one that has fired or was cancelled before is ignored."""
        bucket = self._buckets.get(timer.tick)
        if bucket is not None and timer in bucket:
            del bucket[timer]
            self._size -= 1

    def next_due(self) -> int | None:
        """Return when the earliest timer fires, in milliseconds of the monotonic clock, or None."""
        order = self._order
        while order and not self._buckets[order[0]]:
            del self._buckets[heappop(order)]
        return order[0] * self.tick_ms if order else None

    def expire(self, now_ms: int) -> Iterator[Owner]:
        """Yield the owners of all timers due by ``now_ms``; one cancelled meanwhile does not fire."""
        # The owner of a fired timer may schedule for the past or call next_due, so the first tick is searched again
        # after each bucket.
        while (due := self.next_due()) is not None and due <= now_ms:
            bucket = self._buckets[self._order[0]]
            while bucket:
                timer = next(iter(bucket))
                del bucket[timer]
                self._size -= 1
                yield timer.owner
