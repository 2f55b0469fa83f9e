"""The windows of quality in a small file of ``state_dir``: written at a stop, read at the next start."""

from pathlib import Path

import msgspec
import structlog

from vosd.base.clock import Clock
from vosd.routing.quality import Quality, SavedQuality

_log = structlog.get_logger()


class QualityFile:
    """Reads the file at the start and replaces it at the stop.

    A process that is killed leaves the file of the stop before it; slices that are too old by then are not used.
    """

    def __init__(self, path: Path, quality: Quality, clock: Clock) -> None:
        self._path = path
        self._quality = quality
        self._clock = clock

    def restore(self) -> None:
        """Go on with what was counted before the last stop."""
        try:
            saved = msgspec.json.decode(self._path.read_bytes(), type=SavedQuality)
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError) as error:
            _log.warning("quality_unreadable", file=str(self._path), error=str(error), means="counted anew")
            return
        self._quality.restore(saved, self._clock.now())

    def write(self) -> None:
        """Replace the file; a failure is logged, and the stop goes on."""
        saved = self._quality.saved(self._clock.now())
        fresh = self._path.with_suffix(".new")
        try:
            fresh.touch(mode=0o600)
            fresh.write_bytes(msgspec.json.encode(saved))
            fresh.replace(self._path)
        except OSError as error:
            _log.warning("quality_not_written", file=str(self._path), error=str(error), means="counted anew")
