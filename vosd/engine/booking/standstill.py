"""Notices that the process stood still for so long that another switch may have taken the database (ADR 93).

A process that was stopped (SIGSTOP), or a machine that was suspended, goes on with the money of then. From the first
thing that it does afterwards until the lease was asked for, no message and no deadline is processed. Asks nothing
itself.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from vosd.cdr.lease import LEASE_MS
from vosd.engine.clock import machine_ms
from vosd.obs.events import log as _log

BEAT_S: Final = 0.5
"""Interval of the check while nothing else happens."""
GAP_MS: Final = 2_000
"""Longer without a look, the process stood still."""
STALE_MS: Final = LEASE_MS - 2_000
"""Age of the lease from which another switch may have taken it. Two seconds are for a difference of clocks."""
DOUBT_MS: Final = 5_000
"""Longest time without processing: a database that does not answer by then is away, and its calls go on."""


class Stopping(Protocol):
    """A part of the switch that processes nothing in doubt."""

    stands_still: Callable[[], bool]


def never() -> bool:
    """Return False: the process does not stand still."""
    return False


def _nothing() -> None:
    """Do nothing: no messages wait, and no calls are charged."""


class Standstill:
    """Whether the lease of this process is in doubt."""

    def __init__(self, elapsed_ms: Callable[[], int] = machine_ms, changed: Callable[[], None] = _nothing) -> None:
        """``elapsed_ms`` returns milliseconds that go on while the process is stopped or the machine suspended.

        ``changed`` is called when a doubt begins, and at its end before anything is processed.
        """
        self._elapsed_ms = elapsed_ms
        self._changed = changed
        self._seen_ms = elapsed_ms()
        self._held_ms: int | None = None
        """Time at which the latest successful renewal was sent; None = there is no lease."""
        self._since_ms: int | None = None
        """Time at which the doubt began."""
        self._resume: Callable[[], None] = _nothing
        self.wanted: Final = asyncio.Event()
        """Set when the lease has to be asked for at once."""

    def connect(self, *parts: Stopping, resume: Callable[[], None]) -> None:
        """Have parts ask before they process anything; ``resume`` is called at the end of a doubt."""
        for part in parts:
            part.stands_still = self.check
        self._resume = resume

    def now_ms(self) -> int:
        """Return the present time, for ``held`` and ``refused``."""
        return self._elapsed_ms()

    @property
    def is_in_doubt(self) -> bool:
        """Whether the lease has to be asked for before anything is processed."""
        return self._since_ms is not None

    def check(self) -> bool:
        """Return whether nothing may be processed now."""
        now = self._elapsed_ms()
        gap_ms, self._seen_ms = now - self._seen_ms, now
        if gap_ms > GAP_MS and self._held_ms is not None and now - self._held_ms > STALE_MS:  # also within a doubt
            self._since_ms = now
            self._changed()
            self.wanted.set()
            _log.warning("process_stood_still", for_ms=gap_ms, means="the lease is asked for before calls go on")
            return True
        if self._since_ms is not None:
            if now - self._since_ms < DOUBT_MS:
                return True
            self._end("the database does not answer: it counts as away")
        return False

    def held(self, asked_ms: int) -> None:
        """Note a successful renewal that was begun at ``asked_ms``; one from before the doubt does not end it."""
        self._held_ms = asked_ms
        self.refused(asked_ms)

    def refused(self, asked_ms: int) -> None:
        """Note that another switch has the lease, by a question that was begun at ``asked_ms``."""
        if self._since_ms is not None and asked_ms >= self._since_ms:
            self._end("the lease was asked for")

    async def keep(self) -> None:
        """Look at regular intervals; runs until cancelled."""
        while True:
            await asyncio.sleep(BEAT_S)
            self.check()

    def _end(self, why: str) -> None:
        self._since_ms = None
        self._changed()
        _log.warning("processing_resumed", why=why)
        self._resume()
