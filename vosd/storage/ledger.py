"""The ledger as it is read: entries one after the other, and the sums of a time.

Refuses to book and to judge: ``payments`` and ``books`` write entries, ``verify`` audits them.
"""

from bisect import bisect_left, bisect_right
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from decimal import Decimal
from operator import eq
from sys import maxsize
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    String,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    literal_column,
    not_,
    null,
    or_,
    select,
    tuple_,
    type_coerce,
    union_all,
)

from vosd.base.money import ZERO
from vosd.base.parts import in_parts
from vosd.billing.agents import RECORDED_AS
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR
from vosd.invoicing.settlement import UNDO, reference_of_undo, undone_entry
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.checkpoints import Checkpoint, checkpoints_of, of_base
from vosd.storage.database import SqlStore
from vosd.storage.dropped import check_there, dropped_before
from vosd.storage.ledger_values import (
    EARNED,
    Balance,
    ChargedBeside,
    EntryFilter,
    KindSum,
    LedgerEntry,
    Movement,
    Profit,
    Statement,
    Turnover,
)
from vosd.storage.partitions import is_partitioned
from vosd.storage.ports import UNDONE_AS, EntryKind, other_ends
from vosd.storage.sums import money_sum
from vosd.storage.types import Money, descriptive

ENTRIES_AT_ONCE: Final = 1_000
"""Entries that are read together."""
_TIMES_AT_ONCE: Final = 50
"""Times of one statement."""
ACCOUNTS_AT_ONCE: Final = 500
"""Accounts whose balances are read together."""
_SEARCHED_AT_MOST: Final = 1_000
_RANGES_COUNTED: Final = 199
"""Most pairs of account and kind in a statement: the server looks into the index how many entries each has."""
_RARELY: Final[ColumnElement[float]] = literal_column("0.0001")
"""The share of entries that are not of calls, for SQLite, which would take the mean, too, once it has statistics."""
_BY_HAND: Final = [kind.value for kind in EntryKind if kind not in {EntryKind.CALL, EntryKind.CORRECTION}]

_OF_NO_CALL: Final[ColumnElement[bool]] = literal_column("ledger_entry.period") == 0
"""Names the partition of the entries that are not of calls; a table without partitions lacks the column."""

_ROLE_BEGINS: Final = 38
"""Place of the role in the reference of a call's entry, behind the call's id (``rows.reference_of``)."""

_NO_CLOSE: Final[ColumnElement[Any]] = null()
"""The close that an entry came behind, where there was none."""

_OF_CUSTOMER: Final = f"/{CUSTOMER}"
"""End of the reference of a correction of what the customer of a call pays."""

_account: Final = schema.account.c
_charge: Final = schema.cdr_charge.c
_correction: Final = schema.cdr_correction.c
_entry: Final = schema.ledger_entry.c
_point: Final = schema.ledger_checkpoint.c

_ROLE: Final = case((_charge.role == AGENT, literal(f"{AGENT}-") + cast(_charge.level, String)), else_=_charge.role)
"""End of the references of a charge's entries."""
_SAME_CALL: Final = and_(_charge.call_id == _entry.call_id, _charge.account == _entry.account)
OF_CHARGE: Final = and_(_SAME_CALL, func.substr(_entry.reference, _ROLE_BEGINS) == _ROLE)
"""Joins the entry of a call with its charge."""
CORRECTED_CHARGE: Final = and_(_SAME_CALL, _entry.reference.like(literal("%/") + _ROLE))
"""Joins the entry of a correction with the charge that was corrected."""
_BEHIND: Final = func.substr(_entry.reference, -(func.length(_ROLE, type_=Integer) + _ROLE_BEGINS), type_=String)
"""The call and the role, which stand in the reference of the entry behind that of the correction."""
CORRECTION_OF_ENTRY: Final = and_(
    _correction.call_id == _charge.call_id,
    _correction.position == _charge.position,
    _entry.reference == _correction.reference + _BEHIND,
)
"""Joins the entry of a correction, and the charge, with the row of the correction."""
IS_OF_VENDOR: Final = _entry.reference.like(f"%/{VENDOR}")
"""Whether an entry is of what a vendor gets, for calls or as its minimum: no charge."""
_TAX_OF_CHARGE: Final = (
    select(type_coerce(case((_charge.earned == 1, _charge.tax), else_=-_charge.tax), Money))
    .where(OF_CHARGE, _charge.corrected == 0)
    .limit(1)
    .correlate(schema.ledger_entry)
    .scalar_subquery()
)
TAX_OF_ENTRY: Final[ColumnElement[Any]] = type_coerce(
    case(
        (_entry.tax.is_not(None), _entry.tax),
        (_entry.kind == EntryKind.CALL.value, _TAX_OF_CHARGE),
        (_entry.kind == EntryKind.CORRECTION.value, null()),
        else_=literal(ZERO, Money),
    ),
    Money,
)
"""Part of an entry's amount that is tax: as it was booked, else that of the charge while it is as rated.

NULL where neither says so.
"""


