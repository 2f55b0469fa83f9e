"""Schedule the keep-alive datagrams that hold the NAT bindings of registered endpoints open.

A sweep reaches every endpoint once. It consists of batches: one of ``send_one_time`` datagrams begins every
``send_interval_ms``, and within it they are sent in even slices of 10 ms, so that neither a device on the path nor our
own calls see a burst. The next sweep begins ``period_ms`` after the start of this one, or when this one is finished,
whichever is later. Time is an argument; sending is left to the engine.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from vosd.sip.wire.outgoing import Peer

SLICE_MS: Final = 10


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """Content and pace of keep-alives."""

    message: bytes = b"HELLO"
    """Payload of each datagram; empty = nothing is sent."""
    period_ms: int = 30_000
    """Time between the starts of two sweeps."""
    send_interval_ms: int = 500
    """Time between the starts of two batches."""
    send_one_time: int = 3_000
    """Datagrams in a batch."""
    to_all: bool = True
    """False = only endpoints that are not at the address of their Contact, or whose Contact or Via is private."""

    @property
    def slice_max(self) -> int:
        """Most datagrams sent at one instant."""
        return min(self.send_one_time, -(-self.send_one_time * SLICE_MS // self.send_interval_ms))


class _Allowance:
    """Datagrams allowed at an instant: the average of the pace, with at most one slice saved up.

    Lost time is not made up for at once, and a new sweep begins with the rest of the last one.
    """

    def __init__(self, pace: KeepAlive, now: int) -> None:
        self._pace = pace
        self._credit = self._most
        """In parts of a datagram: ``send_interval_ms`` parts make one."""
        self._at = now

    @property
    def _most(self) -> int:
        # One datagram more than a slice: because of rounding, slices borrow from each other.
        return (self._pace.slice_max + 1) * self._pace.send_interval_ms

    def at(self, now: int) -> int:
        self._credit = min(self._most, self._credit + (now - self._at) * self._pace.send_one_time)
        self._at = now
        return min(self._pace.slice_max, self._credit // self._pace.send_interval_ms)

    def spend(self, datagrams: int) -> None:
        self._credit -= datagrams * self._pace.send_interval_ms


class _Sweep:
    """One sweep over the endpoints registered at its start."""

    def __init__(self, endpoints: Sequence[Peer], pace: KeepAlive, now: int, allowance: _Allowance) -> None:
        self._endpoints = endpoints
        self._pace = pace
        self._allowance = allowance
        self._done = 0
        self._batch_first = 0
        self._batch = min(len(endpoints), pace.send_one_time)
        self.began = now
        self.batch_begins = now
        """Start of the current batch, or of the next one."""
        self.late_from = now + pace.period_ms
        """Time at which the next sweep should begin."""

    @property
    def remaining(self) -> int:
        return len(self._endpoints) - self._done

    def due(self, now: int) -> Sequence[Peer]:
        """Return the endpoints to send to at ``now``: after a late wake-up still no more than one slice."""
        allowed = self._allowance.at(now)
        first = self._done
        # A loop, since a late wake-up may finish one batch and begin the next; ``allowed`` still bounds the burst.
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
        """Return the time of the next datagram, if any endpoint remains."""
        # The slice of the next datagram in the batch; if that is over, the next slice.
        place = (self._done - self._batch_first) * self._pace.send_interval_ms // (self._batch * SLICE_MS)
        if now >= self.batch_begins:
            place = max(place, (now - self.batch_begins) // SLICE_MS + 1)
        return self.batch_begins + place * SLICE_MS

    def _owed(self, now: int) -> int:
        """Return how many datagrams of the current batch are due by the end of this slice and not yet sent."""
        if now < self.batch_begins:
            return 0
        interval = self._pace.send_interval_ms
        reach = min(((now - self.batch_begins) // SLICE_MS + 1) * SLICE_MS, interval)
        return -(-self._batch * reach // interval) - (self._done - self._batch_first)


class Sweeps:
    """Consecutive sweeps, never two at the same time; times are in milliseconds of the monotonic clock."""

    def __init__(self, pace: KeepAlive, endpoints: Callable[[], Sequence[Peer]], began: int) -> None:
        """``endpoints`` returns those to reach, each once, at the start of a sweep; the first begins at ``began``."""
        self._pace = pace
        self._endpoints = endpoints
        self._allowance = _Allowance(pace, began)
        self._next = began
        self._sweep: _Sweep | None = None
        self.latest_ms = 0
        """Duration of the latest finished sweep."""
        self.overruns = False
        """Whether the last sweep, or the current one, was unfinished when the next should have begun."""

    @property
    def remaining(self) -> int:
        """Number of endpoints not yet reached by the current sweep."""
        return 0 if self._sweep is None else self._sweep.remaining

    def due(self, now: int) -> Sequence[Peer]:
        """Return the endpoints to send to at ``now``."""
        sweep = self._sweep
        if sweep is None:
            if now < self._next:
                return ()
            sweep = self._sweep = _Sweep(self._endpoints(), self._pace, now, self._allowance)
        due = sweep.due(now)
        if not sweep.remaining:
            self._sweep = None
            self.latest_ms = now - sweep.began
            self._next = max(sweep.late_from, sweep.batch_begins)
            self.overruns = now >= sweep.late_from
        elif now >= sweep.late_from:
            self.overruns = True
        return due

    def next_due(self, now: int) -> int:
        """Return when to call ``due`` again, after a call at ``now``."""
        return max(self._next, now + 1) if self._sweep is None else self._sweep.next_due(now)
