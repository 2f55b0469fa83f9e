"""Every running call has room for its end in the reserve, whatever else is written there (ADR 82)."""

import os

import pytest
from doubles.data.builders import applied_rate
from doubles.data.records import answered_call, call_id
from doubles.ended_calls import ended_call, open_call as rated_call
from doubles.journals import RESERVE_BYTES, crash_and_read, files_of, new_journal, open_call, opened, write_ended

from vosd.base.clock import Instant
from vosd.billing.parties import CallSide, Party
from vosd.engine.journal import output as output_module
from vosd.engine.journal.files import IN_USE, listed
from vosd.engine.journal.journal import SPARED_MARKS
from vosd.engine.journal.output import END_BYTES

LATER = Instant(10_000, 1_790_000_010_000)
PLENTY = 10**9
MANY = 2 * RESERVE_BYTES // END_BYTES
"""More calls than a reserve of the first size has room for."""


def test_the_reserve_has_room_for_the_ends_of_all_calls_however_many(directory, disk):
    journal = opened(directory)
    for index in range(MANY):
        assert journal.answered(open_call(index))
    disk(0)
    for index in range(MANY):
        write_ended(journal, answered_call(index))
    remains = crash_and_read(directory)
    assert (remains.open_calls, len(remains.unbooked)) == ({}, MANY)


def test_the_charges_of_agents_have_room_as_well(directory, disk):
    """A call of a customer with ten agents above it leaves a record of 10 kB."""
    agents = tuple(Party(f"reseller-{level}", CallSide.AGENT, level, applied_rate("0.50")) for level in range(1, 11))
    rates = applied_rate("0.60"), applied_rate("0.30")
    journal = opened(directory)
    count = RESERVE_BYTES // END_BYTES - 8
    for index in range(count):
        assert journal.answered(rated_call(index, *rates, agents))
    disk(0)
    for index in range(count):
        write_ended(journal, ended_call(index, *rates, agents))
    remains = crash_and_read(directory)
    assert (remains.open_calls, len(remains.unbooked)) == ({}, count)
    assert journal._ends == 0


