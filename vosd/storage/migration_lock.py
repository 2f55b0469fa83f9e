"""Lock of MySQL and MariaDB that lets one process alone change or replace the tables of a database.

It belongs to a connection, and ends with it. A migration takes it on the connection that upgrades, a restore keeps it
until all rows are written: a server that completes a statement of a process that was killed keeps the lock until then.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from sqlalchemy import exc, text

from vosd.cdr.ports import StoreUnavailable
from vosd.storage.asynchronous import AsyncConnection

LOCK_OF_KILLED_S: Final = 2
"""Seconds within which a server notices that a process was killed, and gives up its lock."""
NAME: Final = "CONCAT('vosd_migrate_', LEFT(SHA2(DATABASE(), 256), 32))"
"""Name of the lock, as SQL: it has 64 characters at most. MySQL has no MD5 from 9.6 on."""
_LASTING: Final = text("SET SESSION wait_timeout = CAST(GREATEST(@@wait_timeout, 3600) AS UNSIGNED)")
"""A restore asks for nothing on the connection of the lock while it counts the rows of a large table.

The cast is for MySQL: the greater of a variable and a number is a DECIMAL there, which the variable refuses.
"""
_LOCK: Final = text(f"SELECT GET_LOCK({NAME}, {LOCK_OF_KILLED_S})")
_UNLOCK: Final = text(f"DO RELEASE_LOCK({NAME})")
_IS_HELD: Final = text(f"SELECT IS_USED_LOCK({NAME}) = CONNECTION_ID()")


@asynccontextmanager
async def alone(connection: AsyncConnection, place: str) -> AsyncIterator[None]:
    """Let no other process change the tables meanwhile; ``place`` names the database in the error.

    The transaction of the connection is ended before the lock, so that the next process finds what this one has done.
    An SQLite database is locked by the transaction itself.

    Raises:
        StoreUnavailable: another one changes them.
    """
    if connection.dialect.name == "sqlite":
        yield
        return
    await connection.execute(_LASTING)
    if not await connection.scalar(_LOCK):
        raise StoreUnavailable(
            f"another vosd migrate or restore works on {place}, or the server completes a statement of one that was"
            " killed: wait until it has ended"
        )
    try:
        yield
        await connection.exec_driver_sql("COMMIT")
    finally:
        # A connection that is broken has no lock to release: the error that broke it is the one to report.
        with suppress(exc.SQLAlchemyError):
            await connection.execute(_UNLOCK)


async def check_held(connection: AsyncConnection, place: str) -> None:
    """Make sure that the connection still has the lock; asked now and then, it is not ended as an idle one.

    Raises:
        StoreUnavailable: it has lost the lock.
    """
    if not await connection.scalar(_IS_HELD):
        raise StoreUnavailable(f"{place} has taken back the lock of migrations: start the same command again")
