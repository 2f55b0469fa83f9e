"""Work calendars: whether a calendar applies at a moment, how closely, and whether that is working time.

A calendar has entries: week days, hours of the day, dates, ranges of dates. The clock of the calendar's own zone
decides, daylight saving included. Of the entries that fit, those of the closest kind count (``Tier``). The rules stand
in ``docs/routing.md``, their reasons in ADR 48.
"""

from datetime import date, datetime, time, timedelta, tzinfo
from enum import IntEnum
from functools import cached_property
from typing import Final, NamedTuple

import msgspec

from vosd.base.calendar_use import CalendarUse

DAY_S: Final = 86_400
_MINUTE_S: Final = 60
_YEAR: Final = timedelta(days=365)


class Tier(IntEnum):
    """The closeness of a calendar to a moment; the smaller number comes first."""

    DATE = 1
    """By an entry for that date, or as a holiday."""
    DATES = 2
    """By an entry for a range of dates."""
    WEEKDAY = 3
    """By an entry for week days."""
    TIME = 4
    """By an entry for hours of every day."""
    DEFAULT = 5
    """By no entry: what is not named counts where a binding says ``working`` or ``not_working``."""


_KINDS: Final = {Tier.DATE: "date", Tier.DATES: "dates", Tier.WEEKDAY: "week days", Tier.TIME: "hours"}
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class CalendarEntry(msgspec.Struct, frozen=True):
    """One entry; it fits a moment when all of its conditions do."""

    is_working: bool = True
    weekdays: tuple[int, ...] = ()
    """Monday is 0; empty = every day."""
    from_s: int = 0
    """Seconds since midnight by the clock of the zone."""
    until_s: int = DAY_S
    """The first second that is outside. No larger than ``from_s``: the hours pass midnight."""
    first: date | None = None
    last: date | None = None
    """Included; the same as ``first`` for a single date."""

    @property
    def tier(self) -> Tier:
        """The closeness, where it fits."""
        if self.first is not None:
            return Tier.DATE if self.first == self.last else Tier.DATES
        return Tier.WEEKDAY if self.weekdays else Tier.TIME

    @property
    def is_holiday(self) -> bool:
        """Whether it says of dates that they are not working from midnight to midnight."""
        is_whole = (self.from_s, self.until_s, self.weekdays) == (0, DAY_S, ())
        return not self.is_working and self.first is not None and is_whole

    def fits(self, moment: datetime) -> bool:
        """Return whether it fits a moment of its zone.

        Date and week day are those of the moment itself, also in the part of the hours behind midnight.
        """
        if self.weekdays and moment.weekday() not in self.weekdays:
            return False
        if self.first is not None and self.last is not None and not self.first <= moment.date() <= self.last:
            return False
        second = (moment.hour * 60 + moment.minute) * 60 + moment.second
        if self.from_s < self.until_s:
            return self.from_s <= second < self.until_s
        return second >= self.from_s or second < self.until_s


_HOLIDAY: Final = CalendarEntry(is_working=False, first=date.min, last=date.min)
"""The entries that decide on a holiday."""


class CalendarStanding(NamedTuple):
    """The judgement of a calendar about a moment."""

    tier: Tier
    is_working: bool
    fits: bool
    """Whether a gateway is used that is bound to the calendar and says no more."""

    @property
    def is_listed(self) -> bool:
        """Whether an entry decides, or a holiday."""
        return self.tier is not Tier.DEFAULT


class CalendarSpan(NamedTuple):
    """A part of a day by the clock of the zone, of which a calendar says the same throughout."""

    from_s: int
    until_s: int
    """The first second behind it, since midnight."""
    standing: CalendarStanding


