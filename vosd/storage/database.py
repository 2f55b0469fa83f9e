"""Connection to the database: the engine made from a URL, transactions, and errors of the drivers.

Sets the session options and the time limit of transactions, and translates the drivers' errors into ours. Refuses to
know statements.
"""

import asyncio
import math
import os
import re
import select
import socket
import sqlite3
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from random import uniform
from typing import Any, Final, ParamSpec, Self, TypeVar, TypeVarTuple

from sqlalchemy import event, exc, make_url, text
from sqlalchemy.engine import URL, Connection, ExceptionContext, Row
from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.selectable import TypedReturnsRows
from sqlalchemy.util import await_only

from vosd.base.errors import VosError
from vosd.cdr.ports import Collided, OutcomeUnknown, RowsLocked, StoreDamaged, StoreUnavailable
from vosd.storage.asynchronous import AsyncConnection, AsyncEngine, create_async_engine
from vosd.storage.encryption import ServerEncryption, without_encryption
from vosd.storage.migrations import revisions
from vosd.storage.types import Moment, Unstorable

PATIENCE_S: Final = 30.0
"""Time limit of a transaction in seconds; a database that takes longer counts as away (ADR 10)."""
COMMAND_PATIENCE_S: Final = 10.0
"""Longest wait of a command for the first answer of the database: its user may have to act without it."""

_SQLITE: Final = "sqlite+aiosqlite"
_MYSQL: Final = "mysql+aiomysql"
_BUSY_S: Final = 5.0
_CONNECT_S: Final = 5
_SET_HERE: Final = (
    "autocommit", "client_flag", "connect_timeout", "echo", "init_command", "local_infile", "sql_mode", "use_unicode",
)  # fmt: skip
"""Parameters of a URL that are not used. With ``autocommit``, of any value, a booking would be no transaction."""
_REPLICA_S: Final = 5.0
"""A replica that takes longer to begin a transaction counts as away."""
_REPLICA_AWAY_S: Final = 30.0
"""A replica that could not be reached is not asked again for so long."""
_REPLICA_LOOK_S: Final = 5.0
"""Interval at which it is looked at whether the replica follows the database."""
_REPLICA_LATE_MS: Final = 300_000
"""A replica whose latest renewal of the lease is so much older than that of the database counts as away."""
_RENEWED_LAST: Final = text("SELECT MAX(renewed_at) AS renewed_at FROM lease").columns(renewed_at=Moment())

