"""Dropping of calls and ledger entries whose time is over, a few at a time (ADR 73).

Each step is a short transaction that drops some records, adds their totals, and writes down what was dropped, so that
a kill between two steps leaves nothing undone. Up to when records may go is decided by ``vosd.cdr.retention``; here
single records are kept that must not go yet. It does not know the journal, files and pauses.
"""

from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from sqlalchemy import Delete, Row, Select, Update, and_, delete, false, func, select

from vosd.cdr.retention import DropPlan, RecordKind
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.daily_totals import NEEDED, add_calls
from vosd.storage.database import Database, repeated
from vosd.storage.drop_history import Drops
from vosd.storage.dropped import began, dropped_before, first_id, note_dropped
from vosd.storage.masking import MASKED
from vosd.storage.old_sums import TABLES as TABLES_OF_SUMS, has_sums
from vosd.storage.ports import EntryKind
from vosd.storage.reconcile import cdrs_among
from vosd.storage.rows import reference_of
from vosd.storage.traffic import locked_mark
from vosd.storage.verify_charges import call_in
from vosd.storage.writers import writer_for

AT_ONCE: Final = 500
"""Records of a step."""
ACCOUNTS_AT_ONCE: Final = 50
"""Accounts whose entries a step looks for: each takes a query of its own while the step holds its locks."""
_OF_CALLS: Final = (EntryKind.CALL.value, EntryKind.CORRECTION.value)
"""Kinds of entries that are dropped here; the others are in ``old_payments``."""

_cdr: Final = schema.cdr.c
_charge: Final = schema.cdr_charge
_correction: Final = schema.cdr_correction.c
_entry: Final = schema.ledger_entry.c
_point: Final = schema.ledger_checkpoint.c
_TABLES_OF_CALLS: Final = schema.cdr_attempt, schema.cdr_charge, schema.cdr_correction, schema.cdr
_CHANGES: Final[Mapping[RecordKind, Sequence[Delete | Update]]] = {
    RecordKind.CALLS: [delete(table) for table in _TABLES_OF_CALLS],
    RecordKind.LEDGER: [delete(schema.ledger_entry)],
    RecordKind.PAYMENTS: [delete(schema.ledger_entry)],
    RecordKind.SUMS: [delete(table) for table in TABLES_OF_SUMS],
    RecordKind.NUMBERS: MASKED,
}
"""Changes of a run to the rows of records of a kind."""


