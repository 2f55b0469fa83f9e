"""Retransmission of a message: the intervals, and the end."""

from enum import Enum
from typing import Final

from vosd.base.clock import Instant
from vosd.base.wheel import Timer
from vosd.sip.transaction.store import TimerOwner, TransactionStore
from vosd.sip.wire.compose import Datagram, Peer


class Pace(Enum):
    """How a message is retransmitted."""

    INVITE = "invite"
    """The interval doubles without limit (timer A)."""
    REQUEST = "request"
    """The interval doubles up to T2 (timer E)."""
    RESPONSE = "response"
    """The same for a final response to an INVITE (timer G)."""
    SUCCESS = "success"
    """The same for a 2xx; over a reliable transport too, since the next hop may use UDP (RFC 3261 13.3.1.4)."""
    PROVISIONAL = "provisional"
    """The interval doubles without limit, over a reliable transport too (RFC 3262 section 3)."""


_WITHOUT_CEILING: Final = (Pace.INVITE, Pace.PROVISIONAL)
_ASKING: Final = (Pace.INVITE, Pace.REQUEST)
_END_TO_END: Final = (Pace.SUCCESS, Pace.PROVISIONAL)


class Retry:
    """One message that is retransmitted until it is answered, at most for 64·T1.

    Intervals double from T1. Requests over UDP follow the operator's list instead, where there is one; the last
    retransmission of the list is sent when the time is over. Over a reliable transport there is only the time limit.

    The timer calls ``timer_due`` of the owner, which calls ``due``. Only the timer refers to the owner: without a timer
    there is no cycle of references, and both are freed at once.
    """

    __slots__ = ("_ceiling_ms", "_interval_ms", "_peer", "_repeats", "_schedule", "_store", "_timer", "data", "ends_at")

    def __init__(
        self, store: TransactionStore, owner: TimerOwner, peer: Peer, data: bytes, pace: Pace, now: Instant
    ) -> None:
        timers = store.timers
        self._store = store
        self._peer = peer
        self.data = data
        self._ceiling_ms = timers.transaction_ms if pace in _WITHOUT_CEILING else timers.t2_ms
        self._schedule = timers.resend_ms if pace in _ASKING else ()
        self._interval_ms = self._schedule[0] if self._schedule else timers.t1_ms
        self._repeats = 0
        lasts_ms = timers.give_up_ms if self._schedule else timers.transaction_ms
        self.ends_at = now.mono + lasts_ms
        """When there are no more retransmissions, in milliseconds of the monotonic clock."""
        store.send(peer, data)
        if store.reliable[peer.flow]:
            store.streams.setdefault(peer, {})[owner] = None
            if pace not in _END_TO_END:
                self._interval_ms = lasts_ms
                self._schedule = ()
        self._timer: Timer[TimerOwner] | None = store.set_timer(now.mono + self._interval_ms, owner)

    @property
    def is_first(self) -> bool:
        """Whether the message was sent only once."""
        return self._repeats == 0

    @property
    def sent(self) -> Datagram:
        """The message and its destination."""
        return Datagram(self._peer, self.data)

    def again(self) -> None:
        """Send the message once more; the intervals do not change."""
        self._store.send(self._peer, self.data)

    def due(self, owner: TimerOwner, now: Instant) -> bool:
        """Retransmit and set the next timer; return False when the time is over."""
        self._timer = None
        if now.mono >= self.ends_at:
            if self._schedule and self._repeats == len(self._schedule) - 1:
                self.again()
            self._leave_stream(owner)
            return False
        self.again()
        self._repeats += 1
        if self._schedule:
            self._wait(self._schedule[self._repeats], owner, now)
        else:
            self._wait(min(2 * self._interval_ms, self._ceiling_ms), owner, now)
        return True

    def slow_retransmission(self, owner: TimerOwner, now: Instant) -> None:
        """Retransmit at intervals of T2, after a provisional response (RFC 3261 section 17.1.2.2)."""
        if self._store.reliable[self._peer.flow]:
            return
        self._cancel()
        self._schedule = ()
        self._wait(self._ceiling_ms, owner, now)

    def stop(self, owner: TimerOwner) -> None:
        """Stop: the message is answered."""
        self._cancel()
        self._leave_stream(owner)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._store.wheel.cancel(self._timer)
            self._timer = None

    def _leave_stream(self, owner: TimerOwner) -> None:
        if self._store.reliable[self._peer.flow]:
            waiting = self._store.streams.get(self._peer)
            if waiting is not None:
                waiting.pop(owner, None)
                if not waiting:
                    del self._store.streams[self._peer]

    def _wait(self, interval_ms: int, owner: TimerOwner, now: Instant) -> None:
        self._interval_ms = interval_ms
        self._timer = self._store.set_timer(min(now.mono + interval_ms, self.ends_at), owner)
