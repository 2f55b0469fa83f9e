"""Dates in a format of ``strptime``, which reads 1122026 by ``%d%m%Y`` as 11 February though a zero may be lost."""

import re
from datetime import datetime
from functools import lru_cache
from typing import Final

_RUN: Final = re.compile(r"(?:%[dmyYHIMSf]){2,}")
_LONG: Final = {"Y": 4, "f": 6}
"""Digits of directives that have not two."""


def parsed_date(text: str, date_format: str) -> datetime:
    """Return the time of a text; numbers with nothing between them need every digit.

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
    lengths = [sum(_LONG.get(letter, 2) for letter in run[1::2]) for run in _RUN.findall(date_format)]
    return re.compile(".*?".join(rf"(?<!\d)\d{{{each}}}(?!\d)" for each in lengths)) if lengths else None
