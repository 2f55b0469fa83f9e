"""The driver of SQLite with one trip to its thread for each statement.

In ``aiosqlite`` each step of a statement is a trip of its own: to make a cursor, execute, fetch, close. Each of them
wakes two threads that compete for the interpreter, which took longer than the statement. Here a cursor is made by the
caller, the first rows come with the statement, and a cursor that has given its last row needs no closing.
"""

import sqlite3
from collections.abc import Iterable
from typing import Any, Final

import aiosqlite

FETCHED_AT_ONCE: Final = 200
"""Rows that come with the statement; the others when they are asked for, so that a long result is not held whole."""


class OneTripCursor(aiosqlite.Cursor):
    """A cursor of ``OneTripConnection``."""

    def __init__(self, connection: "OneTripConnection", cursor: sqlite3.Cursor) -> None:
        super().__init__(connection, cursor)
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
        await super().executemany(sql, parameters)
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
        cursor = self._cursor
        cursor.execute(sql, parameters)  # type: ignore[arg-type]  # what the driver's own method passes on
        self._rows = cursor.fetchmany(FETCHED_AT_ONCE) if cursor.description else []
        self._has_more = len(self._rows) == FETCHED_AT_ONCE


class OneTripConnection(aiosqlite.Connection):
    """A connection whose cursors are made by the caller: SQLAlchemy waits for each step before it begins another."""

    def cursor(self) -> OneTripCursor:  # type: ignore[override]  # the context that SQLAlchemy enters is the cursor
        """Return a new cursor."""
        return OneTripCursor(self, self._conn.cursor())


def connection_to(path: str, **options: Any) -> OneTripConnection:
    """Return a connection that is opened when it is awaited (``async_creator_fn`` of SQLAlchemy)."""
    options["check_same_thread"] = False
    connection = OneTripConnection(lambda: sqlite3.connect(path, **options), FETCHED_AT_ONCE)
    connection._thread.daemon = True  # as SQLAlchemy has it for connections that it makes
    return connection