class Calendar(msgspec.Struct, frozen=True, dict=True):
    """A named calendar.

    Where entries of the same tier fit, one that is not working wins: it is the exception. An entry for a date wins
    over a holiday on it.
    """

    name: str
    zone: tzinfo
    entries: tuple[CalendarEntry, ...] = ()
    holidays: frozenset[date] = frozenset()
    """Whole days that are not working."""

    def standing(self, wall_ms: int) -> CalendarStanding:
        """Return what the calendar says of a moment (UTC milliseconds).

        Calls of the same minute get the same answer, so the latest is remembered.
        """
        step, latest = wall_ms // self._step_ms, self._latest
        if latest and latest[0][0] == step:
            return latest[0][1]
        standing = self._standing(datetime.fromtimestamp(wall_ms // 1_000, self.zone))
        latest[:] = ((step, standing),)
        return standing

    def spans(self, day: date) -> list[CalendarSpan]:
        """Return the parts of a day, from midnight to midnight by the clock on the wall of its zone."""
        midnight = datetime.combine(day, time())
        edges = {0, *(edge for entry in self.entries for edge in (entry.from_s, entry.until_s) if edge < DAY_S)}
        found: list[CalendarSpan] = []
        for edge in sorted(edges):
            standing = self._standing(midnight + timedelta(seconds=edge))
            if found and found[-1].standing == standing:
                continue
            if found:
                found[-1] = found[-1]._replace(until_s=edge)
            found.append(CalendarSpan(edge, DAY_S, standing))
        return found

    def tier(self, wall_ms: int) -> Tier | None:
        """Return how closely the calendar fits a moment (UTC milliseconds); None = it does not."""
        standing = self.standing(wall_ms)
        return standing.tier if standing.fits else None

    def has_holidays_ahead(self, wall_ms: int) -> bool:
        """Return whether one of its holidays is within twelve months of a moment; a calendar without any needs none.

        A whole day, or several, that an entry with a date says is not working is a holiday, too. A single such entry
        is none by itself: it may be a day that was closed once.
        """
        free = [each for each in self.entries if each.is_holiday]
        if not self.holidays and len(free) <= 1:
            return True
        today = datetime.fromtimestamp(wall_ms // 1_000, self.zone).date()
        until = today + _YEAR
        is_ahead = any(today <= each <= until for each in self.holidays)
        return is_ahead or any(each.first <= until and today <= each.last for each in free if each.first and each.last)

    def is_working(self, wall_ms: int) -> bool:
        """Return whether a moment (UTC milliseconds) is working time."""
        return self.standing(wall_ms).is_working

    def is_working_time(self, wall_ms: int, use: CalendarUse | None) -> bool:
        """Return whether a moment (UTC milliseconds) is working time for an account that names the part that counts."""
        standing = self.standing(wall_ms)
        if use is None:
            return standing.is_working
        return use.holds(is_listed=standing.is_listed, is_working=standing.is_working)

    def fits(self, wall_ms: int) -> bool:
        """Return whether a gateway is used at a moment that is bound to it and says no more."""
        return self.standing(wall_ms).fits

    def objection(self, wall_ms: int) -> str:
        """Return why the calendar does not fit a moment (UTC milliseconds), for people."""
        standing = self.standing(wall_ms)
        why = "no entry fits" if standing.tier is Tier.DEFAULT else f"not working by its {_KINDS[standing.tier]}"
        return f"{self.described(wall_ms)}: {why}"

    def described(self, wall_ms: int) -> str:
        """Return the calendar and a moment (UTC milliseconds) by the clock of its zone."""
        moment = datetime.fromtimestamp(wall_ms // 1_000, self.zone)
        return f"{self.name}, {_DAYS[moment.weekday()]} {moment:%Y-%m-%d %H:%M} ({self.zone})"

    @property
    def lists_both(self) -> bool:
        """Whether some of its entries are working and others are not."""
        return len({entry.is_working for entry in self.entries}) > 1

    @property
    def is_never_opened(self) -> bool:
        """Whether none of its entries is working: its working time is what it does not list."""
        return not self._has_working_entries

    def _standing(self, moment: datetime) -> CalendarStanding:
        entry = next((each for each in self._dated if each.fits(moment)), None)
        if entry is None and moment.date() in self.holidays:
            entry = _HOLIDAY
        if entry is None:
            entry = next((each for each in self._recurring if each.fits(moment)), None)
        opens = self._has_working_entries
        if entry is None:
            return CalendarStanding(Tier.DEFAULT, is_working=not opens, fits=False)
        return CalendarStanding(entry.tier, entry.is_working, entry.is_working or not opens)

    @cached_property
    def _dated(self) -> tuple[CalendarEntry, ...]:
        return tuple(entry for entry in self._by_precedence if entry.tier is Tier.DATE)

    @cached_property
    def _recurring(self) -> tuple[CalendarEntry, ...]:
        """The entries behind a holiday in precedence."""
        return tuple(entry for entry in self._by_precedence if entry.tier is not Tier.DATE)

    @cached_property
    def _by_precedence(self) -> list[CalendarEntry]:
        return sorted(self.entries, key=lambda entry: (entry.tier, entry.is_working))

    @cached_property
    def _has_working_entries(self) -> bool:
        return any(entry.is_working for entry in self.entries)

    @cached_property
    def _step_ms(self) -> int:
        """For how long an answer can hold: a minute, because offsets of zones are whole minutes, too."""
        edges = [edge for entry in self.entries for edge in (entry.from_s, entry.until_s)]
        return 1_000 if any(edge % _MINUTE_S for edge in edges) else 1_000 * _MINUTE_S

    @cached_property
    def _latest(self) -> list[tuple[int, CalendarStanding]]:
        """The latest answer with the number of its step; empty before the first."""
        return []


class BoundCalendar(msgspec.Struct, frozen=True):
    """A calendar with the part of it that counts for a gateway."""

    calendar: Calendar
    use: CalendarUse

    def tier(self, wall_ms: int) -> Tier | None:
        """Return how closely the calendar fits a moment (UTC milliseconds); None = it does not."""
        standing = self.calendar.standing(wall_ms)
        holds = self.use.holds(is_listed=standing.is_listed, is_working=standing.is_working)
        return standing.tier if holds else None

    def objection(self, wall_ms: int) -> str:
        """Return why the calendar does not fit a moment (UTC milliseconds), for people."""
        said = "working" if self.calendar.is_working(wall_ms) else "not working"
        if self.use is CalendarUse.LISTED:
            said = "no entry fits"
        return f"{self.calendar.described(wall_ms)}: {said}, it is used while {self.use.value}"


GatewayCalendar = Calendar | BoundCalendar
"""Times at which a gateway is used."""
