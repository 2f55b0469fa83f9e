"""Recovery of an earlier run of the switch: calls that do not go on are closed, booked and in the new journal."""

from collections.abc import Callable

import structlog

from vosd.callcontrol.bookkeeping import lost
from vosd.callcontrol.open_call import ClosedCalls
from vosd.engine.booking.balances import Balances
from vosd.engine.booking.recorder import Recorder
from vosd.engine.journal import Journal, Remains
from vosd.engine.journal.entries import id_bytes

_log = structlog.get_logger()


def recover(
    remains: Remains, journal: Journal, recorder: Recorder, balances: Balances, hang_up: Callable[[Remains], None]
) -> ClosedCalls:
    """Close the calls that the earlier run left open, and book everything that it did not; return the former.

    ``hang_up`` releases the legs that peers may still have.

    Raises:
        JournalUnusableError: the journal cannot be written.
    """
    unbooked = len(remains.unbooked) + len(remains.on_disk)
    if remains.open_calls or unbooked or remains.cut:
        lost_calls = len(remains.open_calls) + len(remains.cut)
        _log.warning("earlier_calls_closed", lost_calls=lost_calls, unbooked=unbooked)
    unanswered = [call_id for call_id in remains.placed if call_id not in remains.open_calls]
    hang_up(remains)
    for record in remains.unbooked.values():
        if remains.on_disk:  # beside those that stay in the old files, so that the next start finds the same order
            journal.waiting.add(record.call_id, remains.segment_of[record.call_id])
        else:
            journal.ended(record)
        recorder.add_oldest(record)
        balances.add_owed(record.postings)
    balances.add_owed_sums(remains.owed_on_disk)
    left = [lost(cut.call, cut.ended_mono) for cut in remains.cut.values()]
    left += [lost(call, remains.last_mono) for call in remains.open_calls.values()]
    for record in left:
        journal.ended(record)
        recorder.add(record)
        balances.add_owed(record.postings)
    known = {record.call_id for record in left} | remains.unbooked.keys()
    for refused in journal.quarantine.read().records:
        if refused.record.call_id not in known and id_bytes(refused.record.call_id) not in remains.on_disk:
            balances.add_owed(refused.record.postings)
            journal.quarantine.owed.add(refused.record.call_id)
    journal.settle()
    return ClosedCalls(left, unanswered)
