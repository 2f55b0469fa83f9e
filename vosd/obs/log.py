"""The log: format and destination of lines, and the one line for a whole call.

Lines go to standard error: as JSON, or as coloured text on a terminal. To log never fails (``log_output``). The only
event with a fixed shape is ``call``, because operators search for its fields.
"""

import atexit
import json
import logging
import sys
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from time import time_ns
from typing import Any, Final, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from vosd.base.money import format_amount
from vosd.base.text import escaped
from vosd.cdr.record import ELSEWHERE, Attempt, CallRecord
from vosd.obs.alarms import KINDS, WATCHED, Level
from vosd.obs.events import FOLLOWED, GONE, Event
from vosd.obs.log_output import LogOutput
from vosd.obs.remedies import REMEDIES
from vosd.obs.stream import EventStream, Noted

_alarm_levels: Final[dict[str, Level]] = {event.value: kind.level for event, kind in KINDS.items()}

_LIBRARIES_QUIET_BELOW: Final = logging.WARNING
"""Level of messages of libraries, which use the standard library's logging; lower ones are never shown."""

events: Final = EventStream()
"""The events of alarms and followers that were logged since ``configure``, whatever the level of the log."""


def configure(level: str, stream: TextIO | None = None) -> None:
    """Set the log's level (debug, info, warning or error) and shape; another call changes a running switch's level.

    Raises:
        KeyError: for a level that is none of these; the configuration has checked it before.
    """
    write_call_lines()
    out, is_terminal = _output(stream or sys.stderr)
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        _level_of_alarm,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    lines = _Lines(out)
    renderers = _console() if is_terminal else _json()
    structlog.configure(
        processors=[*shared, *renderers],
        wrapper_class=_noting_events(threshold),
        logger_factory=lambda *_: lines,
        # A cached logger would keep the level of its first use after a reload.
        cache_logger_on_first_use=False,
    )
    _calls.direct = None if is_terminal else out
    _calls.is_wanted = threshold <= logging.INFO
    _calls.level = level
    _adopt_library_logs(lines, shared, renderers, max(threshold, _LIBRARIES_QUIET_BELOW))


def open_anew() -> None:
    """Log to standard error as before, in a copy of the process, whose log has a descriptor that leads nowhere."""
    _calls.output = _calls.direct = None
    _calls.waiting.clear()  # the other process writes them
    configure(_calls.level)


def lines_lost() -> int:
    """Return how many lines could not be written since ``configure``."""
    return 0 if _calls.output is None else _calls.output.lost


def finish() -> None:
    """Write lines that wait, as far as the log takes them now: the process ends."""
    write_call_lines()
    if _calls.output is not None:
        _calls.output.finish()


def _output(stream: TextIO | None) -> tuple[LogOutput, bool]:
    """Return the destination of lines, and whether that is a terminal: the present one, with its lines that wait."""
    if _calls.output is None:
        atexit.register(finish)
    if _calls.output is None or _calls.output.stream is not stream:
        _calls.output = LogOutput(stream, _Reports())
    return _calls.output, stream is not None and stream.isatty()


class _Reports:
    """Events about the log itself: they are lines of it, so that they raise and end the alarm."""

    def not_written(self, error: str) -> None:
        """Raise the alarm; the line is written when that is possible again."""
        means = "calls go on; a megabyte of lines waits in memory, further ones are lost"
        _log.warning(Event.LOG_NOT_WRITTEN.value, error=error, means=means, do=REMEDIES[Event.LOG_NOT_WRITTEN])

    def lines_lost(self, count: int) -> None:
        """Log a gap, whatever the level of the log."""
        _log.error("log_lines_lost", lines=count, means="so many lines are missing here")

    def written(self) -> None:
        """End the alarm."""
        _log.info(Event.LOG_WRITTEN.value)


class _Lines:
    """The log as structlog and the standard library write to it."""

    def __init__(self, out: LogOutput) -> None:
        self._write: Final = out.write

    def msg(self, line: str) -> None:
        self._write(f"{line}\n".encode(errors="backslashreplace"))

    debug = info = warning = error = critical = msg

    def write(self, text: str) -> None:
        """Write a line of the standard library, which has its line feed."""
        self._write(text.encode(errors="backslashreplace"))

    def flush(self) -> None:
        """Do nothing: lines are written at once."""


@cache  # a class refers to itself: a switch that reloads would keep one of each reload
def _noting_events(threshold: int) -> type[FilteringBoundLogger]:
    """Return a logger that puts the events of alarms into ``events`` as well, also those below its level."""
    logger: Any = structlog.make_filtering_bound_logger(threshold)

    class NotingLogger(logger):  # type: ignore[misc]  # structlog makes its class at run time
        def info(self, event: str, *more: Any, **facts: Any) -> Any:
            _note(event, facts)
            return super().info(event, *more, **facts)

        def warning(self, event: str, *more: Any, **facts: Any) -> Any:
            _note(event, facts)
            return super().warning(event, *more, **facts)

        def error(self, event: str, *more: Any, **facts: Any) -> Any:
            _note(event, facts)
            return super().error(event, *more, **facts)

    return NotingLogger


