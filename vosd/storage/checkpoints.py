"""Closed periods: the balance of every account up to a date, from which an audit may start (ADR 62).

A checkpoint stands before the first entry of its account that is dated on or after the date, else behind the last one.
An entry that a wrong clock has dated in the future stops none: it counts for the period that is closed over it, and
would else keep every later entry out of closed periods until its date.
What is booked later, with whatever date, comes behind the checkpoint and belongs to the next period. Nothing is ever
booked before it, because entries are only added at the end.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from sqlalchemy import Row, Select, and_, func, insert, literal, select, type_coerce, update

from vosd.base.errors import VosError
from vosd.base.money import ZERO
from vosd.cdr.columns import iso_utc
from vosd.cdr.kinds import NAME_LENGTH
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.audit import note
from vosd.storage.audit_line import AuditLine
from vosd.storage.database import SqlStore, repeated
from vosd.storage.database_clock import check_has_come, time_of
from vosd.storage.ledger_values import Closing
from vosd.storage.types import Money, descriptive

AHEAD_MS: Final = 86_400_000
"""An entry that is dated later than so long behind the moment of the close is of a wrong clock."""
_ACCOUNTS_AT_ONCE: Final = 500

_account: Final = schema.account.c
_entry: Final = schema.ledger_entry.c
_table: Final = schema.ledger_checkpoint
_point: Final = _table.c


class BadClosingDate(VosError):  # noqa: N818 - describes the date
    """The date is in the future, or a later one is closed already."""


class Checkpoint(NamedTuple):
    """The state of an account at a closed date, UTC milliseconds: its entries up to ``seq`` make ``balance``."""

    account: str
    closed_until: int
    seq: int
    balance: Decimal


class Base(NamedTuple):
    """From where an audit starts: the latest closed date, and the newest entry that was booked before it was closed."""

    closed_until: int
    entry_id: int


class SqlCheckpoints(SqlStore):
    """Makes and reads checkpoints in MySQL and SQLite."""

    async def closed_until(self) -> int | None:
        """Return the latest closed date, UTC milliseconds; None = nothing is closed."""
        async with self._database.reading() as connection:
            return await _closed_until(connection)

    async def check_date(self, until: int, now: int) -> None:
        """Check that a date can be closed, UTC milliseconds.

        Raises:
            BadClosingDate: it is in the future, or a later one is closed.
            ClockAhead: it is in the future by the database's clock.
        """
        if until > now:
            raise BadClosingDate(f"{iso_utc(until)} is in the future: a period is closed when it is over")
        await check_has_come(self._database, until)
        latest = await self.closed_until()
        if latest is not None and latest > until:
            raise BadClosingDate(f"the books are closed until {iso_utc(latest)} already: close a later date")

    async def close(
        self,
        until: int,
        operator: str,
        memo: str | None,
        now: int,
        audit: AuditLine | None = None,
        passed: Callable[[float], None] | None = None,
    ) -> Closing:
        """Make a checkpoint of every account; times are UTC milliseconds.

        ``audit`` is written with the first of them. ``passed`` receives a part of 1.

        Entries that are booked meanwhile come behind the checkpoints, so bookings go on. After a failure the same date
        makes those that are missing.

        Raises:
            BadClosingDate: the date is in the future, or a later one is closed.
            ClockAhead: it is in the future by the database's clock.
            StoreUnavailable: some may be made; try the same again.
        """
        await self.check_date(until, now)
        newest_entry = await self._database.value(select(func.max(_entry.id))) or 0
        ahead = max(now, await time_of(self._database)) + AHEAD_MS
        base = await self._base_before(until)
        accounts = entries = looked_at = 0
        there = await self._database.value(select(func.count()).select_from(schema.account)) or 0
        after: str | None = ""
        while after is not None:
            async with self._database.reading(unhurried=True) as connection:
                rows = (await connection.execute(_next_accounts(after, base, until))).all()
                found = await _reached(connection, rows, until, ahead) if rows else []
            after = rows[-1].id if rows else None
            looked_at += len(rows)
            if passed is not None and rows:
                passed(min(looked_at / max(there, 1), 1.0))  # accounts may be added meanwhile
            terms = {
                "closed_until": until,
                "closed_at": now,
                "operator": descriptive(operator, NAME_LENGTH),
                "memo": None if memo is None else descriptive(memo, schema.MEMO_LENGTH),
            }
            if found:
                points = [{"account": each.account, "seq": each.seq, "balance": each.balance} | terms for each in found]
                await self._add(points, audit)
                audit = None
            accounts += len(found)
            starts = {row.id: row.base_seq or 0 for row in rows}
            entries += sum(each.seq - starts[each.account] for each in found)
        await self._note_newest(newest_entry)
        return Closing(until, accounts, entries)

    @repeated
    async def _add(self, points: Sequence[Mapping[str, object]], audit: AuditLine | None) -> None:
        async with self._database.writing() as connection:
            await note(connection, audit)
            await connection.execute(insert(_table), points)

    async def _base_before(self, until: int) -> int | None:
        async with self._database.reading() as connection:
            query = select(func.max(_point.closed_until)).where(_point.closed_until < until)
            return _moment((await connection.execute(query)).scalar())

    @repeated
    async def _note_newest(self, entry_id: int) -> None:
        counter = schema.counter
        async with self._database.writing() as connection:
            own = counter.c.name == schema.CLOSED_ENTRY
            changed = await connection.execute(update(counter).where(own).values(value=entry_id))
            is_there = await connection.scalar(select(counter.c.value).where(own))
            if not changed.rowcount and is_there is None:
                await connection.execute(insert(counter).values(name=schema.CLOSED_ENTRY, value=entry_id))


async def join_closed(connection: AsyncConnection, accounts: Collection[str]) -> None:
    """Make checkpoints without entries, for each closed date, of accounts that have just got their rows.

    So the first entry of an account that is dated in a closed period belongs to the next one, as a later entry would.
    """
    first = select(func.min(_point.closed_until)).scalar_subquery()
    # An account that was there at the first close has a checkpoint of every close.
    oldest = select(func.min(_point.account)).where(_point.closed_until == first).scalar_subquery()
    terms = _point.closed_until, _point.closed_at, _point.operator, _point.memo
    closes = [row._asdict() for row in await connection.execute(select(*terms).where(_point.account == oldest))]
    new = [{"account": account, "seq": 0, "balance": ZERO} | close for account in accounts for close in closes]
    if new:
        await connection.execute(insert(_table), new)


async def base_of(connection: AsyncConnection) -> Base | None:
    """Return from where an audit starts; None = from the first entry."""
    closed_until = await _closed_until(connection)
    if closed_until is None:
        return None
    noted = select(schema.counter.c.value).where(schema.counter.c.name == schema.CLOSED_ENTRY)
    return Base(closed_until, (await connection.execute(noted)).scalar() or 0)


async def checkpoints_of(connection: AsyncConnection, account: str) -> list[Checkpoint]:
    """Return the checkpoints of an account, the oldest first."""
    query = select(_point.account, _point.closed_until, _point.seq, _point.balance).where(_point.account == account)
    return [Checkpoint._make(row) for row in (await connection.execute(query.order_by(_point.closed_until))).all()]


def of_base(closed_until: int | None) -> Any:
    """Return the condition that joins an account's latest checkpoint up to a date; none fits where that is None.

    An account has an older one only while a close is not complete.
    """
    if closed_until is None:
        return and_(_point.account == _account.id, literal(1) == 0)
    each = _table.alias()
    latest = select(func.max(each.c.closed_until)).where(
        each.c.account == _account.id, each.c.closed_until <= closed_until
    )
    own = latest.correlate(schema.account).scalar_subquery()
    return and_(_point.account == _account.id, _point.closed_until == own)


async def _closed_until(connection: AsyncConnection) -> int | None:
    return _moment((await connection.execute(select(func.max(_point.closed_until)))).scalar())


def _moment(value: Any) -> int | None:
    return None if value is None else int(value)


def _next_accounts(after: str, base: int | None, until: int) -> Select[Any]:
    """Select the next accounts with the checkpoint before, and whether they have the one of this date."""
    here = _table.alias()
    made = select(here.c.account).where(here.c.account == _account.id, here.c.closed_until == until).exists()
    columns = (
        _account.id,
        _account.seq,
        _account.balance,
        _point.seq.label("base_seq"),
        _point.balance.label("base_balance"),
        made.label("made"),
    )
    joined = select(*columns).select_from(schema.account.outerjoin(_table, of_base(base)))
    return joined.where(_account.id > after).order_by(_account.id).limit(_ACCOUNTS_AT_ONCE)


async def _reached(connection: AsyncConnection, rows: Sequence[Row[Any]], until: int, ahead: int) -> list[Checkpoint]:
    """Return the checkpoints of accounts that have none of this date yet; dates from ``ahead`` on are wrong."""
    found = []
    for row in rows:
        if row.made:
            continue
        after = row.base_seq or 0
        dated = _entry.created_at >= until, _entry.created_at < ahead
        later = select(_entry.seq).where(_entry.account == row.id, _entry.seq > after, *dated)
        first = later.order_by(_entry.seq).limit(1)
        following = (await connection.execute(first)).scalar() if row.seq > after else None
        last = row.seq if following is None else following - 1
        if last == row.seq:
            balance = row.balance
        elif last <= after:
            last, balance = after, ZERO if row.base_balance is None else row.base_balance
        else:
            at_last = select(type_coerce(_entry.balance_after, Money)).where(
                _entry.account == row.id, _entry.seq == last
            )
            balance = (await connection.execute(at_last)).scalar_one()
        found.append(Checkpoint(row.id, until, last, balance))
    return found
