"""The right to change the network (CAP_NET_ADMIN), which workers of the relay need and no other process.

A service gives its rights to all processes that it executes (the ambient set). The switch withholds this one, and lends
it to those that forward media, and to its successor.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_PR_CAP_AMBIENT: Final = 47
_RAISE, _LOWER = 2, 3
_CAP_NET_ADMIN: Final = 12


def withhold_network_rights() -> None:
    """Give programs that this process executes no right to change the network.

    Programs of root have all rights without being given them.
    """
    _ambient(_LOWER)


@contextmanager
def network_rights_for_children() -> Iterator[None]:
    """Give programs that are executed meanwhile the right to change the network, if this process may."""
    _ambient(_RAISE)
    try:
        yield
    finally:
        _ambient(_LOWER)


def _ambient(change: int) -> None:
    """Change the ambient set; a right that this process does not have cannot be given."""
    ctypes.CDLL(None).prctl(_PR_CAP_AMBIENT, change, _CAP_NET_ADMIN, 0, 0)
