"""Timers as data: the tick in which each fires and its place in it. What fires in one tick goes out in the same order.

Instants are those of the machine's monotonic clock, which goes on while the process is replaced.
"""

import msgspec

from vosd.base.wheel import Timer
from vosd.sip.transaction.store import TimerOwner, TransactionStore


class TimerSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """A timer that has not fired."""

    tick: int
    place: int
    """The number of timers of the same tick that fire before it."""

    @classmethod
    def of(cls, timer: Timer[TimerOwner] | None, store: TransactionStore) -> "TimerSnapshot | None":
        """Describe a timer; None where it has fired."""
        position = None if timer is None else store.wheel.position(timer)
        return None if position is None else cls(*position)
