"""Sending something again until it is heard: intervals that double, and a time to give up."""

from vosd.base.clock import Instant
from vosd.base.wheel import Timer
from vosd.sip.compose import Peer
from vosd.sip.transaction.store import TimerOwner, TransactionStore


class Retry:
    """One message that is repeated after T1, 2·T1, 4·T1 … (at most ``ceiling_ms`` apart) until 64·T1 are over.

    The owner's ``timer_due`` is called at every wake-up and asks ``due`` whether to go on.
    """

    __slots__ = ("_ceiling_ms", "_ends_at", "_interval_ms", "_owner", "_peer", "_store", "_timer", "data")

    def __init__(
        self, store: TransactionStore, owner: TimerOwner, peer: Peer, data: bytes, ceiling_ms: int, now: Instant
    ) -> None:
        self._store = store
        self._owner = owner
        self._peer = peer
        self.data = data
        self._ceiling_ms = ceiling_ms
        self._interval_ms = store.timers.t1_ms
        self._ends_at = now.mono + store.timers.transaction_ms
        store.send(peer, data)
        self._timer: Timer[TimerOwner] = store.set_timer(now.mono + self._interval_ms, owner)

    @property
    def ends_at(self) -> int:
        """When the time is over, in milliseconds of the monotonic clock."""
        return self._ends_at

    def again(self) -> None:
        """Send the message once more, out of turn."""
        self._store.send(self._peer, self.data)

    def due(self, now: Instant) -> bool:
        """Send again and set the next timer; return False when the time is over and nothing was sent."""
        if now.mono >= self._ends_at:
            return False
        self._store.send(self._peer, self.data)
        self._interval_ms = min(2 * self._interval_ms, self._ceiling_ms)
        self._timer = self._store.set_timer(min(now.mono + self._interval_ms, self._ends_at), self._owner)
        return True

    def slow_down(self, now: Instant) -> None:
        """A provisional response came: repeat no faster than the ceiling (RFC 3261 section 17.1.2.2)."""
        self._store.wheel.cancel(self._timer)
        self._interval_ms = self._ceiling_ms
        self._timer = self._store.set_timer(min(now.mono + self._interval_ms, self._ends_at), self._owner)

    def stop(self) -> None:
        """The message was heard."""
        self._store.wheel.cancel(self._timer)
