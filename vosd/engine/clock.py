"""The only module that reads the clocks of the machine."""

import time

from vosd.base.clock import Instant


class SystemClock:
    """Monotonic and wall time of this machine, in whole milliseconds."""

    __slots__ = ()

    def now(self) -> Instant:
        """Return the current instant."""
        return Instant(time.monotonic_ns() // 1_000_000, time.time_ns() // 1_000_000)
