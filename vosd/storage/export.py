"""Calls in the order of their export numbers, for programs that take each once (ADR 71).

A number becomes visible only when all lower ones are: every writer holds the counter of commits until it has committed.
So who has read up to N reads on after N and misses nothing. It does not know files and formats (``admin.export``).
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Row, and_, func, or_, select

from vosd.cdr.columns import ATTEMPTS, CHARGES, EXPORT_SEQ
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.database import SqlStore
from vosd.storage.dropped import check_there, dropped_before, first_id
from vosd.storage.queries import rows_of, stored_attempt, stored_charge
from vosd.storage.writers import no_counter

CALLS_AT_ONCE: Final = 1_000
"""Calls of a page; a page is all that is kept in memory."""
_ID_OFF_MS: Final = 60_000
"""Greatest difference between the time in the id of a call and that of its INVITE."""
CORRECTED: Final = "corrected"
"""Name of the column that says how many charges of the call were corrected so far; 0 = it is as it was rated."""
BESIDE: Final = frozenset({ATTEMPTS.name, CHARGES.name, CORRECTED})
"""Columns that other tables fill."""

_cdr: Final = schema.cdr.c
_correction: Final = schema.cdr_correction.c
_counter: Final = schema.counter.c


class SqlExport(SqlStore):
    """Reads calls of MySQL or SQLite by their export numbers."""

    async def newest(self) -> int:
        """Return the number up to which every commit can be read."""
        query = select(_counter.value).where(_counter.name == schema.COMMITS)
        newest = await self._database.value(query)
        if newest is None:
            raise no_counter()
        return int(newest)

    async def replaced(self, numbers: Mapping[int, str], after: int, until: int) -> int | None:
        """Return the first export number that another call has than the given one; None = none.

        Looked at are the given numbers, and all with ``after < number <= until``, which only their calls may have. One
        that no call has any more is that of a call that was corrected, or removed.
        """
        between = and_(_cdr.export_seq > after, _cdr.export_seq <= until)
        query = select(_cdr.export_seq, _cdr.call_id).where(or_(_cdr.export_seq.in_(list(numbers)), between))
        rows = await self._database.rows(query.order_by(_cdr.export_seq).limit(len(numbers) + 1))
        return next((row.export_seq for row in rows if row.call_id != numbers.get(row.export_seq)), None)

    async def pages(
        self, after: int, until: int, columns: Sequence[str]
    ) -> AsyncGenerator[Sequence[tuple[Any, ...]], None]:
        """Yield the calls with ``after < export_seq <= until`` in the order of their numbers, a page at a time.

        A call is a tuple of the values of ``columns``: ``cdr.columns.KEYS`` and ``CORRECTED``; attempts and charges are
        lists. No transaction is open between two pages. A call that is corrected meanwhile has moved behind ``until``.

        Raises:
            StoreUnavailable: the pages yielded so far are correct.
        """
        own = [_cdr[name] for name in dict.fromkeys((EXPORT_SEQ.name, "call_id", *columns)) if name not in BESIDE]
        query = select(*own).order_by(_cdr.export_seq).limit(CALLS_AT_ONCE)
        while True:
            async with self._database.reading() as connection:
                part = query.where(_cdr.export_seq > after, _cdr.export_seq <= until)
                rows = (await connection.execute(part)).all()
                page = await _with_the_rest(connection, rows, [column.name for column in own], columns)
            if page:
                yield page
            if len(rows) < CALLS_AT_ONCE:
                return
            after = rows[-1].export_seq

    async def of_span(
        self, since: int, until: int, columns: Sequence[str]
    ) -> AsyncGenerator[Sequence[tuple[Any, ...]], None]:
        """Yield the calls that began in a span (UTC milliseconds) in the order of their ids, as ``pages`` does.

        Raises:
            DroppedPeriod: calls of then were dropped.
            StoreUnavailable: the pages yielded so far are correct.
        """
        own = [_cdr[name] for name in dict.fromkeys(("call_id", *columns)) if name not in BESIDE]
        began = (_cdr.started_at >= since) & (_cdr.started_at < until)
        # By the ids, which begin with the time, no call of another month is read.
        after, end = first_id(since - _ID_OFF_MS), first_id(until + _ID_OFF_MS)
        while True:
            async with self._database.reading(unhurried=True) as connection:
                check_there((await dropped_before(connection)).calls, since, "calls")  # they may go between two pages
                query = select(*own).where(_cdr.call_id > after, _cdr.call_id < end, began)
                rows = (await connection.execute(query.order_by(_cdr.call_id).limit(CALLS_AT_ONCE))).all()
                page = await _with_the_rest(connection, rows, [column.name for column in own], columns)
            if page:
                yield page
            if len(rows) < CALLS_AT_ONCE:
                return
            after = rows[-1].call_id


async def _with_the_rest(
    connection: AsyncConnection, rows: Sequence[Row[Any]], names: Sequence[str], columns: Sequence[str]
) -> list[tuple[Any, ...]]:
    """Return the wanted columns of some calls, with those of other tables."""
    call_ids = [row.call_id for row in rows]
    beside: dict[str, Mapping[str, Any]] = {}
    if ATTEMPTS.name in columns:
        beside[ATTEMPTS.name] = await rows_of(connection, schema.cdr_attempt, call_ids, stored_attempt)
    if CHARGES.name in columns:
        beside[CHARGES.name] = await rows_of(connection, schema.cdr_charge, call_ids, stored_charge)
    if CORRECTED in columns:
        count = select(_correction.call_id, func.count()).where(_correction.call_id.in_(call_ids))
        corrections = await connection.execute(count.group_by(_correction.call_id))
        beside[CORRECTED] = {row[0]: row[1] for row in corrections}
    empty: Mapping[str, Any] = {ATTEMPTS.name: (), CHARGES.name: (), CORRECTED: 0}
    if not beside:
        places = [names.index(name) for name in columns]
        return [tuple([row[place] for place in places]) for row in rows]
    page = []
    for row in rows:
        values = dict(zip(names, row, strict=True))
        values |= {name: found.get(values["call_id"], empty[name]) for name, found in beside.items()}
        page.append(tuple([values[name] for name in columns]))
    return page
