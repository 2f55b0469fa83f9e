"""Keep the process of the management API running while ``api.listen`` is set; its failures never concern a call."""

import asyncio
from pathlib import Path
from typing import Final

import msgspec
import structlog

from vosd.base.secret import Secret
from vosd.daemon.kept_process import RETRY_S, keep_process
from vosd.daemon.listening import listening
from vosd.engine import background
from vosd.engine.background import kept_going
from vosd.engine.settings import ApiSettings, HttpListener
from vosd.processes.child import started

API: Final = "vosd.api.process"
"""Module of the process; the switch does not import what that one needs."""

_log = structlog.get_logger()


class ApiProcess:
    """The process, while there are settings for it."""

    def __init__(self, config: Path, settings: ApiSettings | None) -> None:
        self._config = config
        self._settings = settings
        self._is_begun = False
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Start it."""
        self._is_begun, settings = True, self._settings
        if settings is not None:
            self._task = asyncio.create_task(kept_going("management API", lambda: self._keep(settings)), name="api")

    async def end(self) -> None:
        """End it."""
        task, self._task = self._task, None
        if task is not None:
            await background.end([task])

    async def adjust(self, settings: ApiSettings | None) -> None:
        """Apply other settings."""
        if settings != self._settings:
            self._settings = settings
            if self._is_begun:
                await self.end()
                await self.begin()

    async def _keep(self, settings: ApiSettings) -> None:
        """Listen, and start the process again whenever it has ended; runs until cancelled."""
        opening = msgspec.msgpack.encode((str(self._config), settings), enc_hook=Secret.reveal)
        with await listening(settings.listen, RETRY_S, _note_busy) as listener:
            await keep_process(lambda: started(API, listener.fileno()), opening, _note_end)


def _note_end(pause_s: float) -> None:
    _log.warning("api_process_ended", means="it is started again; calls are not affected", in_s=pause_s)


def _note_busy(listen: HttpListener, why: str) -> None:
    _log.error("api_port_taken", listen=str(listen), why=why, do="change api.listen")
