"""Check that the counter of commits is ahead of the calls that were numbered by it.

Where ``cdr`` is partitioned, no unique key can say so: a unique key of MySQL must contain the column that partitions.
"""

from sqlalchemy import func, select

from vosd.cdr.ports import StoreDamaged
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.database import COUNTER_BEHIND

_newest = select(func.max(schema.cdr.c.export_seq))


class CommitOrder:
    """The numbers that one writer has committed."""

    def __init__(self) -> None:
        self._committed = 0

    async def check(self, connection: AsyncConnection, first: int) -> None:
        """Compare the first number that a transaction took with the calls; asks the database only where it must.

        That is for the first transaction, and for one whose numbers do not follow those of the one before, as in a
        database that was restored.

        Raises:
            StoreDamaged: a call has that number, or one above it.
        """
        if first > self._committed > 0:
            return
        newest = await connection.scalar(_newest) or 0
        if newest >= first:
            message = f"call number {newest} exists and {first} is the next one: {COUNTER_BEHIND}"
            raise StoreDamaged(message)

    def committed(self, last: int) -> None:
        """Note the last number of a transaction that was committed."""
        self._committed = last
