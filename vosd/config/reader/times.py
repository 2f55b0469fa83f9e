"""Days, hours, dates and zones as operators write them."""

import re
from datetime import date
from functools import cache
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from vosd.catalogue.problems import suggestion
from vosd.cdr.retention import Age
from vosd.config.reader.fields import ExpectedError, FromText

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_S: Final = 86_400
_TIME: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?\Z", re.ASCII)
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)
_OFFSET: Final = re.compile(r"(?:UTC|GMT)?[+-]\d{1,2}(?::?[0-5]\d)?\Z", re.ASCII | re.IGNORECASE)
"""Offset from UTC; zones whose names look like one, such as GMT+0, are known before."""
LOCALTIME: Final = Path("/etc/localtime")
"""The zone of the machine, unless the environment variable TZ names another."""

Day = date
DaySpan = tuple[date, date]
"""The first and the last day, both included."""


def weekday() -> FromText:
    """Read a week day as a number, Monday 0."""

    def read(text: str) -> int:
        return DAYS.index(text.lower())

    return FromText(f"one of {', '.join(DAYS)}", read, DAYS.__getitem__)


def start_of_hours() -> FromText:
    """Read a time of the day as seconds since midnight."""
    return FromText("a time such as 09:00 or 09:00:30", _seconds, _clock_time)


def _clock_time(seconds: int) -> str:
    hours, rest = divmod(seconds, 3_600)
    minutes, rest = divmod(rest, 60)
    return f"{hours:02}:{minutes:02}" + (f":{rest:02}" if rest else "")


def end_of_hours() -> FromText:
    """Read the end of hours as seconds since midnight; the end 23:59:59 is the end of the day."""

    def read(text: str) -> int:
        if text == "24:00":
            return _DAY_S
        seconds = _seconds(text)
        return _DAY_S if seconds == _DAY_S - 1 else seconds

    return FromText("a time such as 18:00 or 18:00:30, or 24:00", read)


def day() -> FromText:
    """Read a date."""
    return FromText("a date such as 2026-12-31", _date)


def span_of_days() -> FromText:
    """Read a range of dates, both ends included."""

    def read(text: str) -> DaySpan:
        first, dots, last = (part.strip() for part in text.partition(".."))
        if not dots or _date(last) < _date(first):
            raise ValueError
        return _date(first), _date(last)

    return FromText("two dates, the earlier first, such as 2026-08-01..2026-08-14", read)


def time_zone() -> FromText:
    """Read the name of a time zone."""

    def read(text: str) -> ZoneInfo:
        if not _is_zone(text):
            if _OFFSET.match(text):
                raise ExpectedError(f"{expected}, and no offset")
            near = suggestion(text, _zones())
            raise ExpectedError(f"{expected}; {near}" if near.endswith("?") else expected)
        return ZoneInfo(text)

    expected = "the name of a time zone, such as Europe/Berlin"
    return FromText(expected, read)


def machine_zone(variable: str, localtime: Path = LOCALTIME) -> ZoneInfo | None:
    """Return the zone of the machine; None if it is not one of the zone database.

    Args:
        variable: the environment variable TZ, empty where it is not set.
        localtime: the file that has the zone where it is not.
    """
    if variable:
        name = variable.removeprefix(":")
        return ZoneInfo(name) if _is_zone(name) else None
    if not localtime.exists():
        return ZoneInfo("UTC")
    _, is_link, name = str(localtime.resolve()).rpartition("/zoneinfo/")
    if is_link and _is_zone(name):
        return ZoneInfo(name)
    with localtime.open("rb") as file:
        return ZoneInfo.from_file(file, key=str(localtime))


def _is_zone(name: str) -> bool:
    if name not in _zones():
        _zones.cache_clear()  # the database may have been updated
    return name in _zones()


@cache
def _zones() -> frozenset[str]:
    """Return the names of the zone database, which takes 60 ms to read."""
    return frozenset(available_timezones())


def _seconds(text: str) -> int:
    match = _TIME.match(text)
    if match is None:
        raise ValueError
    return (int(match[1]) * 60 + int(match[2])) * 60 + int(match[3] or 0)


def _date(text: str) -> date:
    if not _DATE.match(text):
        raise ValueError
    return date.fromisoformat(text)


_AGE: Final = re.compile(r"(\d{1,5}) (day|month|year)s?\Z", re.ASCII)
_YEARS_MAX: Final = 100
_DAYS: Final = {"day": 1, "month": 30, "year": 365}


def age() -> FromText:
    """Read a time such as 180 days."""

    def read(text: str) -> Age:
        found = _AGE.match(text)
        if found is None or not int(found[1]):
            raise ValueError
        number, unit = int(found[1]), found[2]
        if number * _DAYS[unit] > 365 * _YEARS_MAX:
            raise ValueError
        return Age(days=number) if unit == "day" else Age(months=number * (12 if unit == "year" else 1))

    return FromText("a number of days, months or years, such as 180 days", read)
