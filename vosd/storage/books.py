"""Booking of calls: CDRs, attempts, charges, ledger entries and balances in one transaction (ADR 5).

Decides what of a batch is booked already, what the balances become and which record is refused. It does not know the
databases' dialects (``writers``) and when to try again (the recorder).
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from operator import itemgetter
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, and_, case, func, insert, or_, select

from vosd.base.money import ZERO, format_amount
from vosd.base.parts import in_parts
from vosd.cdr.kinds import ACCOUNT_LENGTH
from vosd.cdr.ports import BookedBatch, ChangedStandings, RejectedRecord, RejectedRecords, Standing
from vosd.cdr.record import CallRecord
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.checkpoints import join_closed
from vosd.storage.currencies import currencies_of, other_currency, others_than, settle_all
from vosd.storage.database import Database, repeated
from vosd.storage.database_clock import database_clock
from vosd.storage.driver_errors import AlreadyThere, BalanceTooLarge, ContentRefused
from vosd.storage.dropped import dropped_before, first_call_left
from vosd.storage.long_calls import note_long_calls
from vosd.storage.ports import EntryKind
from vosd.storage.reconcile import BookedEntry, cdrs_of, entries_of
from vosd.storage.rows import Encoding, PreparedCall, Row, ledger_row, prepare
from vosd.storage.sums import money_sum
from vosd.storage.types import Unstorable, largest_money, moment_text
from vosd.storage.writers import CommitOrder, writer_for

_ENTRIES_AT_ONCE: Final = 2_000
_ADDED_AT_ONCE: Final = 50
"""Accounts whose entries one statement adds up: to build it takes a few milliseconds, in which no call is served."""
_ENCODED_AT_ONCE: Final = 32
"""Records encoded before the event loop serves calls again: well under a millisecond."""
_OPENED_AT_ONCE: Final = 2_000
_account: Final = schema.account.c
_standing: Final = select(
    _account.id, _account.balance, _account.seq, _account.changed, _account.expires_at, _account.currency
)


_COMMIT_OF_STANDING: Final = itemgetter(3)
_OPEN_IN_SQLITE: Final = (
    "INSERT INTO account (id, currency, balance, seq, changed, opened_at) VALUES (?, ?, 0, 0, ?, ?)"
)
"""A statement of text: a start may open 100,000 accounts, and the values that they have in common are encoded once."""


class SqlBooks:
    """The books in MySQL or SQLite; implements ``vosd.cdr.ports.Books``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writer = writer_for(database)
        self._order = CommitOrder()
        self._newest_commit = 0

    async def open_accounts(self, accounts: Collection[str], currencies: Mapping[str, str] | None = None) -> None:
        """Insert a row with balance zero for each account that has none, in its currency of ``currencies``.

        Raises:
            StoreUnavailable: some rows may be missing; try again.
        """
        wanted = sorted(set(accounts))
        for start in range(0, len(wanted), _OPENED_AT_ONCE):
            async with self._database.writing() as connection:
                mark = await self._writer.take_numbers(connection, 1)
                await lock_accounts(connection, wanted[start : start + _OPENED_AT_ONCE], mark, currencies)

    async def locked_accounts(self, accounts: Collection[str]) -> frozenset[str]:
        """Return those of the accounts whose rows another transaction holds now, without waiting for it.

        SQLite has no locks of rows.

        Raises:
            StoreUnavailable: the server does not know SKIP LOCKED (before MySQL 8.0 and MariaDB 10.6), or is away.
        """
        wanted, locked = [] if self._database.is_sqlite else sorted(set(accounts)), set[str]()
        for start in range(0, len(wanted), _OPENED_AT_ONCE):
            query = select(_account.id).where(_account.id.in_(wanted[start : start + _OPENED_AT_ONCE]))
            query = _of_named_rows(query)
            async with self._database.writing() as connection:
                free = frozenset(await connection.scalars(query.with_for_update(skip_locked=True)))
                locked.update(frozenset(await connection.scalars(query)) - free)
        return frozenset(locked)

    async def settle_currencies(self, wanted: Mapping[str, str]) -> Mapping[str, str]:
        """Set the currency of accounts; if any has money in another one, set none and return those.

        Raises:
            StoreUnavailable: some may be set; try again.
        """
        return await settle_all(self._database, wanted)

    async def other_currencies(self, wanted: Mapping[str, str]) -> Mapping[str, str]:
        """Return the accounts that have money in another currency than is wanted, with that; nothing is changed."""
        return await others_than(self._database, wanted)

    async def currencies(self, accounts: Collection[str]) -> Mapping[str, str | None]:
        """Return the currency of each account that has a row."""
        return await currencies_of(self._database, accounts)

    async def book(self, records: Sequence[CallRecord]) -> BookedBatch:
        """Book whole calls in one transaction.

        Raises:
            StoreUnavailable: probably nothing of the batch was booked; try the same batch again.
            RejectedRecords: these records can never be booked; all others are committed.
        """
        calls, refused = await self._prepare({record.call_id: record for record in records}.values())
        standings: dict[str, Standing] = {}
        repeated: set[str] = set()
        waiting = [calls]
        while waiting:
            batch = waiting.pop()
            try:
                committed = await self._book(batch)
            except ContentRefused as refusal:
                if len(batch) == 1:
                    refused.append(RejectedRecord(batch[0].record, str(refusal)))
                    continue
                middle = len(batch) // 2
                waiting += [batch[middle:], batch[:middle]]
            else:
                standings |= committed.standings
                refused += committed.rejected
                repeated |= committed.repeated
        booked = BookedBatch(standings, frozenset(repeated))
        if refused:
            raise RejectedRecords(refused, booked)
        return booked

    async def lacking(self, records: Sequence[CallRecord]) -> Sequence[CallRecord]:
        """Return the records that are not booked, of calls that leave entries or a CDR and are not too old."""
        leaving = [record for record in records if record.recorded or any(each.amount for each in record.postings)]
        async with self._database.reading() as connection:
            first = (await dropped_before(connection)).first_call
            leaving = [record for record in leaving if record.call_id >= first]
            with_cdr = await cdrs_of(connection, leaving)
            taken = await entries_of(connection, [record for record in leaving if not record.recorded])
        return [record for record in leaving if not _is_there(record, with_cdr, taken)]

    def newest_commit(self) -> int:
        """Return the number of the latest commit since the last call of this method, 0 = none."""
        newest, self._newest_commit = self._newest_commit, 0
        return newest

    async def spent_since(self, wanted: Sequence[tuple[str, int]]) -> list[Decimal]:
        """Return what the calls of accounts have cost that ended since a time of each (UTC milliseconds), in order.

        The entries of an account are added up backwards until a whole page is older: calls are booked nearly in the
        order in which they end, and an account may have millions.
        """
        spent: dict[tuple[str, int], Decimal] = {}
        by_time: dict[int, list[str]] = {}
        for account, since in wanted:
            by_time.setdefault(since, []).append(account)
        for since, accounts in by_time.items():
            for some in in_parts(accounts, _ADDED_AT_ONCE):
                found = await self._spent_of(some, since)
                spent |= {(account, since): amount for account, amount in found.items()}
        return [spent[each] for each in wanted]

    async def _spent_of(self, accounts: Collection[str], since: int) -> dict[str, Decimal]:
        """Return what calls of accounts have cost that ended since a time, with one statement for a page of each."""
        entry, total = schema.ledger_entry.c, dict.fromkeys(accounts, ZERO)
        is_fresh = entry.created_at >= since
        is_cost = and_(is_fresh, entry.kind == EntryKind.CALL.value, entry.amount < 0)
        sums = (money_sum(case((is_cost, entry.amount))).label("amount"), func.max(entry.created_at).label("latest"))
        rows = await self._database.rows(select(_account.id, _account.seq).where(_account.id.in_(accounts)))
        newest: dict[str, int] = {row.id: row.seq for row in rows}
        while newest:
            pages = (
                and_(entry.account == name, entry.seq > seq - _ENTRIES_AT_ONCE, entry.seq <= seq)
                for name, seq in newest.items()
            )
            rows = await self._database.rows(select(entry.account, *sums).where(or_(*pages)).group_by(entry.account))
            older: dict[str, int] = {}
            for row in rows:
                total[row.account] -= row.amount or ZERO
                if row.latest >= since and newest[row.account] > _ENTRIES_AT_ONCE:
                    older[row.account] = newest[row.account] - _ENTRIES_AT_ONCE
            newest = older
        return total

    async def standings_of(self, accounts: Collection[str]) -> ChangedStandings:
        """Return the standing of each of these accounts that has a row; the mark is 0."""
        wanted = sorted(set(accounts))
        found = _Standings()
        async with self._database.reading() as connection:
            for start in range(0, len(wanted), _OPENED_AT_ONCE):
                some = _account.id.in_(wanted[start : start + _OPENED_AT_ONCE])
                found.add((await connection.execute(_standing.where(some))).all())
        return found.changed(0)

    async def standings_between(self, first: str, last: str | None) -> ChangedStandings:
        """Return the standing of every account behind one, and up to another, by name; the mark is 0."""
        query = _standing if last is None else _standing.where(_account.id <= last)
        query = query.order_by(_account.id).limit(_OPENED_AT_ONCE)
        found = _Standings()
        async with self._database.reading() as connection:
            while True:  # a hundred thousand at once would keep the event loop for half a second
                part = (await connection.execute(query.where(_account.id > first))).all()
                found.add(part)
                if len(part) < _OPENED_AT_ONCE:
                    return found.changed(0)
                first = part[-1].id

    async def standings(self, after: int = 0) -> ChangedStandings:
        """Return the standing of every account that changed after the mark; ``after=0`` returns all."""
        found = _Standings()
        async with self._database.reading() as connection:
            result = await connection.execute(_standing.where(_account.changed > after))
            for part in result.partitions(_OPENED_AT_ONCE):
                found.add(part)
                after = max(after, *map(_COMMIT_OF_STANDING, part))
                await asyncio.sleep(0)
        return found.changed(after)

    async def _prepare(self, records: Iterable[CallRecord]) -> tuple[list[PreparedCall], list[RejectedRecord]]:
        calls: list[PreparedCall] = []
        refused: list[RejectedRecord] = []
        for count, record in enumerate(records, start=1):
            try:
                calls.append(prepare(record, self._writer.encode))
            except Unstorable as fault:
                refused.append(RejectedRecord(record, str(fault)))
            if count % _ENCODED_AT_ONCE == 0:
                await asyncio.sleep(0)  # a full batch at once would delay the packets of running calls
        return calls, refused

    async def _book(self, batch: list[PreparedCall]) -> "_Committed":
        """Book a batch; what is booked already is looked up only if the first attempt finds a duplicate."""
        if not batch:
            return _Committed({}, [], set())
        try:
            return await self._commit(batch, known_new=True)
        except AlreadyThere:
            return await self._commit(batch, known_new=False)

    @repeated
    async def _commit(self, batch: list[PreparedCall], *, known_new: bool) -> "_Committed":
        currencies: dict[str, str | None] = {}
        for call in batch:
            for posting in call.record.postings:
                currencies[posting.account] = currencies.get(posting.account) or posting.currency
        async with self._database.writing() as connection:
            mark, committed = await self._write(connection, batch, currencies, known_new=known_new)
        self._order.committed(mark)
        self._newest_commit = mark
        return committed

    async def _write(
        self,
        connection: AsyncConnection,
        batch: list[PreparedCall],
        currencies: Mapping[str, str | None],
        *,
        known_new: bool,
    ) -> "tuple[int, _Committed]":
        """Write a batch; return the number of its commit with what is committed then."""
        mark = await self._writer.take_numbers(connection, len(batch) + 1)
        await self._order.check(connection, mark - len(batch))
        accounts = await lock_accounts(connection, sorted(currencies), mark, currencies)
        held = {name: account.currency for name, account in accounts.items()}
        found = {name: account.standing for name, account in accounts.items()}
        repeated: set[str] = set()
        if not known_new:
            repeated = {call.record.call_id for call in batch}
            batch = await _not_yet_booked(connection, batch)
            repeated -= {call.record.call_id for call in batch}
        batch, rejected = _in_held_currencies(batch, held)
        batch, dropped = _not_dropped(batch, await first_call_left(connection))
        rejected += dropped
        if rejected and known_new:
            raise AlreadyThere("a posting is in another currency, or its call is old: is it booked already?")
        standings = dict(found)
        entries = self._post(batch, standings)
        rows = [call.cdr for call in batch if call.cdr is not None]
        number = self._writer.encode.number
        numbered = [(number(export_seq), *row) for export_seq, row in enumerate(rows, start=mark - len(rows))]
        await self._writer.insert(connection, schema.cdr, numbered)
        await note_long_calls(connection, (call.record for call in batch if call.cdr is not None or call.charges))
        attempts = [row for call in batch for row in call.attempts]
        await self._writer.insert(connection, schema.cdr_attempt, attempts)
        charges = [row for call in batch for row in call.charges]
        await self._writer.insert(connection, schema.cdr_charge, charges)
        await self._writer.insert(connection, schema.ledger_entry, entries)
        moved = {name: standing for name, standing in standings.items() if standing != found[name]}
        await self._writer.save_accounts(connection, account_rows(self._writer.encode, moved, mark))
        return mark, _Committed(standings, rejected, repeated)

    def _post(self, batch: Iterable[PreparedCall], standings: dict[str, Standing]) -> list[Row]:
        """Add all postings to the standings, in place, and return the rows of the ledger."""
        encode = self._writer.encode
        entries: list[Row] = []
        for call in batch:
            for posting in call.record.postings:
                if not posting.amount:
                    continue  # an amount of zero makes no entry
                before = standings[posting.account]
                after = Standing(before.balance + posting.amount, before.seq + 1)
                entries.append(ledger_row(call, posting, after, encode))
                standings[posting.account] = after
        return entries


