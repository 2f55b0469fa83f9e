"""Instants in a journal after a boot of the machine, and after a step of its wall clock shortly before."""

from pathlib import Path

import pytest
from doubles.data.records import answered_call, call_id
from doubles.journals import begun, crash_and_read, new_journal, open_call, write_ended
from doubles.left_legs import CALLER_SIDE, DIALOG

from vosd.base.clock import Instant
from vosd.callcontrol.open_call import UNDESCRIBED, Description
from vosd.engine.journal import Journal, Remains

UP_MS, DOWN_MS, TALKED_MS = 1_000_000, 60_000, 60_000
"""Times of the machine: up before the first run, then down; and of its calls."""
HOUR_MS = 3_600_000


def start(directory: Path, boot: str, now: Instant) -> tuple[Journal, Remains]:
    """Start a switch; the files of the earlier run stay until ``settle``."""
    journal = new_journal(directory)
    remains = journal.open()
    begun(remains, journal, now, boot)
    return journal, remains


def connected(journal: Journal, index: int, mono: int) -> None:
    """Connect a call that its caller has acknowledged."""
    journal.answered(open_call(index, mono), Description((DIALOG, CALLER_SIDE)))
    journal.acknowledged(call_id(index), mono)
    journal.mark(Instant(mono, mono))


def test_a_side_that_was_hung_up_after_a_boot_is_hung_up_again_after_a_kill_and_none_of_before(tmp_path):
    """The clock of the boot before was far ahead: by it, whatever has ended since would have ended long ago."""
    first, _ = start(tmp_path, "one", Instant(UP_MS, UP_MS))
    connected(first, 1, UP_MS)
    write_ended(first, answered_call(1, hangup_source="callee"))
    booted_at = UP_MS + TALKED_MS + DOWN_MS
    second, remains = start(tmp_path, "two", Instant(10_000, booted_at + 10_000))
    assert [each.call_id for each in remains.legs()] == [call_id(1)]
    connected(second, 2, 11_000)
    write_ended(second, answered_call(2, hangup_source="callee"))
    assert [(each.call_id, each.dialogs) for each in crash_and_read(tmp_path).legs()] == [(call_id(2), (CALLER_SIDE,))]


@pytest.mark.parametrize("step_ms", [HOUR_MS, 0, -HOUR_MS])
def test_a_step_of_the_wall_clock_before_a_stop_is_no_time_that_a_kept_call_has_talked(tmp_path, step_ms):
    """A time server has set the clock after the last mark; the machine boots while the switch is stopped."""
    journal, _ = start(tmp_path, "one", Instant(UP_MS, UP_MS))
    connected(journal, 1, UP_MS)
    stopped = Instant(UP_MS + TALKED_MS, UP_MS + TALKED_MS + 2 * HOUR_MS + step_ms)
    journal.mark(Instant(UP_MS + TALKED_MS - 1_000, UP_MS + TALKED_MS - 1_000 + 2 * HOUR_MS))
    journal.keep(stopped, {call_id(1): UNDESCRIBED}, {}, b"")
    journal.close()
    _, remains = start(tmp_path, "two", Instant(10_000, stopped.wall + DOWN_MS + 10_000))
    (call,) = remains.open_calls.values()
    assert 10_000 - remains.last_mono == DOWN_MS + 10_000
    assert remains.last_mono - call.answered_mono == TALKED_MS
