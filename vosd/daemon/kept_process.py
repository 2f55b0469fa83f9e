"""Keep a process beside the switch running: by its settings, and again with growing pauses when it has ended."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Generic, NoReturn, TypeVar

from vosd.engine.background import BackgroundTasks
from vosd.processes.channel import received, send
from vosd.processes.child import Child, ended

RETRY_S: Final = 1.0
"""Pause before a process that has ended is started again; it doubles with each that ends soon."""
RETRY_MAX_S: Final = 60.0
"""Longest such pause; a process that ran as long has not ended soon."""

Terms = TypeVar("Terms")


class ProcessBySettings(ABC, Generic[Terms]):
    """A process beside the switch, while there are settings for it; with others it is begun anew."""

    def __init__(self, name: str, settings: Terms | None) -> None:
        """``name`` is that of its task in the log."""
        self._name = name
        self._settings = settings
        self._is_begun = False
        self._tasks = BackgroundTasks()

    async def begin(self) -> None:
        """Start it."""
        self._is_begun, settings = True, self._settings
        if settings is not None:
            self._tasks.run(self._name, lambda: self._keep(settings))

    async def end(self) -> None:
        """End it."""
        await self._tasks.stop()

    async def adjust(self, settings: Terms | None) -> None:
        """Apply other settings."""
        if settings != self._settings:
            self._settings = settings
            if self._is_begun:
                await self.end()
                await self.begin()

    @abstractmethod
    async def _keep(self, settings: Terms) -> None:
        """Listen, and start the process again whenever it has ended; runs until cancelled."""


async def keep_process(
    start: Callable[[], Awaitable[Child]],
    opening: bytes,
    note_end: Callable[[Mapping[str, object]], None],
    talk: Callable[[Child], Awaitable[object]] | None = None,
) -> NoReturn:
    """Start a process, send it its first message, and start it again whenever it has ended; runs until cancelled.

    ``note_end`` gets what is to be logged then: the pause in seconds until the next start, and the error where it could
    not be started, as on a machine that has no memory or no number for one more. ``talk`` exchanges messages with it
    until it has ended, which raises EOFError or OSError; None = it sends none.
    """
    loop, pause_s = asyncio.get_running_loop(), RETRY_S
    while True:
        begun_s, facts = loop.time(), dict[str, object](means="it is started again; calls are not affected")
        try:
            child = await start()
        except OSError as error:
            facts["error"] = str(error)
        else:
            await _run(child, opening, talk or _ended)
        ran_s = loop.time() - begun_s
        pause_s = RETRY_S if ran_s >= RETRY_MAX_S else pause_s
        note_end(facts | {"in_s": pause_s})
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, RETRY_MAX_S)


async def _run(child: Child, opening: bytes, talk: Callable[[Child], Awaitable[object]]) -> None:
    """Send a process its first message, and talk to it until it has ended."""
    try:
        send(child.writer, opening)
        await talk(child)
    except (EOFError, OSError):
        pass
    finally:
        await ended(child)


async def _ended(child: Child) -> None:
    await received(child.reader)  # it sends nothing: this raises when it has ended