_LEVELS_OF_ALARMS: Final = {Level.CRITICAL: "error", Level.WARNING: "warning", Level.INFO: "info"}


def _level_of_alarm(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Give the line of an alarm the level of the alarm (critical is error); that of its end keeps its own."""
    level = _alarm_levels.get(event.get("event", ""))
    if level is not None and event.get("why") != GONE:
        event["level"] = _LEVELS_OF_ALARMS.get(level, event["level"])
    return event


def set_alarm_levels(levels: Mapping[Event, Level]) -> None:
    """Write lines of alarms with these levels, of other alarms with those of ``KINDS``."""
    _alarm_levels.update({event.value: levels.get(event, kind.level) for event, kind in KINDS.items()})


def _note(event: str, facts: dict[str, Any]) -> None:
    if event in WATCHED or event in FOLLOWED:
        events.put(Noted(event, facts, time_ns() // 1_000_000))


def _console() -> Sequence[Processor]:
    # Not that of rich, the default: it shows the values of variables, among them passwords, and takes half a second.
    plain = structlog.dev.plain_traceback
    return [_escape_control_characters, structlog.dev.ConsoleRenderer(colors=True, exception_formatter=plain)]


def _escape_control_characters(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Escape control characters, so that numbers sent by callers cannot control the operator's terminal."""
    for name, value in event.items():
        if isinstance(value, str) and not value.isprintable() and name != "stack":
            event[name] = value.encode("unicode_escape").decode("ascii")
    return event


def _json() -> Sequence[Processor]:
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_encode)]


def _encode(event: EventDict, default: Callable[[object], object], **_: Any) -> str:
    try:
        return msgspec.json.encode(event, enc_hook=default).decode()
    except UnicodeEncodeError:
        # Bytes of a call that are not UTF-8 are lone surrogates, which only the slow encoder can write.
        return json.dumps(event, default=default)


def _adopt_library_logs(
    lines: _Lines, shared: Sequence[Processor], renderers: Sequence[Processor], threshold: int
) -> None:
    """Format lines of asyncio, SQLAlchemy and Alembic like our own."""
    handler = logging.StreamHandler(lines)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)


LINES_AT_ONCE: Final = 100
"""Most lines of calls that wait to be written."""
SILENCE: Final = "no response"
"""Shown instead of the status of an attempt without final response."""


class _Refused(msgspec.Struct):
    """The part of the verdicts of a call that its line has (``callcontrol.verdicts``)."""

    refusal: str = ""


class _CallLine(msgspec.Struct, omit_defaults=True):
    """The fields of a call's line; empty ones are left out."""

    call_id: str
    reason: str
    code: int | None = None
    hangup_source: str | None = None
    mapping_gateway: str | None = None
    routing_gateway: str | None = None
    customer: str | None = None
    vendor: str | None = None
    caller: str | None = None
    callee: str | None = None
    callee_billing: str | None = None
    callee_out: str | None = None
    source: str | None = None
    destination: str | None = None
    sip_call_id_in: str | None = None
    sip_call_id_out: str | None = None
    attempts: int = 0
    tried: str | None = None
    """Each attempt with its final status."""
    pdd_ms: int | None = None
    hold_ms: int | None = None
    billed_s: int = 0
    fee: str | None = None
    tax: str | None = None
    cost: str | None = None
    currency: str | None = None
    refusal: str | None = None
    """Why the switch has refused the call, in words: the list, the limit, the prefix."""
    event: str | None = None
    level: str | None = None
    timestamp: str | None = None


class _Calls:
    """Destination of call lines; ``direct`` is that of a JSON log, None if structlog formats them."""

    output: LogOutput | None = None
    """Destination of all lines, once it is known."""
    direct: LogOutput | None = None
    is_wanted: bool = True
    level: str = "info"
    """That of the log."""
    waiting: Final[list[bytes]] = []
    """Lines that are not written yet."""


_log = structlog.get_logger()
_calls: Final = _Calls()
_encode_line: Final = msgspec.json.Encoder().encode
_refused_in: Final = msgspec.json.Decoder(_Refused).decode


def _without_code(attempt: Attempt) -> str:
    return SILENCE if attempt.was_sent and attempt.reason not in ELSEWHERE else attempt.reason.lower()


def _refusal_in(verdicts: str) -> str | None:
    try:
        return _refused_in(verdicts).refusal or None
    except msgspec.DecodeError:  # `vosd cdr show --why` does without them, too
        return None


