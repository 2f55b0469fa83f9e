"""Coarse timer wheel: many short deadlines, most of them cancelled before they are due.

Scheduling and cancelling cost one dictionary operation each, for any number of timers; a timer fires at most one tick
late and never early. A cancelled timer leaves nothing, however far away it was. Owns no clock: the time is an argument.
"""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import Final, Generic, TypeVar

TICK_MS: Final = 10
"""Resolution of timers: a timer may fire so much later; under load all timers of a tick need one wake-up."""
SPARE_TICKS: Final = 1_024
"""Most ticks that are kept in order, beside twice those with timers, although all their timers were cancelled."""
_COPIED_AT_ONCE: Final = 128
"""Timers of a tick that ``expire`` copies at once: its caller may stop after some, and begin again with the others."""

Owner = TypeVar("Owner")


class Timer(Generic[Owner]):
    """One deadline: its tick, and the bucket that it waits in. Created by ``TimerWheel.schedule``.

    It does not refer to its owner: the bucket does, so that an owner and its timer are no cycle of references.
    """

    __slots__ = ("bucket", "tick")

    def __init__(self, tick: int, bucket: "dict[Timer[Owner], Owner] | None" = None) -> None:
        self.tick = tick
        self.bucket = bucket
        """Timers of the same tick; a timer that has fired or was cancelled is not in it any more."""


class TimerWheel(Generic[Owner]):
    """Timers in buckets of ``tick_ms`` milliseconds of the monotonic clock."""

    def __init__(self, tick_ms: int) -> None:
        self.tick_ms = tick_ms
        self._buckets: dict[int, dict[Timer[Owner], Owner]] = {}
        self._order: list[int] = []
        """A heap that has every tick of ``_buckets``, and some whose timers were cancelled."""

    def __len__(self) -> int:
        """Return the number of timers that have neither fired nor been cancelled."""
        return sum(map(len, self._buckets.values()))

    def schedule(self, at_ms: int, owner: Owner) -> Timer[Owner]:
        """Set a timer for ``at_ms`` on the monotonic clock; ``expire`` yields its ``owner``."""
        tick = -(-at_ms // self.tick_ms)
        bucket = self._buckets.get(tick)
        if bucket is None:
            bucket = self._buckets[tick] = {}
            heappush(self._order, tick)
        timer: Timer[Owner] = Timer(tick, bucket)
        bucket[timer] = owner
        return timer

    def add(self, timer: Timer[Owner], owner: Owner) -> None:
        """Set a timer, made before, for its tick; it fires after all others of that tick."""
        tick = timer.tick
        bucket = self._buckets.get(tick)
        if bucket is None:
            bucket = self._buckets[tick] = {}
            heappush(self._order, tick)
        bucket[timer] = owner
        timer.bucket = bucket

    def position(self, timer: Timer[Owner]) -> tuple[int, int] | None:
        """Return the tick of a timer and its position in it; None if it has fired or was cancelled.

        Linear in the number of timers of the tick.
        """
        bucket = timer.bucket
        return None if bucket is None or timer not in bucket else (timer.tick, list(bucket).index(timer))

    def cancel(self, timer: Timer[Owner]) -> None:
        """Cancel a timer; one that has fired or was cancelled before is ignored."""
        bucket = timer.bucket
        if bucket is None or timer not in bucket:
            return
        del bucket[timer]
        if not bucket:
            # Peers choose how far away some timers are: an empty bucket would stay until its tick is the first one.
            order, buckets = self._order, self._buckets
            del buckets[timer.tick]
            if len(order) > 2 * len(buckets) + SPARE_TICKS:
                order[:] = buckets  # in place: ``expire`` may be reading it
                heapify(order)

    def clear(self) -> None:
        """Cancel all timers."""
        self._buckets.clear()
        self._order.clear()

    def next_due(self) -> int | None:
        """Return when the earliest timer fires, in milliseconds of the monotonic clock, or None."""
        order, buckets = self._order, self._buckets
        while order and not buckets.get(order[0]):
            buckets.pop(heappop(order), None)
        return order[0] * self.tick_ms if order else None

    def expire(self, now_ms: int) -> Iterator[Owner]:
        """Yield the owners of all timers due by ``now_ms``; one cancelled meanwhile does not fire."""
        # The owner of a fired timer may schedule for the past or call next_due, so the first tick is searched again
        # after each bucket.
        order, buckets, last = self._order, self._buckets, now_ms // self.tick_ms
        while order and order[0] <= last:
            bucket = buckets.get(order[0])
            if not bucket:
                buckets.pop(heappop(order), None)
                continue
            for timer, owner in tuple(islice(bucket.items(), _COPIED_AT_ONCE)):
                if timer in bucket:
                    del bucket[timer]
                    yield owner
