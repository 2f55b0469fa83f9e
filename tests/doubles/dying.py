"""A forked process that kills itself at one of its steps."""

import os
import signal
from collections.abc import Callable
from pathlib import Path


class Steps:
    """Counts steps, and kills the process at the one with that number; the first is 1."""

    def __init__(self, killed_at: int) -> None:
        self._left = killed_at

    def step(self) -> None:
        """Come to the next step."""
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Traces:
    """Notes which steps of a process leave another SQLite database than the one before: kills at the others are alike.

    A killed process leaves what it has written to the database and to the files that belong to it, and nothing else:
    the index of a write-ahead log (``-shm``) is made anew when the database is opened next.
    """

    def __init__(self, database: Path) -> None:
        self._files = [database, *(database.with_name(f"{database.name}-{end}") for end in ("wal", "journal"))]
        self._before = self._left()
        self._number = 0
        self.numbers: list[int] = []
        """Numbers of the steps that leave something else; the first step of all is 1."""

    def step(self) -> None:
        """Come to the next step."""
        self._number += 1
        left = self._left()
        if left != self._before or self._number == 1:
            self._before = left
            self.numbers.append(self._number)

    def _left(self) -> list[bytes]:
        return [file.read_bytes() if file.exists() else b"" for file in self._files]


def is_killed(run: Callable[[], int]) -> bool:
    """Run in a forked process, which ends with the exit code that is returned; say whether it was killed.

    Raises:
        AssertionError: it has ended with another exit code than 0.
    """
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
        return os.WIFSIGNALED(status)
    try:
        os._exit(run())
    finally:
        os._exit(70)
