"""Keep the process that adds calls up for reports running; its failures never concern a call."""

import asyncio
from typing import Final

import structlog

from vosd.daemon.kept_process import keep_process
from vosd.engine import background
from vosd.engine.background import kept_going
from vosd.processes.child import started

PROCESS: Final = "vosd.daemon.traffic_process"
FIRST_S: Final = 30.0
"""Seconds from the start of the switch to that of the process: until then the machine is for the calls."""

_log = structlog.get_logger()


class TrafficPart:
    """The process, while the switch runs."""

    def __init__(self, url: str, first_s: float = FIRST_S) -> None:
        """``url`` is that of the database, ``first_s`` the seconds until the process is started."""
        self._url = url
        self._first_s = first_s
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Begin to wait for the time of its start."""
        self._task = asyncio.create_task(kept_going("traffic", self._keep), name="traffic")

    async def end(self) -> None:
        """End it; what it has added stays."""
        task, self._task = self._task, None
        if task is not None:
            await background.end([task])

    async def _keep(self) -> None:
        await asyncio.sleep(self._first_s)
        await keep_process(lambda: started(PROCESS), self._url.encode(), _note_end)


def _note_end(pause_s: float) -> None:
    _log.warning("traffic_process_ended", means="it is started again; calls are not affected", in_s=pause_s)
