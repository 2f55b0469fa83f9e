"""The turns of pools of calling numbers, in a small file of ``state_dir``: a restart goes on from there."""

import asyncio
from pathlib import Path
from typing import Final

from vosd.engine.kept_file import KeptFile
from vosd.routing.pools import PoolTurns, Turn

ROUND_S: Final = 1.0
"""Interval at which changes are written: a crash repeats the numbers of this time."""


class PoolFile:
    """Reads the file at the start and replaces it after changes."""

    def __init__(self, path: Path, turns: PoolTurns) -> None:
        self._file = KeptFile(path, dict[str, Turn], "pool_turns")
        self._turns = turns
        self._written = turns.taken

    def restore(self) -> None:
        """Go on with the turns of the file; those of pools that do not exist any more wait for the next reload."""
        kept = self._file.read()
        if kept is not None:
            self._turns.restore(kept)

    async def run(self) -> None:
        """Keep the file up to date; runs until cancelled."""
        while True:
            await asyncio.sleep(ROUND_S)
            if self._written != self._turns.taken:
                self._written = self._turns.taken
                await asyncio.to_thread(self._file.write, self._turns.all())

    def write_last(self) -> None:
        """Write what has changed since: the switch stops."""
        if self._written != self._turns.taken:
            self._file.write(self._turns.all())
