"""A clock for the daemon that stands still until a test moves it, so that calls of minutes take milliseconds.

The daemon has one class that reads the clocks of the machine; ``follow`` replaces it, in a forked daemon only, by one
that reads two numbers from a file. When a datagram was received is told by the socket, on the machine's clock, and not
asked here. Nothing of the daemon knows of that. What it does at intervals of its own (booking, looking for deadlines)
goes on in real time; what it measures is the time of the test, to the millisecond.
"""

import mmap
from pathlib import Path
from struct import Struct
from typing import Final

from vosd.base.clock import Instant
from vosd.engine.clock import SystemClock
from vosd.engine.loop import Loop

_NAME: Final = "clock"
_TIMES: Final = Struct("=qq")
_BOOTED_MS: Final = 1_000_000_000_000
"""What the monotonic clock shows at first, ahead of any machine's own: what mixes the two fails on all machines."""
_AT_ONCE_S: Final = 1e12
"""A time of reception that is never before the moved clock's: no message has waited."""


class MovedClock:
    """The clock of a daemon whose directory this is."""

    def __init__(self, directory: Path, wall_ms: int) -> None:
        """Let the clock stand at ``wall_ms``, UTC, before the daemon starts."""
        self._began_ms = wall_ms
        path = directory / _NAME
        path.write_bytes(bytes(_TIMES.size))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _TIMES.size)
        self.stand_at(0)

    def set_back(self, ms: int) -> None:
        """Set the clock of the machine back, from the next ``stand_at`` on; no less time has passed."""
        self._began_ms -= ms

    def stand_at(self, elapsed_ms: int) -> None:
        """Let so much time have passed since the beginning, on both clocks."""
        self._memory[:] = _TIMES.pack(_BOOTED_MS + elapsed_ms, self._began_ms + elapsed_ms)


def follow() -> None:
    """Let this process, which is to become a daemon, have the clock of its working directory."""
    with Path(_NAME).open("rb") as file:
        memory = mmap.mmap(file.fileno(), _TIMES.size, access=mmap.ACCESS_READ)

    def now(_clock: SystemClock) -> Instant:
        return Instant(*_TIMES.unpack(memory[:]))

    received = Loop.datagram_received

    def at_once(loop: Loop, flow: int, data: bytes, host: str, port: int, _came: float) -> None:
        received(loop, flow, data, host, port, _AT_ONCE_S)

    SystemClock.now = now  # type: ignore[method-assign, assignment]
    Loop.datagram_received = at_once  # type: ignore[method-assign, assignment]
