"""Calls that wait for the database: few of them in memory, the others in the journal's files."""

import asyncio
import io
import shutil
import threading
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest
import structlog
from doubles.data.records import call_id
from doubles.journals import crash_and_read, opened
from doubles.recording import Database, call, end
from doubles.small_disk import Disk
from doubles.turns import turns
from doubles.virtual.clock import ManualClock

from vosd.base.clock import Instant
from vosd.billing.holds import AccountCredit
from vosd.cdr.ports import BookedBatch
from vosd.cdr.record import CallRecord
from vosd.engine import background
from vosd.engine.background import kept_going
from vosd.engine.booking import recorder as recorder_module
from vosd.engine.booking.recorder import Recorder
from vosd.engine.counting import census_of
from vosd.engine.journal import Journal, backlog as backlog_module
from vosd.engine.journal.frames import Frame
from vosd.engine.settings import CdrSettings

BATCH = CdrSettings(batch_rows=3, batch_ms=1)
WINDOW = 6


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def credits() -> dict[str, AccountCredit]:
    return {name: AccountCredit(name, Decimal(10)) for name in ("acme", "carrier")}


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return opened(tmp_path / "journal")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def narrow(database, journal, credits, clock, monkeypatch) -> Recorder:
    """A recorder that keeps six calls in memory."""
    monkeypatch.setattr(recorder_module, "_RETRY_FIRST_S", 0.001)
    monkeypatch.setattr(recorder_module, "_RETRY_MOST_S", 0.002)
    return Recorder(database, journal, credits, BATCH, clock=clock, window=WINDOW)


async def test_calls_beyond_the_window_wait_on_disk_and_are_booked_in_their_order(narrow, journal, credits, database):
    for index in range(100):
        end(narrow, journal, credits, call(index))
    assert (len(narrow), journal.waiting.on_disk, journal.unbooked) == (100, 94, 100)
    in_memory: list[int] = []
    real_book = database.book

    async def book(records: Sequence[CallRecord]) -> BookedBatch:
        in_memory.append(len(narrow) - journal.waiting.on_disk)
        if len(in_memory) == 5:  # calls go on ending
            for index in range(100, 120):
                end(narrow, journal, credits, call(index))
        return await real_book(records)

    database.book = book
    task = asyncio.create_task(narrow.run())
    await asyncio.wait_for(narrow.drained(), 30)
    task.cancel()
    assert [identity for batch in database.offered for identity in batch] == [call_id(index) for index in range(120)]
    assert max(in_memory) <= WINDOW
    assert (len(narrow), journal.waiting.on_disk, journal.unbooked) == (0, 0, 0)
    assert credits["acme"].unbooked == 0


async def test_a_call_has_ended_until_it_is_booked_wherever_it_waits(narrow, journal, credits, database):
    def which() -> list[bool]:
        return [journal.has_ended(call_id(index)) for index in range(12)]

    for index in range(10):
        end(narrow, journal, credits, call(index))
    assert journal.waiting.on_disk == 10 - WINDOW
    assert which() == [True] * 10 + [False] * 2
    across_two = bytes.fromhex((call_id(8) + call_id(9)).replace("-", ""))[8:24].hex()
    assert not journal.has_ended(across_two)
    database.away = 3
    real_book, seen = database.book, []

    async def book(records: Sequence[CallRecord]) -> BookedBatch:
        seen.append(which())
        return await real_book(records)

    database.book = book
    task = asyncio.create_task(narrow.run())
    await asyncio.wait_for(narrow.drained(), 30)
    task.cancel()
    assert seen[3] == [True] * 10 + [False] * 2
    assert seen[-1] == [index == 9 for index in range(12)]
    assert which() == [False] * 12


async def test_while_the_database_is_away_no_call_changes_its_place(narrow, journal, credits, database):
    for index in range(10):
        end(narrow, journal, credits, call(index))
    database.away = 20
    task = asyncio.create_task(narrow.run())
    await asyncio.wait_for(narrow.drained(), 30)
    task.cancel()
    booked = [entry.call_id for entry in database.store.entries if entry.account == "acme"]
    assert booked == [call_id(index) for index in range(10)]


