"""Time as a value: nothing below the engine reads a clock (DESIGN section 4)."""

from typing import NamedTuple, Protocol


class Instant(NamedTuple):
    """One moment on two clocks, both in whole milliseconds.

    ``mono`` never jumps and is good for durations within a boot; ``wall`` is UTC since the Unix epoch and is
    good for records.
    """

    mono: int
    wall: int
    waited_ms: int = 0
    """For how long what is done now has lain ready: a message that waited for its turn."""

    @property
    def came(self) -> "Instant":
        """When that came: what counts for bills and records (DESIGN D2); what we do ourselves goes by the clock."""
        return self.plus(-self.waited_ms) if self.waited_ms else self

    def plus(self, ms: int) -> "Instant":
        """Return the instant ``ms`` milliseconds later (earlier when negative)."""
        return Instant(self.mono + ms, self.wall + ms)


class Clock(Protocol):
    """Where the shell gets its instants from; tests hand in a manual one."""

    def now(self) -> Instant:
        """Return the present instant."""
        ...
