"""Sending something again until it is heard: intervals that double, and a time to give up."""

from vosd.base.clock import Instant
from vosd.base.wheel import Timer
from vosd.sip.compose import Peer
from vosd.sip.transaction.store import TimerOwner, TransactionStore


class Retry:
    """One message that is repeated after T1, 2·T1, 4·T1 … (at most ``ceiling_ms`` apart) until 64·T1 are over.

    The owner's ``timer_due`` is called at every wake-up and asks ``due`` whether to go on. The owner is known by
    the running timer alone: once that is gone nothing points back, and both are freed at once.
    """

    __slots__ = ("_ceiling_ms", "_interval_ms", "_peer", "_store", "_timer", "data", "ends_at")

    def __init__(
        self, store: TransactionStore, owner: TimerOwner, peer: Peer, data: bytes, ceiling_ms: int, now: Instant
    ) -> None:
        self._store = store
        self._peer = peer
        self.data = data
        self._ceiling_ms = ceiling_ms
        self._interval_ms = store.timers.t1_ms
        self.ends_at = now.mono + store.timers.transaction_ms
        """When the time is over, in milliseconds of the monotonic clock."""
        store.send(peer, data)
        self._timer: Timer[TimerOwner] | None = store.set_timer(now.mono + self._interval_ms, owner)

    def again(self) -> None:
        """Send the message once more, out of turn."""
        self._store.send(self._peer, self.data)

    def due(self, owner: TimerOwner, now: Instant) -> bool:
        """Send again and set the next timer; return False when the time is over and nothing was sent."""
        self._timer = None
        if now.mono >= self.ends_at:
            return False
        self._store.send(self._peer, self.data)
        self._wait(min(2 * self._interval_ms, self._ceiling_ms), owner, now)
        return True

    def slow_down(self, owner: TimerOwner, now: Instant) -> None:
        """A provisional response came: repeat no faster than the ceiling (RFC 3261 section 17.1.2.2)."""
        self.stop()
        self._wait(self._ceiling_ms, owner, now)

    def stop(self) -> None:
        """The message was heard."""
        if self._timer is not None:
            self._store.wheel.cancel(self._timer)
            self._timer = None

    def _wait(self, interval_ms: int, owner: TimerOwner, now: Instant) -> None:
        self._interval_ms = interval_ms
        self._timer = self._store.set_timer(min(now.mono + interval_ms, self.ends_at), owner)
