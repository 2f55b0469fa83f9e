"""The alarms in a small file of ``state_dir``, so that receivers learn what ended while the switch was away."""

import asyncio
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from vosd.obs.alarms import Alarm, KeptAlarms

WRITES_S: Final = 5.0
"""Changes of so many seconds are written together."""

_log = structlog.get_logger()


class AlarmFile:
    """Reads the file at the start, and replaces it after changes; a file that cannot be used is left out."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = asyncio.Event()
        self._kept = KeptAlarms()

    def read(self) -> KeptAlarms:
        """Return what the last run left; alarms that another version has and this one has not are left out."""
        try:
            found: dict[str, list[Any]] = msgspec.json.decode(self._path.read_bytes(), type=dict[str, list[Any]])
        except FileNotFoundError:
            return KeptAlarms()
        except (OSError, msgspec.DecodeError) as error:
            _log.warning("alarms_unreadable", file=str(self._path), error=str(error), means="alarms begin anew")
            return KeptAlarms()
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
        fresh = self._path.with_suffix(".new")
        try:
            fresh.touch(mode=0o600)
            fresh.write_bytes(msgspec.json.encode(kept))
            fresh.replace(self._path)
        except OSError as error:
            _log.warning("alarms_not_written", file=str(self._path), error=str(error), do="make room in state_dir")


def _known(rows: list[Any]) -> tuple[Alarm, ...]:
    found = []
    for row in rows:
        try:
            found.append(msgspec.convert(row, Alarm))
        except msgspec.ValidationError:
            continue
    return tuple(found)
