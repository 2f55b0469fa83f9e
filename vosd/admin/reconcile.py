"""Compare the kept journal with the database; the result is correct while the switch runs.

From its end until the journal notes the booking, a call is on its way to the database; such calls are counted and are
no difference.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Set
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from vosd.base.errors import VosError
from vosd.base.money import ZERO
from vosd.cdr.record import CallRecord
from vosd.engine.journal.kept import KeptJournal
from vosd.engine.journal.quarantine import DIRECTORY, Quarantine
from vosd.storage.faults import BookDifference, BookFault

if TYPE_CHECKING:
    from vosd.storage.reconcile import SqlBookedCalls

COMPARED_AT_ONCE: Final = 500
REPORTED_AT_MOST: Final = 1_000
"""Most differences of the journal."""
DOUBTFUL_AT_MOST: Final = 200_000
"""Most calls that are checked again at the end; twice the number that may wait for the database."""


class JournalUnreadableError(VosError):
    """The journal exists, and this user may not read it."""


class Reconciliation(NamedTuple):
    """Extent of the comparison with the journal, and the differences."""

    journal_records: int
    """Records of ended calls in the kept files; a call that was written twice counts twice."""
    waiting: int
    """Calls on their way to the database."""
    differences: tuple[BookDifference, ...]


async def reconcile(booked: "SqlBookedCalls", state_dir: Path) -> Reconciliation | None:
    """Compare every ended call of the kept journal files with the database; return None if there is no journal.

    Raises:
        JournalUnreadableError: it cannot be read.
        StoreUnavailable: the database cannot be reached.
    """
    journal, quarantine = _kept(state_dir), Quarantine(state_dir / DIRECTORY)
    if journal is None:
        return None
    seen, doubtful = 0, dict[str, CallRecord]()
    for some in _batches(_readable(journal)):
        seen += len(some)
        doubtful |= await _differing(booked, some)
        if len(doubtful) > DOUBTFUL_AT_MOST:
            break
    content = quarantine.read()
    refused = {each.record.call_id: each.record for each in content.records}
    # A call that no longer waits was booked before the journal noted it: read the database again.
    settled = [record for call_id, record in doubtful.items() if call_id not in journal.waiting | refused.keys()]
    differences = [each for some in _batches(settled) for each in await booked.compare(some)]
    for some in _batches(refused.values()):
        differences += [
            BookDifference(
                BookFault.QUARANTINED, record.customer_account or "", _owed(record), ZERO, call_id=record.call_id
            )
            for record in (await _differing(booked, some)).values()
        ]
    known = refused.keys() | {each.call_id for each in differences}
    damaged = journal.unreadable - journal.waiting - known
    differences += await _without_cdr(booked, damaged, BookFault.UNREADABLE)
    damaged = {each.path.stem for each in content.unreadable} - known
    differences += await _without_cdr(booked, damaged, BookFault.QUARANTINE_UNREADABLE)
    return Reconciliation(seen, len(journal.waiting), tuple(differences[:REPORTED_AT_MOST]))


def count_waiting(state_dir: Path, fits: Callable[[CallRecord], bool]) -> int:
    """Return how many calls of the journal that fit are on their way to the database; no switch runs.

    Raises:
        JournalUnreadableError: it cannot be read.
    """
    journal = _kept(state_dir)
    if journal is None:
        return 0
    found = {record.call_id for some in _batches(_readable(journal)) for record in some if fits(record)}
    return len(found & journal.waiting)


def _kept(state_dir: Path) -> KeptJournal | None:
    """Return the journal; None = there is none."""
    directory = state_dir / "journal"
    try:
        if not directory.exists():
            return None
        is_readable = os.access(directory, os.R_OK | os.X_OK)
    except PermissionError:  # the directory above is closed
        is_readable = False
    if not is_readable:
        raise JournalUnreadableError(f"{directory} cannot be read: run this as the user of the switch")
    return KeptJournal(directory)


async def _differing(booked: "SqlBookedCalls", records: list[CallRecord]) -> dict[str, CallRecord]:
    differing = {difference.call_id for difference in await booked.compare(records)}
    return {record.call_id: record for record in records if record.call_id in differing}


async def _without_cdr(booked: "SqlBookedCalls", calls: Set[str], fault: BookFault) -> list[BookDifference]:
    """Return a difference for each call that has no CDR, of those whose record is damaged."""
    some = sorted(calls)[:REPORTED_AT_MOST]
    found = await booked.with_cdr(some)
    return [BookDifference(fault, "", ZERO, ZERO, call_id=each) for each in some if each not in found]


def _owed(record: CallRecord) -> Decimal:
    return sum((each.amount for each in record.postings if each.account == record.customer_account), ZERO)


def _readable(journal: KeptJournal) -> Iterator[CallRecord]:
    try:
        yield from journal.ended()
    except OSError as error:
        raise JournalUnreadableError(f"the journal cannot be read: {error}") from error


def _batches(records: Iterable[CallRecord]) -> Iterator[list[CallRecord]]:
    left = iter(records)
    while some := [*islice(left, COMPARED_AT_ONCE)]:
        yield some
