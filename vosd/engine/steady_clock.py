"""The wall clock, with patience where it was set: what is done by a wrong time cannot be undone."""

from typing import Final

from vosd.base.clock import Clock

STEP_MS: Final = 60_000
"""A wall clock that is set by more than this between two looks is believed only after ``SETTLED_MS``."""
SETTLED_MS: Final = 3_600_000


class SteadyClock:
    """The clock of work that destroys, books, sends or ends something for good, and so must not follow a wrong time.

    A wall clock may be years ahead for some seconds until it is corrected. The monotonic clock is not: what the two
    say of the time between looks shows that the wall clock was set.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        now = clock.now()
        self._believed = self._stepped = now.wall - now.mono
        self._stepped_at = now.mono

    def now(self) -> int | None:
        """Return UTC milliseconds; None = the clock was set, and has not gone on for ``SETTLED_MS`` since."""
        now = self._clock.now()
        offset = now.wall - now.mono
        if abs(offset - self._believed) > STEP_MS:
            if abs(offset - self._stepped) > STEP_MS:
                self._stepped_at = now.mono
            self._stepped = offset
            if now.mono - self._stepped_at < SETTLED_MS:
                return None
        self._believed = self._stepped = offset
        return now.wall
