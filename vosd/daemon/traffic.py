"""Keep the process that adds calls up for reports running, and give it what the switch counts itself.

Failures of it never concern a call.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Final

import msgspec

from vosd.base.clock import Clock
from vosd.cdr.ports import StoreUnavailable
from vosd.daemon.kept_process import keep_process
from vosd.daemon.live_counter import LiveCounter
from vosd.daemon.traffic_process import TrafficOrder
from vosd.engine import background
from vosd.engine.background import kept_going
from vosd.obs.events import log as _log
from vosd.processes.channel import received, send
from vosd.processes.child import Child, started
from vosd.storage.database import Database
from vosd.storage.traffic import SqlTraffic
from vosd.traffic.live_counts import LiveCounts

PROCESS: Final = "vosd.daemon.traffic_process"
FIRST_S: Final = 30.0
"""Seconds from the start of the switch to that of the process: until then the machine is for the calls."""
READ_MS: Final = 15_000
"""Interval at which the counts of the switch are read and written; a kill loses those since the last time."""
LAST_COUNTS_S: Final = 2.0
"""Time for the last counts when the switch stops."""


class TrafficPart:
    """The process, while the switch runs."""

    def __init__(
        self,
        database: Database,
        counter: LiveCounter,
        clock: Clock,
        zones: Callable[[], Iterable[str]],
        first_s: float = FIRST_S,
    ) -> None:
        """``counter`` has the counts of the switch, ``zones`` returns those whose days get sums of their own.

        ``first_s`` are the seconds until the process is started.
        """
        self._zones = zones
        self._database = database
        self._counter = counter
        self._clock = clock
        self._first_s = first_s
        self._tasks: list[asyncio.Task[None]] = []
        self._due = asyncio.Event()
        self._unwritten: LiveCounts | None = None
        """Counts that the process has, and has not confirmed."""
        self._encode = msgspec.msgpack.Encoder().encode

    async def begin(self) -> None:
        """Begin to wait for the time of its start."""
        self._tasks = [self._keeping(), asyncio.create_task(kept_going("live counts", self._count), name="live counts")]

    async def log_in_anew(self) -> None:
        """Start the process again, with the present user and password of the database."""
        if self._tasks:
            keeping, *others = self._tasks
            await background.end([keeping])
            self._tasks = [self._keeping(), *others]

    async def end(self) -> None:
        """End it, and write the last counts; what it has added stays."""
        tasks, self._tasks = self._tasks, []
        if tasks:
            await background.end(tasks)
            try:
                async with asyncio.timeout(LAST_COUNTS_S):
                    await self._write_last()
            except (StoreUnavailable, TimeoutError) as error:
                _log.warning("live_counts_lost", why=str(error) or "the database took too long")

    def _keeping(self) -> asyncio.Task[None]:
        return asyncio.create_task(kept_going("traffic", self._keep), name="traffic")

    async def _keep(self) -> None:
        await asyncio.sleep(self._first_s)
        order = TrafficOrder(self._database.url, tuple(sorted(set(self._zones()))))
        await keep_process(lambda: started(PROCESS), self._encode(order), _note_end, self._talk)

    async def _count(self) -> None:
        while True:
            await asyncio.sleep((READ_MS - self._clock.now().wall % READ_MS) / 1_000)
            await self._counter.read()
            self._due.set()

    async def _talk(self, child: Child) -> None:
        """Give counts to the process, one set after the other, until it ends."""
        confirmed = asyncio.create_task(received(child.reader))
        try:
            while True:
                if self._unwritten is None:
                    await _either(self._due, confirmed)
                    self._due.clear()
                    self._unwritten = self._counter.take()
                if self._unwritten is not None:
                    send(child.writer, self._encode(self._unwritten))
                    await confirmed
                    self._unwritten = None
                    confirmed = asyncio.create_task(received(child.reader))
        finally:
            confirmed.cancel()
            with suppress(asyncio.CancelledError, EOFError, OSError):
                await confirmed

    async def _write_last(self) -> None:
        await self._counter.read()
        traffic = SqlTraffic(self._database)
        for counts in (self._unwritten, self._counter.take()):
            if counts is not None:
                await traffic.add_live(counts)
        self._unwritten = None


async def _either(due: asyncio.Event, ended: asyncio.Task[bytes]) -> None:
    """Wait until counts are due; raises EOFError or OSError where the process has ended."""
    waiting = asyncio.create_task(due.wait())
    try:
        await asyncio.wait({waiting, ended}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if ended.done():
        ended.result()


def _note_end(facts: Mapping[str, object]) -> None:
    _log.warning("traffic_process_ended", **facts)
