"""A switch that is killed again before it has marked the time: what the run before it has proven holds."""

from pathlib import Path

from doubles.journals import begun, crash_and_read, new_journal, open_call

from vosd.base.clock import Instant
from vosd.engine.journal import Remains

ANSWERED, HOUR = 5_000, 3_600_000


def start(directory: Path, boot: str, now: Instant) -> Remains:
    """Start a switch that goes on with all calls, and is killed before it has marked the time."""
    journal = new_journal(directory)
    remains = journal.open()
    begun(remains, journal, now, boot)
    for call in remains.open_calls.values():
        journal.resumed(call)
    journal.settle()
    journal.flush()
    return remains


def first_run(directory: Path) -> None:
    """Answer a call, talk for an hour, and be killed."""
    journal = new_journal(directory)
    remains = journal.open()
    begun(remains, journal, Instant(0, 0), "one")
    journal.settle()
    journal.answered(open_call(1, ANSWERED))
    journal.tick(Instant(ANSWERED + HOUR, ANSWERED + HOUR), has_calls=True)


def test_the_time_that_a_call_has_talked_is_known_after_two_kills(tmp_path):
    first_run(tmp_path)
    start(tmp_path, "one", Instant(ANSWERED + HOUR + 2_000, ANSWERED + HOUR + 2_000))
    assert crash_and_read(tmp_path).last_mono == ANSWERED + HOUR


def test_a_boot_adds_nothing_to_it(tmp_path):
    first_run(tmp_path)
    up_since = ANSWERED + HOUR + 60_000
    start(tmp_path, "two", Instant(10_000, up_since + 10_000))
    third = start(tmp_path, "two", Instant(12_000, up_since + 12_000))
    (call,) = third.open_calls.values()
    assert third.last_mono == -60_000
    assert third.last_mono - call.answered_mono == HOUR
