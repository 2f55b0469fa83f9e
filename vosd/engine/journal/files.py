"""Files of the journal: their names, which are in use, and which are kept after all their calls are booked.

``journal-00000012.log`` is in use: it is read at the next start. ``.unbooked`` is of an earlier run: of it only ended
calls count, until they are booked. ``.kept`` is booked and kept for a while, in case the database loses commits.
``.damaged`` could not be read completely and is kept until the operator removes it.
"""

import os
import re
from collections.abc import Collection
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from threading import Thread
from typing import BinaryIO, Final, NamedTuple

from vosd.cdr.retention import KeepSettings
from vosd.obs.events import Event, log as _log
from vosd.processes.spare_descriptors import SpareDescriptors, is_used_up
from vosd.processes.whole_file import DRAFT, sync_directory

IN_USE: Final = ".log"
UNBOOKED: Final = ".unbooked"
KEPT: Final = ".kept"
DAMAGED: Final = ".damaged"
ENDS: Final = ".ends"
"""Ending of the copy of what a start needs of the file in use of that number (``ends.py``)."""
PRUNE_S: Final = 60
"""Interval at which booked files that are too old are removed."""
REMOVED_AT_ONCE: Final = 8
"""Most booked files that are removed in a second: all that an earlier run has left become too old at the same time."""
SPARE: Final = 3
"""Spare descriptors: for a new file, its directory and a new reserve; to list the directory takes one."""
_SMALLEST_SHARE: Final = 64
"""However small a file is, it counts for this share of a full one, so that their number is limited."""
_STEM: Final = "journal-" + "[0-9]" * 8
_ANY_NAME: Final = re.compile(rf"{_STEM}\.[a-z]+")
_READ_BYTES: Final = 256 * 1024
_BLOCK_BYTES: Final = 4_096
_LAST_ZEROS: Final = 64
"""A record may end with so many zeros at most."""


class WrittenUpTo(NamedTuple):
    """Place up to which the journal is written."""

    number: int
    """Number of the present file."""
    end: int
    """End of its last record, in bytes."""
    is_all: bool
    """Whether no record waits to be written."""


def numbered(path: Path) -> int:
    """Return the number of a journal file."""
    return int(path.stem.rpartition("-")[2])


def listed(directory: Path, *suffixes: str) -> list[Path]:
    """Return the journal's files with these suffixes, oldest first; none if there is no journal.

    Raises:
        OSError: the directory cannot be read.
    """
    found = [path for path in entries(directory, f"{_STEM}.*") if path.suffix in suffixes]
    return sorted(found, key=numbered)


