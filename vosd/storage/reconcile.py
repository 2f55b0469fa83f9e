"""The comparison of ended calls, as the journal has them, with what the database holds of them.

Owns which rows belong to a call. Refuses to know where the records come from and which of them need not be there yet.
"""

from collections.abc import Collection, Sequence
from decimal import Decimal

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from vosd.base.money import ZERO
from vosd.cdr.record import CallRecord
from vosd.storage import schema
from vosd.storage.database import Database
from vosd.storage.rows import CALL_KIND
from vosd.storage.verify import Difference, Fault


async def compare_calls(database: Database, records: Sequence[CallRecord]) -> list[Difference]:
    """Return what the database lacks of these calls, or holds with other amounts.

    Raises:
        StoreUnavailable: the database is away.
    """
    async with database.reading() as connection:
        with_cdr = await _with_cdr(connection, [record.call_id for record in records if record.recorded])
        booked = await _amounts(connection, records)
    differences = []
    for record in records:
        if record.recorded and record.call_id not in with_cdr:
            account = record.customer_account or ""
            owed = sum((each.amount for each in record.postings if each.account == account), ZERO)
            differences.append(Difference(Fault.NO_CDR, account, owed, ZERO, call_id=record.call_id))
            continue
        for posting in record.postings:
            found = booked.get((posting.account, posting.reference), ZERO)
            if found != posting.amount:
                about = Difference(Fault.POSTING, posting.account, posting.amount, found, call_id=record.call_id)
                differences.append(about)
    return differences


async def calls_with_cdr(database: Database, call_ids: Sequence[str]) -> Collection[str]:
    """Return those of the calls that have a CDR.

    Raises:
        StoreUnavailable: the database is away.
    """
    async with database.reading() as connection:
        return await _with_cdr(connection, call_ids)


async def _with_cdr(connection: AsyncConnection, call_ids: Sequence[str]) -> set[str]:
    cdr = schema.cdr.c
    return set(await connection.scalars(select(cdr.call_id).where(cdr.call_id.in_(call_ids))))


async def _amounts(connection: AsyncConnection, records: Sequence[CallRecord]) -> dict[tuple[str, str], Decimal]:
    """Return the amount of each (account, reference) of the records that is in the ledger."""
    references: dict[str, list[str]] = {}
    for record in records:
        for posting in record.postings:
            references.setdefault(posting.account, []).append(posting.reference)
    if not references:
        return {}
    entry = schema.ledger_entry.c
    mentioned = [and_(entry.account == account, entry.reference.in_(wanted)) for account, wanted in references.items()]
    query = select(entry.account, entry.reference, entry.amount).where(entry.kind == CALL_KIND, or_(*mentioned))
    return {(row.account, row.reference): row.amount for row in await connection.execute(query)}
