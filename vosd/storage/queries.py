"""Queries in MySQL and SQLite: calls by their attributes, and balances.

``storage.listing`` chooses the index. Keys are read by the ten thousand and their rows by the hundred, so a listing of
millions needs no more memory than one of thousands.
"""

from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, Row, Select, Table, and_, or_, select

from vosd.base.ids import bounds, shortened
from vosd.base.parts import in_parts
from vosd.cdr.ports import Standing
from vosd.cdr.record import Attempt, CallRecord, ChargeRow
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.database import Database, SqlStore
from vosd.storage.listing import (
    CUSTOMERS_APART,
    CUSTOMERS_NAMED,
    are_many,
    as_stored,
    first_of_each,
    fits,
    keys_among_first,
    last_of_each,
    listed_keys,
    within,
)
from vosd.storage.ports import CallFilter, CallPosition, StoredCall
from vosd.storage.types import is_call_id

KEYS_AT_ONCE: Final = 50_000
"""Keys of a listing that are read together: about ten megabytes, of which a stream keeps two."""
CALLS_AT_ONCE: Final = 500
"""Whole calls that are read together."""
_RANGES_AT_ONCE: Final = 100

_cdr: Final = schema.cdr.c
_Made = TypeVar("_Made")


class SqlQueries(SqlStore):
    """Calls and standings in the database, for commands and the API: they need no daemon."""

    async def calls(self, wanted: CallFilter) -> Sequence[StoredCall]:
        """Return the calls that fit, in the order of the listing."""
        async with aclosing(self.stream(wanted)) as calls:
            return [call async for call in calls]

    async def stream(self, wanted: CallFilter) -> AsyncGenerator[StoredCall, None]:
        """Yield the calls that fit, in the order of the listing, and keep at most a few hundred of them in memory.

        No transaction is open between two pages, so a slow reader blocks nothing. A call that is booked meanwhile is
        listed if its position has not been passed.

        Raises:
            StoreUnavailable: the calls yielded so far are correct, the rest is not known.
        """
        left = wanted.limit
        while left > 0:
            part = replace(wanted, limit=min(left, KEYS_AT_ONCE))
            async with self._database.searching() as connection:
                keys = await _keys(connection, part)
            if not keys:
                return
            count, last = len(keys), CallPosition(keys[-1].started_at, keys[-1].call_id)
            # One text of the ids of each part takes a seventh of their rows, which a slow reader keeps for minutes.
            parts = [_together(keys[start : start + CALLS_AT_ONCE]) for start in range(0, count, CALLS_AT_ONCE)]
            del keys
            for ids in parts:
                some = ids.split()
                async with self._database.searching() as connection:
                    calls = await _calls_of(connection, some)
                if len(calls) < len(some):  # the keys may be the database's, and a replica that is back lags
                    async with self._database.reading() as connection:
                        calls = await _calls_of(connection, some)
                for call in calls:
                    yield call
            if count < part.limit:
                return
            left -= count
            wanted = replace(wanted, after=last)

    async def are_more(self, wanted: CallFilter, count: int) -> bool:
        """Return whether more calls fit than so many; their keys alone are read."""
        async with self._database.searching() as connection:
            return len(await _keys(connection, replace(wanted, limit=count + 1))) > count

    async def call(self, call_id: str) -> StoredCall | None:
        """Return one call, or None when it has no CDR."""
        if not is_call_id(call_id):
            return None
        async with self._database.reading() as connection:
            found = await _stored_calls(connection, select(schema.cdr).where(_cdr.call_id == call_id))
        return found[0] if found else None

    async def last_calls(self, accounts: Collection[str], *, as_vendors: bool) -> Mapping[str, int]:
        """Return when the last call began, UTC milliseconds, of each account that has one.

        It is one that the account paid for, or, ``as_vendors``, one that its gateways have carried.
        """
        async with self._database.searching() as connection:
            rows = (await connection.execute(last_of_each(accounts, as_vendors=as_vendors))).all()
        found = {name: [each for each in moments if each is not None] for name, *moments in rows}
        return {name: max(moments) for name, moments in found.items() if moments}

    async def calls_beginning(self, beginning: str, wanted: CallFilter) -> Sequence[StoredCall]:
        """Return calls that fit and whose id begins with ``beginning`` (of ``ids.beginning_of``), ordered by id."""
        fitting = _begins(beginning), fits(wanted, schema.cdr)
        query = select(schema.cdr).where(*fitting).order_by(_cdr.call_id).limit(wanted.limit)
        async with self._database.reading() as connection:
            return await _stored_calls(connection, query)

    async def short_ids(self, call_ids: Collection[str]) -> Mapping[str, str]:
        """Return for each call the shortest unique beginning of its id, of at least ``ids.SHORT_DIGITS`` digits."""
        beginnings = {call_id: shortened(call_id, ()) for call_id in call_ids}
        rivals: dict[str, list[str]] = {beginning: [] for beginning in beginnings.values()}
        wanted = list(rivals)
        async with self._database.reading() as connection:
            for start in range(0, len(wanted), _RANGES_AT_ONCE):
                ranges = [_begins(beginning) for beginning in wanted[start : start + _RANGES_AT_ONCE]]
                for (call_id,) in await connection.execute(select(_cdr.call_id).where(or_(*ranges))):
                    rivals[shortened(call_id, ())].append(call_id)
        return {call_id: shortened(call_id, rivals[beginning]) for call_id, beginning in beginnings.items()}

    async def standing(self, account: str) -> Standing | None:
        """Return the account's standing, or None when it has no row."""
        table = schema.account.c
        query = select(table.id, table.balance, table.seq).where(table.id == as_stored(account))
        row = await self._database.row(query)
        if row is None or row.id != account:  # MySQL ignores spaces at the end
            return None
        return Standing(row.balance, row.seq)


