"""A file of the journal that is begun gets the open calls some at a time, and a kill in between loses none of them."""

from pathlib import Path

import pytest
from doubles.data.records import answered_call, call_id
from doubles.journals import crash_and_read, files_of, open_call, opened
from doubles.left_legs import CALLER_SIDE, DIALOG

from vosd.base.clock import Instant
from vosd.callcontrol.open_call import Description
from vosd.engine.journal import Remains
from vosd.engine.journal.files import KeepSettings
from vosd.engine.journal.journal import AT_ONCE, STAY_TICKS

CALLS = 5 * AT_ONCE
ANSWERED, MARKED = 90_000, 100_000
"""On the monotonic clock, which shows 1,000 when the process begins."""
LEGS = Description((DIALOG, CALLER_SIDE))
FIRST, SECOND = "journal-00000001.log", "journal-00000002.log"


@pytest.fixture
def described() -> list[str]:
    return []


@pytest.fixture
def journal(directory, described):
    """A journal that has just begun its second file, with many open calls."""

    def describe(call: str) -> Description:
        described.append(call)
        return LEGS

    journal = opened(directory, keep=KeepSettings(keep_minutes=0))
    journal.describe = describe
    for index in range(CALLS):
        journal.answered(open_call(index, ANSWERED), LEGS)
        journal.acknowledged(call_id(index), ANSWERED)
    journal.mark(Instant(MARKED, MARKED))
    journal._segment_bytes = 1
    journal.flush()
    journal._segment_bytes = 64 * 1024 * 1024
    return journal


def all_calls_in(directory: Path) -> Remains:
    """Return what another run would find: of every call, the time that it has talked."""
    remains = crash_and_read(directory)
    assert {call.answered_mono for call in remains.open_calls.values()} == {ANSWERED}
    assert (remains.last_mono, remains.shifts) == (MARKED, {})
    return remains


def write_something(journal) -> None:
    journal.mark(Instant(MARKED, MARKED))
    journal.flush()


def test_no_turn_writes_more_than_some_and_the_older_file_stays_until_all_are_there(journal, directory, described):
    everything = {call_id(index) for index in range(CALLS)}
    assert len(described) == AT_ONCE
    while len(described) < CALLS:
        assert files_of(directory) == [FIRST, SECOND]
        assert all_calls_in(directory).open_calls.keys() == everything
        before = len(described)
        write_something(journal)
        assert len(described) - before == AT_ONCE
    assert files_of(directory) == [SECOND]
    assert all_calls_in(directory).open_calls.keys() == everything
    write_something(journal)
    assert len(described) == CALLS


def test_without_traffic_they_are_written_once_a_second(journal, directory, described):
    journal.tick(Instant(MARKED + 1_000, MARKED + 1_000), has_calls=True)
    assert (len(described), files_of(directory)) == (CALLS, [SECOND])


def test_of_a_call_that_ends_before_its_turn_the_legs_stay_known(journal, directory, described):
    last = CALLS - 1
    end = answered_call(last, hangup_source="callee")
    journal.ended(end)
    while len(described) < CALLS - 1:
        write_something(journal)
    for _ in range(STAY_TICKS):
        journal.booked([end.call_id])
        remains = crash_and_read(directory)
        assert len(remains.open_calls) == CALLS - 1
        assert (end.call_id, (CALLER_SIDE,)) in [(each.call_id, each.dialogs) for each in remains.legs()]
        assert files_of(directory) == [FIRST, SECOND]
        journal.tick(Instant(MARKED + 1_000, MARKED + 1_000), has_calls=True)
    journal.booked([])
    assert files_of(directory) == [SECOND]


def test_a_stop_in_between_keeps_all(journal, directory):
    journal.keep(Instant(MARKED + 2_000, MARKED + 2_000), {call_id(index): LEGS for index in range(CALLS)}, {}, b"")
    journal.tick(Instant(MARKED + 3_000, MARKED + 3_000), has_calls=True)
    journal.flush()
    remains = crash_and_read(directory)
    assert remains.kept is not None
    assert len(remains.open_calls) == CALLS
