"""The journal on a real directory: what survives a crash, and the purpose of each file."""

import errno
import os
import stat
from itertools import pairwise

import pytest
from doubles.data.records import answered_call, call_id, refused_call
from doubles.journals import begun, crash_and_read, files_of, new_journal, open_call, opened, write_ended
from structlog.typing import EventDict

from vosd.base.clock import Instant
from vosd.callcontrol.bookkeeping import lost
from vosd.engine.journal import JournalUnusableError, KeepSettings, Remains, files as files_module
from vosd.engine.journal.earlier import usable

NOTHING_KEPT = KeepSettings(keep_minutes=0)
SMALL = 3_000
"""Bytes of a segment that two or three records fill."""


# -- what is left after a crash ------------------------------------------------------------------------------------


def test_a_fresh_journal_is_empty_and_for_its_owner_only(directory):
    assert new_journal(directory).open() == Remains()
    assert files_of(directory) == ["journal-00000001.log"]
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "journal-00000001.log").stat().st_mode) == 0o600


def test_flushed_records_survive_and_unflushed_ones_do_not(directory):
    journal = opened(directory)
    write_ended(journal, answered_call(1))
    journal.ended(answered_call(2))
    assert crash_and_read(directory).unbooked.keys() == {call_id(1)}


def test_an_answered_call_is_written_down_at_once(directory):
    journal = opened(directory)
    assert journal.answered(open_call(1))
    assert crash_and_read(directory).open_calls.keys() == {call_id(1)}


def test_a_running_call_comes_back_with_all_that_is_needed_to_bill_it(directory):
    journal = opened(directory)
    call = open_call(1)
    journal.answered(call)
    journal.flush()
    assert crash_and_read(directory).open_calls == {call_id(1): call}


def test_an_ended_call_comes_back_to_be_booked_and_a_booked_one_does_not(directory):
    journal = opened(directory)
    booked, ended, refused = answered_call(1), answered_call(2), refused_call(3)
    for index in (1, 2):
        journal.answered(open_call(index))
    for record in (booked, ended, refused):
        journal.ended(record)
    journal.booked([booked.call_id])
    remains = crash_and_read(directory)
    assert remains.unbooked == {ended.call_id: ended, refused.call_id: refused}
    assert remains.open_calls == {}


def test_the_last_recorded_instant_is_that_of_any_record(directory):
    journal = opened(directory)
    journal.answered(open_call(1, answered_mono=7_000))
    journal.flush()
    assert crash_and_read(directory).last_mono == 7_000
    journal.mark(Instant(9_000, 1_790_000_009_000))
    journal.mark(Instant(8_500, 1_790_000_008_500))
    journal.flush()
    assert crash_and_read(directory).last_mono == 9_000


def test_what_one_life_left_the_next_writes_again_and_nothing_is_lost_between(directory):
    first = opened(directory)
    first.answered(open_call(1))
    write_ended(first, answered_call(2))

    second = new_journal(directory)
    remains = second.open()
    for record in [*remains.unbooked.values(), *(lost(call, 6_000) for call in remains.open_calls.values())]:
        second.ended(record)
    assert crash_and_read(directory) == remains, "before it is settled the old files speak"
    second.settle()
    after = crash_and_read(directory)
    assert after.open_calls == {}
    assert after.unbooked.keys() == {call_id(1), call_id(2)}
    assert after.unbooked[call_id(1)].end_reason == "Lost"


def test_settling_removes_only_the_files_of_the_earlier_run(directory):
    first = opened(directory, segment_bytes=SMALL, keep=NOTHING_KEPT)
    for index in range(8):
        write_ended(first, answered_call(index))
    second = new_journal(directory, segment_bytes=SMALL, keep=NOTHING_KEPT)
    remains = second.open()
    assert len(remains.unbooked) == 8
    for record in remains.unbooked.values():
        second.ended(record)
        second.flush()  # fills several segments of its own before it settles
    second.settle()
    assert crash_and_read(directory).unbooked == remains.unbooked


def test_a_life_that_left_nothing_leaves_no_file_but_those_kept(directory):
    journal = opened(directory)
    journal.answered(open_call(1))
    journal.ended(answered_call(1))
    journal.booked([call_id(1)])
    journal.close()
    assert files_of(directory) == ["journal-00000001.kept"]


@pytest.mark.parametrize("left", ["running", "unbooked"])
def test_a_life_that_left_something_leaves_it_to_the_next(directory, left):
    journal = opened(directory)
    if left == "running":
        journal.answered(open_call(1))
    else:
        journal.ended(answered_call(1))
    journal.close()
    remains = crash_and_read(directory)
    assert len(remains.open_calls) + len(remains.unbooked) == 1


def test_an_unusable_directory_is_an_error_with_a_remedy(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalUnusableError, match=r"cannot be used: .*mend state_dir"):
        new_journal(tmp_path / "file" / "journal").open()