class SqlRetention:
    """Finds and drops old records in MySQL and SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writer = writer_for(database)

    async def closes(self) -> Sequence[int]:
        """Return the dates to which the books are closed, UTC milliseconds."""
        async with self._database.reading(unhurried=True) as connection:
            return list(await connection.scalars(select(_point.closed_until).distinct().order_by(_point.closed_until)))

    async def oldest_behind(self, export_seq: int) -> int | None:
        """Return when the oldest call began that has a higher export number; None = there is none."""
        async with self._database.reading(unhurried=True) as connection:
            oldest = await connection.scalar(select(func.min(_cdr.call_id)).where(_cdr.export_seq > export_seq))
        return None if oldest is None else began(oldest)

    async def oldest_not_added_up(self) -> int | None:
        """Return when the oldest call began that is not in the sums of reports; None = there is none."""
        query = select(schema.counter.c.value).where(schema.counter.c.name == schema.TRAFFIC)
        async with self._database.reading() as connection:
            mark = await connection.scalar(query) or 0
        return await self.oldest_behind(mark)

    async def calls_dropped_before(self) -> int:
        """Return before when calls were dropped, UTC milliseconds; 0 = none were."""
        async with self._database.reading() as connection:
            return (await dropped_before(connection)).calls

    async def has_any(self, kind: RecordKind, since: int, until: int) -> bool:
        """Return whether there are records of a kind from a time; UTC milliseconds."""
        if kind is RecordKind.SUMS:
            async with self._database.reading(unhurried=True) as connection:
                return await has_sums(connection, since, until)
        if kind in {RecordKind.CALLS, RecordKind.NUMBERS}:
            query = select(_cdr.call_id).where(_cdr.call_id >= first_id(since), _cdr.call_id < first_id(until)).limit(1)
        else:
            of_kind = _entry.kind.in_(_OF_CALLS) if kind is RecordKind.LEDGER else _entry.kind.not_in(_OF_CALLS)
            first = (
                select(_entry.created_at)
                .where(of_kind, _entry.created_at >= since)
                .order_by(_entry.id)
                .limit(1)
                .subquery()
            )
            query = select(first.c.created_at).where(first.c.created_at < until)
        return await self._database.row(query, unhurried=True) is not None

    async def has_calls(self, until: int) -> bool:
        """Return whether there are calls, or charges of calls without CDR, from before a time, UTC milliseconds."""
        async with self._database.reading(unhurried=True) as connection:
            for column in (_cdr.call_id, _charge.c.call_id):
                if await connection.scalar(select(column).where(column < first_id(until)).limit(1)) is not None:
                    return True
        return False

    @repeated
    async def begin(self, plan: DropPlan) -> None:
        """Let no older record be booked, or sum be added to or shown, from now on."""
        async with self._database.writing() as connection:
            for change in _CHANGES[plan.kind]:  # who lacks a right is refused before the date is written
                await connection.execute(change.where(false()))
            # Bookings and additions hold it as well: one that has not read the date reads it, any other has committed.
            if plan.kind is RecordKind.SUMS:
                await locked_mark(connection)
            else:
                await self._writer.take_numbers(connection, 1)
            await note_dropped(connection, plan.kind, plan.until)

    async def drop_calls(self, plan: DropPlan, closed_until: int, drops: Drops) -> AsyncGenerator[int, None]:
        """Drop the calls of a plan, and yield after each step how many were looked at.

        Kept are calls with an entry that is not behind the checkpoint of ``closed_until``, and those that were
        corrected so lately that the correction's time is not over.

        Raises:
            StoreUnavailable: what was dropped so far is written down.
        """
        after = ""
        while True:
            query = select(*NEEDED).where(_cdr.call_id < first_id(plan.until), *_behind(_cdr.call_id, after))
            rows = await drops.step(self._database, partial(_drop_calls, query, plan, closed_until, drops))
            if not rows:
                break
            after = rows[-1].call_id
            yield len(rows)
        async for looked_at in self._drop_charges(plan, closed_until, drops):
            yield looked_at

    async def _drop_charges(self, plan: DropPlan, closed_until: int, drops: Drops) -> AsyncGenerator[int, None]:
        """Drop the charges of calls that left no CDR."""
        after = ""
        unrecorded = ~select(_cdr.call_id).where(_cdr.call_id == _charge.c.call_id).exists()
        while True:
            query = select(_charge.c.call_id).where(
                _charge.c.call_id < first_id(plan.until), unrecorded, *_behind(_charge.c.call_id, after)
            )
            ids = await drops.step(self._database, partial(_drop_charges, query, closed_until, drops))
            if not ids:
                return
            after = ids[-1]
            yield len(ids)

    async def drop_entries(self, plan: DropPlan, calls_until: int, drops: Drops) -> AsyncGenerator[int, None]:
        """Drop entries of calls before the checkpoints of a date; yield after each step how many were looked at.

        ``plan.until`` is that date. Kept are all other kinds, and entries of calls that are still there.

        Raises:
            StoreUnavailable: what was dropped so far is written down.
        """
        # Only accounts that have some: after the first run most have none, and each would take a transaction.
        # In this form MariaDB reads one entry of each by (account, seq); with EXISTS it reads all that are kept.
        first = (
            select(_entry.seq)
            .where(_entry.account == _point.account, _entry.kind.in_(_OF_CALLS))
            .order_by(_entry.seq)
            .limit(1)
            .scalar_subquery()
        )
        closed = _point.closed_until == plan.until, _point.seq > 0, first <= _point.seq
        query = select(_point.account, _point.seq).where(*closed).order_by(_point.account)
        points = await self._database.rows(query, unhurried=True)
        rest: Sequence[_Closed] = [_Closed(point.account, 0, point.seq) for point in points]
        while rest:
            looked_at, rest = await drops.step(self._database, partial(_drop_entries, rest, calls_until, drops))
            if looked_at:
                yield looked_at


class _Closed(NamedTuple):
    """Entries of an account with ``after < seq <= until``."""

    account: str
    after: int
    until: int


async def _drop_calls(
    query: Select[Any], plan: DropPlan, closed_until: int, drops: Drops, connection: AsyncConnection
) -> Sequence[Row[Any]]:
    """Drop some calls but those that must stay; return those that were looked at."""
    rows: Sequence[Row[Any]] = (await connection.execute(_some(query, _cdr.call_id, drops, AT_ONCE))).all()
    kept = await _kept(connection, [row.call_id for row in rows], closed_until, plan.wanted)
    going = [row for row in rows if row.call_id not in kept]
    drops.kept_calls |= kept
    if not drops.is_trial:
        await _delete_calls(connection, [row.call_id for row in going])
        await add_calls(connection, going)
    drops.add_calls(going)
    return rows


async def _drop_charges(
    query: Select[Any], closed_until: int, drops: Drops, connection: AsyncConnection
) -> Sequence[str]:
    """Drop the charges of some calls without CDR but of those that must stay; return those that were looked at."""
    ids = list(await connection.scalars(query.distinct().order_by(_charge.c.call_id).limit(AT_ONCE)))
    charges = (await connection.execute(select(_charge).where(_charge.c.call_id.in_(ids)))).all()
    kept = await _kept_unrecorded(connection, charges, closed_until)
    going = [row for row in charges if row.call_id not in kept]
    drops.kept_calls |= kept
    if going and not drops.is_trial:
        gone = {row.call_id for row in going}
        await connection.execute(delete(_charge).where(_charge.c.call_id.in_(sorted(gone))))
    drops.add_charges(going)
    return ids


async def _drop_entries(
    closed: Sequence[_Closed], calls_until: int, drops: Drops, connection: AsyncConnection
) -> tuple[int, Sequence[_Closed]]:
    """Drop some entries of the first accounts; return how many were looked at, and where the next step goes on."""
    rows: list[Row[Any]] = []
    rest = closed[ACCOUNTS_AT_ONCE:]
    for place, (account, after, until) in enumerate(closed[:ACCOUNTS_AT_ONCE]):
        own = and_(_entry.account == account, _entry.seq > after, _entry.seq <= until)
        query = select(schema.ledger_entry).where(own, _entry.kind.in_(_OF_CALLS))
        most = AT_ONCE - len(rows)
        found = (await connection.execute(_some(query, _entry.seq, drops, most))).all()
        rows += found
        if len(found) == most:
            rest = [_Closed(account, found[-1].seq, until), *closed[place + 1 :]]
            break
    going = await _entries_going(connection, rows, calls_until, drops)
    if going and not drops.is_trial:
        gone = _entry.id.in_([row.id for row in going])
        await connection.execute(delete(schema.ledger_entry).where(gone))
    drops.add_entries(going)
    return len(rows), rest


async def _entries_going(
    connection: AsyncConnection, rows: Sequence[Row[Any]], calls_until: int, drops: Drops
) -> list[Row[Any]]:
    calls = {row.id: row.call_id or call_in(row.reference) for row in rows}
    old = {call for call in calls.values() if call is not None and call < first_id(calls_until)}
    there = set[str]()
    if old:
        there |= await cdrs_among(connection, old)
        there |= set(await connection.scalars(select(_charge.c.call_id).where(_charge.c.call_id.in_(sorted(old)))))
    if drops.is_trial:
        there &= drops.kept_calls
    return [row for row in rows if calls[row.id] in old and calls[row.id] not in there]


def _behind(column: Any, after: str) -> Iterable[Any]:
    return (column > after,) if after else ()


def _some(query: Select[Any], order: Any, drops: Drops, most: int) -> Select[Any]:
    some = query.order_by(order).limit(most)
    return some if drops.is_trial else some.with_for_update()


async def _kept(connection: AsyncConnection, ids: Sequence[str], closed_until: int, corrected_since: int) -> set[str]:
    """Return those of the calls that must stay."""
    if not ids:
        return set()
    entries = (
        await connection.execute(select(_entry.call_id, _entry.account, _entry.seq).where(_entry.call_id.in_(ids)))
    ).all()
    points = await _points(connection, {row.account for row in entries}, closed_until)
    late = {row.call_id for row in entries if row.seq > points.get(row.account, 0)}
    recent = select(_correction.call_id).where(
        _correction.call_id.in_(ids), _correction.corrected_at >= corrected_since
    )
    return late | set(await connection.scalars(recent))


async def _kept_unrecorded(connection: AsyncConnection, charges: Sequence[Row[Any]], closed_until: int) -> set[str]:
    """Return the calls of charges whose entries are not behind the checkpoint."""
    calls = {(row.account, reference_of(row.call_id, row.role, row.level)): row.call_id for row in charges}
    accounts: dict[str, list[str]] = {}
    for account, reference in calls:
        accounts.setdefault(account, []).append(reference)
    points = await _points(connection, accounts, closed_until)
    kept = set()
    for account, references in accounts.items():  # with the account the entries are found by their unique key
        query = select(_entry.reference, _entry.seq).where(
            _entry.account == account, _entry.kind == EntryKind.CALL.value, _entry.reference.in_(references)
        )
        for row in await connection.execute(query):
            if row.seq > points.get(account, 0):
                kept.add(calls[account, row.reference])
    return kept


async def _points(connection: AsyncConnection, accounts: Collection[str], closed_until: int) -> Mapping[str, int]:
    """Return the number of the last closed entry of each of these accounts that has a checkpoint."""
    own = and_(_point.account.in_(sorted(accounts)), _point.closed_until == closed_until)
    rows = await connection.execute(select(_point.account, _point.seq).where(own))
    return {row.account: row.seq for row in rows}


async def _delete_calls(connection: AsyncConnection, ids: Sequence[str]) -> None:
    for table in _TABLES_OF_CALLS:
        if ids:
            await connection.execute(delete(table).where(table.c.call_id.in_(ids)))
