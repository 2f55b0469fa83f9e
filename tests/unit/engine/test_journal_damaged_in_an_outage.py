"""End records that are damaged while many calls wait for the database: their calls end by what else is known."""

from collections.abc import Callable
from pathlib import Path

import pytest
from doubles.data.records import answered_call, call_id, rejected
from doubles.journals import begun, crash_and_read, files_of, new_journal, open_call, opened, write_ended
from doubles.recording import Database
from doubles.small_disk import Disk

from vosd.base.clock import Instant
from vosd.callcontrol.bookkeeping import lost
from vosd.engine.booking.balances import Balances
from vosd.engine.booking.recorder import Recorder
from vosd.engine.earlier_run import recover
from vosd.engine.journal import Journal, Remains, replay
from vosd.engine.journal.earlier import read_earlier
from vosd.engine.journal.ends import ends_beside
from vosd.engine.journal.entries import ended_frame, id_bytes
from vosd.engine.journal.files import DAMAGED, IN_USE, UNBOOKED, listed, numbered
from vosd.engine.journal.frames import framed
from vosd.engine.settings import CdrSettings

CALLS, DAMAGED_CALL = 8, 6
ANSWERED, LASTED = 5_000, 60_000
DAYS = 864_000_000

Damage = Callable[[bytearray, int, int], None]
"""Damages a file at the end record that begins and ends at these bytes."""


@pytest.fixture(autouse=True)
def few_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "UNBOOKED_IN_MEMORY", 2)


def start(directory: Path, now: Instant, boot: str = "one boot") -> tuple[Journal, Remains]:
    """Start a switch that closes and books as every start does."""
    journal, database = new_journal(directory), Database()
    remains = journal.open()
    begun(remains, journal, now, boot)
    balances = Balances(database.store)
    recover(
        remains,
        journal,
        Recorder(database, journal, {}, CdrSettings()),
        balances,
        lambda _remains: None,
        lambda _closed: None,
    )
    journal.flush()
    return journal, remains


def first_run(directory: Path) -> Journal:
    """Answer calls and end them, and be killed."""
    journal = opened(directory)
    for index in range(CALLS):
        journal.answered(open_call(index, ANSWERED))
    for index in range(CALLS):
        journal.ended(answered_call(index))
    journal.tick(Instant(ANSWERED + LASTED + 1_000, ANSWERED + LASTED + 1_000), has_calls=True)
    return journal


