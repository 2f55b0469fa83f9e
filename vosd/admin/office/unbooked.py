"""Calls of a vendor that are not booked yet: they run, wait for the database, or were refused by it."""

import asyncio

from vosd.admin.office.office import Office
from vosd.cdr.columns import iso_utc
from vosd.cdr.record import CallRecord
from vosd.control.calls import ListCalls
from vosd.control.money import CountRefused, CountUnbooked
from vosd.engine.journal.quarantine import DIRECTORY as QUARANTINE, Quarantine


async def unbooked_calls(office: Office, vendor: str, since: int, until: int) -> int:
    """Return how many calls that began in a span may be those of a vendor and are not booked; UTC milliseconds.

    A running switch counts them, since its files may be closed to this user: its waiting calls together, those of all
    vendors that began before the end of the span.

    Raises:
        DaemonUnreachableError, DaemonRefusedError: a switch runs and does not say which calls are not booked.
        JournalUnreadableError, QuarantineError: the journal, or the refused records cannot be read.
    """
    from vosd.admin.reconcile import count_waiting  # loads the journal of the switch, which other orders need not

    def is_of_vendor(record: CallRecord) -> bool:
        return record.vendor_account == vendor and since <= record.started_at < until

    state_dir = office.definitions.settings.state_dir
    calls = await office.switch.ask_if_running(ListCalls())
    if calls is None:
        pending = await asyncio.to_thread(count_waiting, state_dir, is_of_vendor)
        content = await asyncio.to_thread(Quarantine(state_dir / QUARANTINE).read)
        return pending + content.count_of(vendor, since, until)
    waiting = await office.switch.ask_if_running(CountUnbooked(until)) or 0
    refused = await office.switch.ask_if_running(CountRefused(vendor, since, until)) or 0
    begin, end = iso_utc(since), iso_utc(until)
    running = [each for each in calls if begin <= each.started_at < end and each.vendor_account in {None, vendor}]
    return waiting + refused + len(running)
