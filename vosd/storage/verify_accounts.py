"""Audit of accounts: each entry against the one before, the balance against the entries.

The database adds up and compares; of a sound ledger a line for each account and range is read, so the memory of this
process does not grow with the books. Ranges are bounded as well, so that the database needs little to sort. Where
entries are closed, the audit starts behind the checkpoint of each account. It does not know calls.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Integer, Row, Select, and_, case, func, literal, or_, select, type_coerce
from sqlalchemy.sql.selectable import FromClause

from vosd.base.money import ZERO
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.checkpoints import of_base
from vosd.storage.faults import BookDifference, BookFault
from vosd.storage.ports import EntryKind
from vosd.storage.sums import money_sum
from vosd.storage.types import Money

Report = Callable[[BookDifference], None]
"""Receiver of each difference as it is found."""

_ACCOUNTS_AT_ONCE: Final = 500
_ENTRIES_AT_ONCE: Final = 50_000
_CLOSED_TOGETHER: Final = 5_000
"""Most closed entries of an account that is read together with others."""
_KINDS: Final = [each.value for each in EntryKind]

_account: Final = schema.account.c
_entry: Final = schema.ledger_entry.c
_point: Final = schema.ledger_checkpoint.c


class ComparedCounts(NamedTuple):
    """Numbers of accounts and entries that were compared."""

    accounts: int
    entries: int


class _Start(NamedTuple):
    """Begin of an account's entries that are compared."""

    account: str
    seq: int
    balance: Decimal


class _Range(NamedTuple):
    """Entries of some accounts, each from its start; ``last`` is where the range of a single account ends."""

    starts: Sequence[_Start]
    last: int | None = None


class _Sums(NamedTuple):
    """Sums of one account in a range."""

    account: str
    total: Decimal
    entries: int
    faults: int


async def audit_accounts(
    connection: AsyncConnection, closed_until: int | None, report: Report, passed: Callable[[], None]
) -> ComparedCounts:
    """Compare balances and entries of all accounts, behind the checkpoints of ``closed_until``, and report differences.

    None = from the first entry of each. ``passed`` is called behind each range of entries.
    """
    accounts = entries = 0
    after: str | None = ""
    while after is not None:
        rows = (await connection.execute(_next_accounts(after, closed_until))).all()
        after = rows[-1].id if rows else None
        accounts += len(rows)
        starts = {row.id: _Start(row.id, row.base_seq or 0, row.base_balance or ZERO) for row in rows}
        totals = dict.fromkeys(starts, ZERO)
        counts = dict.fromkeys(starts, 0)
        for some in _batches(rows, starts):
            async for each in _ranges(connection, some):
                for sums in await _sums_of(connection, each, closed_until):
                    totals[sums.account] += sums.total
                    counts[sums.account] += sums.entries
                    if sums.faults:
                        start = next(start for start in each.starts if start.account == sums.account)
                        await _report_faults(connection, _Range([start], each.last), report)
                passed()
        for row in rows:
            expected = starts[row.id].balance + totals[row.id]
            if row.balance != expected:
                report(BookDifference(BookFault.BALANCE, row.id, expected, row.balance))
            seq = starts[row.id].seq + counts[row.id]
            if row.seq != seq:
                report(BookDifference(BookFault.COUNT, row.id, Decimal(seq), Decimal(row.seq)))
        entries += sum(counts.values())
    return ComparedCounts(accounts, entries)


async def audit_checkpoints(connection: AsyncConnection, since: int, report: Report) -> None:
    """Compare every checkpoint with the entry that it stands behind, and report differences.

    Entries before the checkpoints of ``since`` were dropped; 0 = none were.
    """
    same = and_(_entry.account == _point.account, _entry.seq == _point.seq)
    first = schema.ledger_checkpoint.alias()
    own_first = and_(first.c.account == _point.account, first.c.closed_until == since)
    tables = schema.ledger_checkpoint.outerjoin(schema.ledger_entry, same).outerjoin(first, own_first)
    is_behind = _point.seq > func.coalesce(first.c.seq, 0)
    unlike = or_(_entry.id.is_(None), _entry.balance_after != _point.balance)
    unmoved = and_(_point.seq == first.c.seq, _point.balance != first.c.balance)
    query = select(_point.account, _point.seq, _point.balance, _entry.balance_after).select_from(tables)
    for row in await connection.execute(query.where(_point.seq > 0, or_(and_(is_behind, unlike), unmoved))):
        report(BookDifference(BookFault.CHECKPOINT, row.account, row.balance_after or ZERO, row.balance, row.seq))


async def without_account(connection: AsyncConnection, report: Report) -> None:
    """Report the sum of entries whose account has no row."""
    names = select(_entry.account).distinct().subquery()
    known = select(_account.id).where(_account.id == names.c.account)
    for name in (await connection.scalars(select(names.c.account).where(~known.exists()))).all():
        total = (await connection.execute(select(money_sum(_entry.amount)).where(_entry.account == name))).scalar_one()
        report(BookDifference(BookFault.NO_ACCOUNT, name, ZERO, total))


def _next_accounts(after: str, closed_until: int | None) -> Select[Any]:
    joined = schema.account.outerjoin(schema.ledger_checkpoint, of_base(closed_until))
    columns = (
        _account.id,
        _account.balance,
        _account.seq,
        _point.seq.label("base_seq"),
        _point.balance.label("base_balance"),
    )
    query = select(*columns).select_from(joined).where(_account.id > after)
    return query.order_by(_account.id).limit(_ACCOUNTS_AT_ONCE)