_RENEWED_S: Final = 60
"""Age in seconds at which a connection to a server is replaced. Behind a switch-over the name of the server leads to
the new primary, while the old one keeps open connections and answers what is only read, with rows from before.
A firewall that forgets idle connections says nothing, so that the whole patience would be waited for an answer.
"""
_LOOK_UP_S: Final = 1.0
"""Longest wait for the address of a server, before an open connection to it is given up for a new one."""
_LOCK_WAIT_S: Final = 5
"""Longest wait for a row that another transaction holds, where the server's own is 50 s: who waits while it has the
counter of commits keeps all others from booking."""
_SESSION_OF_MYSQL: Final = (
    "SET SESSION time_zone = '+00:00', "
    # Strict: an error instead of cut text or a rounded amount. Without NO_BACKSLASH_ESCAPES, because the driver escapes
    # text with backslashes, whatever the server's own mode is.
    "sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', "
    # No limit: from 200 keys in a statement on the server would go by the statistics of the table instead of looking
    # into the index. Those of a table that has grown since it was opened are old, and it reads all rows.
    "eq_range_index_dive_limit = 0, "
    # Those of a server may be set for people at a terminal: rows beyond a limit would be missing without an error, long
    # lists would be refused, and so would a change without a key; each COMMIT would begin another transaction, or end
    # the connection. A backup and an audit of the books take minutes: those with a server's own limit would never end.
    "sql_select_limit = 18446744073709551615, sql_big_selects = ON, sql_safe_updates = OFF, completion_type = 0"
    # On from MariaDB 11.6.2: an UPDATE without an index would wait for rows that it does not change.
    " /*M!110602 , innodb_snapshot_isolation = OFF */"
)
_READS_AND_CHANGES: Final = 3
"""Sum for Galera's ``wsrep_sync_wait``: a transaction waits before what reads (1), and before UPDATE and DELETE (2)."""
_NO_SUCH_TABLE_OR_COLUMN: Final = frozenset({1054, 1146})
_NO_SUCH_IN_SQLITE: Final = re.compile("no such (table|column)|has no column named|^NOT NULL constraint failed")
_FIRST_TABLES: Final = "alembic_version|counter|account|ledger_entry|cdr|identity|lease"
_LACKS_FIRST_TABLE: Final = re.compile(
    rf"no such table: (main\.)?({_FIRST_TABLES})$|Table '[^']*\.({_FIRST_TABLES})' doesn't exist"
)
"""Messages about a table that every database of vosd has: without it this is none, whatever the version."""
_TOO_LARGE_OR_UNFIT: Final = frozenset({1153, 1264, 1292})
_UNLIKE_OURS: Final = frozenset({1048, 1136, 1265, 1364, 1366, 1406})
"""Errors of a column that is missing, too narrow, or of another type or character set than this version's."""
_KEY: Final = re.compile(r"for key '(?:[^']*\.)?(\w+)'\Z")
"""Name of the key at the end of a MySQL server's message about a duplicate."""
COUNTER_BEHIND: Final = (
    "the counter of commits is behind cdr.export_seq: UPDATE counter SET value ="
    " (SELECT MAX(export_seq) FROM cdr) WHERE name = 'commits'"
)
"""Advice to the operator about numbers of commits that calls have already."""
_DAMAGED_KEYS: Final = {
    "cdr_export": COUNTER_BEHIND,
    "ledger_entry_chain": (
        "an account's seq is behind its ledger entries: vosd ledger verify names it; set account.seq and"
        " account.balance to those of its latest entry"
    ),
}
"""Keys of numbers that the database generates, and what the operator does when such a number is taken."""
_DAMAGED_COLUMNS: Final = {
    "cdr.export_seq": "cdr_export",
    "ledger_entry.account, ledger_entry.seq": "ledger_entry_chain",
}
"""Names that SQLite has for these keys."""
_USER_LOCKED: Final = 3118, 4151
_PASSWORD_EXPIRED: Final = 1820, 1862
_WANTS_TLS: Final = 3159
_REFUSED: Final = frozenset({1044, 1045, 1698})
"""Errors about user, password or the right to the database: a start is refused. Those of users that are locked come and
go by themselves, and are an outage."""
_NO_CONNECTION: Final = 2003
_NOT_VALID_NOW: Final = frozenset({9, 10})
"""OpenSSL's numbers for certificates that are not valid yet, or not any more."""
_UNKNOWN_DATABASE: Final = 1049
_TAKES_NO_CHANGES: Final = frozenset({1036, 1047, 1792, 1836, 1874})
"""Errors of a server, or a node of a cluster, that is not the primary. No transaction of ours is READ ONLY (1792)."""
_NOT_COMMITTED: Final = 1180
_OUTSIDE: Final = "Primary Component"
"""Part of what a node of Galera says at a commit while it leaves the primary part of its cluster."""
_FORBIDDEN_BY_OPTION: Final = 1290
_READ_ONLY_OPTION: Final = re.compile("--(super-)?read[-_]only")
_SERVER_GONE: Final = 2006
_OTHER_HOSTGROUP: Final = 9006
_KEEP_AUTOCOMMIT: Final = (
    "what stands between has to keep autocommit = 0 of a session, which ProxySQL does with"
    " mysql-enforce_autocommit_on_reads = true"
)
_STATEMENT_ENDED: Final = (1969, 3024)
"""By MariaDB, and by MySQL."""
_LOCK_WAIT_ENDED: Final = 1205
_LOCKED_FILE: Final = "database is locked"
"""Words of SQLite about the lock that a writer has on all rows."""
_UNDONE: Final = 1213
"""A deadlock; in a Galera cluster also a commit that another node's commit came before."""
_COLLISION_PAUSES_S: Final = (0.05, 0.2)
"""Longest pauses before an order is tried again: in a cluster over several places a commit takes as long as that."""
_TRIES_FOR_ROWS: Final = 6
"""Tries of each order of a run. One waits 5 s for rows, then as long again while others book: a minute in all."""
_WAITS_FOR_ROWS: Final[ContextVar[Callable[[RowsLocked], object] | None]] = ContextVar("waits_for_rows", default=None)
"""Receives the error of each try of an order of a run; None = a person waits for the order, which is tried once."""
_IN_MEMORY: Final = ":memory:"
_MADE_S: Final = "vosd_made_s"
"""Key in the facts of a connection: when it was made, by a clock that is never set."""
_FILE: Final = "vosd_file"
_WRITING: Final = "vosd_writing"
_LEVEL: Final = "vosd_level"

