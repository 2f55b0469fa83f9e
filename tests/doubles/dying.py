"""A forked process that kills itself at one of its steps."""

import os
import signal
from collections.abc import Callable


class Steps:
    """Counts steps, and kills the process at the one with that number; the first is 1."""

    def __init__(self, killed_at: int) -> None:
        self._left = killed_at

    def step(self) -> None:
        """Come to the next step."""
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


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
