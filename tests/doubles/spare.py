"""Processes that wait, with everything imported, to become the first ones that a switch or an API starts for itself.

They are forked before its first thread, and are its children as executed ones are. Each has its own memory, descriptors
and signals, ends with its parent and may be killed; whatever is started after them is executed.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Final

from vosd.processes import child
from vosd.processes.child import Child

SPARE: Final = "spare"
"""Name of a process, in ``/proc/PID/comm``, until it becomes a module, whose name it has then."""
_DESCRIPTORS: Final = 4
_COMM: Final = Path("/proc/self/comm")


class Spare:
    """The part of ``WatchedProcess`` that the switch uses, for a process that is there already."""

    def __init__(self, closed: Sequence[socket.socket] = ()) -> None:
        """``closed``: what the parent alone shall have open."""
        self._orders, theirs = socket.socketpair()
        self.pid = os.fork()
        self.returncode: int | None = None
        if self.pid == 0:
            for each in (self._orders, *closed):
                each.close()
            _obey(theirs)
        theirs.close()

    def begin(self, module: str, descriptors: tuple[int, ...]) -> None:
        """Have it call ``main`` of a module."""
        with self._orders as orders:
            socket.send_fds(orders, [module.encode()], descriptors)

    def kill(self) -> None:
        """Send SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)

    async def wait(self) -> int:
        """Wait for its end and return its exit code."""
        loop = asyncio.get_running_loop()
        while self.returncode is None:
            has_ended = asyncio.Event()
            descriptor = os.pidfd_open(self.pid)
            loop.add_reader(descriptor, has_ended.set)
            try:
                await has_ended.wait()
            finally:
                loop.remove_reader(descriptor)
                os.close(descriptor)
            pid, status = os.waitpid(self.pid, os.WNOHANG)  # noqa: ASYNC222 - it does not wait
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def wait_for(module: str, user: str, number: int = 1, closed: Sequence[socket.socket] = ()) -> None:
    """Fork processes that ``user``, a module that imports ``started``, is given when it first starts ``module``."""
    spares = [Spare(closed) for _ in range(number)]

    async def started(wanted: str, *descriptors: int) -> Child:
        if not spares or wanted != module:
            return await child.started(wanted, *descriptors)
        process = spares.pop()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            process.begin(wanted, (theirs.fileno(), *descriptors))
        reader, writer = await asyncio.open_connection(sock=ours)
        return Child(process, reader, writer)  # type: ignore[arg-type]  # it has what is used of one

    setattr(import_module(user), "started", started)  # noqa: B010 - the name is the module's own import


def _obey(orders: socket.socket) -> None:
    """Become what is asked for; end when nothing ever will be."""
    code = 1
    _COMM.write_text(SPARE)
    try:
        module, descriptors, _, _ = socket.recv_fds(orders, 1_024, _DESCRIPTORS)
        orders.close()
        if module:
            _COMM.write_bytes(module.rpartition(b".")[2])  # the kernel keeps fifteen characters
            sys.argv = [module.decode(), *map(str, descriptors)]
            import_module(module.decode()).main()
        code = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
        raise
    finally:
        sys.stderr.flush()
        os._exit(code)
