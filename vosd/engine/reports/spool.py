"""Reports on the disk, so that those that wait survive a restart, or a kill, of the switch.

Files of lines: ``R2 NUMBER TIME CALL_ID JSON CRC`` is a report, ``D2 NUMBER ... CRC`` says that reports are done; the
last word is a checksum of the words before it. ``R`` and ``D`` are the same lines of an earlier version, without one.
A report is handed to the operating system when it is made, so a kill of the process loses none; a power loss may lose
the last ones, as nothing waits for the disk. A line that cannot be read, such as one that was cut off, is left out,
and the log names its file.
It does not know how reports are delivered. Without a disk reports wait in memory alone.
"""

import os
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from vosd.base.clock import LATEST_KEPT_MS
from vosd.base.undecodable import UNDECODABLE
from vosd.engine.journal.output import system_write
from vosd.engine.reports.report import CallReport
from vosd.obs.events import GONE, Event, log as _log
from vosd.obs.outage import outage_of

FILE_BYTES: Final = 4 * 1024 * 1024
"""A file is followed by the next one when it is longer."""
SPARE_BYTES: Final = 8 * FILE_BYTES
"""Bytes that the files may have, in sum, beyond twice the reports that wait."""
MOVED_AT_ONCE: Final = 200
"""Reports that are written again in one round: of the oldest file, so that it can be removed."""
NAMED_AT_MOST: Final = 20
"""Most lines of a file that the log names of those that cannot be read."""
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC


class Spooled(NamedTuple):
    """Reports that an earlier run has left."""

    reports: list[CallReport]
    """Reports that wait, the oldest first."""
    last_number: int
    unreadable: int
    """Lines that were left out."""


class _Lines(NamedTuple):
    """Content of one file."""

    reports: dict[int, CallReport]
    done: set[int]
    unreadable: list[int]
    """Numbers of the lines that were left out, from 1."""


class _File:
    __slots__ = ("left", "path", "size")

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.size = size
        self.left: dict[int, CallReport] = {}
        """Reports of the file that still wait."""


class ReportSpool:
    """The files of one switch."""

    def __init__(
        self, directory: Path, receiver: str | None = None, unwritten: Event = Event.CALL_REPORTS_UNWRITTEN
    ) -> None:
        """``receiver`` is named in lines of the log; ``unwritten`` is the event of a disk that takes nothing."""
        self._directory = directory
        self._descriptor = -1
        self._files: list[_File] = []
        """The oldest first; the last one is written."""
        self._last_file = 0
        """Highest number of a file, also of one that cannot be read."""
        self._file_of: dict[int, _File] = {}
        """By number, of the reports that wait."""
        self._unwritten: dict[int, CallReport] = {}
        """Reports that the disk did not take."""
        self._done: list[int] = []
        """Numbers of reports that are done, to be written with the next line."""
        self._waiting_bytes = 0
        self._is_torn = False
        """Whether the present file ends within a line."""
        self._outage = outage_of(unwritten, receiver)

    def open(self) -> Spooled:
        """Read what an earlier run has left; may be called in a thread, before any other method."""
        reports: dict[int, CallReport] = {}
        done: set[int] = set()
        unreadable = last = 0
        try:
            if not self._directory.parent.exists():  # parents=True makes it for all to read
                self._directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in sorted(self._directory.glob("reports-*.log"), key=_numbered):
                self._last_file = _numbered(path)
                try:
                    content = path.read_bytes()
                except OSError as error:
                    self._failed(error)  # it stays as it is: another start may read it
                    continue
                file = _File(path, len(content))
                self._files.append(file)
                lines = _read(content)
                _note_unreadable(path, lines.unreadable)
                reports |= lines.reports
                self._file_of |= dict.fromkeys(lines.reports, file)
                done |= lines.done
                last = max(last, *lines.reports, *lines.done, 0)
                unreadable += len(lines.unreadable)
        except OSError as error:
            self._failed(error)
        for number in done & reports.keys():
            del reports[number], self._file_of[number]
        for report in reports.values():
            self._file_of[report.number].left[report.number] = report
            self._waiting_bytes += len(report.body)
        self._begin_file()
        return Spooled(sorted(reports.values()), last, unreadable)

    def add(self, report: CallReport) -> None:
        """Write a report; if the disk does not take it, it waits in memory alone."""
        self._waiting_bytes += len(report.body)
        if not self._write_report(report):
            self._unwritten[report.number] = report

    def done(self, report: CallReport) -> None:
        """Note that a report waits no more; it is written with the next report, or by ``tidy``."""
        self._waiting_bytes -= len(report.body)
        self._unwritten.pop(report.number, None)
        file = self._file_of.pop(report.number, None)
        if file is not None:
            del file.left[report.number]
            self._done.append(report.number)

    def tidy(self) -> None:
        """Write what is done, and remove files without waiting reports; called about once a second."""
        if self._descriptor < 0:
            self._begin_file()
        if self._done:
            self._write(b"")
        if self._files and self._files[-1].size > FILE_BYTES:
            self._begin_file()
        # A file names reports of files before it that are done, so the oldest is removed first.
        while len(self._files) > 1 and not self._files[0].left:
            self._remove_oldest()
        again = list(islice(self._unwritten.values(), MOVED_AT_ONCE))
        if len(self._files) > 1 and sum(each.size for each in self._files) > SPARE_BYTES + 2 * self._waiting_bytes:
            again += islice(self._files[0].left.values(), MOVED_AT_ONCE)
        for report in again:
            if not self._write_report(report):
                break
            self._unwritten.pop(report.number, None)

    def remove_all(self) -> None:
        """Remove the files: nothing is reported any more."""
        self.close()
        while self._files:
            self._remove_oldest()
        self._outage.over(why=GONE)
        for each in (self._file_of, self._unwritten, self._done):
            each.clear()
        self._waiting_bytes = 0

    def close(self) -> None:
        """Write what is done, and close the present file."""
        if self._done:
            self._write(b"")
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write_report(self, report: CallReport) -> bool:
        line = b"R2 %d %d %s %s" % (report.number, report.made_at, report.call_id.encode(), report.body)
        if not self._write(_with_checksum(line)):
            return False
        before = self._file_of.get(report.number)
        if before is not None:
            del before.left[report.number]
        file = self._file_of[report.number] = self._files[-1]
        file.left[report.number] = report
        return True

    def _write(self, line: bytes) -> bool:
        """Write a line, with what is done before it; return False if the disk does not take it."""
        if self._descriptor < 0:
            return False
        data = b"".join((b"\n" if self._is_torn else b"", _done_line(self._done), line))
        try:
            written = system_write(self._descriptor, data)
        except OSError as error:
            self._failed(error)
            return False
        self._files[-1].size += written
        self._is_torn = written < len(data)
        if self._is_torn:
            self._failed(OSError("the disk took a part of a line"))
            return False
        self._done.clear()
        self._outage.over()
        return True

    def _begin_file(self) -> None:
        """Begin a new file; if that fails, the present one is continued."""
        path = self._directory / f"reports-{self._last_file + 1:08d}.log"
        try:
            descriptor = os.open(path, _FLAGS, 0o600)
        except OSError as error:
            self._failed(error)
            return
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._is_torn = descriptor, False
        self._last_file += 1
        self._files.append(_File(path, 0))

    def _remove_oldest(self) -> None:
        file = self._files.pop(0)
        try:
            file.path.unlink(missing_ok=True)
        except OSError as error:
            self._failed(error)

    def _failed(self, error: OSError) -> None:
        self._outage.found(error.strerror or error, means="reports wait in memory, a restart of the switch loses them")


