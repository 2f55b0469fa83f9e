"""Counts of the running switch for reports: peaks by quarter of an hour, each count given once."""

from types import SimpleNamespace
from typing import Any

import pytest
from doubles.virtual.clock import ManualClock

from vosd.daemon import live_counter
from vosd.daemon.live_counter import LiveCounter
from vosd.engine.calls.services import RunningCalls
from vosd.routing.capacity import Occupancy
from vosd.traffic.counted import SLOT_MS, TrafficKey, TrafficKind
from vosd.traffic.live_counts import KEYS_MAX, AttemptsWithoutCdr, LiveCounts, PeakSide
from vosd.trunks.scope import LimitScope

FIRST = 1_999_000
"""A quarter of an hour since 1970."""


class Counted:
    """A switch with its counters, on a clock of the test."""

    def __init__(self) -> None:
        self.clock = ManualClock(wall=FIRST * SLOT_MS + 60_000)
        self.occupancy, self.running = Occupancy(), RunningCalls()
        self.without = AttemptsWithoutCdr()
        switch: Any = SimpleNamespace(
            live=SimpleNamespace(occupancy=self.occupancy), services=SimpleNamespace(running=self.running),
            notices=SimpleNamespace(without_cdr=self.without), catalogue=SimpleNamespace(phones={"1001": None}),
        )  # fmt: skip
        numbers = iter(range(1, 99))
        self.counter = LiveCounter(switch, self.clock, lambda: next(numbers))

    def begin(self, name: str) -> None:
        self.occupancy.take(LimitScope.MAPPING, name, None, None, self.clock.now().mono)
        call: Any = None
        self.running.add(f"{name} {self.clock.now().mono}", call)

    def pass_ms(self, ms: int) -> None:
        self.clock.move_to(self.clock.now().mono + ms)

    def taken(self) -> LiveCounts:
        counts = self.counter.take()
        assert counts is not None
        return counts


async def test_peaks_belong_to_the_quarter_in_which_they_were():
    counted = Counted()
    for _ in range(3):
        counted.begin("pbx")
        counted.pass_ms(100)
    counted.begin("1001")
    await counted.counter.read()
    for _ in range(2):
        counted.occupancy.release(LimitScope.MAPPING, "pbx")
    counted.pass_ms(SLOT_MS)
    await counted.counter.read()
    counted.pass_ms(1_000)
    await counted.counter.read()
    peaks = {
        (each.slot - FIRST, each.side, each.name): (each.concurrent, each.per_second) for each in counted.taken().peaks
    }
    assert peaks == {
        (0, PeakSide.MAPPING, "pbx"): (3, 3),
        (1, PeakSide.MAPPING, "pbx"): (1, 0),
        (0, PeakSide.SWITCH, ""): (4, 0),
        (1, PeakSide.SWITCH, ""): (4, 0),
    }, "a phone has no peaks, and a call that goes on counts in the next quarter, too"
    assert counted.counter.take() is None


async def test_a_phone_that_a_reload_removes_has_no_peaks_as_a_gateway():
    """Neither one that had calls some time ago, nor one whose call goes on."""
    counted = Counted()
    phones = counted.counter._switch.catalogue.phones
    phones["1002"] = None
    for name in ("1001", "1002"):
        counted.begin(name)
    counted.occupancy.release(LimitScope.MAPPING, "1001")
    await counted.counter.read()
    counted.pass_ms(SLOT_MS)
    await counted.counter.read()
    phones.clear()
    for _ in range(2):
        counted.pass_ms(1_000)
        await counted.counter.read()
    assert {each.side for each in counted.taken().peaks} == {PeakSide.SWITCH}
    counted.occupancy.release(LimitScope.MAPPING, "1002")
    await counted.counter.read()
    counted.begin("1002")
    counted.pass_ms(1_000)
    await counted.counter.read()
    assert [(each.side, each.name) for each in counted.taken().peaks if each.name] == [(PeakSide.MAPPING, "1002")]


async def test_objects_without_calls_are_forgotten_whatever_names_reloads_bring():
    counted = Counted()
    for number in range(100):
        for scope in LimitScope:
            counted.occupancy.take(scope, f"one-{number}", None, None, counted.clock.now().mono)
            counted.occupancy.release(scope, f"one-{number}")
            counted.occupancy.active(scope, f"asked-{number}")
        counted.pass_ms(60_000)
        await counted.counter.read()
    assert sum(len(counted.occupancy.objects(scope)) for scope in LimitScope) == 0
    assert len([each for each in counted.taken().peaks if each.name]) == 200
    counted.begin("pbx")
    counted.occupancy.release(LimitScope.MAPPING, "pbx")
    await counted.counter.read()
    assert counted.occupancy.recent(LimitScope.MAPPING, "pbx", counted.clock.now().mono) == 1, "its second goes on"


async def test_attempts_are_given_once_and_their_memory_is_bounded():
    counted = Counted()
    for number in range(KEYS_MAX + 5):
        key = TrafficKey(TrafficKind.NO_CDR, mapping_gateway=f"pbx-{number}", sip_code=503)
        counted.without.note_refused(FIRST * SLOT_MS, key)
    taken = counted.taken()
    assert sum(each.calls for each in taken.attempts) == KEYS_MAX + 5
    assert [each.calls for each in taken.attempts if not each.key.mapping_gateway] == [5]
    assert counted.counter.take() is None


async def test_of_too_many_peaks_those_of_the_oldest_quarters_are_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live_counter, "PEAKS_MAX", 4)
    counted = Counted()
    counted.begin("pbx")
    for _ in range(3):
        await counted.counter.read()
        counted.pass_ms(SLOT_MS)
    assert sorted({each.slot - FIRST for each in counted.taken().peaks}) == [0, 1]
    for _ in range(2):
        await counted.counter.read()
        counted.pass_ms(SLOT_MS)
    monkeypatch.setattr(live_counter, "PEAKS_MAX", 3)
    await counted.counter.read()
    assert sorted({each.slot - FIRST for each in counted.taken().peaks}) == [4]
