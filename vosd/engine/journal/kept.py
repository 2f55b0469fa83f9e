"""Reading of all calls in the journal's files, booked or not, while the switch writes them.

``ledger verify`` and a switch whose database has lost commits compare the journal with the database. A bounded part of
a file is read at a time and nothing is changed, so it may run in a thread or in another process; a record that is
being written is seen by the next reading.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from vosd.callcontrol.open_call import OpenCall
from vosd.cdr.record import CallRecord
from vosd.engine.journal.entries import KIND_ENDED, BookedCalls, Ended, Quarantined, TimeMark, id_text, read
from vosd.engine.journal.files import all_files, listed, numbered, opened
from vosd.engine.journal.frames import NO_CALL, Damage, FrameReader, frames_in

_TIME_BYTES = 6
"""Bytes of a call id that are its time."""


class JournalPlace(NamedTuple):
    """A place between two records of the journal; files keep their numbers."""

    number: int
    offset: int


BEGINNING: Final = JournalPlace(0, 0)


class KeptJournal:
    """One reading of the journal in ``directory`` (``state_dir/journal``): exhaust ``ended()`` first.

    ``open_calls``, ``waiting`` and ``unreadable`` are complete after that. Their size is bounded by the running calls
    and the calls that wait for the database.
    """

    def __init__(self, directory: Path, since_s: float = 0.0, place: JournalPlace = BEGINNING) -> None:
        """``since_s`` leaves out files that were not written to since then (seconds since 1970).

        ``place`` is where reading begins: what is before it is not known.
        """
        self._directory = directory
        self._since_s = since_s
        self.place = place
        """Place up to which it has been read: behind the latest record that was yielded."""
        self.open_calls: dict[str, OpenCall] = {}
        """Calls answered and not ended, by call id: running ones, or those of a switch that was killed."""
        self.waiting: set[str] = set()
        """Ids of ended calls that are not booked as far as the journal says."""
        self.unreadable: set[str] = set()
        """Ids of ended calls whose record is damaged and not repeated elsewhere."""

    def ended(self) -> Iterator[CallRecord]:
        """Yield the record of every call that has ended, in the order of the files.

        A record that was written again, after an outage or a restart, is yielded again.
        """
        for path in all_files(self._directory):
            number = numbered(path)
            file = opened(path) if number >= self.place.number else None
            if file is None:
                continue
            with file:
                if os.fstat(file.fileno()).st_mtime < self._since_s:
                    continue
                file.seek(self.place.offset if number == self.place.number else 0)
                reader = FrameReader(file)
                for frame in reader.read():
                    part = read(frame)
                    if isinstance(part, Damage):
                        self._note_damage(part)
                        continue
                    record = self._take(part)
                    if record is not None:
                        self.place = JournalPlace(number, reader.end)
                        yield record

    def _take(self, entry: object) -> CallRecord | None:
        match entry:
            case OpenCall():
                self.open_calls[entry.record.call_id] = entry
            case Ended():
                call_id = entry.record.call_id
                self.open_calls.pop(call_id, None)
                self.unreadable.discard(call_id)
                self.waiting.add(call_id)
                return entry.record
            case TimeMark():
                for end in entry.ended:
                    if self.open_calls.pop(end.call_id, None) is not None:
                        self.unreadable.add(end.call_id)
            case BookedCalls() | Quarantined():
                self.waiting.difference_update(entry.call_ids)
                for call_id in entry.call_ids:
                    self.open_calls.pop(call_id, None)
        return None

    def _note_damage(self, damage: Damage) -> None:
        if damage.kind == KIND_ENDED and damage.call != NO_CALL:
            call_id = id_text(damage.call)
            self.open_calls.pop(call_id, None)
            self.unreadable.add(call_id)


def oldest_call(directory: Path, *suffixes: str) -> int | None:
    """Return when the oldest call of the journal's files of some kinds began, UTC milliseconds; None = there is none.

    Records of it may be booked, now or after a loss of commits. Payloads are not decoded, so this is quick.
    """
    oldest: bytes | None = None
    for path in listed(directory, *suffixes):
        file = opened(path)
        if file is None:
            continue
        with file:
            for part in frames_in(file):
                if part.call != NO_CALL and (oldest is None or part.call < oldest):
                    oldest = part.call
    return None if oldest is None else int.from_bytes(oldest[:_TIME_BYTES], "big")