_Columns = TypeVarTuple("_Columns")
_Value = TypeVar("_Value")
_Result = TypeVar("_Result")
_Parameters = ParamSpec("_Parameters")


class DatabaseRefusesUs(StoreUnavailable):
    """The database refuses the connection until the operator changes the user, the password or the directory."""


class StatementTooLong(StoreUnavailable):
    """The database has ended a statement that took longer than one of this process may; it has changed nothing."""

    remedy = "ask for less: a shorter span by `since` and `until`, one account or gateway"


class SchemaOutdated(StoreDamaged):
    """The tables are not those of this version; the message names the command that updates them."""


class DatabaseGone(SchemaOutdated):
    """The file of the database is missing, or the tables that every database of vosd has."""


class UnsupportedDatabase(VosError):  # noqa: N818 - describes the URL
    """The URL names a database or driver that vosd does not use."""


class ContentRefused(VosError):  # noqa: N818 - the database's verdict on a value
    """The database will never take this content, however often it is tried."""


class BalanceTooLarge(ContentRefused):
    """An account would have more money, or owe more, than a column holds."""


class AlreadyThere(ContentRefused):
    """A unique key exists already."""


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
        self.engine: Final = (
            _sqlite_engine(parsed, busy_s=min(_BUSY_S, patience_s), gone=self._gone)
            if parsed.drivername == _SQLITE
            else _mysql_engine(parsed, patience_s, statement_s)
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
        return Path(path) if self.is_sqlite and path and path != _IN_MEMORY else None

    def file_number(self) -> int:
        """Return the inode number of an SQLite database's file; 0 = the file is missing.

        Another file of the same name has another number.
        """
        return _file_number(self.engine.url.database)

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
        with self._our_errors():
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
            with self._our_errors():
                async with asyncio.timeout(None if unhurried else self._patience_s), self.engine.connect() as raw:
                    connection = await raw.execution_options(**{_WRITING: True})
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
            raise SchemaOutdated(self._outdated(f"has schema {found or 'none'}, not {wanted}"))
        if await self._oldest() not in {*earlier, wanted}:
            raise SchemaOutdated(f"{self.place} was migrated by a newer vosd (schema {found}): install that version")

    async def _oldest(self) -> str | None:
        """Return the oldest schema whose programs work with that of the database; None = it does not say."""
        try:
            async with self.reading() as connection:
                return (await connection.exec_driver_sql("SELECT oldest FROM schema_compatibility")).scalar()
        except SchemaOutdated:
            return None

    def _outdated(self, fault: str) -> str:
        return f"{self.place} {fault}: run vosd migrate"

    def _gone(self, fault: str) -> DatabaseGone:
        if self._was_used():
            return DatabaseGone(
                f"{self.place} {fault}: this switch has worked on a database that is gone. Put it back, or vosd restore"
                " FILE; vosd migrate --anew makes one without any balance or call"
            )
        return DatabaseGone(self._outdated(fault))

    @contextmanager
    def _our_errors(self) -> Iterator[None]:
        try:
            yield
        except exc.DBAPIError as error:
            raise self._meaning(error) from error.orig
        except self.engine.dialect.loaded_dbapi.Error as error:  # met outside of a statement: SQLAlchemy passes it on
            raise self._meaning(exc.OperationalError("", None, error)) from error
        except exc.StatementError as error:  # the column's type refused the value before the driver got it
            if not isinstance(error.orig, Unstorable):
                raise
            raise ContentRefused(str(error.orig)) from error.orig
        except TimeoutError as error:
            message = f"{self.place} did not answer within {self._patience_s:g} s: see what it is busy with"
            raise StoreUnavailable(message) from error
        except (exc.TimeoutError, OSError) as error:
            if self.is_sqlite and isinstance(error, PermissionError):
                message = f"{self.place} may not be opened by this user: run this as the user of the switch"
                raise DatabaseRefusesUs(message) from error
            raise StoreUnavailable(self._unreached(error)) from error
        except (OverflowError, Unstorable) as error:
            raise ContentRefused(str(error)) from error

    def _meaning(self, error: exc.DBAPIError) -> VosError:
        cause = error.orig
        code = cause.args[0] if cause is not None and cause.args else None
        if code == _UNKNOWN_DATABASE or code in _NO_SUCH_TABLE_OR_COLUMN or _NO_SUCH_IN_SQLITE.search(str(cause)):
            return self._meaning_of_lack(code, cause)
        if code in _UNLIKE_OURS:
            return SchemaOutdated(self._outdated(f"has a column that is not this version's ({cause})"))
        if isinstance(error, exc.IntegrityError):
            return self._meaning_of_duplicate(str(cause.args[-1]) if cause is not None else "")
        if isinstance(error, exc.DataError) or code in _TOO_LARGE_OR_UNFIT:
            return ContentRefused(str(cause))
        if code in _STATEMENT_ENDED:
            longest = "its own limit" if self._statement_s is None else f"{self._statement_s:g} s"
            return StatementTooLong(f"{self.place} was busy with one statement for longer than {longest}: ask for less")
        if code == _NO_CONNECTION and cause is not None and cause.__cause__ is not None:
            return self._meaning_of_no_connection(cause.__cause__)
        is_refused = code in _REFUSED or "unable to open" in str(cause)
        kind = DatabaseRefusesUs if is_refused else _KINDS.get(code, StoreUnavailable)
        return kind(f"{self.place} does not do its work ({cause}): {_advice(code, str(cause))}")

    def _meaning_of_no_connection(self, reason: BaseException) -> VosError:
        """Return the error where no connection could be made, of which the driver itself says no more than that."""
        if not isinstance(reason, ssl.SSLError):
            return StoreUnavailable(self._unreached(reason))
        fault = f"{self.place} does not do its work ({reason})"
        if isinstance(reason, ssl.SSLCertVerificationError) and reason.verify_code in _NOT_VALID_NOW:
            # An outage, and nothing that the configuration could mend: a start goes on without the database.
            return StoreUnavailable(f"{fault}: renew the server's certificate, or set the clock of this machine")
        return DatabaseRefusesUs(
            f"{fault}: check ssl_ca (and ssl_cert) of database.url, and whether the server's certificate names its host"
        )

    def _unreached(self, reason: BaseException) -> str:
        why: object = reason
        advice = "is the server running and the address right?"
        if isinstance(reason, TimeoutError | socket.gaierror):
            why = f"no answer within {_CONNECT_S} s" if isinstance(reason, TimeoutError) else reason.strerror
            advice = "is the server running and the address right, and do the name servers answer?"
        elif isinstance(reason, OSError) and reason.errno:
            why = os.strerror(reason.errno)  # the event loop says only that the call has failed
        return f"cannot reach {self.place} ({why}): {advice}"

    def _meaning_of_lack(self, code: object, cause: BaseException | None) -> VosError:
        """Return the error where the database, a table or a column is not there."""
        if code == _UNKNOWN_DATABASE:
            advice = "make the database, then run vosd migrate"
            if self._was_used():
                advice = "this switch has worked on it. Put it back, or make an empty database and vosd restore FILE"
            return StoreDamaged(f"{self.place} does not exist ({cause}): {advice}")
        fault = f"lacks a table or column ({cause})"
        if cause is not None and cause.args and _LACKS_FIRST_TABLE.search(str(cause.args[-1])):
            return self._gone(fault)
        return SchemaOutdated(self._outdated(fault))

    def _meaning_of_duplicate(self, message: str) -> VosError:
        mending = _own_number(message)
        if mending is None:
            return AlreadyThere(message)
        return StoreDamaged(f"{self.place} has given a number away twice ({message}): {mending}")


class SqlStore:
    """Reads and writes some tables of a database, as its subclasses say."""

    def __init__(self, database: Database) -> None:
        self._database = database


def _own_number(message: str) -> str | None:
    """Return the advice about a generated number that is taken; None if the duplicate is in the content."""
    named = _KEY.search(message)
    in_sqlite = message.removeprefix("UNIQUE constraint failed: ")
    return _DAMAGED_KEYS.get(named[1] if named else _DAMAGED_COLUMNS.get(in_sqlite, ""))


_KINDS: Final[Mapping[object, type[StoreUnavailable]]] = {
    _LOCK_WAIT_ENDED: RowsLocked,
    _LOCKED_FILE: RowsLocked,
    _UNDONE: Collided,
}
_AGAIN: Final = "the switch tries again by itself, an order must be given again"
_ADVICE: Final = {
    **dict.fromkeys((1053, 2003, _SERVER_GONE, 2013), "is the server running and the address right?"),
    **dict.fromkeys((1317, 1927), f"a person or a program has ended it by KILL; {_AGAIN}"),
    1412: f"a table was changed meanwhile, as by vosd migrate; {_AGAIN}",
    1044: "the database is not there, or its user has no right to it: docs/database-rights.md lists the rights",
    **dict.fromkeys(
        (1045, 1698),
        "check the user and password of database.url; % in them is written %25. A server refuses so, too, where it"
        " wants TLS: ssl_ca, and ssl_cert where it wants a certificate of ours",
    ),
    **dict.fromkeys((1142, 1143), "its user lacks a right: docs/database-rights.md lists those that it needs"),
    **dict.fromkeys(_USER_LOCKED, "the user of database.url is locked: ALTER USER ... ACCOUNT UNLOCK"),
    **dict.fromkeys(
        _PASSWORD_EXPIRED, "the password of the user of database.url has expired: ALTER USER ... IDENTIFIED BY"
    ),
    _WANTS_TLS: "the server asks for TLS: database.url needs ssl_ca",
    1226: "raise the limits that the server sets the user of database.url (max_user_connections and the like)",
    1040: "raise the server's max_connections",
    _OTHER_HOSTGROUP: "a rule of ProxySQL sends what is read to other servers: have none for the user of database.url",
    1665: "set the server's binlog_format to MIXED or ROW: with STATEMENT it refuses READ COMMITTED",
    _LOCK_WAIT_ENDED: f"another transaction holds locks, of another program or of orders before this one; {_AGAIN}",
    _UNDONE: f"another transaction, or one at another node of a cluster, came first; {_AGAIN}",
}
"""Advice to the operator, by MySQL's error number."""


def _advice(code: object, text: str) -> str:
    """Return what the operator should check, by MySQL's error number or SQLite's message."""
    if code in _ADVICE:
        return _ADVICE[code]
    if _takes_no_changes(code, text):
        return "this server takes no changes: make it the primary, or have database.url lead to the one that is"
    if not isinstance(code, str):  # of a server: SQLite has no numbers
        return "see the server's log, its disk space and rights"
    if "locked" in text:
        return f"another transaction holds the write lock, of another program or of orders before this one; {_AGAIN}"
    if "unable to open" in text:
        own = "does the directory exist, and is this the user of the switch, who may write there?"
        return f"{own} A service needs ReadWritePaths= for it (systemctl edit vosd)"
    if "not a database" in text or "malformed" in text:
        return "the file is damaged: put a backup back (vosd restore FILE)"
    return "is its disk full (df, df -i), and may this user write in its directory?"


def _takes_no_changes(code: object, text: str) -> bool:
    """Return whether a MySQL server refuses a statement because it is not the primary."""
    if code == _FORBIDDEN_BY_OPTION:
        return _READ_ONLY_OPTION.search(text) is not None
    return code in _TAKES_NO_CHANGES or (code == _NOT_COMMITTED and _OUTSIDE in text)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except exc.ArgumentError as error:
        message = f"database.url is not a URL such as {_SQLITE}:///var/vosd.db or {_MYSQL}://user@host/vosd"
        raise UnsupportedDatabase(message) from error
    if parsed.drivername not in {_SQLITE, _MYSQL}:
        raise UnsupportedDatabase(f"database.url begins with {parsed.drivername}; vosd uses {_SQLITE} or {_MYSQL}")
    return parsed


def _sqlite_engine(url: URL, *, busy_s: float, gone: Callable[[str], DatabaseGone]) -> AsyncEngine:
    from vosd.storage.sqlite_driver import connection_to  # a switch with a server does without the driver

    engine = create_async_engine(url, hide_parameters=True, connect_args={"async_creator_fn": connection_to})
    file = Path(url.database or _IN_MEMORY)

    @event.listens_for(engine.sync_engine, "do_connect")
    def try_the_file(_: object, record: ConnectionPoolEntry, arguments: list[Any], __: object) -> None:
        record.info[_FILE] = _file_number(url.database)  # before it is opened: it may be replaced meanwhile
        # SQLite would create an empty file if the database is missing or its name is misspelt.
        if url.database not in {None, "", _IN_MEMORY} and file.parent.is_dir() and not file.exists():
            raise gone(f"(database.url) is missing: there is no file {file.absolute()}")
        # The driver's thread keeps running after a failure to open, and logs it out of our control: fail first.
        sqlite3.connect(arguments[0]).close()

    @event.listens_for(engine.sync_engine, "connect")
    def prepare_session(connection: Any, _: object) -> None:
        connection.isolation_level = None  # we begin transactions ourselves, the driver does not
        cursor = connection.cursor()
        for setting in ("journal_mode = WAL", "synchronous = FULL", f"busy_timeout = {busy_s * 1000:.0f}"):
            cursor.execute(f"PRAGMA {setting}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "checkout")
    def expect_the_same_file(_: Any, record: ConnectionPoolEntry, __: object) -> None:
        # A connection that has the old file open would not see a file that replaced it.
        if record.info[_FILE] != _file_number(url.database):
            raise exc.DisconnectionError("the database file was replaced")

    @event.listens_for(engine.sync_engine, "invalidate")
    def release_write_lock(connection: Any, _: object, __: object) -> None:
        # A task was cancelled in a transaction. SQLite keeps a closed connection and its lock alive while one of its
        # statements is referenced, as by the cancelled task. A connection that is broken has no transaction to end:
        # its error is the one for which it is invalidated, and that is reported by the statement that met it.
        with suppress(sqlite3.Error, ValueError):
            connection.rollback()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer takes the lock at once: a transaction that has read cannot wait for the lock when it writes.
        if connection.get_execution_options().get(_WRITING, False):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            driver: Any = connection.connection.driver_connection
            driver.begin_with_next()

    return engine


def _file_number(path: str | None) -> int:
    try:
        return Path(path or "").stat().st_ino
    except OSError:
        return 0


def _mysql_engine(url: URL, patience_s: float, statement_s: float | None) -> AsyncEngine:
    encryption = ServerEncryption(url.query)
    server = url.query.get("unix_socket", url.host)  # the driver takes the file where both are there
    lock_wait_s = max(1, min(_LOCK_WAIT_S, int(patience_s / 2)))  # the server knows whole seconds, of 1 at least
    session = (
        f"{_SESSION_OF_MYSQL}, innodb_lock_wait_timeout = {lock_wait_s}"
        # MySQL has no such variable; its own, in milliseconds, holds for SELECT, and MariaDB skips what is for its 5.7.
        f" /*M! , max_statement_time = {statement_s or 0:g} */"
        f" /*!50708 , max_execution_time = {round((statement_s or 0) * 1_000)} */"
    )
    engine = create_async_engine(
        without_encryption(url).difference_update_query(_SET_HERE).update_query_dict({"charset": "utf8mb4"}),
        hide_parameters=True,
        connect_args={"connect_timeout": _CONNECT_S, "init_command": session},
        pool_reset_on_return=None,
    )
    used_on_until = -math.inf

    @event.listens_for(engine.sync_engine, "handle_error")
    def leave_what_is_no_primary(context: ExceptionContext) -> None:
        # The server goes on with open connections when another one is made the primary: end all of them.
        error = context.original_exception
        if error.args and _takes_no_changes(error.args[0], str(error)):
            context.is_disconnect = True

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        # The session keeps the level: most transactions have that of the one before, and ask for nothing.
        writing = connection.get_execution_options().get(_WRITING, False)
        level = "READ COMMITTED" if writing else "REPEATABLE READ"
        if connection.info.get(_LEVEL) != level:
            connection.info.pop(_LEVEL, None)  # in doubt until the server has answered
            connection.exec_driver_sql(f"SET SESSION TRANSACTION ISOLATION LEVEL {level}")
            connection.info[_LEVEL] = level

    @event.listens_for(engine.sync_engine, "reset")
    def end_what_is_left(connection: Any, _: object, state: PoolResetState) -> None:
        # Instead of SQLAlchemy's own, which asks for the end of a transaction that was committed, too.
        is_usable = state.asyncio_safe and not state.terminate_only
        if is_usable and not state.transaction_was_reset and connection.driver_connection.get_transaction_status():
            connection.rollback()

    @event.listens_for(engine.sync_engine, "connect")
    def note_time(_: object, record: Any) -> None:
        record.info[_MADE_S] = time.monotonic()  # a clock that is put back keeps nothing

    @event.listens_for(engine.sync_engine, "checkout")
    def replace_what_is_old(connection: Any, record: Any, _: object) -> None:
        # Instead of SQLAlchemy's own, which ends a connection before there is another: a name server that is away must
        # not take the database away.
        nonlocal used_on_until
        if time.monotonic() - record.info[_MADE_S] <= _RENEWED_S or time.monotonic() < used_on_until:
            return
        if await_only(_can_be_found(connection.driver_connection)):
            raise exc.DisconnectionError
        used_on_until = time.monotonic() + _RENEWED_S

    _expect_ends(engine)

    @event.listens_for(engine.sync_engine, "connect")
    def expect_transactions(connection: Any, _: object) -> None:
        # ProxySQL reads with autocommit by its default, and leaves it on in sessions that set what it does not know:
        # each statement of a booking would be committed alone. It is a SELECT that shows that.
        if _answer(connection, "SELECT @@autocommit") != "0":
            connection.close()
            raise DatabaseRefusesUs(f"{server} commits each statement alone: {_KEEP_AUTOCOMMIT}")

    @event.listens_for(engine.sync_engine, "connect")
    def wait_for_other_nodes(connection: Any, _: object) -> None:
        # A node of a Galera cluster has applied what others have committed milliseconds later: that would be missed as
        # lost. Servers that are built without wsrep refuse to set its variable.
        if _answer(connection, "SHOW SESSION VARIABLES LIKE 'wsrep_on'") == "ON":
            cursor = connection.cursor()
            cursor.execute(f"SET SESSION wsrep_sync_wait = {_READS_AND_CHANGES}")
            cursor.close()

    if encryption.context() is not None:

        @event.listens_for(engine.sync_engine, "do_connect")
        def encrypt(_: object, __: object, ___: object, named: dict[str, Any]) -> None:
            named["ssl"] = encryption.context()

        @event.listens_for(engine.sync_engine, "connect")
        def expect_encryption(connection: Any, _: object) -> None:
            # The driver goes on without TLS where the server offers none, or someone between says so.
            if not _answer(connection, "SHOW SESSION STATUS LIKE 'Ssl_cipher'"):
                connection.close()
                message = f"{server} offers no TLS, which database.url asks for: set it up there, or remove ssl_..."
                raise DatabaseRefusesUs(message)

    return engine


def _expect_ends(engine: AsyncEngine) -> None:
    """Have connections replaced that a server or a balancer has ended, and have no error of the event loop pass on."""

    @event.listens_for(engine.sync_engine, "checkout")
    def expect_an_open_connection(connection: Any, _: object, __: object) -> None:
        # Instead of SQLAlchemy's pre-ping, which waits for the server at each use: the kernel knows of an end, too.
        driver = connection.driver_connection
        if not _has_ended(driver):
            if not _has_something_come(driver):
                return
            with suppress(engine.dialect.loaded_dbapi.Error):
                connection.ping(False)
                return
        raise exc.InvalidatePoolError("the server has closed the connection")

    @event.listens_for(engine.sync_engine, "close")
    def leave_out_the_quit(connection: Any, _: object) -> None:
        # The driver would write that it goes, which uvloop refuses on a connection that has ended.
        if _has_ended(connection.driver_connection):
            connection.driver_connection.close()

    @event.listens_for(engine.sync_engine, "handle_error")
    def name_what_has_ended(context: ExceptionContext) -> None:
        # The driver writes to a connection that has ended between two statements; uvloop refuses with a RuntimeError.
        error, connection = context.original_exception, context.connection
        if isinstance(error, RuntimeError) and connection is not None and not connection.invalidated:
            driver: Any = connection.connection.driver_connection
            if _has_ended(driver):
                context.is_disconnect = True
                ended = engine.dialect.loaded_dbapi.OperationalError(
                    _SERVER_GONE, "the server has closed the connection"
                )
                raise exc.OperationalError(context.statement or "", None, ended) from error


def _answer(connection: Any, question: str) -> str:
    """Return the last value of the first row that answers a question; empty = there is no row."""
    cursor = connection.cursor()
    cursor.execute(question)
    row = cursor.fetchone()
    cursor.close()
    return str(row[-1]) if row else ""


async def _can_be_found(connection: Any) -> bool:
    """Return whether the address of a connection's server is known, so that a new one can be tried."""
    if connection.unix_socket:
        return True
    try:
        async with asyncio.timeout(_LOOK_UP_S):
            await asyncio.get_running_loop().getaddrinfo(connection.host, connection.port, type=socket.SOCK_STREAM)
    except OSError:  # TimeoutError, too
        return False
    return True


def _has_ended(connection: Any) -> bool:
    """Return whether the event loop has seen the end of a connection, on which nothing can be written any more."""
    return bool(connection.closed or connection._writer.is_closing())


def _has_something_come(connection: Any) -> bool:
    """Return whether something has come over an open connection on which nothing was asked: mostly its end."""
    poll = select.poll()
    poll.register(connection._writer.get_extra_info("socket").fileno(), select.POLLIN | select.POLLRDHUP)
    return bool(poll.poll(0))
