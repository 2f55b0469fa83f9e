"""The journal on a real directory: what survives a crash, a torn write and a full disk (DESIGN D9)."""

import asyncio
import errno
import os
import stat
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from zlib import crc32

import msgspec
import pytest
import structlog
from structlog.typing import EventDict

from vosd.base.clock import Instant
from vosd.engine import journal as journal_module
from vosd.engine.bookkeeping import OpenCall, lost
from vosd.engine.journal import BACKLOG_BYTES, Journal
from vosd.engine.replay import Ended, JournalUnusableError, Remains, framed
from vosd.testing.builders import applied_rate
from vosd.testing.records import answered_call, call_id, refused_call

SMALL = 3_000
"""Bytes of a segment that two or three records fill."""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal"


@pytest.fixture
def logged():
    with structlog.testing.capture_logs() as lines:
        yield lines


def opened(directory: Path, segment_bytes: int = 64 * 1024 * 1024) -> Journal:
    journal = Journal(directory, segment_bytes)
    journal.open()
    journal.settle()
    return journal


def open_call(index: int, answered_mono: int = 5_000) -> OpenCall:
    record = answered_call(index, postings=(), end_reason="Lost", hold_time_ms=0, fee_breakdown="{}")
    return OpenCall(record, applied_rate("0.60"), applied_rate("0.30"), answered_mono)


def crash_and_read(directory: Path) -> Remains:
    """Begin another life beside the one that just stopped existing."""
    return Journal(directory).open()


