"""Changes of alarms that wait for one receiver (ADR 70)."""

import asyncio
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from vosd.engine.settings import AlarmSettings, MailSettings, WebhookSettings
from vosd.obs.alarms import AlarmChange, Level
from vosd.obs.events import Event
from vosd.obs.outage import Outage

WAITING_MAX: Final = 1_000
"""Changes that wait; of more the least urgent are dropped first, and the next report says how many were."""

Receiver = TypeVar("Receiver", WebhookSettings, MailSettings)


class ChangeQueue:
    """Changes in order. Of too many the oldest of the least urgent is dropped, and with a beginning its end.

    Those of a report that is on its way are none that wait, and are put back where it is not taken.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, AlarmChange] = {}
        """By number, in order."""
        self._sending: dict[int, AlarmChange] = {}
        self._levels: Counter[Level] = Counter()
        """Number of changes that wait by level."""
        self._count = 0
        self._dropped = 0
        """Since the last report that was taken."""
        self._reported = 0
        """Number of these that the report on its way names."""

    def __len__(self) -> int:
        """Return the number of changes that the receiver does not have."""
        return len(self._sending) + len(self._waiting)

    def put(self, change: AlarmChange) -> None:
        """Add a change."""
        self._count += 1
        self._add({self._count: change})

    def taken(self, at_most: int = WAITING_MAX) -> tuple[tuple[AlarmChange, ...], int]:
        """Return the next changes for a report, and how many were dropped since the last one that was taken."""
        numbers = [number for number, _ in zip(self._waiting, range(at_most), strict=False)]
        self._sending = {number: self._remove(number) for number in numbers}
        self._reported = self._dropped
        return tuple(self._sending.values()), self._reported

    def delivered(self) -> None:
        """Forget the changes of the report: the receiver has it."""
        self._sending = {}
        self._dropped -= self._reported
        self._reported = 0

    def put_back(self) -> None:
        """Have the changes of the report wait again, before all others: the receiver has not taken it."""
        behind, self._waiting, sending, self._sending = self._waiting, {}, self._sending, {}
        self._reported = 0
        self._levels.clear()
        self._add(sending | behind)

    def _add(self, changes: dict[int, AlarmChange]) -> None:
        self._waiting |= changes
        self._levels.update(change.alarm.level for change in changes.values())
        while len(self._waiting) > WAITING_MAX:
            self._drop()

    def _drop(self) -> None:
        level = next(each for each in Level if self._levels[each])
        victim = next(number for number, change in self._waiting.items() if change.alarm.level is level)
        dropped = self._remove(victim)
        self._dropped += 1
        if dropped.is_raised:
            end = next((n for n, each in self._waiting.items() if n > victim and _is_end_of(dropped, each)), None)
            if end is not None:
                self._remove(end)
                self._dropped += 1

    def _remove(self, number: int) -> AlarmChange:
        change = self._waiting.pop(number)
        self._levels[change.alarm.level] -= 1
        return change


def _is_end_of(beginning: AlarmChange, change: AlarmChange) -> bool:
    alarm, begun = change.alarm, beginning.alarm
    return not change.is_raised and alarm.subject == begun.subject and alarm.event is begun.event


class AlarmOutput(Generic[Receiver]):
    """Queue of changes for a receiver, and the task that sends them."""

    def __init__(self, name: str, settings: Receiver | None, own: Callable[[AlarmSettings], Receiver | None]) -> None:
        """``settings`` None = there is no such receiver; ``own`` returns them of others."""
        self._settings: Receiver | None = settings
        self._own: Callable[[AlarmSettings], Receiver | None] = own
        self._changes = ChangeQueue()
        self._queued = asyncio.Event()
        self._outage = Outage(Event.ALARM_OUTPUT_DOWN, output=name)

    def put(self, change: AlarmChange) -> None:
        """Queue a change that is urgent enough."""
        if self._settings is None or change.alarm.level.rank < self._settings.level.rank:
            return
        self._changes.put(change)
        self._queued.set()

    def adjust(self, settings: AlarmSettings) -> None:
        """Apply other settings; what waits goes to the new receiver."""
        own = self._own(settings)
        if own == self._settings:
            return
        self._settings = own
        if own is None:
            self._changes = ChangeQueue()
            self._outage.over()

    @abstractmethod
    async def run(self) -> None:
        """Deliver what is queued; runs until cancelled."""
