"""Time marks: what is said once a second of all calls, beside that the switch was running."""

from vosd.base.clock import Instant
from vosd.engine.journal.entries import EndOf, Mark


class Marks:
    """Content of the next mark, and the latest one."""

    def __init__(self) -> None:
        self.latest: Mark | None = None
        """Without calls."""
        self.ends: list[EndOf] = []
        """Answered calls that ended since."""
        self.acknowledged: list[tuple[str, int]] = []
        """Calls that were acknowledged since."""

    def take(self, now: Instant) -> Mark:
        """Return the mark of this second."""
        mark = Mark(now.mono, now.wall, tuple(self.ends), tuple(self.acknowledged))
        self.latest = Mark(now.mono, now.wall)
        self.ends.clear()
        self.acknowledged.clear()
        return mark
