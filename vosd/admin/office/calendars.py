"""Use case of calendars: the days of one as they would be, before it is saved."""

import asyncio
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated, Any, Final

import msgspec

from vosd.admin.office.office import Office, needs
from vosd.admin.office.principal import OrderError, Permission, Principal
from vosd.routing.calendar import DAY_S, CalendarSpan

DAYS_MAX: Final = 31
ENTRIES_MAX: Final = 500
"""Most entries of a calendar that is drawn: each is compared with each, and no right to change is needed."""
_MINUTE_S: Final = 60
_HOUR_S: Final = 60 * _MINUTE_S


class DrawCalendar(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A calendar that need not exist."""

    name: str
    """Name of the calendar, by which mistakes say where they are."""
    keys: dict[str, Any]
    """Keys and values of the calendar, as those of an object."""
    first: str
    """The first day, such as 2026-12-31."""
    days: Annotated[int, msgspec.Meta(ge=1, le=DAYS_MAX)] = 7
    """Number of days."""


class CalendarSpanSheet(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a day, of which the calendar says the same throughout."""

    begins: str
    """Time by the clock of the zone, such as 09:00."""
    ends: str
    """The first moment behind it; 24:00 is the end of the day."""
    working: bool
    """Whether it is working time."""
    decided_by: str
    """Kind of the entry that decides: `date` (also a holiday), `dates`, `weekday`, `time`; `default` = none does."""
    used: bool
    """Whether a gateway is used then that is bound to the calendar and has no `while`."""


class CalendarDaySheet(msgspec.Struct, frozen=True, kw_only=True):
    """A day of a calendar."""

    date: str
    """Day, such as 2026-12-31."""
    weekday: str
    """Day of the week, such as `mon`."""
    holiday: bool
    """Whether it is one of the holidays."""
    spans: tuple[CalendarSpanSheet, ...]
    """Parts of the day, from 00:00 to 24:00."""


class CalendarDays(msgspec.Struct, frozen=True, kw_only=True):
    """Days of a calendar by the clock on the wall of its zone."""

    timezone: str
    """The zone whose clock counts."""
    days: tuple[CalendarDaySheet, ...]
    """The days, one after the other."""


_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@needs(Permission.DEFINITIONS_SEE, without_database=True)
async def draw_calendar(office: Office, who: Principal, order: DrawCalendar) -> CalendarDays:
    """Return what a calendar says of some days; nothing is stored.

    Raises:
        OrderError: ``first`` is no day, or there are too many entries.
        ConfigError: the calendar has mistakes.
    """
    try:
        first = date.fromisoformat(order.first)
        days = [first + timedelta(days=number) for number in range(order.days)]
    except (ValueError, OverflowError):
        raise OrderError("first", f"is {order.first!r}: expected a day such as 2026-12-31") from None
    entries = order.keys.get("entries")
    if isinstance(entries, list) and len(entries) > ENTRIES_MAX:
        raise OrderError("keys", f"has {len(entries):,} entries: a calendar of more than {ENTRIES_MAX} is not drawn")
    # In a thread: a process that serves others does not stop for it.
    return await asyncio.to_thread(_drawn, office, order, days)


def _drawn(office: Office, order: DrawCalendar, days: Sequence[date]) -> CalendarDays:
    calendar = office.definitions.calendar(order.name, order.keys)
    return CalendarDays(
        timezone=str(calendar.zone),
        days=tuple(
            CalendarDaySheet(
                date=day.isoformat(),
                weekday=_WEEKDAYS[day.weekday()],
                holiday=day in calendar.holidays,
                spans=tuple(map(_sheet, calendar.spans(day))),
            )
            for day in days
        ),
    )


def _sheet(span: CalendarSpan) -> CalendarSpanSheet:
    standing = span.standing
    return CalendarSpanSheet(
        begins=_time(span.from_s),
        ends=_time(span.until_s),
        working=standing.is_working,
        decided_by=standing.tier.name.lower(),
        used=standing.fits,
    )


def _time(second: int) -> str:
    """Return a second of the day as it is written in a calendar."""
    if second == DAY_S:
        return "24:00"
    whole = f"{second // _HOUR_S:02}:{second % _HOUR_S // _MINUTE_S:02}"
    return f"{whole}:{second % _MINUTE_S:02}" if second % _MINUTE_S else whole
