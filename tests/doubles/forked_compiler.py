"""A compiler of rates that is forked from the test, which has imported everything: to execute one takes half a second.

It is a process of its own all the same, which reads tasks, writes reports, and may be killed.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import BinaryIO

from vosd.config.assembly import rate_compiler


class ForkedCompiler:
    """The part of ``subprocess.Popen`` that is used of a compiler."""

    def __init__(self, command: Sequence[str], **_options: object) -> None:
        """``command`` is what would be executed; its last word is the argument of ``main``."""
        tasks, tasks_in = os.pipe()
        reports_out, reports = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _compile(command[-1], tasks, reports, (tasks_in, reports_out))
        os.close(tasks)
        os.close(reports)
        self.stdin: BinaryIO = os.fdopen(tasks_in, "wb")
        self.stdout: BinaryIO = os.fdopen(reports_out, "rb")

    def kill(self) -> None:
        """Send SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Wait for its end and return its exit code."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class Subprocesses:
    """What a compiler is started by, in place of the module ``subprocess``."""

    Popen = ForkedCompiler
    PIPE = subprocess.PIPE


def _compile(argument: str, tasks: int, reports: int, others: Sequence[int]) -> None:
    """Become the process; never returns."""
    code = 1
    try:
        for descriptor in others:
            os.close(descriptor)
        os.dup2(tasks, 0)
        os.dup2(reports, 1)
        sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115 - until the end
        sys.argv = [rate_compiler.__name__, argument]
        rate_compiler.main()
        code = 0
    finally:
        os._exit(code)