def call_line(record: CallRecord) -> None:
    """Log the line of one call, at INFO: all that an operator searches for, once.

    Money is plain text in the record's currency, durations are in milliseconds, empty fields are left out. A thousand
    of these are written a second, so for a JSON log they bypass the processors of other lines, and wait for
    ``write_call_lines``.
    """
    if not _calls.is_wanted:
        return
    tried = ""
    for attempt in record.attempts:
        tried = f"{tried}{', ' if tried else ''}{attempt.gateway} {attempt.code or _without_code(attempt)}"
    line = _CallLine(  # by position: to find 26 fields by their names takes longer than to encode them
        record.call_id,
        record.end_reason,
        record.sip_code,
        record.hangup_source,
        record.mapping_gateway,
        record.routing_gateway,
        record.customer_account,
        record.vendor_account,
        record.caller_in,
        record.callee_in,
        record.callee_billing,
        record.callee_out,
        record.source_address,
        record.destination_address,
        record.sip_call_id_in,
        record.sip_call_id_out,
        len(record.attempts),
        tried or None,
        record.pdd_ms,
        record.hold_time_ms if record.answered_at is not None else None,
        record.billed_seconds,
        format_amount(record.fee) if record.fee else None,
        format_amount(record.tax) if record.tax else None,
        format_amount(record.cost) if record.cost else None,
        record.currency,
        None if record.verdicts is None or record.answered_at is not None else _refusal_in(record.verdicts),
    )
    if _calls.direct is None:
        _log.info("call", **{name: value for name, value in msgspec.structs.asdict(line).items() if value is not None})
        return
    line.event, line.level, line.timestamp = "call", "info", _now()
    try:
        encoded = _encode_line(line)
    except UnicodeEncodeError:
        encoded = _encode_line(escaped(line))
    waiting = _calls.waiting
    waiting.append(encoded)
    if len(waiting) >= LINES_AT_ONCE:
        write_call_lines()


def write_call_lines() -> None:
    """Write the lines of calls that wait; to be called soon after each call has ended."""
    waiting, direct = _calls.waiting, _calls.direct
    if not waiting:
        return
    lines = b"\n".join((*waiting, b""))
    waiting.clear()
    if direct is not None:
        direct.write(lines)


def _now() -> str:
    second, nanoseconds = divmod(time_ns(), 1_000_000_000)  # the time of writing a line is no argument
    return f"{_second_text(second)}.{nanoseconds // 1_000:06d}Z"


@lru_cache(maxsize=1)  # a thousand lines of one second share it
def _second_text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


_PERIOD_MS: Final = 60_000
_PLACES_MAX: Final = 3
"""Places of a host that have a line of their own in a period."""


class LogLimiter:
    """Limits repeated events to one line for each key and period, in bounded memory.

    A scanner with more source addresses than ``keys_max`` shares one line a period for all that do not fit.
    """

    _OVERFLOW: Final = ""

    def __init__(self, keys_max: int = 4_096) -> None:
        self._keys_max = keys_max
        self._last: OrderedDict[str, int] = OrderedDict()
        """Monotonic milliseconds of each key's last line, oldest first."""

    def __len__(self) -> int:
        return len(self._last)

    def admits(self, key: str, mono_ms: int) -> bool:
        """Return whether the event of ``key`` at ``mono_ms`` is logged; the caller should count the others."""
        self._forget_until(mono_ms - _PERIOD_MS)
        if key not in self._last and len(self._last) >= self._keys_max:
            key = self._OVERFLOW
        if key in self._last:
            return False
        self._last[key] = mono_ms
        return True

    def forget(self, key: str) -> None:
        """Admit the next event of a key, however soon it comes."""
        self._last.pop(key, None)

    def _forget_until(self, mono_ms: int) -> None:
        while self._last and next(iter(self._last.values())) <= mono_ms:
            self._last.popitem(last=False)


class PlaceLimiter:
    """Limits events at places, such as ports of a host, to one line for each place and a few for each host a period.

    Behind one NAT there may be thousands of telephones. Memory is bounded, and hosts that do not fit share the lines of
    one.
    """

    _OVERFLOW: Final = ""

    def __init__(self, hosts_max: int = 4_096) -> None:
        self._hosts_max = hosts_max
        self._hosts: OrderedDict[str, tuple[int, set[str]]] = OrderedDict()
        """Begin of the period of each host, and its places that have a line; the oldest first."""
        self._unlogged = Counter[str]()
        """Events since the last line of a host."""

    def __len__(self) -> int:
        return len(self._hosts)

    def count(self, host: str, place: str, mono_ms: int) -> int:
        """Return how many events the line of this one stands for, those of its host since the last line; 0 = no line.

        Those of a host of which nothing comes in the period behind them are in no line.
        """
        while self._hosts and next(iter(self._hosts.values()))[0] <= mono_ms - 2 * _PERIOD_MS:
            self._unlogged.pop(self._hosts.popitem(last=False)[0], None)
        if host not in self._hosts and len(self._hosts) >= self._hosts_max:
            host = self._OVERFLOW
        self._unlogged[host] += 1
        begun, places = self._hosts.get(host, (mono_ms, set()))
        if begun <= mono_ms - _PERIOD_MS:
            begun, places = mono_ms, set()
            del self._hosts[host]
        self._hosts[host] = begun, places
        if place in places or len(places) >= _PLACES_MAX:
            return 0
        places.add(place)
        return self._unlogged.pop(host)
