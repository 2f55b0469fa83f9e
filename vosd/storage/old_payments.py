"""Ledger entries that are not of calls and whose time is over: read for an archive, then dropped (ADR 94).

A dropped entry leaves a digest of its reference, so that a repeat of the payment still books nothing, and its amount in
the sums that invoices count. It does not know files.
"""

import hashlib
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy import Row, delete, func, insert, select

from vosd.base.errors import VosError
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.database import SqlStore
from vosd.storage.drop_history import Drops
from vosd.storage.dropped import dropped_before
from vosd.storage.ledger_values import LedgerEntry
from vosd.storage.ports import EntryKind

AT_ONCE: Final = 500
"""Entries of a step."""
KINDS: Final = tuple(kind.value for kind in EntryKind if kind not in {EntryKind.CALL, EntryKind.CORRECTION})

_entry: Final = schema.ledger_entry.c
_point: Final = schema.ledger_checkpoint.c
_gone: Final = schema.dropped_reference
_COMPARED: Final = ("account", "seq", "amount", "balance_after", "kind", "reference")


class UnlikeArchive(VosError):  # noqa: N818 - states what was found
    """An entry of the database differs from the one in the archive; nothing of that step was dropped."""


class SqlOldPayments(SqlStore):
    """Finds and drops old entries in MySQL and SQLite."""

    async def dropped_before(self) -> int:
        """Return before when entries were dropped, or a run began to, UTC milliseconds; 0 = none were."""
        async with self._database.reading() as connection:
            return (await dropped_before(connection)).payments

    async def closed(self, until: int) -> AsyncGenerator[Sequence[LedgerEntry], None]:
        """Yield the entries before the checkpoints of a date, account by account."""
        # Only accounts that have some: most of 100,000 may have calls alone, and each would be asked for.
        first = (
            select(func.min(_entry.seq))
            .where(_entry.account == _point.account, _entry.kind.in_(KINDS))
            .scalar_subquery()
        )
        points = select(_point.account, _point.seq).where(_point.closed_until == until, first <= _point.seq)
        accounts = await self._database.rows(points.order_by(_point.account), unhurried=True)
        columns = [_entry[name] for name in LedgerEntry._fields if name != "tax"]
        for point in accounts:
            after = 0
            while True:
                own = _entry.account == point.account, _entry.kind.in_(KINDS)
                within = _entry.seq > after, _entry.seq <= point.seq
                query = select(*columns).where(*own, *within).order_by(_entry.seq).limit(AT_ONCE)
                rows = await self._database.rows(query, unhurried=True)
                if rows:
                    yield [LedgerEntry._make((*row, None)) for row in rows]
                if len(rows) < AT_ONCE:
                    break
                after = rows[-1].seq

    async def has_any(self, until: int) -> bool:
        """Return whether there are entries before the checkpoints of a date."""
        closed = _point.account == _entry.account, _point.closed_until == until, _entry.seq <= _point.seq
        query = select(_entry.id).where(*closed, _entry.kind.in_(KINDS)).limit(1)
        return await self._database.row(query, unhurried=True) is not None

    async def drop(self, archived: Sequence[LedgerEntry], drops: Drops) -> None:
        """Drop entries that an archive has, in one transaction; those that are gone already are no fault.

        Raises:
            UnlikeArchive: an entry is another one than the archive says.
            StoreUnavailable: nothing of these was dropped.
        """
        await drops.step(self._database, partial(_drop, archived, drops))


async def _drop(archived: Sequence[LedgerEntry], drops: Drops, connection: AsyncConnection) -> None:
    from vosd.storage.invoices import keep_credits  # it imports much, and every payment looks into this module

    wanted = {each.id: each for each in archived}
    query = select(schema.ledger_entry).where(_entry.id.in_(list(wanted))).with_for_update()
    rows = (await connection.execute(query)).all()
    if not rows:
        return
    for row in rows:
        _check_same(row, wanted[row.id])
    await connection.execute(insert(_gone), [_reference_kept(row) for row in rows])
    await keep_credits(connection, rows)
    await connection.execute(delete(schema.ledger_entry).where(_entry.id.in_([row.id for row in rows])))
    drops.add_entries(rows)


async def dropped_payment(connection: AsyncConnection, account: str, kind: EntryKind, reference: str) -> Any:
    """Return amount and balance of a dropped entry that had a reference; None = there was none."""
    own = _gone.c.digest == _digest(account, kind.value, reference)
    return (await connection.execute(select(_gone.c.amount, _gone.c.balance_after).where(own))).one_or_none()


async def dropped_payments(
    connection: AsyncConnection, keys: Sequence[tuple[str, str, str]]
) -> dict[tuple[str, str, str], Any]:
    """Return amount and balance of the dropped entries of accounts, kinds and references."""
    by_digest = {_digest(*key): key for key in keys}
    query = select(_gone.c.digest, _gone.c.amount, _gone.c.balance_after).where(_gone.c.digest.in_(by_digest))
    return {by_digest[row.digest]: row for row in await connection.execute(query)}


def _check_same(row: Row[Any], archived: LedgerEntry) -> None:
    if any(getattr(row, name) != getattr(archived, name) for name in _COMPARED):
        message = f"entry {row.id} of account {row.account} differs from the one in the archive, so nothing is dropped"
        raise UnlikeArchive(message)


def _reference_kept(row: Row[Any]) -> dict[str, Any]:
    digest = _digest(row.account, row.kind, row.reference)
    return {"digest": digest, "amount": row.amount, "balance_after": row.balance_after}


def _digest(account: str, kind: str, reference: str) -> str:
    return hashlib.sha256("\0".join((account, kind, reference)).encode()).hexdigest()
