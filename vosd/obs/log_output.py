"""Destination of the lines of the log: to write a line never fails, and never waits for a program that does not read.

Lines that the destination does not take stay in memory, in order, and a thread tries to write them; it runs only as
long as that lasts. Lines beyond ``WAITING_BYTES_MAX`` are lost, and counted. The format of lines is not known here.
"""

import os
import select
import socket
import stat
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import RLock, Thread
from typing import Final, NamedTuple, Protocol, TextIO

WAITING_BYTES_MAX: Final = 1 << 20
"""Most bytes that wait in memory: some 2,000 lines."""
RETRY_S: Final = 1.0
"""Pause before lines are tried again after an error."""
UNREAD_S: Final = 5.0
"""Time after which a pipe that is not read is reported; a program that reads may be slow for a moment."""
CALM_S: Final = 10.0
"""Time without trouble after which the log is well again."""
FINISH_S: Final = 1.0
"""Most time that the end of the process waits for a program that reads the log."""
UNREAD: Final = "the program that reads the log does not read"
SOCKET_BYTES: Final = 1 << 15
"""Most bytes of a write to a socket: the kernel takes as many as a whole, or none."""

_STANDARD_ERROR: Final = 2


class LogReports(Protocol):
    """Receiver of what happens to the log; it may write lines."""

    def not_written(self, error: str) -> None:
        """Report that lines cannot be written."""

    def lines_lost(self, count: int) -> None:
        """Report, at their place in the log, how many lines are missing."""

    def written(self) -> None:
        """Report that lines can be written again."""