async def test_after_an_error_of_a_batch_no_second_reader_meets_the_first(
    narrow, journal, credits, database, monkeypatch
):
    monkeypatch.setattr(background, "RETRY_S", 0)
    for index in range(20):
        end(narrow, journal, credits, call(index))
    real_read = journal.waiting.read_back
    reading, most_at_once = 0, 0

    async def read_back(most: int) -> list[CallRecord]:
        nonlocal reading, most_at_once
        reading += 1
        most_at_once = max(most_at_once, reading)
        await turns(50)  # longer than the other task takes to begin again
        reading -= 1
        return await real_read(most)

    real_book = database.book

    async def book(records: Sequence[CallRecord]) -> BookedBatch:
        await asyncio.sleep(0)  # the reader begins
        if reading and len(database.offered) < 10:
            database.offered.append([])
            message = "the driver lost count of its packets"
            raise RuntimeError(message)
        return await real_book(records)

    monkeypatch.setattr(database, "book", book)
    monkeypatch.setattr(journal.waiting, "read_back", read_back)
    with structlog.testing.capture_logs() as logged:
        task = asyncio.create_task(kept_going("booking", narrow.run))
        await asyncio.wait_for(narrow.drained(), 30)
        task.cancel()
    assert {line["event"] for line in logged if line["log_level"] == "error"} == {"task_restarted"}
    assert (most_at_once, credits["acme"].unbooked, journal.unbooked) == (1, 0, 0)


async def test_a_file_that_gets_its_last_calls_while_it_is_read_is_read_to_its_end(
    credits, database, tmp_path, monkeypatch
):
    journal = opened(tmp_path / "journal", segment_bytes=20_000)
    recorder = Recorder(database, journal, credits, BATCH, window=WINDOW)
    for index in range(WINDOW + 1):
        end(recorder, journal, credits, call(index))
    journal.flush()
    assert len(list((tmp_path / "journal").glob("*.log"))) == 1
    late = iter(range(WINDOW + 1, 30))
    real_read = backlog_module.Backlog._read_some

    def read_some(*arguments: object) -> object:
        found = real_read(*arguments)
        for index in late:  # the first of them are in the file that was read, the others in the next ones
            end(recorder, journal, credits, call(index))
            journal.flush()
        return found

    monkeypatch.setattr(backlog_module.Backlog, "_read_some", read_some)
    with structlog.testing.capture_logs() as logged:
        read = await journal.waiting.read_back(100)
    assert [record.call_id for record in read] == [call_id(index) for index in range(WINDOW, 30)]
    assert (logged, journal.waiting.on_disk, len(journal.waiting)) == ([], 0, 30)
    journal.close()


async def test_a_preallocated_file_that_is_written_while_it_is_read_is_read_as_far_as_it_was_written(
    credits, database, tmp_path, monkeypatch
):
    """The disk is full: records are written to the reserve, in which zeros stand behind the last one."""
    disk = Disk()
    with disk.in_place():
        journal = opened(tmp_path / "journal")
        recorder = Recorder(database, journal, credits, BATCH, window=WINDOW)
        disk.room = 0
        for index in range(WINDOW + 1):
            end(recorder, journal, credits, call(index))
            journal.flush()
        assert journal.is_overfull
        monkeypatch.setattr(backlog_module, "_WINDOW", journal._output._end + 100)
        late = iter(range(WINDOW + 1, WINDOW + 3))
        reads: list[int] = []

        class ReadWhileWritten(io.FileIO):
            def read(self, size: int = -1, /) -> bytes:
                reads.append(size)
                if len(reads) == 2:
                    for index in late:
                        end(recorder, journal, credits, call(index))
                    journal.flush()
                return super().read(size)

        monkeypatch.setattr(Path, "open", lambda path, *_arguments: ReadWhileWritten(path))
        found: list[CallRecord] = []
        with structlog.testing.capture_logs() as logged:
            while journal.waiting.on_disk:
                found += await journal.waiting.read_back(100)
                assert len(reads) < 20
    assert [record.call_id for record in found] == [call_id(index) for index in range(WINDOW, WINDOW + 3)]
    assert (logged, len(journal.waiting)) == ([], WINDOW + 3)


