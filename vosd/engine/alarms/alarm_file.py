"""The alarms in a small file of ``state_dir``, so that receivers learn what ended while the switch was away."""

import asyncio
from pathlib import Path
from typing import Any, Final

import msgspec

from vosd.engine.kept_file import KeptFile
from vosd.obs.alarms import Alarm, KeptAlarms

WRITES_S: Final = 5.0
"""Changes of so many seconds are written together."""


class AlarmFile:
    """Reads the file at the start, and replaces it after changes; a file that cannot be used is left out."""

    def __init__(self, path: Path) -> None:
        self._file = KeptFile(path, dict[str, list[Any]], "alarms")
        self._changed = asyncio.Event()
        self._kept = KeptAlarms()

    def read(self) -> KeptAlarms:
        """Return what the last run left; alarms that another version has and this one has not are left out."""
        found = self._file.read() or {}
        return KeptAlarms(_known(found.get("active", [])), _known(found.get("history", [])))

    def put(self, kept: KeptAlarms) -> None:
        """Note what is to be written next."""
        self._kept = kept
        self._changed.set()

    async def run(self) -> None:
        """Write what has changed, in a thread; runs until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await asyncio.to_thread(self.write, self._kept)
            await asyncio.sleep(WRITES_S)

    def write(self, kept: KeptAlarms) -> None:
        """Replace the file; a failure is logged."""
        self._file.write(msgspec.structs.asdict(kept))


def _known(rows: list[Any]) -> tuple[Alarm, ...]:
    found = []
    for row in rows:
        try:
            found.append(msgspec.convert(row, Alarm))
        except msgspec.ValidationError:
            continue
    return tuple(found)