async def calls_with_ids(connection: AsyncConnection, call_ids: Iterable[str]) -> list[StoredCall]:
    """Return the calls of those ids that have a CDR, in any order."""
    wanted = list(call_ids)
    found: list[StoredCall] = []
    for start in range(0, len(wanted), CALLS_AT_ONCE):
        some = wanted[start : start + CALLS_AT_ONCE]
        found += await _stored_calls(connection, select(schema.cdr).where(_cdr.call_id.in_(some)))
    return found


def stored_call(row: Mapping[str, Any], attempts: Iterable[Attempt], charges: Iterable[ChargeRow]) -> StoredCall:
    """Make the record of a row whose keys are the columns of ``schema.cdr``."""
    values = dict(row)
    export_seq = values.pop("export_seq")
    return StoredCall(CallRecord(**values, attempts=tuple(attempts), charges=tuple(charges)), export_seq)


def stored_attempt(row: Sequence[Any]) -> Attempt:
    """Make the attempt of a row of ``schema.cdr_attempt``: its key, and then the columns that ``Attempt`` declares."""
    return Attempt(*row[len(schema.cdr_attempt.primary_key) :])


def stored_charge(row: Sequence[Any]) -> ChargeRow:
    """Make the charge of a row of ``schema.cdr_charge``: its key, and then the columns that ``ChargeRow`` declares."""
    return ChargeRow(*row[len(schema.cdr_charge.primary_key) :])


def _begins(beginning: str) -> ColumnElement[bool]:
    least, greatest = bounds(beginning)
    return and_(_cdr.call_id >= least, _cdr.call_id <= greatest)


async def _keys(connection: AsyncConnection, wanted: CallFilter) -> Sequence[Row[Any]]:
    if wanted.customers is not None and not wanted.customers:
        return []
    recent = keys_among_first(wanted)
    if recent is not None:
        found: Sequence[Row[Any]] = (await connection.execute(recent)).all()
        if len(found) == wanted.limit:
            return found
    if are_many(wanted):
        return await _keys_in_parts(connection, wanted)
    keys: Sequence[Row[Any]] = (await connection.execute(listed_keys(wanted))).all()
    return keys


