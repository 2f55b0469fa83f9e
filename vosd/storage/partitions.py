"""Partitions by month in MySQL and MariaDB: read, made ahead and dropped (ADR 72).

SQLite has none, and neither has a MySQL database that was filled before there were any: both list no partitions.
Names and bounds are in ``months``. It does not know what may be dropped: the caller decides.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from sqlalchemy import text

from vosd.base.errors import VosError
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.months import LATER, Partition, PartitionMonth, missing, month_named

TABLES: Final = tuple(table.name for table in (schema.cdr, schema.cdr_attempt, schema.cdr_charge, schema.ledger_entry))
"""Tables that can be partitioned."""
LOCK_WAIT_S: Final = 5
"""Seconds for which a change of partitions waits for readers; all other statements on the table wait behind it."""

_PARTITIONS: Final = text(
    "SELECT partition_name FROM information_schema.partitions"
    " WHERE table_schema = DATABASE() AND table_name = :table AND partition_name IS NOT NULL"
    " ORDER BY partition_ordinal_position"
)


class PartitionRefused(VosError):  # noqa: N818 - says what was refused
    """The partition may not be changed so; the message says why."""


async def partitions_of(connection: AsyncConnection, table: str) -> list[Partition]:
    """Return the partitions of a table in the order of their time; none where it is not partitioned."""
    if connection.dialect.name == "sqlite":
        return []
    names = (await connection.scalars(_PARTITIONS, {"table": table})).all()
    months = [month_named(name) for name in names]
    return [Partition(name, None if month is None else month.until) for name, month in zip(names, months, strict=True)]


async def is_partitioned(connection: AsyncConnection, table: str) -> bool:
    """Return whether a table has partitions."""
    return bool(await partitions_of(connection, table))


async def drop_partition(connection: AsyncConnection, table: str, name: str) -> None:
    """Drop a month with everything in it.

    Raises:
        PartitionRefused: it is no month of the table.
        StoreUnavailable: readers hold the table, or the user lacks the rights ALTER and DROP.
    """
    await _check_is_month(connection, table, name)
    async with impatient(connection):
        await connection.exec_driver_sql(f"ALTER TABLE {table} DROP PARTITION {name}")


async def add_months(connection: AsyncConnection, now: int) -> None:
    """Make the months that are missing ahead of a time, UTC milliseconds.

    Rows behind the last month of a table are copied, also where they are many: ``vosd migrate`` alone asks for this.

    Raises:
        StoreUnavailable: readers hold the table, or the user lacks the right ALTER.
    """
    for table in TABLES:
        found = await partitions_of(connection, table)
        months = missing((each.name for each in found), now)
        if not found or not months:
            continue
        bounds = ", ".join([*(bound(table, month) for month in months), last_bound(table)])
        async with impatient(connection):
            await connection.exec_driver_sql(f"ALTER TABLE {table} REORGANIZE PARTITION {LATER} INTO ({bounds})")


def bound(table: str, month: PartitionMonth) -> str:
    """Return the definition of a month's partition."""
    until = str(month.period_until) if table == schema.ledger_entry.name else f"x'{month.key_until}'"
    return f"PARTITION {month.partition} VALUES LESS THAN ({until})"


def last_bound(table: str) -> str:
    """Return the definition of the partition behind the last month."""
    return f"PARTITION {LATER} VALUES LESS THAN {_NO_BOUND[table]}"


_NO_BOUND: Final[Mapping[str, str]] = {
    table: "MAXVALUE" if table == schema.ledger_entry.name else "(MAXVALUE)" for table in TABLES
}


@asynccontextmanager
async def impatient(connection: AsyncConnection) -> AsyncIterator[None]:
    """Wait at most ``LOCK_WAIT_S`` for readers of a table that is to be changed, then fail."""
    await connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = {LOCK_WAIT_S}")
    try:
        yield
    finally:
        await connection.exec_driver_sql("SET SESSION lock_wait_timeout = DEFAULT")


async def _check_is_month(connection: AsyncConnection, table: str, name: str) -> None:
    names = {each.name for each in await partitions_of(connection, table) if each.until is not None}
    if table not in TABLES or name not in names:
        raise PartitionRefused(f"{name} is no month of {table}")
