"""Whose turn it is in each pool of calling numbers, in a small file of ``state_dir``: a restart goes on from there."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import structlog

from vosd.routing.pools import PoolTurns, Turn

ROUND_S: Final = 1.0
"""How often changes are written: a crash repeats the numbers of this time."""

_log = structlog.get_logger()


class PoolFile:
    """Reads the file at the start and replaces it after changes."""

    def __init__(self, path: Path, turns: PoolTurns) -> None:
        self._path = path
        self._turns = turns
        self._written = turns.taken
        self._failed = False

    def restore(self) -> None:
        """Go on with the turns of the file; those of pools that do not exist any more wait for the next reload."""
        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=dict[str, Turn])
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError) as error:
            _log.warning("pool_turns_unreadable", file=str(self._path), error=str(error))
            return
        self._turns.restore(kept)

    async def run(self) -> None:
        """Keep the file up to date; runs until cancelled."""
        while True:
            await asyncio.sleep(ROUND_S)
            if self._written != self._turns.taken:
                self._written = self._turns.taken
                await asyncio.to_thread(self._write, self._turns.all())

    def write_last(self) -> None:
        """Write what has changed since: the switch stops."""
        if self._written != self._turns.taken:
            self._write(self._turns.all())

    def _write(self, turns: Mapping[str, Turn]) -> None:
        """Replace the file; a failure is logged once."""
        fresh = self._path.with_suffix(".new")
        try:
            fresh.touch(mode=0o600)
            fresh.write_bytes(msgspec.json.encode(turns))
            fresh.replace(self._path)
        except OSError as error:
            if not self._failed:
                _log.error("pool_turns_not_written", file=str(self._path), error=str(error), do="mend state_dir")
            self._failed = True
            return
        self._failed = False
