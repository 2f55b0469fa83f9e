"""Retransmission of a message: the intervals, and the end."""

from vosd.base.clock import Instant
from vosd.base.wheel import TICK_MS, Timer
from vosd.sip.transaction.pace import RetransmissionPace
from vosd.sip.transaction.store import Sender, TimerOwner, TransactionStore
from vosd.sip.wire.outgoing import Datagram, Peer


class Retry(Timer[TimerOwner]):
    """One message that is retransmitted until it is answered, at most for 64·T1; it is its own timer.

    Intervals double from T1. Requests over UDP follow the operator's list instead, where there is one; the last
    retransmission of the list is sent when the time is over. Over a reliable transport there is only the time limit.

    The wheel calls ``timer_due`` of the owner, which calls ``due``. Only the wheel refers to the owner: without a timer
    there is no cycle of references, and both are freed at once.
    """

    __slots__ = ("ceiling_ms", "ends_at", "interval_ms", "is_reliable", "repeats", "schedule", "sent", "store")

    def __init__(self, store: TransactionStore, peer: Peer, data: bytes) -> None:
        """Nothing is sent before ``begin``."""
        self.store = store
        self.sent = Datagram(peer, data)
        """The message and its destination."""
        self.is_reliable = store.reliable[peer.flow]
        self.bucket = None
        self.repeats = 0

    def begin(self, owner: Sender, pace: RetransmissionPace, now: Instant) -> None:
        """Send the message."""
        store = self.store
        timers = store.timers
        self.ceiling_ms = timers.t2_ms if pace.has_ceiling else timers.transaction_ms
        self.schedule = timers.resend_ms if pace.is_listed else ()
        self.interval_ms = self.schedule[0] if self.schedule else timers.t1_ms
        lasts_ms = timers.give_up_ms if self.schedule else timers.transaction_ms
        self.ends_at = now.mono + lasts_ms
        """When there are no more retransmissions, in milliseconds of the monotonic clock."""
        store.out.append(self.sent)
        if self.is_reliable:
            store.streams.setdefault(self.sent.peer, {})[owner] = None
            if not pace.is_end_to_end:
                self.interval_ms = lasts_ms
                self.schedule = ()
        self.tick = -(-(now.mono + self.interval_ms) // TICK_MS)
        store.wheel.add(self, owner)

    @property
    def is_first(self) -> bool:
        """Whether the message was sent only once."""
        return self.repeats == 0

    def again(self) -> None:
        """Send the message once more; the intervals do not change."""
        self.store.out.append(self.sent)

    def move(self, owner: Sender, sent: Datagram) -> None:
        """Go on over another connection with what it is sent there; nothing is sent at once."""
        self._leave_stream(owner)
        self.sent = sent
        self.store.streams.setdefault(sent.peer, {})[owner] = None

    def due(self, owner: Sender, now: Instant) -> bool:
        """Retransmit and set the next timer; return False when the time is over."""
        if now.mono >= self.ends_at:
            if self.schedule and self.repeats == len(self.schedule) - 1:
                self._send_again()
            self._leave_stream(owner)
            return False
        self._send_again()
        self.repeats += 1
        if self.schedule:
            self._wait(self.schedule[self.repeats], owner, now)
        else:
            self._wait(min(2 * self.interval_ms, self.ceiling_ms), owner, now)
        return True

    def slow_retransmission(self, owner: Sender, now: Instant) -> None:
        """Retransmit at intervals of T2, after a provisional response (RFC 3261 section 17.1.2.2)."""
        if self.is_reliable:
            return
        self.store.wheel.cancel(self)
        self.schedule = ()
        self._wait(self.ceiling_ms, owner, now)

    def wait_until(self, owner: Sender, at_ms: int, now: Instant) -> None:
        """Send nothing more; the time is over at ``at_ms`` of the monotonic clock."""
        self.stop(owner)
        self.ends_at = at_ms
        self._wait(at_ms - now.mono, owner, now)

    def stop(self, owner: Sender) -> None:
        """Stop: the message is answered."""
        if self.bucket is not None:
            self.bucket.pop(self, None)
        if self.is_reliable:
            self._leave_stream(owner)

    def _send_again(self) -> None:
        self.store.sent_again += 1
        self.again()

    def _leave_stream(self, owner: Sender) -> None:
        waiting = self.store.streams.get(self.sent.peer)
        if waiting is not None:
            waiting.pop(owner, None)
            if not waiting:
                del self.store.streams[self.sent.peer]

    def _wait(self, interval_ms: int, owner: Sender, now: Instant) -> None:
        self.interval_ms = interval_ms
        self.tick = -(-min(now.mono + interval_ms, self.ends_at) // TICK_MS)
        self.store.wheel.add(self, owner)
