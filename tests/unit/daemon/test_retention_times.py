"""Old records are dropped once a day at the time of a zone, in summer and in winter, and by no wrong clock."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from doubles.turns import turns
from doubles.virtual.clock import ManualClock

from vosd.daemon.daily import Daily, next_run
from vosd.engine.steady_clock import SETTLED_MS

BERLIN = ZoneInfo("Europe/Berlin")
HALF_PAST_TWO = 2 * 3_600 + 1_800


def at(text):
    return round(datetime.fromisoformat(text).timestamp() * 1_000)


@pytest.mark.parametrize(
    ("after", "zone", "expected"),
    [
        ("2026-11-21T00:00:00Z", UTC, "2026-11-21T02:30:00Z"),
        ("2026-11-21T02:30:00Z", UTC, "2026-11-22T02:30:00Z"),
        ("2026-11-21T02:29:59Z", UTC, "2026-11-21T02:30:00Z"),
        ("2026-07-01T00:00:00Z", BERLIN, "2026-07-01T00:30:00Z"),
        ("2026-12-31T23:30:00Z", BERLIN, "2027-01-01T01:30:00Z"),
        ("2026-03-28T12:00:00Z", BERLIN, "2026-03-29T01:30:00Z"),  # that day has no half past two
        ("2026-10-24T12:00:00Z", BERLIN, "2026-10-25T00:30:00Z"),  # that day has two
        ("2026-10-25T00:30:00Z", BERLIN, "2026-10-26T01:30:00Z"),
    ],
)
def test_the_next_run_is_at_the_time_of_the_zone(after, zone, expected):
    assert next_run(at(after), HALF_PAST_TWO, zone) == at(expected)


YEAR_MS = 365 * 86_400_000
HOUR_M = 60
DAY_M = 24 * HOUR_M


class Day:
    """Daily work at half past two, on a clock of the test."""

    def __init__(self, state_dir: Path) -> None:
        self.clock = ManualClock(wall=at("2026-11-21T02:29:00Z"))
        self.runs: list[int] = []
        self._state_dir = state_dir
        self.daily = Daily("retention", self.clock, self._run, state_dir)
        self.never = asyncio.Event()
        self.lasts = False
        self.fails = False

    async def _run(self, now: int) -> None:
        self.runs.append(now)
        if self.fails:
            raise RuntimeError("the run")
        if self.lasts:
            await self.never.wait()

    async def stopped_for(self, minutes: int, **changes: Any) -> None:
        """Stop, and start again later."""
        await self.daily.end()
        self.clock.move_to(self.clock.now().mono + 60_000 * minutes)
        self.started_again(**changes)

    def started_again(self, **changes: Any) -> None:
        """Start as another process, which believes the clock as it finds it."""
        self.daily = Daily("retention", self.clock, self._run, self._state_dir)
        self.daily.begin(HALF_PAST_TWO, UTC, **changes)

    async def passed(self, minutes: int) -> list[int]:
        """Let time pass; return the times of the runs."""
        self.runs.clear()
        for _ in range(minutes):
            self.clock.move_to(self.clock.now().mono + 60_000)
            await turns(4)
        return list(self.runs)


@pytest.fixture
async def day(monkeypatch, tmp_path):
    monkeypatch.setattr("vosd.daemon.daily.LOOK_S", 0)
    day = Day(tmp_path)
    day.daily.begin(HALF_PAST_TWO, UTC)
    await asyncio.sleep(0)
    yield day
    await day.daily.end()


async def test_it_runs_once_at_the_time(day):
    assert await day.passed(3) == [at("2026-11-21T02:30:00Z")]


async def test_a_clock_that_is_ahead_for_a_while_runs_nothing(day):
    day.clock.set_wall(2 * YEAR_MS)
    assert await day.passed(30) == []
    day.clock.set_wall(YEAR_MS)  # and it is set again meanwhile
    assert await day.passed(40) == []
    day.clock.set_wall(-3 * YEAR_MS)
    assert len(await day.passed(2)) == 1  # the time of the day has come while the clock was wrong


async def test_a_clock_that_was_set_is_believed_when_it_has_gone_on_for_an_hour(day):
    day.clock.set_wall(5 * 86_400_000)
    assert await day.passed(SETTLED_MS // 60_000 - 1) == []
    assert len(await day.passed(2)) == 1


async def test_a_run_that_falls_into_a_stop_is_made_up_for_once_an_hour_after_the_start(day):
    await day.stopped_for(5)
    assert await day.passed(HOUR_M - 1) == []
    assert len(await day.passed(3)) == 1
    await day.stopped_for(5)
    assert await day.passed(2 * HOUR_M) == []
    await day.stopped_for(DAY_M)
    assert len(await day.passed(2 * HOUR_M)) == 1


async def test_a_run_that_a_stop_has_ended_is_made_up_for(day):
    day.lasts = True
    assert len(await day.passed(2)) == 1
    day.lasts = False
    await day.stopped_for(1)
    assert len(await day.passed(2 * HOUR_M)) == 1


async def test_a_run_that_a_reload_has_ended_is_made_up_for_once(day):
    day.lasts = True
    assert len(await day.passed(2)) == 1
    day.lasts = False
    await day.daily.end()
    day.daily.begin(HALF_PAST_TWO - 600, UTC, is_anew=True)
    assert len(await day.passed(2 * HOUR_M)) == 1
    await day.daily.end()
    day.daily.begin(HALF_PAST_TWO, UTC, is_anew=True)
    assert await day.passed(2 * HOUR_M) == []


async def test_a_run_that_a_reload_has_ended_days_ago_is_made_up_for_at_no_later_reload(day):
    day.lasts = True
    assert len(await day.passed(2)) == 1
    day.lasts = False
    await day.daily.end()
    day.daily.begin(None, UTC, is_anew=True)
    assert await day.passed(3 * 24 * HOUR_M) == []
    for at_s in (HALF_PAST_TWO - 600, HALF_PAST_TWO - 1_200):
        await day.daily.end()
        day.daily.begin(at_s, UTC, is_anew=True)
        assert await day.passed(2 * HOUR_M) == []


async def test_a_run_that_has_failed_is_made_up_for_at_no_reload(day, monkeypatch):
    monkeypatch.setattr("vosd.engine.background.RETRY_S", 0)
    day.fails = True
    assert len(await day.passed(3)) == 1
    day.fails = False
    await day.daily.end()
    day.daily.begin(HALF_PAST_TWO - 600, UTC, is_anew=True)
    assert await day.passed(2 * HOUR_M) == []


async def test_a_clock_that_is_ahead_at_the_start_makes_up_for_nothing(day):
    await day.daily.end()
    day.clock.set_wall(86_400_000)
    day.started_again()
    assert await day.passed(30) == []
    day.clock.set_wall(-86_400_000)
    assert await day.passed(HOUR_M - 1) == []


async def test_a_start_with_a_clock_that_is_behind_leaves_what_is_to_be_made_up_for_to_the_next_one(day):
    day.clock.set_wall(-YEAR_MS)
    await day.stopped_for(5)
    assert await day.passed(2) == []
    day.clock.set_wall(YEAR_MS)
    await day.stopped_for(1)
    assert len(await day.passed(2 * HOUR_M)) == 1


async def test_nothing_is_made_up_for_after_days_or_for_another_time_that_a_reload_has_set(day):
    await day.stopped_for(5, is_anew=True)
    assert await day.passed(2 * HOUR_M) == []
    await day.stopped_for(3 * DAY_M)
    assert await day.passed(2 * HOUR_M) == []
    assert len(await day.passed(DAY_M)) == 1