def test_the_reserve_is_enlarged_each_second_before_a_call_needs_it(directory):
    journal = opened(directory)
    reserve = directory / "reserve"
    for index in range(RESERVE_BYTES // END_BYTES * 3 // 4):
        journal.answered(open_call(index))
    assert reserve.stat().st_size == RESERVE_BYTES
    journal.tick(LATER, has_calls=True)
    assert reserve.stat().st_size == 2 * RESERVE_BYTES


def test_no_more_calls_are_taken_than_have_room_for_their_ends_and_more_once_there_is(directory, disk, logged):
    journal = opened(directory)
    full = disk(RESERVE_BYTES)
    count = overfull_at = 0
    while journal.answered(open_call(count)):
        count += 1
        journal.tick(LATER, has_calls=True)
        overfull_at = overfull_at or journal.is_overfull * count
    assert count == RESERVE_BYTES // END_BYTES - 1
    assert overfull_at < count, "calls that ring are answered while new ones are refused"
    journal.ended(answered_call(0))
    journal.tick(LATER, has_calls=True)
    assert journal.is_overfull, "a call may not come for each that goes: the alarm would come and go as well"
    for index in range(1, count // 3):
        journal.ended(answered_call(index))
    journal.tick(LATER, has_calls=True)
    assert not journal.is_overfull
    full.room = PLENTY
    assert all(journal.answered(open_call(100 + index)) for index in range(MANY))
    assert [line["event"] for line in logged] == ["journal_reserve_missing", "journal_recovered"]


def test_what_is_no_end_takes_no_room_of_ends(directory, disk):
    """A full disk for ten minutes: marks each second, calls that change, calls of the backlog that are booked."""
    calls = RESERVE_BYTES // END_BYTES - 8
    journal = opened(directory)
    for index in range(1_000, 1_300):
        journal.ended(answered_call(index))
    for index in range(calls):
        assert journal.answered(open_call(index))
    disk(0)
    for second in range(600):
        journal.moved(call_id(second % calls), at_once=True)
        journal.tick(Instant(10_000 + 1_000 * second, 1_790_000_010_000 + 1_000 * second), has_calls=True)
    for index in range(1_000, 1_300):
        journal.booked([call_id(index)])
    assert crash_and_read(directory).last_mono > 10_000 + 1_000 * (599 - SPARED_MARKS), "else no call would go on"
    for index in range(calls):
        write_ended(journal, answered_call(index))
    assert crash_and_read(directory).open_calls == {}


def test_a_file_is_not_begun_where_what_it_begins_with_would_take_the_room_of_the_ends(directory, disk, logged):
    journal = opened(directory, segment_bytes=20_000)
    for index in range(12):
        journal.answered(open_call(index))
    before = files_of(directory)
    disk(30_000)
    for index in range(100, 108):
        write_ended(journal, answered_call(index))
    assert files_of(directory) == before
    assert not journal.is_overfull
    assert {(line["event"], line["error"]) for line in logged} == {
        ("journal_file_not_created", "the disk has no room for it")
    }


def test_a_disk_recovers_only_where_a_file_with_all_calls_has_room(directory, disk):
    journal = opened(directory)
    for index in range(12):
        journal.answered(open_call(index))
    full = disk(0)
    journal.mark(LATER)
    journal.flush()
    full.room = 2 * RESERVE_BYTES + 10_000
    for _ in range(2):
        journal.tick(LATER, has_calls=True)
    assert journal.is_overfull
    full.room = PLENTY
    journal.tick(LATER, has_calls=True)
    assert not journal.is_overfull


@pytest.mark.parametrize("is_left", [False, True])
def test_a_start_on_a_full_disk_has_as_much_room_for_ends_as_there_is(directory, disk, logged, is_left):
    """The blocks of a reserve that is removed go to the program that writes next, such as a database: it is kept."""
    journal = opened(directory)
    for index in range(3):
        journal.answered(open_call(index))
    if is_left:
        os.truncate(directory / "reserve", RESERVE_BYTES // 2)
    else:
        (directory / "reserve").unlink()
    full = disk(10_000 if is_left else RESERVE_BYTES // 2 + 10_000)
    again = new_journal(directory)
    for call in again.open().open_calls.values():
        again.resumed(call)
    again.settle()
    [line] = logged
    assert (line["event"], line["running_calls"], line["room_for_ends"]) == (
        "journal_reserve_missing", 3, RESERVE_BYTES // 2 // END_BYTES,
    )  # fmt: skip
    assert again.is_overfull
    full.room = 0
    for index in range(3):
        write_ended(again, answered_call(index))
    assert crash_and_read(directory).unbooked.keys() == {call_id(index) for index in range(3)}


def test_a_start_releases_what_earlier_reserves_did_not_use(directory, disk, logged):
    journal = opened(directory)
    journal.answered(open_call(1))
    full = disk(0)
    write_ended(journal, answered_call(2))
    used = listed(directory, IN_USE)[-1]
    assert used.stat().st_size == RESERVE_BYTES
    real = full.posix_fallocate

    def freed(*arguments: int) -> None:
        full.room = RESERVE_BYTES // 4 if used.stat().st_size == RESERVE_BYTES else 2 * RESERVE_BYTES
        real(*arguments)

    output_module.os.posix_fallocate = freed
    again = new_journal(directory)
    remains = again.open()
    assert (remains.open_calls.keys(), remains.unbooked.keys()) == ({call_id(1)}, {call_id(2)})
    assert used.stat().st_size < RESERVE_BYTES
    assert crash_and_read(directory).unbooked.keys() == {call_id(2)}
    assert [line["event"] for line in logged] == ["journal_write_failed"]
