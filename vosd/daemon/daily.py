"""Work that a process beside the switch does once a day at a time of a zone."""

import asyncio
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from vosd.base.clock import Clock, KeptTime
from vosd.base.secret import Secret
from vosd.engine.background import kept_going
from vosd.engine.kept_file import KeptFile
from vosd.engine.steady_clock import SETTLED_MS, SteadyClock
from vosd.obs import log
from vosd.obs.events import log as _log
from vosd.processes.channel import first_message, received, send
from vosd.processes.child import ended, started
from vosd.processes.life import give_way, live_as_long_as_the_switch

RUN_S: Final = 23 * 3_600
"""Longest run: one that waits for something for ever must not be silent until the next day, and the next."""
MADE_UP_MS: Final = 2 * 86_400_000
"""A last run that is longer ago is of a stop of days, or of another configuration: the next run is the next day's.

This is the default; work that has to be done after such a stop has a longer time.
"""
LOOK_S: Final = 1.0
"""Interval at which the time is read: a clock that is set, or summer time, changes how long to wait."""


DailyOrder = TypeVar("DailyOrder")
Answer = TypeVar("Answer")


def next_run(after: int, at_s: int, zone: tzinfo | None) -> int:
    """Return the next time of a daily run after a time; UTC milliseconds, None = the machine's zone."""
    day = datetime.fromtimestamp(after / 1_000, zone).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
    hours = timedelta(seconds=at_s)
    moments = ((day + timedelta(days=days) + hours).replace(tzinfo=zone) for days in (0, 1, 2))
    return next(wall for each in moments if (wall := round(each.timestamp() * 1_000)) > after)


async def answer_of(process: str, order: object, kind: type[Answer]) -> Answer:
    """Start a process, give it its order and return what it answers.

    Raises:
        OSError: it cannot be started.
        EOFError, ConnectionError: it was killed, or its work has failed; its log says why then.
        TimeoutError: it has not ended within ``RUN_S``.
    """
    child = await started(process)
    try:
        async with asyncio.timeout(RUN_S):
            send(child.writer, msgspec.msgpack.encode(order, enc_hook=_text))
            return msgspec.msgpack.decode(await received(child.reader), type=kind)
    finally:
        await ended(child)


def carry_out(kind: type[DailyOrder], work: Callable[[DailyOrder], Awaitable[object]]) -> None:
    """Be the process of ``answer_of``: take one order, return the answer of ``work``, and end.

    It gives way to calls, and ends when the switch does, or gives the run up. It answers nothing where ``work`` fails.
    """
    live_as_long_as_the_switch()
    give_way()
    log.configure("warning")  # structlog's own form goes to standard output, which is nowhere
    asyncio.run(_carried_out(int(sys.argv[1]), kind, work))


async def _carried_out(channel: int, kind: type[DailyOrder], work: Callable[[DailyOrder], Awaitable[object]]) -> None:
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=channel))
    content = await first_message(reader)
    if content is None:
        return
    working = asyncio.ensure_future(work(msgspec.msgpack.decode(content, type=kind, dec_hook=_of_text)))
    stopped = asyncio.create_task(reader.read(1))  # the switch says no more: it closes the channel
    await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if working.done():
        if (error := working.exception()) is not None:
            _log.error("run_failed", process=sys.argv[0], exc_info=error)
        else:
            send(writer, msgspec.msgpack.encode(working.result()))
            await writer.drain()
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    stopped.cancel()


def _text(value: Any) -> str:
    """Return the text of a path or a secret of an order: settings have no other type that msgspec does not know."""
    return value.reveal() if isinstance(value, Secret) else os.fspath(value)


def _of_text(kind: type, written: object) -> Any:
    """Return the path or the secret of an order that has this text."""
    return kind(written)


def why_failed(error: BaseException) -> str:
    """Return why a run of ``answer_of`` has failed."""
    match error:
        case TimeoutError():
            return f"it has not ended within {RUN_S // 3_600} hours"
        case EOFError() | ConnectionError():
            return "its process ended without an answer: it was killed, or the log has the fault (run_failed)"
        case OSError():
            return f"its process cannot be started: {error}"
        case _:
            return repr(error)


class Daily:
    """Waits for the time of the day, and runs.

    The time of the last run is kept in ``state_dir``: one that fell into a stop, or was ended by it, is made up for
    an hour after the start.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        run: Callable[[int], Awaitable[None]],
        state_dir: Path,
        made_up_ms: int = MADE_UP_MS,
    ) -> None:
        """``run`` receives the time, UTC milliseconds."""
        self._name = name
        self._made_up_ms = made_up_ms
        self._clock = SteadyClock(clock)
        self._run = run
        self._done = KeptFile(state_dir / f"{name}.json", KeptTime, f"last_run_of_{name}", synced=False)
        """Time up to which nothing is left to make up for, UTC milliseconds; written in the loop, and so not synced.

        A start without it makes up for nothing, and behind a run nothing is left to make up for.
        """
        self._due: int | None = None
        self._is_owed = False
        """Whether a run was missed, or was ended before its own end."""
        self._task: asyncio.Task[None] | None = None

    def begin(self, at_s: int | None, zone: tzinfo | None, *, is_anew: bool = False) -> None:
        """Begin to wait for a time in seconds since midnight; None = do nothing.

        ``is_anew``: that was changed by a reload, so that only a run that it has ended or put off is made up for.
        """
        if at_s is None:
            return
        self._due = None
        now, done = self._clock.now(), None if is_anew and not self._is_owed else self._done.read()
        if now is not None and done is not None and 0 <= now - done < self._made_up_ms:
            coming = next_run(done, at_s, zone)
            self._is_owed |= coming <= now
            # A missed run waits until a clock that was wrong at the boot is set.
            self._due = now + SETTLED_MS if self._is_owed else coming
        elif now is not None and (done is None or now > done):  # a clock that is behind at the boot says nothing
            self._done.write(now)
            self._is_owed = False
        self._task = asyncio.create_task(kept_going(self._name, lambda: self._keep(at_s, zone)), name=self._name)

    def last(self) -> int | None:
        """Return the time up to which nothing is left to make up for, UTC milliseconds; a run changes it at its end."""
        return self._done.read()

    async def end(self) -> None:
        """End a run that goes on."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _keep(self, at_s: int, zone: tzinfo | None) -> None:
        """Run every day at the time; runs until cancelled."""
        while True:
            now = self._clock.now()
            if now is not None:
                if self._due is not None and now >= self._due:
                    self._due, self._is_owed = None, False
                    try:
                        await self._run(now)
                    except asyncio.CancelledError:
                        self._is_owed = True
                        raise
                    self._done.write(now)
                coming = next_run(now, at_s, zone)
                self._due = coming if self._due is None else min(self._due, coming)
            await asyncio.sleep(LOOK_S)
