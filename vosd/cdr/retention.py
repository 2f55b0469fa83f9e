"""Plan up to when records may be dropped (ADR 73).

What may be dropped is always a beginning: everything before a date. The date is that of the configuration, or an
earlier one where a guard says so. It does not know databases, files and the time.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple

from vosd.base.errors import VosError
from vosd.cdr.columns import iso_utc

DAY_MS: Final = 86_400_000
LONGEST_CALL_MS: Final = 8 * DAY_MS
"""No call lasts a week: one that began so long before a close has ended before it, and audits begin there."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FOUR_YEARS: Final = range(80_000, 80_000 + 4 * 365 + 1)
"""Days since 1970, so late that the longest time does not reach back behind it."""


class DroppedPeriod(VosError):  # noqa: N818 - states what was found
    """The records that are asked for were dropped."""


class DroppedSums(DroppedPeriod):
    """The sums of a report that is asked for were dropped."""

    remedy = "ask for a time from then on"


class RecordKind(Enum):
    """Kinds of records that are kept for a time; the value is the key of the configuration, and is stored."""

    CALLS = "calls"
    """CDRs with their attempts, charges and corrections."""
    LEDGER = "ledger"
    """Ledger entries of calls and of their corrections."""
    PAYMENTS = "payments"
    """Ledger entries that are not of calls: payments, adjustments, transfers, minimum charges."""
    NUMBERS = "numbers"
    """Telephone numbers of calls, which are masked; the calls stay."""
    SUMS = "sums"
    """Sums of calls for reports, by quarters of an hour and days."""


class Guard(Enum):
    """The reasons that keep records from being dropped although their time is over."""

    CLOSE = "close"
    JOURNAL = "journal"
    EXPORT = "export"
    SUMS = "sums"
    CALLS = "calls"
    ARCHIVE = "archive"


