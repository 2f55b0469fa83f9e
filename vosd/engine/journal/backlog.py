"""Ended calls of which only the journal's files have the record, and reading them back (ADR 68).

While the database is away, the recorder keeps the oldest calls in memory and leaves the others here. Of each, its 16
bytes of id are in memory, by file and in the order of the ends. The files are read in that order: a small part at a
time, in a thread, so that running calls are not delayed. It does not know when to read, and what becomes of the
records.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

from vosd.cdr.record import CallRecord
from vosd.engine.journal.ends import ID_BYTES, split
from vosd.engine.journal.entries import KIND_ENDED, ended_of, id_bytes, id_text
from vosd.engine.journal.files import ENDS, Files, WrittenUpTo
from vosd.engine.journal.frames import Damage, Frame, FrameReader
from vosd.obs.events import Event, log as _log

READ_AT_ONCE: Final = 25
"""Records that are read before calls get their turn: about a millisecond."""
_WINDOW: Final = 256 * 1024


class ReadBack:
    """A record that was read back, and the number of the file under which it was counted."""

    __slots__ = ("number", "record")

    def __init__(self, record: CallRecord, number: int) -> None:
        self.record = record
        self.number = number


class Backlog:
    """The ids of such calls, and the place up to which the files have been read."""

    def __init__(self, files: Files, written: Callable[[], WrittenUpTo]) -> None:
        """``written`` writes what waits, and says how far that got."""
        self._files = files
        self._written = written
        self._later: deque[tuple[int, bytearray]] = deque()
        """Ids by the number of the file, the oldest file first; none of the file that is being read."""
        self._wanted: dict[bytes, int] = {}
        """Ids of the file that is being read, and of older ones where they were not found: a full disk may have moved
        them to the next file. The number is that under which a call is counted."""
        self._taken: dict[bytes, int] = {}
        """Ids that were read, until ``read`` returns them."""
        self._number = 0
        """The file that is being read; 0 = none."""
        self._offset = 0
        self._count = 0
        self._reading: tuple[FrameReader, Iterator[Frame | Damage]] | None = None
        self._file: BinaryIO | None = None
        self._added = 0
        self.lost = 0
        """Calls that were left here and whose records cannot be read."""
        self.removed: Final = Counter[int]()
        """Calls that were left to a file that was removed, by its number; ``UnbookedCalls`` counts them no longer."""

    def __len__(self) -> int:
        return self._count

    def __contains__(self, key: bytes) -> bool:
        if key in self._wanted or key in self._taken:
            return True
        # Takes 2.5 ms for each million of calls: not for the path of every call.
        return any(_holds(ids, key) for _, ids in self._later)

    def add(self, call_id: str, number: int) -> None:
        """Leave a call to the files; it was written to this file, or is about to be."""
        self._count += 1
        self._added += 1
        key = id_bytes(call_id)
        if number == self._number:
            self._wanted[key] = number
        elif self._later and self._later[-1][0] == number:
            self._later[-1][1].extend(key)
        else:
            self._later.append((number, bytearray(key)))

    def add_ids(self, ids: bytes, number: int) -> int:
        """Leave calls of an earlier run to the file of this number, each of 16 bytes; return how many."""
        self._later.append((number, bytearray(ids)))
        count = len(ids) // ID_BYTES
        self._count += count
        self._added += count
        return count

    def ids(self) -> set[bytes]:
        """Return the ids of all such calls."""
        found = set(self._wanted)
        found.update(self._taken)  # in this order: a thread moves ids from the first to the second
        for _, ids in self._later:
            found.update(split(ids))
        return found

    async def read(self, most: int) -> list[ReadBack]:
        """Read the oldest calls back, at most so many; fewer only if no more are on disk yet.

        Raises:
            OSError: a file cannot be read, and nothing was; try again. An older file that was removed is none of them.
        """
        self._taken.clear()
        found: list[ReadBack] = []
        try:
            await self._read_files(most, found)
        except OSError:
            self.close()
            if not found:
                raise
        self._count -= len(found)
        self._taken.clear()
        if not self._count:
            self.close()
        return found

    def close(self) -> None:
        """Close the file that is being read."""
        if self._file is not None:
            self._file.close()
        self._file = self._reading = None

    async def _read_files(self, most: int, found: list[ReadBack]) -> None:
        """Read calls of one file after the other, at most so many; those that were ``found`` stay so at an error."""
        loop = asyncio.get_running_loop()
        while len(found) < min(most, self._count):
            added, written = self._added, self._written()
            present = written.number
            # The file that was read last may be gone by now, if nothing more is wanted of it.
            if not self._wanted and not self._begin_next(present):
                break
            at_once = min(READ_AT_ONCE, most - len(found))
            is_present = self._number == present
            # Of the present file no more than is whole now: it is written beside the thread that reads it.
            until = written.end if is_present else None
            reading = loop.run_in_executor(None, self._read_some, at_once, until)
            try:
                some = await asyncio.shield(reading)
            except asyncio.CancelledError:
                await asyncio.gather(reading, return_exceptions=True)  # the thread has the file until it returns
                raise
            except FileNotFoundError:
                if is_present:
                    raise
                self.close()
                some = []  # an older file was removed: those behind it are read all the same
            found += some
            if len(some) == at_once or (not is_present and self._begin_next(present)):
                continue
            if is_present and self._written().number != present:
                continue  # it got its last calls while it was read: they come before those of the next file
            # The end of the present file.
            if written.is_all and added == self._added:
                self._report_lost()
            break

    def _begin_next(self, present: int) -> bool:
        """Go to the next file to be read; return False if there is none."""
        # What was not found may be in the very next file, whether that has calls of its own or not.
        following = self._files.following(self._number, present) if self._wanted else None
        if following is None:
            following = self._later[0][0] if self._later else None
        if following is None:
            return False
        self.close()
        self._number, self._offset = following, 0
        while self._later and self._later[0][0] <= following:
            number, ids = self._later.popleft()
            self._wanted |= dict.fromkeys(split(ids), number)
        return True

    def _read_some(self, most: int, until: int | None) -> list[ReadBack]:
        """Read on in the file, up to this offset or to its end; runs in a thread.

        Where that fails, what it has found is read again.
        """
        found: list[ReadBack] = []
        offset = self._offset
        try:
            self._read_into(found, most, until)
        except OSError:
            self._offset = offset
            for each in found:
                key = id_bytes(each.record.call_id)
                self._wanted[key] = self._taken.pop(key)
            raise
        return found

    def _read_into(self, found: list[ReadBack], most: int, until: int | None) -> None:
        reader, parts = self._opened()
        reader.read_until(until)
        for part in parts:
            if isinstance(part, Damage):
                continue
            if part.kind == KIND_ENDED and part.call in self._wanted:
                record = ended_of(part)
                if record is not None:
                    self._taken[part.call] = number = self._wanted[part.call]
                    del self._wanted[part.call]
                    found.append(ReadBack(record, number))
            self._offset = reader.end
            if len(found) == most:
                return
        self.close()

    def _opened(self) -> tuple[FrameReader, Iterator[Frame | Damage]]:
        if self._reading is None:
            # Without a buffer, which would hold what was behind the last record before the next one was written.
            self._file = self._files.in_use(self._number).open("rb", 0)
            self._file.seek(self._offset)
            reader = FrameReader(self._file, _WINDOW)
            self._reading = reader, reader.read()
        return self._reading

    def _report_lost(self) -> None:
        """Give up calls whose records cannot be read: their files stay, and the next start closes them if it can.

        Those whose file was removed are lost.

        Raises:
            OSError: the disk does not say which are which; none is given up.
        """
        unreadable, removed, removed_from = list[bytes](), list[bytes](), Counter[int]()
        for number in set(self._wanted.values()):
            path = self._files.in_use(number)
            there = [call for call, counted_in in self._wanted.items() if counted_in == number]
            if path.exists():
                unreadable += there
                path.with_suffix(ENDS).unlink(missing_ok=True)  # the next start reads the file, and sees the damage
            else:
                removed += there
                removed_from[number] = len(there)
        self.removed.update(removed_from)
        if unreadable:
            _log.error(
                Event.JOURNAL_RECORD_UNREADABLE,
                calls=_some_of(unreadable),
                number=len(unreadable),
                do="vosd spool check FILE; restart vosd to close them by what else is known",
            )
        if removed:
            _log.error(
                Event.JOURNAL_REMOVED,
                calls=_some_of(removed),
                lost_calls=len(removed),
                means="only removed files had the records of these ended calls: they are lost",
            )
        self._count -= len(self._wanted)
        self.lost += len(unreadable)
        self._wanted.clear()


def _holds(ids: bytearray, key: bytes) -> bool:
    """Return whether a row of ids has this one: the bytes may also be found across two of them."""
    at = ids.find(key)
    while at % ID_BYTES and at >= 0:
        at = ids.find(key, at + 1)
    return at >= 0


def _some_of(calls: list[bytes]) -> list[str]:
    return [id_text(each) for each in calls[:READ_AT_ONCE]]
