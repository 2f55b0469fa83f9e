"""A disk that takes no more: from the first error on no new call, every running one can still be ended on disk."""

import asyncio
import errno
import os
import threading
from pathlib import Path

import pytest
from doubles.data.records import answered_call, call_id
from doubles.journals import RESERVE_BYTES, crash_and_read, files_of, new_journal, open_call, opened, write_ended
from doubles.turns import until

from vosd.base.clock import Instant
from vosd.callcontrol.open_call import UNDESCRIBED
from vosd.engine.journal import JournalUnusableError, KeepSettings, output as output_module
from vosd.engine.journal.entries import answered_frame, ended_frame
from vosd.engine.journal.files import remove
from vosd.engine.journal.output import END_BYTES

LATER = Instant(10_000, 1_790_000_010_000)
PLENTY = 10**9


def test_from_the_first_write_error_on_no_new_call_is_taken_and_that_is_logged_once(directory, disk, logged):
    journal = opened(directory)
    disk(1_000)
    assert not journal.is_overfull
    for index in range(5):
        write_ended(journal, answered_call(index))
        assert journal.is_overfull
    assert [line["event"] for line in logged] == ["journal_write_failed"]
    assert "no new call" in logged[0]["means"]
    assert crash_and_read(directory).unbooked.keys() == {call_id(index) for index in range(5)}


def test_calls_that_run_when_the_disk_is_full_can_be_ended_on_disk(directory, disk):
    journal = opened(directory)
    for index in range(8):
        journal.answered(open_call(index))
    disk(0)
    for index in range(8):
        write_ended(journal, answered_call(index))
    remains = crash_and_read(directory)
    assert remains.unbooked.keys() == {call_id(index) for index in range(8)}
    assert remains.open_calls == {}
    assert not remains.damaged


def test_of_the_reserve_an_answer_takes_only_what_no_end_needs(directory, disk):
    journal = opened(directory)
    for index in range(8):
        journal.answered(open_call(index))
    disk(0)
    accepted = 0
    while journal.answered(open_call(100 + accepted)):
        accepted += 1
    assert 0 < accepted <= RESERVE_BYTES // END_BYTES - 8
    assert len(crash_and_read(directory).open_calls) == 8 + accepted
    for index in [*range(8), *range(100, 100 + accepted)]:
        write_ended(journal, answered_call(index))
    assert len(crash_and_read(directory).unbooked) == 8 + accepted


def test_an_answer_that_cannot_be_written_is_refused_and_leaves_nothing(directory, disk):
    journal = opened(directory, reserve_bytes=1)
    journal.answered(open_call(1))
    full = disk(300)
    assert not journal.answered(open_call(2))
    assert not journal.answered(open_call(3))
    full.room = PLENTY
    journal.tick(LATER, has_calls=True)
    assert not journal.is_overfull
    assert journal.answered(open_call(4))
    remains = crash_and_read(directory)
    assert remains.open_calls.keys() == {call_id(1), call_id(4)}
    assert not remains.damaged


def test_what_could_not_be_written_is_written_once_the_disk_is_back(directory, disk, logged):
    journal = opened(directory, reserve_bytes=1)
    journal.answered(open_call(100))
    (directory / "reserve").unlink()
    full = disk(0)
    for index in range(5):
        write_ended(journal, answered_call(index))
    tries = full.tries
    for _ in range(50):
        write_ended(journal, answered_call(5))
    assert full.tries == tries, "a full disk is tried once a second, not with every call"
    full.room = PLENTY
    journal.tick(LATER, has_calls=True)
    assert not journal.is_overfull
    remains = crash_and_read(directory)
    assert remains.unbooked.keys() == {call_id(index) for index in range(6)}
    assert remains.open_calls.keys() == {call_id(100)}
    assert [line["event"] for line in logged] == [
        "journal_write_failed",
        "journal_reserve_unusable",
        "journal_recovered",
    ]


def test_a_disk_that_has_recovered_has_a_reserve_again(directory, disk):
    journal = opened(directory)
    for _ in range(2):
        full = disk(0)
        write_ended(journal, answered_call(1))
        assert journal.is_overfull
        full.room = PLENTY
        journal.tick(LATER, has_calls=False)
        assert not journal.is_overfull
    disk(0)
    assert journal.answered(open_call(2))
    assert crash_and_read(directory).open_calls.keys() == {call_id(2)}


def test_booked_files_make_room_for_a_full_disk(directory, disk, logged):
    journal = opened(directory, segment_bytes=3_000, keep=KeepSettings())
    for index in range(10):
        write_ended(journal, answered_call(index))
        journal.booked([call_id(index)])
    kept = [name for name in files_of(directory) if name.endswith(".kept")]
    full = disk(0)
    write_ended(journal, answered_call(11))
    real = full.posix_fallocate

    def freed(*arguments: int) -> None:
        full.room = RESERVE_BYTES * 2 if not (directory / kept[1]).exists() else 0
        real(*arguments)

    output_module.os.posix_fallocate = freed
    journal.tick(LATER, has_calls=False)
    assert not journal.is_overfull
    assert [line["file"] for line in logged if line["event"] == "journal_kept_file_removed"] == kept[:2]