class Age(NamedTuple):
    """A time for which records are kept."""

    months: int = 0
    days: int = 0

    def __str__(self) -> str:
        if self.days:
            number, unit = self.days, "day"
        elif self.months % 12 == 0:
            number, unit = self.months // 12, "year"
        else:
            number, unit = self.months, "month"
        return f"{number} {unit}{'' if number == 1 else 's'}"

    def is_at_least(self, other: "Age") -> bool:
        """Return whether it is never shorter than another one, on no day of four years."""
        return _is_at_least(self, other)

    def before(self, now: int) -> int:
        """Return the midnight, UTC, before which records are older: times are UTC milliseconds."""
        today = (_EPOCH + timedelta(milliseconds=now)).replace(hour=0, minute=0, second=0, microsecond=0)
        months = today.year * 12 + today.month - 1 - self.months
        if months < 12:
            return 0
        first = today.replace(year=months // 12, month=months % 12 + 1, day=1)
        of_month = (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
        day = first.replace(day=min(today.day, of_month.day)) - timedelta(days=self.days)
        return max((day - _EPOCH) // timedelta(milliseconds=1), 0)


@lru_cache  # the settings are read for most requests of the API, and it takes ten milliseconds
def _is_at_least(age: Age, other: Age) -> bool:
    return all(age.before(day * DAY_MS) <= other.before(day * DAY_MS) for day in _FOUR_YEARS)


class ExportProgress(NamedTuple):
    """The progress of an export of calls."""

    name: str
    oldest_left: int | None
    """Begin of the oldest call that it has not taken, UTC milliseconds; None = it has taken all."""


class RetentionFacts(NamedTuple):
    """The facts that guards know; times are UTC milliseconds."""

    closes: Sequence[int]
    """The dates to which the books are closed."""
    journal_oldest: int | None
    """Begin of the oldest call that is in the journal or in quarantine; None = there is none."""
    exports: Sequence[ExportProgress] = ()
    sums_oldest: int | None = None
    """Begin of the oldest call that is not in the sums of reports; None = there is none."""
    kept_oldest: int | None = None
    """Begin of the oldest call in booked files of the journal, which are kept for a while; None = there is none."""


class RetentionHold(NamedTuple):
    """A guard that keeps records although their time is over."""

    guard: Guard
    until: int
    """Records from then on are kept, UTC milliseconds; 0 = all."""
    why: str


class DropPlan(NamedTuple):
    """Up to when records of one kind are dropped; times are UTC milliseconds."""

    kind: RecordKind
    wanted: int
    """Before then the time of the configuration is over."""
    until: int
    """Records from before are dropped; 0 = none. Never later than ``wanted``."""
    holds: Sequence[RetentionHold]
    """Why it is earlier, the one that keeps most first."""


def plan_calls(age: Age, now: int, found: RetentionFacts, minimum: Age | None = None) -> DropPlan:
    """Return up to when calls may be dropped, by when they began.

    Never dropped is a call that is younger than the ``minimum`` of the law, one that an audit compares, one that the
    journal or the quarantine has, for it may be booked again, one that an export has not taken, and one that is not in
    the sums of reports.
    """
    return _plan_of_calls(RecordKind.CALLS, _wanted(age, minimum, now), found)


def plan_numbers(age: Age, now: int, found: RetentionFacts) -> DropPlan:
    """Return up to when the numbers of calls may be masked, by when they began.

    The guards are those of calls that are dropped, but for the minimum of the law and the sums of reports: the calls
    themselves are kept.
    """
    return _plan_of_calls(RecordKind.NUMBERS, age.before(now), found._replace(sums_oldest=None))


def plan_ledger(age: Age, now: int, found: RetentionFacts, calls_dropped: int, minimum: Age | None = None) -> DropPlan:
    """Return up to which close entries of calls may be dropped; ``calls_dropped`` is before when calls were.

    The date is always one of a close, because a checkpoint holds what the entries before it add up to.
    """
    wanted = _wanted(age, minimum, now)
    holds = []
    if calls_dropped < wanted:
        since = f"from {_date(calls_dropped)} on" if calls_dropped else "all"
        why = f"calls are kept {since}, and so are their entries"
        holds.append(RetentionHold(Guard.CALLS, calls_dropped, why))
    limit = min(wanted, calls_dropped)
    until = max((close for close in found.closes if close <= limit), default=0)
    if not any(close >= wanted for close in found.closes):
        holds += _held_by_close(found.closes, wanted)
    return DropPlan(RecordKind.LEDGER, wanted, until, sorted(holds, key=lambda hold: hold.until))


def plan_payments(age: Age, now: int, found: RetentionFacts, minimum: Age | None = None) -> DropPlan:
    """Return up to which close entries that are not of calls may be dropped; a checkpoint holds their sum."""
    wanted = _wanted(age, minimum, now)
    until = max((close for close in found.closes if close <= wanted), default=0)
    holds = [] if any(close >= wanted for close in found.closes) else _held_by_close(found.closes, wanted)
    return DropPlan(RecordKind.PAYMENTS, wanted, until, holds)


def plan_sums(age: Age, now: int, calls_gone: int, minimum: Age | None = None) -> DropPlan:
    """Return up to when sums for reports may be dropped; ``calls_gone`` is before when there are no calls any more."""
    wanted = _wanted(age, minimum, now)
    if calls_gone >= wanted:
        return DropPlan(RecordKind.SUMS, wanted, wanted, ())
    until = _day(calls_gone)
    since = f"from {_date(until)} on" if until else "all"
    hold = RetentionHold(Guard.CALLS, until, f"calls are kept {since}, and so are their sums")
    return DropPlan(RecordKind.SUMS, wanted, until, (hold,))


def _plan_of_calls(kind: RecordKind, wanted: int, found: RetentionFacts) -> DropPlan:
    holds = [*_held_by_close(found.closes, wanted), *_held_by_journal(found), *_held_by_exports(found.exports)]
    if found.sums_oldest is not None:
        why = "the sums of reports lack calls: the switch adds them up while it runs, or vosd report rebuild"
        holds.append(RetentionHold(Guard.SUMS, found.sums_oldest, why))
    holding = sorted((hold for hold in holds if _day(hold.until) < wanted), key=lambda hold: hold.until)
    return DropPlan(kind, wanted, min((_day(hold.until) for hold in holding), default=wanted), holding)


def _wanted(age: Age, minimum: Age | None, now: int) -> int:
    return age.before(now) if minimum is None else min(age.before(now), minimum.before(now))


def _held_by_close(closes: Iterable[int], wanted: int) -> list[RetentionHold]:
    latest = max(closes, default=0)
    until = max(latest - LONGEST_CALL_MS, 0)
    if until >= wanted:
        return []
    if not latest:
        return [RetentionHold(Guard.CLOSE, 0, "no period is closed: vosd ledger close")]
    why = f"the books are closed until {_date(latest)} only, eight days before that an audit begins: vosd ledger close"
    return [RetentionHold(Guard.CLOSE, until, why)]


def _held_by_journal(found: RetentionFacts) -> Iterator[RetentionHold]:
    if found.journal_oldest is not None:
        why = f"the journal or the quarantine has a call of {iso_utc(found.journal_oldest)}, which may be booked yet"
        yield RetentionHold(Guard.JOURNAL, found.journal_oldest, f"{why}: vosd spool list")
    if found.kept_oldest is not None:
        why = f"booked files of the journal have a call of {iso_utc(found.kept_oldest)}"
        wait = "they go journal.keep_minutes after the start of the switch, or after they were booked"
        yield RetentionHold(Guard.JOURNAL, found.kept_oldest, f"{why}: {wait}")


def _held_by_exports(exports: Iterable[ExportProgress]) -> list[RetentionHold]:
    return [
        RetentionHold(Guard.EXPORT, each.oldest_left, f"{each.name} has not taken all calls yet: vosd cdr export")
        for each in exports
        if each.oldest_left is not None
    ]


def _day(moment: int) -> int:
    return moment - moment % DAY_MS


def _date(moment: int) -> str:
    return iso_utc(moment)[:10]


@dataclass(frozen=True, slots=True)
class KeepSettings:
    """The time for which booked files of the journal are kept, and their number at most."""

    keep_minutes: int = 60
    """Counted from when the file was booked or, if that is later, from the start of the switch; 0 keeps none."""
    keep_files: int = 64
    """Files of 64 MiB each; smaller ones count for their share. Those whose calls are not booked do not count, and
    stay."""
