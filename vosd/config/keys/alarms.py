"""``alarms``: when the switch reports a bad state."""

from typing import Annotated

from pydantic import BeforeValidator, model_validator

from vosd.catalogue.problems import suggestion
from vosd.config.reader.fields import ExpectedError, FromText, KeyProblemError, milliseconds, one_or_many, whole
from vosd.config.reader.model import Keys
from vosd.obs.alarms import KINDS, Level
from vosd.obs.events import Event


def alarm() -> FromText:
    """Read the name of an alarm."""
    names = {event.value: event for event in KINDS}

    def read(text: str) -> Event:
        if text not in names:
            near = suggestion(text, names)
            raise ExpectedError(f"{expected}; {near}" if near.endswith("?") else expected)
        return names[text]

    expected = "an alarm of docs/operations.md, such as gateway_down"
    return FromText(expected, read, lambda event: str(event.value))


Named = Annotated[tuple[Annotated[Event, alarm()], ...], BeforeValidator(one_or_many)]


class AlarmKeys(Keys):
    """Limits of alarms, and how urgent each is. A limit of 0 is none. A reload changes it.

    `vosd alarms` lists them; docs/operations.md says what to do.
    """

    asr: Annotated[int, whole(0, 100, "percent")] = 40
    """Fewer answered attempts at a routing gateway are the alarm `asr_low`. Judged are the last two slices of its
    quality (`SS_GATEWAY_QUALITY_RESERVE_SEPARATE`), so half an hour to an hour."""
    pdd: Annotated[int, milliseconds(0, 60_000)] = 3_000
    """A longer post-dial delay of a routing gateway, on average over the same time, is `pdd_high`."""
    min_calls: Annotated[int, whole(1, 1_000_000)] = 100
    """Fewer attempts say nothing about a gateway."""
    booking_age: Annotated[int, whole(0, 86_400, "seconds")] = 300
    """A call that waits longer for the database is `booking_late`."""
    disk_free: Annotated[int, whole(0, 90, "percent")] = 10
    """Less free room on the disk of `state_dir` is `disk_low`."""
    cpu: Annotated[int, whole(0, 1_000, "percent")] = 70
    """More use of one core by the switch over a minute is `cpu_high`."""
    memory: Annotated[int, whole(0, 100, "percent")] = 80
    """More use of the machine's memory is `memory_high`."""
    loop_lag: Annotated[int, milliseconds(0, 10_000)] = 50
    """A later event loop, on average over ten seconds, is `loop_late`."""
    clock_jump: Annotated[int, milliseconds(0, 3_600_000)] = 2_000
    """A clock that is set by more is `clock_jumped`."""
    call_seconds: Annotated[int, whole(0, 604_800)] = 14_400
    """A longer call is `call_too_long`; accounts with `long_call_alarm: no` are left out."""
    hysteresis: Annotated[int, whole(0, 50, "percent")] = 10
    """An alarm is cleared when its value is better than the limit by so much of the limit."""
    critical: Named = ()
    """Alarms that have this level, in place of their own."""
    warning: Named = ()
    """The same."""
    info: Named = ()
    """The same."""
    off: Named = ()
    """Alarms that are not raised."""

    @model_validator(mode="after")
    def _has_each_once(self) -> "AlarmKeys":
        named = [*self.critical, *self.warning, *self.info, *self.off]
        if len(set(named)) != len(named):
            raise KeyProblemError("off", "each alarm at one level")
        return self

    @property
    def levels(self) -> dict[Event, Level]:
        """The levels that differ from the usual ones."""
        named = {
            Level.CRITICAL: self.critical, Level.WARNING: self.warning, Level.INFO: self.info, Level.OFF: self.off,
        }  # fmt: skip
        return {event: level for level, events in named.items() for event in events}