def test_the_answers_in_older_files_stay_while_the_reserve_is_written(directory, disk):
    journal = opened(directory)
    journal.answered(open_call(1))
    journal.ended(answered_call(2))
    disk(0)
    journal.ended(answered_call(3))
    journal.booked([call_id(2), call_id(3)])
    assert crash_and_read(directory).open_calls.keys() == {call_id(1)}
    journal.ended(answered_call(1))
    journal.booked([call_id(1)])
    assert crash_and_read(directory).open_calls == {}


def test_a_clean_stop_in_the_reserve_leaves_no_call_behind(directory, disk):
    journal = opened(directory)
    journal.answered(open_call(1))
    disk(0)
    journal.mark(LATER)
    journal.flush()
    journal.ended(answered_call(1))
    journal.booked([call_id(1)])
    journal.close()
    remains = crash_and_read(directory)
    assert (remains.open_calls, remains.unbooked) == ({}, {})
    assert all(name.endswith(".kept") for name in files_of(directory))


def test_an_error_of_a_write_is_that_of_the_system(tmp_path):
    descriptor = os.open(tmp_path / "file", os.O_RDONLY | os.O_CREAT)
    with pytest.raises(OSError, match=r"Bad file descriptor") as caught:
        output_module.system_write(descriptor, b"data")
    os.close(descriptor)
    assert caught.value.errno == errno.EBADF


def test_a_disk_that_takes_records_piece_by_piece_gets_them_whole(directory, monkeypatch):
    journal = opened(directory)
    real_write = os.write
    monkeypatch.setattr(output_module, "system_write", lambda descriptor, data: real_write(descriptor, data[:100]))
    for index in range(5):
        journal.ended(answered_call(index))
    journal.flush()
    assert len(crash_and_read(directory).unbooked) == 5
    assert not journal.is_overfull


def test_a_switch_that_starts_without_room_for_the_reserve_takes_no_call_until_there_is(directory, disk, logged):
    full = disk(50_000)
    journal = opened(directory)
    assert journal.is_overfull
    assert [line["event"] for line in logged] == ["journal_reserve_missing"]
    full.room = PLENTY
    journal.tick(LATER, has_calls=False)
    assert not journal.is_overfull


def test_a_start_on_a_nearly_full_disk_has_room_for_the_ends_of_the_calls_that_go_on(directory, disk, logged):
    journal = opened(directory, segment_bytes=3_000, keep=KeepSettings())
    for index in range(10):
        write_ended(journal, answered_call(index))
        journal.booked([call_id(index)])
    journal.answered(open_call(20))
    (directory / "reserve").unlink()
    kept = [name for name in files_of(directory) if name.endswith(".kept")]
    nearly = RESERVE_BYTES // 2
    full = disk(nearly)
    real = full.posix_fallocate

    def freed(*arguments: int) -> None:
        full.room = nearly if (directory / kept[1]).exists() else nearly + RESERVE_BYTES
        real(*arguments)

    output_module.os.posix_fallocate = freed
    again = new_journal(directory, keep=KeepSettings())
    for call in again.open().open_calls.values():
        again.resumed(call)
    again.settle()
    assert [line["file"] for line in logged if line["event"] == "journal_kept_file_removed"] == kept[:2]
    full.room = 0
    write_ended(again, answered_call(20))
    assert call_id(20) in crash_and_read(directory).unbooked


def test_on_a_full_disk_the_files_of_the_earlier_run_stay(directory, disk):
    first = opened(directory, reserve_bytes=1)
    write_ended(first, answered_call(1))
    second = new_journal(directory, reserve_bytes=1)
    for record in second.open().unbooked.values():
        second.ended(record)
    (directory / "reserve").unlink()
    disk(10)
    with pytest.raises(JournalUnusableError, match="make room"):
        second.settle()
    assert crash_and_read(directory).unbooked.keys() == {call_id(1)}


def test_a_start_on_a_full_disk_gives_up_booked_files_and_loses_nothing(directory, disk):
    first = opened(directory, segment_bytes=3_000)
    for index in range(6):
        write_ended(first, answered_call(index))
        first.booked([call_id(index)])
    first.answered(open_call(9))
    (directory / "reserve").unlink()
    [kept, *_] = [name for name in files_of(directory) if name.endswith(".kept")]
    full = disk(0)
    real = full.posix_fallocate

    def freed(*arguments: int) -> None:
        full.room = 0 if (directory / kept).exists() else PLENTY
        real(*arguments)

    second = new_journal(directory)
    second.open()
    output_module.os.posix_fallocate = freed
    second.ended(answered_call(9))
    second.settle()
    assert crash_and_read(directory).unbooked.keys() == {call_id(9)}
    assert not second.is_overfull


