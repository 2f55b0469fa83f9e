"""A program beside the switch: its start, which the size of this process does not slow down, and the notice of its end.

Event loops start programs by ``fork``, which copies the page tables of this process: for 1 GB up to a third of a second
in which no packet is processed. ``subprocess`` uses ``vfork``, as long as it is given no function to call in between.
"""

import asyncio
import os
import subprocess
from collections.abc import Mapping, Sequence

from vosd.processes.forked import ForkedProcess


class WatchedProcess:
    """A process that this one has started, watched by the running event loop."""

    def __init__(self, process: subprocess.Popen[bytes] | ForkedProcess) -> None:
        """Watch it.

        Raises:
            OSError: it cannot be watched, and was ended.
        """
        self._process = process
        self._has_ended = asyncio.Event()
        try:
            self._watched = os.pidfd_open(self._process.pid)
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._watched, self._note_end)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, or the number of the signal that has ended it, negated; None = it runs."""
        return self._process.returncode

    def kill(self) -> None:
        """Send SIGKILL, unless it has ended."""
        self._process.kill()

    async def wait(self) -> int:
        """Wait for its end and return ``returncode``."""
        await self._has_ended.wait()
        assert self._process.returncode is not None
        return self._process.returncode

    def _note_end(self) -> None:
        if self._process.poll() is None:
            return
        self._loop.remove_reader(self._watched)
        os.close(self._watched)
        self._has_ended.set()


def start_program(
    command: Sequence[str], *, inherited: Sequence[int], environment: Mapping[str, str]
) -> WatchedProcess:
    """Start a program, with open descriptors and without standard input and output.

    The calling thread is the one with whose end the kernel ends a program that asks for that (PR_SET_PDEATHSIG).

    Raises:
        OSError: it cannot be started, or not be watched.
    """
    return WatchedProcess(
        subprocess.Popen(  # noqa: S603 - a program of the caller
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=inherited, env=environment
        )
    )
