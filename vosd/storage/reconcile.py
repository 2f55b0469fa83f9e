"""The calls that the database has of given ones, and their comparison with the ended calls of the journal.

It does not know where the records come from and which of them need not be there yet.
"""

from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import and_, or_, select

from vosd.base.money import ZERO
from vosd.cdr.record import CallRecord
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.database import SqlStore
from vosd.storage.faults import BookDifference, BookFault
from vosd.storage.rows import CALL_KIND
from vosd.storage.types import is_call_id


class BookedEntry(NamedTuple):
    """A ledger entry of a call."""

    call_id: str | None
    """None where the call left no CDR."""
    amount: Decimal


async def cdrs_of(connection: AsyncConnection, records: Iterable[CallRecord]) -> set[str]:
    """Return the ids of those calls that have their CDR; calls that leave none by configuration are not looked up."""
    return await cdrs_among(connection, (record.call_id for record in records if record.recorded))


async def cdrs_among(connection: AsyncConnection, call_ids: Iterable[str]) -> set[str]:
    """Return those of the calls that have a CDR."""
    cdr = schema.cdr.c
    return set(await connection.scalars(select(cdr.call_id).where(cdr.call_id.in_(list(call_ids)))))


async def entries_of(connection: AsyncConnection, records: Iterable[CallRecord]) -> dict[tuple[str, str], BookedEntry]:
    """Return the ledger entries of calls that have an (account, reference) of the records."""
    references: dict[str, list[str]] = {}
    for record in records:
        for posting in record.postings:
            references.setdefault(posting.account, []).append(posting.reference)
    if not references:
        return {}
    entry = schema.ledger_entry.c
    mentioned = [and_(entry.account == account, entry.reference.in_(wanted)) for account, wanted in references.items()]
    query = select(entry.account, entry.reference, entry.call_id, entry.amount)
    rows = await connection.execute(query.where(entry.kind == CALL_KIND, or_(*mentioned)))
    return {(row.account, row.reference): BookedEntry(row.call_id, row.amount) for row in rows}


class SqlBookedCalls(SqlStore):
    """Compares ended calls with the database."""

    async def compare(self, records: Sequence[CallRecord]) -> list[BookDifference]:
        """Return what the database lacks of these calls, or holds with other amounts."""
        async with self._database.reading() as connection:
            with_cdr = await cdrs_of(connection, records)
            booked = await entries_of(connection, records)
        differences = []
        for record in records:
            if record.recorded and record.call_id not in with_cdr:
                account = record.customer_account or ""
                owed = sum((each.amount for each in record.postings if each.account == account), ZERO)
                differences.append(BookDifference(BookFault.NO_CDR, account, owed, ZERO, call_id=record.call_id))
                continue
            for posting in record.postings:
                entry = booked.get((posting.account, posting.reference))
                found = ZERO if entry is None else entry.amount
                if found != posting.amount:
                    about = BookDifference(
                        BookFault.POSTING, posting.account, posting.amount, found, call_id=record.call_id
                    )
                    differences.append(about)
        return differences

    async def with_cdr(self, call_ids: Sequence[str]) -> Collection[str]:
        """Return those of the calls that have a CDR; none has what is no call id, such as the name of a file."""
        async with self._database.reading() as connection:
            return await cdrs_among(connection, filter(is_call_id, call_ids))
