"""A process that may open no more files: the journal goes on, and gives up neither its disk nor its booked files."""

import asyncio
import errno
import gc
import os
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import NoReturn

import pytest
from doubles.data.records import answered_call, call_id
from doubles.few_files import used_up
from doubles.journals import RESERVE_BYTES, crash_and_read, files_of, new_journal, open_call, opened, write_ended

from vosd.base.clock import Instant
from vosd.engine.journal import Journal, KeepSettings, files, output as output_module

LATER = Instant(10_000, 1_790_000_010_000)
PLENTY = 10**9


def count_of_open_files() -> int:
    gc.collect()  # tests of before may have left some that nothing refers to
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def used_up_by_others(*_arguments: object) -> NoReturn:
    """Fail as where the machine has as many files open as it may."""
    raise OSError(errno.ENFILE, os.strerror(errno.ENFILE))


def kept_in(directory: Path) -> list[str]:
    return [name for name in files_of(directory) if name.endswith(".kept")]


def booked_twice(directory: Path, *, keep_minutes: int) -> Journal:
    """Return a journal with two booked files."""
    journal = opened(directory, segment_bytes=3_000, keep=KeepSettings(keep_minutes=keep_minutes))
    while len(kept_in(directory)) < 2:
        index = len(files_of(directory))
        journal.ended(answered_call(index))
        journal.booked([call_id(index)])
    return journal


def tick_minutes(journal: Journal, minutes: int, first: int = 0) -> None:
    for second in range(60 * first, 60 * (first + minutes)):
        ms = 10_000 + 1_000 * second
        journal.tick(Instant(ms, 1_790_000_000_000 + ms), has_calls=False)


async def test_a_sync_opens_nothing(directory, monkeypatch, logged):
    monkeypatch.setattr(output_module, "SYNC_S", 0.001)
    synced = asyncio.Event()
    loop = asyncio.get_running_loop()
    journal = opened(directory)
    real = os.fdatasync

    def sync(descriptor: int) -> None:
        real(descriptor)
        loop.call_soon_threadsafe(synced.set)

    monkeypatch.setattr(output_module.os, "fdatasync", sync)
    task = asyncio.create_task(journal.keep_synced())
    with used_up():
        write_ended(journal, answered_call(1))
        async with asyncio.timeout(30):
            await synced.wait()
        await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert not journal.is_overfull
    assert logged == []
    journal.close()


def test_a_file_that_is_replaced_while_it_is_synced_is_closed_afterwards(directory):
    journal = opened(directory)
    output = journal._output
    before = output.begin_sync()
    assert output.begin_next(0)
    os.fstat(before)
    output.end_sync()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(before)
    assert output.begin_sync() == output.descriptor
    output.end_sync()
    os.fstat(output.descriptor)
    journal.close()


def test_files_are_begun_with_the_spare_descriptors(directory, logged):
    journal = opened(directory, segment_bytes=3_000, keep=KeepSettings())
    with used_up():
        for index in range(20):
            write_ended(journal, answered_call(index))
    assert logged == []
    assert len(files_of(directory)) > 3
    assert len(crash_and_read(directory).unbooked) == 20
    journal.close()


def test_a_full_disk_is_left_for_the_reserve_and_found_to_be_well_without_a_free_descriptor(directory, disk, logged):
    journal = opened(directory)
    journal.answered(open_call(1))
    with used_up():
        for turn in range(3):
            full = disk(0)
            journal.ended(answered_call(2 + turn))
            assert journal.flush(), "its record is in the reserve"
            assert journal.is_overfull
            full.room = PLENTY
            journal.tick(LATER, has_calls=True)
            assert not journal.is_overfull
    assert {line["event"] for line in logged} == {"journal_write_failed", "journal_recovered"}
    assert crash_and_read(directory).unbooked.keys() == {call_id(index) for index in (2, 3, 4)}
    journal.close()


def test_no_booked_file_is_removed_where_the_reserve_cannot_be_opened(directory, logged):
    """The machine has as many files open as it may."""
    first = opened(directory, keep=KeepSettings())
    first.ended(answered_call(1))
    first.booked([call_id(1)])
    first.close()
    kept = kept_in(directory)
    journal = new_journal(directory, keep=KeepSettings())
    real_open = os.open

    def open_but_the_reserve(path, flags, *arguments):
        if Path(path).name == "reserve":
            used_up_by_others()
        return real_open(path, flags, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output_module.os, "open", open_but_the_reserve)
        journal.open()
    assert journal.is_overfull
    assert set(kept) <= set(files_of(directory))
    (missing,) = [line for line in logged if line["event"] == "journal_reserve_missing"]
    assert "LimitNOFILE" in missing["do"]
    journal.tick(LATER, has_calls=False)
    assert not journal.is_overfull
    journal.close()


