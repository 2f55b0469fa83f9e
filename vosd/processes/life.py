"""End a process beside the switch with the switch, or before it, and let it give way to calls.

That process calls this first.
"""

import ctypes
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final

NICENESS: Final = 10
"""Niceness of programs that compute beside the calls of a switch on this machine."""
_PR_SET_PDEATHSIG: Final = 1
_OOM_SCORE: Final = "900"


def give_way(niceness: int = NICENESS) -> None:
    """Lower the priority of this process, and of those that it starts, unless it is that low already.

    It stays as it is where the system calls of a unit do not include it.
    """
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, max(niceness, os.getpriority(os.PRIO_PROCESS, 0)))


def live_as_long_as_the_switch() -> None:
    """Leave the signals of a terminal or a service to the switch, and be killed by the kernel if the switch is."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def end_before_the_switch() -> None:
    """Have the kernel kill this process, and those that it starts, before the switch when memory is short."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")