def test_a_process_that_may_open_no_more_files_has_a_directory_that_is_well(directory):
    with (
        pytest.raises(JournalUnusableError, match=r"Too many open files; let the service open more files"),
        usable(directory),
    ):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


# -- segments ------------------------------------------------------------------------------------------------------


def test_a_full_segment_is_followed_by_the_next(directory):
    journal = opened(directory, segment_bytes=SMALL, keep=NOTHING_KEPT)
    for index in range(10):
        write_ended(journal, answered_call(index))
    names = files_of(directory)
    assert len(names) > 2
    assert all(int(later[8:16]) == int(earlier[8:16]) + 1 for earlier, later in pairwise(names))
    assert len(crash_and_read(directory).unbooked) == 10


def test_a_segment_goes_when_all_its_calls_are_booked_and_no_sooner(directory):
    journal = opened(directory, segment_bytes=SMALL, keep=NOTHING_KEPT)
    records = [answered_call(index) for index in range(10)]
    for record in records:
        write_ended(journal, record)
    first = files_of(directory)[0]
    journal.booked([record.call_id for record in records[1:]])
    assert files_of(directory)[0] == first, "its first call waits still"
    assert journal.unbooked == 1
    assert crash_and_read(directory).unbooked.keys() >= {records[0].call_id}
    journal.booked([records[0].call_id])
    assert journal.unbooked == 0
    assert first not in files_of(directory)


def test_calls_still_running_are_carried_into_the_next_segment(directory):
    journal = opened(directory, segment_bytes=SMALL, keep=NOTHING_KEPT)
    journal.answered(open_call(100, answered_mono=4_000))
    journal.mark(Instant(60_000, 1_790_000_060_000))
    journal.flush()
    for index in range(20):
        write_ended(journal, answered_call(index))
        journal.booked([call_id(index)])
    assert len(files_of(directory)) <= 2, "the rest was dropped"
    remains = crash_and_read(directory)
    assert remains.open_calls.keys() == {call_id(100)}
    assert remains.last_mono == 60_000, "the time that was proven stays proven"


def test_many_running_calls_fit_into_segments_smaller_than_they_are(directory):
    journal = opened(directory, segment_bytes=SMALL, keep=NOTHING_KEPT)
    for index in range(50):
        journal.answered(open_call(index))
        journal.flush()
    assert crash_and_read(directory).open_calls.keys() == {call_id(index) for index in range(50)}
    assert len(files_of(directory)) < 25


def test_a_call_that_ends_in_a_later_segment_is_not_open_any_more(directory):
    journal = opened(directory, segment_bytes=SMALL, keep=NOTHING_KEPT)
    journal.answered(open_call(1))
    for index in range(10, 16):
        write_ended(journal, answered_call(index))
    write_ended(journal, answered_call(1))
    remains = crash_and_read(directory)
    assert remains.open_calls == {}
    assert call_id(1) in remains.unbooked


def test_booking_what_is_not_waiting_changes_nothing(directory):
    journal = opened(directory)
    journal.ended(answered_call(1))
    journal.booked([call_id(1)])
    journal.booked([call_id(1), call_id(2)])
    assert journal.unbooked == 0
    remains = crash_and_read(directory)
    assert (remains.open_calls, remains.unbooked, remains.cut, remains.damaged) == ({}, {}, {}, set())


def test_without_a_new_file_the_old_one_goes_on(directory, monkeypatch, logged: list[EventDict]):
    journal = opened(directory, segment_bytes=SMALL, keep=NOTHING_KEPT)
    real_open = os.open

    def no_more_files(path, flags, *arguments):
        if flags & os.O_CREAT:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real_open(path, flags, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(files_module.os, "open", no_more_files)
        for index in range(10):
            write_ended(journal, answered_call(index))
    assert len(files_of(directory)) == 1
    assert {line["event"] for line in logged} == {"journal_file_not_created"}
    for index in range(10, 20):
        write_ended(journal, answered_call(index))
    assert len(files_of(directory)) > 1
    assert len(crash_and_read(directory).unbooked) == 20


def test_the_latest_time_of_any_record_stays_where_the_clock_was_set_back(directory):
    journal = opened(directory)
    ahead = Instant(2_000_000, 9_000_000_000_000)
    begun(Remains(), journal, ahead)
    journal.flush()
    assert crash_and_read(directory).latest_wall == ahead.wall

    remains, behind = crash_and_read(directory), Instant(3_000_000, ahead.wall - 3_600_000)
    begun(remains, new_journal(directory), behind)
    assert remains.latest_wall == ahead.wall


def test_the_end_of_a_call_is_a_time_of_the_journal(directory):
    journal = opened(directory)
    record = answered_call(1)
    write_ended(journal, record)
    assert crash_and_read(directory).latest_wall == record.ended_at
