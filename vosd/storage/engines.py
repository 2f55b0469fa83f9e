"""Engines of SQLAlchemy for the two kinds of databases: their sessions, and when a connection is replaced."""

import asyncio
import math
import select
import socket
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event, exc
from sqlalchemy.engine import URL, Connection, ExceptionContext
from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState
from sqlalchemy.util import await_only

from vosd.storage.asynchronous import AsyncEngine, create_async_engine
from vosd.storage.driver_errors import CONNECT_S, SERVER_GONE, DatabaseGone, DatabaseRefusesUs, takes_no_changes
from vosd.storage.encryption import ServerEncryption, without_encryption

_SET_HERE: Final = (
    "autocommit", "client_flag", "connect_timeout", "echo", "init_command", "local_infile", "sql_mode", "use_unicode",
)  # fmt: skip
"""Parameters of a URL that are not used. With ``autocommit``, of any value, a booking would be no transaction."""
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
_IDLE_S: Final = 60
"""Longest pause of a transaction that writes, to MariaDB: a client that is silent for longer was cut off, has lost its
power or stands still. The server would keep its locks for ``wait_timeout``, eight hours, and with them the lease and
the counter of commits: no other switch could take the database, and none book. Twice ``PATIENCE_S``.
"""
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
_KEEP_AUTOCOMMIT: Final = (
    "what stands between has to keep autocommit = 0 of a session, which ProxySQL does with"
    " mysql-enforce_autocommit_on_reads = true"
)
IN_MEMORY: Final = ":memory:"
"""Path of an SQLite database without a file."""
_MADE_S: Final = "vosd_made_s"
"""Key in the facts of a connection: when it was made, by a clock that is never set."""
_FILE: Final = "vosd_file"
WRITING: Final = "vosd_writing"
"""Option of the execution of a transaction that writes."""
_LEVEL: Final = "vosd_level"


def sqlite_engine(url: URL, *, busy_s: float, gone: Callable[[str], DatabaseGone]) -> AsyncEngine:
    """Return the engine of a file, or of a database in memory.

    ``busy_s``: longest wait for the lock of a writer. ``gone`` makes the error about a file that is missing.
    """
    from vosd.storage.sqlite_driver import connection_to  # a switch with a server does without the driver

    engine = create_async_engine(url, hide_parameters=True, connect_args={"async_creator_fn": connection_to})
    file = Path(url.database or IN_MEMORY)

    @event.listens_for(engine.sync_engine, "do_connect")
    def try_the_file(_: object, record: ConnectionPoolEntry, arguments: list[Any], __: object) -> None:
        record.info[_FILE] = file_number(url.database)  # before it is opened: it may be replaced meanwhile
        # SQLite would create an empty file if the database is missing or its name is misspelt.
        if url.database not in {None, "", IN_MEMORY} and file.parent.is_dir() and not file.exists():
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
        if record.info[_FILE] != file_number(url.database):
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
        if connection.get_execution_options().get(WRITING, False):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            driver: Any = connection.connection.driver_connection
            driver.begin_with_next()

    return engine


def file_number(path: str | None) -> int:
    """Return the inode number of a file; 0 = the file is missing."""
    try:
        return Path(path or "").stat().st_ino
    except OSError:
        return 0


def mysql_engine(url: URL, patience_s: float, statement_s: float | None) -> AsyncEngine:
    """Return the engine of a server, MySQL or MariaDB; see ``Database`` for the times."""
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
        connect_args={"connect_timeout": CONNECT_S, "init_command": session},
        pool_reset_on_return=None,
    )
    used_on_until = -math.inf

    @event.listens_for(engine.sync_engine, "handle_error")
    def leave_what_is_no_primary(context: ExceptionContext) -> None:
        # The server goes on with open connections when another one is made the primary: end all of them.
        error = context.original_exception
        if error.args and takes_no_changes(error.args[0], str(error)):
            context.is_disconnect = True

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

    _set_levels(engine)
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


def _set_levels(engine: AsyncEngine) -> None:
    """Give each transaction the isolation of its kind, and one that writes a limit of its pauses."""

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        # The session keeps the level: most transactions have that of the one before, and ask for nothing.
        writing = connection.get_execution_options().get(WRITING, False)
        level = "READ COMMITTED" if writing else "REPEATABLE READ"
        if connection.info.get(_LEVEL) != level:
            connection.info.pop(_LEVEL, None)  # in doubt until the server has answered
            connection.exec_driver_sql(f"SET SESSION TRANSACTION ISOLATION LEVEL {level}")
            dialect: Any = connection.dialect
            if dialect.is_mariadb:  # what is only read locks no row, and may be summed up for longer
                connection.exec_driver_sql(f"SET SESSION idle_transaction_timeout = {_IDLE_S if writing else 0}")
            connection.info[_LEVEL] = level


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
                    SERVER_GONE, "the server has closed the connection"
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
