"""What people look up in MySQL and SQLite: calls by what they remember of them, and balances.

By account, gateway, called number or time a listing walks an index and stops at its limit, however many calls
there are. By caller or reason alone it walks back from the newest call until it has enough.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Select, and_, desc, select, union
from sqlalchemy.ext.asyncio import AsyncConnection

from vosd.base.number import for_matching
from vosd.cdr.ports import Standing
from vosd.cdr.record import Attempt, CallRecord
from vosd.storage import schema
from vosd.storage.database import Database
from vosd.storage.ports import CallFilter, StoredCall
from vosd.storage.types import descriptive, is_call_id

_LAST_CHARACTER: Final = "\U0010ffff"
_CALLS_AT_ONCE: Final = 500
_SEARCHED_AT_MOST: Final = 1_000

_cdr: Final = schema.cdr.c


class SqlQueries:
    """Implements ``vosd.storage.ports.Queries``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def calls(self, wanted: CallFilter) -> Sequence[StoredCall]:
        """Return the calls that fit, newest first.

        Raises:
            StoreUnavailable: ask again.
        """
        async with self._database.reading() as connection:
            return await _stored_calls(connection, _newest(wanted))

    async def call(self, call_id: str) -> StoredCall | None:
        """Return one call, or None when it has no CDR.

        Raises:
            StoreUnavailable: ask again.
        """
        if not is_call_id(call_id):
            return None
        async with self._database.reading() as connection:
            found = await _stored_calls(connection, select(schema.cdr).where(_cdr.call_id == call_id))
        return found[0] if found else None

    async def standing(self, account: str) -> Standing | None:
        """Return the account's standing, or None when it has no row.

        Raises:
            StoreUnavailable: ask again.
        """
        table = schema.account.c
        query = select(table.balance, table.seq).where(table.id == _as_stored(account))
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else Standing(row.balance, row.seq)


def stored_call(row: Mapping[str, Any], attempts: Iterable[Attempt]) -> StoredCall:
    """Make the record of a row whose keys are the columns of ``schema.cdr``."""
    values = dict(row)
    export_seq = values.pop("export_seq")
    return StoredCall(CallRecord(**values, attempts=tuple(attempts)), export_seq)


def _newest(wanted: CallFilter) -> Select[Any]:
    """Build the listing as a union of arms, one for each way in which "either column" can be true.

    An OR over two columns would make the database choose between no index and no order; each arm alone walks
    one index backwards and stops at the limit.
    """
    always = [
        *([_cdr.started_at >= wanted.since] if wanted.since is not None else []),
        *([_cdr.started_at < wanted.until] if wanted.until is not None else []),
        *([_cdr.end_reason == _as_stored(wanted.reason)] if wanted.reason is not None else []),
    ]
    alternatives = product(
        _either(wanted.account, _cdr.customer_account, _cdr.vendor_account),
        _either(wanted.gateway, _cdr.mapping_gateway, _cdr.routing_gateway),
        _beginning(wanted.caller, _cdr.caller_in),
        _beginning(wanted.callee, _cdr.callee_in),
    )
    order: tuple[ColumnElement[Any], ...] = (desc("started_at"), desc("call_id"))
    arms = [
        select(_cdr.started_at, _cdr.call_id)
        .where(*always, *(condition for condition in chosen if condition is not None))
        .order_by(*order)
        .limit(wanted.limit)
        .subquery()
        for chosen in alternatives
    ]
    found = union(*(select(arm) for arm in arms)).order_by(*order).limit(wanted.limit).subquery()
    fitting = select(schema.cdr).join(found, _cdr.call_id == found.c.call_id)
    return fitting.order_by(_cdr.started_at.desc(), _cdr.call_id.desc())


def _either(value: str | None, *columns: Column[Any]) -> list[ColumnElement[bool] | None]:
    return [None] if value is None else [column == _as_stored(value) for column in columns]


def _beginning(number: str | None, column: Column[Any]) -> list[ColumnElement[bool] | None]:
    """Say that the column begins with the number, as ranges, which use an index where LIKE may not."""
    if number is None:
        return [None]
    digits = for_matching(_as_stored(number))
    return [and_(column >= start, column < start + _LAST_CHARACTER) for start in (digits, f"+{digits}")]


def _as_stored(text: str) -> str:
    """Spell what was typed as it would have been stored, so that bytes that are no text can be searched."""
    return descriptive(text, _SEARCHED_AT_MOST)


async def _stored_calls(connection: AsyncConnection, query: Select[Any]) -> list[StoredCall]:
    rows = (await connection.execute(query)).mappings().all()
    attempts: dict[str, list[Attempt]] = {row["call_id"]: [] for row in rows}
    call_ids = list(attempts)
    table = schema.cdr_attempt.c
    for start in range(0, len(call_ids), _CALLS_AT_ONCE):
        some = select(schema.cdr_attempt).where(table.call_id.in_(call_ids[start : start + _CALLS_AT_ONCE]))
        for row in await connection.execute(some.order_by(table.call_id, table.position)):
            attempt = Attempt(row.gateway, row.code, row.ms, row.pdd_ms, row.reason)
            attempts[row.call_id].append(attempt)
    return [stored_call({**row}, attempts[row["call_id"]]) for row in rows]
