"""Booked journal files: how long they are kept, and what can be read in them while the switch goes on writing."""

import os
from pathlib import Path

from doubles.data.records import answered_call, call_id, rejected
from doubles.journals import files_of, open_call, opened, write_ended

from vosd.base.clock import Instant
from vosd.engine.journal import KeepSettings
from vosd.engine.journal.files import PRUNE_S, REMOVED_AT_ONCE
from vosd.engine.journal.journal import Journal
from vosd.engine.journal.kept import KeptJournal

SMALL = 3_000
NOW = Instant(1_000, 1_790_000_000_000)


def booked_calls(journal, numbers: range) -> None:
    for index in numbers:
        journal.answered(open_call(index))
        write_ended(journal, answered_call(index))
        journal.booked([call_id(index)])


def kept(directory: Path) -> list[str]:
    return [name for name in files_of(directory) if name.endswith(".kept")]


def minutes_later(minutes: float, *, wall_step_ms: int = 0) -> Instant:
    ms = int(60_000 * minutes)
    return Instant(NOW.mono + ms, NOW.wall + ms + wall_step_ms)


def tick_for_a_minute(journal: Journal, now: Instant) -> None:
    for _ in range(PRUNE_S):
        journal.tick(now, has_calls=False)


def test_a_booked_file_is_kept_for_the_time_that_was_set_and_then_removed(directory):
    journal = opened(directory, segment_bytes=SMALL, keep=KeepSettings(keep_minutes=60))
    booked_calls(journal, range(6))
    names = kept(directory)
    assert len(names) >= 2
    tick_for_a_minute(journal, NOW)
    booked_calls(journal, range(6, 12))
    tick_for_a_minute(journal, minutes_later(59))
    assert kept(directory)[: len(names)] == names
    later = [name for name in kept(directory) if name not in names]
    tick_for_a_minute(journal, minutes_later(60))
    assert kept(directory) == later != []


def test_a_step_of_the_wall_clock_removes_no_booked_file(directory):
    journal = opened(directory, segment_bytes=SMALL, keep=KeepSettings(keep_minutes=60))
    booked_calls(journal, range(6))
    names = kept(directory)
    tick_for_a_minute(journal, NOW)
    tick_for_a_minute(journal, minutes_later(1, wall_step_ms=86_400_000))
    assert kept(directory) == names != []


def left_by_earlier_runs(directory: Path, number: int) -> None:
    directory.mkdir(parents=True)
    for index in range(1, number + 1):
        (directory / f"journal-{index:08d}.kept").touch()


def test_a_start_begins_the_age_of_booked_files_anew_so_only_their_number_is_sure(directory):
    """The wall clock, which the times of files are of, may be wrong after the fault that lost commits."""
    left_by_earlier_runs(directory, 200)
    for day in range(3):
        journal = opened(directory, keep=KeepSettings(keep_minutes=60, keep_files=3))
        tick_for_a_minute(journal, minutes_later(1_440 * day))
        tick_for_a_minute(journal, minutes_later(1_440 * day + 59))
        assert len(kept(directory)) == 3 * 64, "each counts for a sixty-fourth of a full one"
        journal.close()


def test_what_an_earlier_run_has_left_is_removed_a_few_files_a_second(directory):
    """All of it becomes too old at the same moment, and no call is served meanwhile."""
    left_by_earlier_runs(directory, 3 * REMOVED_AT_ONCE + 1)
    journal = opened(directory, keep=KeepSettings(keep_minutes=60))
    tick_for_a_minute(journal, NOW)
    left = []
    for _ in range(5):
        journal.tick(minutes_later(60), has_calls=False)
        left.append(len(kept(directory)))
    assert left == [2 * REMOVED_AT_ONCE + 1, REMOVED_AT_ONCE + 1, 1, 0, 0]


def test_the_size_of_a_booked_file_is_read_once(directory, monkeypatch):
    """With 2,048 of them a look at each every minute was 30 ms in which no call was served."""
    left_by_earlier_runs(directory, 50)
    journal, looked_at = opened(directory), []
    stat = os.stat
    monkeypatch.setattr(os, "stat", lambda path, *more, **keys: looked_at.append(path) or stat(path, *more, **keys))
    tick_for_a_minute(journal, NOW)
    booked_calls(journal, range(2))
    tick_for_a_minute(journal, minutes_later(1))
    assert [path for path in looked_at if str(path).endswith(".kept")] == []


