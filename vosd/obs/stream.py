"""The stream of named events: each is put here where it is logged, whatever the level of the log (ADR 70).

Threads may put events; the alarms take them once a second.
"""

from collections import deque
from collections.abc import Mapping
from typing import Final, NamedTuple

WAITING_MAX: Final = 100_000
"""Most events that wait; the oldest are dropped first. They are in the log."""


class Noted(NamedTuple):
    """One event as it was logged."""

    event: str
    facts: Mapping[str, object]
    at: int
    """UTC milliseconds."""


class EventStream:
    """Events that were not taken yet."""

    def __init__(self) -> None:
        self._waiting: deque[Noted] = deque(maxlen=WAITING_MAX)

    def put(self, noted: Noted) -> None:
        """Add an event."""
        self._waiting.append(noted)

    def __len__(self) -> int:
        """Return the number of events that wait."""
        return len(self._waiting)

    def taken(self, at_most: int = WAITING_MAX) -> list[Noted]:
        """Return the events since the last time, in order."""
        waiting = self._waiting
        return [waiting.popleft() for _ in range(min(len(waiting), at_most))]
