"""The process that adds calls up for reports: killed and started again, it has added each call once.

So it has what the switch counts itself.
"""

import asyncio
import os
import signal

import msgspec
import pytest
import structlog
from doubles.data.records import STARTED, answered_call
from doubles.forked_child import ForkedChildren
from doubles.migrated import migrated
from e2e.conditions import a_moment

from vosd.daemon import kept_process, traffic, traffic_process
from vosd.daemon.traffic import TrafficPart
from vosd.daemon.traffic_process import TrafficOrder
from vosd.engine.clock import SystemClock
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database
from vosd.storage.driver_errors import ContentRefused
from vosd.storage.traffic import SqlTraffic
from vosd.storage.traffic_sums import SqlTrafficSums, TrafficQuery
from vosd.traffic.counted import SLOT_MS, TrafficKey, TrafficKind
from vosd.traffic.live_counts import AttemptCount, LiveCounts, PeakSide, TrafficPeak
from vosd.traffic.spans import ReportSpan

HOUR = 3_600_000
KEY = TrafficKey(TrafficKind.NO_CDR, mapping_gateway="pbx", end_reason="Busy", sip_code=486)
WHOLE = (ReportSpan(STARTED // HOUR * HOUR, STARTED // HOUR * HOUR + HOUR, ""),)


class Counted:
    """A switch whose counts are written down."""

    def __init__(self, waiting) -> None:
        self.waiting = waiting

    async def read(self) -> None: ...

    def take(self):
        return self.waiting.pop(0) if self.waiting else None


def counts(number: int, calls: int) -> LiveCounts:
    slot = STARTED // SLOT_MS
    return LiveCounts(
        number, (AttemptCount(slot, KEY, calls, 0),), (TrafficPeak(slot, PeakSide.MAPPING, "pbx", calls, 2),)
    )


async def attempts(database) -> int:
    query = TrafficQuery(TrafficKind.NO_CDR, (), ("calls",))
    ((row,),) = (await SqlTrafficSums(database).rows(WHOLE, [query])).rows
    return row.sums[0]


@pytest.fixture
def processes(monkeypatch):
    """Processes that add up; to execute one takes a third of a second."""
    processes = ForkedChildren()
    monkeypatch.setattr(traffic, "started", processes.started)
    monkeypatch.setattr(traffic, "LAST_COUNTS_S", 60.0)  # the machine may be busy
    return processes


@pytest.fixture
async def database(tmp_path):
    async with Database(migrated(tmp_path / "vosd.db")) as database:
        yield database


async def added_up(database) -> None:
    while (await SqlTraffic(database).behind()).calls:
        await a_moment()


async def test_a_process_that_was_killed_goes_on_with_the_next_call(database, monkeypatch, processes):
    monkeypatch.setattr(kept_process, "RETRY_S", 0.01)
    await SqlBooks(database).book([answered_call(number) for number in (1, 2, 3)])
    part = TrafficPart(database, Counted([]), SystemClock(), lambda: ["Europe/Berlin"], first_s=0)
    await part.begin()
    try:
        with structlog.testing.capture_logs() as logs:
            await added_up(database)
            (child,) = processes.running()
            os.kill(child, signal.SIGKILL)
            while child in processes.running():
                await a_moment()
            await SqlBooks(database).book([answered_call(4)])
            await added_up(database)
        assert [each["event"] for each in logs] == ["traffic_process_ended"]
    finally:
        await part.end()
    assert processes.running() == []
    begin = STARTED // HOUR * HOUR
    assert [each async for each in SqlTraffic(database).differences(begin, begin + 2 * HOUR)] == []


async def test_another_process_goes_on_by_another_password(database, monkeypatch, processes):
    await SqlBooks(database).book([answered_call(1)])
    part = TrafficPart(database, Counted([]), SystemClock(), list, first_s=0)
    await part.begin()
    try:
        await added_up(database)
        (earlier,) = processes.running()
        given = []
        keep, present = traffic.keep_process, database.url

        async def noted(start, order, *others):
            decoded = msgspec.msgpack.decode(order, type=TrafficOrder)
            given.append(decoded.url)
            working = msgspec.structs.replace(decoded, url=present)  # a file has no user
            await keep(start, msgspec.msgpack.encode(working), *others)

        monkeypatch.setattr(traffic, "keep_process", noted)
        other = "sqlite+aiosqlite://switch:other@/vosd.db"
        assert database.log_in_by(other)
        await part.log_in_anew()
        await SqlBooks(database).book([answered_call(2)])
        await added_up(database)
        assert earlier not in processes.running()
        assert given == [other]
    finally:
        await part.end()


async def test_what_the_switch_counts_is_written_once_whatever_is_killed(database, monkeypatch, processes):
    monkeypatch.setattr(kept_process, "RETRY_S", 0.01)
    monkeypatch.setattr(traffic, "READ_MS", 20)
    counted = Counted([counts(1, 5), counts(2, 7)])
    part = TrafficPart(database, counted, SystemClock(), list, first_s=0)
    await part.begin()
    try:
        while len(counted.waiting) == 2:
            await a_moment()
        for child in processes.running():
            os.kill(child, signal.SIGKILL)  # before, while or after it writes the first ones
        while counted.waiting:
            await a_moment()
    finally:
        counted.waiting.append(counts(3, 11))
        await part.end()
    assert await attempts(database) == 23
    assert await SqlTrafficSums(database).peaks(WHOLE, PeakSide.MAPPING) == [(0, "pbx", 11, 2)]


async def test_the_last_counts_are_written_at_the_stop_also_where_the_process_has_not_begun(database, processes):
    part = TrafficPart(database, Counted([counts(1, 5)]), SystemClock(), list)
    await part.begin()
    await part.end()
    assert await attempts(database) == 5


async def test_a_database_that_does_not_answer_holds_up_no_stop_and_the_log_says_what_is_lost(
    database, processes, monkeypatch
):
    monkeypatch.setattr(traffic, "LAST_COUNTS_S", 0.01)
    counted = Counted([counts(1, 5)])
    monkeypatch.setattr(counted, "read", asyncio.Event().wait)
    part = TrafficPart(database, counted, SystemClock(), list)
    await part.begin()
    with structlog.testing.capture_logs() as logged:
        await asyncio.wait_for(part.end(), 60)
    lost = {"event": "live_counts_lost", "why": "the database took too long", "log_level": "warning"}
    assert lost in logged


class TooLarge:
    """Sums that a database refuses at first; ``of_days``: those of days alone, for ever."""

    def __init__(self, *errors: Exception, of_days: Exception | None = None) -> None:
        self.errors = list(errors)
        self.of_days = of_days
        self.is_added = asyncio.Event()
        self.added = 0

    async def advance(self) -> int:
        if self.errors:
            raise self.errors.pop(0)
        self.added += 1
        if self.of_days is None or self.added == 3:
            self.is_added.set()
        return 0

    async def close_day(self, now: int) -> bool:
        if self.of_days is not None:
            raise self.of_days
        return False

    async def close_zone_day(self, now: int, zones) -> bool:
        return False


async def test_a_sum_that_is_too_large_does_not_end_the_process(monkeypatch):
    monkeypatch.setattr(traffic_process, "REFUSED_S", 0)
    sums = TooLarge(ContentRefused("it does not fit in 64 bits"), ContentRefused("out of range"))
    assert await refused_until_added(sums) == ["it does not fit in 64 bits", "out of range"]


async def test_a_day_whose_sum_is_too_large_does_not_keep_calls_from_being_added(monkeypatch):
    monkeypatch.setattr(traffic_process, "PAUSE_S", 0)
    assert await refused_until_added(TooLarge(of_days=ContentRefused("out of range"))) == ["out of range"]


async def refused_until_added(sums):
    """Return what was refused until calls were added."""
    with structlog.testing.capture_logs() as logs:
        adding = asyncio.create_task(traffic_process._add_up(sums, ()))
        added = asyncio.create_task(sums.is_added.wait())
        await asyncio.wait({adding, added}, return_when=asyncio.FIRST_COMPLETED)
        assert sums.is_added.is_set()
        for task in (adding, added):
            task.cancel()
        await asyncio.gather(adding, added, return_exceptions=True)
    assert {each["event"] for each in logs} == {"traffic_refused"}
    return [each["why"] for each in logs]
