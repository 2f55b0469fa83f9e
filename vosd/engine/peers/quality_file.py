"""The windows of quality in a small file of ``state_dir``: written at a stop, read at the next start."""

from pathlib import Path

from vosd.base.clock import Clock
from vosd.engine.kept_file import KeptFile
from vosd.routing.quality import Quality, SavedQuality


class QualityFile:
    """Reads the file at the start and replaces it at the stop.

    A process that is killed leaves the file of the stop before it; slices that are too old by then are not used.
    """

    def __init__(self, path: Path, quality: Quality, clock: Clock) -> None:
        self._file = KeptFile(path, SavedQuality, "quality")
        self._quality = quality
        self._clock = clock

    def restore(self) -> None:
        """Go on with what was counted before the last stop."""
        saved = self._file.read()
        if saved is not None:
            self._quality.restore(saved, self._clock.now())

    def write(self) -> None:
        """Replace the file; a failure is logged, and the stop goes on."""
        self._file.write(self._quality.saved(self._clock.now()))
