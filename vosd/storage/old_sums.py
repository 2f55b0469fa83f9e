"""Dropping of old sums for reports, some rows at a time (ADR 256).

Each step is a short transaction that drops rows, and writes down how many of each month, so that a kill between two
steps leaves nothing undone. Reports of then are refused from before the first step on. It does not know up to when sums
may go, and pauses.
"""

from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Row, Table, and_, delete, or_, select

from vosd.cdr.retention import DropPlan
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.database import Database, repeated
from vosd.storage.drop_history import Drops
from vosd.storage.dropped import sums_dropped_before
from vosd.traffic.counted import KIND_NUMBERS, SLOT_MS, YEAR_SLOTS, digest_of

AT_ONCE: Final = 2_000
"""Rows of a step."""
_TABLES: Final = (
    *((table, kind) for table in (schema.traffic, schema.traffic_day, schema.traffic_zone) for kind in KIND_NUMBERS),
    (schema.traffic_zone_day, None),
    (schema.traffic_peak, None),
)
"""Tables with the name of the kind of sums, of which each has its own range in the primary key."""
TABLES: Final = (*dict.fromkeys(table for table, _ in _TABLES), schema.traffic_key)


async def has_sums(connection: AsyncConnection, since: int, until: int) -> bool:
    """Return whether there are sums of a time; UTC milliseconds."""
    for table, kind in _TABLES:
        slot = table.c.slot
        within = and_(slot >= since // SLOT_MS, slot < until // SLOT_MS, *_of_kind(table, kind))
        if await connection.scalar(select(slot).where(within).limit(1)) is not None:
            return True
    return False


async def drop_sums(database: Database, plan: DropPlan, drops: Drops) -> AsyncGenerator[int, None]:
    """Drop the sums of a plan, and yield after each step how many rows they were.

    Raises:
        StoreUnavailable: what was dropped so far is written down.
    """
    for table, kind in _TABLES:
        own = and_(table.c.slot < plan.until // SLOT_MS, *_of_kind(table, kind))
        after: Row[Any] | None = None
        while rows := await drops.step(database, partial(_drop, table, own, after, drops)):
            after = rows[-1]
            yield len(rows)


async def drop_keys(database: Database) -> AsyncGenerator[int, None]:
    """Drop the keys of years all of whose sums were dropped; yield after each step how many they were.

    No sum of such a year is ever added again, so no process uses one of them, whatever it remembers.

    Raises:
        StoreUnavailable: the next run goes on.
    """
    while dropped := await _drop_some_keys(database):
        yield dropped


@repeated
async def _drop_some_keys(database: Database) -> int:
    key = schema.traffic_key.c
    async with database.writing() as connection:
        year = await sums_dropped_before(connection) // SLOT_MS // YEAR_SLOTS
        query = select(key.id).where(key.digest >= digest_of(0), key.digest < digest_of(year))
        ids = list(await connection.scalars(query.order_by(key.digest).limit(AT_ONCE)))
        if ids:
            await connection.execute(delete(schema.traffic_key).where(key.id.in_(ids)))
    return len(ids)


async def _drop(
    table: Table, own: ColumnElement[bool], after: Row[Any] | None, drops: Drops, connection: AsyncConnection
) -> Sequence[Row[Any]]:
    """Drop the next rows behind one, in the order of the primary key, and return their keys."""
    key = [column for column in table.primary_key if column.name != "kind"]
    # With a range on both sides MySQL passes over rows that it has not cleared away yet, and locks no others.
    some = own if after is None else and_(own, key[0] >= after.slot, _beyond(key, after, is_behind=True))
    query = select(*key).where(some).order_by(*key).limit(AT_ONCE)
    rows: Sequence[Row[Any]] = (await connection.execute(query)).all()
    if rows and not drops.is_trial:
        last = and_(*(column == value for column, value in zip(key, rows[-1], strict=True)))
        before = _beyond(key, rows[-1], is_behind=False)
        await connection.execute(delete(table).where(some, key[0] <= rows[-1].slot, or_(before, last)))
    drops.add_sums(row.slot * SLOT_MS for row in rows)
    return rows


def _beyond(key: Sequence[Column[Any]], row: Row[Any], *, is_behind: bool) -> ColumnElement[bool]:
    """Return the condition of all rows before or behind one by its key, in words by which MySQL finds their range."""
    return or_(
        *(
            and_(
                *(each == value for each, value in zip(key[:place], row[:place], strict=True)),
                column > row[place] if is_behind else column < row[place],
            )
            for place, column in enumerate(key)
        )
    )


def _of_kind(table: Table, kind: str | None) -> Sequence[ColumnElement[bool]]:
    return () if kind is None else (table.c.kind == KIND_NUMBERS[kind],)
