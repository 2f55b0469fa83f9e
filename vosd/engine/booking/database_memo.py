"""What the switch last knew of its database, in a small file beside the journal.

A start compares it with the database at hand: one that was restored from an older state while the switch was down
is noticed so.
"""

from pathlib import Path

import msgspec
import structlog

from vosd.cdr.lease import DatabaseState

_log = structlog.get_logger()


class Memo(msgspec.Struct, frozen=True):
    """The latest state of the database that was seen."""

    state: DatabaseState
    regressed: str | None
    """What proved that the database had lost commits, where not all were booked again yet."""
    complete: bool
    """Whether the switch stopped in order; after a crash more may have been booked than ``state`` says."""
    compare_from_s: int
    """After a crash, what was booked since then is compared; seconds since 1970."""


class MemoFile:
    """One memo, replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written: Memo | None = None
        self._failed = False

    def read(self) -> Memo | None:
        """Return what was written last; None where nothing was or it cannot be read."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Memo)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            _log.warning("database_memo_unreadable", file=str(self._path), error=str(error))
            return None

    def write(self, memo: Memo) -> None:
        """Replace the memo; a disk that does not take it is logged once."""
        if memo == self._written:
            return
        fresh = self._path.with_suffix(".new")
        try:
            fresh.touch(mode=0o600)
            fresh.write_bytes(msgspec.json.encode(memo))
            fresh.replace(self._path)
        except OSError as error:
            if not self._failed:
                _log.error("database_memo_not_written", file=str(self._path), error=str(error), do="mend state_dir")
            self._failed = True
            return
        self._written, self._failed = memo, False
