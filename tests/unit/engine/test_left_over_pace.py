"""At which pace legs of a killed switch are ended, and what a start that is killed, too, leaves of them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from doubles.data.builders import catalogue
from doubles.data.records import call_id, refused_call
from doubles.journals import crash_and_read, new_journal, open_call, opened
from doubles.left_legs import CALLER, CALLER_SIDE, DIALOG, INVITE, VIA
from doubles.virtual.clock import ManualClock
from doubles.virtual.probe import START, VENDOR, Probe, reply

from vosd.callcontrol.open_call import Description
from vosd.cdr.record import CallRecord
from vosd.engine.calls import leftovers as leftovers_module
from vosd.engine.calls.leftovers import Leftovers
from vosd.engine.journal.entries import LeftOver, PlacedCall
from vosd.engine.journal.left_over import ASKED_FOR_MS, TIMES_ASKED
from vosd.sip.dialog.snapshot import CallerSnapshot
from vosd.sip.transaction.server import InviteServer
from vosd.sip.wire.outgoing import Peer


class Start:
    """A start of the switch on the journal of the earlier one, on virtual time."""

    def __init__(self, directory: Path, after_ms: int = 0) -> None:
        """``after_ms`` is when it begins, after the first one."""
        self.probe, self.clock, self._directory = Probe(), ManualClock(), directory
        self.probe.advance(after_ms)
        self.clock.move_to(self.probe.now.mono)
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

    def takes_again(self, caller: CallerSnapshot) -> bool:
        """Return whether the INVITE of a caller is a new call where it comes again."""
        key, stem = caller.restored(self.probe.endpoint.flows)
        store = self.probe.endpoint.store
        is_new = key not in store.servers and store.finished.get(key) is None
        if is_new:
            InviteServer.received(store, key, stem)
        return is_new

    def killed(self, later_ms: int = 0) -> "Start":
        """Kill it once its start is complete, and start the next after a while."""
        self.journal.settle()
        return Start(self._directory, self.probe.now.mono - START.mono + later_ms)

    def answered(self, data: bytes) -> list[str]:
        """Return what is ready to leave when the vendor's response is processed and the journal is written."""
        self.probe.sent()
        self.probe.receive(data, VENDOR)
        self.journal.flush()
        return self.probe.titles()


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
    after = start.killed()
    assert sorted(after.round()) == ["503", "BYE", "CANCEL"]