def _batches(rows: Sequence[Row[Any]], starts: dict[str, _Start]) -> Iterator[list[_Start]]:
    """Join neighbours that have few entries together; the rows say about how many they have.

    The closed entries of accounts that are read together may be read as well, so one with many of them is alone.
    """
    batch: list[_Start] = []
    size = 0
    for row in rows:
        start = starts[row.id]
        expected = max(row.seq - start.seq, 1)
        if batch and (size + expected > _ENTRIES_AT_ONCE or start.seq > _CLOSED_TOGETHER):
            yield batch
            batch, size = [], 0
        batch.append(start)
        size += expected
        if start.seq > _CLOSED_TOGETHER:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


async def _ranges(connection: AsyncConnection, starts: list[_Start]) -> AsyncIterator[_Range]:
    """Split the entries of one account into ranges; those of several accounts are one."""
    if len(starts) > 1:
        yield _Range(starts)
        return
    (start,) = starts
    while True:
        following = select(_entry.seq, _entry.balance_after).where(
            _entry.account == start.account, _entry.seq > start.seq
        )
        nth = following.order_by(_entry.seq).offset(_ENTRIES_AT_ONCE - 1).limit(1)
        last = (await connection.execute(nth)).one_or_none()
        if last is None:
            yield _Range([start])
            return
        yield _Range([start], last.seq)
        start = _Start(start.account, last.seq, last.balance_after)


async def _sums_of(connection: AsyncConnection, each: _Range, closed_until: int | None) -> list[_Sums]:
    links = _links(each, closed_until).subquery().c
    faults = func.sum(case((_is_faulty(links), 1), else_=0))
    query = select(links.account, money_sum(links.amount), func.count(), type_coerce(faults, Integer))
    return [_Sums._make(row) for row in (await connection.execute(query.group_by(links.account))).all()]


async def _report_faults(connection: AsyncConnection, each: _Range, report: Report) -> None:
    """Report the faulty entries of a range of one account."""
    links = _links(each, None).subquery().c
    for row in await connection.execute(select(*links).where(_is_faulty(links)).order_by(links.seq)):
        if row.is_foreign:
            report(BookDifference(BookFault.CURRENCY, row.account, row.amount, row.amount, row.seq))
        if row.is_unknown:
            report(BookDifference(BookFault.KIND, row.account, row.amount, row.amount, row.seq))
        expected = row.previous + row.amount
        if expected != row.balance_after or row.seq != row.previous_seq + 1:
            report(BookDifference(BookFault.CHAIN, row.account, expected, row.balance_after, seq=row.seq))


def _is_faulty(links: Any) -> ColumnElement[bool]:
    return or_(
        links.is_foreign == 1,
        links.is_unknown == 1,
        type_coerce(links.previous + links.amount, Money) != links.balance_after,
        links.seq != links.previous_seq + 1,
    )


def _links(each: _Range, closed_until: int | None) -> Select[Any]:
    """Select the entries of a range, each with the seq and the balance of the one before."""
    in_order: dict[str, Any] = {"partition_by": _entry.account, "order_by": _entry.seq}
    first_seq, first_balance, joined, within = _bounds(each, closed_until)
    previous = func.coalesce(func.lag(_entry.balance_after).over(**in_order), first_balance)
    previous_seq = func.coalesce(func.lag(_entry.seq).over(**in_order), first_seq)
    # Older entries have no currency.
    is_foreign = case((_account.currency != _entry.currency, 1), else_=0)
    is_unknown = case((_entry.kind.not_in(_KINDS), 1), else_=0)
    columns = select(
        _entry.account,
        _entry.seq,
        _entry.amount,
        _entry.balance_after,
        is_foreign.label("is_foreign"),
        is_unknown.label("is_unknown"),
        type_coerce(previous, Money).label("previous"),
        type_coerce(previous_seq, Integer).label("previous_seq"),
    )
    return columns.select_from(joined).where(within)


class _Bounds(NamedTuple):
    """Begin of the entries of a range: the seq and balance before it, the tables, the condition."""

    first_seq: ColumnElement[Any]
    first_balance: ColumnElement[Any]
    joined: FromClause
    within: ColumnElement[bool]


def _bounds(each: _Range, closed_until: int | None) -> _Bounds:
    of_account = _entry.account == _account.id
    if len(each.starts) > 1:
        seq = func.coalesce(_point.seq, literal(0, Integer))
        balance = type_coerce(func.coalesce(_point.balance, literal(ZERO, Money)), Money)
        joined = schema.account.outerjoin(schema.ledger_checkpoint, of_base(closed_until)).join(
            schema.ledger_entry, and_(of_account, _entry.seq > seq)
        )
        within = _account.id.between(each.starts[0].account, each.starts[-1].account)
        return _Bounds(seq, balance, joined, within)
    (start,) = each.starts
    behind = and_(_entry.account == start.account, _entry.seq > start.seq)
    return _Bounds(
        literal(start.seq, Integer),
        literal(start.balance, Money),
        schema.ledger_entry.join(schema.account, of_account),
        behind if each.last is None else and_(behind, _entry.seq <= each.last),
    )
