"""What may leave the journal, and when: a file that goes too early brings a booked call back as a lost one."""

from pathlib import Path

from vosd.engine import journal as journal_module
from vosd.engine.bookkeeping import OpenCall
from vosd.engine.journal import Journal
from vosd.testing.builders import applied_rate
from vosd.testing.records import answered_call, call_id

SMALL = 3_000
"""Bytes of a segment that two or three records fill."""


def opened(tmp_path: Path) -> Journal:
    journal = Journal(tmp_path / "journal", SMALL)
    journal.open()
    journal.settle()
    return journal


def after_a_crash(tmp_path: Path):
    return Journal(tmp_path / "journal").open()


def fill(journal: Journal, numbers: range) -> None:
    for index in numbers:
        journal.ended(answered_call(index))
        journal.flush()
        journal.booked([call_id(index)])


def test_a_younger_segment_stays_while_an_older_one_is_needed(tmp_path):
    journal = opened(tmp_path)
    record = answered_call(1, postings=(), end_reason="Lost", hold_time_ms=0, fee_breakdown="{}")
    journal.answered(OpenCall(record, applied_rate(), applied_rate(), 5_000))
    journal.ended(answered_call(2))  # waits for the database and so keeps the first segment
    journal.flush()
    fill(journal, range(10, 20))
    journal.ended(answered_call(1))
    journal.flush()
    journal.booked([call_id(1)])
    fill(journal, range(20, 40))
    remains = after_a_crash(tmp_path)
    assert remains.open_calls == {}, "the call has ended and is booked"
    assert remains.unbooked.keys() == {call_id(2)}


def test_a_refused_call_moves_on_and_keeps_no_old_segment(tmp_path):
    journal = opened(tmp_path)
    refused = answered_call(1)
    journal.ended(refused)
    journal.flush()
    journal.refused([refused])
    fill(journal, range(10, 30))
    assert journal.unbooked == 1
    assert len(list((tmp_path / "journal").iterdir())) <= 2
    assert after_a_crash(tmp_path).unbooked == {call_id(1): refused}


def test_with_too_many_refused_calls_no_new_one_may_be_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_module, "REFUSED_MAX", 2)
    journal = opened(tmp_path)
    for index in range(3):
        assert not journal.is_overfull
        journal.ended(answered_call(index))
        journal.refused([answered_call(index)])
    assert journal.is_overfull
