"""What is due at which time, in one thread."""

import heapq
import time
from collections.abc import Callable
from itertools import count
from typing import Final

_FIRST_REPETITION_S: Final = 0.2
_LAST_REPETITION_S: Final = 1.0
_LONGEST_WAIT_S: Final = 0.05


class Schedule:
    """Functions with the time at which they are called."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def after(self, delay_s: float, act: Callable[[], None]) -> None:
        """Call ``act`` once, later."""
        heapq.heappush(self._due, (time.monotonic() + delay_s, next(self._order), act))

    def repeat(
        self, say: Callable[[], None], is_done: Callable[[], bool], every_s: float = _FIRST_REPETITION_S
    ) -> None:
        """Call ``say`` now and at growing intervals, until it is done."""
        if not is_done():
            say()
            self.after(every_s, lambda: self.repeat(say, is_done, min(2 * every_s, _LAST_REPETITION_S)))

    def wait_s(self) -> float:
        """Return for how long nothing is due."""
        return min(_LONGEST_WAIT_S, max(0.0, self._due[0][0] - time.monotonic())) if self._due else _LONGEST_WAIT_S

    def run_first(self) -> None:
        """Call what has been due for longest, if anything is."""
        if self._due and self._due[0][0] <= time.monotonic():
            heapq.heappop(self._due)[2]()
