"""A process beside the switch, forked from one that has imported its module already: that is most of its start.

It has its own memory, descriptors and signals, ends with its channel, and may be killed.
"""

import asyncio
import socket
import sys
from importlib import import_module
from multiprocessing import reduction
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from doubles.forked import forked, provide_server
from vosd.processes.child import Child


class Forked:
    """The part of ``WatchedProcess`` that the switch uses."""

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


class Descriptor:
    """An open descriptor; a forked process that is given one gets the number that it has there."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _number_of, (reduction.DupFd(self._number),)


def _number_of(passed: Any) -> int:
    number: int = passed.detach()
    return number


async def started(module: str, *descriptors: int) -> Child:
    """Start ``main`` of a module with the channel and open descriptors, as ``vosd.processes.child.started`` does."""
    await asyncio.to_thread(provide_server)  # what else waits in this event loop goes on meanwhile
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with theirs:
        process = forked(_run, module, theirs, *map(Descriptor, descriptors))
    reader, writer = await asyncio.open_connection(sock=ours)
    return Child(Forked(process), reader, writer)  # type: ignore[arg-type]  # it has what is used of one


class ForkedChildren:
    """Children that ``started`` of this one has started."""

    def __init__(self) -> None:
        self._begun: list[int] = []

    async def started(self, module: str, *descriptors: int) -> Child:
        """Start one, as the function does."""
        child = await started(module, *descriptors)
        self._begun.append(child.process.pid)
        return child

    def running(self) -> list[int]:
        """Return the process ids of those that run."""
        return [each for each in self._begun if Path(f"/proc/{each}").exists()]


def _run(module: str, channel: socket.socket, *descriptors: int) -> None:
    sys.argv = [module, str(channel.detach()), *map(str, descriptors)]
    import_module(module).main()