def test_no_more_files_are_kept_than_were_set_and_unbooked_ones_do_not_count(directory):
    journal = opened(directory, segment_bytes=SMALL, keep=KeepSettings(keep_files=3))
    booked_calls(journal, range(20))
    assert len(kept(directory)) == 3
    journal.ended(answered_call(100))  # waits for the database
    journal.flush()
    for index in range(101, 121):
        write_ended(journal, answered_call(index))
        journal.booked([call_id(index)])
    assert len(kept(directory)) == 3
    assert len(files_of(directory)) > 8, "the file with the call that waits, and all that follow it, stay in use"


def test_another_number_of_kept_files_holds_from_the_next_look_on(directory):
    journal = opened(directory, segment_bytes=SMALL, keep=KeepSettings(keep_files=3))
    booked_calls(journal, range(20))
    journal.adjust(KeepSettings(keep_files=1))
    booked_calls(journal, range(20, 24))
    assert len(kept(directory)) == 1


def test_many_small_files_of_short_runs_count_for_what_they_hold(directory):
    for index in range(40):
        journal = opened(directory, keep=KeepSettings(keep_files=2))
        booked_calls(journal, [index])
        journal.close()
    assert len(kept(directory)) == 40
    for number in range(200, 330):
        (directory / f"journal-{number:08d}.kept").touch()
    opened(directory, keep=KeepSettings(keep_files=2))
    assert len(kept(directory)) == 128, "each counts for a sixty-fourth of a full one at least"


def test_every_ended_call_can_be_read_booked_or_not(directory):
    journal = opened(directory, segment_bytes=SMALL)
    journal.answered(open_call(100))
    booked_calls(journal, range(10))
    write_ended(journal, answered_call(10))
    reading = KeptJournal(directory)
    assert {record.call_id for record in reading.ended()} == {call_id(index) for index in range(11)}
    assert reading.open_calls.keys() == {call_id(100)}
    assert reading.waiting == {call_id(10)}
    assert reading.unreadable == set()


def test_the_calls_of_earlier_lives_can_be_read_too(directory):
    first = opened(directory)
    booked_calls(first, range(3))
    first.close()
    second = opened(directory)
    booked_calls(second, range(3, 5))
    assert len(list(KeptJournal(directory).ended())) == 5


def test_files_that_are_renamed_or_removed_while_they_are_read_hinder_nothing(directory):
    journal = opened(directory, segment_bytes=SMALL, keep=KeepSettings(keep_files=2))
    records = [answered_call(index) for index in range(12)]
    for record in records:
        write_ended(journal, record)
    found = []
    for record in KeptJournal(directory).ended():
        found.append(record.call_id)
        journal.booked([each.call_id for each in records])
    assert found[0] == call_id(0)
    assert len(found) >= 2


def test_a_call_that_ended_and_cannot_be_read_is_named(directory):
    journal = opened(directory)
    for index in range(2):
        journal.answered(open_call(index))
        journal.ended(answered_call(index))
    journal.mark(NOW)
    journal.flush()
    [name] = files_of(directory)
    data = (directory / name).read_bytes()
    middle = data.rindex(b"fee_breakdown")
    (directory / name).write_bytes(data[:middle] + b"F" + data[middle + 1 :])
    reading = KeptJournal(directory)
    assert [record.call_id for record in reading.ended()] == [call_id(0)]
    assert reading.unreadable == {call_id(1)}
    assert reading.open_calls == {}


async def test_a_call_in_quarantine_waits_no_more(directory):
    journal = opened(directory)
    journal.ended(answered_call(1))
    await journal.refused(rejected("why not", answered_call(1)))
    reading = KeptJournal(directory)
    assert len(list(reading.ended())) == 1
    assert reading.waiting == set()


def test_without_a_journal_there_is_nothing_to_read(directory):
    assert list(KeptJournal(directory).ended()) == []
