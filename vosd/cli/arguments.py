"""Argument types that several verbs share: moments, durations, amounts of money.

Each turns text into a value or into wrong usage (exit code 2); none looks anything up.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

import click

from vosd.base.money import parse_amount

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS: Final = re.compile(r"\d{1,9}(\.\d{1,3})?\Z", re.ASCII)


class Moment(click.ParamType[int]):
    """A point in time as ISO 8601 with ``Z`` or an offset; the value is UTC milliseconds since the epoch."""

    name = "time"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the time; one without zone is wrong usage, because nobody knows which one was meant."""
        if isinstance(value, int):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a time such as 2026-03-01T12:00:00Z", param, ctx)
        if moment.tzinfo is None:
            self.fail(f"{value!r} has no zone: write Z for UTC, or an offset such as +02:00", param, ctx)
        return (moment - _EPOCH) // timedelta(milliseconds=1)


class Amount(click.ParamType[Decimal]):
    """An amount of money: digits with at most eight decimals, possibly negative."""

    name = "decimal"

    def convert(self, value: str | Decimal, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """Read the amount exactly; separators and exponents are wrong usage."""
        if isinstance(value, Decimal):
            return value
        try:
            return parse_amount(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Seconds(click.ParamType[int]):
    """A duration in seconds with at most three decimals; the value is milliseconds."""

    name = "seconds"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the duration exactly."""
        if isinstance(value, int):
            return value
        if not _SECONDS.match(value):
            self.fail(f"{value!r} is not a duration in seconds such as 61 or 61.250", param, ctx)
        return int(Decimal(value) * 1_000)


MOMENT = Moment()
AMOUNT = Amount()
SECONDS = Seconds()
