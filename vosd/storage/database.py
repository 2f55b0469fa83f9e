"""The database: transactions and their time limit, the replica, and the repetition of orders that collided.

Refuses to know statements. Connections are made by ``engines``, errors translated by ``driver_errors``.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from random import uniform
from typing import Any, Final, ParamSpec, Self, TypeVar, TypeVarTuple

from sqlalchemy import event, exc, make_url, text
from sqlalchemy.engine import URL, Row
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.selectable import TypedReturnsRows

from vosd.cdr.ports import Collided, OutcomeUnknown, RowsLocked, StoreUnavailable
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.driver_errors import DriverErrors, SchemaOutdated, UnsupportedDatabase
from vosd.storage.engines import IN_MEMORY, WRITING, file_number, mysql_engine, sqlite_engine
from vosd.storage.migrations import revisions
from vosd.storage.types import Moment

PATIENCE_S: Final = 30.0
"""Time limit of a transaction in seconds; a database that takes longer counts as away (ADR 10)."""
COMMAND_PATIENCE_S: Final = 10.0
"""Longest wait of a command for the first answer of the database: its user may have to act without it."""

_SQLITE: Final = "sqlite+aiosqlite"
_MYSQL: Final = "mysql+aiomysql"
_BUSY_S: Final = 5.0
_REPLICA_S: Final = 5.0
"""A replica that takes longer to begin a transaction counts as away."""
_REPLICA_AWAY_S: Final = 30.0
"""A replica that could not be reached is not asked again for so long."""
_REPLICA_LOOK_S: Final = 5.0
"""Interval at which it is looked at whether the replica follows the database."""
_REPLICA_LATE_MS: Final = 300_000
"""A replica whose latest renewal of the lease is so much older than that of the database counts as away."""
_RENEWED_LAST: Final = text("SELECT MAX(renewed_at) AS renewed_at FROM lease").columns(renewed_at=Moment())

_COLLISION_PAUSES_S: Final = (0.05, 0.2)
"""Longest pauses before an order is tried again: in a cluster over several places a commit takes as long as that."""
_TRIES_FOR_ROWS: Final = 6
"""Tries of each order of a run. One waits 5 s for rows, then as long again while others book: a minute in all."""
_WAITS_FOR_ROWS: Final[ContextVar[Callable[[RowsLocked], object] | None]] = ContextVar("waits_for_rows", default=None)
"""Receives the error of each try of an order of a run; None = a person waits for the order, which is tried once."""

_Columns = TypeVarTuple("_Columns")
_Value = TypeVar("_Value")
_Result = TypeVar("_Result")
_Parameters = ParamSpec("_Parameters")


def repeated(order: Callable[_Parameters, Awaitable[_Result]]) -> Callable[_Parameters, Coroutine[Any, Any, _Result]]:
    """Carry out an order, which makes one transaction and keeps nothing else, again where it collided with another.

    The pauses before that are random, so that two orders do not collide again. An order of a run
    (``Database.waiting_for_rows``) is tried again for rows that another transaction holds, too.
    """

    @wraps(order)
    async def carried_out(*arguments: _Parameters.args, **named: _Parameters.kwargs) -> _Result:
        tell, pauses_s = _WAITS_FOR_ROWS.get(), iter(_COLLISION_PAUSES_S)
        left = 0 if tell is None else _TRIES_FOR_ROWS - 1
        while True:
            begun = time.monotonic()
            try:
                return await order(*arguments, **named)
            except Collided:
                longest_s = next(pauses_s, None)
                if longest_s is None:
                    raise
                pause_s = uniform(0, longest_s)
            except RowsLocked as error:
                if tell is None or not left:
                    raise
                left -= 1
                tell(error)
                pause_s = time.monotonic() - begun  # it may have kept others from the counter of commits so long
            await asyncio.sleep(pause_s)

    return carried_out


class Database:
    """One database, shared by everything in a process that reads or writes it."""

    def __init__(
        self,
        url: str,
        *,
        patience_s: float = PATIENCE_S,
        statement_s: float | None = None,
        replica: str | None = None,
        remark: Callable[[str], object] | None = None,
        was_used: Callable[[], bool] = lambda: False,
    ) -> None:
        """Prepare connections to ``url``; none is opened before the first use.

        ``statement_s`` is the longest time of one statement, in MySQL of a SELECT; None = any. ``replica`` is the URL
        of a copy of the database, for ``searching``; None = there is none. ``remark`` receives a sentence where it is
        away, or a run waits for rows; None = the log has it. ``was_used`` returns whether a switch has worked on this
        database: where it is gone, errors do not advise to make a new one.

        Raises:
            UnsupportedDatabase: unless the URL begins with ``sqlite+aiosqlite`` or ``mysql+aiomysql``.
            EncryptionUnusable: TLS cannot be used as the URL asks for it.
        """
        parsed = _parse(url)
        self._url = parsed
        self._patience_s = patience_s
        self._statement_s = statement_s
        self._was_used = was_used
        self._errors = DriverErrors(lambda: self.place, was_used, statement_s)
        self.engine: Final = (
            sqlite_engine(parsed, busy_s=min(_BUSY_S, patience_s), gone=self._errors.gone)
            if parsed.drivername == _SQLITE
            else mysql_engine(parsed, patience_s, statement_s)
        )

        if not self.is_sqlite:
            event.listen(self.engine.sync_engine, "do_connect", self._log_in)
        self._replica = None if replica is None else Database(replica, patience_s=patience_s, statement_s=statement_s)
        self._replica_is_away_until = -math.inf
        self._replica_is_well_until = -math.inf
        self._remark = remark

    def apart(self) -> "Database":
        """Return the same database with connections of its own and without limit of a statement's time.

        For the loop of another thread.
        """
        return Database(self.url, was_used=self._was_used)

    @property
    def url(self) -> str:
        """The URL with user and password, for another process."""
        return self._url.render_as_string(hide_password=False)

    @property
    def place(self) -> str:
        """The URL as it may be shown: without password, and without options, which may hold another."""
        return self._url.set(query={}).render_as_string(hide_password=True)

    def is_other_login(self, url: str) -> bool:
        """Return whether another URL of this database has another user or password."""
        return _parse(url) != self._url

    def log_in_by(self, url: str) -> bool:
        """Use user and password of another URL of this database for new connections; return whether it is another.

        Open connections go on until they are replaced, within a minute of use while the name of the server is found.
        """
        is_other = self.is_other_login(url)
        self._url = _parse(url)
        return is_other

    def _log_in(self, _dialect: object, _record: object, _arguments: object, named: dict[str, Any]) -> None:
        """Put the present user and password among the arguments of a new connection."""
        for name, value in (("user", self._url.username), ("password", self._url.password)):
            named.pop(name, None)
            if value is not None:
                named[name] = value

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the embedded database, in which a writer locks out all others."""
        return self.engine.dialect.name == "sqlite"

    @property
    def file(self) -> Path | None:
        """The file of an SQLite database; None = it is in a server, or in memory."""
        path = self.engine.url.database
        return Path(path) if self.is_sqlite and path and path != IN_MEMORY else None

    def file_number(self) -> int:
        """Return the inode number of an SQLite database's file; 0 = the file is missing.

        Another file of the same name has another number.
        """
        return file_number(self.engine.url.database)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()
        if self._replica is not None:
            await self._replica.close()

    @asynccontextmanager
    async def reading(self, *, unhurried: bool = False) -> AsyncIterator[AsyncConnection]:
        """Yield a connection in a transaction that sees one state of the database throughout.

        ``unhurried`` lifts the time limit, for an audit that the operator can interrupt.

        Raises:
            SchemaOutdated: a table or column is missing.
        """
        with self._errors.translated(self.engine.dialect, self._patience_s):
            # The transaction begins with the first statement and ends with the use of the connection.
            async with asyncio.timeout(None if unhurried else self._patience_s), self.engine.connect() as connection:
                yield connection

    async def rows(self, query: TypedReturnsRows[*_Columns], *, unhurried: bool = False) -> Sequence[Row[*_Columns]]:
        """Return the rows of one query, read as by ``reading``, and raises as that."""
        async with self.reading(unhurried=unhurried) as connection:
            return (await connection.execute(query)).all()

    async def row(self, query: TypedReturnsRows[*_Columns], *, unhurried: bool = False) -> Row[*_Columns] | None:
        """Return the first row of one query as ``rows``; None = there is none."""
        async with self.reading(unhurried=unhurried) as connection:
            return (await connection.execute(query)).first()

    async def value(self, query: TypedReturnsRows[_Value], *, unhurried: bool = False) -> _Value | None:
        """Return the value of the first row of a query of one column as ``rows``; None = there is none."""
        row = await self.row(query, unhurried=unhurried)
        return None if row is None else row[0]

    @asynccontextmanager
    async def searching(self, *, unhurried: bool = False) -> AsyncIterator[AsyncConnection]:
        """Yield a connection as ``reading`` for what may read much, and need not have what was booked a moment ago.

        It is one to the replica, where there is one that can be reached. Raises as ``reading``.
        """
        async with AsyncExitStack() as opened:
            connection = await self._to_replica(opened, unhurried=unhurried)
            if connection is None:
                connection = await opened.enter_async_context(self.reading(unhurried=unhurried))
            yield connection

    async def _to_replica(self, opened: AsyncExitStack, *, unhurried: bool) -> AsyncConnection | None:
        """Return a connection to the replica; None = there is none, or it cannot be reached.

        One that cannot be reached is left alone for a while.
        """
        if self._replica is None or time.monotonic() < self._replica_is_away_until:
            return None
        try:
            # A failure ends the transaction here, which translates the error and stops its time limit.
            async with asyncio.timeout(_REPLICA_S), AsyncExitStack() as begun:
                if time.monotonic() >= self._replica_is_well_until:
                    await self._require_following(self._replica)
                    self._replica_is_well_until = time.monotonic() + _REPLICA_LOOK_S
                connection = await begun.enter_async_context(self._replica.reading(unhurried=unhurried))
                await connection.exec_driver_sql("SELECT 1")
                opened.push_async_exit(begun.pop_all())
                return connection
        except (StoreUnavailable, TimeoutError) as error:
            self._replica_is_away_until = time.monotonic() + _REPLICA_AWAY_S
            self._replica_is_well_until = -math.inf
            self._note_away(str(error) or f"it did not answer within {_REPLICA_S:g} s")
            return None

    async def _require_following(self, replica: "Database") -> None:
        """Make sure that the replica has the tables of this version, and what was written some minutes ago.

        A running switch renews its lease each second. Where the database itself does not answer at once, the replica is
        good enough.

        Raises:
            StoreUnavailable: its replication is late, or has stopped; or it is away.
            SchemaOutdated: a migration has not come there yet.
        """
        if self._replica_is_well_until == -math.inf:  # its tables do not become older
            await replica.check_schema()
        copied = await replica._renewed_last()
        try:
            async with asyncio.timeout(_REPLICA_S / 5):
                renewed = await self._renewed_last()
        except (StoreUnavailable, TimeoutError):
            return
        if renewed - copied > _REPLICA_LATE_MS:
            late = f"is {(renewed - copied) // 1_000} s behind the database"
            says = late if copied else "has nothing that a switch wrote into the database"
            raise StoreUnavailable(f"{replica.place} {says}: see the state of its replication")

    async def _renewed_last(self) -> int:
        """Return when a switch has renewed its lease last, by the clock of the database, UTC milliseconds."""
        async with self.reading() as connection:
            return (await connection.execute(_RENEWED_LAST)).scalar() or 0

    def _note_away(self, why: str) -> None:
        means = "the database itself is read"
        if self._remark is not None:
            self._remark(f"the replica is away, so {means}: {why}")
            return
        from vosd.obs.events import log as _log  # most commands log nothing

        _log.warning("replica_away", error=why, means=means)

    @contextmanager
    def waiting_for_rows(self) -> Iterator[None]:
        """Have each order of a run in this context wait up to a minute for rows that other transactions hold.

        A run of an hour does not end then, with the rest undone, for one transaction that takes longer than 5 s.
        """
        token = _WAITS_FOR_ROWS.set(self._note_locked)
        try:
            yield
        finally:
            _WAITS_FOR_ROWS.reset(token)

    def _note_locked(self, error: RowsLocked) -> None:
        if self._remark is not None:
            self._remark("another transaction holds locks: this waits up to a minute for them")
            return
        from vosd.obs.events import log as _log  # most commands log nothing

        _log.warning("rows_awaited", error=str(error), means="the run tries again, for a minute")

    @repeated
    async def write(self, statement: UpdateBase) -> int:
        """Carry out one statement in a transaction as of ``writing``; return how many rows it has found."""
        async with self.writing() as connection:
            return (await connection.execute(statement)).rowcount

    @asynccontextmanager
    async def writing(self, *, unhurried: bool = False) -> AsyncIterator[AsyncConnection]:
        """Yield a connection in a transaction that is committed at the end of the block.

        ``unhurried`` lifts the time limit, for a migration.

        Raises:
            StoreUnavailable: the database is away, locked or too slow; nothing was committed.
            Collided: the database has undone it because of another transaction.
            OutcomeUnknown: it went away, or became too slow, while it committed.
            SchemaOutdated: a table or column is missing.
            ContentRefused: a value does not fit its column, or (``AlreadyThere``) a key exists.
        """
        is_complete = False
        try:
            with self._errors.translated(self.engine.dialect, self._patience_s):
                async with asyncio.timeout(None if unhurried else self._patience_s), self.engine.connect() as raw:
                    connection = await raw.execution_options(**{WRITING: True})
                    async with connection.begin():
                        yield connection
                        is_complete = True
        except StoreUnavailable as error:
            if not is_complete or type(error) is not StoreUnavailable:
                raise
            raise OutcomeUnknown(str(error)) from error

    async def check_schema(self, patience_s: float | None = None) -> None:
        """Make sure that the tables are those of this version, or of a newer one that this one works with.

        It waits so many seconds for an answer; None = as long as a transaction may take.

        Raises:
            SchemaOutdated: they are older, too new or (``DatabaseGone``) missing; the message says what to do.
            MigrationsMissing: the installation is incomplete.
        """
        try:
            async with asyncio.timeout(patience_s), self.reading() as connection:
                found = (await connection.exec_driver_sql("SELECT version_num FROM alembic_version")).scalar()
        except TimeoutError as error:
            raise StoreUnavailable(f"{self.place} did not answer within {patience_s:g} s") from error
        *earlier, wanted = revisions()
        if found == wanted:
            return
        if found is None or found in earlier or str(found) < wanted:
            raise SchemaOutdated(self._errors.outdated(f"has schema {found or 'none'}, not {wanted}"))
        if await self._oldest() not in {*earlier, wanted}:
            raise SchemaOutdated(f"{self.place} was migrated by a newer vosd (schema {found}): install that version")

    async def _oldest(self) -> str | None:
        """Return the oldest schema whose programs work with that of the database; None = it does not say."""
        try:
            async with self.reading() as connection:
                return (await connection.exec_driver_sql("SELECT oldest FROM schema_compatibility")).scalar()
        except SchemaOutdated:
            return None


class SqlStore:
    """Reads and writes some tables of a database, as its subclasses say."""

    def __init__(self, database: Database) -> None:
        self._database = database


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except exc.ArgumentError as error:
        message = f"database.url is not a URL such as {_SQLITE}:///var/vosd.db or {_MYSQL}://user@host/vosd"
        raise UnsupportedDatabase(message) from error
    if parsed.drivername not in {_SQLITE, _MYSQL}:
        raise UnsupportedDatabase(f"database.url begins with {parsed.drivername}; vosd uses {_SQLITE} or {_MYSQL}")
    return parsed
