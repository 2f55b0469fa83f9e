"""Ended calls of the journal that are not booked: how many in which file, and which of them are in memory.

A file is in use until the count of it and of every older one is zero.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import takewhile

from vosd.cdr.record import CallRecord
from vosd.engine.journal.backlog import Backlog
from vosd.engine.journal.entries import id_bytes
from vosd.engine.journal.files import Files, WrittenUpTo


class UnbookedCalls:
    """The unbooked calls of one journal."""

    def __init__(self, files: Files, written: Callable[[], WrittenUpTo]) -> None:
        """``written`` is as in ``Backlog``."""
        self._files = files
        self._file_of: dict[str, int] = {}
        """File of each call that the recorder has in memory, or is about to get."""
        self._count_in: dict[int, int] = {}
        self._backlog = Backlog(files, written)

    def __len__(self) -> int:
        return len(self._file_of) + len(self._backlog) + self._backlog.lost

    def __contains__(self, call_id: str) -> bool:
        return call_id in self._file_of or id_bytes(call_id) in self._backlog

    # -- calls --------------------------------------------------------------------------------------------------

    def add(self, call_id: str, number: int) -> None:
        """Count an ended call that is written to the file of this number."""
        self._file_of[call_id] = number
        self._count_in[number] = self._count_in.get(number, 0) + 1

    def settle(self, call_ids: Iterable[str]) -> tuple[str, ...]:
        """Count no longer the calls that are booked or in quarantine; return those that were counted."""
        done = tuple(call_id for call_id in call_ids if call_id in self._file_of)
        for call_id in done:
            self._count_in[self._file_of.pop(call_id)] -= 1
        return done

    # -- calls on disk ------------------------------------------------------------------------------------------

    @property
    def on_disk(self) -> int:
        """Number of calls of which only the files have the record."""
        return len(self._backlog)

    def leave_on_disk(self, call_id: str) -> None:
        """Note that the record of a call is nowhere but in the files, until it is read back."""
        self._backlog.add(call_id, self._file_of.pop(call_id))

    def found_on_disk(self, ids_in: Mapping[int, bytes]) -> None:
        """Count calls of an earlier run of which only the file of that number has the record: their ids in a row."""
        for number, ids in ids_in.items():
            self._count_in[number] = self._count_in.get(number, 0) + self._backlog.add_ids(ids, number)

    async def read_back(self, most: int) -> list[CallRecord]:
        """Read the oldest calls that were left on disk, at most so many.

        Raises:
            OSError: the file cannot be read; try again.
        """
        found = await self._backlog.read(most)
        while self._backlog.removed:
            number, count = self._backlog.removed.popitem()
            self._count_in[number] -= count
        for each in found:
            self._file_of[each.record.call_id] = each.number
        return [each.record for each in found]

    def ids_on_disk(self) -> set[bytes]:
        """Return the ids of the calls that were left on disk, each of 16 bytes."""
        return self._backlog.ids()

    def close(self) -> None:
        """Close the file that is being read."""
        self._backlog.close()

    # -- files --------------------------------------------------------------------------------------------------

    def add_files(self, first: int, last: int) -> None:
        """Count files that may hold no ended call, so that they are retired in their turn."""
        for number in range(first, last):
            self._count_in.setdefault(number, 0)

    def files(self) -> Iterable[int]:
        """Return the numbers of all files that are counted."""
        return self._count_in.keys()

    def retirable(self, before: int) -> list[int]:
        """Return the files older than ``before`` that hold no such call, the oldest first.

        None is behind one that does: an answer whose end is in a newer file would be restored as a lost call.
        """
        older = sorted(number for number in self._count_in if number < before)
        return list(takewhile(lambda number: self._count_in[number] == 0, older))

    def removed_files(self) -> list[int]:
        """Return the files with such calls that are not there any more, the oldest first.

        Raises:
            OSError: that is not known.
        """
        return sorted(each for each, count in self._count_in.items() if count and not self._files.in_use(each).exists())

    def move(self, call_ids: Iterable[str], removed: Collection[int], number: int) -> list[str]:
        """Count calls of removed files that are in memory in the file of this number; return those."""
        moved = [call_id for call_id in call_ids if self._file_of.get(call_id) in removed]
        for call_id in self.settle(moved):
            self.add(call_id, number)
        return moved

    def count_in(self, numbers: Iterable[int]) -> int:
        """Return how many such calls these files have."""
        return sum(self._count_in[number] for number in numbers)

    def forget_file(self, number: int) -> None:
        """Count a file no longer, which is out of use."""
        del self._count_in[number]

    def behind_the_oldest(self) -> list[int]:
        """Return the numbers of the oldest file that holds such calls and of all behind it, the oldest first."""
        oldest = self.oldest_file
        return [] if oldest is None else sorted(number for number in self._count_in if number >= oldest)

    @property
    def oldest_file(self) -> int | None:
        """Number of the oldest file that holds such calls."""
        return min((number for number, count in self._count_in.items() if count), default=None)

    def megabytes(self) -> int:
        """Return the size of the files that stay because of such calls, in MiB."""
        oldest = self.oldest_file
        if oldest is None:
            return 0
        paths = [self._files.in_use(number) for number in self._count_in if number >= oldest]
        return -(-sum(path.stat().st_size for path in paths if path.exists()) // 1_048_576)
