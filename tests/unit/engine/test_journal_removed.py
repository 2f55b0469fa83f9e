"""A journal whose files are removed under the running switch is begun anew with all calls that memory has."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
from doubles.data.records import answered_call, call_id
from doubles.journals import crash_and_read, open_call, opened, write_ended

from vosd.base.clock import Instant
from vosd.engine.journal.earlier import read_segments
from vosd.engine.journal.files import is_removed

LATER = Instant(10_000, 1_790_000_010_000)


def moved_away(directory: Path) -> None:
    directory.rename(directory.with_name("old"))


def emptied(directory: Path) -> None:
    for path in directory.iterdir():
        path.unlink()


@pytest.mark.parametrize("remove", [shutil.rmtree, moved_away, emptied])
def test_calls_are_in_a_new_file_within_a_second(tmp_path: Path, remove: Callable[[Path], None]) -> None:
    directory = tmp_path / "state" / "journal"
    journal = opened(directory)
    for index in range(6):
        journal.answered(open_call(index))
    write_ended(journal, answered_call(5))
    remove(directory)
    journal.ended(answered_call(4))
    journal.in_memory = lambda: [answered_call(5), answered_call(4)]
    with structlog.testing.capture_logs() as logged:
        for _ in range(3):
            journal.tick(LATER, has_calls=True)
    assert [line["event"] for line in logged] == ["journal_removed", "journal_recovered", "journal_removed"]
    assert (logged[2]["written_again"], logged[2]["not_in_memory"]) == (2, 0)
    assert journal.answered(open_call(7))
    write_ended(journal, answered_call(6))
    remains = crash_and_read(directory)
    assert remains.open_calls.keys() == {call_id(index) for index in (0, 1, 2, 3, 7)}
    assert remains.unbooked.keys() == {call_id(index) for index in (4, 5, 6)}
    journal.booked(remains.unbooked)
    journal.tick(LATER, has_calls=True)
    assert (directory / "reserve").exists()
    assert journal.unbooked == 0


def test_ended_calls_of_an_older_file_are_written_again_within_a_minute_of_its_removal(tmp_path: Path) -> None:
    directory = tmp_path / "journal"
    journal = opened(directory, segment_bytes=2_000)
    ended = [answered_call(index) for index in range(6)]
    for record in ended:
        write_ended(journal, record)
    journal.waiting.leave_on_disk(call_id(1))
    journal.in_memory = lambda: [ended[0], *ended[2:]]
    journal.tick(LATER, has_calls=True)
    oldest, *others = sorted(directory.glob("journal-*"))
    assert len(others) > 1
    with_it = {*map(call_id, range(6))} - read_segments(others).unbooked.keys()
    assert with_it >= {call_id(0), call_id(1)}
    oldest.unlink()
    with structlog.testing.capture_logs() as logged:
        for _ in range(180):
            journal.tick(LATER, has_calls=True)
    (line,) = logged
    assert (line["event"], line["file"], line["files"]) == ("journal_removed", oldest.name, 1)
    assert (line["written_again"], line["not_in_memory"]) == (len(with_it) - 1, 1)
    assert crash_and_read(directory).unbooked.keys() == {*map(call_id, range(6))} - {call_id(1)}


def test_no_call_is_taken_while_a_removed_journal_cannot_be_made_again(tmp_path: Path) -> None:
    directory = tmp_path / "state" / "journal"
    journal = opened(directory)
    journal.answered(open_call(0))
    shutil.rmtree(directory)
    directory.write_text("no directory")
    with structlog.testing.capture_logs() as logged:
        for _ in range(3):
            journal.tick(LATER, has_calls=True)
    assert [line["event"] for line in logged] == ["journal_removed"]
    assert (journal.is_overfull, journal.answered(open_call(1))) == (True, False)
    directory.unlink()
    journal.tick(LATER, has_calls=True)
    assert (journal.is_overfull, journal.answered(open_call(1))) == (False, True)
    assert crash_and_read(directory).open_calls.keys() == {call_id(0), call_id(1)}


def test_a_journal_that_was_used_leaves_files(tmp_path: Path) -> None:
    directory = tmp_path / "state" / "journal"
    assert is_removed(directory)
    opened(directory).close()
    assert not is_removed(directory)
    emptied(directory)
    assert is_removed(directory)


@pytest.mark.parametrize("remove", [shutil.rmtree, moved_away, emptied])
def test_calls_are_booked_before_the_removal_is_noticed(tmp_path: Path, remove: Callable[[Path], None]) -> None:
    directory = tmp_path / "state" / "journal"
    journal = opened(directory, segment_bytes=2_000)
    for index in range(6):
        write_ended(journal, answered_call(index))
    remove(directory)
    journal.booked(map(call_id, range(6)))
    assert journal.unbooked == 0
