"""Argument types that several verbs share: times, durations, amounts of money, call ids, end reasons.

Each converts text into a value or reports wrong usage (exit code 2); none looks anything up.
"""

import os
import pwd
import re
import sys
import time as clock
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import click

from vosd.base.ids import BEGINNING_DIGITS_MIN, beginning_of
from vosd.base.money import parse_amount
from vosd.cli.command import json_verb, remember

if TYPE_CHECKING:
    from vosd.admin.ledger import Month


ACTING: Final = "acting"
OPERATOR: Final = "operator"
OPERATOR_MAX: Final = 64
"""Most characters of a name in the ledger."""
OF_THE_SWITCH: Final = "the "
"""Beginning of the names under which the switch records its own actions: ``the switch``, ``the fraud watch``."""
COLUMN_MAX: Final = 2**63 - 1
"""Largest whole number that the databases take."""
FOR_PEOPLE: Final = 1_000
"""Items of a list for people who do not say how many."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = re.compile(r"[1-9]\d{3}-\d\d-\d\d\Z", re.ASCII)
_DAYS: Final = {"yesterday": -1, "today": 0, "tomorrow": 1}
_DURATION: Final = re.compile(r"(\d{1,6})\s*(s|m|min|h|d|w)\Z", re.ASCII)
_UNITS: Final = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_MONTH: Final = re.compile(r"([1-9]\d{3})-(0[1-9]|1[0-2])\Z", re.ASCII)
_LAST_MONTH: Final = "9999-12"
"""Last month, whose end is no date."""
_SECONDS: Final = re.compile(r"\d{1,9}(\.\d{1,3})?\Z", re.ASCII)


class MomentParameter(click.ParamType[int]):
    """A point in time; the value is UTC milliseconds since the epoch.

    ISO 8601 with ``Z`` or an offset, or as people say it: ``today``, ``yesterday``, ``tomorrow``, ``now``, ``8h`` (so
    long ago). Days begin at midnight of this machine's zone, and what was understood is printed to standard error.
    """

    name = "time"

    def __init__(self, *, is_past: bool = True, is_exact: bool = False) -> None:
        """``is_past``: a duration is accepted, as so long ago; ``is_exact``: only what has a zone is."""
        self._is_past = is_past
        self._is_exact = is_exact

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Convert the time; a date or a time without zone is wrong usage, because it is ambiguous."""
        if isinstance(value, int):
            return value
        moment = None if self._is_exact else self._spoken(value)
        if moment is not None:
            zone = moment.tzname() or "local time"
            click.echo(f"{value}: {moment.isoformat(timespec='seconds')} ({zone}, the zone of this machine)", err=True)
        else:
            moment = self._written(value, param, ctx)
        try:
            return (moment.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)
        except OverflowError:
            self.fail(f"{value!r} is not in the years 1 to 9999 of UTC", param, ctx)

    def _written(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            others = "" if self._is_exact else ", yesterday or 8h" if self._is_past else " or tomorrow"
            if ctx is not None and any("--for" in each.opts for each in ctx.command.params):
                others += "; --for takes how long, as --for 8h"
            self.fail(f"{value!r} is not a time such as 2026-03-01T12:00:00Z{others}", param, ctx)
        if moment.tzinfo is None:
            example = f"{value}T00:00:00Z" if _DAY.match(value) else "Z"
            self.fail(f"{value!r} has no zone: write {example} for UTC, or an offset such as +02:00", param, ctx)
        return moment

    def _spoken(self, value: str) -> datetime | None:
        """Return what a word or a duration means in the zone of this machine; None for another form."""
        word, now = value.lower(), datetime.fromtimestamp(_now_s(), UTC).astimezone()
        ago = _duration(word) if self._is_past else None
        if word == "now" or ago is not None:
            try:
                return now - (ago or timedelta())
            except OverflowError:
                return None
        if word not in _DAYS:
            return None
        midnight = datetime.combine(now.date() + timedelta(days=_DAYS[word]), time())
        return datetime.fromtimestamp(midnight.timestamp(), UTC).astimezone()  # clocks may skip it


class BookDate(click.ParamType[int | date]):
    """A point in time with its zone (UTC milliseconds), or a date, which begins in the zone of the books."""

    name = "date"

    def convert(self, value: str | int | date, param: click.Parameter | None, ctx: click.Context | None) -> int | date:
        """Convert the date or the time."""
        if not isinstance(value, str):
            return value
        if not _DAY.match(value):
            return EXACT.convert(value, param, ctx)
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no date", param, ctx)


def beginning_of_day(day: date, zone: ZoneInfo) -> int:
    """Return when a date begins in a zone, UTC milliseconds."""
    return (datetime.combine(day, time(), zone) - _EPOCH) // timedelta(milliseconds=1)


class Duration(click.ParamType[int]):
    """A duration as ``30m``, ``8h`` or ``2d``; the value is milliseconds."""

    name = "duration"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Convert the duration."""
        if isinstance(value, int):
            return value
        found = _duration(value.lower())
        if not found:
            self.fail(f"{value!r} is not a duration such as 30m, 8h or 2d", param, ctx)
        return found // timedelta(milliseconds=1)


def _now_s() -> float:
    return clock.time_ns() / 1_000_000_000


def _duration(text: str) -> timedelta | None:
    found = _DURATION.match(text)
    return None if found is None else int(found[1]) * _UNITS[found[2]]


class Expiry(NamedTuple):
    """When an account expires, UTC milliseconds; None = as configured."""

    wall_ms: int | None


class ExpiryTime(click.ParamType[Expiry]):
    """A point in time, ``never``, or ``configured`` for what the configuration says."""

    name = "expiry"

    def convert(self, value: str | Expiry, param: click.Parameter | None, ctx: click.Context | None) -> Expiry:
        """Convert the time."""
        from vosd.billing.accounts import NEVER

        if isinstance(value, Expiry):
            return value
        if value == "configured":
            return Expiry(None)
        return Expiry(NEVER if value == "never" else EXACT.convert(value, param, ctx))


class CalendarMonth(click.ParamType["Month"]):
    """A month as ``YYYY-MM``."""

    name = "month"

    def convert(self, value: "str | Month", param: click.Parameter | None, ctx: click.Context | None) -> "Month":
        """Convert the month."""
        from vosd.admin.ledger import Month

        if isinstance(value, Month):
            return value
        found = _MONTH.match(value)
        if found is None or value == _LAST_MONTH:
            self.fail(f"{value!r} is not a month such as 2026-11", param, ctx)
        return Month(int(found[1]), int(found[2]))


class PeriodOfInvoices(click.ParamType[str]):
    """A period of invoices: a month, half of one, a week or a day."""

    name = "period"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Accept the period; a text that names none is wrong usage."""
        from vosd.invoicing.periods import BadPeriodError, period_of

        try:
            return str(period_of(value))
        except BadPeriodError as error:
            self.fail(str(error), param, ctx)


class Zone(click.ParamType[ZoneInfo]):
    """A time zone by its name in the IANA database."""

    name = "zone"

    def convert(self, value: str | ZoneInfo, param: click.Parameter | None, ctx: click.Context | None) -> ZoneInfo:
        """Convert the zone."""
        if isinstance(value, ZoneInfo):
            return value
        try:
            return ZoneInfo(value)
        except (ValueError, KeyError, OSError):
            self.fail(f"{value!r} is not a time zone such as UTC or Europe/Berlin", param, ctx)


class Amount(click.ParamType[Decimal]):
    """An amount of money: digits with at most eight decimals, possibly negative."""

    name = "decimal"

    def convert(self, value: str | Decimal, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """Convert the amount exactly; separators and exponents are wrong usage."""
        if isinstance(value, Decimal):
            return value
        try:
            return parse_amount(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Seconds(click.ParamType[int]):
    """A duration in seconds with at most three decimals; the value is milliseconds."""

    name = "seconds"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Convert the duration exactly."""
        if isinstance(value, int):
            return value
        if not _SECONDS.match(value):
            self.fail(f"{value!r} is not a duration in seconds such as 61 or 61.250", param, ctx)
        return int(Decimal(value) * 1_000)


class WholeNumber(click.IntRange):
    """A whole number within bounds; those that are given stand in the help of the option."""

    name = "whole number"  # click says "a valid integer range" of one number


class Count(WholeNumber):
    """A whole number from a lowest one on; the database can compare with it."""

    def __init__(self, least: int, most: int = COLUMN_MAX) -> None:
        super().__init__(least)
        self._most = most  # a bound of the range would stand in the help of each option

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Convert the number; one that is too large is wrong usage."""
        number = int(super().convert(value, param, ctx))
        if number > self._most:
            self.fail(f"{value} is too large: at most {self._most}", param, ctx)
        return number


class CallId(click.ParamType[str]):
    """A call id or its beginning, of eight digits or more; the value is in canonical form."""

    name = "call_id"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Convert the id from either case, with or without hyphens."""
        beginning = beginning_of(value)
        if beginning is None:
            message = f"{value!r} is not a call id or the first {BEGINNING_DIGITS_MIN} or more of its digits"
            self.fail(f"{message}; for a SIP Call-ID say vosd cdr list --sip-call-id", param, ctx)
        return beginning


class TextFile(click.ParamType[str]):
    """The text of a file in UTF-8; ``-`` is standard input."""

    name = "file"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read the file, without the mark that some programs begin it with; other bytes are wrong usage."""
        try:
            with click.open_file(value, encoding="utf-8-sig") as file:
                return str(file.read())
        except OSError as error:
            self.fail(f"{value!r}: {error.strerror}", param, ctx)
        except UnicodeDecodeError:
            self.fail(f"{value!r} is no text in UTF-8: save a workbook as CSV UTF-8", param, ctx)


class ReasonParameter(click.ParamType[str]):
    """An end reason, in upper or lower case; the value is spelt as in a CDR."""

    name = "reason"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Convert the reason; an unknown one is wrong usage, and the message lists similar ones."""
        from vosd.admin.names import UnknownNameError, end_reason

        try:
            return end_reason(value)
        except UnknownNameError as error:
            self.fail(str(error), param, ctx)


class Operator(click.ParamType[str]):
    """Name of the person who runs the command, as recorded in the ledger."""

    name = "name"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Accept the name; one that is empty, too long or has control characters is wrong usage."""
        name = value.strip()
        if not 1 <= len(name) <= OPERATOR_MAX or not name.isprintable():
            self.fail(f"{value!r} is not a name of 1 to {OPERATOR_MAX} printable characters", param, ctx)
        if name.lower().startswith(OF_THE_SWITCH):
            self.fail(f"{value!r} is a name that only the switch records ({OF_THE_SWITCH}…)", param, ctx)
        return name


def operator_option(command: Any) -> Any:
    """Add ``--operator`` to a verb that books or overrides: the name to record (``cli.office.principal``)."""
    return click.option(
        "--operator",
        OPERATOR,
        type=Operator(),
        default=operator,
        metavar="NAME",
        expose_value=False,
        callback=remember,
        help="Who does it, for the records; default: who called sudo, else who is logged in.",
    )(command)


def operator_verb(command: Any) -> Any:
    """Add ``--operator`` to a verb beside what ``json_verb`` adds."""
    return operator_option(json_verb(command))


def limit_option(command: Any) -> Any:
    """Add ``--limit`` to a list that may be long; the verb gets None where the option is not given."""
    text = f"The first N; default {FOR_PEOPLE:,}, with --json all."
    return click.option("--limit", type=Count(1, COLUMN_MAX - 1), metavar="N", help=text)(command)  # one more is read


def as_option(command: Any) -> Any:
    """Add ``--as`` to a verb that an agent may use, too (``cli.office.principal``)."""
    text = "Act as this agent: with its rights, on its account and those below it."
    return click.option("--as", ACTING, metavar="AGENT", expose_value=False, callback=remember, help=text)(command)


def acts_as_agent() -> bool:
    """Return whether the verb was called with ``--as``."""
    return click.get_current_context().meta.get(ACTING) is not None


def operator(environ: Mapping[str, str] = os.environ) -> str:
    """Return the user who runs this command: under sudo the one who called sudo."""
    return environ.get("SUDO_USER", "").strip()[:OPERATOR_MAX] or _login()


def _login() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a user without a name, as in a container
        return str(os.getuid())


MOMENT = MomentParameter()
COMING = MomentParameter(is_past=False)
EXACT = MomentParameter(is_past=False, is_exact=True)
BOOK_DATE = BookDate()
DURATION = Duration()
EXPIRY = ExpiryTime()
MONTH = CalendarMonth()
PERIOD = PeriodOfInvoices()
ZONE = Zone()
CALL_ID = CallId()
REASON = ReasonParameter()
ANSWERED: Final = "Calls that were answered only, or that were not; default: both."
"""Meaning of ``--answered`` and ``--unanswered``."""
AMOUNT = Amount()
SECONDS = Seconds()


def yes_option(command: Any) -> Any:
    """Add ``--yes`` to a verb that asks."""
    return click.option("--yes", is_flag=True, help="Do not ask.")(command)


def ask(question: str, *, yes: bool) -> None:
    """Ask at a terminal whether to go on; ``yes`` is the answer that the command line gave.

    Programs that book for years must not stop at a question that did not exist when they were written.

    Raises:
        click.Abort: the answer was no.
    """
    if not yes and sys.stdin.isatty():
        click.confirm(question, abort=True, err=True)
