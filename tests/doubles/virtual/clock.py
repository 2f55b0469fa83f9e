"""A clock that moves only by order (``base.clock.Clock`` for tests)."""

from vosd.base.clock import Instant


class ManualClock:
    """Both clocks of one machine, moved by hand; together, unless the wall clock is set."""

    def __init__(self, mono: int = 1_000_000, wall: int = 1_790_000_000_000) -> None:
        self._now = Instant(mono, wall)

    def now(self) -> Instant:
        """Return the present instant."""
        return self._now

    def move_to(self, mono: int) -> None:
        """Move to ``mono`` milliseconds; an earlier time is ignored."""
        if mono > self._now.mono:
            self._now = self._now.plus(mono - self._now.mono)

    def set_wall(self, by_ms: int) -> None:
        """Set the wall clock forward, or back where negative; the monotonic one stays."""
        self._now = Instant(self._now.mono, self._now.wall + by_ms)
