"""Charges of calls by their ids, of those without CDR too."""

from sqlalchemy import select

from vosd.base.ids import bounds
from vosd.cdr.record import ChargeRow
from vosd.storage import schema
from vosd.storage.database import Database
from vosd.storage.queries import stored_charge


async def charges_beginning(database: Database, beginning: str, limit: int) -> dict[str, list[ChargeRow]]:
    """Return the charges of calls whose id begins with ``beginning``, by call; at most of ``limit`` calls.

    Raises:
        StoreUnavailable: try again.
    """
    least, greatest = bounds(beginning)
    table = schema.cdr_charge
    some = select(table.c.call_id).where(table.c.call_id.between(least, greatest)).distinct()
    found: dict[str, list[ChargeRow]] = {}
    async with database.reading() as connection:
        calls = list(await connection.scalars(some.order_by(table.c.call_id).limit(limit)))
        query = select(table).where(table.c.call_id.in_(calls)).order_by(table.c.call_id, table.c.position)
        for row in await connection.execute(query):
            found.setdefault(row.call_id, []).append(stored_charge(row))
    return found