class _Committed(NamedTuple):
    standings: dict[str, Standing]
    """Standing of every account that the batch mentions."""
    rejected: list[RejectedRecord]
    """Records that were left out of the transaction."""
    repeated: set[str]
    """Ids of calls that were booked already."""


def account_rows(encode: Encoding, standings: Mapping[str, Standing], mark: int) -> list[Row]:
    """Return the rows that bring accounts to their standings, in the commit numbered ``mark``."""
    return [
        (
            encode.account(account, ACCOUNT_LENGTH),
            encode.money(standing.balance),
            encode.number(standing.seq),
            encode.number(mark),
        )
        for account, standing in standings.items()
    ]


class LockedAccount(NamedTuple):
    """The row of an account, locked until the transaction ends."""

    standing: Standing
    currency: str | None
    """None = not settled yet."""


def check_size(account: str, amount: Decimal, after: Decimal, dialect: str) -> None:
    """Raise BalanceTooLarge where an amount, or the balance of the account with it, fits in no column."""
    most = largest_money(dialect)
    if max(abs(amount), abs(after)) > most:
        raise BalanceTooLarge(
            f"account {account} would have {format_amount(after)} with the amount {format_amount(amount)}: "
            f"amounts and balances are at most {format_amount(most)}"
        )


async def lock_accounts(
    connection: AsyncConnection, accounts: Sequence[str], mark: int, currencies: Mapping[str, str | None] | None = None
) -> dict[str, LockedAccount]:
    """Lock the rows of sorted accounts until the transaction ends and return them.

    An account without a row gets one, which the commit numbered ``mark`` changed, in its currency of ``currencies``,
    and checkpoints of the dates that are closed.
    Rows are locked in the order of ids, so that two writers cannot wait for each other.
    """
    if not accounts:
        return {}
    table = schema.account.c
    query = select(table.id, table.balance, table.seq, table.currency).where(table.id.in_(accounts))
    query = _of_named_rows(query)
    rows = (await connection.execute(query.order_by(table.id).with_for_update())).all()
    locked = {row.id: LockedAccount(Standing(row.balance, row.seq), row.currency) for row in rows}
    wanted = currencies or {}
    missing = {account: wanted.get(account) for account in accounts if account not in locked}
    if missing:
        await _insert_accounts(connection, missing, mark)
        await join_closed(connection, missing)
        locked |= {account: LockedAccount(Standing(ZERO, 0), currency) for account, currency in missing.items()}
    return locked