def segments(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


class Disk:
    """Stands in for ``os.write``: takes what it has room for, then says that it is full."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.offered: list[int] = []
        self._write = os.write

    def write(self, descriptor: int, data: bytes) -> int:
        self.offered.append(len(data))
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = self._write(descriptor, data[: self.room])
        self.room -= taken
        return taken


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Disk]:
    def with_room(room: int) -> Disk:
        disk = Disk(room)
        monkeypatch.setattr(journal_module.os, "write", disk.write)
        return disk

    return with_room


# -- what is left after a crash ------------------------------------------------------------------------------------


def test_a_fresh_journal_is_empty_and_for_its_owner_only(directory):
    assert crash_and_read(directory) == Remains()
    assert segments(directory) == ["journal-00000001.log"]
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "journal-00000001.log").stat().st_mode) == 0o600


def test_flushed_records_survive_and_unflushed_ones_do_not(directory):
    journal = opened(directory)
    journal.answered(open_call(1))
    journal.flush()
    journal.answered(open_call(2))
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


def test_the_latest_proven_instant_is_that_of_any_record(directory):
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
    first.ended(answered_call(2))
    first.flush()

    second = Journal(directory)
    remains = second.open()
    for record in [*remains.unbooked.values(), *(lost(call, 6_000) for call in remains.open_calls.values())]:
        second.ended(record)
    assert crash_and_read(directory) == remains, "before it is settled the old files speak"
    second.settle()
    after = crash_and_read(directory)
    assert after.open_calls == {}
    assert after.unbooked.keys() == {call_id(1), call_id(2)}
    assert after.unbooked[call_id(1)].end_reason == "Lost"


def test_settling_removes_the_earlier_lifes_files_only(directory):
    first = opened(directory, SMALL)
    for index in range(8):
        first.ended(answered_call(index))
        first.flush()
    second = Journal(directory, SMALL)
    remains = second.open()
    assert len(remains.unbooked) == 8
    for record in remains.unbooked.values():
        second.ended(record)
        second.flush()  # fills several segments of its own before it settles
    second.settle()
    assert crash_and_read(directory).unbooked == remains.unbooked


def test_a_life_that_left_nothing_leaves_no_file(directory):
    journal = opened(directory)
    journal.answered(open_call(1))
    journal.ended(answered_call(1))
    journal.booked([call_id(1)])
    journal.close()
    assert segments(directory) == []


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


def test_a_directory_that_cannot_be_used_says_what_to_mend(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalUnusableError, match=r"cannot be used: .*mend state_dir"):
        Journal(tmp_path / "file" / "journal").open()


# -- spoilt files --------------------------------------------------------------------------------------------------


def three_records(directory: Path) -> tuple[Path, bytes, list[int]]:
    """Write three ended calls; return the file, its bytes, and where each record begins, and the end."""
    journal = opened(directory)
    for index in range(3):
        journal.ended(answered_call(index))
    journal.flush()
    [path] = directory.iterdir()
    ends = [0]
    for index in range(3):
        ends.append(ends[-1] + len(framed(Ended(answered_call(index)))))
    data = path.read_bytes()
    assert len(data) == ends[-1]
    return path, data, ends


def test_a_torn_last_record_is_left_out_wherever_it_is_torn(directory, logged):
    path, data, begins = three_records(directory)
    for end in (begins[2] + 4, begins[2] + 7, begins[2] + 8, begins[2] + 30, begins[3] - 1):
        path.write_bytes(data[:end])
        remains = crash_and_read(directory)
        assert remains.unbooked.keys() == {call_id(0), call_id(1)}
        assert remains.damaged == {path}
    assert all("not written whole" in line["event"] for line in logged)


def test_zeros_that_a_power_loss_leaves_at_the_end_are_no_record(directory, logged):
    path, data, _ = three_records(directory)
    path.write_bytes(data + bytes(4_096))
    remains = crash_and_read(directory)
    assert len(remains.unbooked) == 3
    assert remains.damaged == set()
    assert logged == []


def test_a_spoilt_record_is_left_out_alone_and_its_file_is_kept(directory, logged):
    path, data, begins = three_records(directory)
    middle = (begins[1] + begins[2]) // 2
    path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    journal = Journal(directory)
    remains = journal.open()
    assert remains.unbooked.keys() == {call_id(0), call_id(2)}
    assert [line["log_level"] for line in logged] == ["error"]
    journal.settle()
    assert path.with_suffix(".damaged").exists()
    assert not path.exists()
    assert crash_and_read(directory).unbooked == {}


def test_a_kept_file_keeps_its_name_to_itself(directory):
    path, data, _ = three_records(directory)
    path.write_bytes(data[:-1])
    opened(directory).close()
    assert segments(directory) == ["journal-00000001.damaged"]
    opened(directory)
    assert segments(directory) == ["journal-00000001.damaged", "journal-00000002.log"]


def test_a_record_of_another_version_stops_the_start_and_stays(directory):
    journal = opened(directory)
    journal.close()
    path = directory / "journal-00000007.log"
    payload = msgspec.msgpack.encode({"type": "transferred", "call": 1})
    path.write_bytes(len(payload).to_bytes(4, "big") + crc32(payload).to_bytes(4, "big") + payload)
    with pytest.raises(JournalUnusableError, match="another version"):
        Journal(directory).open()
    assert path.exists()


# -- segments ------------------------------------------------------------------------------------------------------


def test_a_full_segment_is_followed_by_the_next(directory):
    journal = opened(directory, SMALL)
    for index in range(10):
        journal.ended(answered_call(index))
        journal.flush()
    names = segments(directory)
    assert len(names) > 2
    assert all(int(later[8:16]) == int(earlier[8:16]) + 1 for earlier, later in pairwise(names))
    assert len(crash_and_read(directory).unbooked) == 10


def test_a_segment_goes_when_all_its_calls_are_booked_and_no_sooner(directory):
    journal = opened(directory, SMALL)
    records = [answered_call(index) for index in range(10)]
    for record in records:
        journal.ended(record)
        journal.flush()
    first = segments(directory)[0]
    journal.booked([record.call_id for record in records[1:]])
    assert segments(directory)[0] == first, "its first call waits still"
    assert journal.unbooked == 1
    assert crash_and_read(directory).unbooked.keys() >= {records[0].call_id}
    journal.booked([records[0].call_id])
    assert journal.unbooked == 0
    assert first not in segments(directory)


def test_calls_still_running_are_carried_into_the_next_segment(directory):
    journal = opened(directory, SMALL)
    journal.answered(open_call(100, answered_mono=4_000))
    journal.mark(Instant(60_000, 1_790_000_060_000))
    journal.flush()
    for index in range(20):
        journal.ended(answered_call(index))
        journal.flush()
        journal.booked([call_id(index)])
    assert len(segments(directory)) <= 2, "the rest was dropped"
    remains = crash_and_read(directory)
    assert remains.open_calls.keys() == {call_id(100)}
    assert remains.last_mono == 60_000, "the time that was proven stays proven"


def test_many_running_calls_fit_into_segments_smaller_than_they_are(directory):
    journal = opened(directory, SMALL)
    for index in range(50):
        journal.answered(open_call(index))
        journal.flush()
    assert crash_and_read(directory).open_calls.keys() == {call_id(index) for index in range(50)}
    assert len(segments(directory)) < 25


def test_a_call_that_ends_in_a_later_segment_is_not_open_any_more(directory):
    journal = opened(directory, SMALL)
    journal.answered(open_call(1))
    for index in range(10, 16):
        journal.ended(answered_call(index))
        journal.flush()
    journal.ended(answered_call(1))
    journal.flush()
    remains = crash_and_read(directory)
    assert remains.open_calls == {}
    assert call_id(1) in remains.unbooked


def test_booking_what_is_not_waiting_changes_nothing(directory):
    journal = opened(directory)
    journal.ended(answered_call(1))
    journal.booked([call_id(1)])
    journal.booked([call_id(1), call_id(2)])
    assert journal.unbooked == 0
    assert crash_and_read(directory) == Remains()


def test_without_a_new_file_the_old_one_goes_on(directory, monkeypatch, logged: list[EventDict]):
    journal = opened(directory, SMALL)
    real_open = os.open

    def no_more_files(path, flags, *arguments):
        if flags & os.O_CREAT:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real_open(path, flags, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(journal_module.os, "open", no_more_files)
        for index in range(10):
            journal.ended(answered_call(index))
            journal.flush()
    assert len(segments(directory)) == 1
    assert {line["event"] for line in logged} == {"no new journal file can be made, the old one goes on"}
    for index in range(10, 20):
        journal.ended(answered_call(index))
        journal.flush()
    assert len(segments(directory)) > 1
    assert len(crash_and_read(directory).unbooked) == 20


# -- a full disk ---------------------------------------------------------------------------------------------------


def test_a_full_disk_loses_nothing_and_is_logged_once(directory, disk, logged):
    journal = opened(directory)
    full = disk(1_000)
    for index in range(5):
        journal.ended(answered_call(index))
        journal.flush()
    assert [line["event"] for line in logged] == ["journal cannot be written, new calls will be refused"]
    full.room = 10**9
    journal.flush()
    assert crash_and_read(directory).unbooked.keys() == {call_id(index) for index in range(5)}


def test_a_disk_that_takes_records_piece_by_piece_gets_them_whole(directory, monkeypatch):
    journal = opened(directory)
    real_write = os.write
    monkeypatch.setattr(journal_module.os, "write", lambda descriptor, data: real_write(descriptor, data[:100]))
    for index in range(5):
        journal.ended(answered_call(index))
    journal.flush()
    assert len(crash_and_read(directory).unbooked) == 5


def test_a_full_disk_is_tried_with_one_record_and_not_with_all_that_waits(directory, disk):
    journal = opened(directory)
    full = disk(0)
    for index in range(50):
        journal.ended(answered_call(index))
        journal.flush()
    assert full.offered == [len(framed(Ended(answered_call(0))))] * 50


def test_with_too_much_waiting_no_new_call_may_be_taken(directory, disk):
    journal = opened(directory)
    full = disk(0)
    record = answered_call(0, fee_breakdown='"' + "x" * 1_000_000 + '"')
    for _ in range(BACKLOG_BYTES // 1_000_000):
        journal.ended(record)
        journal.flush()
        assert not journal.is_overfull
    journal.ended(record)
    assert journal.is_overfull
    full.room = 10**9
    journal.flush()
    assert not journal.is_overfull


def test_on_a_full_disk_the_earlier_lifes_files_stay(directory, disk):
    first = opened(directory)
    first.ended(answered_call(1))
    first.flush()
    second = Journal(directory)
    for record in second.open().unbooked.values():
        second.ended(record)
    disk(10)
    with pytest.raises(JournalUnusableError, match="make room"):
        second.settle()
    assert crash_and_read(directory).unbooked.keys() == {call_id(1)}


def test_a_disk_that_does_not_sync_keeps_the_earlier_lifes_files(directory, monkeypatch, logged):
    first = opened(directory)
    first.ended(answered_call(1))
    first.flush()
    second = Journal(directory)
    second.open()

    def broken(descriptor):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(journal_module.os, "fdatasync", broken)
    with pytest.raises(JournalUnusableError):
        second.settle()
    assert call_id(1) in crash_and_read(directory).unbooked
    assert [line["event"] for line in logged] == ["journal cannot be synced, a power loss may take calls"]


def test_what_a_full_disk_never_took_is_named_at_the_end(directory, disk, logged):
    journal = opened(directory)
    disk(0)
    journal.ended(answered_call(1))
    journal.close()
    assert logged[-1]["lost_bytes"] == len(framed(Ended(answered_call(1))))


# -- syncing -------------------------------------------------------------------------------------------------------


async def test_what_was_written_is_synced_soon_and_in_groups(directory, monkeypatch):
    """DESIGN D9: at most 50 ms later; one sync for all that was written meanwhile."""
    monkeypatch.setattr(journal_module, "SYNC_S", 0.001)
    synced = asyncio.Event()
    calls = []
    loop = asyncio.get_running_loop()

    def sync(descriptor):
        calls.append(os.fstat(descriptor).st_size)
        loop.call_soon_threadsafe(synced.set)

    journal = opened(directory)
    monkeypatch.setattr(journal_module.os, "fdatasync", sync)
    task = asyncio.create_task(journal.keep_synced())
    for index in range(10):
        journal.ended(answered_call(index))
        journal.flush()
    async with asyncio.timeout(5):
        await synced.wait()
    task.cancel()
    [path] = directory.iterdir()
    assert calls == [path.stat().st_size]


async def test_a_sync_that_fails_is_logged_and_tried_again(directory, monkeypatch, logged):
    monkeypatch.setattr(journal_module, "SYNC_S", 0.001)
    tried = asyncio.Semaphore(0)
    loop = asyncio.get_running_loop()

    def broken(descriptor):
        loop.call_soon_threadsafe(tried.release)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    journal = opened(directory)
    monkeypatch.setattr(journal_module.os, "fdatasync", broken)
    task = asyncio.create_task(journal.keep_synced())
    async with asyncio.timeout(5):
        for index in range(2):
            journal.ended(answered_call(index))
            journal.flush()
            await tried.acquire()
    task.cancel()
    assert logged
    assert {line["event"] for line in logged} == {"journal cannot be synced, a power loss may take calls"}
