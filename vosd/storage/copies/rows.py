"""Rows of MySQL and MariaDB, read in one state of the database and written to an empty one.

The server itself writes each row as the literals of an INSERT, which costs a fraction of decoding its values here. In a
copy each row has its length before it. A row is checked to be nothing but literals before it is part of a statement, so
a copy from an unknown hand can contain wrong values and no statement.
"""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
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
"""Longest INSERT, unless a single row is longer, or the server's ``max_allowed_packet`` shorter."""
_COMMIT_BYTES: Final = 8 * 1024 * 1024
_BESIDE_STATEMENT: Final = 64
"""More bytes than a packet has beside the statement, and an INSERT beside its head and the values of a row."""
_LENGTH_BYTES: Final = 4
_ROW_BYTES_MAX: Final = 64 * 1024 * 1024
_LITERAL: Final = rb"(?:NULL|x'[0-9A-F]*'|'(?:[^'\\]|\\.)*')"
_LITERALS: Final = re.compile(_LITERAL + rb"(?:," + _LITERAL + rb")*\Z", re.DOTALL)
_NAME: Final = re.compile(r"[a-z0-9_]{1,64}\Z")
_BINARY: Final = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
_VERSION: Final = "alembic_version"
UNFINISHED: Final = "0000_restoring"
"""Stands for the schema until all rows are there, so that no switch starts on a part of them."""

Check = Callable[[], Awaitable[None]]
"""Raises an error where no more rows shall be written."""

_COLUMNS: Final = (
    "SELECT table_name, column_name, data_type FROM information_schema.columns"
    " WHERE table_schema = DATABASE() AND COALESCE(generation_expression, '') = ''"
)
_ORDER: Final = " ORDER BY table_name, ordinal_position"
_columns: Final = text(_COLUMNS + _ORDER)
_columns_of_one: Final = text(_COLUMNS + " AND table_name = :table" + _ORDER)


class RowTooLong(VosError):  # noqa: N818 - states what was found
    """A row is longer than the server writes in one piece."""

    remedy = (
        "raise max_allowed_packet to more than twice the longest value of the table, here and on the server that the"
        " copy is restored on"
    )


