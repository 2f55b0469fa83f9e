"""Keep the process of the management API running while ``api.listen`` is set; its failures never concern a call."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from vosd.base.secret import Secret
from vosd.daemon.kept_process import RETRY_S, ProcessBySettings, keep_process
from vosd.daemon.listening import listening
from vosd.engine.settings import ApiSettings, HttpListener
from vosd.obs.events import log as _log
from vosd.processes.child import started

API: Final = "vosd.api.process"
"""Module of the process; the switch does not import what that one needs."""


class ApiProcess(ProcessBySettings[ApiSettings]):
    """The process, while there are settings for it."""

    def __init__(self, config: Path, settings: ApiSettings | None) -> None:
        super().__init__("management API", settings)
        self._config = config

    async def _keep(self, settings: ApiSettings) -> None:
        opening = msgspec.msgpack.encode((str(self._config), settings), enc_hook=Secret.reveal)
        with await listening(settings.listen, RETRY_S, _note_busy) as listener:
            await keep_process(lambda: started(API, listener.fileno()), opening, _note_end)


def _note_end(facts: Mapping[str, object]) -> None:
    _log.warning("api_process_ended", **facts)


def _note_busy(listen: HttpListener, why: str) -> None:
    _log.error("api_port_taken", listen=str(listen), why=why, do="change api.listen")
