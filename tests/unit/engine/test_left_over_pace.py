"""At which pace legs of a killed switch are ended, and what a start that is killed, too, leaves of them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from doubles.journals import crash_and_read, new_journal, open_call, opened
from doubles.left_legs import CALLER, CALLER_SIDE, DIALOG, INVITE

from vosd.callcontrol.open_call import Description
from vosd.cdr.record import CallRecord
from vosd.engine.calls import leftovers as leftovers_module
from vosd.engine.calls.leftovers import Leftovers
from vosd.engine.journal.entries import PlacedCall
from vosd.engine.journal.left_over import TIMES_ASKED
from vosd.testing.data.builders import catalogue
from vosd.testing.data.records import call_id, refused_call
from vosd.testing.virtual.clock import ManualClock
from vosd.testing.virtual.probe import Probe


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "journal"


class Start:
    """A start of the switch on the journal of the earlier one, on virtual time."""

    def __init__(self, directory: Path) -> None:
        self.probe, self.clock = Probe(), ManualClock()
        self.journal = new_journal(directory)
        remains = self.journal.open()
        self.records: list[CallRecord] = []
        services: Any = SimpleNamespace(admission=SimpleNamespace(catalogue=catalogue([])), records_zero=True)
        self.leftovers = Leftovers(
            self.probe.endpoint, self.journal, self.clock, lambda _now: None, services, self.records.append
        )
        self.leftovers.adopt(remains)
        for call in remains.open_calls.values():
            self.journal.ended(call.record)

    def round(self) -> list[str]:
        """Return what one round sends."""
        self.leftovers.ask_some(self.probe.now)
        self.journal.flush()
        return [title for title in self.probe.titles() if title != "ACK"]

    def killed(self, directory: Path) -> "Start":
        """Kill it once its start is complete, and start the next."""
        self.journal.settle()
        return Start(directory)


def leave_legs(directory: Path, calls: int) -> None:
    """Leave calls of which gateway and caller are connected, and one that rings."""
    journal = opened(directory)
    journal.placed(PlacedCall(call_id(0), INVITE, CALLER))
    for index in range(1, calls + 1):
        legs = (
            msgspec.structs.replace(DIALOG, call_id=b"%d@192.0.2.1" % index),
            msgspec.structs.replace(CALLER_SIDE, call_id=b"%d@192.0.2.10" % index),
        )
        journal.answered(open_call(index), Description(legs))
    journal.flush()


def test_legs_are_hung_up_at_a_pace_and_callers_who_wait_are_told_at_once(directory):
    leave_legs(directory, 12)
    start = Start(directory)
    rounds = [start.round() for _ in range(3)]
    assert rounds == [["CANCEL", *["BYE"] * 9, "503", *["BYE"] * 9], ["BYE"] * 6, []]


async def test_nothing_is_left_when_all_have_answered_or_had_time_enough(directory, monkeypatch):
    leave_legs(directory, 2)
    start = Start(directory)
    start.journal.settle()
    waits = []

    async def virtual(seconds: float) -> None:
        waits.append(seconds)
        assert crash_and_read(directory).left_over, "a kill now loses none of them"
        start.probe.advance(round(1_000 * seconds))
        start.clock.move_to(start.probe.now.mono)

    monkeypatch.setattr(leftovers_module.asyncio, "sleep", virtual)
    await start.leftovers.run()
    start.journal.flush()
    assert not crash_and_read(directory).left_over
    assert sum(waits) == pytest.approx(32, abs=0.2), "64 times T1"


def test_what_a_peer_has_answered_is_not_asked_by_the_next_start(directory):
    leave_legs(directory, 1)
    start = Start(directory)
    start.round()
    bye = next(each for each in start.probe.log if each.title == "BYE" and b"@192.0.2.10" in each.data)
    kept = [line for line in bye.data.split(b"\r\n") if line.startswith((b"Via", b"From", b"To", b"Call-ID", b"CSeq"))]
    start.probe.receive(b"\r\n".join([b"SIP/2.0 200 OK", *kept, b"Content-Length: 0\r\n\r\n"]), bye.peer)
    start.round()
    after = start.killed(directory)
    assert sorted(after.round()) == ["503", "BYE", "CANCEL"]


def test_what_no_peer_answers_is_asked_by_so_many_starts_and_then_left(directory):
    leave_legs(directory, 1)
    start = Start(directory)
    for _ in range(TIMES_ASKED):
        assert sorted(start.round()) == ["503", "BYE", "BYE", "CANCEL"]
        start = start.killed(directory)
    assert start.round() == []
    start.journal.settle()
    assert not crash_and_read(directory).left_over


def test_what_was_not_asked_yet_is_asked_first(directory):
    leave_legs(directory, 12)
    start = Start(directory)
    first = start.round()
    start = start.killed(directory)
    assert (first[0], "503" in first) == ("CANCEL", True)
    again = [start.round() for _ in range(3)]
    assert again[0].index("CANCEL") == again[0].index("503") - 10 == 3
    assert sorted(title for titles in again for title in titles) == ["503", *["BYE"] * 24, "CANCEL"]


def test_a_start_that_is_killed_before_it_asks_leaves_each_leg_once(directory):
    """Its own records stand beside those of the run before, whose files are still in use."""
    leave_legs(directory, 1)
    for _ in range(20):
        start = Start(directory)
        start.journal.flush()
    assert len(start.leftovers) == 4
    assert sorted(start.round()) == ["503", "BYE", "BYE", "CANCEL"]


def test_a_new_file_has_what_is_left_with_what_was_asked(directory):
    leave_legs(directory, 1)
    start = Start(directory)
    start.round()
    start.journal.settle()
    start.journal._begin_segment()
    for older in sorted(directory.glob("*.log"))[:-1]:
        older.unlink()
    assert [each.asked for each in crash_and_read(directory).left_over.values()] == [1] * 4


def test_a_call_whose_vendor_never_answers_its_cancel_has_its_record_when_it_is_given_up(directory):
    """Every start was killed before the wait for a final response was over."""
    journal = opened(directory)
    record = refused_call(0, end_reason="Lost")
    journal.placed(PlacedCall(call_id(0), INVITE, None, record))
    journal.flush()
    start = Start(directory)
    for _ in range(TIMES_ASKED):
        assert start.records == []
        start.round()
        start = start.killed(directory)
    assert [(each.call_id, each.attempts[-1].reason) for each in start.records] == [(call_id(0), "Lost")]
