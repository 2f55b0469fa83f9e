"""Programs of ours that read and write pipes, forked from the test, which has imported everything.

To execute one takes a fifth to half a second. A forked one is a process of its own all the same, and may be killed.
"""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Self

from vosd.processes import entry


class ForkedProgram:
    """The part of ``subprocess.Popen`` that is used of such a program."""

    def __init__(self, command: Sequence[str], *, stdin: int, **_options: object) -> None:
        """``command`` is what would be executed: the module behind the entry, with its arguments."""
        tasks, tasks_in = os.pipe()
        reports_out, reports = os.pipe()
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            _become(command, tasks, reports, (tasks_in, reports_out))
        os.close(tasks)
        os.close(reports)
        self.stdin: BinaryIO = os.fdopen(tasks_in, "wb")
        if stdin != subprocess.PIPE:
            self.stdin.close()
        self.stdout: BinaryIO = os.fdopen(reports_out, "rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stdin.close()
        self.stdout.close()
        self.wait()

    def kill(self) -> None:
        """Send SIGKILL, unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Wait for its end and return its exit code."""
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


class Subprocesses:
    """The part of the module ``subprocess`` that starts such programs."""

    Popen = ForkedProgram
    PIPE = subprocess.PIPE
    DEVNULL = subprocess.DEVNULL


def _limited_beyond_the_tests(kind: int, limits: tuple[int, int], _set: Any = resource.setrlimit) -> None:
    """Set a limit of a forked program, whose addresses are those of all tests before it as well."""
    if kind == resource.RLIMIT_AS:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limits = tuple(limit + pages * resource.getpagesize() for limit in limits)  # type: ignore[assignment]
    _set(kind, limits)


def _become(command: Sequence[str], tasks: int, reports: int, others: Sequence[int]) -> None:
    """Become the process; never returns."""
    code = 1
    try:
        for descriptor in others:
            os.close(descriptor)
        os.dup2(tasks, 0)
        os.dup2(reports, 1)
        sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115 - until the end
        sys.argv = [*command[list(command).index(entry.__name__) + 1 :]]
        resource.setrlimit = _limited_beyond_the_tests
        import_module(sys.argv[0]).main()
        code = 0
    finally:
        os._exit(code)
