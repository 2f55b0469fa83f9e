"""The alarms of a running switch: events in, changes out to those who want to know."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from vosd.base.clock import Clock
from vosd.cdr.columns import iso_utc
from vosd.control.installation import AlarmList, AlarmRow
from vosd.engine.alarms.alarm_file import AlarmFile
from vosd.engine.background import BackgroundTasks, Work
from vosd.engine.settings import AlarmSettings
from vosd.obs.alarms import Alarm, Alarms, Change, Level
from vosd.obs.events import Event
from vosd.obs.log import set_alarm_levels
from vosd.obs.remedies import REMEDIES
from vosd.obs.stream import EventStream


class Output(Protocol):
    """Someone who receives changes. ``put`` returns at once, and is bounded."""

    def put(self, change: Change) -> None:
        """Queue a change."""
        ...

    def adjust(self, settings: AlarmSettings) -> None:
        """Apply other settings."""
        ...

    async def run(self) -> None:
        """Deliver what is queued; runs until cancelled."""
        ...


class AlarmDesk:
    """Takes the events of a stream, keeps the alarms, and passes changes to the outputs."""

    def __init__(
        self,
        stream: EventStream,
        clock: Clock,
        settings: AlarmSettings,
        outputs: Mapping[str, Output],
        kept: AlarmFile | None = None,
    ) -> None:
        """``kept`` is where alarms survive a restart; None = nowhere."""
        self._stream = stream
        self._kept = kept
        self._clock = clock
        self._alarms = Alarms()
        self._alarms.set_levels(settings.levels)
        set_alarm_levels(settings.levels)
        self._outputs = outputs
        self._tasks = BackgroundTasks()

    def begin(self, watch: Work) -> None:
        """Go on with the alarms of before, and start the tasks: that of the outputs, and the watch over values."""
        if self._kept is not None:
            self._alarms.restore(self._kept.read(), self._clock.now().wall)
            self._tasks.run("alarms to disk", self._kept.run)
        self._tasks.run("watch over values", watch)
        for name, output in self._outputs.items():
            self._tasks.run(f"alarms to {name}", output.run)

    async def end(self) -> None:
        """Take what was logged last, and end the tasks; what is not delivered by then is lost."""
        self.take()
        await self._tasks.stop()
        if self._kept is not None:
            self._kept.write(self._alarms.kept())

    def adjust(self, settings: AlarmSettings) -> None:
        """Apply other settings."""
        for output in self._outputs.values():
            output.adjust(settings)
        set_alarm_levels(settings.levels)
        self._pass(self._alarms.set_levels(settings.levels))

    def take(self) -> None:
        """Take the events that were logged, and clear the alarms that have passed."""
        for name, facts, at in self._stream.taken():
            self._pass(self._alarms.note(name, facts, at))
        self._pass(self._alarms.expire(self._clock.now().wall))

    def subjects_of(self, event: Event) -> Iterable[str]:
        """Return the subjects for which an alarm holds."""
        return self._alarms.subjects_of(event)

    def counted(self) -> Counter[tuple[str, str]]:
        """Count the alarms that hold by name and level."""
        self.take()
        return self._alarms.counted()

    def rows(self, *, history: bool) -> AlarmList:
        """Return the alarms that hold, or those that were cleared lately, for ``vosd alarms``."""
        self.take()
        found: Sequence[Alarm] = self._alarms.history() if history else self._alarms.active()
        return AlarmList([row(each) for each in found], self._alarms.left_out)

    def _pass(self, changes: Sequence[Change]) -> None:
        if changes and self._kept is not None:
            self._kept.put(self._alarms.kept())
        for change in changes:
            for output in self._outputs.values():
                output.put(change)


def row(alarm: Alarm) -> AlarmRow:
    """Return an alarm as JSON has it."""
    return AlarmRow(
        alarm=alarm.event.value,
        subject=alarm.subject,
        level=alarm.level.value,
        since=iso_utc(alarm.since),
        last=iso_utc(alarm.last),
        count=alarm.count,
        text=alarm.text,
        do=REMEDIES[alarm.event],
        cleared_at=None if alarm.cleared_at is None else iso_utc(alarm.cleared_at),
    )


def is_wanted(change: Change, level: Level) -> bool:
    """Return whether an output that wants alarms from a level on receives a change."""
    return change.alarm.level.rank >= level.rank
