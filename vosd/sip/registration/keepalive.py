"""When each registered endpoint is sent the datagram that keeps its NAT binding open (REQ NAT-02 to NAT-05, NAT-10).

A sweep reaches everybody once. It goes by batches: one of ``send_one_time`` datagrams begins every
``send_interval_ms``, and within it they leave in even slices of 10 ms, so that neither a device on the way nor our
own calls see a burst (DESIGN section 7). The next sweep begins ``period_ms`` after this one began, or when this one
is over, whichever is later. Time is an argument; who sends, and what, is the engine's affair.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from vosd.sip.wire.compose import Peer

SLICE_MS: Final = 10


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """What is sent to registered endpoints, and how fast."""

    message: bytes = b"HELLO"
    """Payload of each datagram; empty = nothing is sent (NAT-03)."""
    period_ms: int = 30_000
    """From the beginning of one sweep to that of the next."""
    send_interval_ms: int = 500
    """From the beginning of one batch to that of the next."""
    send_one_time: int = 3_000
    """Datagrams in a batch."""
    to_all: bool = True
    """False = only endpoints that are not where their Contact says, or whose Contact or Via is private."""

    @property
    def slice_max(self) -> int:
        """The most datagrams that leave at one instant."""
        return min(self.send_one_time, -(-self.send_one_time * SLICE_MS // self.send_interval_ms))


class _Allowance:
    """How many may leave at an instant: the average of the pace, with one slice saved up at most.

    Time that was lost in between is not made up for at once, and a new sweep begins with what the last has left.
    """

    __slots__ = ("_at", "_credit", "_pace")

    def __init__(self, pace: KeepAlive, now: int) -> None:
        self._pace = pace
        self._credit = self._most
        """In parts of a datagram, of which ``send_interval_ms`` make one."""
        self._at = now

    @property
    def _most(self) -> int:
        # One datagram more than a slice: rounding up, slices borrow from each other.
        return (self._pace.slice_max + 1) * self._pace.send_interval_ms

    def at(self, now: int) -> int:
        self._credit = min(self._most, self._credit + (now - self._at) * self._pace.send_one_time)
        self._at = now
        return min(self._pace.slice_max, self._credit // self._pace.send_interval_ms)

    def spend(self, datagrams: int) -> None:
        self._credit -= datagrams * self._pace.send_interval_ms


class _Sweep:
    """One sweep over the endpoints as they were when it began."""

    __slots__ = ("_allowance", "_batch", "_batch_first", "_done", "_endpoints", "_pace", "batch_begins", "late_from")

    def __init__(self, endpoints: Sequence[Peer], pace: KeepAlive, now: int, allowance: _Allowance) -> None:
        self._endpoints = endpoints
        self._pace = pace
        self._allowance = allowance
        self._done = 0
        self._batch_first = 0
        self._batch = min(len(endpoints), pace.send_one_time)
        self.batch_begins = now
        """Of the present batch, or the one that would come next."""
        self.late_from = now + pace.period_ms
        """When the next sweep should begin."""

    @property
    def remaining(self) -> int:
        return len(self._endpoints) - self._done

    def due(self, now: int) -> Sequence[Peer]:
        """Return whom to send to at ``now``: after a late wake-up still no more than one slice."""
        allowed = self._allowance.at(now)
        first = self._done
        while allowed and self.remaining and (owed := self._owed(now)):
            taken = min(owed, allowed)
            allowed -= taken
            self._done += taken
            if self._done == self._batch_first + self._batch:
                self._batch_first = self._done
                self.batch_begins += self._pace.send_interval_ms
                self._batch = min(self.remaining, self._pace.send_one_time)
        self._allowance.spend(self._done - first)
        return self._endpoints[first : self._done]

    def next_due(self, now: int) -> int:
        """Return when there is more, given that somebody remains."""
        # The slice in which the next datagram of the batch has its place; where that is over, the coming one.
        place = (self._done - self._batch_first) * self._pace.send_interval_ms // (self._batch * SLICE_MS)
        if now >= self.batch_begins:
            place = max(place, (now - self.batch_begins) // SLICE_MS + 1)
        return self.batch_begins + place * SLICE_MS

    def _owed(self, now: int) -> int:
        """Return how many of the present batch should have left by the end of the present slice, and have not."""
        if now < self.batch_begins:
            return 0
        interval = self._pace.send_interval_ms
        reach = min(((now - self.batch_begins) // SLICE_MS + 1) * SLICE_MS, interval)
        return -(-self._batch * reach // interval) - (self._done - self._batch_first)


class Sweeps:
    """Sweep after sweep, never two at the same time (NAT-10); times are in milliseconds of the monotonic clock."""

    def __init__(self, pace: KeepAlive, endpoints: Callable[[], Sequence[Peer]], began: int) -> None:
        """``endpoints`` gives those to be reached, each once, as each sweep begins; the first begins at ``began``."""
        self._pace = pace
        self._endpoints = endpoints
        self._allowance = _Allowance(pace, began)
        self._next = began
        self._sweep: _Sweep | None = None
        self.overruns = False
        """Whether the last sweep, or the present one, was not over when the next should have begun."""

    @property
    def remaining(self) -> int:
        """How many the present sweep has not reached yet."""
        return 0 if self._sweep is None else self._sweep.remaining

    def due(self, now: int) -> Sequence[Peer]:
        """Return whom to send to at ``now``."""
        sweep = self._sweep
        if sweep is None:
            if now < self._next:
                return ()
            sweep = self._sweep = _Sweep(self._endpoints(), self._pace, now, self._allowance)
        due = sweep.due(now)
        if not sweep.remaining:
            self._sweep = None
            self._next = max(sweep.late_from, sweep.batch_begins)
            self.overruns = now >= sweep.late_from
        elif now >= sweep.late_from:
            self.overruns = True
        return due

    def next_due(self, now: int) -> int:
        """Return when ``due`` has more to say, given that it was asked at ``now``."""
        return max(self._next, now + 1) if self._sweep is None else self._sweep.next_due(now)