async def test_a_file_that_cannot_be_read_back_is_tried_again(narrow, journal, credits, monkeypatch):
    for index in range(20):
        end(narrow, journal, credits, call(index))
    faults = [OSError(5, "Input/output error")]
    real_open = Path.open

    def fails_once(path: Path, *arguments: object) -> object:
        if path.suffix == ".log" and faults:
            raise faults.pop()
        return real_open(path, *arguments)

    monkeypatch.setattr(Path, "open", fails_once)
    task = asyncio.create_task(narrow.run())
    with structlog.testing.capture_logs() as logged:
        await asyncio.wait_for(narrow.drained(), 30)
    task.cancel()
    assert [line["event"] for line in logged] == ["journal_not_read_back"]
    assert journal.unbooked == 0


async def test_the_depth_of_the_queue_is_shown_in_calls_megabytes_and_seconds(narrow, journal, credits, clock):
    for index in range(20):
        end(narrow, journal, credits, call(index))
    journal.flush()
    clock.move_to(clock.now().mono + 61_500)
    figures = census_of((narrow, journal))
    assert figures == {
        "cdr_queue": WINDOW, "spool_rows": 20, "spool_mb": 1, "spool_oldest_s": 61, "journal_short": 0,
        "journal_backlog": 0,
    }  # fmt: skip


async def test_the_oldest_call_counts_wherever_it_waits(narrow, journal, credits, clock):
    """As that of an account whose row another program holds, behind the calls of others."""
    narrow.add_oldest(call(1, ended_at=clock.now().wall - 10_000))
    narrow.add_oldest(call(2, ended_at=clock.now().wall - 90_000))
    end(narrow, journal, credits, call(3))
    assert census_of((narrow,))["spool_oldest_s"] == 90
    clock.move_to(clock.now().mono + 5_000)
    assert census_of((narrow,))["spool_oldest_s"] == 95


@pytest.mark.parametrize("by_hours", [-24, 24])
async def test_a_call_that_has_ended_just_now_does_not_wait_for_as_long_as_its_clock_was_wrong(
    narrow, journal, credits, clock, by_hours
):
    by_ms = by_hours * 3_600_000
    end(narrow, journal, credits, call(1, ended_at=clock.now().wall + by_ms))
    clock.move_to(clock.now().mono + 7_000)
    assert census_of((narrow,))["spool_oldest_s"] == 7
    clock.set_wall(by_ms)
    assert census_of((narrow,))["spool_oldest_s"] == 7
    task = asyncio.create_task(narrow.run())
    await asyncio.wait_for(narrow.drained(), 30)
    task.cancel()
    assert narrow._queued == {}


def test_a_long_queue_is_reported_once_and_so_is_its_end(narrow, journal, credits):
    with structlog.testing.capture_logs() as logged:
        for index in range(8):
            narrow.watch_length(10)
            end(narrow, journal, credits, call(index))
        assert logged == []
        narrow.watch_length(10)
        narrow.watch_length(10)
        narrow.watch_length(21)
    assert [(line["event"], line["waiting"]) for line in logged] == [("cdr_queue_long", 8), ("cdr_queue_short", 8)]


async def test_a_record_damaged_on_disk_is_reported_and_the_others_are_booked(narrow, journal, credits, tmp_path):
    for index in range(20):
        end(narrow, journal, credits, call(index))
    journal.flush()
    (file,) = (tmp_path / "journal").glob("*.log")
    content = file.read_bytes()
    place = content.index(b"+49300000" + b"0012")  # in the record of the thirteenth
    with file.open("r+b") as damaged:
        damaged.seek(place)
        damaged.write(b"damage")
    task = asyncio.create_task(narrow.run())
    with structlog.testing.capture_logs() as logged:
        await asyncio.wait_for(narrow.drained(), 30)
    task.cancel()
    (lost,) = [line for line in logged if line["event"] == "journal_record_unreadable"]
    assert lost["calls"] == [call_id(12)]
    assert journal.unbooked == 1
    journal.close()
    assert file.exists(), "the next start closes it by its answer"


