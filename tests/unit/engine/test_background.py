"""The tasks beside the calls: a mistake in one is logged, and the task begins again."""

import asyncio
from collections import Counter
from contextlib import suppress

import pytest
import structlog
from doubles.turns import turns

from vosd.engine import background
from vosd.sip.drops import Drop
from vosd.sip.wire.errors import Flaw


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "RETRY_S", 0)
    monkeypatch.setattr(background, "REPORT_S", 0)


async def test_a_task_that_fails_is_logged_and_begins_again() -> None:
    beginnings = []

    async def book() -> None:
        beginnings.append("booking")
        if len(beginnings) < 3:
            raise KeyError("a mistake")

    with structlog.testing.capture_logs() as lines:
        await background.kept_going("booking", book)
    assert len(beginnings) == 3
    assert [(line["log_level"], line["task"]) for line in lines] == [("error", "booking")] * 2


async def test_a_task_that_is_cancelled_ends() -> None:
    forever = asyncio.Event()

    async def wait() -> None:
        await forever.wait()

    task = asyncio.create_task(background.kept_going("waiting", wait))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_stop_ends_a_task_whose_driver_takes_the_cancellation_for_a_lost_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As aiomysql does in the middle of a row: the task would go on as after any other outage."""
    monkeypatch.setattr(background, "CANCELLED_AGAIN_S", 0.01)
    forever, swallowed = asyncio.Event(), []

    async def poll() -> None:
        while True:
            try:
                await forever.wait()
            except asyncio.CancelledError:
                swallowed.append("once")
                if len(swallowed) > 1:
                    raise

    tasks = background.BackgroundTasks()
    tasks.run("polling", poll)
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await tasks.stop()
    assert len(swallowed) == 2


async def test_only_new_drops_are_logged_by_reason() -> None:
    dropped = Counter({Drop.NOT_SIP: 3})
    with structlog.testing.capture_logs() as lines:
        task = asyncio.create_task(background.report_dropped(dropped))
        await several_turns()
        dropped.update({Drop.KEEP_ALIVE: 1_000})  # of phones: not worth a line
        await several_turns()
        dropped.update({Drop.NOT_SIP: 2, Drop.UNKNOWN_SOURCE: 1, Flaw.BAD_VIA: 1, Drop.KEEP_ALIVE: 1})
        await several_turns()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert [line["why"] for line in lines] == [{"not SIP": 3}, {"not SIP": 2, "unknown source": 1, "bad via": 1}]
    assert {line["event"] for line in lines} == {"messages_dropped"}


async def several_turns() -> None:
    """Let other tasks run a few times."""
    await turns(5)
