"""The right to change the network (CAP_NET_ADMIN), which workers of the relay need and no other process.

A service gives its rights to all processes that it executes (the ambient set). The switch withholds this one, and lends
it to those that forward media, and to its successor.
"""

import ctypes
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_PR_CAP_AMBIENT: Final = 47
_RAISE, _LOWER = 2, 3
_CAP_NET_ADMIN: Final = 12
_CAP_SYS_NICE: Final = 23
_CAPABILITIES: Final = re.compile(r"^Cap(Inh|Prm):\s*([0-9a-f]+)$", re.MULTILINE)


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


def media_rights() -> int:
    """Return the rights for media, as bits, that this process has and can give to programs that it executes."""
    found = {kind: int(bits, 16) for kind, bits in _CAPABILITIES.findall(Path("/proc/self/status").read_text())}
    given = found["Prm"] if os.geteuid() == 0 else found["Prm"] & found["Inh"]
    return given & (1 << _CAP_NET_ADMIN | 1 << _CAP_SYS_NICE)


def _ambient(change: int) -> None:
    """Change the ambient set; a right that this process does not have cannot be given."""
    ctypes.CDLL(None).prctl(_PR_CAP_AMBIENT, change, _CAP_NET_ADMIN, 0, 0)
