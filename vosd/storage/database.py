"""The connection to the database: opened from a URL, used in transactions, its errors made ours.

Owns the engine, what every session is set to, how long a transaction may take and what a driver's error means.
Refuses to know what is asked of the tables.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from sqlalchemy import event, exc, make_url
from sqlalchemy.engine import URL, Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from vosd.base.errors import VosError
from vosd.cdr.ports import StoreUnavailable
from vosd.storage import schema
from vosd.storage.types import Unstorable

PATIENCE_S: Final = 30.0
"""No transaction takes longer; what did not answer until then counts as away (DESIGN D10)."""

_SQLITE: Final = "sqlite+aiosqlite"
_MYSQL: Final = "mysql+aiomysql"
_BUSY_S: Final = 5.0
_CONNECT_S: Final = 5

_SESSION_OF_MYSQL: Final = (
    "SET SESSION time_zone = '+00:00', "
    # strict, so that nothing is cut or rounded in silence; without NO_BACKSLASH_ESCAPES, so that the driver's
    # escaping of text holds whatever the server's own mode is
    "sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
)
_NO_SUCH_TABLE_OR_COLUMN: Final = frozenset({1054, 1146})
_TOO_LARGE_OR_UNFIT: Final = frozenset({1153, 1264, 1265, 1292, 1366, 1406})
_WRITING: Final = "vosd_writing"
_ONE_STATE: Final[dict[str, Any]] = {"isolation_level": "REPEATABLE READ"}


class SchemaOutdated(StoreUnavailable):
    """The tables are not those of this version; the message says which command mends it."""


class UnsupportedDatabase(VosError):  # noqa: N818 - describes the URL
    """The URL names a database or driver that vosd does not use."""


class ContentRefused(VosError):  # noqa: N818 - the database's verdict on a value
    """The database will never take this content, however often it is tried."""


class AlreadyThere(ContentRefused):
    """A unique key exists already."""


class Database:
    """One database, shared by everything in a process that reads or writes it."""

    def __init__(self, url: str, *, patience_s: float = PATIENCE_S) -> None:
        """Prepare connections to ``url``; none is opened before the first use.

        Raises:
            UnsupportedDatabase: unless the URL begins with ``sqlite+aiosqlite`` or ``mysql+aiomysql``.
        """
        parsed = _parse(url)
        self.place: Final = parsed.render_as_string(hide_password=True)
        """The URL as it may be shown."""
        self._patience_s = patience_s
        self.engine: Final = (
            _sqlite_engine(parsed, busy_s=min(_BUSY_S, patience_s))
            if parsed.drivername == _SQLITE
            else _mysql_engine(parsed)
        )

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the embedded database, where whoever writes locks all others out."""
        return self.engine.dialect.name == "sqlite"

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()

    @asynccontextmanager
    async def reading(self, *, unhurried: bool = False) -> AsyncIterator[AsyncConnection]:
        """Give a connection in a transaction that sees one state of the database throughout.

        ``unhurried`` lifts the time limit, for an audit that a person waits for and can interrupt.

        Raises:
            StoreUnavailable: the database is away or too slow.
            SchemaOutdated: a table or column is missing.
        """
        with self._our_errors():
            async with asyncio.timeout(None if unhurried else self._patience_s), self.engine.connect() as raw:
                connection = raw if self.is_sqlite else await raw.execution_options(**_ONE_STATE)
                async with connection.begin():
                    yield connection

    @asynccontextmanager
    async def writing(self, *, unhurried: bool = False) -> AsyncIterator[AsyncConnection]:
        """Give a connection in a transaction that is committed at the end of the block.

        ``unhurried`` lifts the time limit, for a migration.

        Raises:
            StoreUnavailable: the database is away, locked or too slow; nothing is known to be committed.
            SchemaOutdated: a table or column is missing.
            ContentRefused: a value does not fit its column, or (``AlreadyThere``) a key exists.
        """
        with self._our_errors():
            async with asyncio.timeout(None if unhurried else self._patience_s), self.engine.connect() as raw:
                connection = await raw.execution_options(**{_WRITING: True})
                async with connection.begin():
                    yield connection

    async def check_schema(self) -> None:
        """Make sure that the tables are those of this version.

        Raises:
            SchemaOutdated: they are older, newer or missing; the message says what to do.
            StoreUnavailable: the database is away.
        """
        async with self.reading() as connection:
            found = (await connection.exec_driver_sql("SELECT version_num FROM alembic_version")).scalar()
        if found is None or str(found) < schema.REVISION:
            raise SchemaOutdated(self._outdated(f"has schema {found or 'none'}, not {schema.REVISION}"))
        if str(found) > schema.REVISION:
            message = f"{self.place} was migrated by a newer vosd (schema {found}): install that version"
            raise SchemaOutdated(message)

    def _outdated(self, fault: str) -> str:
        return f"{self.place} {fault}: run vosd migrate"

    @contextmanager
    def _our_errors(self) -> Iterator[None]:
        try:
            yield
        except exc.DBAPIError as error:
            raise self._meaning(error) from error.orig
        except exc.StatementError as error:  # a value that its column's type refused before the driver saw it
            if not isinstance(error.orig, Unstorable):
                raise
            raise ContentRefused(str(error.orig)) from error.orig
        except TimeoutError as error:
            message = f"{self.place} did not answer within {self._patience_s:g} s: see what it is busy with"
            raise StoreUnavailable(message) from error
        except (exc.TimeoutError, OSError) as error:
            message = f"cannot reach {self.place} ({error}): is the server running and the address right?"
            raise StoreUnavailable(message) from error
        except (OverflowError, Unstorable) as error:
            raise ContentRefused(str(error)) from error

    def _meaning(self, error: exc.DBAPIError) -> VosError:
        cause = error.orig
        code = cause.args[0] if cause is not None and cause.args else None
        if code in _NO_SUCH_TABLE_OR_COLUMN or "no such table" in str(cause) or "no such column" in str(cause):
            return SchemaOutdated(self._outdated(f"lacks a table or column ({cause})"))
        if isinstance(error, exc.IntegrityError):
            return AlreadyThere(str(cause))
        if isinstance(error, exc.DataError) or code in _TOO_LARGE_OR_UNFIT:
            return ContentRefused(str(cause))
        return StoreUnavailable(f"{self.place} does not do its work ({cause}): {_advice(code, str(cause))}")


