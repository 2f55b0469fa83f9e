"""The ledger as it is read: entries one after the other, and the sums of a time.

Refuses to book and to judge: ``payments`` and ``books`` write entries, ``verify`` audits them.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, case, func, not_, select, type_coerce

from vosd.base.money import ZERO
from vosd.storage import schema
from vosd.storage.checkpoints import Checkpoint, checkpoints_of
from vosd.storage.database import Database
from vosd.storage.dropped import check_there, dropped_before
from vosd.storage.ports import EntryKind
from vosd.storage.types import Money, descriptive

ENTRIES_AT_ONCE: Final = 1_000
"""Entries that are read together."""
_SEARCHED_AT_MOST: Final = 1_000

_entry: Final = schema.ledger_entry.c


class LedgerEntry(NamedTuple):
    """One entry, as it is stored; ``created_at`` is UTC milliseconds: of a call its end, else when it was booked."""

    id: int
    account: str
    seq: int
    amount: Decimal
    balance_after: Decimal
    kind: str
    reference: str
    call_id: str | None
    operator: str | None
    memo: str | None
    created_at: int
    currency: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFilter:
    """Which entries to list; all given criteria must hold.

    ``since`` is inclusive and ``until`` exclusive, UTC milliseconds of the entry's date.
    """

    account: str | None = None
    since: int | None = None
    until: int | None = None
    kinds: Sequence[str] = ()
    operator: str | None = None


EARNED: Final = "earned"
"""The movement of call entries above zero: what the gateways of a partner have carried."""


class Movement(NamedTuple):
    """All entries of one kind in a time, those of calls apart by what was paid and earned: how many, and their sum."""

    kind: str
    entries: int
    amount: Decimal


class Statement(NamedTuple):
    """An account over a time: its balance at the beginning, what moved it, its balance at the end."""

    opening: Decimal
    movements: tuple[Movement, ...]
    closing: Decimal
    is_closed: bool = False
    """Whether the books are closed until its end, so that the sums do not change any more."""


class SqlLedger:
    """Reads the ledger in MySQL and SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def entries(self, wanted: EntryFilter) -> AsyncGenerator[LedgerEntry, None]:
        """Yield the entries that fit in the order in which they were booked, a few hundred of them in memory.

        No transaction is open between two pages, so a slow reader blocks nothing. What is booked meanwhile is listed.

        Raises:
            StoreUnavailable: the entries yielded so far are correct, the rest is not known.
        """
        order = _entry.id if wanted.account is None else _entry.seq
        query = _fitting(wanted).order_by(order).limit(ENTRIES_AT_ONCE)
        last = 0
        while True:
            # No time limit: where few entries fit, the database reads many for a page.
            async with self._database.reading(unhurried=True) as connection:
                rows = (await connection.execute(query.where(order > last))).all()
            found = [LedgerEntry._make(row) for row in rows]
            for each in found:
                yield each
            if len(found) < ENTRIES_AT_ONCE:
                return
            last = found[-1].id if wanted.account is None else found[-1].seq

    async def by_hand(self, account: str, limit: int) -> Sequence[LedgerEntry]:
        """Return the entries of an account that are not of calls, the newest first.

        Raises:
            StoreUnavailable: try again.
        """
        kinds = [kind.value for kind in EntryKind if kind is not EntryKind.CALL]
        seq = func.coalesce(_entry.seq, _entry.seq)  # hides the order: by (account, kind) few entries are read
        query = _fitting(EntryFilter(account=account, kinds=kinds)).order_by(seq.desc()).limit(limit)
        async with self._database.reading() as connection:
            return [LedgerEntry._make(row) for row in (await connection.execute(query)).all()]

    async def statement(self, account: str, since: int, until: int) -> Statement:
        """Return the sums of an account's entries before ``since`` and, by kind, from then to before ``until``.

        An entry that was booked when its date was closed counts from that close on, so a closed time keeps its sums.

        Raises:
            DroppedPeriod: entries of then were dropped.
            StoreUnavailable: try again.
        """
        total = type_coerce(func.sum(_entry.amount), Money)
        async with self._database.reading(unhurried=True) as connection:
            check_there((await dropped_before(connection)).ledger, since, "ledger entries")
            points = await checkpoints_of(connection, account)
            start = max((each for each in points if each.closed_until <= since), key=_closed_until, default=None)
            of_account = [_entry.account == account]
            if start is not None:
                of_account.append(_entry.seq > start.seq)
            before, within = _before(points, since), _before(points, until)
            opening = (await connection.execute(select(total).where(*of_account, before))).scalar() or ZERO
            earned = and_(_entry.kind == EntryKind.CALL.value, _entry.amount > ZERO)
            kind = case((earned, EARNED), else_=_entry.kind).label("kind")
            lines = select(kind, _entry.amount).where(*of_account, within, not_(before)).subquery().c
            by_kind = select(lines.kind, func.count(), type_coerce(func.sum(lines.amount), Money))
            rows = (await connection.execute(by_kind.group_by(lines.kind).order_by(lines.kind))).all()
        movements = tuple(Movement._make(row) for row in rows)
        opening += ZERO if start is None else start.balance
        is_closed = any(each.closed_until >= until for each in points)
        return Statement(opening, movements, opening + sum((each.amount for each in movements), ZERO), is_closed)


def _closed_until(point: Checkpoint) -> int:
    return point.closed_until


def _before(points: Sequence[Checkpoint], moment: int) -> ColumnElement[bool]:
    """Return the condition that an entry counts before a moment: it is dated before, and was when that was open."""
    later = [each.seq for each in points if each.closed_until >= moment]
    dated = _entry.created_at < moment
    return and_(dated, _entry.seq <= min(later)) if later else dated


def _fitting(wanted: EntryFilter) -> Select[Any]:
    query = select(*(_entry[name] for name in LedgerEntry._fields))
    if wanted.account is not None:
        query = query.where(_entry.account == descriptive(wanted.account, _SEARCHED_AT_MOST))
    if wanted.since is not None:
        query = query.where(_entry.created_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(_entry.created_at < wanted.until)
    if wanted.kinds:
        query = query.where(_entry.kind.in_(wanted.kinds))
    if wanted.operator is not None:
        query = query.where(_entry.operator == descriptive(wanted.operator, _SEARCHED_AT_MOST))
    return query