def test_a_disk_that_does_not_sync_keeps_the_files_of_the_earlier_run(directory, monkeypatch, logged):
    first = opened(directory)
    write_ended(first, answered_call(1))
    second = new_journal(directory)
    second.open()

    def broken(descriptor):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(output_module.os, "fdatasync", broken)
    with pytest.raises(JournalUnusableError):
        second.settle()
    assert call_id(1) in crash_and_read(directory).unbooked
    assert logged[0]["event"] == "journal_not_synced"
    assert second.is_overfull


def test_what_a_full_disk_never_took_is_named_at_the_end(directory, disk, logged):
    journal = opened(directory, reserve_bytes=1)
    (directory / "reserve").unlink()
    disk(0)
    journal.ended(answered_call(1))
    journal.close()
    assert logged[-1]["lost_bytes"] == len(ended_frame(answered_call(1), 0))


def test_a_file_is_removed_where_no_descriptor_is_left(tmp_path, monkeypatch):
    def used_up(*_arguments, **_options):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    file = tmp_path / "journal-00000001.kept"
    file.touch()
    monkeypatch.setattr(os, "open", used_up)
    remove(file)
    remove(file)
    assert not file.exists()


def test_the_room_that_is_left_for_an_end_is_enough_for_one():
    assert len(ended_frame(answered_call(1), 0)) + len(answered_frame(open_call(1), UNDESCRIBED)) < END_BYTES


def test_a_disk_that_takes_nothing_refuses_a_call_and_breaks_nothing(directory, monkeypatch, logged):
    """Read-only: booked files cannot be removed to make room for the reserve."""
    first = opened(directory)
    first.ended(answered_call(1))
    first.booked([call_id(1)])
    first.close()
    journal = opened(directory, reserve_bytes=3 * END_BYTES)
    assert [name for name in files_of(directory) if name.endswith(".kept")]

    def refused(*_arguments, **_options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for place, name in ((output_module, "system_write"), (os, "posix_fallocate"), (os, "unlink"), (os, "ftruncate")):
        monkeypatch.setattr(place, name, refused)
    monkeypatch.setattr(os, "utime", refused)
    monkeypatch.setattr(Path, "unlink", refused)
    assert [journal.answered(open_call(index)) for index in range(3)] == [False] * 3
    journal.ended(answered_call(2))
    assert not journal.flush(), "its record waits in memory"
    assert journal.flush(), "that was said"
    journal.tick(LATER, has_calls=True)
    journal.close()


# -- syncing -------------------------------------------------------------------------------------------------------


async def test_what_was_written_is_synced_soon_and_in_groups(directory, monkeypatch):
    monkeypatch.setattr(output_module, "SYNC_S", 0.001)
    synced = asyncio.Event()
    calls = []
    loop = asyncio.get_running_loop()

    def sync(descriptor):
        calls.append(os.fstat(descriptor).st_size)
        loop.call_soon_threadsafe(synced.set)

    journal = opened(directory)
    monkeypatch.setattr(output_module.os, "fdatasync", sync)
    task = asyncio.create_task(journal.keep_synced())
    for index in range(10):
        write_ended(journal, answered_call(index))
    async with asyncio.timeout(30):
        await synced.wait()
    task.cancel()
    [name] = files_of(directory)
    assert calls == [(directory / name).stat().st_size]


async def test_the_slowest_sync_is_told_once_and_one_that_goes_on_as_it_is(directory, monkeypatch):
    monkeypatch.setattr(output_module, "SYNC_S", 0.001)
    begun, may_end = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def sync(_descriptor):
        loop.call_soon_threadsafe(begun.set)
        may_end.wait(30)

    journal = opened(directory)
    monkeypatch.setattr(output_module.os, "fdatasync", sync)
    task = asyncio.create_task(journal.keep_synced())
    write_ended(journal, answered_call(0))
    assert journal.take_slowest_sync() == 0
    async with asyncio.timeout(30):
        await begun.wait()
    told = [0.0]

    def is_longer() -> bool:
        told.append(journal.take_slowest_sync())
        return told[-1] > max(told[:-1])

    for _ in range(2):
        await until(is_longer)
    may_end.set()
    await until(lambda: journal.take_slowest_sync() < told[-1])
    task.cancel()


async def test_a_sync_that_fails_is_a_failure_of_the_disk_and_tried_again(directory, monkeypatch, logged):
    monkeypatch.setattr(output_module, "SYNC_S", 0.001)
    tried = asyncio.Semaphore(0)
    loop = asyncio.get_running_loop()

    def broken(descriptor):
        loop.call_soon_threadsafe(tried.release)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    journal = opened(directory)
    monkeypatch.setattr(output_module.os, "fdatasync", broken)
    task = asyncio.create_task(journal.keep_synced())
    async with asyncio.timeout(30):
        for index in range(2):
            write_ended(journal, answered_call(index))
            await tried.acquire()
    task.cancel()
    assert journal.is_overfull
    assert {line["event"] for line in logged} >= {"journal_not_synced"}
