"""Count the calls that each object carries, and those that it took in the last second (ADR 9).

The counters are keyed by object name and outlive a reload: a lower limit refuses new calls and ends none. The limits
are arguments of every check.
"""

from collections import defaultdict, deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from vosd.base.errors import VosError
from vosd.routing.ports import Full
from vosd.trunks.scope import LimitScope

_WINDOW_MS: Final = 1_000


class NothingTaken(VosError):  # noqa: N818 - it names the finding
    """A place was released that was never taken: a call has ended twice, or was not counted."""


class CapacityPeak(NamedTuple):
    """Most calls of an object at a time, and in a second, since they were read last."""

    name: str
    concurrent: int
    per_second: int
    """Calls of the sliding second that had the most."""


class _Meter:
    """The calls of one object.

    The most calls at a time are noted before one ends, and the most of a second before older ones are removed: a place
    that is taken back by ``undo`` has never been one.
    """

    __slots__ = ("accepted", "active", "most_active", "most_recent", "read_at")

    def __init__(self) -> None:
        self.active = 0
        self.accepted: deque[int] = deque()
        """Monotonic milliseconds of the calls taken within the window, the oldest first."""
        self.most_active = 0
        self.most_recent = 0
        self.read_at = -1
        """Time at which the peak was read last: a second that ended before then is in that peak."""

    def recent(self, mono_ms: int) -> int:
        """Return how many calls were taken in the window that ends now; older ones are removed."""
        accepted = self.accepted
        if len(accepted) > self.most_recent and accepted[-1] > self.read_at:
            self.most_recent = len(accepted)
        while accepted and mono_ms - accepted[0] >= _WINDOW_MS:
            accepted.popleft()
        return len(accepted)


class Occupancy:
    """Every object's running calls and its sliding window of 1000 ms (implements ``Capacity``)."""

    def __init__(self) -> None:
        self._meters: tuple[defaultdict[str, _Meter], ...] = tuple(defaultdict(_Meter) for _ in LimitScope)

    def take(
        self, scope: LimitScope, name: str, max_concurrent: int | None, max_cps: int | None, mono_ms: int
    ) -> Full | None:
        """Count one more call, or return the limit that refuses it; a refused call counts nowhere."""
        meter = self._meters[scope][name]
        accepted = meter.accepted
        if len(accepted) > meter.most_recent and accepted[-1] > meter.read_at:
            meter.most_recent = len(accepted)
        # As in ``recent``. Also without a limit, so that the window does not grow.
        while accepted and mono_ms - accepted[0] >= _WINDOW_MS:
            accepted.popleft()
        if max_concurrent is not None and meter.active >= max_concurrent:
            return Full.CONCURRENCY
        if max_cps is not None and len(accepted) >= max_cps:
            return Full.RATE
        meter.active += 1
        accepted.append(mono_ms)
        return None

    def take_again(self, scope: LimitScope, name: str, max_concurrent: int | None) -> Full | None:
        """Take a place again for a call that had one and released it: its arrival is in the window already."""
        meter = self._meters[scope][name]
        if max_concurrent is not None and meter.active >= max_concurrent:
            return Full.CONCURRENCY
        meter.active += 1
        return None

    def would_refuse(
        self, scope: LimitScope, name: str, max_concurrent: int | None, max_cps: int | None, mono_ms: int
    ) -> Full | None:
        """Return the limit that would refuse one more call now; None = there is room. A limit of None is none."""
        meter = self._meters[scope][name]
        if max_concurrent is not None and meter.active >= max_concurrent:
            return Full.CONCURRENCY
        if max_cps is not None and meter.recent(mono_ms) >= max_cps:
            return Full.RATE
        return None

    def release(self, scope: LimitScope, name: str) -> None:
        """Release the place of a call that has ended; it stays in the window, because it did arrive.

        Raises:
            NothingTaken: no call of this object is counted.
        """
        meter = self._meters[scope][name]
        active = meter.active
        if active == 0:
            raise _nothing_taken(scope, name)
        meter.most_active = max(meter.most_active, active)
        meter.active = active - 1

    def undo(self, scope: LimitScope, name: str, mono_ms: int) -> None:
        """Take back whole what was taken at ``mono_ms``, window included, because a later step refused the call.

        Raises:
            NothingTaken: no call of this object is counted.
        """
        meter = self._meters[scope][name]
        if meter.active == 0:
            raise _nothing_taken(scope, name)
        meter.active -= 1
        accepted = meter.accepted
        if accepted and accepted[-1] == mono_ms:  # as nearly always: of thousands no other is looked at
            accepted.pop()
        elif mono_ms in accepted:  # else it has left the window while it waited for an answer
            accepted.remove(mono_ms)

    def active(self, scope: LimitScope, name: str) -> int:
        """Return the running calls of one object."""
        return self._meters[scope][name].active

    def busy(self, scope: LimitScope) -> Iterator[tuple[str, int]]:
        """Yield the objects that carry calls, with their number."""
        for name, meter in self._meters[scope].items():
            if meter.active:
                yield name, meter.active

    def lately(self, scope: LimitScope, mono_ms: int) -> list[tuple[str, int]]:
        """Return how many calls each object took in the preceding 1000 ms; those that took none are left out."""
        busy = [(name, meter.recent(mono_ms)) for name, meter in self._meters[scope].items() if meter.accepted]
        return [each for each in busy if each[1]]

    def recent(self, scope: LimitScope, name: str, mono_ms: int) -> int:
        """Return how many calls one object took in the preceding 1000 ms."""
        return self._meters[scope][name].recent(mono_ms)

    def objects(self, scope: LimitScope) -> list[str]:
        """Return the objects that were counted or asked for and not forgotten since."""
        return list(self._meters[scope])

    def take_peak(self, scope: LimitScope, name: str, mono_ms: int) -> CapacityPeak | None:
        """Return the peak of an object since this was asked last, and begin a new one; None = it had no calls."""
        meter = self._meters[scope][name]
        meter.recent(mono_ms)
        peak = CapacityPeak(name, max(meter.most_active, meter.active), meter.most_recent)
        meter.most_active, meter.most_recent, meter.read_at = 0, 0, mono_ms
        return peak if peak.concurrent or peak.per_second else None

    def forget_idle(self, scope: LimitScope, name: str, mono_ms: int) -> None:
        """Forget an object that carries no call, and took none in the preceding 1000 ms, with its peak.

        There is no other end of an object: the configuration may have had it a year ago.
        """
        meter = self._meters[scope].get(name)
        if meter is not None and not meter.active and not meter.recent(mono_ms):
            del self._meters[scope][name]

    def total(self) -> int:
        """Return the places taken in all scopes together; zero without calls."""
        return sum(meter.active for meters in self._meters for meter in meters.values())


class Boundless(Occupancy):
    """An occupancy in which there is room for every call: room is judged later."""

    def would_refuse(
        self, _scope: LimitScope, _name: str, _max_concurrent: int | None, _max_cps: int | None, _mono_ms: int
    ) -> None:
        """Return None."""


def _nothing_taken(scope: LimitScope, name: str) -> NothingTaken:
    return NothingTaken(f"no call of {scope.name.lower()} {name!r} is counted: release once for each take")
