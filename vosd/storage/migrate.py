"""Bring a database to this version's schema with Alembic, and make the months ahead that its tables lack.

Only ``vosd migrate`` and the tests call it; the daemon only checks (``Database.check_schema``).
"""

import re
import time
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import event
from sqlalchemy.engine import Connection, make_url

import vosd.storage.repeated_migrations  # noqa: F401 - Alembic finds it by the dialect
from vosd.cdr.ports import StoreUnavailable
from vosd.processes import loops
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.database import Database
from vosd.storage.driver_errors import SchemaOutdated
from vosd.storage.migration_lock import alone
from vosd.storage.migrations import migrations_path
from vosd.storage.partitions import LOCK_WAIT_S, TABLES, add_months

NEWEST: Final = "head"

_LARGE: Final = f"`?(?:{'|'.join(TABLES)})`?"
_ALTER: Final = re.compile(rf"\s*ALTER TABLE {_LARGE}\s", re.IGNORECASE)
_INDEX: Final = re.compile(rf"\s*CREATE (?:UNIQUE )?INDEX \S+ ON {_LARGE}(?:\s|$)", re.IGNORECASE)
_SAYS_ITSELF: Final = re.compile(r"\bALGORITHM\s*=|\bPARTITION", re.IGNORECASE)


def migrate(url: str) -> None:
    """Bring the database to this version; a current database gets months ahead at most.

    The file and directory of an SQLite database are created; a MySQL database must exist. Inside a running event loop
    call ``migrate_async``.

    Raises:
        StoreUnavailable: the database is away or refuses, another process migrates it, or (``SchemaOutdated``) this
            version does not know its schema; the message says what to do.
    """
    loops.run(migrate_async(url))


async def migrate_async(url: str, revision: str = NEWEST) -> None:
    """Do the same inside a running event loop; an older ``revision`` is for data of then."""
    database = Database(url)
    path = make_url(url).database
    try:
        if database.is_sqlite and path:
            _make_file(Path(path))
        async with database.writing(unhurried=True) as connection, alone(connection, database.place):
            await upgrade(connection, revision)
    except CommandError as error:
        if revision == NEWEST and await _works_with(database):
            return  # a newer version has migrated it, and this one works with that schema
        message = f"{database.place} cannot be brought to this version ({error}): was it migrated by a newer vosd?"
        raise SchemaOutdated(message) from error
    finally:
        await database.close()


async def upgrade(connection: AsyncConnection, revision: str) -> None:
    """Bring a database to a revision on a connection that has it ``alone``."""
    await connection.run_sync(_upgrade, revision)
    if connection.dialect.name != "sqlite":
        await connection.exec_driver_sql("COMMIT")  # whatever becomes of the months
    await add_months(connection, time.time_ns() // 1_000_000)


async def _works_with(database: Database) -> bool:
    try:
        await database.check_schema()
    except StoreUnavailable:
        return False
    return True


def _make_file(file: Path) -> None:
    """Make the file of a new database and its directory for its owner only: it holds calls and money."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch(mode=0o600)
    except OSError as error:
        match error:
            case PermissionError():
                advice = "run this as the user of the switch"
            case FileExistsError() | NotADirectoryError():
                advice = "there is a file in the place of its directory: move that away"
            case _:
                advice = "make its directory"
        raise StoreUnavailable(
            f"the file {file} of database.url cannot be made or opened: {error.strerror}; {advice}, or change the URL"
        ) from error


def _upgrade(connection: Connection, revision: str) -> None:
    if connection.dialect.name == "mysql":
        guard(connection)
    config = Config()
    config.set_main_option("script_location", str(migrations_path()).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def guard(connection: Connection) -> None:
    """Let MySQL refuse what would make bookings wait for longer than ``LOCK_WAIT_S``."""
    connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = {LOCK_WAIT_S}")
    event.listen(connection, "before_cursor_execute", _without_locks, retval=True)


def without_locks(statement: str) -> str:
    """Return a change of a table of calls so that MySQL refuses it where bookings would have to wait for it.

    It would copy the table otherwise, for hours. A migration that cannot do without says so, by ``ALGORITHM=COPY``.
    Partitions are made in tables without calls only.
    """
    if _SAYS_ITSELF.search(statement):
        return statement
    if _ALTER.match(statement):
        return f"{statement}, ALGORITHM=INPLACE, LOCK=NONE"
    return f"{statement} ALGORITHM=INPLACE LOCK=NONE" if _INDEX.match(statement) else statement


def _without_locks(
    _connection: Connection, _cursor: object, statement: str, parameters: Any, _context: object, _many: bool
) -> tuple[str, Any]:
    return without_locks(statement), parameters
