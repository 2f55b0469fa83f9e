"""Changes of alarms that wait for one receiver (ADR 70)."""

import asyncio
from abc import abstractmethod
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Generic, TypeVar

import msgspec

from vosd.engine.settings import AlarmSettings, MailSettings, WebhookSettings
from vosd.obs.alarms import AlarmChange, Level
from vosd.obs.events import Event
from vosd.obs.outage import Outage

WAITING_MAX: Final = 1_000
"""Changes that wait; of more the least urgent are dropped first, and the next report says how many were."""

Receiver = TypeVar("Receiver", WebhookSettings, MailSettings)


class KeptOutput(msgspec.Struct, frozen=True):
    """Changes that a receiver does not have, as a file keeps them over a restart."""

    name: str
    changes: tuple[AlarmChange, ...] = ()
    dropped: int = 0
    """Number of changes that were dropped since the last report."""
    mailed: dict[str, str] = {}
    """Alarms, by name and subject, that their own owners have got, with the stage of each."""


class ChangeQueue:
    """Changes in order. Of too many the oldest of the least urgent is dropped, and with a beginning its end.

    Those of a report that is on its way do not count as waiting; unless it was taken, they stand in the next report.
    """

    def __init__(self, most: int | None = None) -> None:
        """``most`` may wait; None = ``WAITING_MAX``."""
        self._most = most
        self._waiting: OrderedDict[int, AlarmChange] = OrderedDict()
        """By number, in order; a dict would be searched for its first one over all that were taken before."""
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

    def kept(self) -> tuple[tuple[AlarmChange, ...], int]:
        """Return all changes that the receiver does not have, and how many were dropped."""
        return (*self._sending.values(), *self._waiting.values()), self._dropped

    def restore(self, changes: Iterable[AlarmChange], dropped: int) -> None:
        """Go on with what an earlier process has kept."""
        self._dropped += dropped
        for change in changes:
            self.put(change)

    def put(self, change: AlarmChange) -> None:
        """Add a change."""
        self._count += 1
        self._add({self._count: change})

    def taken(self, at_most: int = WAITING_MAX) -> tuple[tuple[AlarmChange, ...], int]:
        """Return the next changes for a report, and how many were dropped since the last one that was taken.

        Those of the report before are among them unless ``delivered`` was called.
        """
        if self._sending:
            behind, self._waiting = self._waiting, OrderedDict()
            self._levels.clear()
            self._add(self._sending | behind)
        numbers = [number for number, _ in zip(self._waiting, range(at_most), strict=False)]
        self._sending = {number: self._remove(number) for number in numbers}
        self._reported = self._dropped
        return tuple(self._sending.values()), self._reported

    def delivered(self) -> None:
        """Forget the changes of the report: the receiver has it."""
        self._sending = {}
        self._dropped -= self._reported
        self._reported = 0

    def _add(self, changes: dict[int, AlarmChange]) -> None:
        self._waiting |= changes
        self._levels.update(change.alarm.level for change in changes.values())
        most = WAITING_MAX if self._most is None else self._most
        while len(self._waiting) > most:
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

    def __init__(
        self,
        name: str,
        settings: Receiver | None,
        own: Callable[[AlarmSettings], Receiver | None],
        most: int | None = None,
    ) -> None:
        """``settings`` None = there is no such receiver; ``own`` returns them of others; ``most`` changes may wait."""
        self._most = most
        self._settings: Receiver | None = self._receiving(settings)
        self._own: Callable[[AlarmSettings], Receiver | None] = own
        self._changes = ChangeQueue(most)
        self._name = name
        self._queued = asyncio.Event()
        self._adjusted = asyncio.Event()
        # Called when the receiver has taken a report, and when there is something else to be kept.
        self.on_delivery: Callable[[], None] = lambda: None
        self._outage = Outage(Event.ALARM_OUTPUT_DOWN, output=name)

    def put(self, change: AlarmChange) -> None:
        """Queue a change that is urgent enough."""
        if self._wants(change):
            self._changes.put(change)
            self._queued.set()

    def noted(self, event: Event, facts: Mapping[str, object], at: int) -> None:
        """Take an event of the log, before the alarms that follow from it."""

    def resume_outage(self) -> None:
        """Take the receiver for away, as an earlier process has logged, until it takes a report."""
        self._outage.resume()

    def kept(self) -> KeptOutput:
        """Return what the next start goes on with."""
        return KeptOutput(self._name, *self._changes.kept())

    def restore(self, kept: KeptOutput) -> None:
        """Go on with what was not delivered before the start, as far as it is urgent enough now."""
        wanted = [change for change in kept.changes if self._wants(change)]
        if wanted:
            self._changes.restore(wanted, kept.dropped)
            self._queued.set()

    def adjust(self, settings: AlarmSettings) -> None:
        """Apply other settings; what waits goes to the new receiver."""
        own = self._receiving(self._own(settings))
        if own == self._settings:
            return
        self._settings = own
        self._adjusted.set()
        if own is None:
            self._changes = ChangeQueue(self._most)
            self._outage.over()

    def _receiving(self, settings: Receiver | None) -> Receiver | None:
        """Return the settings of a receiver that gets alarms: a mail server may be there for invoices and reports."""
        return None if settings is None or settings.level is Level.OFF else settings

    def _wants(self, change: AlarmChange) -> bool:
        return self._settings is not None and change.alarm.level.rank >= self._settings.level.rank

    async def _pause(self, seconds: float) -> None:
        """Wait, but no longer than until there are other settings."""
        self._adjusted.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._adjusted.wait()
        except TimeoutError:
            pass

    def _delivered(self) -> None:
        self._changes.delivered()
        self.on_delivery()

    @abstractmethod
    async def run(self) -> None:
        """Deliver what is queued; runs until cancelled."""
