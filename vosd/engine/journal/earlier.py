"""Read the journal's files of an earlier run of the switch, before anything is written to it.

Damaged records are skipped, and reading goes on behind them.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from vosd.engine.journal.ends import ends_beside
from vosd.engine.journal.entries import KIND_ENDED, BookedCalls, Ended, Quarantined, ends_in, entries_in, id_text
from vosd.engine.journal.files import IN_USE, UNBOOKED, all_files, listed, numbered
from vosd.engine.journal.frames import NO_CALL, Damage, Frame, FrameFault
from vosd.engine.journal.replay import Cut, JournalUnusableError, Remains
from vosd.obs.events import Event, log as _log
from vosd.processes.spare_descriptors import is_used_up

UNKNOWN_BYTES_MAX: Final = 1024 * 1024
"""Limit of another version's records that are copied to the new file; a file with more is set aside."""


class Earlier(NamedTuple):
    """Files and records of an earlier run."""

    segments: list[Path]
    """Files of that run, the oldest first."""
    remains: Remains


def read_earlier(directory: Path) -> Earlier:
    """Read the files of an earlier run; this may take a second for each that has to be read whole.

    Raises:
        JournalUnusableError: the directory cannot be made or read.
    """
    with usable(directory):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        segments = listed(directory, IN_USE, UNBOOKED)
        return Earlier(segments, read_segments(segments))


@contextmanager
def usable(directory: Path) -> Iterator[None]:
    """Turn errors of the disk into ``JournalUnusableError``.

    Raises:
        PermissionError: a file belongs to another user: what starts the switch says which, and what helps.
        JournalUnusableError: it is another error.
    """
    try:
        yield
    except PermissionError:
        raise
    except OSError as error:
        do = "let the service open more files (LimitNOFILE)" if is_used_up(error) else "mend state_dir"
        message = f"the journal in {directory} cannot be used: {error.strerror or error}; {do}"
        raise JournalUnusableError(message) from error


def read_segments(segments: Iterable[Path]) -> Remains:
    """Read segments in order and return what was left unfinished in them.

    Raises:
        OSError: a segment cannot be read at all.
    """
    remains = Remains()
    is_read_whole = False
    for segment in segments:
        # Of a run's own files the first that is read whole may have what counts of running calls.
        ends = None if is_read_whole and segment.suffix == IN_USE else ends_beside(segment)
        if ends is not None:
            remains.take_ends(numbered(segment), ends)
            continue
        is_read_whole = is_read_whole or segment.suffix == IN_USE
        with segment.open("rb") as file:
            is_damaged = read_segment(file, segment, remains)
        if is_damaged and segment.suffix == UNBOOKED:
            remains.take_cut(_cut_in(segment))
    remains.add_up()
    return remains


def read_segment(file: BinaryIO, segment: Path, remains: Remains) -> bool:
    """Apply the records of one file; return whether it is damaged."""
    counts_ends_only, is_damaged = segment.suffix == UNBOOKED, False
    for part in ends_in(file) if counts_ends_only else entries_in(file):
        match part:
            case Ended() | BookedCalls() | Quarantined():
                remains.take(part, segment)
            case Damage():
                is_damaged = True
                remains.damaged.add(segment)
                _log_damage(part, segment)
                if not counts_ends_only:
                    remains.take_damage(part)
            case Frame() if counts_ends_only:
                _set_aside(segment, remains)
            case _ if counts_ends_only:
                continue  # what still counted was written again; instants may be those of another boot
            case Frame():
                _note_unknown(part, segment, remains)
            case _:
                remains.take(part)
    return is_damaged


def _cut_in(segment: Path) -> Mapping[str, Cut]:
    """Read a file whole of which only ends count otherwise; return the calls that ended without a readable record.

    A call that ended just after its file was begun, or in the reserve, has its answer in the file before.

    Raises:
        OSError: a file cannot be read.
    """
    whole = Remains()
    nearby = range(numbered(segment) - 1, numbered(segment) + 1)
    for path in all_files(segment.parent):
        if numbered(path) in nearby:
            with path.open("rb") as file:
                _read_whole(file, path, whole)
    return whole.cut


def _read_whole(file: BinaryIO, path: Path, whole: Remains) -> None:
    for part in entries_in(file):
        match part:
            case Damage():
                whole.take_damage(part)
            case Frame() if part.kind == KIND_ENDED:
                whole.forget(id_text(part.call))  # the version that has written it can read it
            case Frame():
                continue
            case _:
                whole.take(part, path)


def _note_unknown(frame: Frame, segment: Path, remains: Remains) -> None:
    if sum(len(each.payload) for each in remains.unknown) + len(frame.payload) <= UNKNOWN_BYTES_MAX:
        _log.warning("journal_record_unknown", means="it is kept", file=segment.name, kind=frame.kind)
        remains.unknown.append(frame)
    else:
        _set_aside(segment, remains)


def _set_aside(segment: Path, remains: Remains) -> None:
    """Keep a file for the version that has written it: its records may be ended calls that nothing else has."""
    if segment not in remains.damaged:
        _log.error(
            Event.JOURNAL_FILE_SET_ASIDE,
            file=segment.name,
            means="it holds records of another version of vosd, and is kept",
            do="vosd spool check FILE; vosd spool salvage --book FILE by the version that has written it",
        )
        remains.damaged.add(segment)


def _log_damage(damage: Damage, segment: Path) -> None:
    about = {"file": segment.name, "at": damage.offset}
    if damage.call != NO_CALL:
        about["call_id"] = id_text(damage.call)
    if damage.fault is FrameFault.TORN:
        _log.warning("journal_record_incomplete", **about)
    else:
        _log.error(Event.JOURNAL_RECORD_UNREADABLE, **about, do="vosd spool check FILE")
