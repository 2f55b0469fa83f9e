"""The journal: what must survive a crash, on disk before the peers are told (DESIGN D9).

An append-only run of framed records: an answered call with all that is needed to bill it, an ended call ready to
be booked, a mark of time every second while calls run, and which calls are booked. Records are written before the
datagrams that they belong to leave, which survives kill -9; they are synced at most ``SYNC_S`` later, which bounds
what a power loss takes. Knows no database: the recorder books what stands here.
"""

import asyncio
import os
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path
from typing import Final

import structlog

from vosd.base.clock import Instant
from vosd.cdr.record import CallRecord
from vosd.engine.bookkeeping import OpenCall
from vosd.engine.replay import Booked, Ended, Entry, JournalUnusableError, Mark, Remains, framed, read_segments

SYNC_S: Final = 0.05
SEGMENT_BYTES: Final = 64 * 1024 * 1024
BACKLOG_BYTES: Final = 16 * 1024 * 1024
"""Records that may wait in memory while the disk takes nothing; beyond it new calls are refused."""
REFUSED_MAX: Final = 10_000
"""Calls that the database would not take; with more of them something is wrong that no call should add to."""

_NAME: Final = "journal-" + "[0-9]" * 8

_log = structlog.get_logger()


class Journal:
    """One directory of segments; the newest is written, the others go when all their calls are booked."""

    def __init__(self, directory: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._descriptor = -1
        self._number = 0
        self._size = 0
        """What the newest segment has taken, without the open calls that it began with."""
        self._buffer: list[bytes] = []
        self._backlog = 0
        self._dirty = False
        self._sync_wanted = asyncio.Event()
        self._open_calls: dict[str, OpenCall] = {}
        self._refused: dict[str, CallRecord] = {}
        self._last_mark: Mark | None = None
        self._segment_of: dict[str, int] = {}
        self._unbooked: dict[int, int] = {}
        self._failed = False
        self._left_behind: list[Path] = []
        """Segments of the earlier life."""
        self._damaged: set[Path] = set()

    # -- life ---------------------------------------------------------------------------------------------------

    def open(self) -> Remains:
        """Read what an earlier life left, and begin a new segment.

        The old segments stay until ``settle`` says that everything in them stands in the new one.

        Raises:
            JournalUnusableError: the directory cannot be made, read or written.
        """
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._left_behind = sorted(self._directory.glob(f"{_NAME}.log"))
            remains = read_segments(self._left_behind)
            self._damaged = remains.damaged
            earlier = (int(path.stem.rpartition("-")[2]) for path in self._directory.glob(f"{_NAME}.*"))
            self._number = max(earlier, default=0) + 1
            self._descriptor = self._create(self._number)
        except OSError as error:
            message = f"the journal in {self._directory} cannot be used: {error.strerror or error}; mend state_dir"
            raise JournalUnusableError(message) from error
        return remains

    def settle(self) -> None:
        """Everything that an earlier life left has been written again: remove its segments.

        A damaged one is kept under another name, for whoever can read more of it.

        Raises:
            JournalUnusableError: the disk does not take it all, the old segments stay.
        """
        self.flush()
        if self._buffer or not self._sync():
            message = f"the journal in {self._directory} cannot be written; make room on that disk and start again"
            raise JournalUnusableError(message)
        for segment in self._left_behind:
            if segment in self._damaged:
                segment.rename(segment.with_suffix(".damaged"))
            else:
                segment.unlink()
        self._left_behind = []

    def close(self) -> None:
        """Write and sync what is left."""
        self.flush()
        if self._buffer:
            _log.error("the disk did not take the end of the journal", lost_bytes=self._backlog)
        self._sync()
        os.close(self._descriptor)
        if not self.unbooked and not self._open_calls:
            self._path(self._number).unlink()

    # -- records ------------------------------------------------------------------------------------------------

    @property
    def unbooked(self) -> int:
        """How many ended calls wait for the database, those that it has refused included."""
        return len(self._segment_of) + len(self._refused)

    @property
    def is_overfull(self) -> bool:
        """Whether disk or database have refused so much that no new call may be taken."""
        return self._backlog > BACKLOG_BYTES or len(self._refused) > REFUSED_MAX

    def answered(self, call: OpenCall) -> None:
        """Keep an answered call."""
        self._open_calls[call.record.call_id] = call
        self._append(call)

    def ended(self, record: CallRecord) -> None:
        """Keep an ended call until it is booked."""
        self._open_calls.pop(record.call_id, None)
        self._segment_of[record.call_id] = self._number
        self._unbooked[self._number] = self._unbooked.get(self._number, 0) + 1
        self._append(Ended(record))

    def refused(self, records: Iterable[CallRecord]) -> None:
        """Keep calls that the database will not take as they are: they move on with the open calls.

        The next start offers them again, when somebody may have mended what was in their way.
        """
        for record in records:
            number = self._segment_of.pop(record.call_id, None)
            if number is not None:
                self._unbooked[number] -= 1
                self._refused[record.call_id] = record

    def mark(self, now: Instant) -> None:
        """Prove that the switch lives."""
        self._last_mark = Mark(now.mono, now.wall)
        self._append(self._last_mark)

    def booked(self, call_ids: Iterable[str]) -> None:
        """Note that calls stand in the database, and drop segments that nobody needs any more."""
        done = tuple(call_id for call_id in call_ids if call_id in self._segment_of)
        for call_id in done:
            self._unbooked[self._segment_of.pop(call_id)] -= 1
        self._append(Booked(done))
        self.flush()
        self._drop_segments()

    def flush(self) -> None:
        """Hand everything to the operating system; called before datagrams leave.

        A disk that takes nothing is logged once and tried again at the next flush; nothing is dropped.
        """
        if not self._buffer:
            return
        self._write()
        if self._size >= self._segment_bytes and not self._buffer:
            self._begin_segment()

    async def keep_synced(self) -> None:
        """Sync what was written, again and again, without holding up the calls; runs until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._sync_wanted.wait()
            await asyncio.sleep(SYNC_S)
            self._sync_wanted.clear()
            self._dirty = False
            try:
                descriptor = os.dup(self._descriptor)
                try:
                    await loop.run_in_executor(None, os.fdatasync, descriptor)
                finally:
                    os.close(descriptor)
            except OSError as error:
                _log.error("journal cannot be synced, a power loss may take calls", error=str(error))

    # -- inside -------------------------------------------------------------------------------------------------

    def _append(self, entry: Entry) -> None:
        frame = framed(entry)
        self._buffer.append(frame)
        self._backlog += len(frame)

    def _write(self) -> None:
        """Write until nothing waits or the disk takes no more; a full one is tried with a single record."""
        while self._buffer:
            pieces = self._buffer[:1] if self._failed else self._buffer
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            try:
                written = os.write(self._descriptor, data)
            except OSError as error:
                if not self._failed:
                    _log.error("journal cannot be written, new calls will be refused", error=str(error))
                self._failed = True
                return
            self._failed = False
            rest = data[written:]
            self._buffer[: len(pieces)] = [rest] if rest else []
            self._backlog -= written
            self._size += written
            if not self._dirty:
                self._dirty = True
                self._sync_wanted.set()

    def _sync(self) -> bool:
        """Bring what was written onto the disk at once; say whether that went well."""
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            _log.error("journal cannot be synced, a power loss may take calls", error=str(error))
            return False
        return True

    def _begin_segment(self) -> None:
        """Go on in a new file, which begins with the calls that are still open and those that were refused."""
        self._size = 0
        try:
            descriptor = self._create(self._number + 1)
        except OSError as error:
            _log.error("no new journal file can be made, the old one goes on", error=str(error))
            return
        self._sync()
        os.close(self._descriptor)
        self._unbooked.setdefault(self._number, 0)
        self._number += 1
        self._descriptor = descriptor
        if self._last_mark is not None:
            self._append(self._last_mark)
        for call in self._open_calls.values():
            self._append(call)
        for record in self._refused.values():
            self._append(Ended(record))
        self._write()
        self._size = 0
        self._drop_segments()

    def _drop_segments(self) -> None:
        """Remove older segments whose calls are all booked, once the calls still open are safe in this one.

        The oldest goes first: an answer whose end stood in a younger file would else come back as a lost call.
        """
        older = sorted(number for number in self._unbooked if number < self._number)
        done = list(takewhile(lambda number: self._unbooked[number] == 0, older))
        if not done or self._buffer or not self._sync():
            return
        for number in done:
            del self._unbooked[number]
            self._path(number).unlink(missing_ok=True)

    def _create(self, number: int) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        return os.open(self._path(number), flags, 0o600)

    def _path(self, number: int) -> Path:
        return self._directory / f"journal-{number:08d}.log"
