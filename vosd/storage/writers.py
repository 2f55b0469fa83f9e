"""Statements of the booking transaction for each database, made once.

MySQL gets one multi-row INSERT as text, SQLite one prepared statement and many rows; either costs a fraction of a
statement compiled for each batch (``bench/booking.py``). It does not know what the rows mean.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Column, Table, func, select

from vosd.cdr.kinds import ColumnKind
from vosd.cdr.ports import StoreDamaged
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.database import Database
from vosd.storage.documents import packed
from vosd.storage.driver_errors import COUNTER_BEHIND, ContentRefused, SchemaOutdated
from vosd.storage.rows import EncodeSized, Encoding, Row, as_it_is
from vosd.storage.types import call_key, descriptive, identifying, moment_literal, moment_text, money_text, money_units

_BYTES_PER_CHARACTER: Final = 4
_PACKET_RESERVE: Final = 1024
_PACKET_BYTES: Final = "vosd_packet_bytes"
_WORDS_REMEMBERED: Final = 8192
_PLAIN: Final = re.compile(r"[ -&(-\[\]-~]*\Z")
"""Printable ASCII without the quote and the backslash."""

_INSERTED: Final = (schema.cdr, schema.cdr_attempt, schema.cdr_charge, schema.ledger_entry)


def writer_for(database: Database) -> "SqliteWriter | MySqlWriter":
    """Return the statements of a booking that differ between databases."""
    return SqliteWriter() if database.is_sqlite else MySqlWriter()


def _columns(table: Table) -> list[Column[Any]]:
    return [column for column in table.columns if column.autoincrement is not True]


def no_counter(name: str = schema.COMMITS) -> SchemaOutdated:
    """Return the error of a database whose counter of that name is missing: someone has removed its row."""
    lacks = f"the table `counter` of the database has no row `{name}`"
    return SchemaOutdated(f"{lacks}: `vosd migrate` made it once and does not do so again; restore a backup of it")


class SqliteWriter:
    """Prepared statements with many rows of native values."""

    def __init__(self) -> None:
        self.encode = Encoding(
            {
                ColumnKind.CALL_ID: call_key,
                ColumnKind.NUMBER: as_it_is,
                ColumnKind.AMOUNT: money_units,
                ColumnKind.TIME: moment_text,
            },
            {
                ColumnKind.ACCOUNT: _remembered(
                    lambda value, size: None if value is None else identifying(value, size)
                ),
                ColumnKind.WORD: _remembered(_cut),
                ColumnKind.TEXT: _cut,
                ColumnKind.DOCUMENT: lambda value, size: None if value is None else packed(descriptive(value, size)),
            },
            reference=identifying,
        )
        self._inserts: Mapping[str, str] = {table.name: _insert_with_marks(table) for table in _INSERTED}

    async def take_numbers(self, connection: AsyncConnection, count: int) -> int:
        """Advance the counter; the write lock is held since the transaction began."""
        statement = "UPDATE counter SET value = value + ? WHERE name = ? RETURNING value"
        last = (await connection.exec_driver_sql(statement, (count, schema.COMMITS))).scalar()
        if last is None:
            raise no_counter()
        return int(last)

    async def insert(self, connection: AsyncConnection, table: Table, rows: Sequence[Row]) -> None:
        """Insert rows through one prepared statement."""
        if rows:
            await connection.exec_driver_sql(self._inserts[table.name], list(rows))

    async def save_accounts(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        """Update each account's row by its id."""
        statement = "UPDATE account SET balance = ?2, seq = ?3, changed = ?4 WHERE id = ?1"
        if rows:
            await connection.exec_driver_sql(statement, list(rows))


