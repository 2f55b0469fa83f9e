"""Memory that a process needs no more, given back to the machine."""

import ctypes
from contextlib import suppress
from functools import cache


def give_back() -> None:
    """Give back what the C library keeps for later: a quarter of the memory after a large configuration was read.

    It takes a tenth of a second for a gigabyte, in which other threads that need memory wait. C libraries other than
    glibc have no such function and keep little.
    """
    with suppress(AttributeError):
        _library().malloc_trim(0)


@cache
def _library() -> ctypes.CDLL:
    """Return the C library: each object for it makes a class, of which a process that reloads would keep many."""
    return ctypes.CDLL(None)
