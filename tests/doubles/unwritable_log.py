"""A daemon whose standard error, and with it the log, is another file than that of its directory, or is closed."""

import os
import sys

from vosd.obs import log_output


def log_to(place: str, *, also_output: bool = False, waiting_bytes: int | None = None) -> None:
    """Let the log of this process, which is to become a daemon, go to a file or named pipe.

    Memory has room for ``waiting_bytes`` of lines that cannot be written; None = as many as otherwise. The alarm
    begins and ends soon.
    """
    log_output.UNREAD_S = log_output.CALM_S = 0.5  # type: ignore[misc]
    opened = os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(opened, 2)
    if also_output:
        os.dup2(opened, 1)
    os.close(opened)
    if waiting_bytes is not None:
        log_output.WAITING_BYTES_MAX = waiting_bytes  # type: ignore[misc]


def no_streams() -> None:
    """Close the standard streams of this process, as ``<&- >&- 2>&-`` of a shell does."""
    for number in (0, 1, 2):
        os.close(number)
    sys.stdin = sys.stdout = sys.stderr = None
