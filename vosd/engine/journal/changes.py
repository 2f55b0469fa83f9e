"""Choose when open calls are written again: requests within calls are unlimited, and must not fill disks."""

from collections.abc import Iterator


class Changes:
    """Open calls that have changed since they were written."""

    def __init__(self) -> None:
        self.now: dict[str, None] = {}
        """Calls that are written before the datagrams of this turn are sent."""
        self._later: dict[str, None] = {}
        """Calls that were written since the last mark of time, and wait for the next."""
        self._lately: set[str] = set()

    def note(self, call_id: str, *, at_once: bool) -> None:
        """Note that a call has changed: it is written in this turn, and without ``at_once`` only once between marks."""
        (self.now if at_once or call_id not in self._lately else self._later)[call_id] = None

    def forget(self, call_id: str) -> None:
        """Forget a call that has ended."""
        self.now.pop(call_id, None)
        self._later.pop(call_id, None)

    def clear(self) -> None:
        """Forget all: every open call has been written."""
        self.now.clear()
        self._later.clear()

    def due(self) -> Iterator[str]:
        """Yield the calls to be written in this turn."""
        now, self.now = self.now, {}
        self._lately.update(now)
        yield from now

    def due_at_mark(self) -> Iterator[str]:
        """Yield the calls to be written with a mark of time."""
        later, self._later = self._later, {}
        self._lately.clear()
        yield from later
