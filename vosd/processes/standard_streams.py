"""Standard input, output and error of a process, where some of them are closed or take no more."""

import os
import select
import sys
from contextlib import suppress

_STREAMS = (0, 1, 2)


def occupy_closed_streams() -> None:
    """Open something in place of standard streams that are closed, before anything else is opened.

    The next file that is opened would get their number, a database for one, and what a library writes to standard
    error would be written into it. Writes to these fail.
    """
    for number in _STREAMS:
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)  # gets the lowest number that is free, which is this one
            os.set_inheritable(number, True)


def do_without_output() -> None:
    """Have what is printed be lost where standard output is closed, and no file get the number of a closed stream."""
    occupy_closed_streams()
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")  # to the end of the process


def takes_output() -> bool:
    """Return whether standard output takes some lines without waiting for a program that reads them."""
    if sys.stdout is None:
        return False
    output = select.poll()
    try:
        output.register(sys.stdout.fileno(), select.POLLOUT)
    except (OSError, ValueError):  # it is a stream of a test, or closed
        return not sys.stdout.closed
    return bool(output.poll(0))


def flush_streams() -> None:
    """Write what waits for standard output and error; it is lost where they do not take it."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.flush()
