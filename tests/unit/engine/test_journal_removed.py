"""A journal whose files are removed under the running switch is begun anew with all running calls."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
from doubles.data.records import answered_call, call_id
from doubles.journals import crash_and_read, open_call, opened

from vosd.base.clock import Instant
from vosd.engine.journal.files import is_removed

LATER = Instant(10_000, 1_790_000_010_000)


def moved_away(directory: Path) -> None:
    directory.rename(directory.with_name("old"))


def emptied(directory: Path) -> None:
    for path in directory.iterdir():
        path.unlink()


@pytest.mark.parametrize("remove", [shutil.rmtree, moved_away, emptied])
def test_running_calls_are_in_a_new_file_within_a_second(tmp_path: Path, remove: Callable[[Path], None]) -> None:
    directory = tmp_path / "state" / "journal"
    journal = opened(directory)
    for index in range(5):
        journal.answered(open_call(index))
    remove(directory)
    journal.ended(answered_call(4))
    with structlog.testing.capture_logs() as logged:
        for _ in range(3):
            journal.tick(LATER, has_calls=True)
    assert [line["event"] for line in logged] == ["journal_removed", "journal_recovered"]
    assert journal.answered(open_call(7))
    journal.ended(answered_call(6))
    journal.flush()
    remains = crash_and_read(directory)
    assert remains.open_calls.keys() == {call_id(index) for index in (0, 1, 2, 3, 7)}
    assert call_id(6) in remains.unbooked
    journal.booked([call_id(4), call_id(6)])
    journal.tick(LATER, has_calls=True)
    assert (directory / "reserve").exists()


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
