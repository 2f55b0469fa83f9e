"""Dates in a format of ``strptime``, which reads 1122026 by ``%d%m%Y`` as 11 February though a zero may be lost."""

import re
from datetime import datetime
from functools import lru_cache
from typing import Final

_RUN: Final = re.compile(r"(?:%[dmyYHIMSf]){2,}")
_LONG: Final = {"Y": 4, "f": 6}
"""Digits of directives that have not two."""


def parsed_date(text: str, date_format: str) -> datetime:
    """Return the time of a text; numbers with nothing between them need every digit, but of a fraction at their end.

    Raises:
        ValueError: it has another form.
    """
    runs = _runs(date_format)
    if runs is not None and not runs.search(text):
        raise ValueError
    return datetime.strptime(text, date_format)  # noqa: DTZ007 - the caller knows the zone


@lru_cache
def _runs(date_format: str) -> re.Pattern[str] | None:
    """Return an expression for the digits of numbers that stand together; None = there are none."""
    runs = [*_RUN.finditer(date_format)]
    return re.compile(".*?".join(map(_digits, runs))) if runs else None


def _digits(run: re.Match[str]) -> str:
    letters = run[0][1::2]
    most = sum(_LONG.get(letter, 2) for letter in letters)
    keeps_zeros = run.start() > 0 or letters[0] == "Y"  # a spreadsheet takes them from the begin of a cell
    least = most - 5 if letters[-1] == "f" and keeps_zeros else most
    return rf"(?<!\d)\d{{{least},{most}}}(?!\d)"
