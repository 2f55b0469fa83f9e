"""Collect what the running switch counts for reports: attempts without a CDR, and peaks of calls (ADR 138)."""

import asyncio
from collections.abc import Callable
from typing import Final

from vosd.base.clock import Clock
from vosd.engine.calls.switch import Switch
from vosd.traffic.counted import SLOT_MS
from vosd.traffic.live_counts import LiveCounts, PeakSide, TrafficPeak
from vosd.trunks.scope import LimitScope

AT_ONCE: Final = 500
"""Gateways that are read before the event loop serves calls again."""
PEAKS_MAX: Final = 200_000
"""Most peaks that wait while the database is away; the oldest quarters of an hour are given up first."""
_SIDES: Final = ((PeakSide.MAPPING, LimitScope.MAPPING), (PeakSide.ROUTING, LimitScope.ROUTING))


class LiveCounter:
    """The counts of a switch that are not written yet."""

    def __init__(self, switch: Switch, clock: Clock, number: Callable[[], int]) -> None:
        """``number`` returns a random number for each set of counts."""
        self._switch = switch
        self._clock = clock
        self._number = number
        self._slot = clock.now().wall // SLOT_MS
        """Quarter of an hour in which the peaks were read last."""
        self._peaks: dict[tuple[int, PeakSide, str], tuple[int, int]] = {}

    async def read(self) -> None:
        """Read the peaks since the last time; they count in the quarter of an hour of then."""
        slot, self._slot = self._slot, self._clock.now().wall // SLOT_MS
        occupancy = self._switch.live.occupancy
        self._raise(slot, PeakSide.SWITCH, "", self._switch.services.running.take_peak(), 0)
        for side, scope in _SIDES:
            # A phone has few calls at a time, and there may be a hundred thousand.
            phones = self._switch.catalogue.phones if scope is LimitScope.MAPPING else {}
            for count, name in enumerate(occupancy.objects(scope), 1):
                if name in phones:
                    continue
                peak = occupancy.take_peak(scope, name, self._clock.now().mono)
                if peak is not None:
                    self._raise(slot, side, name, peak.concurrent, peak.per_second)
                if count % AT_ONCE == 0:
                    await asyncio.sleep(0)
        while len(self._peaks) > PEAKS_MAX:
            oldest = min(place[0] for place in self._peaks)
            self._peaks = {place: peak for place, peak in self._peaks.items() if place[0] != oldest}

    def _raise(self, slot: int, side: PeakSide, name: str, concurrent: int, per_second: int) -> None:
        if concurrent or per_second:
            before = self._peaks.get((slot, side, name), (0, 0))
            self._peaks[slot, side, name] = max(before[0], concurrent), max(before[1], per_second)

    def take(self) -> LiveCounts | None:
        """Return all counts that were not taken yet; None = there are none."""
        attempts, peaks = self._switch.notices.without_cdr.take(), self._peaks
        if not attempts and not peaks:
            return None
        self._peaks = {}
        highest = tuple(TrafficPeak(*place, *peak) for place, peak in peaks.items())
        return LiveCounts(self._number(), attempts, highest)