def _is_earned() -> ColumnElement[bool]:
    return and_(_entry.kind == EntryKind.CALL.value, _entry.amount > ZERO)


def _kind_of_movement() -> ColumnElement[str]:
    return case((_is_earned(), EARNED), else_=_entry.kind)


class SqlLedger(SqlStore):
    """Reads the ledger in MySQL and SQLite."""

    async def pages(self, wanted: EntryFilter) -> AsyncGenerator[Sequence[LedgerEntry], None]:
        """Yield the entries that fit in the order of booking, or newest first, a few hundred of them at a time.

        No transaction is open between two pages, so a slow reader blocks nothing. What is booked meanwhile may be
        listed.

        Raises:
            StoreUnavailable: the entries yielded so far are correct, the rest is not known.
        """
        fitting = _fitting(wanted)
        if wanted.kinds and set(wanted.kinds) <= set(_BY_HAND):
            if wanted.account is not None or not await self._is_divided():
                async with aclosing(self._beside_calls(wanted)) as beside:
                    async for some in beside:
                        yield some
                return
            fitting = fitting.where(_OF_NO_CALL)
        order = _entry.id if wanted.account is None else _entry.seq
        is_down = wanted.newest_first
        query = fitting.order_by(order.desc() if is_down else order)
        left = maxsize if wanted.limit is None else wanted.limit
        last = maxsize if is_down else 0
        if wanted.after is not None:
            last = wanted.after
            if wanted.account is not None:
                last = await self._seq_of(wanted.account, wanted.after, is_down=is_down)
        if wanted.newest is not None and is_down:
            left = min(left, wanted.newest)
        elif wanted.newest is not None:
            newest = fitting.with_only_columns(order).order_by(order.desc()).offset(wanted.newest - 1).limit(1)
            async with self._database.searching(unhurried=True) as connection:
                last = ((await connection.execute(newest)).scalar() or 1) - 1
        while True:
            page = min(left, ENTRIES_AT_ONCE)
            # No time limit: where few entries fit, the database reads many for a page.
            async with self._database.searching(unhurried=True) as connection:
                rest = query.where(order < last if is_down else order > last)
                rows = (await connection.execute(rest.limit(page))).all()
            found = [LedgerEntry._make(row) for row in rows]
            yield found
            left -= len(found)
            if len(found) < page or not left:
                return
            last = found[-1].id if wanted.account is None else found[-1].seq

    async def are_more(self, wanted: EntryFilter, count: int) -> bool:
        """Return whether more entries fit than so many; their numbers alone are read.

        Not said of kinds that people book: there are few of them, and they are found otherwise.
        """
        if wanted.kinds and set(wanted.kinds) <= set(_BY_HAND):
            return False
        order = _entry.id if wanted.account is None else _entry.seq
        query = _fitting(wanted).with_only_columns(order).order_by(order).offset(count).limit(1)
        async with self._database.searching(unhurried=True) as connection:
            return (await connection.execute(query)).first() is not None

    async def _is_divided(self) -> bool:
        async with self._database.searching() as connection:
            return await is_partitioned(connection, schema.ledger_entry.name)

    async def _beside_calls(self, wanted: EntryFilter) -> AsyncGenerator[Sequence[LedgerEntry], None]:
        """Yield the entries that fit and are not of calls; no entry of a call is read for them.

        Their numbers are found account by account, by the index of account and kind, and kept in memory.
        """
        is_down, from_end = wanted.newest_first, wanted.newest_first or wanted.newest is not None
        most = wanted.limit if wanted.newest is None else wanted.newest
        hidden = func.coalesce(_entry.id, _entry.id)  # hides the order from the planner, which would walk along it
        kinds = set(wanted.kinds)
        query = (
            _fitting(msgspec.structs.replace(wanted, kinds=())).with_only_columns(_entry.id).where(self._is_rare(kinds))
        )
        query = query.order_by(hidden.desc() if from_end else hidden).limit(most)
        if wanted.after is not None:
            query = query.where(_entry.id < wanted.after if is_down else _entry.id > wanted.after)
        ids: list[int] = []
        named = None if wanted.account is None else [descriptive(wanted.account, _SEARCHED_AT_MOST)]
        async for names in self._accounts(named):
            async with self._database.searching(unhurried=True) as connection:
                for some in in_parts(names, _RANGES_COUNTED // len(kinds)):
                    ids += await connection.scalars(query.where(_entry.account.in_(some)))
            ids = sorted(ids, reverse=from_end)[:most]
        ids = sorted(ids, reverse=is_down)[: wanted.limit]
        order = _entry.id.desc() if is_down else _entry.id
        for place in range(0, len(ids), ENTRIES_AT_ONCE):
            page = _fitting(EntryFilter()).where(_entry.id.in_(ids[place : place + ENTRIES_AT_ONCE])).order_by(order)
            async with self._database.searching(unhurried=True) as connection:
                rows = (await connection.execute(page)).all()
            yield [LedgerEntry._make(row) for row in rows]

    def _is_rare(self, kinds: Collection[str]) -> ColumnElement[bool]:
        """Return the condition that an entry is of kinds that few entries are of."""
        found = _entry.kind.in_(kinds)
        return func.likelihood(found, _RARELY) if self._database.is_sqlite else found

    async def _seq_of(self, account: str, entry_id: int, *, is_down: bool) -> int:
        """Return the number of the entry of an account with an id, or where it would stand between the others.

        Entries of one account have rising ids. One of another account stands behind the last one before it, or, in a
        list that goes down, before the first one behind it.
        """
        own = _entry.account == descriptive(account, _SEARCHED_AT_MOST)
        latest = select(func.max(_entry.seq)).where(own, _entry.id <= entry_id)
        named = select(_entry.seq).where(own, _entry.id == entry_id)
        async with self._database.reading() as connection:
            found: int | None = await connection.scalar(named)
            return found if found is not None else (await connection.scalar(latest) or 0) + is_down

    async def by_hand(self, account: str, limit: int) -> Sequence[LedgerEntry]:
        """Return the entries of an account that are not of calls, the newest first."""
        kinds = tuple(kind.value for kind in EntryKind if kind is not EntryKind.CALL)
        seq = func.coalesce(_entry.seq, _entry.seq)  # hides the order: by (account, kind) few entries are read
        query = _fitting(EntryFilter(account=account, kinds=kinds)).order_by(seq.desc()).limit(limit)
        return [LedgerEntry._make(row) for row in await self._database.rows(query)]

    async def entry(self, number: int) -> LedgerEntry | None:
        """Return the entry of a number; None = there is none, or it was dropped."""
        query = _fitting(EntryFilter()).where(_entry.id == number)
        found = await self._database.row(query)
        return None if found is None else LedgerEntry._make(found)

    async def undos(self, entries: Iterable[LedgerEntry]) -> Mapping[int, int]:
        """Return the numbers of the entries that take some of these back, by the numbers of those."""
        wanted = {}
        for each in entries:
            kind = UNDONE_AS.get(EntryKind(each.kind))
            if kind is not None:
                wanted[each.account, kind.value, reference_of_undo(each.reference, each.id)] = each
        columns = (_entry.account, _entry.kind, _entry.reference)
        found = {}
        for some in in_parts(wanted, _RANGES_COUNTED):
            one_of = or_(*(and_(*map(eq, columns, values)) for values in some))
            async with self._database.searching(unhurried=True) as connection:
                rows = (await connection.execute(select(*columns, _entry.id, _entry.amount).where(one_of))).all()
            for account, kind, reference, number, amount in rows:
                undone = wanted[account, kind, reference]
                if amount == -undone.amount:  # else an earlier version let a person give the reference
                    found[undone.id] = number
        return found

    async def other_half(self, half: LedgerEntry) -> LedgerEntry | None:
        """Return the entry of a transfer at its other account; None = it was dropped."""
        same = _entry.kind == EntryKind.TRANSFER.value, _entry.reference == half.reference
        query = _fitting(EntryFilter()).where(*same, _entry.account.in_(other_ends(half.memo or "")))
        found = [LedgerEntry._make(row) for row in await self._database.rows(query)]
        for each in found:
            is_reverse = (each.amount, each.created_at) == (-half.amount, half.created_at)
            if is_reverse and half.account in other_ends(each.memo or ""):
                return each
        return None

    async def statement(self, account: str, since: int, until: int) -> Statement:
        """Return the sums of an account's entries before ``since`` and, by kind, from then to before ``until``.

        An entry that was booked when its date was closed counts from that close on, so a closed time keeps its sums.

        Raises:
            DroppedPeriod: entries of then were dropped.
        """
        return (await self.statements([account], since, until))[account]

    async def statements(self, accounts: Sequence[str], since: int, until: int) -> Mapping[str, Statement]:
        """Return ``statement`` of each of some accounts, of one reading of their entries.

        Raises:
            DroppedPeriod: entries of then were dropped.
        """
        async with self._reading_since(since) as connection:
            rows = await _closed_before(connection, since, accounts)
            starts = {row.id: row.seq for row in rows}
            counted = await _counted(connection, [since, until], accounts, by_kind=True, starts=starts)
            behind = select(_point.account).where(_point.account.in_(accounts), _point.closed_until >= until)
            closed = {*await connection.scalars(behind.distinct())}
        before, within = dict.fromkeys(accounts, ZERO), dict[str, dict[str, Movement]]()
        for row in rows:
            before[row.id] = row.closed or ZERO
        for each in counted:
            if each.first == 0:
                before[each.account] += each.amount
                continue
            of_account = within.setdefault(each.account, {})
            of_account[each.kind] = _with(of_account.get(each.kind, Movement(each.kind, 0, ZERO)), each)
        found: dict[str, Statement] = {}
        for name in accounts:
            opening, movements = before[name], within.get(name, {})
            closing = opening + sum((each.amount for each in movements.values()), ZERO)
            ordered = tuple(movements[kind] for kind in sorted(movements))
            found[name] = Statement(opening, ordered, closing, name in closed)
        return found

    async def counted(self, since: int, until: int) -> AsyncGenerator[Sequence[LedgerEntry], None]:
        """Yield the entries that the statements of a time count, account by account, each in its order, in pages.

        Of a closed time they are the same at any moment.

        Raises:
            DroppedPeriod: entries of then were dropped.
            StoreUnavailable: the pages yielded so far are correct.
        """
        account = ""
        while True:
            some = select(_account.id).where(_account.id > account).order_by(_account.id).limit(ACCOUNTS_AT_ONCE)
            async with self._database.reading(unhurried=True) as connection:
                names = list(await connection.scalars(some))
            for account in names:
                last = 0
                while True:
                    async with self._reading_since(since) as connection:
                        points = await checkpoints_of(connection, account)
                        start = max((each.seq for each in points if each.closed_until <= since), default=0)
                        own = _fitting(EntryFilter(account=account)).where(_entry.seq > max(start, last))
                        own = own.where(_before(points, until), not_(_before(points, since))).order_by(_entry.seq)
                        rows = (await connection.execute(own.limit(ENTRIES_AT_ONCE))).all()
                    if rows:
                        yield [LedgerEntry._make(row) for row in rows]
                    if len(rows) < ENTRIES_AT_ONCE:
                        break
                    last = rows[-1].seq
            if len(names) < ACCOUNTS_AT_ONCE:
                return

    async def by_kind(
        self, since: int, ends: Sequence[int], accounts: Collection[str] | None, most: int
    ) -> Sequence[KindSum]:
        """Return the entries of some times that are not of calls, by time, account and kind.

        The first time begins at ``since``, each other one at the end of the one before it. ``accounts`` = those alone,
        None = all. They are read from the database itself: nothing would say which ones a replica lacks. Once there are
        more than ``most`` sums, no further ones are read.

        Raises:
            DroppedPeriod: entries of then were dropped.
        """
        found: list[KindSum] = []
        columns = _entry.account, _entry.currency, _entry.kind, _entry.amount
        async for names in self._accounts(accounts):
            if len(found) > most:
                break
            own = _entry.account.in_(names), _entry.kind.in_(_BY_HAND)
            dated = _entry.created_at >= since, _entry.created_at < ends[-1]
            number = _number_of(ends, _entry.created_at).label("number")
            lines = select(*columns, number).where(*own, *dated).subquery().c
            keys = lines.account, lines.currency, lines.kind
            query = select(*keys, func.count(), money_sum(lines.amount), lines.number).group_by(*keys, lines.number)
            async with self._reading_since(since) as connection:
                found += [KindSum._make(row) for row in await connection.execute(query.order_by(*keys))]
        return sorted(found, key=_time_of_sum)

    async def charged_beside_calls(
        self, times: Sequence[tuple[int, int]], accounts: Collection[str] | None
    ) -> Sequence[ChargedBeside]:
        """Return what accounts were charged in each time for minimums, and by corrections of calls that they made.

        The minimum of a vendor's account is none: it is owed to the vendor.
        ``accounts`` = those; None = all. Entries count by their dates; times are UTC milliseconds.

        Raises:
            DroppedPeriod: entries of then were dropped.
        """
        found: list[ChargedBeside] = []
        is_of_customer = func.substr(_entry.reference, -len(_OF_CUSTOMER)) == _OF_CUSTOMER
        wanted = or_(
            and_(_entry.kind == EntryKind.MINIMUM.value, not_(IS_OF_VENDOR)),
            and_(_entry.kind == EntryKind.CORRECTION.value, is_of_customer),
        )
        keys = _entry.account, _entry.currency, _entry.kind
        kinds = EntryKind.MINIMUM.value, EntryKind.CORRECTION.value
        parts_of_names = [
            some async for names in self._accounts(accounts) for some in in_parts(names, _RANGES_COUNTED // len(kinds))
        ]
        for some in parts_of_names:
            own = select(*keys, money_sum(-_entry.amount)).where(_entry.account.in_(some), self._is_rare(kinds), wanted)
            for start in range(0, len(times), _TIMES_AT_ONCE):
                parts = [
                    own.add_columns(literal(number)).where(_entry.created_at >= since, _entry.created_at < until)
                    for number, (since, until) in enumerate(times[start : start + _TIMES_AT_ONCE], start)
                ]
                query = union_all(*(part.group_by(*keys) for part in parts))
                async with self._reading_since(times[0][0]) as connection:
                    found += [ChargedBeside._make(row) for row in await connection.execute(query)]
        return found

    async def last_payments(
        self, moments: Sequence[int], accounts: Collection[str] | None
    ) -> Sequence[Mapping[str, tuple[int, Decimal]]]:
        """Return date (UTC milliseconds) and amount of the last payment of each account before each of some moments.

        One below zero, which takes a payment back, is none; nor is an undo, or a payment that was undone before then.
        What an agent pays an account below it is one, though it is a transfer. The moments ascend; ``accounts`` = those
        alone, None = all.
        """
        by_agent = _entry.operator.startswith(RECORDED_AS)
        is_payment = or_(_entry.kind == EntryKind.PAYMENT.value, by_agent)
        kinds = (EntryKind.PAYMENT.value, EntryKind.TRANSFER.value)
        number = _number_of(moments, _entry.created_at).label("number")
        found: list[dict[str, tuple[int, Decimal]]] = [{} for _ in moments]
        async for names in self._accounts(accounts):
            own = _entry.account.in_(names), _entry.kind.in_(kinds), _entry.created_at < moments[-1]
            async with self._database.reading(unhurried=True) as connection:
                undone = await _undone(connection, own)
                paid = *own, is_payment, _entry.amount > ZERO
                key = tuple_(_entry.id, _entry.account, _entry.amount)
                lines = select(_entry.account, _entry.seq, number).where(*paid, key.not_in([*undone])).subquery().c
                of_time = select(lines.account, lines.number, func.max(lines.seq).label("seq"))
                last = of_time.group_by(lines.account, lines.number).subquery()
                columns = _entry.account, _entry.seq, _entry.created_at, _entry.amount
                query = select(*columns, last.c.number).join(
                    last, and_(_entry.account == last.c.account, _entry.seq == last.c.seq)
                )
                rows = [(row, len(moments)) for row in await connection.execute(query)]
                some = select(*columns, _entry.id, number).where(*paid, key.in_([*undone]))
                rows += [
                    (row, bisect_right(moments, undone[row.id, row.account, row.amount]))
                    for row in await connection.execute(some)
                ]
            known: dict[str, int] = {}  # from where on a later payment stands
            for row, end in sorted(rows, key=_seq_of_first, reverse=True):
                behind = known.get(row.account, len(moments))
                for place in range(row.number, min(end, behind)):
                    found[place].setdefault(row.account, (row.created_at, row.amount))
                if end == len(moments):
                    known[row.account] = min(row.number, behind)
        return found

    @asynccontextmanager
    async def _reading_since(self, since: int) -> AsyncIterator[AsyncConnection]:
        """Yield a connection to read entries that are dated from a moment on; raise DroppedPeriod if some were dropped.

        Each page has a transaction of its own, and entries may be dropped between two pages.
        """
        async with self._database.reading(unhurried=True) as connection:
            check_there((await dropped_before(connection)).entries, since, "ledger entries")
            yield connection

    async def _accounts(self, accounts: Collection[str] | None, after: str = "") -> AsyncGenerator[Sequence[str], None]:
        """Yield names of accounts, some at a time: those that are given, else all, or all behind one."""
        if accounts is not None:
            names = sorted(accounts)
            for place in range(0, len(names), ACCOUNTS_AT_ONCE):
                yield names[place : place + ACCOUNTS_AT_ONCE]
            return
        while True:
            some = select(_account.id).where(_account.id > after).order_by(_account.id).limit(ACCOUNTS_AT_ONCE)
            async with self._database.reading() as connection:
                names = list(await connection.scalars(some))
            if names:
                yield names
            if len(names) < ACCOUNTS_AT_ONCE:
                return
            after = names[-1]

    async def profit(self, since: int, until: int) -> Sequence[Profit]:
        """Return what the calls of a time have brought and cost, by currency.

        Raises:
            DroppedPeriod: calls of then were dropped.
        """
        from vosd.storage.profit import profit_of

        return await profit_of(self._database, since, until)

    async def balances(self, moment: int, after: str = "") -> AsyncGenerator[Balance, None]:
        """Yield the balance that every account with a row had at a moment, as its statement opens then; in their order.

        ``after``: those behind this account alone.

        Raises:
            DroppedPeriod: entries of then were dropped.
            StoreUnavailable: the balances yielded so far are correct, the rest is not known.
        """
        async with aclosing(self._accounts(None, after)) as parts:
            async for names in parts:
                async with self._reading_since(moment) as connection:
                    rows = (await connection.execute(_balances_at(moment, names))).all()
                for row in rows:
                    yield Balance(row.id, row.currency, (row.closed or ZERO) + (row.moved or ZERO))

    async def balances_at(
        self, moments: Sequence[int], accounts: Collection[str] | None
    ) -> Sequence[Mapping[str, Balance]]:
        """Return the balances of ``balances`` at each of some moments, by account, of one reading of the entries.

        The moments ascend; ``accounts`` = those alone, None = all.

        Raises:
            DroppedPeriod: entries of then were dropped.
        """
        found: list[dict[str, Balance]] = [{} for _ in moments]
        async for names in self._accounts(accounts):
            async with self._reading_since(moments[0]) as connection:
                rows = await _closed_before(connection, moments[0], names)
                counted = await _counted(connection, moments, names, by_kind=False)
            moved: dict[str, list[Decimal]] = {row.id: [ZERO] * len(moments) for row in rows}
            for each in counted:
                moved[each.account][each.first] += each.amount
            for row in rows:
                balance = row.closed or ZERO
                for place, amount in enumerate(moved[row.id]):
                    balance += amount
                    found[place][row.id] = Balance(row.id, row.currency, balance)
        return found

    async def turnovers(
        self, since: int, ends: Sequence[int], accounts: Collection[str] | None, most: int
    ) -> Sequence[Mapping[str, Turnover]]:
        """Return the sums of ``statement`` over some times, by account, of one reading of the entries.

        The first time begins at ``since``, each other one at the end of the one before it; ``accounts`` = those alone,
        None = all. One that has neither a balance nor an entry in a time is left out of it. Once there are more than
        ``most`` sums, no further accounts are read.

        Raises:
            DroppedPeriod: entries of then were dropped.
        """
        found: list[dict[str, Turnover]] = [{} for _ in ends]
        async for names in self._accounts(accounts):
            if sum(map(len, found)) > most:
                break
            async with self._reading_since(since) as connection:
                rows = await _closed_before(connection, since, names)
                counted = await _counted(connection, [since, *ends], names, by_kind=True)
            of_accounts: dict[str, list[list[_Counted]]] = {row.id: [[] for _ in (since, *ends)] for row in rows}
            for each in counted:
                of_accounts[each.account][each.first].append(each)
            for row in rows:
                before, *times = of_accounts[row.id]
                balance = (row.closed or ZERO) + sum((each.amount for each in before), ZERO)
                for place, of_time in enumerate(times):
                    turnover = _turnover(row.currency, balance, of_time)
                    balance = turnover.closing
                    if turnover.opening or turnover.by_kind:
                        found[place][row.id] = turnover
        return found


def _with(movement: Movement, more: "_Counted") -> Movement:
    """Return the movement of a kind with further entries of it."""
    tax = None if movement.tax is None or more.tax is None else movement.tax + more.tax
    return Movement(movement.kind, movement.entries + more.entries, movement.amount + more.amount, tax)


def _turnover(currency: str | None, opening: Decimal, counted: Iterable["_Counted"]) -> Turnover:
    by_kind: dict[str, tuple[int, Decimal]] = {}
    for each in counted:
        entries, amount = by_kind.get(each.kind, (0, ZERO))
        by_kind[each.kind] = entries + each.entries, amount + each.amount
    return Turnover(currency, opening, by_kind, opening + sum((amount for _, amount in by_kind.values()), ZERO))


async def _closed_before(connection: AsyncConnection, moment: int, names: Sequence[str]) -> Sequence[Any]:
    """Return id and currency of accounts, and last entry and balance of their latest close before a moment."""
    tables = schema.account.outerjoin(schema.ledger_checkpoint, of_base(moment))
    closed = func.coalesce(_point.seq, 0).label("seq"), type_coerce(_point.balance, Money).label("closed")
    query = (
        select(_account.id, _account.currency, *closed)
        .select_from(tables)
        .where(_account.id.in_(names))
        .order_by(_account.id)
    )
    return (await connection.execute(query)).all()


class _Counted(NamedTuple):
    """Entries of an account and a kind that count at a moment, by its number, and at none before it (``_before``)."""

    account: str
    first: int
    kind: str
    """As in a statement: entries of calls that were earned have a kind of their own."""
    entries: int
    amount: Decimal
    tax: Decimal | None = None
    """Tax in the amount; None = it is not known of some entries, or was not asked for."""


async def _counted(
    connection: AsyncConnection,
    moments: Sequence[int],
    names: Sequence[str],
    *,
    by_kind: bool,
    starts: Mapping[str, int] | None = None,
) -> list[_Counted]:
    """Return the sums of the entries behind the latest close of each account before the first moment.

    Without ``by_kind`` those of all kinds are together. ``starts`` are the last entries of these closes, of a few
    accounts: then entries before them are not read at all, and those that may count behind the first moment have taxes.
    """
    later: dict[str, list[int]] = {}
    last: dict[str, int] = {}  # entries behind these count at no moment, but for minimums
    points = select(_point.account, _point.closed_until, _point.seq).where(
        _point.account.in_(names), _point.closed_until >= moments[0]
    )
    for row in await connection.execute(points.order_by(_point.closed_until)):
        later.setdefault(row.account, []).append(row.closed_until)
        if row.closed_until >= moments[-1]:
            last.setdefault(row.account, row.seq)
    tables = schema.account.outerjoin(schema.ledger_checkpoint, of_base(moments[0]))
    tables = tables.join(
        schema.ledger_entry, and_(_entry.account == _account.id, _entry.seq > func.coalesce(_point.seq, 0))
    )
    closed: ColumnElement[Any] = _NO_CLOSE
    if later:
        point = schema.ledger_checkpoint.alias().c
        closed = (
            select(func.max(point.closed_until))
            .where(point.account == _entry.account, point.closed_until >= moments[0], point.seq < _entry.seq)
            .correlate(schema.ledger_entry)
            .scalar_subquery()
        )
    keys = (
        _number_of(moments, _entry.created_at).label("number"),
        closed.label("closed"),
        (_entry.kind == EntryKind.MINIMUM.value).label("is_minimum"),
        (_kind_of_movement() if by_kind else literal("")).label("kind"),
    )
    tax: ColumnElement[Any] = null()
    if starts is not None:
        # an entry that is dated before counts behind the first moment where that was closed before it came
        is_before = _entry.created_at < moments[0]
        tax = case(
            (is_before if closed is _NO_CLOSE else and_(is_before, closed.is_(None)), null()), else_=TAX_OF_ENTRY
        )
    columns = _entry.account, _entry.amount, type_coerce(tax, Money).label("tax")
    of_accounts = select(*columns, *keys)
    if starts is None:
        of_accounts = of_accounts.select_from(tables).where(_account.id.in_(names))
    else:
        own = (_own_entries(name, seq, last.get(name)) for name, seq in starts.items())
        of_accounts = of_accounts.where(or_(false(), *own))
    if not later:  # what is dated behind them all counts at none
        of_accounts = of_accounts.where(_entry.created_at < moments[-1])
    lines = of_accounts.subquery().c
    by = lines.account, lines.number, lines.closed, lines.is_minimum, lines.kind
    sums = func.count().label("entries"), money_sum(lines.amount).label("amount")
    taxes = (func.count(lines.tax).label("taxed"), money_sum(lines.tax).label("tax")) if starts is not None else ()
    found: list[_Counted] = []
    for row in await connection.execute(select(*by, *sums, *taxes).group_by(*by)):
        first = row.number
        if row.closed is not None and not row.is_minimum:
            first = max(first, bisect_right(moments, row.closed))
        following = [each for each in later.get(row.account, ()) if row.closed is None or each > row.closed]
        if following:
            first = min(first, bisect_left(moments, following[0]))
        if first < len(moments):
            known = row.tax if starts is not None and row.taxed == row.entries else None
            found.append(_Counted(row.account, first, row.kind, row.entries, row.amount, known))
    return found


def _own_entries(account: str, start: int, last: int | None) -> ColumnElement[bool]:
    """Return the condition of an account's entries behind one, and up to another but for minimums; None = all."""
    own = and_(_entry.account == account, _entry.seq > start)
    return own if last is None else and_(own, or_(_entry.seq <= last, _entry.kind == EntryKind.MINIMUM.value))


async def _undone(
    connection: AsyncConnection, own: Iterable[ColumnElement[bool]]
) -> dict[tuple[int, str, Decimal], int]:
    """Return number, account and amount of the entries that are undos, and of those that they take back.

    Each has the date of the undo, UTC milliseconds.
    """
    query = select(_entry.id, _entry.account, _entry.amount, _entry.reference, _entry.created_at)
    query = query.where(*own, _entry.reference.contains(UNDO, autoescape=True)).order_by(_entry.created_at.desc())
    found: dict[tuple[int, str, Decimal], int] = {}
    for row in await connection.execute(query):
        number = undone_entry(row.reference)
        if number is not None:
            found[number, row.account, -row.amount] = row.created_at
            found[row.id, row.account, row.amount] = row.created_at
    return found


def _number_of(moments: Sequence[int], time: ColumnElement[int]) -> ColumnElement[int]:
    """Return how many of some moments, which ascend, are not behind a time: by halves, as there may be 1,500."""

    def among(low: int, high: int) -> ColumnElement[int]:
        if low == high:
            return literal_column(str(low), Integer)
        middle = (low + high) // 2
        is_before = time < moments[middle]
        return case((is_before, among(low, middle)), else_=among(middle + 1, high))

    return among(0, len(moments))


def _time_of_sum(one: KindSum) -> int:
    return one.time


def _seq_of_first(pair: tuple[Any, int]) -> int:
    seq: int = pair[0].seq
    return seq


def _balances_at(moment: int, names: Sequence[str]) -> Select[Any]:
    """Select accounts with the balance of their latest close before a moment, and what moved it since.

    They are named, as of a page by a limit the database would add up all that follow.
    """
    later = select(func.min(_point.seq)).where(_point.account == _account.id, _point.closed_until >= moment)
    is_open = _entry.seq <= func.coalesce(later.correlate(schema.account).scalar_subquery(), _entry.seq)
    is_open = or_(is_open, _entry.kind == EntryKind.MINIMUM.value)
    counting = _entry.seq > func.coalesce(_point.seq, 0), _entry.created_at < moment, is_open
    tables = schema.account.outerjoin(schema.ledger_checkpoint, of_base(moment))
    tables = tables.outerjoin(schema.ledger_entry, and_(_entry.account == _account.id, *counting))
    closed = type_coerce(func.max(_point.balance), Money).label("closed")
    moved = money_sum(_entry.amount).label("moved")
    columns = select(_account.id, _account.currency, closed, moved).select_from(tables)
    return columns.where(_account.id.in_(names)).group_by(_account.id, _account.currency).order_by(_account.id)


def _before(points: Sequence[Checkpoint], moment: int) -> ColumnElement[bool]:
    """Return the condition that an entry counts before a moment: it is dated before, and was when that was open.

    A minimum counts in its month, though calls of the next one were booked before it: no minimum is booked with a date
    that is closed. An entry before a checkpoint counts with it, also if a wrong clock has dated it later.
    """
    closed = max((each.seq for each in points if each.closed_until <= moment), default=0)
    later = [each.seq for each in points if each.closed_until >= moment]
    dated = _entry.created_at < moment
    if later:
        dated = and_(dated, or_(_entry.seq <= min(later), _entry.kind == EntryKind.MINIMUM.value))
    return or_(_entry.seq <= closed, dated)


def _fitting(wanted: EntryFilter) -> Select[Any]:
    columns = (_entry[name] for name in LedgerEntry._fields if name != "tax")
    query = select(*columns, TAX_OF_ENTRY.label("tax"))
    if wanted.account is not None:
        query = query.where(_entry.account == descriptive(wanted.account, _SEARCHED_AT_MOST))
    if wanted.since is not None:
        query = query.where(_entry.created_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(_entry.created_at < wanted.until)
    if wanted.kinds:
        of_kind = _entry.kind.in_(wanted.kinds)
        query = query.where(or_(of_kind, _is_earned()) if EARNED in wanted.kinds else of_kind)
    if wanted.operator is not None:
        query = query.where(_entry.operator == descriptive(wanted.operator, _SEARCHED_AT_MOST))
    return query
