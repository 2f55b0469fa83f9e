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
"""Objects that are read before the event loop serves calls again."""
PEAKS_MAX: Final = 200_000
"""Most peaks that wait while the database is away; the oldest quarters of an hour are given up first."""
_SIDES: Final = {LimitScope.MAPPING: PeakSide.MAPPING, LimitScope.ROUTING: PeakSide.ROUTING}
"""Sides of the gateways, whose peaks are read; other objects have none."""


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
        self._talking_phones: set[str] = set()
        """Phones that had calls when the peaks were read last: one that a reload removes is no gateway by that."""

    async def read(self) -> None:
        """Read the peaks since the last time; they count in the quarter of an hour of then.

        Objects without calls are forgotten: there is no end of those that reloads have removed.
        """
        slot, self._slot = self._slot, self._clock.now().wall // SLOT_MS
        occupancy = self._switch.live.occupancy
        self._raise(slot, PeakSide.SWITCH, "", self._switch.services.running.take_peak(), 0)
        for scope in LimitScope:
            side = _SIDES.get(scope)
            for count, name in enumerate(occupancy.objects(scope), 1):
                mono_ms = self._clock.now().mono
                peak = None if side is None else occupancy.take_peak(scope, name, mono_ms)
                if side is not None and peak is not None and not self._is_phone(scope, name):
                    self._raise(slot, side, name, peak.concurrent, peak.per_second)
                occupancy.forget_idle(scope, name, mono_ms)
                if count % AT_ONCE == 0:
                    await asyncio.sleep(0)
        while len(self._peaks) > PEAKS_MAX:
            oldest = min(place[0] for place in self._peaks)
            self._peaks = {place: peak for place, peak in self._peaks.items() if place[0] != oldest}

    def _is_phone(self, scope: LimitScope, name: str) -> bool:
        """Return whether an object is a phone, which has few calls at a time; there may be a hundred thousand."""
        if scope is not LimitScope.MAPPING:
            return False
        talking, is_talking = self._talking_phones, self._switch.live.occupancy.active(scope, name) > 0
        is_phone = name in self._switch.catalogue.phones or name in talking
        if is_phone and is_talking:
            talking.add(name)
        else:
            talking.discard(name)
        return is_phone

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
