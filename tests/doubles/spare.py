"""Processes that wait, with everything imported, to become those that a switch or an API starts for itself.

They are forked before its first thread, or by a process that was, and are its children as executed ones are. Each has
its own memory, descriptors and signals, ends with its parent and may be killed.
"""

import asyncio
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Final

from vosd.processes import child
from vosd.processes.child import Child

SPARE: Final = "spare"
"""Name of a process, in ``/proc/PID/comm``, until it becomes a module, whose name it has then."""
_DESCRIPTORS: Final = 4
_COMM: Final = Path("/proc/self/comm")
_PR_SET_CHILD_SUBREAPER: Final = 36
_ANSWER_BYTES: Final = 16


class Spare:
    """The part of ``WatchedProcess`` that the switch uses, for a process that is there already."""

    def __init__(self, orders: socket.socket, pid: int) -> None:
        """``orders`` leads to it."""
        self._orders = orders
        self.pid = pid
        self.returncode: int | None = None

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


def wait_for(module: str, user: str) -> None:
    """Fork the process that ``user``, a module that imports ``started``, is given when it first starts ``module``.

    Whatever it starts after that is executed.
    """
    spares = [_forked(_obey)]

    async def next_one() -> Spare | None:
        return Spare(*spares.pop()) if spares else None

    _give(module, user, next_one)


def fork_for(users: Mapping[str, str], closed: Sequence[socket.socket] = ()) -> None:
    """Fork every process that is started for a module, by the module that imports ``started`` for it.

    ``closed``: what this process alone shall have open.
    """
    take_orphans()
    asks, _ = _forked(_fork_for_parent, closed)

    async def next_one() -> Spare:
        orders, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(asks, [b"one"], [theirs.fileno()])
        orders.setblocking(False)
        pid = int(await asyncio.get_running_loop().sock_recv(orders, _ANSWER_BYTES))
        orders.setblocking(True)
        return Spare(orders, pid)

    for module, user in users.items():
        _give(module, user, next_one)


def _give(module: str, user: str, next_one: Callable[[], Awaitable[Spare | None]]) -> None:
    async def started(wanted: str, *descriptors: int) -> Child:
        process = await next_one() if wanted == module else None
        if process is None:
            return await child.started(wanted, *descriptors)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            process.begin(wanted, (theirs.fileno(), *descriptors))
        reader, writer = await asyncio.open_connection(sock=ours)
        return Child(process, reader, writer)  # type: ignore[arg-type]  # it has what is used of one

    setattr(import_module(user), "started", started)  # noqa: B010 - the name is the module's own import


def take_orphans() -> None:
    """Have this process be the parent of those whose own parent has ended, among all that descend from it."""
    assert ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1) == 0


def _forked(become: Callable[[socket.socket], None], closed: Sequence[socket.socket] = ()) -> tuple[socket.socket, int]:
    """Fork a process that waits at a channel; return our end of the channel, and its process id."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        for each in (ours, *closed):
            each.close()
        become(theirs)
    theirs.close()
    return ours, pid


def _fork_for_parent(asks: socket.socket) -> None:
    """Fork processes as long as the parent asks for them; they are children of the parent, which takes orphans."""
    _COMM.write_text(SPARE)
    while True:
        _, descriptors, _, _ = socket.recv_fds(asks, _ANSWER_BYTES, 1)
        if not descriptors:  # the parent has ended
            os._exit(0)
        with socket.socket(fileno=descriptors[0]) as orders:
            reading, writing = os.pipe()
            between = os.fork()
            if between == 0:
                asks.close()
                pid = os.fork()
                if pid == 0:
                    os.close(reading)
                    os.close(writing)
                    _obey(orders)
                os.write(writing, b"%d" % pid)
                os._exit(0)
            os.waitpid(between, 0)
            orders.sendall(os.read(reading, _ANSWER_BYTES))
            os.close(reading)
            os.close(writing)


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
