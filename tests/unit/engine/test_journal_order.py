"""What may leave the journal, and when: a file that goes too early brings a booked call back as a lost one."""

from pathlib import Path

import structlog
from doubles import journals
from doubles.data.records import answered_call, call_id, rejected
from doubles.journals import write_ended

from vosd.engine.journal import Journal, KeepSettings, journal as journal_module
from vosd.engine.journal.quarantine import Quarantine

SMALL = 3_000
"""Bytes of a segment that two or three records fill."""


def opened(tmp_path: Path) -> Journal:
    return journals.opened(tmp_path / "journal", segment_bytes=SMALL, keep=KeepSettings(keep_minutes=0))


def after_a_crash(tmp_path: Path):
    return journals.crash_and_read(tmp_path / "journal")


def fill(journal: Journal, numbers: range) -> None:
    for index in numbers:
        write_ended(journal, answered_call(index))
        journal.booked([call_id(index)])


def test_a_younger_segment_stays_while_an_older_one_is_needed(tmp_path):
    journal = opened(tmp_path)
    journal.answered(journals.open_call(1))
    journal.ended(answered_call(2))  # waits for the database and so keeps the first segment
    journal.flush()
    fill(journal, range(10, 20))
    write_ended(journal, answered_call(1))
    journal.booked([call_id(1)])
    fill(journal, range(20, 40))
    remains = after_a_crash(tmp_path)
    assert remains.open_calls == {}, "the call has ended and is booked"
    assert remains.unbooked.keys() == {call_id(2)}


async def test_a_refused_call_leaves_the_journal_for_the_quarantine_and_keeps_no_file_in_use(tmp_path):
    journal = opened(tmp_path)
    refused = answered_call(1)
    write_ended(journal, refused)
    await journal.refused(rejected("a name too long", refused))
    fill(journal, range(10, 30))
    assert journal.unbooked == 1
    assert len(journals.files_of(tmp_path / "journal")) <= 2
    assert after_a_crash(tmp_path).unbooked == {}
    assert [each.record for each in Quarantine(tmp_path / "quarantine").read().records] == [refused]


async def test_a_refused_call_that_cannot_be_quarantined_stays_in_the_journal(tmp_path):
    journal = opened(tmp_path)
    refused = answered_call(1)
    write_ended(journal, refused)
    (tmp_path / "quarantine").write_text("a file is in the way")
    with structlog.testing.capture_logs() as logged:
        await journal.refused(rejected("a name too long", refused))
    assert [line["event"] for line in logged] == ["quarantine_write_failed"]
    fill(journal, range(10, 30))
    assert journal.unbooked == 1
    assert after_a_crash(tmp_path).unbooked == {call_id(1): refused}


async def test_with_too_many_refused_calls_no_new_one_may_be_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_module, "REFUSED_MAX", 2)
    journal = opened(tmp_path)
    for index in range(3):
        assert not journal.is_overfull
        journal.ended(answered_call(index))
        await journal.refused(rejected("why not", answered_call(index)))
    assert journal.is_overfull
