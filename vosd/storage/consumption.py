"""Cost of an account's calls in a time, without tax: read from the charges of the calls that the ledger has.

Calls from before there were charges count by their CDR, which has the customer's fee and the vendor's cost.
"""

from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Final

from sqlalchemy import select

from vosd.base.money import ZERO
from vosd.cdr.record import VENDOR
from vosd.cdr.retention import LONGEST_CALL_MS
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.database import SqlStore
from vosd.storage.dropped import check_there, dropped_before, first_id
from vosd.storage.ports import EntryKind
from vosd.storage.sums import money_sum
from vosd.storage.verify_charges import call_in

_ENTRIES_AT_ONCE: Final = 5_000

_entry: Final = schema.ledger_entry.c
_point: Final = schema.ledger_checkpoint.c
_charge: Final = schema.cdr_charge.c
_cdr: Final = schema.cdr.c
_account: Final = schema.account.c


class SqlConsumption(SqlStore):
    """Reads consumption in MySQL and SQLite, a few thousand calls at a time."""

    async def consumed(self, account: str, roles: Collection[str], since: int, until: int) -> Decimal:
        """Return the fees of an account's calls that ended from ``since`` to before ``until``, UTC milliseconds.

        ``roles`` are those in which the account takes part: a customer's, an agent's, a vendor's. What was corrected
        counts as it was corrected.

        Raises:
            DroppedPeriod: calls of then were dropped.
        """
        return await self._charged(account, roles, since, until) + await self._once_free(account, roles, since, until)

    async def _charged(self, account: str, roles: Collection[str], since: int, until: int) -> Decimal:
        """Return the fees of the calls that have an entry for the account."""
        total, after = ZERO, 0
        calls = select(_entry.seq, _entry.reference).where(
            _entry.account == account,
            _entry.kind == EntryKind.CALL.value,
            _entry.created_at >= since,
            _entry.created_at < until,
        )
        page = calls.order_by(_entry.seq).limit(_ENTRIES_AT_ONCE)
        while True:
            async with self._reading_since(since) as connection:
                rows = (await connection.execute(page.where(_entry.seq > after))).all()
                total += await _fees(connection, account, roles, (row.reference for row in rows))
            if len(rows) < _ENTRIES_AT_ONCE:
                return total
            after = rows[-1].seq

    async def _once_free(self, account: str, roles: Collection[str], since: int, until: int) -> Decimal:
        """Return the fees of the calls that cost nothing when they were booked: their corrections alone are entries."""
        total, after = ZERO, first_id(since - LONGEST_CALL_MS)
        corrected = select(_entry.call_id).where(
            _entry.account == account, _entry.kind == EntryKind.CORRECTION.value, _entry.call_id < first_id(until)
        )
        page = corrected.distinct().order_by(_entry.call_id).limit(_ENTRIES_AT_ONCE)
        while True:
            async with self._reading_since(since) as connection:
                calls = list(await connection.scalars(page.where(_entry.call_id > after)))
                once_free = set(calls) - await _with_entry(connection, account, roles, calls)
                if once_free:
                    of_account = select(money_sum(_charge.fee)).join(schema.cdr, _cdr.call_id == _charge.call_id)
                    of_account = of_account.where(
                        _charge.call_id.in_(list(once_free)), _charge.account == account, _charge.role.in_(list(roles))
                    )
                    ended = _cdr.ended_at >= since, _cdr.ended_at < until
                    total += (await connection.execute(of_account.where(*ended))).scalar() or ZERO
            if len(calls) < _ENTRIES_AT_ONCE:
                return total
            after = calls[-1]

    @asynccontextmanager
    async def _reading_since(self, since: int) -> AsyncIterator[AsyncConnection]:
        """Yield a connection to read calls that ended from a moment on; raise DroppedPeriod if some were dropped.

        Each page has a transaction of its own, and calls may be dropped between two pages.
        """
        async with self._database.reading(unhurried=True) as connection:
            dropped = await dropped_before(connection)
            check_there(max(dropped.calls, dropped.ledger), since - LONGEST_CALL_MS, "calls")
            yield connection

    async def has_begun(self, account: str, until: int) -> bool:
        """Return whether an account of a file was there before ``until``, UTC milliseconds, as far as is known.

        Its row was opened before, which the switch does when it first reads an account, or an entry of its ledger is
        older, where the row is from before openings were recorded.
        """
        opened = select(_account.id).where(_account.id == account, _account.opened_at < until)
        first = select(_entry.id).where(_entry.account == account, _entry.created_at < until).limit(1)
        closed = (
            select(_point.seq).where(_point.account == account, _point.closed_until <= until, _point.seq > 0).limit(1)
        )
        async with self._database.reading() as connection:
            # The entries themselves may have been dropped.
            found = [await connection.scalar(query) for query in (opened, first, closed)]
        return any(each is not None for each in found)

    async def has_called(self, account: str, since: int, until: int, begun: int = 0) -> bool:
        """Return whether calls of an account are booked that ended from ``since`` to before ``until``.

        ``begun``: only calls that began then or later.
        """
        call = select(_entry.id).where(_entry.account == account, _entry.kind == EntryKind.CALL.value)
        ended = call.where(_entry.created_at >= since, _entry.created_at < until)
        ended = ended.where(_entry.reference >= first_id(begun)).limit(1)  # begins with the id of the call
        async with self._database.reading() as connection:
            return await connection.scalar(ended) is not None


async def _with_entry(
    connection: AsyncConnection, account: str, roles: Collection[str], calls: Collection[str]
) -> set[str]:
    """Return those of the calls that have an entry for the account in one of the roles."""
    query = select(_entry.call_id, _entry.reference).where(
        _entry.call_id.in_(list(calls)), _entry.account == account, _entry.kind == EntryKind.CALL.value
    )
    return {row.call_id for row in await connection.execute(query) if _role_in(row.reference) in roles}


async def _fees(
    connection: AsyncConnection, account: str, roles: Collection[str], references: Iterable[str]
) -> Decimal:
    """Return the fees of the calls in the references of ledger entries.

    A call that an account both makes and carries has two entries, which may be in two pages: only that of the asked
    role counts.
    """
    of_roles = (reference for reference in references if _role_in(reference) in roles)
    calls = {call for call in map(call_in, of_roles) if call is not None}
    if not calls:
        return ZERO
    of_account = select(_charge.call_id, money_sum(_charge.fee).label("fee")).where(
        _charge.call_id.in_(list(calls)), _charge.account == account, _charge.role.in_(list(roles))
    )
    charged = (await connection.execute(of_account.group_by(_charge.call_id))).all()
    total = sum((row.fee for row in charged), ZERO)
    older = calls - {row.call_id for row in charged}
    if older:
        payer, fee = (_cdr.vendor_account, _cdr.cost) if VENDOR in roles else (_cdr.customer_account, _cdr.fee)
        of_cdr = select(money_sum(fee)).where(_cdr.call_id.in_(list(older)), payer == account)
        total += (await connection.execute(of_cdr)).scalar() or ZERO
    return total


def _role_in(reference: str) -> str:
    return reference.rpartition("/")[2].partition("-")[0]
