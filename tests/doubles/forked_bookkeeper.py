"""The bookkeeper as a process forked from one that has imported it already: the imports take most of its start.

It has its own memory, descriptors and signals, ends with its channel, and may be killed.
"""

import asyncio
import socket
import sys
from importlib import import_module
from multiprocessing.context import ForkServerProcess

from doubles.forked import forked
from vosd.processes.child import Child


class Forked:
    """The part of ``WatchedProcess`` that books use."""

    def __init__(self, process: ForkServerProcess) -> None:
        assert process.pid is not None
        self._process = process
        self.pid: int = process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, None while it runs."""
        return self._process.exitcode

    def kill(self) -> None:
        """Send SIGKILL."""
        self._process.kill()

    async def wait(self) -> int:
        """Wait for its end and return its exit code."""
        await asyncio.to_thread(self._process.join)
        assert self._process.exitcode is not None
        return self._process.exitcode


async def started(module: str) -> Child:
    """Start ``main`` of a module with the channel, as ``vosd.processes.child.started`` does."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with theirs:
        process = forked(_run, module, theirs)
    reader, writer = await asyncio.open_connection(sock=ours)
    return Child(Forked(process), reader, writer)  # type: ignore[arg-type]  # it has what is used of one


def _run(module: str, channel: socket.socket) -> None:
    sys.argv = [module, str(channel.detach())]
    import_module(module).main()
