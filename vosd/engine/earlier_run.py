"""Going on with an earlier run at a start: the accounts of its calls, then the calls; and leaving them to the next.

Calls that do not go on are closed, booked and in the new journal.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from itertools import repeat
from typing import Final

from vosd.base.clock import Clock, Instant
from vosd.billing.accounts import Account
from vosd.callcontrol.bookkeeping import lost
from vosd.callcontrol.open_call import ClosedCalls
from vosd.cdr.ports import Books, StoreUnavailable
from vosd.engine.booking.balances import Balances, CurrencyChangedError
from vosd.engine.booking.last_standings import StandingsCopier
from vosd.engine.booking.recorder import Recorder
from vosd.engine.calls.gone import accounts_gone
from vosd.engine.calls.kept import KeptSwitch
from vosd.engine.calls.succession import begin, go_on
from vosd.engine.calls.switch import Switch
from vosd.engine.journal import Journal, Remains
from vosd.engine.journal.entries import id_bytes
from vosd.obs.events import log as _log
from vosd.sip.dialog.snapshot import text_of
from vosd.sip.flows import Flows, Hop, hop_of
from vosd.sip.wire.uri import WEBSOCKETS

ASKED_AT_ONCE: Final = 500


async def resume(
    journal: Journal,
    switch: Switch,
    books: Books,
    balances: Balances,
    copier: StandingsCopier,
    flows: Flows,
    boot: str,
    within_s: int,
    clock: Clock,
    look_up: Callable[[Iterable[Hop]], Awaitable[None]],
    *,
    is_away: bool,
) -> Remains:
    """Go on with the answered calls of the earlier run; return what is left of it. ``is_away``: the database is.

    ``look_up`` looks up names of their dialogs. The journal is read in a thread, so that the lease is renewed
    meanwhile. For how long the switch was away is counted up to the call of this, however long the journal is.

    Raises:
        JournalUnusableError: the journal cannot be read.
    """
    started = clock.now()
    remains = journal.open(await asyncio.get_running_loop().run_in_executor(None, journal.read_earlier))
    if remains.open_calls and remains.kept is None and not is_away:
        await _leave_out_booked(remains, books)
    gone = accounts_gone(remains.open_calls.values(), switch.catalogue)
    if gone:
        await _adopt(gone, balances, copier, is_away=is_away)
    await look_up(hops_of(remains))
    begin(remains, journal, flows, boot, clock.now())
    go_on(remains, journal, switch.continuation, within_s, started, clock.now())
    return remains


def hops_of(remains: Remains) -> Iterator[Hop]:
    """Yield where the Contacts and Routes of the dialogs of an earlier run lead, as they are written."""
    # To read a URI takes its time, and there may be thousands: only the called number differs in most of them.
    places = Counter(
        _without_user(dialog.routes[0] if dialog.routes else dialog.target)
        for left in remains.legs()
        for dialog in left.dialogs
        if not (dialog.is_behind_nat or dialog.has_left_contact)
    )
    for place, times in places.items():
        hop = hop_of(text_of(place))
        if hop is not None and hop.transport not in WEBSOCKETS and not hop.host.endswith(".invalid"):
            yield from repeat(hop, times)


def _without_user(uri: bytes) -> bytes:
    """Return a URI, or a Route value, without its user part."""
    head, at, tail = uri.rpartition(b"@")
    return head[: head.find(b":") + 1] + tail if at else uri


def hand_on(journal: Journal, kept: KeptSwitch, at: Instant) -> None:
    """Write all calls for the next process; ``at`` is when they were served last."""
    calls, answered = len(kept.answered) + len(kept.others), len(kept.answered)
    if journal.keep(at, kept.answered, kept.others, kept.endpoint):
        _log.info("calls_kept", calls=calls, answered=answered)
    else:
        _log.error("calls_not_kept", calls=calls, means="the next start goes on with what the journal has of them")


async def _leave_out_booked(remains: Remains, books: Books) -> None:
    """Leave out calls that ended while the journal took nothing, and were booked straight away."""
    records = [call.record for call in remains.open_calls.values() if call.record.recorded]
    ended = 0
    try:
        for some in (records[at : at + ASKED_AT_ONCE] for at in range(0, len(records), ASKED_AT_ONCE)):
            lacking = {record.call_id for record in await books.lacking(some)}
            for record in some:
                if record.call_id not in lacking:
                    remains.is_booked(record.call_id)
                    ended += 1
    except StoreUnavailable as error:
        _log.warning("earlier_calls_not_compared", error=str(error), means="those that have a CDR may go on")
    if ended:
        _log.warning("earlier_calls_were_booked", calls=ended, means="the journal had not taken their ends")


async def _adopt(gone: Mapping[str, Account], balances: Balances, copier: StandingsCopier, *, is_away: bool) -> None:
    """Read the balances of accounts that are not configured any more; calls of one that has none end as lost."""
    _log.warning("calls_of_former_accounts", accounts=sorted(gone), means="they go on, and are booked")
    try:
        if not is_away:
            await balances.adopt(gone, other=gone.keys())
            return
    except CurrencyChangedError as error:
        _log.error("former_account_unusable", error=str(error))
        return
    except StoreUnavailable as error:
        _log.warning("former_accounts_unread", error=str(error), means="the last known balances hold")
    try:
        balances.adopt_last_known(gone, await copier.known())
    except StoreUnavailable as error:
        _log.error("former_accounts_unread", error=str(error), means="their calls end as lost")


def recover(
    remains: Remains,
    journal: Journal,
    recorder: Recorder,
    balances: Balances,
    hang_up: Callable[[Remains], None],
    report: Callable[[ClosedCalls], None],
) -> None:
    """Close the calls that the earlier run left open, and book everything that it did not.

    ``hang_up`` releases the legs that peers may still have. ``report`` receives the closed calls before the journal
    has their ends: a start that is killed in between reports them once more, and none is left out.

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
        balances.add_owed(record.postings, record.ended_at)
    for ended_by, owed in remains.owed_on_disk:
        balances.add_owed_sums(owed, ended_by)
    left = [lost(cut.call, cut.ended_mono) for cut in remains.cut.values()]
    left += [lost(call, remains.last_mono) for call in remains.open_calls.values()]
    report(ClosedCalls(left, unanswered))
    for record in left:
        journal.ended(record)
        recorder.add(record)
        balances.add_owed(record.postings, record.ended_at)
    known = {record.call_id for record in left} | remains.unbooked.keys()
    for refused in journal.quarantine.read().records:
        if refused.record.call_id not in known and id_bytes(refused.record.call_id) not in remains.on_disk:
            balances.add_owed(refused.record.postings, refused.record.ended_at)
            journal.quarantine.owed.add(refused.record.call_id)
    journal.settle()