@pytest.mark.parametrize("is_used_up", [False, True])
def test_booked_files_make_room_for_the_ends_of_more_calls(directory, disk, logged, is_used_up):
    """The disk takes records, and no larger reserve until booked files are removed."""
    journal = opened(directory, segment_bytes=3_000)
    for index in range(6):
        journal.ended(answered_call(index))
        journal.booked([call_id(index)])
    booked = kept_in(directory)
    disk(RESERVE_BYTES - 1).gains(directory, booked, RESERVE_BYTES)
    with used_up() if is_used_up else nullcontext():
        answered = [journal.answered(open_call(100 + index)) for index in range(24)]
    assert all(answered)
    assert [line["file"] for line in logged if line["event"] == "journal_kept_file_removed"] == booked[:1]
    journal.close()


def test_the_log_asks_for_more_files_where_booked_files_cannot_be_listed(directory, disk, logged):
    journal = opened(directory, segment_bytes=3_000)
    for index in range(6):
        journal.ended(answered_call(index))
        journal.booked([call_id(index)])
    booked = kept_in(directory)
    disk(RESERVE_BYTES - 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "scandir", used_up_by_others)
        answered = [journal.answered(open_call(100 + index)) for index in range(24)]
    assert not all(answered)
    assert kept_in(directory) == booked
    (missing,) = [line for line in logged if line["event"] == "journal_reserve_missing"]
    assert "LimitNOFILE" in missing["do"]
    journal.close()


def test_booked_files_are_pruned_with_the_spare_descriptors(directory, logged):
    journal = opened(directory, segment_bytes=3_000, keep=KeepSettings(keep_files=2))
    with used_up():
        for index in range(300):
            write_ended(journal, answered_call(index))
            journal.booked([call_id(index)])
    assert len(kept_in(directory)) == 2
    journal.close()
    assert logged == []


def test_booked_files_that_are_too_old_are_removed_with_the_spare_descriptors(directory, logged):
    journal = booked_twice(directory, keep_minutes=1)
    with used_up():
        tick_minutes(journal, 3)
    assert kept_in(directory) == []
    journal.close()
    assert logged == []


def test_booked_files_are_pruned_later_where_the_directory_cannot_be_read(directory, logged):
    """Their age goes on meanwhile: it is counted since they were first seen."""
    journal = booked_twice(directory, keep_minutes=3)
    tick_minutes(journal, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "scandir", used_up_by_others)
        tick_minutes(journal, 2, first=2)
        journal.ended(answered_call(3))
        journal.booked([call_id(3)])
    assert len(kept_in(directory)) == 2
    tick_minutes(journal, 1, first=4)
    assert kept_in(directory) == []
    journal.close()
    assert logged == []


@pytest.mark.parametrize("error", [errno.EMFILE, errno.EIO, errno.EDQUOT])
def test_a_new_file_whose_directory_cannot_be_synced_leaves_neither_its_name_nor_its_descriptor(
    directory, monkeypatch, error
):
    journal = opened(directory, segment_bytes=3_000)
    names, open_files = files_of(directory), count_of_open_files()

    def fails(_directory: Path) -> None:
        raise OSError(error, os.strerror(error))

    with monkeypatch.context() as patch:
        patch.setattr(files, "sync_directory", fails)
        for index in range(20):
            write_ended(journal, answered_call(index))
        assert files_of(directory) == names
        assert count_of_open_files() == open_files
    for index in range(20, 30):
        write_ended(journal, answered_call(index))
    assert len(files_of(directory)) > len(names)
    assert len(crash_and_read(directory).unbooked) == 30
    journal.close()


def test_the_disk_is_found_to_be_well_where_the_name_of_the_next_file_is_taken(directory, disk):
    """A file that could not be removed after its directory was not synced, as on a disk that fails."""
    journal = opened(directory)
    full = disk(0)
    write_ended(journal, answered_call(1))
    (directory / f"journal-{journal._output.number + 1:08d}.log").touch()
    full.room = PLENTY
    journal.tick(LATER, has_calls=False)
    assert not journal.is_overfull
    write_ended(journal, answered_call(2))
    assert crash_and_read(directory).unbooked.keys() == {call_id(1), call_id(2)}
    journal.booked([call_id(1), call_id(2)])
    journal.close()
    assert all(name.endswith(".kept") for name in files_of(directory))