def _numbered(path: Path) -> int:
    digits = path.stem.rpartition("-")[2]
    return int(digits) if digits.isdigit() else 0


def _done_line(numbers: Iterable[int]) -> bytes:
    text = " ".join(map(str, numbers))
    return _with_checksum(f"D2 {text}".encode()) if text else b""


def _with_checksum(line: bytes) -> bytes:
    return b"%s %08x\n" % (line, crc32(line))


def _note_unreadable(path: Path, lines: list[int]) -> None:
    """Name the lines of a file that were left out: it is removed when its other reports are done."""
    if lines:
        some = ", ".join(map(str, lines[:NAMED_AT_MOST])) + ("" if len(lines) <= NAMED_AT_MOST else ", ...")
        means = "a report there is not sent, or one that was sent is sent again"
        _log.warning("report_lines_unreadable", file=str(path), unreadable=len(lines), lines=some, means=means)


def spooled_in(directory: Path) -> list[CallReport]:
    """Return the reports that wait in a directory, the oldest first, and leave all as it is; none where it is missing.

    Raises:
        OSError: a file cannot be read.
    """
    reports: dict[int, CallReport] = {}
    done: set[int] = set()
    for path in sorted(directory.glob("reports-*.log"), key=_numbered):
        lines = _read(path.read_bytes())
        reports |= lines.reports
        done |= lines.done
    return sorted(each for number, each in reports.items() if number not in done)


def _read(content: bytes) -> _Lines:
    found = _Lines({}, set(), [])
    for number, line in enumerate(content.split(b"\n"), start=1):
        report, done = _report_in(line), _done_in(line)
        if report is not None:
            found.reports[report.number] = report
        elif done is not None:
            found.done.update(done)
        elif line:
            found.unreadable.append(number)
    return found


def _checked(line: bytes) -> bytes | None:
    """Return a line without its checksum; None if that is not the one of the line."""
    words, _, checksum = line.rpartition(b" ")
    return words if checksum == b"%08x" % crc32(words) else None


def _done_in(line: bytes) -> list[int] | None:
    """Return the numbers of reports that a line says are done; None if it is of another kind, or damaged."""
    if line.startswith(b"D2 "):
        words = _checked(line)
        return None if words is None else [int(each) for each in words[3:].split()]
    if line.startswith(b"D "):  # of an earlier version
        return [int(each) for each in line[2:].split() if each.isdigit()]
    return None


def _report_in(line: bytes) -> CallReport | None:
    """Return the report of a line; None if it is none, or was cut off or damaged."""
    words = line
    if line.startswith(b"R2 "):
        checked = _checked(line)
        if checked is None:
            return None
        words = checked
    parts = words.split(b" ", 4)
    if len(parts) != 5 or parts[0] not in {b"R", b"R2"} or not (parts[1].isdigit() and parts[2].isdigit()):
        return None
    number, made_at, call_id, body = parts[1:]
    if int(made_at) > LATEST_KEPT_MS:
        return None
    try:
        msgspec.json.decode(body)
    except UNDECODABLE:
        return None
    return CallReport(int(number), call_id.decode("ascii", "replace"), int(made_at), body)
