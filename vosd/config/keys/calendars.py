"""``calendars[]``: week days, hours and dates to which gateways and accounts are bound."""

from datetime import tzinfo
from typing import Annotated, ClassVar

from pydantic import Field

from vosd.config.keys import names_of_vos3000
from vosd.config.reader.fields import ONE_OR_MANY, FromText, KeyProblemError, Keys, line_of_text, object_name, switch
from vosd.config.reader.renamed import Renamed, renamed
from vosd.config.reader.times import Day, DaySpan, day, end_of_hours, span_of_days, start_of_hours, time_zone, weekday


def _country() -> FromText:
    def read(text: str) -> str:
        if not text.isascii() or not text.isalpha() or len(text) not in {2, 3}:
            raise ValueError
        return text.upper()

    return FromText("the ISO 3166 code of a country, such as DE", read)


class EntryKeys(Keys):
    """One entry of a calendar; it fits when everything that it names does."""

    working: Annotated[bool, switch()] = True
    """``no``: not working time. See docs/routing.md for what that means for gateways."""
    weekdays: Annotated[tuple[Annotated[int, weekday()], ...], ONE_OR_MANY] = ()
    """Week days; behind midnight the new day counts. Default: every day."""
    start: Annotated[int | None, start_of_hours()] = Field(default=None, alias="from")
    """The first moment. With ``to``; default: the whole day."""
    end: Annotated[int | None, end_of_hours()] = Field(default=None, alias="to")
    """The first moment behind it; before ``from``: the hours pass midnight. 23:59:59 and 24:00 end with the day."""
    date: Annotated[Day | None, day()] = None
    """A single date."""
    dates: Annotated[DaySpan | None, span_of_days()] = None
    """A range of dates, both included."""

    names_elsewhere: ClassVar[Renamed] = renamed(names_of_vos3000.CALENDAR_ENTRY)

    def _judge(self) -> None:
        if (self.start is None) is not (self.end is None):
            missing, given = ("to", "from") if self.end is None else ("from", "to")
            raise KeyProblemError(given, f"{missing} as well")
        if self.start is not None and self.start == self.end:
            raise KeyProblemError("to", "another time than from; the whole day is 00:00 to 24:00")
        if self.date is not None and self.dates is not None:
            raise KeyProblemError("dates", "either date or dates")
        if self.start is None and self.date is None and self.dates is None and not self.weekdays:
            raise KeyProblemError("working", "weekdays, from and to, date or dates beside it")


class HolidayKeys(Keys):
    """Whole days that are not working. Default: none."""

    country: Annotated[str | None, _country()] = None
    """Public holidays of a country, from 2020 to 2060, as the library ``holidays`` knows them."""
    subdivision: Annotated[str | None, line_of_text(1, 40)] = None
    """With those of a part of the country: the code of a state or province, such as BE for Berlin."""
    dates: Annotated[tuple[Annotated[Day, day()], ...], ONE_OR_MANY] = ()
    """Holidays of your own."""

    def _judge(self) -> None:
        if self.subdivision is not None and self.country is None:
            raise KeyProblemError("subdivision", "the country as well")


class CalendarKeys(Keys):
    """Week days, hours and dates. What is bound to a calendar is used while it fits (docs/routing.md)."""

    name: Annotated[str, object_name()]
    """Unique among the calendars."""
    timezone: Annotated[tzinfo | None, time_zone()] = None
    """The zone whose clock counts. Default: the machine's."""
    holidays: HolidayKeys = HolidayKeys()
    entries: tuple[EntryKeys, ...] = ()
    """When it is working time, and when not. Of those that fit the closest kind decides: ``date``, ``dates``,
    ``weekdays``, hours alone; of the same kind, one that is not working.
    """

    names_elsewhere: ClassVar[Renamed] = renamed(names_of_vos3000.CALENDAR)

    def _judge(self) -> None:
        if not self.entries and not self.holidays.country and not self.holidays.dates:
            raise KeyProblemError("entries", "at least one entry or holiday")
