"""Comparison of ended calls, as the journal has them, with what the database holds of them.

Refuses to know where the records come from and which of them need not be there yet.
"""

from collections.abc import Collection, Sequence

from vosd.base.money import ZERO
from vosd.cdr.record import CallRecord
from vosd.storage.booked import cdrs_among, cdrs_of, entries_of
from vosd.storage.database import Database
from vosd.storage.faults import Difference, Fault


class SqlBookedCalls:
    """Compares ended calls with the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def compare(self, records: Sequence[CallRecord]) -> list[Difference]:
        """Return what the database lacks of these calls, or holds with other amounts.

        Raises:
            StoreUnavailable: the database is away.
        """
        async with self._database.reading() as connection:
            with_cdr = await cdrs_of(connection, records)
            booked = await entries_of(connection, records)
        differences = []
        for record in records:
            if record.recorded and record.call_id not in with_cdr:
                account = record.customer_account or ""
                owed = sum((each.amount for each in record.postings if each.account == account), ZERO)
                differences.append(Difference(Fault.NO_CDR, account, owed, ZERO, call_id=record.call_id))
                continue
            for posting in record.postings:
                entry = booked.get((posting.account, posting.reference))
                found = ZERO if entry is None else entry.amount
                if found != posting.amount:
                    about = Difference(Fault.POSTING, posting.account, posting.amount, found, call_id=record.call_id)
                    differences.append(about)
        return differences

    async def with_cdr(self, call_ids: Sequence[str]) -> Collection[str]:
        """Return those of the calls that have a CDR.

        Raises:
            StoreUnavailable: the database is away.
        """
        async with self._database.reading() as connection:
            return await cdrs_among(connection, call_ids)
