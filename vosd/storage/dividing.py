"""Division by month of tables that were filled before there were partitions (ADR 72).

The rows are copied in small steps while calls are booked, corrected and paid, into tables that are exchanged with the
old ones at the end. What is booked meanwhile has higher numbers than those that were noted at the beginning, and is
copied again by them. Every step is one transaction, so an interrupted division goes on where it was. The old tables
stay under other names.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Dialect, Select, bindparam, delete, func, insert, inspect, select, text, update

from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.database import Database
from vosd.storage.dropped import wait_for_drops
from vosd.storage.migration_lock import alone, check_held
from vosd.storage.migrations import newest_revision
from vosd.storage.months import AHEAD, KEPT, PartitionMonth, from_now, month_of
from vosd.storage.partitions import TABLES, PartitionRefused, bound, impatient, is_partitioned, last_bound
from vosd.storage.rows import CALL_KIND
from vosd.storage.types import call_key
from vosd.storage.verify_charges import call_in

ROWS_AT_ONCE: Final = 2_000
"""Rows of a step: some ten milliseconds."""
MONTHS_MAX: Final = 120
"""Most months before now that get a partition; what is older is in the first."""

_COPY: Final = "_by_month"
_OLD: Final = "_undivided"
_BY_CALL: Final = tuple(table for table in TABLES if table != schema.ledger_entry.name)
_PERIOD: Final = "period"
_COLUMNS: Final = text(
    "SELECT column_name, column_type, is_nullable, column_default, collation_name FROM information_schema.columns"
    " WHERE table_schema = DATABASE() AND table_name = :table AND column_name <> :period ORDER BY column_name"
)
_KEYS: Final = text(
    "SELECT index_name, seq_in_index, column_name FROM information_schema.statistics"
    " WHERE table_schema = DATABASE() AND table_name = :table AND column_name <> :period"
    " ORDER BY index_name, seq_in_index"
)
_MONTH: Final = (
    "GREATEST(1, EXTRACT(YEAR_MONTH FROM TIMESTAMP'1970-01-01 00:00:00'"
    " + INTERVAL LEAST(CONV({digits}, 16, 10) DIV 1000, 4102444799) SECOND) - 200000)"
)
_DIGITS: Final = {
    "call": "CONCAT(LEFT(reference, 8), SUBSTR(reference, 10, 4))",
    "correction": "REPLACE(LEFT(SUBSTRING_INDEX(reference, '/', -2), 13), '-', '')",
}
_ONLY_DIGITS: Final = "CASE WHEN REGEXP_LIKE({digits}, '^[0-9A-Fa-f]+$') THEN {month} ELSE 1 END"
"""Other texts are an error in MySQL when they are converted; MariaDB takes the digits that they begin with."""


class DividingStep(NamedTuple):
    """One step of a division that is done."""

    table: str
    rows: int


async def divide(database: Database, now: int, rows_at_once: int = ROWS_AT_ONCE) -> AsyncIterator[DividingStep]:
    """Divide the tables of calls and the ledger; yield after each step. One that ends early is gone on with later.

    No migration and no other division changes the tables meanwhile.

    Raises:
        PartitionRefused: they are divided already, the tables of an earlier division are still there, or a newer
            version has migrated them.
        StoreUnavailable: another process migrates or divides them; else try again.
    """
    if database.is_sqlite:
        message = "SQLite has no partitions"
        raise PartitionRefused(message)
    async with database.writing(unhurried=True) as locking, alone(locking, database.place):
        async for step in _divided(database, now, rows_at_once):
            yield step
            await check_held(locking, database.place)


async def _divided(database: Database, now: int, rows_at_once: int) -> AsyncIterator[DividingStep]:
    await _check_version(database)
    if not await _prepare(database, now):
        return
    for table in _BY_CALL:
        async for step in _copied_by_call(database, table, rows_at_once):
            yield step
    async for step in _copied_entries(database, rows_at_once):
        yield step
    while True:
        rows = await _catch_up(database, rows_at_once)
        yield DividingStep(schema.cdr.name, rows)
        if rows < rows_at_once:
            break
    await _exchange(database, rows_at_once)


async def rows_to_copy(database: Database) -> int:
    """Return about how many rows the tables have, as the server estimates; 0 on SQLite."""
    if database.is_sqlite:
        return 0
    query = text(
        "SELECT SUM(table_rows) FROM information_schema.tables"
        " WHERE table_schema = DATABASE() AND table_name IN :tables"
    ).bindparams(bindparam("tables", TABLES, expanding=True))
    async with database.reading() as connection:
        return int((await connection.execute(query)).scalar() or 0)


async def _check_version(database: Database) -> None:
    """Refuse to copy tables of a newer version: this one copies the columns that it knows."""
    async with database.reading() as connection:
        found = (await connection.exec_driver_sql("SELECT version_num FROM alembic_version")).scalar()
    if found != newest_revision():
        message = f"a newer vosd has migrated the tables (schema {found}): let that version divide them"
        raise PartitionRefused(message)


async def _prepare(database: Database, now: int) -> bool:
    """Make the empty tables, unless an interrupted division has, and note up to where nothing need be copied again.

    Tables that one has made are made anew where a migration has changed those that are divided since.
    Returns False where the interrupted one had exchanged the tables, so that nothing is left to do.
    """
    async with database.writing(unhurried=True) as connection:
        if await is_partitioned(connection, schema.cdr.name):
            if await _mark(connection, schema.DIVIDE_CDR) is not None:
                await _remove_marks(connection)
                return False
            message = "the tables are partitioned already"
            raise PartitionRefused(message)
        there = await connection.run_sync(lambda synchronous: set(inspect(synchronous).get_table_names()))
        left = sorted(there & {f"{table}{_OLD}" for table in TABLES})
        if left:
            message = f"{', '.join(left)} of an earlier division: drop them when you do not need them"
            raise PartitionRefused(message)
        if await _mark(connection, schema.DIVIDE_CDR) is not None:
            if await _fit(connection):
                return True
            await _remove_marks(connection)
        months = await _months(connection, now)
        for table in TABLES:
            await connection.exec_driver_sql(f"DROP TABLE IF EXISTS {table}{_COPY}")
            await connection.exec_driver_sql(f"CREATE TABLE {table}{_COPY} LIKE {table}")
            await connection.exec_driver_sql(f"ALTER TABLE {table}{_COPY} {_shape(table, months, connection.dialect)}")
        commits = await connection.scalar(_value(schema.COMMITS).with_for_update())
        await wait_for_drops(connection)
        newest = await connection.scalar(select(func.max(schema.ledger_entry.c.id))) or 0
        marks: list[dict[str, Any]] = [
            {"name": schema.DIVIDE_CDR, "value": commits},
            {"name": schema.DIVIDE_ENTRY, "value": newest},
        ]
        await connection.execute(insert(schema.counter), marks)
    return True


async def _fit(connection: AsyncConnection) -> bool:
    """Return whether the copies have the columns and indexes of their tables: a migration has changed these alone."""
    return all([await _form(connection, table) == await _form(connection, f"{table}{_COPY}") for table in TABLES])


async def _form(connection: AsyncConnection, table: str) -> tuple[Sequence[Any], Sequence[Any]]:
    """Return the columns and the keys of a table, without what ``_shape`` changes."""
    names = {"table": table, "period": _PERIOD}
    return (await connection.execute(_COLUMNS, names)).all(), (await connection.execute(_KEYS, names)).all()


async def _months(connection: AsyncConnection, now: int) -> list[PartitionMonth]:
    first = await connection.scalar(select(func.min(schema.cdr.c.call_id)))
    earliest = month_of(now).after(-MONTHS_MAX)
    if first is None:
        return from_now(now)
    began = max(earliest, month_of(int(first.replace("-", "")[:12], 16)))
    months = [began]
    while months[-1] < month_of(now).after(AHEAD):
        months.append(months[-1].after(1))
    return months


def _shape(table: str, months: Sequence[PartitionMonth], dialect: Dialect) -> str:
    """Return the change that gives a table the keys and partitions of ``migrations/versions/0015_months.py``."""
    bounds = ", ".join([*(bound(table, month) for month in months), last_bound(table)])
    if table != schema.ledger_entry.name:
        keys = "DROP INDEX cdr_export, ADD INDEX cdr_export (export_seq) " if table == schema.cdr.name else ""
        return f"{keys}PARTITION BY RANGE COLUMNS (call_id) ({bounds})"
    return (
        f"ADD COLUMN period SMALLINT NOT NULL DEFAULT ({_period(dialect)})"
        " COMMENT 'year and month of the call in the reference; 0 = of no call',"
        " DROP PRIMARY KEY, ADD PRIMARY KEY (id, period),"
        " DROP INDEX ledger_entry_once, ADD UNIQUE ledger_entry_once (account, kind, reference, period),"
        " DROP INDEX ledger_entry_chain, ADD UNIQUE ledger_entry_chain (account, seq, period)"
        f" PARTITION BY RANGE (period) (PARTITION {KEPT} VALUES LESS THAN (1), {bounds})"
    )


def _period(dialect: Dialect) -> str:
    months = {kind: _MONTH.format(digits=digits) for kind, digits in _DIGITS.items()}
    if not dialect.is_mariadb:  # type: ignore[attr-defined]
        months = {kind: _ONLY_DIGITS.format(digits=_DIGITS[kind], month=month) for kind, month in months.items()}
    cases = " ".join(f"WHEN '{kind}' THEN {month}" for kind, month in months.items())
    return f"CASE kind {cases} ELSE 0 END"


async def _copied_by_call(database: Database, table: str, rows_at_once: int) -> AsyncIterator[DividingStep]:
    """Copy a table in the order of call ids, whole calls at a time, behind the last call that the copy has.

    A call that is booked behind that one with an earlier id is copied by its number (``_catch_up``), which begins when
    all tables are copied.
    """
    columns = _columns(table)
    while True:
        async with database.writing(unhurried=True) as connection:
            after = (await connection.exec_driver_sql(f"SELECT MAX(call_id) FROM {table}{_COPY}")).scalar() or b""  # noqa: S608 - our own names
            following = text(f"SELECT call_id FROM {table} WHERE call_id > :after ORDER BY call_id LIMIT :rows")  # noqa: S608 - too
            keys = list(await connection.scalars(following, {"after": after, "rows": rows_at_once}))
            if not keys:
                return
            copied = text(
                f"INSERT INTO {table}{_COPY} ({columns}) SELECT {columns} FROM {table}"  # noqa: S608 - our own names
                " WHERE call_id > :after AND call_id <= :last"
            )
            done = await connection.execute(copied, {"after": after, "last": keys[-1]})
        yield DividingStep(table, done.rowcount)


async def _copied_entries(database: Database, rows_at_once: int) -> AsyncIterator[DividingStep]:
    """Copy the entries of the ledger behind the last one that the copy has; they are never changed."""
    while rows := await _copy_entries(database, rows_at_once):
        yield DividingStep(schema.ledger_entry.name, rows)


async def _copy_entries(database: Database, rows_at_once: int) -> int:
    entries, columns = schema.ledger_entry.name, _columns(schema.ledger_entry.name)
    async with database.writing(unhurried=True) as connection:
        after = (await connection.exec_driver_sql(f"SELECT MAX(id) FROM {entries}{_COPY}")).scalar() or 0  # noqa: S608 - our own names
        copied = text(
            f"INSERT INTO {entries}{_COPY} ({columns}) SELECT {columns} FROM {entries}"  # noqa: S608 - our own names
            " WHERE id > :after ORDER BY id LIMIT :rows"
        )
        return (await connection.execute(copied, {"after": after, "rows": rows_at_once})).rowcount


async def _catch_up(database: Database, rows_at_once: int) -> int:
    """Copy the next calls again that were booked or corrected behind the mark; return how many entries and calls."""
    cdr, entry = schema.cdr.c, schema.ledger_entry.c
    async with database.writing(unhurried=True) as connection:
        mark = await _mark(connection, schema.DIVIDE_CDR) or 0
        numbered = select(cdr.export_seq, cdr.call_id).where(cdr.export_seq > mark).order_by(cdr.export_seq)
        calls = (await connection.execute(numbered.limit(rows_at_once))).all()
        await _copy_again(connection, _BY_CALL, [row.call_id for row in calls])
        if calls:
            await _set_mark(connection, schema.DIVIDE_CDR, calls[-1].export_seq)
        mark = await _mark(connection, schema.DIVIDE_ENTRY) or 0
        newer = select(entry.id, entry.kind, entry.call_id, entry.reference).where(entry.id > mark).order_by(entry.id)
        entries = (await connection.execute(newer.limit(rows_at_once))).all()
        without_cdr = {call_in(row.reference) for row in entries if row.kind == CALL_KIND and row.call_id is None}
        await _copy_again(connection, [schema.cdr_charge.name], [call for call in without_cdr if call is not None])
        if entries:
            await _set_mark(connection, schema.DIVIDE_ENTRY, entries[-1].id)
    return max(len(calls), len(entries), await _copy_entries(database, rows_at_once))


async def _copy_again(connection: AsyncConnection, tables: Iterable[str], calls: Sequence[str]) -> None:
    if not calls:
        return
    keys = ", ".join(f"x'{call_key(call).hex()}'" for call in calls)
    for table in tables:
        columns = _columns(table)
        source = f"SELECT {columns} FROM {table} WHERE call_id IN ({keys})"  # noqa: S608 - our own names
        await connection.exec_driver_sql(f"REPLACE INTO {table}{_COPY} ({columns}) {source}")


async def _exchange(database: Database, rows_at_once: int) -> None:
    """Exchange the tables while bookings wait for the counter, after the last of them was copied.

    Raises:
        PartitionRefused: a table has changed, and its copy has not.
    """
    renamed = [f"{table} TO {table}{_OLD}, {table}{_COPY} TO {table}" for table in TABLES]
    async with database.writing(unhurried=True) as holding:
        await holding.execute(_value(schema.COMMITS).with_for_update())
        while await _catch_up(database, rows_at_once):
            pass
        if not await _fit(holding):
            message = "the tables were changed while they were copied: start the same command again, which begins anew"
            raise PartitionRefused(message)
        async with database.writing(unhurried=True) as connection, impatient(connection):
            await connection.exec_driver_sql(f"RENAME TABLE {', '.join(renamed)}")
        # RENAME is no part of a transaction: a division that is killed here leaves its marks, removed by ``_prepare``.
        await _remove_marks(holding)


def _columns(table: str) -> str:
    return ", ".join(column.name for column in schema.metadata.tables[table].columns)


def _value(name: str) -> Select[Any]:
    return select(schema.counter.c.value).where(schema.counter.c.name == name)


async def _mark(connection: AsyncConnection, name: str) -> int | None:
    value = (await connection.execute(_value(name))).scalar()
    return None if value is None else int(value)


async def _remove_marks(connection: AsyncConnection) -> None:
    counter = schema.counter
    await connection.execute(delete(counter).where(counter.c.name.in_([schema.DIVIDE_CDR, schema.DIVIDE_ENTRY])))


async def _set_mark(connection: AsyncConnection, name: str, value: int) -> None:
    await connection.execute(update(schema.counter).where(schema.counter.c.name == name).values(value=value))
