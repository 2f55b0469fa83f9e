"""Calls that lasted for hours, by their ends: no index of the calls is of their ends, and few calls last so long."""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import delete, insert

from vosd.cdr.record import CallRecord
from vosd.cdr.retention import DAY_MS
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection

LONG_MS: Final = 7_200_000
"""Calls that last longer are noted; others are found by the time at which they began."""
KEPT_MS: Final = 62 * DAY_MS
"""Time for which they are noted: two months may be compared."""

_table: Final = schema.long_call


async def note_long_calls(connection: AsyncConnection, records: Iterable[CallRecord]) -> None:
    """Note the calls among these that lasted long, in the transaction that books them."""
    long = [each for each in records if each.ended_at - each.started_at > LONG_MS]
    if long:
        oldest = max(each.ended_at for each in long) - KEPT_MS
        await connection.execute(delete(_table).where(_table.c.ended_at < oldest))
        await connection.execute(
            insert(_table), [{"ended_at": each.ended_at, "call_id": each.call_id} for each in long]
        )
