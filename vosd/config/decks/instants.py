"""Dates and times of a sheet as text in UTC; what can be read in two ways is refused."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

from vosd.base.date_formats import parsed_date
from vosd.cdr.columns import iso_utc
from vosd.config.reader.fields import LAST_MS, ExpectedError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
DATE_FORMAT_EXPECTED: Final = "a format of strptime with day, month and year, each once, such as %d.%m.%Y"
_ISO: Final = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?)?\Z", re.ASCII)
_DIRECTIVES: Final = re.compile(r"%(.)")
_KNOWN: Final = frozenset("dmbBYyHMSfzIp")
_DATES: Final = frozenset("dmbByY")
_MONTHS: Final = 12
_EXPECTED: Final = "a date such as 2026-12-31 or a time such as 2026-12-31T18:00:00Z"
_AMBIGUOUS: Final = (
    f"{_EXPECTED}; for another form say the form of dates (`date_format` in a map), so that day and month are certain"
)


def is_date_format(text: str) -> bool:
    """Return whether a format of ``strptime`` has day, month and year, nothing unknown, and nothing twice."""
    directives = [each for each in _DIRECTIVES.findall(text) if each != "%"]
    found = {*directives}
    return (
        len(found) == len(directives)
        and found <= _KNOWN
        and "d" in found
        and bool(found & set("mbB"))
        and bool(found & set("yY"))
    )


class DateForms:
    """Forms of the dates in one column: real ones, which are read as ISO 8601, or texts.

    A spreadsheet that takes the day for the month makes real dates of the texts where that is possible, 2 January of
    01/02/2026, and leaves 13/02/2026 as it is. So beside such texts a real date is certain only from its 13th day on.
    """

    def __init__(self, date_format: str | None) -> None:
        """Take the format of the texts."""
        directives = [each for each in _DIRECTIVES.findall(date_format or "") if each in _DATES]
        self._may_be_exchanged = {"d", "m"} <= {*directives} and directives[0] in {"d", "m"}
        self._is_real: bool | None = None

    def check(self, text: str) -> None:
        """Take the text of a cell; raises ExpectedError where it may have day and month exchanged."""
        is_real = _ISO.match(text) is not None
        if not text or not self._may_be_exchanged or (is_real and int(text[8:10]) > _MONTHS):
            return
        if self._is_real is None:
            self._is_real = is_real
        elif self._is_real != is_real:
            raise ExpectedError(
                "dates that are all texts, or all real ones: a spreadsheet may have exchanged day and month"
            )


def instant_reader(date_format: str | None, zone: tzinfo, *, is_end: bool = False) -> Callable[[str], str]:
    """Return what converts a cell to ISO 8601 UTC with milliseconds and ``Z``.

    Args:
        date_format: of cells that are not in ISO 8601; None = there are none.
        zone: of times that name none.
        is_end: a day without time stands for the end of that day, not for its begin.

    A day begins with its first moment, also where the clocks skip its midnight. The result raises ExpectedError.
    """

    def read(text: str) -> str:
        if _ISO.match(text):
            is_day = len(text) == len("2026-12-31")
            moment = _parsed(text, datetime.fromisoformat, _EXPECTED)
        elif date_format is None:
            raise ExpectedError(_AMBIGUOUS)
        else:
            is_day = not set(_DIRECTIVES.findall(date_format)) & set("HI")
            moment = _parsed(text, lambda text: parsed_date(text, date_format), f"a date as {date_format}")
        if is_end and moment.date() == date.max:
            return iso_utc(LAST_MS)  # whatever the zone: it stands for "never"
        if is_day and is_end:
            moment = datetime.combine(moment.date() + timedelta(days=1), time(), moment.tzinfo)
        try:
            return iso_utc((_in_zone(moment, zone, is_day=is_day) - _EPOCH) // timedelta(milliseconds=1))
        except OverflowError:  # no time in UTC: of the year 10000, or before the year 1
            raise ExpectedError(_EXPECTED) from None

    return read


def _parsed(text: str, parse: Callable[[str], datetime], expected: str) -> datetime:
    try:
        return parse(text)
    except ValueError:
        raise ExpectedError(expected) from None


def _in_zone(moment: datetime, zone: tzinfo, *, is_day: bool) -> datetime:
    """Return a time with its zone, ``zone`` if it has none; refuse one of a day that its clocks show twice or never."""
    if moment.tzinfo is not None:
        return moment
    first, second = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if not is_day and first.utcoffset() != second.utcoffset():
        raise ExpectedError(f"a time that the clocks of {zone} show once, or one with its offset")
    return first
