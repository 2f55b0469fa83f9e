"""The process that adds calls up for reports: killed and started again, it has added each call once."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
import structlog
from doubles.data.records import STARTED, answered_call
from doubles.migrated import migrated
from e2e.conditions import a_moment

from vosd.daemon import kept_process, traffic
from vosd.daemon.traffic import TrafficPart
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database
from vosd.storage.traffic import SqlTraffic

HOUR = 3_600_000


def children() -> list[int]:
    found = []
    for task in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
        for child in task.read_text().split():
            with suppress(OSError):
                if traffic.PROCESS in Path(f"/proc/{child}/cmdline").read_text():
                    found.append(int(child))
    return found


@pytest.fixture
async def database(tmp_path):
    database = Database(migrated(tmp_path / "vosd.db"))
    yield database
    await database.close()


async def added_up(database) -> None:
    while await SqlTraffic(database).behind():
        await a_moment()


async def test_a_process_that_was_killed_goes_on_with_the_next_call(database, monkeypatch):
    monkeypatch.setattr(kept_process, "RETRY_S", 0.01)
    await SqlBooks(database).book([answered_call(number) for number in (1, 2, 3)])
    part = TrafficPart(database.engine.url.render_as_string(hide_password=False), first_s=0)
    await part.begin()
    try:
        with structlog.testing.capture_logs() as logs:
            await added_up(database)
            (child,) = children()
            os.kill(child, signal.SIGKILL)
            while child in children():
                await a_moment()
            await SqlBooks(database).book([answered_call(4)])
            await added_up(database)
        assert [each["event"] for each in logs] == ["traffic_process_ended"]
    finally:
        await part.end()
    assert children() == []
    begin = STARTED // HOUR * HOUR
    assert [each async for each in SqlTraffic(database).differences(begin, begin + 2 * HOUR)] == []
