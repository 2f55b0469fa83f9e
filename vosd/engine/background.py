"""Tasks that run beside the calls until the switch stops: each is begun again after an error in the switch."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

from vosd.obs.events import log as _log
from vosd.sip.drops import Drop, Drops

RETRY_S: Final = 1.0
"""Pause before a task that failed begins again."""
REPORT_S: Final = 60.0
"""Interval at which dropped traffic is logged."""

CANCELLED_AGAIN_S: Final = 0.2
"""Time that a task may take to end before it is cancelled once more."""

Work = Callable[[], Coroutine[Any, Any, None]]


class BackgroundTasks:
    """The tasks of one switch."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def run(self, name: str, work: Work) -> None:
        """Start a task that has no end."""
        self._tasks.append(asyncio.create_task(kept_going(name, work), name=name))

    @asynccontextmanager
    async def stopped_on_failure(self) -> AsyncIterator[None]:
        """Stop the tasks if the block fails, as a start does."""
        try:
            yield
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Cancel all tasks, and wait until they have ended; others may be started then."""
        tasks, self._tasks = self._tasks, []
        await end(tasks)


async def end(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel tasks, and wait until they have ended.

    Each is cancelled until it has ended. In the middle of a query the driver of MySQL closes its connection and raises
    what it raises for any lost one, so a task that waits for the database to come back goes on.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCELLED_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)


async def kept_going(name: str, work: Work) -> None:
    """Run work that has no end, and begin it again after an error, so that calls are booked in any case."""
    while True:
        try:
            return await work()
        except Exception:  # noqa: BLE001  the boundary of a task: nothing else would report it
            _log.exception("task_restarted", task=name)
            await asyncio.sleep(RETRY_S)


async def every(seconds: float, work: Callable[[], None]) -> None:
    """Do something again and again; runs until cancelled."""
    while True:
        await asyncio.sleep(seconds)
        work()


async def send_queued(
    queued: asyncio.Event,
    send_all: Callable[[], Awaitable[bool]],
    back_off_s: float,
    back_off_max_s: float,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Send whenever something is queued; after a failure again, after a wait that doubles; runs until cancelled.

    ``send_all`` clears ``queued`` when nothing waits, and returns False where the receiver is not well. ``pause`` waits
    for some seconds, or less where it knows that the receiver may be well.
    """
    wait_s = back_off_s
    while True:
        await queued.wait()
        if await send_all():
            wait_s = back_off_s
        else:
            await pause(wait_s)
            wait_s = min(2 * wait_s, back_off_max_s)


async def report_dropped(dropped: Drops) -> None:
    """Log from time to time how much traffic was dropped since the last time, and why; runs until cancelled."""
    reported: Drops = Counter()
    while True:
        await asyncio.sleep(REPORT_S)
        fresh = dropped - reported
        reported = dropped.copy()
        fresh.pop(Drop.KEEP_ALIVE, None)
        if fresh:
            _log.warning("messages_dropped", why={reason.label: count for reason, count in fresh.items()})
