"""Read which of given calls the database has: which have their CDR, and their ledger entries.

Refuses to judge: booking (``books``) and comparison (``reconcile``) draw their own conclusions.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import and_, or_, select

from vosd.cdr.record import CallRecord
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.rows import CALL_KIND


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
