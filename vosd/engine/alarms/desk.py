"""The alarms of a running switch: events in, changes out to those who want to know."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import msgspec

from vosd.base.clock import Clock
from vosd.cdr.columns import iso_utc
from vosd.control.installation import AlarmList, AlarmRow, ConfirmAlarm, ConfirmedAlarm
from vosd.engine.alarms.output import AlarmOutput, KeptOutput
from vosd.engine.background import BackgroundTasks, Work
from vosd.engine.kept_file import KeptFile
from vosd.engine.settings import AlarmSettings
from vosd.obs.alarms import KINDS, Alarm, AlarmChange, Alarms, KeptAlarms, Silence
from vosd.obs.events import Event, log as _log
from vosd.obs.log import set_alarm_levels
from vosd.obs.remedies import REMEDIES
from vosd.obs.stream import EventStream

_NAMES: Final = frozenset(each.value for each in KINDS)
TAKES_S: Final = 1.0
"""Interval at which events are taken: also while the watch waits for a disk that does not answer."""
TAKEN_AT_ONCE: Final = 1_000
"""Events that are taken in one turn of the event loop: each takes 6 µs, and 20 where programs follow."""
WRITES_S: Final = 5.0
"""Changes of so many seconds are written together."""


Row = TypeVar("Row")


class NotedEvents(Protocol):
    """Receiver of what the stream has, and of the alarms that follow from it (``engine.reports.live_events``)."""

    @property
    def are_wanted(self) -> bool:
        """Whether anyone follows."""

    def noted(self, name: str, facts: Mapping[str, object], at: int, /) -> None:
        """Take an event of the log."""

    def alarm(self, alarm: AlarmRow, at: int, /, *, is_raised: bool) -> None:
        """Take an alarm that was raised or cleared."""


class KeptDesk(NamedTuple):
    """Alarms, and the changes that receivers lack, as a file keeps them."""

    alarms: KeptAlarms
    outputs: tuple[KeptOutput, ...] = ()


class AlarmFile:
    """Alarms, and changes that receivers lack, in a small file of ``state_dir``: they learn what a restart left untold.

    It is read at the start and replaced after changes; a file that cannot be used is left out.
    """

    def __init__(self, path: Path) -> None:
        self._file = KeptFile(path, dict[str, list[Any]], "alarms")
        self._changed = asyncio.Event()

    def read(self) -> KeptDesk:
        """Return what the last run left; what another version has and this one does not know is left out."""
        return _desk_in(self._file.read() or {})

    def load(self) -> KeptDesk:
        """Return the same for a command; raises OSError or msgspec.DecodeError where the file cannot be read."""
        return _desk_in(self._file.load() or {})

    def change(self) -> None:
        """Have the file written soon."""
        self._changed.set()

    async def run(self, kept: Callable[[], KeptDesk]) -> None:
        """Write what ``kept`` returns after changes, in a thread; runs until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await asyncio.to_thread(self.write, kept())
            await asyncio.sleep(WRITES_S)

    def write(self, kept: KeptDesk) -> None:
        """Replace the file; a failure is logged."""
        self._file.write({**msgspec.structs.asdict(kept.alarms), "outputs": [*kept.outputs]})


def _desk_in(found: dict[str, list[Any]]) -> KeptDesk:
    active, history = _known_alarms(found.get("active", [])), _known_alarms(found.get("history", []))
    alarms = KeptAlarms(active, history, _known(found.get("silences", []), Silence))
    return KeptDesk(alarms, tuple(map(_with_known_changes, _known(found.get("outputs", []), KeptOutput))))


def _known_alarms(rows: list[Any]) -> tuple[Alarm, ...]:
    """Return those whose events raise alarms in this version, too."""
    return tuple(each for each in _known(rows, Alarm) if each.event in KINDS)


def _with_known_changes(kept: KeptOutput) -> KeptOutput:
    """Return what a receiver lacks without the changes of other alarms."""
    changes = tuple(each for each in kept.changes if each.alarm.event in KINDS)
    return msgspec.structs.replace(kept, changes=changes)


def _known(rows: list[Any], kind: type[Row]) -> tuple[Row, ...]:
    found = []
    for row in rows:
        try:
            found.append(msgspec.convert(row, kind))
        except msgspec.ValidationError:
            continue
    return tuple(found)


