"""A database that answers after the switch has started without it."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from vosd.cdr.lease import Claimant, LeaseHeld
from vosd.cdr.ports import StoreUnavailable
from vosd.daemon import late_database
from vosd.daemon.late_database import LateDatabase
from vosd.engine import background
from vosd.storage.driver_errors import SchemaOutdated

OTHER = Claimant("sw2", "other", "host", 1, "")


def failing(*errors: Exception) -> Callable[[], Awaitable[None]]:
    """Return an attempt that fails so often, and succeeds then."""
    left = list(errors)

    async def attempt() -> None:
        if left:
            raise left.pop(0)

    return attempt


@pytest.mark.parametrize(
    "error", [StoreUnavailable("away"), SchemaOutdated("run vosd migrate"), LeaseHeld("sw2 has it", OTHER)]
)
async def test_each_step_is_tried_until_all_have_succeeded(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr(late_database, "RETRY_S", 0)
    done, held = asyncio.Event(), []

    async def last() -> None:
        done.set()

    late = LateDatabase((failing(error, error), failing(StoreUnavailable("gone again")), last), held.append)
    with capture_logs() as log:
        late.begin(StoreUnavailable("not there"))
        await asyncio.wait_for(done.wait(), 30)
        await asyncio.sleep(0)
        await late.end()
    events = [(line["event"], line["log_level"]) for line in log]
    assert events[0] == ("database_away", "error")
    assert events[-1][0] == "database_back"
    assert held == ([error, error] if isinstance(error, LeaseHeld) else [])


async def test_an_unforeseen_error_is_no_end_of_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "RETRY_S", 0)
    done = asyncio.Event()

    async def last() -> None:
        done.set()

    late = LateDatabase((failing(RuntimeError("unforeseen")), last), lambda _held: None)
    with capture_logs() as log:
        late.begin(StoreUnavailable("away"))
        await asyncio.wait_for(done.wait(), 30)
        await asyncio.sleep(0)
        await late.end()
    assert [line["event"] for line in log] == ["database_away", "task_restarted", "database_back"]


async def test_a_stop_ends_the_wait() -> None:
    late = LateDatabase((failing(*[StoreUnavailable("away")] * 3),), lambda _held: None)
    with capture_logs() as log:
        late.begin(StoreUnavailable("away"))
        await asyncio.sleep(0)
        await late.end()
    assert [line["event"] for line in log] == ["database_away"]