def test_what_no_peer_answers_is_asked_by_so_many_starts_and_then_left(directory):
    leave_legs(directory, 1)
    start = Start(directory)
    for _ in range(TIMES_ASKED):
        assert sorted(start.round()) == ["503", "BYE", "BYE", "CANCEL"]
        start = start.killed(later_ms=ASKED_FOR_MS // TIMES_ASKED + 1)
    assert start.round() == []
    start.journal.settle()
    assert not crash_and_read(directory).left_over


def test_an_invite_that_comes_again_before_it_is_refused_is_a_new_call(directory):
    leave_legs(directory, 0)
    start = Start(directory)
    assert start.takes_again(CALLER)
    assert [start.round(), start.round()] == [["CANCEL"], []], "no 503 to a call that goes on"
    start = start.killed()
    assert start.takes_again(CALLER), "it had not been refused"


def test_an_invite_that_was_refused_is_known_until_it_is_refused_again(directory):
    leave_legs(directory, 0)
    start = Start(directory)
    assert start.round() == ["CANCEL", "503"]
    start = start.killed()
    assert not start.takes_again(CALLER)
    assert start.round() == ["CANCEL", "503"]


def test_a_caller_over_tls_is_refused_where_the_certificate_has_the_name_that_it_had_proven(directory):
    """The connection of the caller went with the earlier process. The failure waits for its ACK as that of any call."""
    journal = opened(directory)
    journal.placed(PlacedCall(call_id(0), INVITE, msgspec.structs.replace(CALLER, server_name="pbx.example.com")))
    journal.flush()
    start = Start(directory)
    assert start.round() == ["CANCEL", "503"]
    [refusal] = [each.data for each in start.probe.log if each.title == "503"]
    assert start.probe.endpoint.server_name_of(refusal) == "pbx.example.com"
    assert start.probe.endpoint.ends_call(refusal)


def test_a_quick_series_of_kills_gives_no_leg_up(directory):
    """Kills every two seconds: seven starts are over before a peer that is slow, or away, can have answered."""
    leave_legs(directory, 1)
    start = Start(directory)
    for _ in range(ASKED_FOR_MS // 2_000):
        assert sorted(start.round()) == ["503", "BYE", "BYE", "CANCEL"]
        start = start.killed(later_ms=2_000)
    assert start.round() == []


def test_legs_that_an_earlier_version_has_asked_are_asked_until_the_time_is_over(directory):
    """The journal of that version says how often it was asked, and not since when."""
    journal = opened(directory)
    journal.left_over.leave([LeftOver(call_id(1), (DIALOG,), asked=TIMES_ASKED)], ManualClock().now())
    journal.flush()
    start = Start(directory)
    assert start.round() == ["BYE"]
    start = start.killed(later_ms=ASKED_FOR_MS - 1)
    assert start.round() == ["BYE"]
    assert start.killed(later_ms=1).round() == []


def test_what_was_not_asked_yet_is_asked_first(directory):
    leave_legs(directory, 12)
    start = Start(directory)
    first = start.round()
    start = start.killed()
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
        start = start.killed(later_ms=ASKED_FOR_MS // TIMES_ASKED + 1)
    assert [(each.call_id, each.attempts[-1].reason) for each in start.records] == [(call_id(0), "Lost")]


# -- late answers --------------------------------------------------------------------------------------------------


def late_answer(contact: str = "sip:2@198.51.100.7:5062", routes: str = "") -> bytes:
    """Return the 2xx of the vendor to the INVITE of the earlier run."""
    return (
        f"SIP/2.0 200 OK\r\nVia: {VIA}\r\n{routes}From: {INVITE.from_.decode()}\r\n"
        f"To: {INVITE.to.decode()};tag=theirs\r\n"
        f"Call-ID: {INVITE.call_id.decode()}\r\nCSeq: 1 INVITE\r\nContact: <{contact}>\r\nContent-Length: 0\r\n\r\n"
    ).encode()


@pytest.fixture
def ringing(directory):
    """A start on a journal with one INVITE without a final response, whose CANCEL is sent."""
    journal = opened(directory)
    journal.placed(PlacedCall(call_id(0), INVITE, None, refused_call(0, end_reason="Lost")))
    journal.flush()
    start = Start(directory)
    assert start.round() == ["CANCEL"]
    return start


def test_a_kill_between_the_ack_of_a_late_answer_and_its_bye_leaves_the_bye_to_the_next_starts(ringing):
    """The vendor repeats its 2xx no more, and answers the CANCEL of a call that it has answered with 481."""
    route = "Record-Route: <sip:edge@198.51.100.9;lr>\r\n"
    assert ringing.answered(late_answer(routes=route)) == ["ACK", "BYE"]
    start = ringing
    for _ in range(3):  # none of these BYEs leaves
        start = start.killed(later_ms=2_000)
        assert start.round() == ["BYE"]
    bye = start.probe.log[-1]
    assert bye.peer == Peer(0, "198.51.100.9", 5060)
    asked = bye.request
    assert (str(asked.uri), asked.header("route")) == ("sip:2@198.51.100.7:5062", "<sip:edge@198.51.100.9;lr>")
    assert (asked.call_id.encode(), asked.to_tag, asked.header("from")) == (
        INVITE.call_id, "theirs", INVITE.from_.decode(),
    )  # fmt: skip
    assert start.answered(reply(bye, 200)) == []
    start.leftovers.note_over(start.probe.now)
    assert start.killed(later_ms=2_000).round() == []


def test_the_call_of_a_late_answer_has_its_one_record_before_the_ack_leaves(ringing, directory):
    ringing.answered(late_answer())
    [record] = ringing.records
    assert [(each.code, each.reason) for each in record.attempts] == [(200, "Late Answer")]
    after = ringing.killed()
    for _ in range(3):
        after.round()
        after.probe.advance(ASKED_FOR_MS)
        after.leftovers.note_over(after.probe.now)
    assert (after.records, len(after.journal.left_over)) == ([], 0)


def test_an_answer_that_comes_before_the_turn_of_its_cancel_is_released(directory):
    journal = opened(directory)
    journal.placed(PlacedCall(call_id(0), INVITE))
    journal.flush()
    start = Start(directory)
    assert start.answered(late_answer()) == ["ACK", "BYE"]
    assert start.round() == []
    assert start.killed().round() == ["BYE"]


def test_a_late_answer_in_a_running_switch_is_released_after_a_kill_too(directory):
    """Also that of an INVITE that nothing remembers, repeated because the earlier ACK was lost."""
    opened(directory).flush()
    start = Start(directory)
    start.probe.endpoint.flows.go_on_as("z9hG4bKearlier", "busy")
    for _ in range(2):
        start.probe.endpoint.store.finished.entries.clear()
        assert start.answered(late_answer()) == ["ACK", "BYE"]
    assert len(start.journal.left_over) == 1
    after = start.killed()
    assert after.round() == ["BYE"]
    after.probe.advance(ASKED_FOR_MS)
    after.leftovers.note_over(after.probe.now)
    assert not after.journal.left_over


def test_no_trunk_fills_the_disk_with_late_answers(directory, monkeypatch):
    monkeypatch.setattr(leftovers_module, "ASKED_MAX", 3)
    opened(directory).flush()
    start = Start(directory)
    start.probe.endpoint.flows.go_on_as("z9hG4bKearlier", "busy")
    for number in range(5):
        assert start.answered(late_answer().replace(b"tag=theirs", b"tag=theirs%d" % number)) == ["ACK", "BYE"]
    assert len(start.journal.left_over) == 3
