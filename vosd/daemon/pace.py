"""Pace of a thread that works beside calls and gives way to them.

A thread that wants the interpreter all the time makes the event loop wait for it at each system call, of which there
are some tens in a call: packets queue up meanwhile. So it rests after each step.
"""

import time
from typing import Final

_WORK_S: Final = 0.001
"""So long it works at least."""
_REST_PART: Final = 2
"""So many times as long it rests."""
_REST_S_MAX: Final = 0.01


class ThreadPace:
    """When the thread has rested last."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    def rest(self) -> None:
        """Rest, if it has worked since it did so last."""
        worked = time.perf_counter() - self._since
        if worked >= _WORK_S:
            time.sleep(min(_REST_PART * worked, _REST_S_MAX))
            self._since = time.perf_counter()
