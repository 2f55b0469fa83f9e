"""Alarms: states that an operator should know of, raised and cleared by named events (ADR 70).

Pure: events come in with their time, changes come out. An alarm is one kind of event for one subject, such as
``gateway_down`` of one gateway; while it holds, repetitions are counted. Those that held at a stop hold again after the
start; what is not reported again by its cause in time, from the moment on at which the switch serves calls, has ended
while the switch was away, and is cleared.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from vosd.base.clock import KeptEnd, KeptTime
from vosd.obs.events import BACK, GONE, Event

PASSES_MS: Final = 15 * 60_000
"""An alarm without an event for its end is cleared so long after it was last repeated."""
CONFIRMED_MS: Final = 5 * 60_000
"""An alarm from before a restart is cleared so long after the end of the start, unless its cause has reported it."""
CONFIRMED_DAILY_MS: Final = 2 * 86_400_000
"""Longer for alarms whose cause is looked at once a day: the next look may end two days after a start."""
SUBJECTS_MAX: Final = 500
"""Most alarms of one kind; more are counted only, so that a scanner cannot fill the list with lock-outs."""
HISTORY_MAX: Final = 1_000
"""Cleared alarms that are remembered."""
TEXT_CHARACTERS_MAX: Final = 500
_VALUE_CHARACTERS_MAX: Final = 350
"""An error of the database has the advice behind its place and the words of the server."""
_TRACEBACK: Final = "exc_info"
"""The fact of a log line that has a traceback written under it."""


class Level(StrEnum):
    """The urgency of an alarm."""

    OFF = "off"
    """It is not raised."""
    INFO = "info"
    WARNING = "warning"
    """To be looked at on the same day."""
    CRITICAL = "critical"
    """Calls or money are at stake now."""

    @property
    def rank(self) -> int:
        """A number that grows with the urgency."""
        return _RANKS.index(self)


_RANKS: Final = tuple(Level)


class AlarmKind(NamedTuple):
    """One kind of alarm."""

    level: Level
    subject: tuple[str, ...] = ()
    """Facts of its event that say what it is about; those that are missing are left out."""
    passes: bool = False
    """Whether it is cleared by time alone, too: its event is a report and no change of a state."""
    daily: bool = False
    """Whether its cause is looked at once a day."""
    by_stages: bool = False
    """Whether a report with another text is delivered again, unless the alarm is silent: its event is reported once a
    stage."""
    stands: bool = False
    """Whether it holds until a person confirms it: no event is its end."""


_CRITICAL, _WARNING, _INFO, _OFF = Level.CRITICAL, Level.WARNING, Level.INFO, Level.OFF

KINDS: Final[Mapping[Event, AlarmKind]] = {
    Event.DATABASE_AWAY: AlarmKind(_CRITICAL, ("part",)),
    Event.DATABASE_DAMAGED: AlarmKind(_CRITICAL, ("part",)),
    Event.DATABASE_REGRESSED: AlarmKind(_CRITICAL),
    Event.PAYMENTS_LOST: AlarmKind(_CRITICAL, ("lost_at",), stands=True),
    Event.OVERRIDES_LOST: AlarmKind(_CRITICAL, ("lost_at",), stands=True),
    Event.LEASE_LOST: AlarmKind(_CRITICAL),
    Event.JOURNAL_WRITE_FAILED: AlarmKind(_CRITICAL),
    Event.JOURNAL_REMOVED: AlarmKind(_CRITICAL, stands=True),
    Event.JOURNAL_RESERVE_MISSING: AlarmKind(_CRITICAL),
    Event.ANSWERED_CALL_REFUSED: AlarmKind(_CRITICAL, passes=True),
    Event.CDR_QUEUE_LONG: AlarmKind(_CRITICAL),
    Event.BOOKING_LATE: AlarmKind(_CRITICAL),
    Event.CATALOGUE_FALLBACK: AlarmKind(_CRITICAL),
    Event.RTP_PORT_EXHAUSTED: AlarmKind(_CRITICAL, ("rtpengine",)),
    Event.DISK_LOW: AlarmKind(_CRITICAL),
    Event.ADDRESS_GONE: AlarmKind(_CRITICAL, ("address",)),
    Event.JOURNAL_RECORD_UNREADABLE: AlarmKind(_WARNING, ("file",), passes=True),
    Event.JOURNAL_FILE_SET_ASIDE: AlarmKind(_WARNING, ("file",), passes=True),
    Event.JOURNAL_KEPT_FILE_REMOVED: AlarmKind(_WARNING, passes=True),
    Event.JOURNAL_SLOW: AlarmKind(_WARNING),
    Event.QUARANTINE_FILLED: AlarmKind(_WARNING),
    Event.RELOAD_REFUSED: AlarmKind(_WARNING),
    Event.API_CERTIFICATE_REFUSED: AlarmKind(_WARNING),
    Event.DEFINITIONS_OUTDATED: AlarmKind(_WARNING),
    Event.OVERLOAD_BEGINS: AlarmKind(_CRITICAL),
    Event.CPU_HIGH: AlarmKind(_WARNING, ("process",)),
    Event.MEMORY_HIGH: AlarmKind(_WARNING),
    Event.LOOP_LATE: AlarmKind(_WARNING),
    Event.LOG_NOT_WRITTEN: AlarmKind(_WARNING),
    Event.CLOCK_JUMPED: AlarmKind(_WARNING, passes=True),
    Event.GATEWAY_DOWN: AlarmKind(_WARNING, ("gateway",)),
    Event.GATEWAY_RESTING: AlarmKind(_WARNING, ("gateway", "address", "customer")),
    Event.GATEWAY_NAME_LOST: AlarmKind(_WARNING, ("name",)),
    Event.SOURCE_CONFLICT: AlarmKind(_WARNING, ("gateway", "address")),
    Event.GATEWAY_UNREGISTERED: AlarmKind(_WARNING, ("name",)),
    Event.REGISTRATION_LOST: AlarmKind(_WARNING, ("gateway", "server", "username")),
    Event.REGISTRATION_REFUSED: AlarmKind(_WARNING, ("gateway", "server", "username")),
    Event.ACCOUNT_REFUSED: AlarmKind(_WARNING, ("gateway",), passes=True),
    Event.ASR_LOW: AlarmKind(_WARNING, ("gateway",)),
    Event.CUSTOMER_ASR_LOW: AlarmKind(_WARNING, ("gateway",)),
    Event.PDD_HIGH: AlarmKind(_WARNING, ("gateway",)),
    Event.MEDIA_LOSS_HIGH: AlarmKind(_WARNING, ("gateway",)),
    Event.CUSTOMER_MEDIA_LOSS_HIGH: AlarmKind(_WARNING, ("gateway",)),
    Event.IVR_PORT_EXHAUSTED: AlarmKind(_WARNING, passes=True),
    Event.SOUND_NOT_PLAYED: AlarmKind(_WARNING, passes=True),
    Event.MEDIA_WORKER_ENDED: AlarmKind(_WARNING, passes=True),
    Event.MEDIA_WORKER_NOT_STARTED: AlarmKind(_CRITICAL, passes=True),
    Event.RECORDING_NOT_BEGUN: AlarmKind(_WARNING, passes=True),
    Event.RECORDING_STOPPED: AlarmKind(_WARNING, passes=True),
    Event.RTP_PORTS_LOW: AlarmKind(_WARNING, ("ports", "rtpengine")),
    Event.SHORT_CALLS: AlarmKind(_WARNING, ("gateway", "destination")),
    Event.ACD_LOW: AlarmKind(_WARNING, ("gateway",)),
    Event.SETUP_SLOW: AlarmKind(_WARNING),
    Event.MARGIN_LOW: AlarmKind(_WARNING, ("currency",)),
    Event.PREFIX_MARGIN_LOW: AlarmKind(_WARNING, ("prefix", "currency")),
    Event.OVERDRAFT_HIGH: AlarmKind(_WARNING, ("account",)),
    Event.HOLIDAYS_MISSING: AlarmKind(_WARNING, ("calendar",)),
    Event.SIGNING_CERTIFICATE_ENDS: AlarmKind(_WARNING, ("certificate",)),
    Event.CERTIFICATE_ENDS: AlarmKind(_WARNING, ("file",)),
    Event.TRUST_ENDS: AlarmKind(_WARNING, ("file",)),
    Event.BYE_UNANSWERED: AlarmKind(_WARNING, ("peer",), passes=True),
    Event.BYE_REFUSED: AlarmKind(_WARNING, ("peer",), passes=True),
    Event.ANSWER_UNHEARD: AlarmKind(_WARNING, ("customer",), passes=True),
    Event.SESSION_REFRESH_FAILED: AlarmKind(_INFO, ("gateway",), passes=True),
    Event.BALANCE_LOW: AlarmKind(_WARNING, ("account",)),
    Event.LOSS_CALLS: AlarmKind(_WARNING, ("account", "prefix", "gateway"), passes=True),
    Event.SPEND_LIMIT_REACHED: AlarmKind(_WARNING, ("account", "per"), passes=True),
    Event.FRAUD_SUSPECTED: AlarmKind(_CRITICAL, ("account", "destination")),
    Event.DESTINATION_NEW: AlarmKind(_WARNING, ("account", "destination"), passes=True),
    Event.WITHOUT_CDR_HIGH: AlarmKind(_WARNING),
    Event.CPS_HIGH: AlarmKind(_WARNING, ("gateway",)),
    Event.CALL_TOO_LONG: AlarmKind(_WARNING, ("call_id",)),
    Event.AUTH_LOCKOUT: AlarmKind(_WARNING, ("source",), passes=True),
    Event.AUTH_USER_ATTACKED: AlarmKind(_WARNING, ("username",), passes=True),
    Event.SOURCE_BLOCKED: AlarmKind(_WARNING, ("source",), passes=True),
    Event.SOURCE_DENIED: AlarmKind(_WARNING, ("source",), passes=True),
    Event.ACCESS_REFUSED: AlarmKind(_WARNING, ("name",), passes=True),
    Event.COUNTRIES_UNREADABLE: AlarmKind(_WARNING, ("file",)),
    Event.CALLER_BLACKLISTED: AlarmKind(_INFO, ("gateway", "caller"), passes=True),
    Event.PHONE_OFFLINE: AlarmKind(_OFF, ("name",)),
    Event.PHONE_SERVICE_DOWN: AlarmKind(_WARNING),
    Event.PHONE_SERVICE_REFUSED: AlarmKind(_WARNING, passes=True),
    Event.LOOKUP_SERVICE_DOWN: AlarmKind(_WARNING, ("service",)),
    Event.RTPENGINE_DOWN: AlarmKind(_CRITICAL, ("rtpengine",)),
    Event.NAT_SWEEP_OVERRUN: AlarmKind(_WARNING),
    Event.ALARMS_LEFT_OUT: AlarmKind(_WARNING, ("alarm",), by_stages=True),
    Event.ALARM_OUTPUT_DOWN: AlarmKind(_WARNING, ("output",)),
    Event.RETENTION_BLOCKED: AlarmKind(_WARNING, ("kind",), daily=True),
    Event.ACCOUNT_EXPIRES: AlarmKind(_WARNING, ("account",), by_stages=True),
    Event.ACCOUNT_CLOSE_UNFINISHED: AlarmKind(_WARNING, ("account",)),
    Event.LEDGER_DIFFERS: AlarmKind(_CRITICAL, daily=True),
    Event.INVOICES_OVERDUE: AlarmKind(_WARNING, daily=True),
    Event.NIGHTLY_FAILED: AlarmKind(_WARNING, ("work",), daily=True),
    Event.REPORT_FAILED: AlarmKind(_WARNING, ("report",)),
    Event.BILATERAL_DIFFERS: AlarmKind(_CRITICAL, ("account",)),
    Event.BILATERAL_AWAY: AlarmKind(_WARNING, ("account",)),
    Event.ALARM_REFUSED: AlarmKind(_WARNING, ("output",), passes=True),
    Event.CALL_REPORTS_DOWN: AlarmKind(_WARNING, ("receiver",)),
    Event.CALL_REPORTS_DROPPED: AlarmKind(_WARNING, ("receiver",), passes=True),
    Event.CALL_REPORTS_UNWRITTEN: AlarmKind(_WARNING, ("receiver",)),
    Event.RADIUS_UNREACHABLE: AlarmKind(_WARNING, ("server", "purpose")),
    Event.RADIUS_ACCOUNTING_DOWN: AlarmKind(_CRITICAL),
    Event.RADIUS_ACCOUNTING_DROPPED: AlarmKind(_CRITICAL, passes=True),
    Event.RADIUS_ACCOUNTING_UNWRITTEN: AlarmKind(_CRITICAL),
}
"""The events that are alarms; the others report what an operator did, or that a state has ended."""

_ENDS: Final[Mapping[Event, tuple[Event, ...]]] = {
    back: tuple(raised for raised in KINDS if BACK.get(raised) is back) for back in dict.fromkeys(BACK.values())
}
"""The alarms that each event clears."""
WATCHED: Final = frozenset(KINDS) | frozenset(_ENDS)
"""All events that raise or clear an alarm."""


class Alarm(msgspec.Struct, frozen=True):
    """One alarm; times are UTC milliseconds."""

    event: Event
    subject: str
    """The subject, such as ``carrier-a``; empty = the switch itself."""
    level: Level
    since: KeptTime
    last: KeptTime
    """When it was last reported."""
    count: int
    """Number of reports."""
    text: str
    """The text of the latest report."""
    cleared_at: KeptTime | None = None
    confirmed_by: str | None = None
    """Person who has confirmed it; None = it was not, or it is another one since."""
    note: str | None = None
    """Note of that person."""
    silent_until: KeptEnd | None = None
    """Moment until which it is not delivered, also where it ends and begins again."""
    is_held_back: bool = False
    """Whether it was raised while it was silent, and was not delivered."""

    def is_silent(self, at: int) -> bool:
        """Return whether it is not delivered at a moment."""
        return self.silent_until is not None and at < self.silent_until


class Silence(NamedTuple):
    """An alarm that is not delivered, whether it holds or not."""

    event: Event
    subject: str
    until: KeptEnd
    """UTC milliseconds."""


class KeptAlarms(msgspec.Struct, frozen=True):
    """Alarms as a file keeps them over a restart."""

    active: tuple[Alarm, ...] = ()
    history: tuple[Alarm, ...] = ()
    """Alarms that were cleared, the oldest first."""
    silences: tuple[Silence, ...] = ()


class AlarmChange(NamedTuple):
    """An alarm that was raised or cleared."""

    alarm: Alarm
    is_raised: bool


class Alarms:
    """The alarms that hold, and those that were cleared lately."""

    def __init__(self) -> None:
        self._levels: Mapping[Event, Level] = {}
        self._active: dict[Event, dict[str, Alarm]] = {}
        self._history: deque[Alarm] = deque(maxlen=HISTORY_MAX)
        self._unconfirmed: dict[tuple[Event, str], int | None] = {}
        """Alarms from before the start that were not reported since, with the time at which they are cleared.

        None = the start goes on: their causes cannot report yet.
        """
        self._looked_at = 0
        """Time at which alarms were cleared last that are over."""
        self._silences: dict[tuple[Event, str], int] = {}
        """Moments until which alarms are silent, also those that do not hold now."""
        self._left_out: Counter[Event] = Counter()

    def kept(self) -> KeptAlarms:
        """Return what the next start goes on with."""
        silences = (Silence(event, subject, until) for (event, subject), until in self._silences.items())
        return KeptAlarms(tuple(self.active()), tuple(self._history), tuple(silences))

    def restore(self, kept: KeptAlarms, at: int) -> None:
        """Go on with the alarms of before the start, which is ``at``; they wait to be confirmed by their causes.

        They do so without a limit of time until ``await_causes``.
        """
        self._history.extend(kept.history)
        self._silences.update({(each.event, each.subject): each.until for each in kept.silences if at < each.until})
        for alarm in reversed(kept.active):
            level = self.level_of(alarm.event)
            if level is not Level.OFF:
                held = self._active.setdefault(alarm.event, {})
                held.setdefault(alarm.subject, msgspec.structs.replace(alarm, level=level))
                if not KINDS[alarm.event].stands:
                    self._unconfirmed[alarm.event, alarm.subject] = None

    def await_causes(self, at: int, longer: Mapping[tuple[Event, str], int]) -> None:
        """Clear alarms of before the start unless their causes report them in time; the switch serves calls now.

        ``longer`` has the milliseconds by which the causes of some take longer than others.
        """
        self._looked_at = at
        for event, subject in self._unconfirmed:
            patience = CONFIRMED_DAILY_MS if KINDS[event].daily else CONFIRMED_MS
            self._unconfirmed[event, subject] = at + patience + longer.get((event, subject), 0)

    def await_no_longer(self, event: Event, at: int) -> None:
        """Clear the alarms of one kind of before the start that were not reported since: their causes are over."""
        self._unconfirmed.update({each: at for each in self._unconfirmed if each[0] is event})

    def set_levels(self, levels: Mapping[Event, Level]) -> list[AlarmChange]:
        """Set the levels that differ from those of ``KINDS``; return the alarms that are cleared: they are off now."""
        self._levels = levels
        changes = []
        for event, alarms in self._active.items():
            level = self.level_of(event)
            for subject, alarm in list(alarms.items()):
                if level is Level.OFF:
                    del alarms[subject]
                    changes.append(self._cleared(alarm, alarm.last))
                else:
                    alarms[subject] = msgspec.structs.replace(alarm, level=level)
        return changes

    def level_of(self, event: Event) -> Level:
        """Return the level of alarms of one kind."""
        return self._levels.get(event) or KINDS[event].level

    def note(self, name: str, facts: Mapping[str, object], at: int) -> list[AlarmChange]:
        """Take an event; return the alarms that it raises or clears, none where it only repeats one in the same stage.

        One about a subject that is gone only clears: what an operator has removed is no alarm.
        """
        event = Event(name)
        if event in KINDS and facts.get("why") != GONE:
            return self._raise(event, facts, at)
        changes = []
        for raised in (event,) if event in KINDS else _ENDS.get(event, ()):
            alarm = self._active.get(raised, {}).pop(_subject(KINDS[raised], facts), None)
            if alarm is not None:
                changes.append(self._cleared(alarm, at))
        return changes

    def expire(self, at: int) -> list[AlarmChange]:
        """Clear the alarms that pass by themselves and were not repeated lately, and those of before the start.

        It follows a clock that is set back, as one that was years ahead: else they would hold for so long.
        """
        changes = []
        back_ms, self._looked_at = max(self._looked_at - at, 0), at
        if back_ms:
            self._unconfirmed = {
                each: None if until is None else until - back_ms for each, until in self._unconfirmed.items()
            }
        for (event, subject), until in list(self._unconfirmed.items()):
            alarm, is_over = self._active[event].get(subject), until is not None and at >= until
            if alarm is None or is_over:
                del self._unconfirmed[event, subject]
            if alarm is not None and is_over:
                del self._active[event][subject]
                changes.append(self._cleared(alarm, at))
        for event, alarms in self._active.items():
            if KINDS[event].passes:
                for subject, alarm in list(alarms.items()):
                    if alarm.last > at:
                        alarms[subject] = msgspec.structs.replace(alarm, last=at)
                    elif at - alarm.last >= PASSES_MS:
                        del alarms[subject]
                        changes.append(self._cleared(alarm, at))
        return changes

    def confirm(self, event: Event, subject: str, by: str, note: str | None, silent_until: int | None) -> Alarm | None:
        """Note who has seen an alarm that holds, and until when it is silent (None = it is not); None = none holds."""
        alarm = self._active.get(event, {}).get(subject)
        if alarm is None:
            return None
        confirmed = msgspec.structs.replace(alarm, confirmed_by=by, note=note, silent_until=silent_until)
        self._active[event][subject] = confirmed
        if silent_until is None:
            self._silences.pop((event, subject), None)
        else:
            self._silences[event, subject] = silent_until
        return confirmed

    def end_standing(self, event: Event, subject: str, at: int) -> list[AlarmChange]:
        """Clear an alarm that holds until it is confirmed; others have ends of their own."""
        alarms = self._active.get(event, {})
        return [self._cleared(alarms.pop(subject), at)] if KINDS[event].stands and subject in alarms else []

    def no_longer_silent(self, at: int) -> list[AlarmChange]:
        """Return the alarms that were raised while they were silent, and still hold when they are so no more."""
        for key, until in list(self._silences.items()):
            if at >= until:
                del self._silences[key]
        changes = []
        for alarms in self._active.values():
            for subject, alarm in list(alarms.items()):
                if alarm.is_held_back and not alarm.is_silent(at):
                    alarms[subject] = msgspec.structs.replace(alarm, is_held_back=False)
                    changes.append(AlarmChange(alarms[subject], is_raised=True))
        return changes

    def active(self) -> list[Alarm]:
        """Return the alarms that hold, the most urgent first, of those the latest first."""
        found = [alarm for alarms in self._active.values() for alarm in alarms.values()]
        return sorted(found, key=lambda each: (-each.level.rank, -each.since, each.event.value, each.subject))

    def counted(self) -> Counter[tuple[str, str]]:
        """Count them by name and level."""
        held = (alarm for alarms in self._active.values() for alarm in alarms.values())
        return Counter((alarm.event.value, alarm.level.value) for alarm in held)

    def left_out(self) -> Mapping[Event, int]:
        """Return how many reports were not kept because there were too many alarms of their kind.

        They are forgotten once half of these alarms are over.
        """
        for event in list(self._left_out):
            if len(self._active.get(event, ())) <= SUBJECTS_MAX // 2:
                del self._left_out[event]
        return self._left_out

    def subjects_of(self, event: Event) -> Iterable[str]:
        """Return the subjects for which one kind of alarm holds."""
        return tuple(self._active.get(event, ()))

    def history(self) -> list[Alarm]:
        """Return the alarms that were cleared, the latest first."""
        return list(reversed(self._history))

    def _raise(self, event: Event, facts: Mapping[str, object], at: int) -> list[AlarmChange]:
        kind, level = KINDS[event], self.level_of(event)
        if level is Level.OFF:
            return []
        alarms, subject = self._active.setdefault(event, {}), _subject(kind, facts)
        text = _text(facts, without=(*kind.subject, _TRACEBACK))
        known = alarms.get(subject)
        self._unconfirmed.pop((event, subject), None)
        if known is not None:
            alarms[subject] = msgspec.structs.replace(known, last=at, count=known.count + 1, text=text)
            is_delivered = kind.by_stages and text != known.text and not known.is_silent(at) and not known.is_held_back
            return [AlarmChange(alarms[subject], is_raised=True)] if is_delivered else []
        if len(alarms) >= SUBJECTS_MAX:
            self._left_out[event] += 1
            return []
        until = self._silences.get((event, subject), at)
        silent_until = until if at < until else None
        is_held_back = silent_until is not None
        alarm = Alarm(event, subject, level, at, at, 1, text, silent_until=silent_until, is_held_back=is_held_back)
        alarms[subject] = alarm
        return [AlarmChange(alarm, is_raised=True)]

    def _cleared(self, alarm: Alarm, at: int) -> AlarmChange:
        ended = msgspec.structs.replace(alarm, cleared_at=at)
        self._history.append(ended)
        return AlarmChange(ended, is_raised=False)


def _subject(kind: AlarmKind, facts: Mapping[str, object]) -> str:
    return " ".join(_shown(facts[name]) for name in kind.subject if name in facts)


def _text(facts: Mapping[str, object], without: Iterable[str]) -> str:
    said = ", ".join(f"{name}: {_shown(value)}" for name, value in facts.items() if name not in without)
    return said[:TEXT_CHARACTERS_MAX]


def _shown(value: object) -> str:
    """Return a value as one line; what callers send may hold control characters, and bytes that are not UTF-8."""
    whole = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    text = whole[:_VALUE_CHARACTERS_MAX]
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