def _of_named_rows(query: Select[Any]) -> Select[Any]:
    """Have a statement read, and lock, the rows of the accounts alone that it names.

    Where it names many of them, MySQL, and MariaDB from 11 on, would read the whole table.
    """
    return query.with_hint(schema.account, "FORCE INDEX (PRIMARY)", "mysql")


async def _insert_accounts(connection: AsyncConnection, currencies: Mapping[str, str | None], mark: int) -> None:
    """Insert accounts with their currencies, in the commit numbered ``mark``."""
    is_sqlite = connection.dialect.name == "sqlite"
    now = (await connection.execute(select(database_clock(is_sqlite=is_sqlite)))).scalar_one()
    if is_sqlite:
        same = mark, moment_text(now)
        await connection.exec_driver_sql(_OPEN_IN_SQLITE, [(*each, *same) for each in currencies.items()])
        return
    # Values alone: the drivers of MySQL make one statement of all rows then, else one of each.
    empty = {"balance": ZERO, "seq": 0, "changed": mark, "opened_at": now}
    await connection.execute(
        insert(schema.account), [{"id": name, "currency": code, **empty} for name, code in currencies.items()]
    )


def _in_held_currencies(
    batch: Iterable[PreparedCall], held: Mapping[str, str | None]
) -> tuple[list[PreparedCall], list[RejectedRecord]]:
    """Split off the calls with a posting in another currency than its account."""
    fitting, rejected = [], []
    for call in batch:
        fault = other_currency(call.record, held)
        if fault is None:
            fitting.append(call)
        else:
            rejected.append(RejectedRecord(call.record, fault))
    return fitting, rejected


