"""Periods of invoices, as people write them: 2026-10, 2026-10-H1, 2026-W41, 2026-10-05."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from vosd.base.errors import VosError
from vosd.billing.invoice_terms import InvoiceCycle

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HALF: Final = 15
"""Last day of the first half of a month."""
_FORM: Final = re.compile(r"([2-8]\d{3})-(?:W(\d\d)|(\d\d)(?:-(?:H([12])|(\d\d)))?)")


class BadPeriodError(VosError):
    """The text is no period."""


class InvoicePeriod(NamedTuple):
    """A period by its first day and the first day behind it."""

    cycle: InvoiceCycle
    first: date
    behind: date

    def __str__(self) -> str:
        match self.cycle:
            case InvoiceCycle.MONTH:
                return f"{self.first:%Y-%m}"
            case InvoiceCycle.HALF_MONTH:
                return f"{self.first:%Y-%m}-H{1 if self.first.day == 1 else 2}"
            case InvoiceCycle.WEEK:
                year, week, _ = self.first.isocalendar()
                return f"{year:04d}-W{week:02d}"
            case InvoiceCycle.DAY:
                return self.first.isoformat()

    def bounds(self, zone: ZoneInfo) -> tuple[int, int]:
        """Return its first moment in a zone and the first moment behind it, UTC milliseconds."""
        return midnight(self.first, zone), midnight(self.behind, zone)


def period_of(text: str) -> InvoicePeriod:
    """Return the period that a text names; raises BadPeriodError where it names none."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise _bad(text)
    year, week, month, half, day = found.groups()
    try:
        if week is not None:
            first = date.fromisocalendar(int(year), int(week), 1)
            return InvoicePeriod(InvoiceCycle.WEEK, first, first + timedelta(days=7))
        first = date(int(year), int(month), int(day or 1))
        if day is not None:
            return InvoicePeriod(InvoiceCycle.DAY, first, first + timedelta(days=1))
        next_month = (first + timedelta(days=31)).replace(day=1)
    except (ValueError, OverflowError) as error:
        raise _bad(text) from error
    if half is None:
        return InvoicePeriod(InvoiceCycle.MONTH, first, next_month)
    middle = first.replace(day=_HALF + 1)
    if half == "1":
        return InvoicePeriod(InvoiceCycle.HALF_MONTH, first, middle)
    return InvoicePeriod(InvoiceCycle.HALF_MONTH, middle, next_month)


def periods_that_end(first: date, behind: date, cycle: InvoiceCycle) -> list[InvoicePeriod]:
    """Return the periods of a cycle whose last days are from ``first`` on and before ``behind``."""
    days = [first + timedelta(days=number) for number in range((behind - first).days)]
    periods = [_period_with(day, cycle) for day in days]
    return [each for day, each in zip(days, periods, strict=True) if each.behind == day + timedelta(days=1)]


def _period_with(day: date, cycle: InvoiceCycle) -> InvoicePeriod:
    match cycle:
        case InvoiceCycle.MONTH:
            return period_of(f"{day:%Y-%m}")
        case InvoiceCycle.HALF_MONTH:
            return period_of(f"{day:%Y-%m}-H{1 if day.day <= _HALF else 2}")
        case InvoiceCycle.WEEK:
            year, week, _ = day.isocalendar()
            return period_of(f"{year:04d}-W{week:02d}")
        case InvoiceCycle.DAY:
            return period_of(day.isoformat())


def midnight(day: date, zone: ZoneInfo) -> int:
    """Return the begin of a day in a zone, UTC milliseconds."""
    return (datetime(day.year, day.month, day.day, tzinfo=zone) - _EPOCH) // timedelta(milliseconds=1)


def day_of(moment: int, zone: ZoneInfo) -> date:
    """Return the day of a moment, UTC milliseconds, in a zone."""
    return (_EPOCH + timedelta(milliseconds=moment)).astimezone(zone).date()


def _bad(text: str) -> BadPeriodError:
    return BadPeriodError(f"{text!r} is no period: expected one such as 2026-10, 2026-10-H1, 2026-W41 or 2026-10-05")
