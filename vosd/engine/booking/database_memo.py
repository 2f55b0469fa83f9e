"""The last known state of the database, in a small file beside the journal.

It is compared with the database at the next start, to detect a database that was restored from an older state
meanwhile.
"""

from pathlib import Path
from threading import Lock

import msgspec

from vosd.cdr.lease import DatabaseState
from vosd.engine.journal.kept import BEGINNING
from vosd.engine.kept_file import KeptFile


class Memo(msgspec.Struct, frozen=True):
    """The last known state of the database."""

    state: DatabaseState
    regressed: str | None
    """Evidence of lost commits that are not all booked again."""
    complete: bool
    """Whether the switch was stopped in order; after a crash more may have been booked than ``state`` says."""
    compare_from_s: int
    """After a crash, calls booked since then are compared; seconds since 1970."""
    mended_to: tuple[int, int] = BEGINNING
    """Place of the journal up to which all calls are booked again, if ``regressed``."""


class MemoFile:
    """The file, replaced atomically.

    To be written in a thread: what removes the file before may wait for the disk, for 40 ms beside a large import.
    """

    def __init__(self, path: Path) -> None:
        self._file = KeptFile(path, Memo, "database_memo")
        self._lock = Lock()
        self._latest: Memo | None = None
        self._written: Memo | None = None

    def read(self) -> Memo | None:
        """Return the memo; None if there is none or it cannot be read."""
        return self._file.read()

    def note(self, memo: Memo) -> None:
        """Have the next ``write`` write this memo, also one that has begun and waits for another."""
        self._latest = memo

    def write(self) -> None:
        """Replace the memo by the one that was noted last; a failure is logged once."""
        with self._lock:
            memo = self._latest
            if memo is not None and memo != self._written and self._file.write(memo):
                self._written = memo
