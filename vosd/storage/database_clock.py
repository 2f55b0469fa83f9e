"""Time by the database's clock and by its latest call, which may be right while the clock of the switch is wrong."""

from typing import Any, Final

from sqlalchemy import ColumnElement, func, literal_column, select, type_coerce

from vosd.base.errors import VosError
from vosd.cdr.columns import iso_utc
from vosd.storage import schema
from vosd.storage.database import Database
from vosd.storage.types import Moment

APART_MS: Final = 600_000
"""A time that is later than the database's by no more than this counts as come."""
_IN_SQLITE: Final = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"
_IN_MYSQL: Final = "UTC_TIMESTAMP(3)"


class ClockAhead(VosError):  # noqa: N818 - describes the machines
    """A time has not come by the database's clock: it or the clock of this machine is wrong."""


def database_clock(*, is_sqlite: bool) -> ColumnElement[int]:
    """Return the database's time as an expression: UTC milliseconds."""
    clock: ColumnElement[Any] = literal_column(_IN_SQLITE if is_sqlite else _IN_MYSQL)
    return type_coerce(clock, Moment)


async def time_of(database: Database) -> int:
    """Return the database's time, UTC milliseconds."""
    async with database.reading() as connection:
        there: int = (await connection.execute(select(database_clock(is_sqlite=database.is_sqlite)))).scalar_one()
    return there


async def latest_call(database: Database) -> int:
    """Return when the latest call began that is in the database, UTC milliseconds; 0 = there is none."""
    async with database.reading() as connection:
        return await connection.scalar(select(func.max(schema.cdr.c.started_at))) or 0


async def check_has_come(database: Database, moment: int) -> None:
    """Compare a time (UTC milliseconds) with the clock of a database server; SQLite has none of its own.

    Raises:
        ClockAhead: it is in the future there.
    """
    if database.is_sqlite:
        return
    there = await time_of(database)
    if moment - there > APART_MS:
        message = f"{iso_utc(moment)} has not come by the database's clock ({iso_utc(there)}): correct the wrong clock"
        raise ClockAhead(message)
