"""Partitions of months of which everything was dropped: taken away, so that their room is free again (ADR 73).

Only an empty month goes, with nothing to add up and nothing to write down. None can be filled meanwhile: calls so old
are not booked any more, and attempts, charges and entries need their call. It does not know which records are dropped.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import text

from vosd.cdr.ports import StoreUnavailable
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.database import Database
from vosd.storage.months import to_drop
from vosd.storage.partitions import drop_partition, partitions_of

_OF_CALLS: Final = tuple(table.name for table in (schema.cdr_attempt, schema.cdr_charge, schema.cdr))
_LEDGER: Final = schema.ledger_entry.name


class EmptiedMonths(NamedTuple):
    """Empty partitions that were dropped, and those that were not."""

    dropped: Sequence[str] = ()
    """As ``table month``."""
    left: str = ""
    """Why the others were not dropped; empty = all were."""


async def drop_emptied_months(database: Database, before: int) -> EmptiedMonths:
    """Drop the partitions of months that end at or before a time and are empty; UTC milliseconds.

    SQLite and tables without partitions have none. Readers and a missing right leave them for another run.
    """
    if database.is_sqlite:
        return EmptiedMonths()
    dropped: list[str] = []
    try:
        async with database.reading(unhurried=True) as connection:
            wanted = await _empty(connection, before)
        for table, month in wanted:
            async with database.writing(unhurried=True) as connection:
                await drop_partition(connection, table, month)
            dropped.append(f"{table} {month}")
    except StoreUnavailable as error:
        return EmptiedMonths(tuple(dropped), str(error))
    return EmptiedMonths(tuple(dropped))


async def _empty(connection: AsyncConnection, before: int) -> list[tuple[str, str]]:
    """Return tables and months that can be dropped: a call's rows together, its entries never before it."""
    months = {table: to_drop(await partitions_of(connection, table), before) for table in (*_OF_CALLS, _LEDGER)}
    found = []
    for month in dict.fromkeys(name for names in months.values() for name in names):
        tables = [table for table in _OF_CALLS if month in months[table]]
        if not all([await _is_empty(connection, table, month) for table in tables]):
            continue
        found += [(table, month) for table in tables]
        if month in months[_LEDGER] and await _is_empty(connection, _LEDGER, month):
            found.append((_LEDGER, month))
    return found


async def _is_empty(connection: AsyncConnection, table: str, month: str) -> bool:
    first = text(f"SELECT 1 FROM {table} PARTITION ({month}) LIMIT 1")  # noqa: S608 - names of our own schema
    return (await connection.execute(first)).first() is None