class MySqlWriter:
    """Multi-row statements of literals; the driver's own function escapes text."""

    def __init__(self) -> None:
        self.encode = Encoding(
            {
                ColumnKind.CALL_ID: lambda value: f"x'{call_key(value).hex()}'",
                ColumnKind.NUMBER: lambda value: str(int(value)),  # nothing but digits gets into a statement
                ColumnKind.AMOUNT: money_text,
                ColumnKind.TIME: moment_literal,
            },
            {
                ColumnKind.ACCOUNT: _remembered(
                    lambda value, size: "NULL" if value is None else _name_literal(value, size)
                ),
                ColumnKind.WORD: _remembered(_text_literal),
                ColumnKind.TEXT: _text_literal,
                ColumnKind.DOCUMENT: _document_literal,
            },
            reference=_name_literal,
            nothing="NULL",
        )
        self._inserts: Mapping[str, str] = {table.name: _insert_head(table) for table in _INSERTED}

    async def take_numbers(self, connection: AsyncConnection, count: int) -> int:
        """Advance the counter; its row stays locked until the transaction ends."""
        statement = "UPDATE counter SET value = LAST_INSERT_ID(value + %s) WHERE name = %s"
        result = await connection.exec_driver_sql(statement, (count, schema.COMMITS))
        if result.rowcount == 0:
            raise no_counter()
        return int(result.lastrowid)

    async def insert(self, connection: AsyncConnection, table: Table, rows: Sequence[Row]) -> None:
        """Insert rows with as few statements as the server's packet size allows."""
        await self._execute(connection, self._inserts[table.name], rows, "")

    async def save_accounts(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        """Update all accounts in one statement: an insert whose every row exists."""
        head = "INSERT INTO account (id, balance, seq, changed) VALUES "
        tail = " ON DUPLICATE KEY UPDATE balance = VALUES(balance), seq = VALUES(seq), changed = VALUES(changed)"
        await self._execute(connection, head, rows, tail)

    async def _execute(self, connection: AsyncConnection, head: str, rows: Sequence[Row], tail: str) -> None:
        room = await _packet_bytes(connection) - _BYTES_PER_CHARACTER * (len(head) + len(tail)) - _PACKET_RESERVE
        for values in _packets([f"({','.join(row)})" for row in rows], room):
            await connection.exec_driver_sql(
                f"{head}{values}{tail}",
                execution_options={"no_parameters": True},  # a percent sign in a value is no placeholder
            )


async def _packet_bytes(connection: AsyncConnection) -> int:
    """Return the server's limit for one statement in bytes; queried once in each session."""
    known = connection.info.get(_PACKET_BYTES)
    if known is None:
        known = int((await connection.exec_driver_sql("SELECT @@max_allowed_packet")).scalar_one())
        connection.info[_PACKET_BYTES] = known
    return int(known)


def _packets(rows: list[str], room: int) -> Iterator[str]:
    """Join rows into texts that stay below ``room`` bytes in any encoding of their characters.

    Raises:
        ContentRefused: one row alone exceeds it; the server would close the connection.
    """
    start = size = 0
    for index, row in enumerate(rows):
        needed = (len(row) + 1) * (1 if row.isascii() else _BYTES_PER_CHARACTER)
        if needed > room:
            raise ContentRefused(f"a row of {needed} bytes exceeds the server's max_allowed_packet")
        if size + needed > room:
            yield ",".join(rows[start:index])
            start, size = index, 0
        size += needed
    if start < len(rows):
        yield ",".join(rows[start:])


def _cut(value: str | None, size: int) -> str | None:
    return None if value is None else descriptive(value, size)


def _remembered(encode: EncodeSized) -> EncodeSized:
    return lru_cache(maxsize=_WORDS_REMEMBERED)(encode)


def _literal(text: str) -> str:
    """Quote text; plain ASCII needs no escaping."""
    if _PLAIN.match(text):
        return f"'{text}'"
    from pymysql.converters import escape_string  # SQLite does without the driver

    return f"'{escape_string(text)}'"


def _text_literal(value: str | None, length: int) -> str:
    if value is None:
        return "NULL"
    if len(value) <= length and _PLAIN.match(value):
        return f"'{value}'"
    return _literal(descriptive(value, length))


def _document_literal(value: str | None, length: int) -> str:
    return "NULL" if value is None else _literal(packed(descriptive(value, length)))


def _name_literal(value: str, length: int) -> str:
    return _literal(identifying(value, length))


def _insert_with_marks(table: Table) -> str:
    columns = _columns(table)
    marks = ", ".join("?" for _ in columns)
    names = ", ".join(column.name for column in columns)
    return f"INSERT INTO {table.name} ({names}) VALUES ({marks})"  # noqa: S608 - names of our own schema


def _insert_head(table: Table) -> str:
    names = ", ".join(column.name for column in _columns(table))
    return f"INSERT INTO {table.name} ({names}) VALUES "  # noqa: S608 - names of our own schema


_newest = select(func.max(schema.cdr.c.export_seq))


class CommitOrder:
    """The numbers that one writer has committed, checked to be ahead of the calls that were numbered before.

    Where ``cdr`` is partitioned, no unique key can say so: one of MySQL must contain the column that partitions.
    """

    def __init__(self) -> None:
        self._committed = 0

    async def check(self, connection: AsyncConnection, first: int) -> None:
        """Compare the first number that a transaction took with the calls; asks the database only where it must.

        That is for the first transaction, and for one whose numbers do not follow those of the one before, as in a
        database that was restored.

        Raises:
            StoreDamaged: a call has that number, or one above it.
        """
        if first > self._committed > 0:
            return
        newest = await connection.scalar(_newest) or 0
        if newest >= first:
            raise StoreDamaged(f"call number {newest} exists and {first} is the next one: {COUNTER_BEHIND}")

    def committed(self, last: int) -> None:
        """Note the last number of a transaction that was committed."""
        self._committed = last
