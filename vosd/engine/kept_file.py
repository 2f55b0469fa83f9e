"""One value in a small file of ``state_dir``, so that it outlives the process."""

from pathlib import Path
from threading import Lock
from typing import Final, Generic, TypeVar

import msgspec

from vosd.obs.events import log as _log
from vosd.processes.spare_descriptors import advice
from vosd.processes.whole_file import replace_file

T = TypeVar("T")


class KeptFile(Generic[T]):
    """The file, replaced as a whole; one that cannot be read or written is logged, and nothing stops for it.

    To be written in a thread: it is on the disk before it has its name. XFS gives the name at once, and a power loss
    within the half minute until the content follows would leave the file empty.
    """

    def __init__(self, path: Path, kept: type[T], name: str, *, synced: bool = True) -> None:
        """``name`` names the content in the log; ``synced=False``: the loss of the content does no harm."""
        self.path: Final = path
        self._kept = kept
        self._name = name
        self._synced = synced
        self._failed = False
        self._lock = Lock()
        """Held by one writer at a time: a stop writes in the loop, and the thread before it may wait for the disk."""

    def load(self) -> T | None:
        """Return the value; None if there is none.

        Raises:
            OSError, msgspec.DecodeError: it cannot be read.
        """
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=self._kept)
        except FileNotFoundError:
            return None
        except (UnicodeDecodeError, RecursionError) as error:  # of a text, or of brackets; msgspec says so in this way
            raise msgspec.DecodeError(str(error)) from error

    def read(self) -> T | None:
        """Return the value; None if there is none or it cannot be read."""
        try:
            return self.load()
        except (OSError, msgspec.DecodeError) as error:
            _log.warning(f"{self._name}_unreadable", file=str(self.path), error=str(error), means="it begins anew")
            return None

    def write(self, value: T) -> bool:
        """Replace the value; return whether that was possible. A failure is logged once."""
        try:
            with self._lock:
                replace_file(self.path, msgspec.json.encode(value), synced=self._synced)
        except OSError as error:
            if not self._failed:
                _log.error(
                    f"{self._name}_not_written",
                    file=str(self.path),
                    error=str(error),
                    do=advice(error, "mend state_dir"),
                )
            self._failed = True
            return False
        self._failed = False
        return True
