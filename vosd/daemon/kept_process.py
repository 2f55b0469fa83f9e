"""Keep a process beside the switch running: one that has ended is started again, with growing pauses."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

from vosd.processes.channel import received, send
from vosd.processes.child import Child, ended

RETRY_S: Final = 1.0
"""Pause before a process that has ended is started again; it doubles with each that ends soon."""
RETRY_MAX_S: Final = 60.0
"""Longest such pause; a process that ran as long has not ended soon."""


async def keep_process(
    start: Callable[[], Awaitable[Child]],
    opening: bytes,
    note_end: Callable[[float], None],
    talk: Callable[[Child], Awaitable[object]] | None = None,
) -> NoReturn:
    """Start a process, send it its first message, and start it again whenever it has ended; runs until cancelled.

    ``note_end`` gets the pause in seconds until the next start. ``talk`` exchanges messages with it until it has ended,
    which raises EOFError or OSError; None = it sends none.

    Raises:
        OSError: it cannot be started.
    """
    loop, pause_s = asyncio.get_running_loop(), RETRY_S
    while True:
        begun_s = loop.time()
        child = await start()
        try:
            send(child.writer, opening)
            await (talk or _ended)(child)
        except (EOFError, OSError):
            pass
        finally:
            await ended(child)
        ran_s = loop.time() - begun_s
        pause_s = RETRY_S if ran_s >= RETRY_MAX_S else pause_s
        note_end(pause_s)
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, RETRY_MAX_S)


async def _ended(child: Child) -> None:
    await received(child.reader)  # it sends nothing: this raises when it has ended
