"""A journal on a real directory, as tests need it: opened, filled, cut off by a crash and read again."""

from io import BytesIO
from pathlib import Path
from typing import Any, Final

import msgspec

from doubles.data.builders import applied_rate
from doubles.data.records import answered_call
from vosd.base.clock import Instant
from vosd.callcontrol.open_call import OpenCall
from vosd.cdr.record import CallRecord
from vosd.engine.calls.succession import begin
from vosd.engine.journal import Journal, Remains
from vosd.engine.journal.earlier import read_segments
from vosd.engine.journal.entries import TimeMark, entries_in
from vosd.engine.journal.files import IN_USE, listed
from vosd.engine.journal.kept import JournalPlace
from vosd.sip.flows import Flows, Listener

RESERVE_BYTES: Final = 64 * 1024
STARTED: Final = Instant(1_000, 1_000)
"""When the process of a journal began, unless an earlier one has written something later."""


def opened(directory: Path, **terms: Any) -> Journal:
    """Return a journal that is ready to be written; ``terms`` are what ``Journal`` takes."""
    journal = new_journal(directory, **terms)
    remains = journal.open()
    begun(remains, journal, Instant(*[max(remains.last_mono, STARTED.mono)] * 2))
    journal.settle()
    return journal


def write_ended(journal: Journal, record: CallRecord) -> None:
    """Write the record of a call at once."""
    journal.ended(record)
    journal.flush()


def begun(remains: Remains, journal: Journal, now: Instant, boot: str = "one boot") -> None:
    """Write the beginning of a process, as every start of a switch does."""
    begin(remains, journal, Flows((Listener("192.0.2.1", 5060),), lambda: "token"), boot, now)


def new_journal(directory: Path, **terms: Any) -> Journal:
    """Return a journal that was not opened yet, with a small reserve."""
    return Journal(directory, **{"reserve_bytes": RESERVE_BYTES, **terms})


def open_call(index: int, answered_mono: int = 5_000) -> OpenCall:
    """Return a call that was answered and has not ended."""
    record = answered_call(index, postings=(), end_reason="Lost", hold_time_ms=0, fee_breakdown="{}")
    record = msgspec.structs.replace(record, ended_at=record.answered_at)
    return OpenCall(record, applied_rate("0.60"), applied_rate("0.30"), answered_mono)


def crash_and_read(directory: Path) -> Remains:
    """Return what another run would find now."""
    return read_segments(listed(directory, IN_USE))


def marks_in(directory: Path) -> list[TimeMark]:
    """Return the marks of time that are written by now, also by a process that goes on."""
    files = [BytesIO(path.read_bytes()) for path in listed(directory, IN_USE)]
    return [entry for file in files for entry in entries_in(file) if isinstance(entry, TimeMark)]


def acknowledged_in(directory: Path) -> set[str]:
    """Return the calls that these say the caller has acknowledged."""
    return {call_id for mark in marks_in(directory) for call_id, _ in mark.acknowledged}


def files_of(directory: Path) -> list[str]:
    """Return the names of the journal's files, without the reserve."""
    return sorted(path.name for path in directory.iterdir() if path.name.startswith("journal-"))


async def not_noted(_place: JournalPlace) -> None:
    """Take how far a comparison has come, where no kill follows."""
