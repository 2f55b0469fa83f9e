"""Numbers of invoices: a form with the year and a counter, which an issuer counts without gaps."""

import re
from datetime import date
from typing import Final

from vosd.base.errors import VosError

LENGTH_MAX: Final = 32
"""Characters of a number."""
_PLACE: Final = re.compile(r"\{(year|month|number)(?::0?(\d{1,2}))?\}")
_DIGITS_MAX: Final = 12


class BadFormError(VosError):
    """The form makes no numbers."""


class NumberForm:
    """A form such as ``{year}-{number:06}``: its counter begins anew where what stands around it changes."""

    def __init__(self, text: str) -> None:
        """Read the form; raises BadFormError where it has no counter, or more than one, or another place."""
        self._text = text
        rest = _PLACE.sub("", text)
        counters = [found for found in _PLACE.finditer(text) if found[1] == "number"]
        if "{" in rest or "}" in rest or not rest.isprintable() or " " in rest:
            raise BadFormError(f"{text!r}: expected text without spaces, with {{year}}, {{month}} and {{number:06}}")
        if len(counters) != 1:
            raise BadFormError(f"{text!r}: {{number}} or, with six digits, {{number:06}} once")
        digits = int(counters[0][2] or 1)
        if digits > _DIGITS_MAX or len(self.written(date(9999, 12, 31), 10**_DIGITS_MAX)) > LENGTH_MAX:
            raise BadFormError(f"{text!r}: numbers of at most {LENGTH_MAX} characters")

    def series(self, day: date) -> str:
        """Return the name of the series that a day belongs to: the form with the day, and without a number."""
        return _PLACE.sub(lambda found: "#" if found[1] == "number" else _of_day(found, day), self._text)

    def written(self, day: date, number: int) -> str:
        """Return a number as it is written."""

        def filled(found: re.Match[str]) -> str:
            return str(number).zfill(int(found[2] or 1)) if found[1] == "number" else _of_day(found, day)

        return _PLACE.sub(filled, self._text)


def _of_day(found: re.Match[str], day: date) -> str:
    return f"{day.year:04d}" if found[1] == "year" else f"{day.month:02d}"
