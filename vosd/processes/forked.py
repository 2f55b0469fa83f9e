"""A copy of this process beside it: what this one has read, the other one need not read again.

Memory is shared until one of both changes it. A copy is made before event loops and threads run: it would have neither
the threads nor the locks that they hold.
"""

import ctypes
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

_STANDARD_ERROR: Final = 2
_ARG_START: Final = 45
"""Field 48 of proc_pid_stat(5), counted from the one behind the name."""


class ForkedProcess:
    """The copy, which ``WatchedProcess`` watches, and this end of the channel to it."""

    def __init__(self, name: str, run: Callable[[socket.socket], None]) -> None:
        """Fork; the copy calls ``run`` with its end of the channel and ends with it.

        Its other descriptors, standard error apart, lead nowhere, and it is listed by a name as its command.

        Raises:
            OSError: there is no room for it.
        """
        assert can_fork(), "the copy would wait for locks of threads that it does not have"
        self.channel, theirs = socket.socketpair()
        self.channel.setblocking(False)
        self.returncode: int | None = None
        try:
            self.pid = os.fork()
        except OSError:
            self.channel.close()
            theirs.close()
            raise
        if not self.pid:
            _run(name, run, theirs)
        theirs.close()

    def poll(self) -> int | None:
        """Return ``returncode``, for which the kernel is asked; 0 where it does not know, as in ``subprocess``."""
        return self._waited(os.WNOHANG)

    def wait(self) -> int:
        """Wait for the end."""
        code = self._waited(0)
        assert code is not None
        return code

    def kill(self) -> None:
        """Send SIGKILL, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has ended since, and the kernel keeps no status
                os.kill(self.pid, signal.SIGKILL)

    def _waited(self, options: int) -> int | None:
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, options)
            except ChildProcessError:  # SIGCHLD is ignored, as some supervisors hand it on: the kernel keeps no status
                self.returncode = 0
                return 0
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def can_fork() -> bool:
    """Return whether no other thread runs."""
    return threading.active_count() == 1


def _run(name: str, run: Callable[[socket.socket], None], channel: socket.socket) -> NoReturn:
    """Do the work of the copy; what this process does at its end, and flushes then, is left to the other one."""
    code = 1
    try:
        _keep_only(channel)
        _name(name)
        run(channel)
        code = 0
    finally:
        if code:
            sys.excepthook(*sys.exc_info())
            sys.stderr.flush()
        os._exit(code)


def _keep_only(channel: socket.socket) -> None:
    """Replace all other descriptors but standard error by the null device: sockets that the copy kept would stay open.

    No number becomes free. Objects of the process own many, and write to them or close them some time: by then the
    number would be that of another file, a database for one.
    """
    numbers = {*(int(each.name) for each in Path("/proc/self/fd").iterdir()), *range(_STANDARD_ERROR)}
    nothing = os.open(os.devnull, os.O_RDWR)  # gets the number of that listing, which is free again, or a lower one
    for number in numbers - {_STANDARD_ERROR, channel.fileno(), nothing}:
        os.dup2(nothing, number, inheritable=number < _STANDARD_ERROR)
    if nothing > _STANDARD_ERROR:
        os.close(nothing)


def _name(name: str) -> None:
    """Write a name over the words of the command: an operator must not take the copy for this process (proc(5))."""
    fields = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    begin, end = int(fields[_ARG_START]), int(fields[_ARG_START + 1])
    size = end - begin
    if size > 0:
        ctypes.memmove(begin, name.encode()[: size - 1].ljust(size, b"\0"), size)