def _advice(code: object, text: str) -> str:
    """Return what an operator should look at, by MySQL's error number or SQLite's words."""
    match code:
        case 2003 | 2006 | 2013:
            return "is the server running and the address right?"
        case 1044 | 1045 | 1698:
            return "check the user and password of database.url"
        case 1049:
            return "make the database, then run vosd migrate"
        case 1040:
            return "raise the server's max_connections"
        case 1205 | 1213:
            return "another program holds locks; this is tried again"
    if "locked" in text:
        return "another program holds the write lock; this is tried again"
    if "unable to open" in text:
        return "does the directory exist and may this user write there?"
    return "see the server's log, its disk space and rights"


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except exc.ArgumentError as error:
        message = f"database.url is not a URL such as {_SQLITE}:///var/vosd.db or {_MYSQL}://user@host/vosd"
        raise UnsupportedDatabase(message) from error
    if parsed.drivername not in {_SQLITE, _MYSQL}:
        message = f"database.url begins with {parsed.drivername}; vosd uses {_SQLITE} or {_MYSQL}"
        raise UnsupportedDatabase(message)
    return parsed


def _sqlite_engine(url: URL, *, busy_s: float) -> AsyncEngine:
    engine = create_async_engine(url, hide_parameters=True)

    @event.listens_for(engine.sync_engine, "do_connect")
    def try_the_file(_: object, __: object, arguments: list[Any], ___: object) -> None:
        # the driver's thread outlives a failure to open and complains where nobody listens; fail before it
        sqlite3.connect(arguments[0]).close()

    @event.listens_for(engine.sync_engine, "connect")
    def prepare_session(connection: Any, _: object) -> None:
        connection.isolation_level = None  # transactions begin where we say so, not where the driver guesses
        cursor = connection.cursor()
        for setting in ("journal_mode = WAL", "synchronous = FULL", f"busy_timeout = {busy_s * 1000:.0f}"):
            cursor.execute(f"PRAGMA {setting}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer takes the lock at once: a transaction that read first and then wants to write cannot wait
        writing = connection.get_execution_options().get(_WRITING, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def _mysql_engine(url: URL) -> AsyncEngine:
    return create_async_engine(
        url.update_query_dict({"charset": "utf8mb4"}),
        hide_parameters=True,
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        connect_args={"connect_timeout": _CONNECT_S, "init_command": _SESSION_OF_MYSQL},
    )
