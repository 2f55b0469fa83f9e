"""Audit of the books: balances against entries, each entry against the one before, entries against CDRs.

The database computes the sums and returns only the differences, a range of accounts or calls at a time, so the memory
of this process does not grow with the books. The whole audit sees one state of the database.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from enum import Enum
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Integer, Select, and_, func, literal, or_, select, type_coerce, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from vosd.base.money import ZERO, format_amount
from vosd.storage import schema
from vosd.storage.database import Database
from vosd.storage.ports import EntryKind
from vosd.storage.types import Money
from vosd.storage.verify_charges import (
    Marks,
    Unequal,
    agents_said,
    marks_of,
    unlike_their_cdr,
    unlike_their_corrections,
    without_charge,
    without_entry,
)

REPORTED_AT_MOST: Final = 1_000
_ACCOUNTS_AT_ONCE: Final = 500
_CALLS_AT_ONCE: Final = 20_000

_account: Final = schema.account.c
_entry: Final = schema.ledger_entry.c
_cdr: Final = schema.cdr.c


class Fault(Enum):
    """Kinds of differences."""

    BALANCE = "the balance is not the sum of the entries"
    COUNT = "the account's seq is not the number of its entries"
    CHAIN = "the entry does not continue the one before, in number or balance"
    NO_ACCOUNT = "entries of an account that has no row"
    CURRENCY = "the entry is in another currency than its account"
    CALL = "the entries of a call are not what its CDR says"
    CHARGES = "the charges of a call are not what its CDR says"
    CHARGES_WITHOUT_CDR = "the entries of a call without CDR are not what its charges say"
    CORRECTION = "the correction entries of a call are not what the table of corrections says"
    COUNTER = "the counter of commits is behind what was numbered by it"
    NO_CDR = "the journal has the call, the database has no CDR of it"
    POSTING = "the entry is not what the journal says"
    QUARANTINED = "the database has refused the call, vosd spool show says why"
    UNREADABLE = "the record of the call in the journal is damaged and there is no CDR of it, see vosd spool check"


_NUMBERS: Final = frozenset({Fault.COUNT, Fault.COUNTER})
"""Faults whose two sides are numbers, not money."""


class Difference(NamedTuple):
    """One difference; ``found`` is the value in the database, ``expected`` the value computed from the rest."""

    fault: Fault
    account: str
    """Empty if the fault is of no account."""
    expected: Decimal
    found: Decimal
    seq: int | None = None
    call_id: str | None = None

    def __str__(self) -> str:
        parts = (("account", self.account or None), ("entry", self.seq), ("call", self.call_id))
        where = " ".join(f"{name} {value}" for name, value in parts if value is not None)
        said = f"{where}: {self.fault.value}" if where else self.fault.value
        if self.expected == self.found:
            return said
        write = str if self.fault in _NUMBERS else format_amount
        return f"{said}: expected {write(self.expected)}, found {write(self.found)}"


class Verification(NamedTuple):
    """Result of an audit: how much was compared, and at most ``REPORTED_AT_MOST`` differences."""

    accounts: int
    entries: int
    calls: int
    calls_without_cdr: int
    """Entries of calls that leave no CDR by configuration (they carry no call id); not a difference."""
    differences: tuple[Difference, ...]


async def verify_ledger(database: Database) -> Verification:
    """Recompute balances from entries and entries from CDRs.

    Raises:
        StoreUnavailable: the database is away.
    """
    differences: list[Difference] = []
    async with database.reading(unhurried=True) as connection:
        accounts, entries, calls = [await _count(connection, table) for table in _COUNTED]
        unrecorded = select(func.count()).where(_entry.kind == EntryKind.CALL.value, _entry.call_id.is_(None))
        without_cdr = int((await connection.execute(unrecorded)).scalar_one())
        differences += await _counter_behind(connection)
        differences += await _without_account(connection)
        last_account: str | None = ""
        while last_account is not None and len(differences) < REPORTED_AT_MOST:
            last_account = await _verify_accounts(connection, last_account, differences)
        marks = await marks_of(connection)
        last_call: str | None = _FIRST_CALL
        while last_call is not None and len(differences) < REPORTED_AT_MOST:
            last_call = await _verify_calls(connection, last_call, differences, marks)
        differences += _unequal(Fault.CHARGES_WITHOUT_CDR, await without_charge(connection, marks, REPORTED_AT_MOST))
    return Verification(accounts, entries, calls, without_cdr, tuple(differences[:REPORTED_AT_MOST]))


_COUNTED: Final = (schema.account, schema.ledger_entry, schema.cdr)
_OF_CALLS: Final = (EntryKind.CALL.value, EntryKind.CORRECTION.value)
"""Kinds of the entries that make up what a call costs."""
_NUMBERED: Final = (_cdr.export_seq, _account.changed)
_FIRST_CALL: Final = "00000000-0000-0000-0000-000000000000"


async def _count(connection: AsyncConnection, table: Any) -> int:
    return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())


async def _counter_behind(connection: AsyncConnection) -> list[Difference]:
    """Compare the counter with the greatest numbers that were taken from it."""
    of_commits = select(schema.counter.c.value).where(schema.counter.c.name == schema.COMMITS)
    value = (await connection.execute(of_commits)).scalar() or 0
    newest = [(await connection.execute(select(func.max(each)))).scalar() or 0 for each in _NUMBERED]
    behind = max(newest) > value
    return [Difference(Fault.COUNTER, "", Decimal(max(newest)), Decimal(value))] if behind else []


async def _without_account(connection: AsyncConnection) -> Iterator[Difference]:
    known = select(_account.id).where(_account.id == _entry.account)
    query = select(_entry.account, _sum(_entry.amount).label("total")).where(~known.exists())
    rows = (await connection.execute(query.group_by(_entry.account).limit(REPORTED_AT_MOST))).all()
    return (Difference(Fault.NO_ACCOUNT, row.account, ZERO, row.total) for row in rows)


async def _verify_accounts(connection: AsyncConnection, after: str, differences: list[Difference]) -> str | None:
    """Audit the next accounts after ``after``; return the last one, or None if there are no more."""
    some = select(_account.id).where(_account.id > after).order_by(_account.id).limit(_ACCOUNTS_AT_ONCE)
    names = (await connection.scalars(some)).all()
    if not names:
        return None
    within = _entry.account.between(names[0], names[-1])
    for row in await connection.execute(_balances(names[0], names[-1], within)):
        total = row.total or ZERO
        if row.balance != total:
            differences.append(Difference(Fault.BALANCE, row.id, total, row.balance))
        if row.seq != (row.entries or 0):
            expected, found = Decimal(row.entries or 0), Decimal(row.seq)
            differences.append(Difference(Fault.COUNT, row.id, expected, found))
    others = await connection.execute(_other_currency(within))
    differences += [Difference(Fault.CURRENCY, row.account, row.amount, row.amount, row.seq) for row in others]
    for row in await connection.execute(_broken_links(within)):
        expected = row.previous + row.amount
        differences.append(Difference(Fault.CHAIN, row.account, expected, row.balance_after, seq=row.seq))
    return str(names[-1])


def _balances(first: str, last: str, within: ColumnElement[bool]) -> Select[Any]:
    sums = (
        select(_entry.account, _sum(_entry.amount).label("total"), func.count().label("entries"))
        .where(within)
        .group_by(_entry.account)
        .subquery()
    )
    columns = select(_account.id, _account.balance, _account.seq, sums.c.total, sums.c.entries)
    joined = columns.select_from(schema.account.outerjoin(sums, sums.c.account == _account.id))
    return joined.where(_account.id.between(first, last))


def _other_currency(within: ColumnElement[bool]) -> Select[Any]:
    """Select entries in another currency than their account; older entries have none."""
    same = and_(_account.id == _entry.account, _account.currency != _entry.currency)
    query = select(_entry.account, _entry.seq, _entry.amount).join(schema.account, same)
    return query.where(within).order_by(_entry.account, _entry.seq).limit(REPORTED_AT_MOST)


def _broken_links(within: ColumnElement[bool]) -> Select[Any]:
    """Select the entries whose number or balance does not follow from the entry before."""
    in_order: dict[str, Any] = {"partition_by": _entry.account, "order_by": _entry.seq}
    previous = func.coalesce(func.lag(_entry.balance_after).over(**in_order), literal(ZERO, Money))
    previous_seq = func.coalesce(func.lag(_entry.seq).over(**in_order), literal(0, Integer))
    links = (
        select(
            _entry.account,
            _entry.seq,
            _entry.amount,
            _entry.balance_after,
            type_coerce(previous, Money).label("previous"),
            previous_seq.label("previous_seq"),
        )
        .where(within)
        .subquery()
        .c
    )
    broken = or_(
        type_coerce(links.previous + links.amount, Money) != links.balance_after,
        links.seq != links.previous_seq + 1,
    )
    query = select(links.account, links.seq, links.amount, links.balance_after, links.previous)
    return query.where(broken).order_by(links.account, links.seq).limit(REPORTED_AT_MOST)


async def _verify_calls(
    connection: AsyncConnection, after: str, differences: list[Difference], marks: Marks
) -> str | None:
    """Audit the next calls after ``after``; return the last one, or None after the last CDR."""
    calls = select(_cdr.call_id).where(_cdr.call_id > after).order_by(_cdr.call_id)
    last = (await connection.execute(calls.offset(_CALLS_AT_ONCE - 1).limit(1))).scalar()
    differences += [
        Difference(Fault.CALL, row.account, row.rated, row.booked, call_id=row.call_id)
        for row in await connection.execute(_miscounted(after, last))
    ]
    unlike = await unlike_their_cdr(connection, after, last, marks, REPORTED_AT_MOST)
    differences += _unequal(Fault.CHARGES, unlike)
    otherwise = await unlike_their_corrections(connection, after, last, REPORTED_AT_MOST)
    differences += _unequal(Fault.CORRECTION, otherwise)
    lacking = await without_entry(connection, after, last, REPORTED_AT_MOST)
    differences += _unequal(Fault.CHARGES_WITHOUT_CDR, lacking)
    return None if last is None else str(last)


def _unequal(fault: Fault, found: Iterable[Unequal]) -> Iterator[Difference]:
    return (Difference(fault, each.account, each.expected, each.found, call_id=each.call_id) for each in found)


def _miscounted(after: str, last: str | None) -> Select[Any]:
    """Select (call, account) where the CDR, with the charges of agents, and the ledger have different sums."""

    def within(column: ColumnElement[Any]) -> ColumnElement[bool]:
        return column > after if last is None else and_(column > after, column <= last)

    nothing = literal(ZERO, Money)
    sides = [(_cdr.customer_account, _cdr.fee + _cdr.tax), (_cdr.vendor_account, _cdr.cost + _cdr.cost_tax)]
    said = [
        select(
            _cdr.call_id,
            account.label("account"),
            type_coerce(-charge, Money).label("rated"),
            nothing.label("booked"),
        ).where(account.is_not(None), within(_cdr.call_id))
        for account, charge in sides
    ]
    held = select(_entry.call_id, _entry.account, nothing.label("rated"), _entry.amount.label("booked"))
    calls_only = held.where(_entry.kind.in_(_OF_CALLS), within(_entry.call_id))
    lines = union_all(*said, agents_said(within(schema.cdr_charge.c.call_id)), calls_only).subquery().c
    rated, booked = _sum(lines.rated), _sum(lines.booked)
    query = select(lines.call_id, lines.account, rated.label("rated"), booked.label("booked"))
    return query.group_by(lines.call_id, lines.account).having(rated != booked).limit(REPORTED_AT_MOST)


def _sum(amounts: ColumnElement[Any]) -> ColumnElement[Decimal]:
    return type_coerce(func.sum(amounts), Money)
