"""Capture files of calls, written beside the packets: a thread waits for the disk in place of the worker."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from time import time_ns
from typing import Final

from vosd.media.latch import Address
from vosd.media.pcap import HEADER, record, whole_bytes

CHUNK_BYTES: Final = 65_536
"""Bytes that are written at once."""
WAITING_BYTES: Final = 8_388_608
"""Bytes that wait for the disk; above it recordings stop."""
FINISH_S: Final = 3.0
"""Longest wait for the disk at the end of a worker."""
DISK_FREE_PERCENT: Final = 5
"""Recordings stop where less of the disk is free: the journal of calls needs it."""
_FULL: Final = "the disk is nearly full"
_SLOW: Final = "the disk is too slow"
_NO_THREAD: Final = "no thread can be started: TasksMax of the service, or RLIMIT_NPROC of its user"
_NOT_OPEN: Final = -1
_NO_DISK: Final = -1


class Recording:
    """One file: packets of both legs of a call. It is opened, and its beginning written, by the thread."""

    __slots__ = (
        "_buffer", "_writer", "descriptor", "disk", "error", "has_begun", "is_closed", "is_over", "path", "ports",
    )  # fmt: skip

    def __init__(self, path: Path, writer: "RecordingWriter") -> None:
        self.path = path
        self.descriptor = _NOT_OPEN
        self.disk = _NO_DISK
        """Number of the device that its directory is on."""
        self.has_begun = False
        self.is_over = False
        """Whether it stopped: there is no file, the disk is full, or too slow."""
        self.is_closed = False
        """Whether all is written, and the file closed."""
        self.error = ""
        self.ports = 0
        """Ports that are recorded."""
        self._buffer = bytearray()
        self._writer = writer
        writer.write(self, b"")

    def add(self, data: bytes, source: Address, destination: Address) -> None:
        """Add a packet."""
        if not self.is_over:
            self._buffer += record(data, source[:2], destination[:2], time_ns())
            if len(self._buffer) >= CHUNK_BYTES:
                self.flush()

    def flush(self) -> None:
        """Let what was added be written."""
        if self._buffer:
            self._writer.write(self, bytes(self._buffer))
            self._buffer.clear()

    def stop(self, error: str) -> None:
        """Record nothing more."""
        self.error = self.error or error
        self.is_over = True

    def close(self) -> None:
        """Write the rest, and close the file."""
        self.flush()
        self._writer.close(self)


class RecordingWriter:
    """Writes for all recordings of a worker."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[Recording, bytes | None] | None] = SimpleQueue()
        self._waiting = 0
        """Bytes that were handed to the thread; ``_written`` of them are done."""
        self._written = 0
        self._thread: Thread | None = None
        """None = there was nothing to write, or the system has refused it."""

    def write(self, recording: Recording, content: bytes) -> None:
        """Write; the recording is over where too much waits, and where there is no thread that could wait."""
        if self._thread is None and not self._is_begun():
            recording.stop(_NO_THREAD)
        if self._waiting - self._written > WAITING_BYTES:
            recording.stop(_SLOW)
        if not recording.is_over:
            self._waiting += len(content)
            self._queue.put((recording, content))

    def close(self, recording: Recording) -> None:
        """Close a file behind what is to be written to it."""
        if self._thread is None:
            recording.is_closed = True
        else:
            self._queue.put((recording, None))

    def finish(self) -> None:
        """Wait until all is written, but not for ever."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(FINISH_S)

    def _is_begun(self) -> bool:
        """Start the thread; return whether the system permits it."""
        thread = Thread(target=self._run, name="recordings", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return False
        self._thread = thread
        return True

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            recording, content = item
            try:
                if content is not None:
                    _write(recording, content)
                elif recording.descriptor != _NOT_OPEN:
                    os.close(recording.descriptor)  # a disk in the network may find only now that it has no room
            except OSError as error:
                recording.stop(str(error))
            recording.is_closed = content is None
            self._written += len(content or b"")


def _write(recording: Recording, content: bytes) -> None:
    """Write to a file that is opened first; one of a worker before is gone on with, one that is lost begins anew."""
    if recording.is_over:
        return
    if recording.descriptor != _NOT_OPEN and _is_lost(recording):
        lost, recording.descriptor, recording.has_begun = recording.descriptor, _NOT_OPEN, False
        with suppress(OSError):  # a disk of the network that is gone takes no last words
            os.close(lost)
    if recording.descriptor == _NOT_OPEN:
        recording.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        recording.disk = _disk_of(recording.path)
        recording.has_begun = _has_content(recording.path)  # also where nothing can be written any more
        recording.descriptor = os.open(recording.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        if recording.has_begun:
            recording.has_begun = _is_made_whole(recording.descriptor)
    if not has_room(recording.descriptor):
        if not recording.has_begun:
            _leave_nothing(recording)
        recording.stop(_FULL)
        return
    file = os.fstat(recording.descriptor)
    size = file.st_size
    if not size and stat.S_ISREG(file.st_mode):  # another program may have emptied it
        recording.has_begun = False
    try:
        _write_whole(recording.descriptor, content if recording.has_begun else HEADER + content)
    except OSError:  # behind a part of a packet nothing could be read that a later recording adds
        if recording.has_begun:
            os.ftruncate(recording.descriptor, size)
        else:
            _leave_nothing(recording)
        raise
    recording.has_begun = True


def _is_lost(recording: Recording) -> bool:
    """Return whether the file of a recording is at its place no more: it was deleted, or its disk replaced.

    One that was moved on its disk is gone on with, and one whose place cannot be looked at.
    """
    try:
        if not os.fstat(recording.descriptor).st_nlink:
            return True
    except OSError:
        return True  # a disk of the network was detached
    try:
        return _disk_of(recording.path) != recording.disk
    except OSError:
        return False


def _disk_of(path: Path) -> int:
    """Return the number of the device that the directory of a file is on; where there is none, that above it."""
    try:
        return path.parent.stat().st_dev
    except FileNotFoundError:
        return _NO_DISK if path.parent == path else _disk_of(path.parent)


def _has_content(path: Path) -> bool:
    try:
        return bool(path.stat().st_size)
    except FileNotFoundError:
        return False


def _is_made_whole(descriptor: int) -> bool:
    """Cut off what a worker that was killed has written of a packet; return whether the file has a beginning."""
    size = os.fstat(descriptor).st_size
    if size < len(HEADER):
        os.ftruncate(descriptor, 0)
        return False
    start = max(len(HEADER), size - CHUNK_BYTES)
    part = os.pread(descriptor, CHUNK_BYTES, start)
    whole = whole_bytes(part, is_beginning=start == len(HEADER))
    if whole is not None and whole < len(part) == size - start:
        os.ftruncate(descriptor, start + whole)
    return True


def _leave_nothing(recording: Recording) -> None:
    """Remove a file that has no packet, which no program reads: else each call would leave one. A device stays."""
    if stat.S_ISREG(os.fstat(recording.descriptor).st_mode):
        recording.path.unlink(missing_ok=True)


def _write_whole(descriptor: int, content: bytes) -> None:
    """Write to a file; where room ends (a quota), a part is written, and only the next try is an error."""
    while content:
        content = content[os.write(descriptor, content) :]


def has_room(descriptor: int) -> bool:
    """Return whether enough of the disk of a file is free."""
    disk = os.fstatvfs(descriptor)
    return disk.f_bavail * 100 >= disk.f_blocks * DISK_FREE_PERCENT
