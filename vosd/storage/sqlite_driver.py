"""The driver of SQLite with one trip to its thread for each statement.

In ``aiosqlite`` each step of a statement is a trip of its own: to make a cursor, execute, fetch, close. Each of them
wakes two threads that compete for the interpreter, which took longer than the statement. Here a cursor is made by the
caller, the first rows come with the statement, and a cursor that has given its last row needs no closing. A transaction
that reads begins with its first statement, and its end needs no thread (ADR 195).
"""

import sqlite3
from collections.abc import Iterable
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final

import aiosqlite
from aiosqlite.core import _connection_worker_thread

FETCHED_AT_ONCE: Final = 200
"""Rows that come with the statement; the others when they are asked for, so that a long result is not held whole."""


class OneTripCursor(aiosqlite.Cursor):
    """A cursor of ``OneTripConnection``."""

    def __init__(self, connection: "OneTripConnection", cursor: sqlite3.Cursor) -> None:
        super().__init__(connection, cursor)
        self._of = connection
        self._rows: list[Any] = []
        """Fetched, and not asked for yet."""
        self._has_more = False
        self._is_at_work = False
        """Whether a statement runs, or was cancelled or has failed: then the thread may still use it."""

    async def execute(self, sql: str, parameters: Iterable[Any] | None = None) -> "OneTripCursor":
        """Execute a statement and fetch its first rows."""
        self._is_at_work = True
        await self._execute(self._run, sql, () if parameters is None else parameters)  # type: ignore[no-untyped-call]
        self._is_at_work = False
        return self

    async def executemany(self, sql: str, parameters: Iterable[Iterable[Any]]) -> "OneTripCursor":
        """Execute a statement for each row of parameters."""
        self._is_at_work = True
        await self._execute(self._run_many, sql, parameters)  # type: ignore[no-untyped-call]
        self._is_at_work = False
        return self

    async def fetchone(self) -> Any:
        """Return the next row; None = there is none."""
        rows = await self.fetchmany(1)
        return rows[0] if rows else None

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        """Return the next rows, at most so many."""
        wanted = self.arraysize if size is None else size
        rows, self._rows = self._rows[:wanted], self._rows[wanted:]
        if len(rows) < wanted and self._has_more:
            fetched = list(await super().fetchmany(wanted - len(rows)))
            self._has_more = len(fetched) == wanted - len(rows)
            rows += fetched
        return rows

    async def fetchall(self) -> list[Any]:
        """Return all rows that are left."""
        rows, self._rows = self._rows, []
        if self._has_more:
            self._has_more = False
            rows += await super().fetchall()
        return rows

    async def close(self) -> None:
        """Release the statement, where its end was not reached."""
        if self._has_more or self._is_at_work:
            await super().close()

    def _run(self, sql: str, parameters: Iterable[Any]) -> None:
        """Execute in the thread of the driver."""
        self._of.begin_if_due()
        cursor = self._cursor
        cursor.execute(sql, parameters)  # type: ignore[arg-type]  # what the driver's own method passes on
        self._rows = cursor.fetchmany(FETCHED_AT_ONCE) if cursor.description else []
        self._has_more = len(self._rows) == FETCHED_AT_ONCE

    def _run_many(self, sql: str, parameters: Iterable[Iterable[Any]]) -> None:
        """Execute for each row of parameters in the thread of the driver."""
        self._of.begin_if_due()
        self._cursor.executemany(sql, parameters)  # type: ignore[arg-type]


class OneTripConnection(aiosqlite.Connection):
    """A connection whose cursors are made by the caller: SQLAlchemy waits for each step before it begins another."""

    _begins = False
    """Whether the next statement begins a transaction."""
    _reads = False
    """Whether a transaction that was begun so may last."""
    _is_at_work = False
    """Whether the thread has work, or had some that was cancelled or has failed."""

    def begin_with_next(self) -> None:
        """Begin a transaction that reads with the next statement; SQLite sees no state of the database before that."""
        self._begins = self._reads = True

    def begin_if_due(self) -> None:
        """Begin that transaction, in the thread of the driver."""
        if self._begins:
            self._begins = False
            self._conn.execute("BEGIN")

    async def commit(self) -> None:
        """Commit the transaction, if there is one."""
        if self._end():
            await super().commit()
        self._reads = False

    async def rollback(self) -> None:
        """Roll the transaction back, if there is one.

        After mere reads that waits for no disk, and needs no thread.
        """
        if self._end():
            if self._reads and not self._is_at_work:
                self._conn.rollback()
            else:
                await super().rollback()
        self._reads = False

    def _end(self) -> bool:
        """Begin no transaction any more; return whether SQLite may have one to end."""
        self._begins = False
        return self._is_at_work or self._conn.in_transaction

    async def _execute(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        """Execute in the thread."""
        self._is_at_work = True
        done = await super()._execute(fn, *args, **kwargs)  # type: ignore[no-untyped-call]
        self._is_at_work = False
        return done

    def cursor(self) -> OneTripCursor:  # type: ignore[override]  # the context that SQLAlchemy enters is the cursor
        """Return a new cursor."""
        return OneTripCursor(self, self._conn.cursor())


def connection_to(path: str, **options: Any) -> OneTripConnection:
    """Return a connection that is opened when it is awaited (``async_creator_fn`` of SQLAlchemy)."""
    options["check_same_thread"] = False
    connection = OneTripConnection(lambda: sqlite3.connect(path, **options), FETCHED_AT_ONCE)
    # A daemon as SQLAlchemy has it for connections that it makes.
    connection._thread = Thread(target=_work, args=(connection._tx,), daemon=True)
    return connection


def _work(wanted: SimpleQueue[Any]) -> None:
    """Do the work of a connection in its thread, also where the loop that waits for it is closed meanwhile.

    As a program ends, its loop may be closed before a statement that was cancelled has come to its end. The driver's
    own thread fails then, and the connection stays open.
    """
    while True:
        try:
            _connection_worker_thread(wanted)
        except RuntimeError:  # of the loop: those of statements are passed on to it
            if not wanted.empty():
                continue
        break