async def columns_of(connection: AsyncConnection, one: str | None = None) -> dict[str, dict[str, str]]:
    """Return the columns of each table of ours with their types, without those that the database computes.

    ``one``: of this table alone; the server opens every table that it is asked about.
    """
    found: dict[str, dict[str, str]] = {}
    asked = _columns if one is None else _columns_of_one.bindparams(table=one)
    for table, column, kind in await connection.execute(asked):
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
        RowTooLong: a row does not fit into ``max_allowed_packet``, or is longer than ``read_rows`` takes.
        StoreUnavailable: what was yielded is not all.
    """
    yield _framed(",".join(columns)), 0
    literals = ",',',".join(_written_as(name, kind) for name, kind in columns.items())
    query: Select[Any] = select(literal_column(f"CONCAT({literals})")).select_from(text(table))
    packet = await _packet(connection)
    most = _values_at_most(packet, _head(table, columns))
    result = await connection.stream(query)
    async for some in result.partitions(ROWS_AT_ONCE):
        if any(row[0] is None for row in some):
            raise _too_long(table, packet)
        framed = [_framed(row[0]) for row in some]
        if max(map(len, framed)) > most:  # a single row is sent to the server when the copy is restored
            raise _too_long(table, packet)
        if max(map(len, framed)) > _LENGTH_BYTES + _ROW_BYTES_MAX:
            raise _longer_than_copies_have(table)
        yield b"".join(framed), len(some)


async def _packet(connection: AsyncConnection) -> int:
    return int((await connection.execute(text("SELECT @@max_allowed_packet"))).scalar_one())


def _head(table: str, columns: Iterable[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES "  # noqa: S608 - names of our own schema


def _values_at_most(packet: int, head: str) -> int:
    """Return how many bytes the values of an INSERT may have for the server to accept it."""
    return packet - len(head) - _BESIDE_STATEMENT


def _too_long(table: str, packet: int) -> RowTooLong:
    limit = f"max_allowed_packet of the server ({packet} bytes)"
    return RowTooLong(f"a row of table {table} is too long for {limit}")


def _longer_than_copies_have(table: str) -> RowTooLong:
    error = RowTooLong(f"a row of table {table} is longer than {_ROW_BYTES_MAX} bytes, the most that a backup takes")
    error.remedy = "find the longest value of the table, and shorten or delete it"
    return error


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


async def begin_unfinished(connection: AsyncConnection) -> None:
    """Take away the rows that migrations have made, and mark the schema as unfinished."""
    for name in await columns_of(connection):
        await connection.execute(delete(schema.metadata.tables[name]))
    await connection.execute(text(f"UPDATE {_VERSION} SET version_num = '{UNFINISHED}'"))  # noqa: S608 - our name


async def finish(database: Database, revision: str) -> None:
    """Let switches start on the database."""
    async with database.writing() as connection:
        await connection.execute(text(f"UPDATE {_VERSION} SET version_num = :revision").bindparams(revision=revision))  # noqa: S608 - our name


async def check_rows_fit(database: Database, table: str, file: IO[bytes]) -> None:
    """Check that a database accepts each row of a copy, before anything is changed.

    Raises:
        RowTooLong: one does not fit into ``max_allowed_packet``.
        StoreDamaged: the content is not that of a copy.
    """
    async with database.reading() as connection:
        packet = await _packet(connection)
    rows = read_rows(file)
    head = _head(table, next(rows, b"").decode(errors="replace").split(","))
    if max(map(len, rows), default=0) + len("()") > _values_at_most(packet, head):
        raise _too_long(table, packet)


async def put_rows(database: Database, table: str, file: IO[bytes], show: Callable[[int], None], check: Check) -> int:
    """Insert the rows of a copy into an empty table; return how many there are.

    ``show`` receives how many rows were written since it was called last; ``check`` is awaited before each commit.

    Raises:
        StoreDamaged: the content is not that of a copy of this table.
        RowTooLong: a row does not fit into ``max_allowed_packet``; only those before it are there.
        StoreUnavailable: only some are there.
    """
    rows = read_rows(file)
    columns = next(rows, b"").decode(errors="replace").split(",")
    async with database.reading() as connection:
        packet = await _packet(connection)
        known = (await columns_of(connection, table)).get(table, {})
    if not set(columns) <= known.keys() or not all(map(_NAME.match, columns)):
        raise StoreDamaged(f"the copy of table {table} has other columns than the table")
    head = _head(table, columns)
    most = _values_at_most(packet, head)
    statements = _statements(rows, min(STATEMENT_BYTES, most))
    count, is_over = 0, False
    while not is_over:
        async with database.writing(unhurried=True) as connection:
            size = 0
            while size < _COMMIT_BYTES:
                values, added = next(statements, (b"", 0))
                if is_over := not added:
                    break
                if len(values) > most:
                    raise _too_long(table, packet)
                await connection.exec_driver_sql(head + values.decode(), execution_options={"no_parameters": True})
                show(added)
                count += added
                size += len(values)
            await check()
    return count


def are_values(row: bytes) -> bool:
    """Return whether a row is nothing but literals between commas."""
    return _LITERALS.match(row) is not None


def _statements(rows: Iterable[bytes], most: int) -> Iterator[tuple[bytes, int]]:
    """Yield the values of INSERTs and how many rows each has; one of several rows has ``most`` bytes at most."""
    parts: list[bytes] = []
    size = 0
    for row in rows:
        if not are_values(row):
            raise StoreDamaged("a row of the copy is more than values")
        values = b"(%b)" % row
        if parts and size + len(values) > most:
            yield b",".join(parts), len(parts)
            parts, size = [], 0
        parts.append(values)
        size += len(values) + 1
    if parts:
        yield b",".join(parts), len(parts)


def _framed(content: str) -> bytes:
    encoded = content.encode()
    return len(encoded).to_bytes(_LENGTH_BYTES, "big") + encoded
