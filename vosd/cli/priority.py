"""Priority of commands that compute beside the calls of a switch on this machine."""

import os
from typing import Final

NICENESS: Final = 10
"""As of what compiles rates beside calls."""


def give_way() -> None:
    """Lower the priority of this process, and of those that it starts: calls of a switch on this machine come first."""
    os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