class LogOutput:
    """The open file, pipe, socket or terminal of the log."""

    def __init__(self, stream: TextIO | None, reports: LogReports) -> None:
        """``stream`` is standard error or one of a test; None = standard error is closed."""
        self.stream: Final = stream
        self.lost: int = 0
        """Lines that were lost, since the start."""
        self._reports: Final = reports
        self._lock: Final = RLock()  # lines may be logged by a finaliser, while this thread writes one
        self._destination: Final = _opened(stream)
        if self._destination is not None:
            weakref.finalize(self, self._destination.close).atexit = False
        self._waiting: Final = deque[bytes]()
        self._waiting_bytes = 0
        self._missing = 0
        """Lines that were lost behind those that wait."""
        self._error: str | None = None
        """Why the latest attempt has failed; None = the destination has no room now."""
        self._is_reported = False
        self._troubled_at = self._unread_since = 0.0
        self._thread: Thread | None = None

    def write(self, lines: bytes) -> None:
        """Write lines, each with its line feed, or keep them until they can be written."""
        with self._lock:
            if not self._waiting and not self._missing:
                rest = self._put(lines)
                if not rest:
                    return
                self._unread_since = time.monotonic()
                if len(rest) < len(lines):
                    end = rest.index(b"\n") + 1  # a line that was begun is never lost
                    self._wait_with(rest[:end])
                    rest = rest[end:]
                lines = rest
            self._keep(lines)
            if self._error is not None:
                self._report()
            if self._thread is None:
                self._begin_trying()

    def finish(self) -> None:
        """Write lines that wait, as far as that is possible now: the process ends."""
        until = time.monotonic() + FINISH_S
        with self._lock:
            self._try_again()
            while self._waiting and self._error is None and (left_s := until - time.monotonic()) > 0:
                self._has_room(left_s)
                self._try_again()

    def _put(self, lines: bytes) -> bytes:
        """Write as much as is taken now, and return the rest."""
        self._error = None
        try:
            if self._destination is None:
                assert self.stream is not None
                self.stream.write(lines.decode(errors="backslashreplace"))
                self.stream.flush()
                return b""
            # A disk that gets full takes a part, and says at the next attempt that it is full.
            _, write, _, at_once, asks_first = self._destination
            while lines and (not asks_first or self._has_room(0)):
                lines = lines[write(_beginning(lines, at_once)) :]
        except BlockingIOError:
            pass
        except OSError as error:
            self._error = error.strerror or str(error)
        except ValueError as error:  # the stream is closed
            self._error = str(error)
        return lines

    def _has_room(self, within_s: float) -> bool:
        """Return whether the destination takes lines, or has an error to report, as soon as that is so."""
        room = select.poll()  # one for each wait: two threads cannot wait by the same one
        if self._destination is not None:
            room.register(self._destination.descriptor, select.POLLOUT)
        return bool(room.poll(1_000 * within_s))

    def _keep(self, lines: bytes) -> None:
        """Let lines wait, as many as there is room for; behind those that are missing none does."""
        room = 0 if self._missing else max(WAITING_BYTES_MAX - self._waiting_bytes, 0)
        end = len(lines) if len(lines) <= room else lines.rfind(b"\n", 0, room) + 1
        self._wait_with(lines[:end])
        count = lines.count(b"\n", end)
        if count:
            self._missing += count
            self.lost += count
            self._report()

    def _wait_with(self, lines: bytes) -> None:
        if lines:
            self._waiting.append(lines)
            self._waiting_bytes += len(lines)

    def _report(self) -> None:
        self._troubled_at = time.monotonic()
        if not self._is_reported:
            self._is_reported = True
            self._reports.not_written(self._error or UNREAD)

    def _begin_trying(self) -> None:
        self._thread = Thread(target=self._keep_trying, name="log", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no thread can be started now: the next line tries it again
            self._thread = None
            self._try_again()

    def _keep_trying(self) -> None:
        while True:
            if self._waiting and self._error is None:
                self._has_room(RETRY_S)
            else:
                time.sleep(RETRY_S)
            with self._lock:
                self._try_again()
                if not self._waiting and not self._missing and not self._is_reported:
                    self._thread = None
                    return

    def _try_again(self) -> None:
        """Write lines that wait; report how many are missing behind them, and that the log is well again."""
        while self._waiting:
            lines = self._waiting.popleft()
            rest = self._put(lines)
            self._waiting_bytes -= len(lines) - len(rest)
            if len(rest) < len(lines):
                self._unread_since = time.monotonic()
            if rest:
                self._waiting.appendleft(rest)
                if self._error is not None or time.monotonic() - self._unread_since >= UNREAD_S:
                    self._report()
                return
        if self._missing:
            count, self._missing = self._missing, 0
            self._reports.lines_lost(count)
        if self._is_reported and not self._waiting and time.monotonic() - self._troubled_at >= CALM_S:
            self._is_reported = False
            self._reports.written()


class _Destination(NamedTuple):
    """Descriptor of our own of the destination, and how it is written."""

    descriptor: int
    write: Callable[[bytes], int]
    close: Callable[[], None]
    at_once: int | None = None
    """Most bytes of a write; None = any number."""
    asks_first: bool = False
    """Whether a write may wait, unless there is room."""


def _beginning(lines: bytes, at_once: int | None) -> bytes:
    """Return the lines of the next write: whole ones, because other processes may write between two writes."""
    if at_once is None or len(lines) <= at_once:
        return lines
    end = lines.rfind(b"\n", 0, at_once) + 1
    return lines[: end or at_once]


def _opened(stream: TextIO | None) -> _Destination | None:
    """Return the destination of a stream; None = it has no descriptor.

    A pipe or terminal is opened once more where that is permitted: a write to it need not wait then, also where another
    process fills it at the same moment. All who share a descriptor share whether its writes wait.
    """
    descriptor = _STANDARD_ERROR
    if stream is not None:
        try:
            descriptor = stream.fileno()
        except (OSError, ValueError):
            return None
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return _file(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))  # it is closed, and each write fails
    if stat.S_ISSOCK(mode):
        end = socket.socket(fileno=os.dup(descriptor))
        return _Destination(end.fileno(), partial(_send, end), end.close, SOCKET_BYTES)
    if stat.S_ISFIFO(mode) or os.isatty(descriptor):
        with suppress(OSError):
            again = f"/proc/self/fd/{descriptor}"
            return _file(os.open(again, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC))
    ours = _file(os.dup(descriptor))
    return ours if stat.S_ISREG(mode) else ours._replace(at_once=select.PIPE_BUF, asks_first=True)


def _file(descriptor: int) -> _Destination:
    return _Destination(descriptor, partial(os.write, descriptor), partial(os.close, descriptor))


def _send(end: socket.socket, lines: bytes) -> int:
    return end.send(lines, socket.MSG_DONTWAIT)