async def test_calls_that_were_read_are_booked_where_the_disk_does_not_say_whether_the_others_are_there(
    narrow, journal, credits, tmp_path, database, monkeypatch
):
    for index in range(20):
        end(narrow, journal, credits, call(index))
    journal.flush()
    (file,) = (tmp_path / "journal").glob("*.log")
    content = file.read_bytes()
    file.write_bytes(content.replace(b"+49300000" + b"0012", b"damage" * 2 + b"!"))
    faults, real = [OSError(5, "Input/output error")], backlog_module.Backlog._report_lost

    def fails(_: Path) -> bool:
        raise faults.pop()

    def fails_once(backlog: backlog_module.Backlog) -> None:
        with monkeypatch.context() as meanwhile:
            if faults:
                meanwhile.setattr(Path, "exists", fails)
            real(backlog)

    monkeypatch.setattr(backlog_module.Backlog, "_report_lost", fails_once)
    task = asyncio.create_task(narrow.run())
    await asyncio.wait_for(narrow.drained(), 30)
    task.cancel()
    assert faults == []
    booked = [identity for batch in database.offered for identity in batch]
    assert booked == [call_id(index) for index in range(20) if index != 12]
    assert (journal.unbooked, journal.waiting.on_disk) == (1, 0)
    journal.close()


@pytest.mark.parametrize("are_later", [True, False], ids=["later calls wait", "none does"])
async def test_files_that_are_removed_hold_no_other_call_up(
    narrow, journal, credits, database, tmp_path, *, are_later: bool
):
    for index in range(20):
        end(narrow, journal, credits, call(index))
    journal.flush()
    shutil.rmtree(tmp_path / "journal")
    with structlog.testing.capture_logs() as logged:
        journal.tick(Instant(10_000, 1_790_000_010_000), has_calls=True)
        assert crash_and_read(tmp_path / "journal").unbooked.keys() == {call_id(index) for index in range(WINDOW)}
        if are_later:
            for index in range(20, 30):
                end(narrow, journal, credits, call(index))
        task = asyncio.create_task(narrow.run())
        await asyncio.wait_for(narrow.drained(), 30)
        end(narrow, journal, credits, call(30))
        await asyncio.wait_for(narrow.drained(), 30)
    task.cancel()
    booked = [*range(WINDOW), *range(20, 30 if are_later else 20), 30]
    assert [identity for batch in database.offered for identity in batch] == [call_id(index) for index in booked]
    assert [line["event"] for line in logged] == [
        "journal_removed", "journal_recovered", "journal_removed", "journal_removed",
    ]  # fmt: skip
    assert (logged[2]["not_in_memory"], logged[3]["lost_calls"]) == (14, 14)
    assert (journal.unbooked, journal.waiting.oldest_file) == (0, None)


async def test_a_call_that_is_being_read_back_still_waits(narrow, journal, credits):
    for index in range(100):
        end(narrow, journal, credits, call(index))
    reading = asyncio.create_task(journal.waiting.read_back(80))
    looks = 0
    while not reading.done():
        view = narrow.waiting()
        assert [index for index in range(100) if call_id(index) not in view] == []
        view.close()
        looks += 1
        await asyncio.sleep(0)
    assert looks > 1
    assert len(await reading) == 80
    journal.waiting.close()


async def test_calls_that_were_read_before_a_fault_of_the_disk_are_read_again(narrow, journal, credits, monkeypatch):
    for index in range(40):
        end(narrow, journal, credits, call(index))
    faults = [OSError(5, "Input/output error")]
    real_of = backlog_module.ended_of

    def fails_in_the_middle(frame: Frame) -> CallRecord | None:
        record = real_of(frame)
        if record is not None and record.call_id == call_id(20) and faults:
            raise faults.pop()
        return record

    monkeypatch.setattr(backlog_module, "ended_of", fails_in_the_middle)
    with pytest.raises(OSError, match="Input/output"):
        await journal.waiting.read_back(30)
    found = await journal.waiting.read_back(40)
    assert [record.call_id for record in found] == [call_id(index) for index in range(WINDOW, 40)]
    assert journal.waiting.on_disk == 0
    journal.waiting.close()


async def test_reading_that_is_cut_off_ends_with_its_thread_which_has_the_file(narrow, journal, credits, monkeypatch):
    for index in range(20):
        end(narrow, journal, credits, call(index))
    has_begun, may_go_on, real = threading.Event(), threading.Event(), backlog_module.ended_of

    def slow(frame: Frame) -> CallRecord | None:
        has_begun.set()
        may_go_on.wait(30)
        return real(frame)

    monkeypatch.setattr(backlog_module, "ended_of", slow)
    reading = asyncio.create_task(journal.waiting.read_back(6))
    assert await asyncio.to_thread(has_begun.wait, 30)
    reading.cancel()
    await turns(10)
    assert not reading.done()
    may_go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await reading
    journal.waiting.close()