def entries(directory: Path, pattern: str) -> list[Path]:
    """Return the entries of a directory whose names match, in any order; none if the directory is not there.

    ``Path.glob`` finds none either in a directory that cannot be read.

    Raises:
        OSError: the directory cannot be read.
    """
    try:
        with os.scandir(directory) as found:
            return [directory / entry.name for entry in found if fnmatchcase(entry.name, pattern)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def opened(path: Path) -> BinaryIO | None:
    """Open a file for reading under its present name; None if it was removed."""
    for suffix in (path.suffix, UNBOOKED, KEPT, DAMAGED):
        try:
            return path.with_suffix(suffix).open("rb")
        except FileNotFoundError:
            continue
    return None


class Files:
    """The files of one directory."""

    def __init__(self, directory: Path, keep: KeepSettings, full_bytes: int) -> None:
        """A file is full at ``full_bytes``."""
        self.directory = directory
        self._full_bytes = full_bytes
        self.reserve = directory / "reserve"
        """A file allocated beforehand, for the case of a full disk."""
        self.damaged: Final[set[int]] = set()
        """Numbers of files of an earlier run that could not be read completely."""
        self.keep = keep
        self.spare: Final = SpareDescriptors(SPARE)
        self._seen: dict[str, int] = {}
        """When each booked file was first seen, in monotonic milliseconds."""
        self._sizes: dict[str, int] = {}
        """Size of each booked file, which does not change, in bytes."""
        self._has_due = False
        """Whether the last look for booked files has left some that are too many or too old."""

    def path(self, number: int) -> Path:
        """Return the path of a file in use."""
        return self.directory / f"journal-{number:08d}{IN_USE}"

    def in_use(self, number: int) -> Path:
        """Return the path of a file that is in use, or holds unbooked calls of an earlier run."""
        path = self.path(number)
        left = path.with_suffix(UNBOOKED)
        return left if not path.exists() and left.exists() else path

    def following(self, number: int, last: int) -> int | None:
        """Return the number of the first such file after ``number``, up to ``last``; None = there is none."""
        return next((each for each in range(number + 1, last + 1) if self.in_use(each).exists()), None)

    def next_number(self) -> int:
        """Return a number that no file has."""
        return max(map(numbered, self.directory.glob(f"{_STEM}.*")), default=0) + 1

    def create(self, number: int) -> tuple[int, int]:
        """Create a file, and return its descriptor and number: that of the first free name from ``number`` on.

        A file that could not be removed after a failure has a name, too.

        Raises:
            OSError: there is no new file.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        while True:
            path = self.path(number)
            try:
                descriptor = os.open(path, flags, 0o600)
                break
            except FileExistsError:
                number += 1
        try:
            sync_directory(self.directory)
        except OSError:
            os.close(descriptor)
            with suppress(OSError):  # the next file takes another name
                path.unlink()
            raise
        return descriptor, number

    def put_away(self, path: Path) -> None:
        """Take a file out of use: keep it for a while, or for ``vosd spool salvage`` if it is damaged."""
        if path.exists():
            (self.set_aside if numbered(path) in self.damaged else self.retire)(path)

    def put_all_away(self, numbers: Collection[int]) -> None:
        """Take the last files out of use; a disk that takes nothing must not keep the process from ending."""
        try:
            for number in sorted(numbers):
                self.put_away(self.in_use(number))
        except OSError as error:
            _log.error("journal_files_not_put_away", means="the next start reads them", error=str(error))

    def retire(self, path: Path) -> None:
        """Keep a file whose calls are all booked, out of use."""
        remove(path.with_suffix(ENDS))
        if self.keep.keep_minutes and self.keep.keep_files:
            os.utime(path)
            path.rename(path.with_suffix(KEPT))
        else:
            remove(path)

    def forget_ends_of(self, path: Path) -> None:
        """Remove the copy of a file's ends if the file is out of use by now."""
        if not self.in_use(numbered(path)).exists():
            path.with_suffix(ENDS).unlink(missing_ok=True)

    def remove_drafts(self) -> None:
        """Remove what a process has left that was killed while it wrote a copy of ends."""
        for path in self.directory.glob(f"{_STEM}{DRAFT}"):
            path.unlink()

    def leave_unbooked(self, path: Path) -> None:
        """Keep of a file of an earlier run only the ended calls that are not booked."""
        path.rename(path.with_suffix(UNBOOKED))

    def set_aside(self, path: Path) -> None:
        """Set a file aside that could not be read completely; the switch never removes it."""
        path.with_suffix(ENDS).unlink(missing_ok=True)
        path.rename(path.with_suffix(DAMAGED))

    def prune_sometimes(self, ticks: int, mono_ms: int) -> None:
        """Remove booked files that are too many or too old every ``PRUNE_S``; ``ticks`` counts the seconds.

        The age is counted on the monotonic clock since this process first saw the file: a step of the wall clock must
        not remove files that are needed if the database loses commits. A restart begins to count again.
        """
        if ticks % PRUNE_S and not self._has_due:
            return
        names = self._names()
        if names is None:
            return
        booked = self._booked(names)
        self._seen = {name: self._seen.get(name, mono_ms) for name in booked}
        oldest, surplus = mono_ms - 60_000 * self.keep.keep_minutes, self._surplus(booked)
        due = [name for place, name in enumerate(booked) if place < surplus or self._seen[name] <= oldest]
        for name in due[:REMOVED_AT_ONCE]:
            remove(self.directory / name)
        self._has_due = len(due) > REMOVED_AT_ONCE

    def prune(self, most: int | None = None) -> None:
        """Remove booked files that are too many, ``most`` of them, and what is left of copies of ends."""
        names = self._names()
        if names is None:
            return
        booked = self._booked(names)
        for name in booked[: self._surplus(booked)][:most]:
            remove(self.directory / name)
        for name in names:
            if name.endswith(ENDS):
                self.forget_ends_of(self.directory / name)

    def _names(self) -> list[str] | None:
        """Return the names of the journal's files; None where no more files may be opened: a later look finds them.

        None also where the directory was removed, until it is made anew.
        """
        try:
            with self.spare.lent(), os.scandir(self.directory) as entries:
                return [entry.name for entry in entries if _ANY_NAME.fullmatch(entry.name)]
        except FileNotFoundError:
            return None
        except OSError as error:
            if is_used_up(error):
                return None
            raise

    def _booked(self, names: Collection[str]) -> list[str]:
        """Return the names of booked files, oldest first; the size of new ones is read."""
        booked = sorted(name for name in names if name.endswith(KEPT))
        known, directory = self._sizes, self.directory
        self._sizes = {name: known[name] if name in known else (directory / name).stat().st_size for name in booked}
        return booked

    def _surplus(self, booked: list[str]) -> int:
        """Return how many of the oldest files are too many.

        Every start begins a file. A switch that is restarted again and again must not lose, with many files of a few
        calls each, what a database that has lost commits would need.
        """
        room = self.keep.keep_files * self._full_bytes
        for place in range(len(booked) - 1, -1, -1):
            room -= min(max(self._sizes[booked[place]], self._full_bytes // _SMALLEST_SHARE), self._full_bytes)
            if room < 0:
                return place + 1
        return 0

    def give_up_oldest(self) -> bool:
        """Remove the oldest booked file to make room; return False if there is none.

        Raises:
            OSError: it cannot be removed, or the directory cannot be listed.
        """
        with self.spare.lent():
            booked = listed(self.directory, KEPT)
        for path in booked[:1]:
            path.unlink()
            _log.warning(Event.JOURNAL_KEPT_FILE_REMOVED, file=path.name, why="the disk is full")
            return True
        return False

    def cut_unused(self, before: int) -> bool:
        """Release what older files have not used of the reserve that they were; return whether that made room.

        A copy of ends names the size of its file, which stays.

        Raises:
            OSError: one of them cannot be cut, or the directory cannot be listed.
        """
        with self.spare.lent():
            found = [path for path in listed(self.directory, IN_USE, UNBOOKED) if numbered(path) < before]
            return sum(cut_zeros(path) for path in found if not path.with_suffix(ENDS).exists()) > 0


def remove(path: Path) -> None:
    """Remove a file; its blocks are freed by a thread, which for 64 MiB may wait for the disk for 50 ms."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # it is gone, or all descriptors are in use: then this thread waits for the disk
        path.unlink(missing_ok=True)
        return
    try:
        path.unlink(missing_ok=True)
    finally:
        Thread(target=os.close, args=(descriptor,), name="removed file").start()


def is_removed(directory: Path) -> bool:
    """Return whether a directory in which a journal was written has nothing of it any more: a stop leaves files."""
    try:
        with os.scandir(directory) as entries:
            return next(entries, None) is None
    except FileNotFoundError:
        return True


def all_files(directory: Path) -> list[Path]:
    """Return every file with records, booked or not, oldest first."""
    return listed(directory, IN_USE, UNBOOKED, KEPT, DAMAGED)


def cut_zeros(path: Path) -> bool:
    """Cut off the zeros at the end of a file, but not those that may belong to its last record."""
    with path.open("r+b") as file:
        end = size = file.seek(0, os.SEEK_END)
        while end > 0:
            begin = max(0, end - _READ_BYTES)
            file.seek(begin)
            used = len(file.read(end - begin).rstrip(b"\0"))
            end = begin + used
            if used:
                break
        end = -(-(end + _LAST_ZEROS) // _BLOCK_BYTES) * _BLOCK_BYTES
        if end >= size:
            return False
        file.truncate(end)
    return True
