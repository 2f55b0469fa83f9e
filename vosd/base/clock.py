"""Time as a value: pure packages get it as an argument and never read a clock."""

from typing import Annotated, Final, Protocol

import msgspec

LATEST_KEPT_MS: Final = 253_370_764_799_999
"""Last moment of the year 9998, UTC milliseconds: a span behind it can still be written as a date."""
KeptTime = Annotated[int, msgspec.Meta(ge=0, le=LATEST_KEPT_MS)]
"""Time in a file that people may edit, UTC milliseconds: one that is no date is refused when the file is read."""
LAST_DATE_MS: Final = 253_402_300_799_999
"""Last moment that has a date, UTC milliseconds: the end of 9999-12-31, which people write for "for ever"."""
KeptEnd = Annotated[int, msgspec.Meta(ge=0, le=LAST_DATE_MS)]
"""End of what a person has set, as ``KeptTime``; no span is added to it."""


class Instant(msgspec.Struct, frozen=True, order=True, array_like=True, gc=False):
    """One moment on two clocks, both in whole milliseconds.

    ``mono`` never jumps and measures durations within a boot; ``wall`` is UTC since the Unix epoch, for records.
    A struct, because several are made for each message: a seventh of the time of a named tuple.
    """

    mono: int
    wall: int
    waited_ms: int = 0
    """Time that the message being processed has waited in our queues."""

    @property
    def came(self) -> "Instant":
        """Time of reception: it counts for bills and records, while our own timers start at the time of processing."""
        waited_ms = self.waited_ms
        return Instant(self.mono - waited_ms, self.wall - waited_ms) if waited_ms else self

    def plus(self, ms: int) -> "Instant":
        """Return the instant ``ms`` milliseconds later (earlier when negative)."""
        return Instant(self.mono + ms, self.wall + ms)


class Clock(Protocol):
    """Source of instants in the running switch; tests use a manual one."""

    def now(self) -> Instant:
        """Return the current instant."""
