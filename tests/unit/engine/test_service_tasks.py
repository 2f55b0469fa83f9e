"""The tasks beside the calls: a mistake in one is logged, and the task begins again."""

import asyncio

import pytest
import structlog

from vosd.engine import service


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "POLL_S", 0)


async def test_a_task_that_fails_is_logged_and_begins_again() -> None:
    beginnings = []

    async def book() -> None:
        beginnings.append("booking")
        if len(beginnings) < 3:
            raise KeyError("a mistake")

    with structlog.testing.capture_logs() as lines:
        await service.kept_going("booking", book)
    assert len(beginnings) == 3
    assert [(line["log_level"], line["task"]) for line in lines] == [("error", "booking")] * 2


async def test_a_task_that_is_cancelled_ends() -> None:
    forever = asyncio.Event()

    async def wait() -> None:
        await forever.wait()

    task = asyncio.create_task(service.kept_going("waiting", wait))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
