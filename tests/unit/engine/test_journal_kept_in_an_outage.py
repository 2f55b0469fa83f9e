"""Calls that are kept over a stop, and a boot, while thousands wait for the database: their time is measured right."""

from pathlib import Path

from doubles.journals import begun, new_journal, open_call
from doubles.recording import Database, call

from vosd.base.clock import Instant
from vosd.callcontrol.open_call import UNDESCRIBED
from vosd.engine.booking.balances import Balances
from vosd.engine.booking.recorder import Recorder
from vosd.engine.earlier_run import recover
from vosd.engine.journal import Journal, Remains, replay
from vosd.engine.journal.earlier import read_segments
from vosd.engine.journal.files import IN_USE, UNBOOKED, listed
from vosd.engine.settings import CdrSettings

DAYS = 864_000_000
"""How long the machine was up before."""


def start(directory: Path, boot: str, now: Instant) -> tuple[Journal, Remains]:
    """Start a switch that goes on with all answered calls."""
    journal, database = new_journal(directory), Database()
    remains = journal.open()
    begun(remains, journal, now, boot)
    for each in list(remains.open_calls):
        journal.resumed(remains.open_calls.pop(each))
    balances = Balances(database.store)
    recover(
        remains,
        journal,
        Recorder(database, journal, {}, CdrSettings()),
        balances,
        lambda _remains: None,
        lambda _closed: None,
    )
    return journal, remains


def test_a_file_of_which_only_ends_count_says_nothing_of_the_clock_of_another_boot(tmp_path, monkeypatch):
    monkeypatch.setattr(replay, "UNBOOKED_IN_MEMORY", 2)
    journal, _ = start(tmp_path / "journal", "one", Instant(DAYS, DAYS))
    running = open_call(1, DAYS)
    journal.answered(running)
    for index in range(2, 8):
        journal.ended(call(index))
    journal.keep(Instant(DAYS + 60_000, DAYS + 60_000), {running.record.call_id: UNDESCRIBED}, {}, b"")
    journal.close()

    journal, _ = start(tmp_path / "journal", "two", Instant(10_000, DAYS + 70_000))
    journal.tick(Instant(20_000, DAYS + 80_000), has_calls=True)
    assert [path.suffix for path in listed(tmp_path / "journal", IN_USE, UNBOOKED)] == [UNBOOKED, IN_USE]

    remains = read_segments(listed(tmp_path / "journal", IN_USE, UNBOOKED))
    (found,) = remains.open_calls.values()
    assert (remains.last_mono, remains.last_mono - found.answered_mono) == (20_000, 80_000)
    assert len(remains.unbooked) + len(remains.on_disk) == 6
