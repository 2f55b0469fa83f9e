"""Changes of alarms that wait for one receiver (ADR 70)."""

import asyncio
from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from vosd.engine.settings import AlarmSettings, MailSettings, WebhookSettings
from vosd.obs.alarms import AlarmChange
from vosd.obs.events import Event
from vosd.obs.outage import Outage

WAITING_MAX: Final = 1_000
"""Changes that wait; the oldest are dropped first, and the next report says how many were."""

Receiver = TypeVar("Receiver", WebhookSettings, MailSettings)


class AlarmOutput(Generic[Receiver]):
    """Queue of changes for a receiver, and the task that sends them."""

    def __init__(self, name: str, settings: Receiver | None, own: Callable[[AlarmSettings], Receiver | None]) -> None:
        """``settings`` None = there is no such receiver; ``own`` returns them of others."""
        self._settings: Receiver | None = settings
        self._own: Callable[[AlarmSettings], Receiver | None] = own
        self._waiting: deque[AlarmChange] = deque()
        self._queued = asyncio.Event()
        self._dropped = 0
        """Since the last report that was taken."""
        self._outage = Outage(Event.ALARM_OUTPUT_DOWN, output=name)

    def put(self, change: AlarmChange) -> None:
        """Queue a change that is urgent enough; if the queue is full, in place of the oldest."""
        if self._settings is None or change.alarm.level.rank < self._settings.level.rank:
            return
        if len(self._waiting) >= WAITING_MAX:
            self._waiting.popleft()
            self._dropped += 1
        self._waiting.append(change)
        self._queued.set()

    def adjust(self, settings: AlarmSettings) -> None:
        """Apply other settings; what waits goes to the new receiver."""
        own = self._own(settings)
        if own == self._settings:
            return
        self._settings = own
        if own is None:
            self._waiting.clear()
            self._outage.over()

    @abstractmethod
    async def run(self) -> None:
        """Deliver what is queued; runs until cancelled."""
