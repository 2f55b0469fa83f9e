"""The database that a copy is put into: whether it is empty, whether a switch runs on it, and making it empty."""

from typing import Final

from sqlalchemy import func, inspect, literal_column, select, text, type_coerce
from sqlalchemy.engine import Connection

from vosd.base.errors import VosError
from vosd.cdr.lease import LEASE_MS, Claimant, is_free
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.database import Database
from vosd.storage.types import Moment

_MADE_BY_MIGRATIONS: Final = frozenset({"counter", "identity", "lease", "schema_compatibility"})
"""Tables whose rows say nothing about whether the database was used."""
_VIEWS: Final = frozenset({"cdr_report"})
"""Views that migrations make."""


class DatabaseOccupied(VosError):  # noqa: N818 - states what was found
    """The database has content, or a switch runs on it."""


async def check_free(database: Database, *, may_replace: bool) -> bool:
    """Check that a copy may be put into a database; return whether it has content, which will be replaced.

    Raises:
        DatabaseOccupied: it has content and ``may_replace`` is not given, or a switch runs on it.
        StoreUnavailable: it is not known.
    """
    async with database.reading() as connection:
        there = await connection.run_sync(_tables)
        if schema.lease.name in there:
            await _check_no_switch(connection, database)
        filled = [
            name
            for name, table in schema.metadata.tables.items()
            if name in there
            and name not in _MADE_BY_MIGRATIONS
            and (await connection.execute(select(literal_column("1")).select_from(table).limit(1))).scalar()
        ]
    if filled and not may_replace:
        raise DatabaseOccupied(
            f"{database.place} is not empty ({', '.join(sorted(filled)[:3])} ...): restore into an empty database, or"
            " say `replace`, and what it has is lost"
        )
    return bool(filled)


async def leases(database: Database) -> frozenset[tuple[object, ...]]:
    """Return the leases as they are: another row means that a switch has taken or renewed one."""
    async with database.reading() as connection:
        if schema.lease.name not in await connection.run_sync(_tables):
            return frozenset()  # an early schema, on which no switch of this version runs
        return frozenset(tuple(row) for row in await connection.execute(select(schema.lease)))


async def check_untouched(database: Database, known: frozenset[tuple[object, ...]]) -> None:
    """Check before the last step of a restore that no switch has begun to use the database.

    Raises:
        DatabaseOccupied: one has, such as one that could not reach it before.
    """
    if await leases(database) != known:
        raise DatabaseOccupied(
            f"a switch has begun to use {database.place} during the restore: stop it, and restore again with `replace`"
        )


async def empty(connection: AsyncConnection) -> None:
    """Drop all tables and views of ours; others stay."""
    there, views = await connection.run_sync(_tables), await connection.run_sync(_views)
    ours = {*schema.metadata.tables, "alembic_version"}
    for view in sorted(views):
        await connection.execute(text(f"DROP VIEW {view}"))
    for name in sorted(there & ours):
        await connection.execute(text(f"DROP TABLE {name}"))


async def rows_in(database: Database) -> dict[str, int]:
    """Return the rows of each table of ours."""
    found = {}
    async with database.reading(unhurried=True) as connection:
        there = await connection.run_sync(_tables)
        for name, table in schema.metadata.tables.items():
            if name in there:
                found[name] = int((await connection.execute(select(func.count()).select_from(table))).scalar_one())
    return found


async def revision_of(connection: AsyncConnection) -> str:
    """Return the schema of a database."""
    return str((await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one())


async def commits_of(connection: AsyncConnection) -> int:
    """Return the number of the latest commit."""
    counter = schema.counter.c
    return int((await connection.execute(select(counter.value).where(counter.name == schema.COMMITS))).scalar() or 0)


async def _check_no_switch(connection: AsyncConnection, database: Database) -> None:
    clock = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')" if database.is_sqlite else "UTC_TIMESTAMP(3)"
    now = (await connection.execute(select(type_coerce(literal_column(clock), Moment)))).scalar_one()
    for row in await connection.execute(select(schema.lease)):
        if not is_free(now - row.renewed_at, released=bool(row.released)):
            holder = Claimant(row.node, row.holder, row.host, row.pid, row.process)
            message = f"{holder} runs on {database.place}, or did {LEASE_MS // 1_000} s ago: stop it first"
            raise DatabaseOccupied(message)


def _tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


def _views(connection: Connection) -> set[str]:
    return set(inspect(connection).get_view_names()) & _VIEWS
