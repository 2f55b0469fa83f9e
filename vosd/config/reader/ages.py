"""Times for which records are kept, as operators write them."""

import re
from typing import Final

from vosd.cdr.retention import Age
from vosd.config.reader.fields import FromText

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