def _not_dropped(batch: Iterable[PreparedCall], first: str) -> tuple[list[PreparedCall], list[RejectedRecord]]:
    """Split off the calls that are older than all that were not dropped: they may have been booked and dropped."""
    fitting, rejected = [], []
    for call in batch:
        if call.record.call_id >= first:
            fitting.append(call)
        else:
            why = "calls of its time were dropped, so it may have been booked before: book an adjustment if it was not"
            rejected.append(RejectedRecord(call.record, why))
    return fitting, rejected


async def _not_yet_booked(connection: AsyncConnection, batch: list[PreparedCall]) -> list[PreparedCall]:
    """Return the calls of which nothing is booked.

    Raises:
        ContentRefused: another call has the reference of a posting, so this one can never be booked.
    """
    records = [call.record for call in batch]
    with_cdr = await cdrs_of(connection, records)
    taken = await entries_of(connection, records)
    new = []
    for call in batch:
        record = call.record
        keys = [(posting.account, posting.reference) for posting in record.postings]
        entries = [key for key in keys if key in taken]
        if record.recorded and record.call_id in with_cdr:
            continue
        if not entries:
            new.append(call)
        elif record.recorded or any(taken[key].call_id is not None for key in entries):
            account, reference = entries[0]
            raise ContentRefused(f"reference {reference} of account {account} is booked for another call")
    return new


def _is_there(record: CallRecord, with_cdr: Collection[str], taken: Mapping[tuple[str, str], BookedEntry]) -> bool:
    if record.recorded:
        return record.call_id in with_cdr
    return any((posting.account, posting.reference) in taken for posting in record.postings)


class _Standings:
    """Standings that are read part by part."""

    def __init__(self) -> None:
        self._standings: dict[str, Standing] = {}
        self._expiries: dict[str, int] = {}
        self._currencies: dict[str, str] = {}

    def add(self, rows: Sequence[Any]) -> None:
        """Take some more rows."""
        for account, balance, seq, _, expires_at, currency in rows:
            self._standings[account] = Standing(balance, seq)
            if expires_at is not None:
                self._expiries[account] = expires_at
            if currency is not None:
                self._currencies[account] = currency

    def changed(self, mark: int) -> ChangedStandings:
        """Return all of them."""
        return ChangedStandings(self._standings, mark, self._expiries, self._currencies)
