"""A start that finds copies of the ends of older files knows what it would know by reading the files."""

import errno
import os
import random
from decimal import Decimal
from pathlib import Path

import pytest
from doubles.data.records import answered_call, call_id
from doubles.journals import RESERVE_BYTES, new_journal, open_call, opened
from structlog.testing import capture_logs

from vosd.base.clock import Instant
from vosd.cdr.record import Posting
from vosd.engine.journal import Journal, Remains, replay, sealing
from vosd.engine.journal.earlier import read_segments
from vosd.engine.journal.ends import Ends, EndsBeingRead
from vosd.engine.journal.entries import id_bytes
from vosd.engine.journal.files import DAMAGED, ENDS, IN_USE, UNBOOKED, listed, numbered
from vosd.engine.journal.frames import framed
from vosd.engine.journal.released import LATE_MS
from vosd.processes.whole_file import DRAFT

SEGMENT = 20_000
FOREIGN = framed(77, bytes(16), 0, b"of a later version")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "PAUSE_S", 0)
    monkeypatch.setattr(replay, "UNBOOKED_IN_MEMORY", 3)


def fill(journal: Journal, calls: int, *, first: int = 0, seed: int = 1) -> None:
    """Let calls be answered, end and be booked, in any order; every tenth goes on."""
    draw = random.Random(seed)
    running: list[int] = []
    ended: list[str] = []
    for index in range(first, first + calls):
        journal.answered(open_call(index, 1_000 + index))
        running.append(index)
        draw.shuffle(running)
        while len(running) > 5:
            one = running.pop()
            if one % 10:
                journal.ended(answered_call(one, customer_account=f"a{one % 3}", fee=Decimal(one)))
                ended.append(call_id(one))
        if draw.random() < 0.2 and ended:
            done = draw.sample(ended, len(ended) // 3)
            journal.booked(done)
            ended = [each for each in ended if each not in done]
        journal.tick(Instant(2_000 + index, 9_000 + index), has_calls=True)


def read(directory: Path) -> Remains:
    return read_segments(listed(directory, IN_USE, UNBOOKED))


def known(remains: Remains) -> tuple[object, ...]:
    """Return what the next run goes by, wherever the records are."""
    owed: dict[str, Decimal] = {}
    for _, sums in remains.owed_on_disk:
        for account, amount in sums.items():
            owed[account] = owed.get(account, Decimal(0)) + amount
    for record in remains.unbooked.values():
        for posting in record.postings:
            if posting.amount < 0:
                owed[posting.account] = owed.get(posting.account, Decimal(0)) + posting.amount
    waiting = {id_bytes(each) for each in remains.unbooked} | remains.on_disk.keys()
    return remains.open_calls, waiting, {name: owed[name] for name in owed if owed[name]}, remains.last_mono


def test_a_file_owes_what_its_calls_take_once_and_nothing_of_what_partners_earn():
    found, (one, other) = EndsBeingRead(), (id_bytes(call_id(number)) for number in (1, 2))
    for fee in ("-3.00", "-1.20"):  # the record of a call that is written anew replaces the one before
        found.ended(one, [Posting("acme", Decimal(fee), "1"), Posting("partner", Decimal("0.50"), "1")])
    found.ended(other, [Posting("acme", Decimal("-0.40"), "2"), Posting("carrier", Decimal("-0.30"), "2")])
    ends = found.whole(0)
    assert ends.owed == ends.taken_by([one, other]) == {"acme": Decimal("-1.60"), "carrier": Decimal("-0.30")}
    assert ends.taken_by([one]) == {"acme": Decimal("-1.20")}
    found.settled([one])
    left = found.whole(0)
    assert left.taken_by([other]) == {"acme": Decimal("-0.40"), "carrier": Decimal("-0.30")}


@pytest.mark.parametrize("seed", range(8))
async def test_a_start_knows_the_same_with_and_without_the_copies(directory, seed):
    journal = opened(directory, segment_bytes=SEGMENT)
    fill(journal, 120, seed=seed)
    await journal.sealing.seal()
    fill(journal, 60, first=200, seed=seed)
    copies = [*directory.glob(f"*{ENDS}")]
    assert len(copies) >= 3
    with_copies = read(directory)
    for copy in copies:
        copy.unlink()
    without = read(directory)
    assert known(with_copies) == known(without)
    assert with_copies.on_disk
    assert with_copies.open_calls


def test_what_a_file_owes_is_of_calls_that_have_ended_an_hour_after_the_last_of_them_began():
    """The copy of the file does not say when: a spend limit counts them in the hour in which nearly all have ended."""
    remains, calls = Remains(), [id_bytes(call_id(number)) for number in (1, 2)]
    found = EndsBeingRead()
    for call in calls:
        found.ended(call, [Posting("acme", Decimal("-0.40"), "1")])
    remains.take_ends(7, found.whole(0))
    remains.add_up()
    began_ms = max(int(each.hex()[:12], 16) for each in calls)
    assert remains.owed_on_disk == [(began_ms + 3_600_000, {"acme": Decimal("-0.80")})]


async def test_a_file_with_a_copy_is_not_read(directory):
    journal = opened(directory, segment_bytes=SEGMENT)
    fill(journal, 120)
    await journal.sealing.seal()
    expected = known(read(directory))
    (oldest, *_) = listed(directory, IN_USE)
    oldest.write_bytes(bytes(oldest.stat().st_size))
    assert known(read(directory)) == expected
    oldest.write_bytes(bytes(SEGMENT))
    assert known(read(directory)) != expected, "the copy is not that of a file of another size"


async def test_a_copy_of_a_file_that_was_damaged_since_is_used_once(directory):
    """The next start but one knows of the damage, and keeps the file for the operator."""
    journal = opened(directory, segment_bytes=SEGMENT)
    fill(journal, 120)
    await journal.sealing.seal()
    (oldest, *_) = listed(directory, IN_USE)
    oldest.write_bytes(b"\xff" * oldest.stat().st_size)
    again = opened(directory)
    await again.waiting.read_back(1_000)
    assert again.waiting.on_disk == 0
    assert len(again.waiting) > 0
    remains = new_journal(directory).open()
    assert oldest.stem in {path.stem for path in remains.damaged}


async def test_a_damaged_copy_is_not_used(directory):
    journal = opened(directory, segment_bytes=SEGMENT)
    fill(journal, 120)
    await journal.sealing.seal()
    expected = known(read(directory))
    (copy, *_) = sorted(directory.glob(f"*{ENDS}"))
    content = bytearray(copy.read_bytes())
    content[len(content) // 2] ^= 1
    copy.write_bytes(content)
    with capture_logs() as log:
        assert known(read(directory)) == expected
    assert [line["event"] for line in log] == ["journal_ends_unusable"]


async def test_nothing_behind_a_damaged_file_gets_a_copy(directory):
    """What the file has of running calls is needed to close those whose ends are damaged."""
    journal = opened(directory, segment_bytes=SEGMENT)
    fill(journal, 200)
    files = listed(directory, IN_USE)
    with files[1].open("r+b") as file:
        file.seek(files[1].stat().st_size // 2)
        file.write(b"damage")
    with capture_logs() as log:
        await journal.sealing.seal()
        await journal.sealing.seal()
    assert [path.stem for path in directory.glob(f"*{ENDS}")] == [files[0].stem]
    assert [line["event"] for line in log] == ["journal_file_not_sealed"]


async def test_a_copy_goes_with_its_file(directory):
    journal = opened(directory, segment_bytes=SEGMENT)
    fill(journal, 60)
    await journal.sealing.seal()
    assert [*directory.glob(f"*{ENDS}")]
    for later in range(100):  # until the open calls are in the newest file
        journal.tick(Instant(3_000 + later, 10_000 + later), has_calls=True)
    journal.booked([call_id(index) for index in range(60)])
    assert not [*directory.glob(f"*{ENDS}")]


async def test_files_of_an_earlier_run_get_copies_too_and_those_without_a_file_are_removed(directory):
    journal = opened(directory, segment_bytes=SEGMENT)
    fill(journal, 60)
    (directory / f"journal-00000099{ENDS}").write_bytes(b"")
    (directory / f"journal-00000001{DRAFT}").write_bytes(b"cut off by a kill")
    again = opened(directory, segment_bytes=SEGMENT)
    assert listed(directory, UNBOOKED)
    assert not [*directory.glob(f"*{DRAFT}")]
    await again.sealing.seal()
    assert {path.stem for path in directory.glob(f"*{ENDS}")} == {path.stem for path in listed(directory, UNBOOKED)}
    third = new_journal(directory)
    assert set(third.open().left_in) <= {*again.waiting.files()}


async def test_in_normal_operation_no_copy_is_written(directory):
    journal = opened(directory, segment_bytes=SEGMENT)
    for index in range(60):
        journal.answered(open_call(index))
        journal.ended(answered_call(index))
        journal.booked([call_id(index)])
    assert journal.sealing.due() == []


async def test_a_file_of_unbooked_calls_with_records_of_another_version_is_kept_for_it(directory):
    """It may hold ended calls of which no other file has the records."""
    journal = opened(directory)
    for index in range(8):
        journal.ended(answered_call(index))
    journal.flush()
    opened(directory)  # after a kill: the calls stay in a file of which only ends count
    (left,) = listed(directory, UNBOOKED)
    with left.open("ab") as file:
        file.write(FOREIGN)
    with capture_logs() as log:
        journal = opened(directory)
    assert [line["file"] for line in log if line["event"] == "journal_file_set_aside"] == [left.name]
    await journal.sealing.seal()
    assert not left.with_suffix(ENDS).exists()
    journal.booked([record.call_id for record in await journal.waiting.read_back(8)])
    assert [path.stem for path in listed(directory, DAMAGED)] == [left.stem]
    assert not listed(directory, UNBOOKED)


async def test_a_file_is_read_whole_for_as_long_as_its_ends_may_be_in_doubt(directory):
    """A leg over TCP is asked again for 32 s; with a copy of the ends alone it would be forgotten."""
    at_s = 1_000.0
    journal = opened(directory, segment_bytes=SEGMENT)
    journal.sealing._clock_s = lambda: at_s
    fill(journal, 40)
    at_s += sealing.LATER_S - 1
    fill(journal, 40, first=100)
    assert sealing.LATER_S > LATE_MS / 1_000
    await journal.sealing.seal(sealing.LATER_S)
    assert not [*directory.glob(f"*{ENDS}")]
    at_s += 1
    early = journal.sealing.due(sealing.LATER_S)
    assert early
    assert early[-1] < journal.sealing.due()[-1]


# -- failures of the disk ------------------------------------------------------------------------------------------


def fail_once(journal: Journal, at: int) -> None:
    """Let a sync fail: the journal goes on in its reserve, and a tick later in a new file."""
    journal._output.sync_failed(OSError(errno.EIO, os.strerror(errno.EIO)))
    journal.ended(answered_call(at))
    journal.tick(Instant(2_000 + at, 9_000 + at), has_calls=True)
    assert not journal.is_short


@pytest.mark.parametrize("seed", range(4))
async def test_files_before_and_behind_a_failure_of_the_disk_get_copies_too(directory, seed):
    journal = opened(directory, segment_bytes=SEGMENT)
    fill(journal, 60, seed=seed)
    fail_once(journal, 90)
    fill(journal, 120, first=100, seed=seed)
    journal.tick(Instant(9_000, 90_000), has_calls=True)  # the newest file has all open calls
    await journal.sealing.seal()
    newest = journal._output.number
    assert {path.stem for path in directory.glob(f"*{ENDS}")} == {
        path.stem for path in listed(directory, IN_USE) if numbered(path) < newest
    }
    with_copies = read(directory)
    for copy in directory.glob(f"*{ENDS}"):
        copy.unlink()
    assert known(with_copies) == known(read(directory))


async def test_files_get_copies_where_the_name_of_one_was_taken(directory):
    journal = opened(directory, segment_bytes=SEGMENT)
    fill(journal, 60)
    taken = journal._files.path(journal._output.number + 1)
    taken.touch()
    fill(journal, 60, first=100)
    await journal.sealing.seal()
    copies = {path.stem for path in directory.glob(f"*{ENDS}")}
    assert taken.stem in copies
    assert journal._files.path(numbered(taken) + 1).stem in copies


async def test_a_damaged_reserve_keeps_the_file_before_it_from_getting_a_copy(directory):
    """The reserve has the end of a call, and that file has all else of it."""
    journal = opened(directory, segment_bytes=SEGMENT)
    fill(journal, 60)
    before = journal._files.path(journal._output.number)
    fail_once(journal, 90)
    fill(journal, 60, first=100)
    reserve = journal._files.path(numbered(before) + 1)
    content = bytearray(reserve.read_bytes())
    content[200] ^= 0xFF
    reserve.write_bytes(content)
    with capture_logs() as log:
        await journal.sealing.seal()
    copies = {path.stem for path in directory.glob(f"*{ENDS}")}
    assert copies
    assert max(copies) < before.stem
    assert [line["file"] for line in log if line["event"] == "journal_file_not_sealed"] == [reserve.name]


async def test_all_that_replaces_a_file_is_synced_before_its_copy_is_written(directory, monkeypatch):
    journal = opened(directory, segment_bytes=SEGMENT)
    journal.ended(answered_call(1))
    fail_once(journal, 90)
    oldest, reserve, whole = listed(directory, IN_USE)
    synced: list[Path] = []
    written: list[tuple[Path, set[Path]]] = []
    real_sync, real_write = os.fdatasync, sealing.write_ends

    def sync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        real_sync(descriptor)

    def write(file: Path, ends: Ends) -> None:
        written.append((file, set(synced)))
        synced.clear()
        real_write(file, ends)

    monkeypatch.setattr(os, "fdatasync", sync)
    monkeypatch.setattr(sealing, "write_ends", write)
    await journal.sealing.seal()
    assert written == [(reserve, {whole}), (oldest, {reserve, whole})]


async def test_of_a_reserve_with_a_copy_only_what_was_written_stays_on_the_disk(directory):
    journal = opened(directory)
    journal.ended(answered_call(1))
    fail_once(journal, 90)
    _, reserve, _ = listed(directory, IN_USE)
    assert reserve.stat().st_size == RESERVE_BYTES
    await journal.sealing.seal()
    assert reserve.with_suffix(ENDS).exists()
    assert reserve.stat().st_size < RESERVE_BYTES // 4
    assert known(read(directory))[1] == {id_bytes(call_id(1)), id_bytes(call_id(90))}
