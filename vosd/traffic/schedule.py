"""Reports at fixed times: the periods that they are about, and when each is due."""

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class ReportRhythm(StrEnum):
    """Length of the periods of a scheduled report."""

    DAY = "day"
    WEEK = "week"
    """From Monday."""
    MONTH = "month"


class DuePeriod(NamedTuple):
    """A period, and when its report is due; UTC milliseconds."""

    since: int
    until: int
    due_at: int
    name: str
    """Such as 2026-10-05, 2026-W41 or 2026-10."""


def period_at(moment: int, rhythm: ReportRhythm, at_s: int, zone: ZoneInfo) -> DuePeriod:
    """Return the period that has a moment (UTC milliseconds).

    Its report is due ``at_s`` seconds behind the midnight of its end, by the clock of the zone.
    """
    day = (_EPOCH + timedelta(milliseconds=moment)).astimezone(zone).date()
    match rhythm:
        case ReportRhythm.DAY:
            first, behind, name = day, day + timedelta(days=1), day.isoformat()
        case ReportRhythm.WEEK:
            first = day - timedelta(days=day.weekday())
            behind = first + timedelta(days=7)
            year, week, _ = first.isocalendar()
            name = f"{year:04d}-W{week:02d}"
        case ReportRhythm.MONTH:
            first = day.replace(day=1)
            behind, name = (first + timedelta(days=31)).replace(day=1), f"{first:%Y-%m}"
    return DuePeriod(_moment(first, 0, zone), _moment(behind, 0, zone), _moment(behind, at_s, zone), name)


def _moment(day: date, at_s: int, zone: ZoneInfo) -> int:
    local = datetime(day.year, day.month, day.day) + timedelta(seconds=at_s)  # noqa: DTZ001 - the zone follows
    return (local.replace(tzinfo=zone) - _EPOCH) // timedelta(milliseconds=1)


def first_period(now: int, rhythm: ReportRhythm, at_s: int, zone: ZoneInfo) -> DuePeriod:
    """Return the first period of a schedule that begins now: one that is over, and due later today, or that of now."""
    current = period_at(now, rhythm, at_s, zone)
    before = period_at(current.since - 1, rhythm, at_s, zone)
    return before if before.due_at > now else current
