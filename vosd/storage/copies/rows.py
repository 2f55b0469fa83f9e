"""Rows of MySQL and MariaDB, read in one state of the database and written to an empty one.

The server itself writes each row as the literals of an INSERT, which costs a fraction of decoding its values here. In a
copy each row has its length before it. A row is checked to be nothing but literals before it is part of a statement, so
a copy from an unknown hand can contain wrong values and no statement.
"""

import re
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import IO, Any, Final

from sqlalchemy import Select, delete, literal_column, select, text

from vosd.base.errors import VosError
from vosd.cdr.ports import StoreDamaged
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.database import Database

ROWS_AT_ONCE: Final = 1_000
"""Rows between two reports of progress."""
STATEMENT_BYTES: Final = 256 * 1024
"""Size of an INSERT, unless a single row is longer."""
_COMMIT_BYTES: Final = 8 * 1024 * 1024
_LENGTH_BYTES: Final = 4
_ROW_BYTES_MAX: Final = 64 * 1024 * 1024
_LITERAL: Final = rb"(?:NULL|x'[0-9A-F]*'|'(?:[^'\\]|\\.)*')"
_LITERALS: Final = re.compile(_LITERAL + rb"(?:," + _LITERAL + rb")*\Z", re.DOTALL)
_NAME: Final = re.compile(r"[a-z0-9_]{1,64}\Z")
_BINARY: Final = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
_VERSION: Final = "alembic_version"
UNFINISHED: Final = "0000_restoring"
"""Stands for the schema until all rows are there, so that no switch starts on a part of them."""

_columns: Final = text(
    "SELECT table_name, column_name, data_type FROM information_schema.columns"
    " WHERE table_schema = DATABASE() AND COALESCE(generation_expression, '') = ''"
    " ORDER BY table_name, ordinal_position"
)


class RowTooLong(VosError):  # noqa: N818 - states what was found
    """A row is longer than the server writes in one piece."""

    remedy = (
        "raise max_allowed_packet to more than twice the longest value of the table, here and on the server that the"
        " copy is restored on"
    )


async def columns_of(connection: AsyncConnection) -> dict[str, dict[str, str]]:
    """Return the columns of each table of ours with their types, without those that the database computes."""
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in await connection.execute(_columns):
        if table in schema.metadata.tables:
            found.setdefault(table, {})[column] = str(kind).lower()
    return found


async def rows_estimated(connection: AsyncConnection) -> int:
    """Return about how many rows there are in all tables."""
    query = "SELECT sum(table_rows) FROM information_schema.tables WHERE table_schema = DATABASE()"
    return int((await connection.execute(text(query))).scalar() or 0)


async def written_rows(
    connection: AsyncConnection, table: str, columns: dict[str, str]
) -> AsyncGenerator[tuple[bytes, int], None]:
    """Yield the rows of a table in the form of a copy, some at a time, with their number; its columns first.

    Raises:
        RowTooLong: a row does not fit into ``max_allowed_packet``.
        StoreUnavailable: what was yielded is not all.
    """
    yield _framed(",".join(columns)), 0
    literals = ",',',".join(_written_as(name, kind) for name, kind in columns.items())
    query: Select[Any] = select(literal_column(f"CONCAT({literals})")).select_from(text(table))
    packet = (await connection.execute(text("SELECT @@max_allowed_packet"))).scalar_one()
    result = await connection.stream(query)
    async for some in result.partitions(ROWS_AT_ONCE):
        if any(row[0] is None for row in some):
            limit = f"max_allowed_packet of the server ({packet} bytes)"
            raise RowTooLong(f"a row of table {table} is too long for {limit}")
        yield b"".join([_framed(row[0]) for row in some]), len(some)


def _written_as(name: str, kind: str) -> str:
    """Return the expression of a value as a literal; it is NULL only where that is longer than the server permits."""
    if kind not in _BINARY:
        return f"QUOTE({name})"
    return f"CASE WHEN {name} IS NULL THEN 'NULL' ELSE CONCAT('x''', HEX({name}), '''') END"


def read_rows(file: IO[bytes]) -> Iterator[bytes]:
    """Yield what ``written_rows`` has framed: the columns, then each row.

    Raises:
        StoreDamaged: it ends too early, or a length is impossible.
    """
    while head := file.read(_LENGTH_BYTES):
        length = int.from_bytes(head, "big")
        row = file.read(length) if len(head) == _LENGTH_BYTES and length <= _ROW_BYTES_MAX else b""
        if len(row) != length:
            raise StoreDamaged("a table of the copy ends within a row")
        yield row


async def begin_unfinished(database: Database) -> None:
    """Take away the rows that migrations have made, and mark the schema as unfinished."""
    async with database.writing() as connection:
        for name in await columns_of(connection):
            await connection.execute(delete(schema.metadata.tables[name]))
        await connection.execute(text(f"UPDATE {_VERSION} SET version_num = '{UNFINISHED}'"))  # noqa: S608 - our name


async def finish(database: Database, revision: str) -> None:
    """Let switches start on the database. A division of tables that went on in the other one has to begin anew."""
    counter = schema.counter
    async with database.writing() as connection:
        division = counter.c.name.in_([schema.DIVIDE_CDR, schema.DIVIDE_ENTRY])
        await connection.execute(delete(counter).where(division))
        await connection.execute(text(f"UPDATE {_VERSION} SET version_num = :revision").bindparams(revision=revision))  # noqa: S608 - our name


async def put_rows(database: Database, table: str, file: IO[bytes], show: Callable[[int], None]) -> int:
    """Insert the rows of a copy into an empty table; return how many there are.

    ``show`` receives how many rows were written since it was called last.

    Raises:
        StoreDamaged: the content is not that of a copy of this table.
        StoreUnavailable: only some are there.
    """
    rows = read_rows(file)
    columns = next(rows, b"").decode(errors="replace").split(",")
    async with database.reading() as connection:
        known = (await columns_of(connection)).get(table, {})
    if not set(columns) <= known.keys() or not all(map(_NAME.match, columns)):
        message = f"the copy of table {table} has other columns than the table"
        raise StoreDamaged(message)
    head = f"INSERT INTO {table} ({', '.join(columns)}) VALUES "  # noqa: S608 - names of our own schema
    count, is_over = 0, False
    while not is_over:
        async with database.writing(unhurried=True) as connection:
            size = 0
            while size < _COMMIT_BYTES and not is_over:
                statement, added, is_over = _next_statement(rows)
                if added:
                    await connection.exec_driver_sql(head + statement, execution_options={"no_parameters": True})
                    show(added)
                count += added
                size += len(statement)
    return count


def are_values(row: bytes) -> bool:
    """Return whether a row is nothing but literals between commas."""
    return _LITERALS.match(row) is not None


def _next_statement(rows: Iterator[bytes]) -> tuple[str, int, bool]:
    """Return the values of the next rows, how many they are, and whether these were the last."""
    parts: list[str] = []
    size = 0
    for row in rows:
        if not are_values(row):
            raise StoreDamaged("a row of the copy is more than values")
        parts.append(f"({row.decode()})")
        size += len(row)
        if size >= STATEMENT_BYTES:
            return ",".join(parts), len(parts), False
    return ",".join(parts), len(parts), True


def _framed(content: str) -> bytes:
    encoded = content.encode()
    return len(encoded).to_bytes(_LENGTH_BYTES, "big") + encoded
