"""Calendars: from keys to the definitions of the catalogue."""

import warnings
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache, lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from vosd.catalogue.problems import ProblemList, suggestion
from vosd.config.assembly.conversion import full_conversion, require_all_used
from vosd.config.assembly.inventory import Inventory, Written, read_list
from vosd.config.keys.calendars import CalendarKeys, EntryKeys, HolidayKeys
from vosd.config.reader.document import Section
from vosd.config.reader.times import machine_zone
from vosd.routing.calendar import DAY_S, Calendar, CalendarEntry

CALENDARS: Final = "calendars"
HOLIDAY_YEARS: Final = range(2020, 2061)
"""Years whose public holidays a calendar knows."""

_ENTRY: Final = full_conversion(
    EntryKeys,
    CalendarEntry,
    renamed={"working": "is_working"},
    by_hand={"start": "from_s", "end": "until_s", "date": "first", "dates": "last"},
)
_CALENDAR: Final = full_conversion(
    CalendarKeys, Calendar, by_hand={"timezone": "zone", "holidays": "holidays", "entries": "entries"}
)
require_all_used(HolidayKeys, elsewhere=dict.fromkeys(HolidayKeys.model_fields, "the dates of the calendar"))


def read_calendars(document: Section, problems: ProblemList) -> Inventory[CalendarKeys]:
    """Take the calendars out of the document."""
    return read_list(document, CALENDARS, CalendarKeys, problems)


def calendar(written: Written[CalendarKeys], zone_variable: str, problems: ProblemList) -> Calendar:
    """Return a calendar; ``zone_variable`` is the environment variable TZ."""
    keys = written.thing
    zone = keys.timezone or machine_zone(zone_variable)
    if zone is None:
        expected = f"this key: the zone of the machine, TZ={zone_variable}, is not in the zone database"
        problems.error(written.section.place, f"{written.label}.timezone", expected)
    return _CALENDAR(
        keys,
        zone=zone or ZoneInfo("UTC"),
        entries=tuple(map(_entry, keys.entries)),
        holidays=frozenset(keys.holidays.dates) | _public_holidays(written, problems),
    )


def _entry(keys: EntryKeys) -> CalendarEntry:
    first, last = (keys.date, keys.date) if keys.dates is None else keys.dates
    return _ENTRY(
        keys,
        from_s=0 if keys.start is None else keys.start,
        until_s=DAY_S if keys.end is None else keys.end,
        first=first,
        last=last,
    )


def _public_holidays(written: Written[CalendarKeys], problems: ProblemList) -> frozenset[date]:
    """Return the public holidays of the country that a calendar names."""
    country, part = written.thing.holidays.country, written.thing.holidays.subdivision
    if country is None:
        return frozenset()
    section, label = written.inner("holidays")
    known = _subdivisions()
    if country not in known:
        expected = f"the ISO 3166 code of a country with known holidays; {suggestion(country, known)}"
        problems.error(section.place_of("country"), f"{label}.country", expected, country)
        return frozenset()
    if part is not None and part not in known[country]:
        parts = suggestion(part, known[country]) if known[country] else "there is none"
        problems.error(section.place_of("subdivision"), f"{label}.subdivision", f"a part of {country}; {parts}", part)
        return frozenset()
    found, has_gaps = _dates_of(country, part)
    if has_gaps:
        expected = f"dates of your own beside it: some holidays of {country} are not known for all years until 2060"
        problems.warning(section.place_of("country"), f"{label}.country", expected, country)
    return found


@cache
def _subdivisions() -> Mapping[str, Sequence[str]]:
    """Return the countries with known holidays, and the parts of each."""
    import holidays  # takes half a second, for which only those wait who name a country

    return holidays.list_supported_countries()


@lru_cache(maxsize=64)
def _dates_of(country: str, part: str | None) -> tuple[frozenset[date], bool]:
    """Return the public holidays of a country or part, and whether some are missing; a reload finds them here."""
    import holidays

    with warnings.catch_warnings(record=True) as gaps:
        # Some follow the moon, and are known for the years for which they were announced.
        warnings.simplefilter("always", UserWarning)
        found = holidays.country_holidays(country, part, years=HOLIDAY_YEARS)
    return frozenset(found), bool(gaps)