async def _keys_in_parts(connection: AsyncConnection, wanted: CallFilter) -> Sequence[Row[Any]]:
    """Return the keys of a listing of many customers; some of these are searched at a time.

    Those whose first call comes first are searched first: the page is complete when it is full and the first calls of
    the others come behind its last one. As many as the page has rows fill it, unless a criterion has no index: all
    calls of the others may have to be read then, which is faster for more of them at a time.
    """
    customers = await _by_first_call(connection, wanted)
    keys: list[Row[Any]] = []
    apart, others = customers[: wanted.limit], customers[wanted.limit :]
    for some in (*in_parts(apart, CUSTOMERS_APART), *in_parts(others, CUSTOMERS_NAMED)):
        part = replace(wanted, customers=frozenset(name for _, name in some))
        if len(keys) == wanted.limit:
            first, last = some[0][0], keys[-1].started_at
            if first > last if wanted.oldest_first else first < last:
                break
            part = within(part, last)
        keys += (await connection.execute(listed_keys(part))).all()
        keys.sort(key=lambda key: (key.started_at, key.call_id), reverse=not wanted.oldest_first)
        del keys[wanted.limit :]
    return keys


async def _by_first_call(connection: AsyncConnection, wanted: CallFilter) -> list[tuple[int, str]]:
    """Return the customers of a listing that have calls at its time, with the moment of the first, in its order."""
    found: list[tuple[int, str]] = []
    for some in in_parts(sorted(wanted.customers or ()), CUSTOMERS_NAMED):
        rows = await connection.execute(first_of_each(wanted, some))
        found += [(first, name) for name, first in rows if first is not None]
    return sorted(found, reverse=not wanted.oldest_first)


def _together(keys: Sequence[Row[Any]]) -> str:
    return " ".join(key.call_id for key in keys)


async def _calls_of(connection: AsyncConnection, call_ids: Sequence[str]) -> list[StoredCall]:
    """Return the calls with the given ids, in their order; one that was removed meanwhile is left out."""
    found = await _stored_calls(connection, select(schema.cdr).where(_cdr.call_id.in_(call_ids)))
    calls = {call.record.call_id: call for call in found}
    return [calls[call_id] for call_id in call_ids if call_id in calls]


async def _stored_calls(connection: AsyncConnection, query: Select[Any]) -> list[StoredCall]:
    """Return the calls that a query of at most ``CALLS_AT_ONCE`` rows finds, with their attempts and charges."""
    rows = (await connection.execute(query)).mappings().all()
    call_ids = [row["call_id"] for row in rows]
    attempts = await rows_of(connection, schema.cdr_attempt, call_ids, stored_attempt)
    charges = await rows_of(connection, schema.cdr_charge, call_ids, stored_charge)
    return [stored_call(row, attempts.get(row["call_id"], ()), charges.get(row["call_id"], ())) for row in rows]


async def rows_of(
    connection: AsyncConnection, table: Table, call_ids: Collection[str], make: Callable[[Sequence[Any]], _Made]
) -> dict[str, list[_Made]]:
    """Return what a table with rows for each call has of the given ones, in order; a call without rows is left out."""
    found: dict[str, list[_Made]] = {}
    key, position = table.c.call_id, table.c.position
    query = select(table).where(key.in_(call_ids)).order_by(key, position)
    for row in await connection.execute(query):
        found.setdefault(row.call_id, []).append(make(row))
    return found


async def charges_beginning(database: Database, beginning: str, limit: int) -> dict[str, list[ChargeRow]]:
    """Return the charges of calls whose id begins with ``beginning``, by call; at most of ``limit`` calls."""
    least, greatest = bounds(beginning)
    table = schema.cdr_charge
    some = select(table.c.call_id).where(table.c.call_id.between(least, greatest)).distinct()
    found: dict[str, list[ChargeRow]] = {}
    async with database.reading() as connection:
        calls = list(await connection.scalars(some.order_by(table.c.call_id).limit(limit)))
        query = select(table).where(table.c.call_id.in_(calls)).order_by(table.c.call_id, table.c.position)
        for row in await connection.execute(query):
            found.setdefault(row.call_id, []).append(stored_charge(row))
    return found