class AlarmDesk:
    """Takes the events of a stream, keeps the alarms, and passes changes to the outputs."""

    def __init__(
        self,
        stream: EventStream,
        clock: Clock,
        settings: AlarmSettings,
        outputs: Mapping[str, AlarmOutput[Any]],
        kept: AlarmFile | None = None,
        events: NotedEvents | None = None,
    ) -> None:
        """``kept`` is where alarms survive a restart; None = nowhere. ``events`` get all that the stream has."""
        self._stream = stream
        self._events = events
        self._kept = kept
        self._clock = clock
        self._alarms = Alarms()
        self._alarms.set_levels(settings.levels)
        set_alarm_levels(settings.levels)
        self._outputs = outputs
        self._left_out: dict[Event, int] = {}
        """Kinds with more alarms than are kept, and at how many reports beyond that this was logged last."""
        self._tasks = BackgroundTasks()

    def begin(self, watch: Work) -> None:
        """Go on with the alarms of before, and start the tasks: that of the outputs, and the watch over values."""
        if self._kept is not None:
            kept, found = self._kept, self._kept.read()
            self._alarms.restore(found.alarms, self._clock.now().wall)
            self._tasks.run("alarms to disk", lambda: kept.run(self._kept_now))
            for each in found.outputs:
                if each.name in self._outputs:
                    self._outputs[each.name].restore(each)
            for name, output in self._outputs.items():
                output.on_delivery = kept.change
                if name in self._alarms.subjects_of(Event.ALARM_OUTPUT_DOWN):
                    output.resume_outage()
        self._tasks.run("watch over values", watch)
        self._tasks.run("alarms", self._keep_taking)
        for name, output in self._outputs.items():
            self._tasks.run(f"alarms to {name}", output.run)

    async def end(self) -> None:
        """Take what was logged last, and end the tasks; what is not delivered by then waits for the next start."""
        while self.take():
            pass
        await self._tasks.stop()
        if self._kept is not None:
            self._kept.write(self._kept_now())

    def adjust(self, settings: AlarmSettings) -> None:
        """Apply other settings."""
        for output in self._outputs.values():
            output.adjust(settings)
        set_alarm_levels(settings.levels)
        self._pass(self._alarms.set_levels(settings.levels))

    def await_causes(self, longer: Mapping[tuple[Event, str], int]) -> None:
        """Wait from now on for the causes of the alarms of before the start, of some of them longer by milliseconds."""
        self._alarms.await_causes(self._clock.now().wall, longer)

    def await_no_longer(self, event: Event) -> None:
        """Clear the alarms of one kind of before the start that were not reported since: their causes are over."""
        self._alarms.await_no_longer(event, self._clock.now().wall)

    async def _keep_taking(self) -> None:
        """Take the events every second; messages have their turns in between."""
        are_left = False
        while True:
            await asyncio.sleep(0 if are_left else TAKES_S)
            are_left = self.take()

    def take(self) -> bool:
        """Take ``TAKEN_AT_ONCE`` events that were logged, and clear the alarms that have passed.

        Return whether others wait: 20,000 phones may have gone within a second.
        """
        for name, facts, at in self._stream.taken(TAKEN_AT_ONCE):
            if self._events is not None:
                self._events.noted(name, facts, at)
            for output in self._outputs.values():
                output.noted(Event(name), facts, at)
            self._pass(self._alarms.note(name, facts, at))
        now = self._clock.now().wall
        self._pass(self._alarms.expire(now))
        self._pass(self._alarms.no_longer_silent(now))
        self._report_left_out()
        return len(self._stream) > 0

    def _report_left_out(self) -> None:
        """Log that alarms of a kind are not kept, again whenever they are ten times as many, and when that is over."""
        left_out = self._alarms.left_out()
        for event, reports in left_out.items():
            if reports >= 10 * self._left_out.get(event, 0):
                self._left_out[event] = reports
                _log.warning(Event.ALARMS_LEFT_OUT.value, alarm=event.value, reports=reports)
        for event in self._left_out.keys() - left_out.keys():
            del self._left_out[event]
            _log.info(Event.ALARMS_LISTED.value, alarm=event.value)

    def confirm(self, order: ConfirmAlarm) -> ConfirmedAlarm:
        """Note who has seen an alarm, and until when it is not delivered.

        One that stands until it is confirmed is over, unless it is to be silent for a time only.
        """
        self.take()
        if order.alarm not in _NAMES:
            return ConfirmedAlarm(None)
        alarm = self._alarms.confirm(Event(order.alarm), order.subject, order.by, order.note, order.silent_until_ms)
        if alarm is None:
            return ConfirmedAlarm(None)
        if self._kept is not None:
            self._kept.change()
        if order.silent_until_ms is None:
            ended = self._alarms.end_standing(alarm.event, alarm.subject, self._clock.now().wall)
            self._pass(ended)
            alarm = ended[0].alarm if ended else alarm
        return ConfirmedAlarm(row(alarm))

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
        return AlarmList(rows_of(self._alarms.kept(), history=history), sum(self._alarms.left_out().values()))

    def _kept_now(self) -> KeptDesk:
        return KeptDesk(self._alarms.kept(), tuple(output.kept() for output in self._outputs.values()))

    def _pass(self, changes: Sequence[AlarmChange]) -> None:
        if changes and self._kept is not None:
            self._kept.change()
        for change in changes:
            if self._events is not None and self._events.are_wanted:
                at = change.alarm.last if change.alarm.cleared_at is None else change.alarm.cleared_at
                self._events.alarm(row(change.alarm), at, is_raised=change.is_raised)
            if change.alarm.is_held_back:  # neither its beginning nor its end: no receiver knows of it
                continue
            for output in self._outputs.values():
                output.put(change)


def rows_of(kept: KeptAlarms, *, history: bool) -> list[AlarmRow]:
    """Return the alarms that hold, the most urgent first, or those that were cleared, the latest first."""
    return [row(each) for each in (reversed(kept.history) if history else kept.active)]


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
        confirmed_by=alarm.confirmed_by,
        note=alarm.note,
        silent_until=None if alarm.silent_until is None else iso_utc(alarm.silent_until),
    )