def in_payload(data: bytearray, begin: int, end: int) -> None:
    data[(begin + end) // 2] ^= 1


def all_of_it(data: bytearray, begin: int, end: int) -> None:
    """Leave nothing but what the next mark of time says."""
    data[begin:end] = b"\xff" * (end - begin)


def damage(path: Path, how: Damage = in_payload, index: int = DAMAGED_CALL) -> None:
    """Damage the record of the end of a call."""
    data, record = bytearray(path.read_bytes()), ended_frame(answered_call(index), 0)
    place = data.index(record[60:160])
    how(data, place - 60, place - 60 + len(record))
    path.write_bytes(data)


@pytest.mark.parametrize("how", [in_payload, all_of_it])
@pytest.mark.parametrize(("mono", "boot"), [(200_000, "one boot"), (10_000, "another boot")], ids=["killed", "booted"])
async def test_a_call_whose_end_record_was_damaged_ends_as_lost_when_it_ended(directory, how, mono, boot):
    first_run(directory)
    second, _ = start(directory, Instant(100_000, DAYS))
    (left,) = listed(directory, UNBOOKED)
    damage(left, how)
    found = [record.call_id for record in await second.waiting.read_back(CALLS)]
    assert found == [call_id(index) for index in range(2, CALLS) if index != DAMAGED_CALL]
    assert second.unbooked == CALLS

    third, remains = start(directory, Instant(mono, 2 * DAYS), boot)
    assert remains.cut.keys() == {call_id(DAMAGED_CALL)}
    (cut,) = remains.cut.values()
    record = lost(cut.call, cut.ended_mono)
    assert (record.end_reason, record.hold_time_ms) == ("Lost", LASTED)
    assert record.ended_at == answered_call(DAMAGED_CALL).ended_at
    assert third.unbooked == CALLS

    _, remains = start(directory, Instant(mono + 1_000, 2 * DAYS + 1_000), boot)
    assert remains.cut == {}, "its record is in the file of the third run"
    waiting = {*map(id_bytes, remains.unbooked), *remains.on_disk}
    assert waiting == {id_bytes(call_id(index)) for index in range(CALLS)}


async def test_a_call_in_quarantine_does_not_wait_again_where_the_file_of_its_end_is_read_once_more(directory):
    """It would be refused a second time, or booked beside the record that a person has repaired."""
    await first_run(directory).refused(rejected("a name too long", answered_call(1)))
    start(directory, Instant(100_000, DAYS))
    assert len(listed(directory, UNBOOKED)) == 1
    _, remains = start(directory, Instant(200_000, DAYS))
    waiting = {*map(id_bytes, remains.unbooked), *remains.on_disk}
    assert waiting == {id_bytes(call_id(index)) for index in range(CALLS) if index != 1}


async def test_the_damaged_file_is_set_aside_when_its_other_calls_are_booked(directory):
    first_run(directory)
    start(directory, Instant(100_000, DAYS))
    damage(listed(directory, UNBOOKED)[0])
    third, remains = start(directory, Instant(200_000, DAYS))
    third.booked([*remains.unbooked, call_id(DAMAGED_CALL)])
    third.booked([record.call_id for record in await third.waiting.read_back(CALLS)])
    assert third.unbooked == 0
    assert not listed(directory, UNBOOKED)
    assert len(listed(directory, DAMAGED)) == 1
    assert read_earlier(directory).remains.cut == {}


async def test_a_call_that_was_booked_since_is_not_closed_once_more(directory):
    first_run(directory)
    second, _ = start(directory, Instant(100_000, DAYS))
    for record in await second.waiting.read_back(CALLS):
        if record.call_id == call_id(DAMAGED_CALL):
            second.booked([record.call_id])
    damage(listed(directory, UNBOOKED)[0])
    assert read_earlier(directory).remains.cut == {}


async def test_a_copy_of_the_ends_of_a_newer_file_says_that_it_is_booked_or_has_its_record(directory):
    first_run(directory)
    second, _ = start(directory, Instant(100_000, DAYS))
    for record in await second.waiting.read_back(CALLS):
        if record.call_id == call_id(DAMAGED_CALL):
            second.booked([record.call_id])
    write_ended(second, answered_call(3))
    second._begin_segment()
    damage(listed(directory, UNBOOKED)[0], index=3)
    damage(listed(directory, UNBOOKED)[0])
    await second.sealing.seal()
    (sealed,) = [path for path in listed(directory, IN_USE) if ends_beside(path)]
    remains = read_earlier(directory).remains
    assert remains.cut == {}
    assert remains.on_disk[id_bytes(call_id(3))] == numbered(sealed)


async def test_an_answer_in_the_file_before_is_found(directory):
    """A call that ended before it was written to the file that was begun, as a full disk moves ends to the reserve."""
    disk = Disk()
    with disk.in_place():
        journal = opened(directory)
        for index in range(CALLS):
            journal.answered(open_call(index, ANSWERED))
        disk.room = 0
        for index in range(CALLS):
            write_ended(journal, answered_call(index))
    assert len(files_of(directory)) == 2
    start(directory, Instant(100_000, DAYS))
    assert len(crash_and_read(directory).unbooked) == 0
    left = listed(directory, UNBOOKED)[-1]
    damage(left)
    assert read_earlier(directory).remains.cut.keys() == {call_id(DAMAGED_CALL)}


async def test_a_record_of_another_version_is_no_damage(directory):
    first_run(directory)
    start(directory, Instant(100_000, DAYS))
    (left,) = listed(directory, UNBOOKED)
    whole = ended_frame(answered_call(DAMAGED_CALL), ANSWERED + LASTED)
    data = left.read_bytes()
    foreign = framed(2, whole[5:21], ANSWERED + LASTED, b"\x81\xa4type\xa5other")
    left.write_bytes(data.replace(whole, foreign))
    damage(left, index=3)
    remains = read_earlier(directory).remains
    assert remains.cut.keys() == {call_id(3)}
