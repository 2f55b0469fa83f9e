"""A journal as a switch leaves it in an outage of the database: calls that have ended and wait to be booked."""

from pathlib import Path

from doubles.data.builders import applied_rate
from doubles.data.records import answered_call

from vosd.callcontrol.open_call import OpenCall
from vosd.engine.journal import Journal

AT_ONCE = 100
SELL, BUY = applied_rate("0.60"), applied_rate("0.30")


async def write_backlog(directory: Path, calls: int) -> None:
    """Write so many calls to a new journal, with the copies of their ends."""
    journal = Journal(directory)
    journal.open()
    journal.settle()
    for index in range(calls):
        record = answered_call(index)
        journal.answered(OpenCall(record, SELL, BUY, index))
        journal.ended(record)
        journal.waiting.leave_on_disk(record.call_id)
        if index % AT_ONCE == 0:
            journal.flush()
    journal.flush()
    await journal.sealing.seal()
    journal.close()
