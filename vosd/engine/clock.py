"""The only module that reads the clocks of the machine."""

import time

from vosd.base.clock import Instant


class SystemClock:
    """Monotonic and wall time of this machine, in whole milliseconds."""

    def now(self) -> Instant:
        """Return the current instant."""
        return Instant(time.monotonic_ns() // 1_000_000, time.time_ns() // 1_000_000)


def monotonic_ms() -> int:
    """Return the monotonic milliseconds of this machine."""
    return time.monotonic_ns() // 1_000_000


def machine_ms() -> int:
    """Return the milliseconds since the machine was started, those included for which it was suspended."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
