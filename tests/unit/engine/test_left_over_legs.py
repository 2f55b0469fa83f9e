"""What the journal knows of legs that a killed switch leaves, and how they are ended by the next."""

from pathlib import Path

import msgspec
import pytest
from doubles.journals import crash_and_read, new_journal, open_call, opened
from msgspec.structs import replace

from vosd.base.nat import Nat
from vosd.callcontrol.bookkeeping import Description
from vosd.engine.calls import leftovers as leftovers_module
from vosd.engine.calls.leftovers import Leftovers
from vosd.engine.journal.entries import LeftOver
from vosd.engine.journal.left_over import TIMES_ASKED
from vosd.sip.dialog.snapshot import CallerSnapshot, DialogSnapshot, InviteSnapshot, PeerSnapshot
from vosd.sip.flows import Listener
from vosd.sip.wire.compose import InviteParts, Peer
from vosd.testing.data.builders import catalogue
from vosd.testing.data.records import answered_call, call_id
from vosd.testing.virtual.clock import ManualClock
from vosd.testing.virtual.customer import Intent
from vosd.testing.virtual.probe import CUSTOMER, LISTENER, VENDOR, Probe
from vosd.testing.virtual.scene import CALLEE, Scene

PEER = PeerSnapshot("udp:192.0.2.1:5060", VENDOR.host, VENDOR.port)
VIA = "SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKearlier1"
INVITE = InviteSnapshot(
    b"sip:442079460000@198.51.100.7", VIA.encode(), b"<sip:1@192.0.2.1>;tag=ours",
    b"<sip:442079460000@198.51.100.7>", b"leg-1@192.0.2.1", 1, PEER, b"", False, "carrier",
)  # fmt: skip
DIALOG = DialogSnapshot(
    b"leg-2@192.0.2.1", b"<sip:1@192.0.2.1>;tag=ours", b"<sip:2@198.51.100.7>;tag=theirs", b"sip:2@198.51.100.7:5062",
    (b"<sip:proxy@198.51.100.8;lr>",), 3, PEER, False, "carrier", 1,
)  # fmt: skip
CALLER = CallerSnapshot(
    b"z9hG4bKcaller 192.0.2.10:5060 INVITE",
    b"Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKcaller\r\nFrom: \"M\xfcller\" <sip:3@192.0.2.10>;tag=theirs\r\n"
    b"To: <sip:4@192.0.2.1>", b"\r\nCall-ID: leg-3@192.0.2.10\r\nCSeq: 1 INVITE\r\n", False, b"1 INVITE", "ours",
    PeerSnapshot("udp:192.0.2.1:5060", CUSTOMER.host, CUSTOMER.port), None,
)  # fmt: skip


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def no_login(_gateway: str) -> None:
    return None


# -- the journal ---------------------------------------------------------------------------------------------------


def test_an_invite_without_answer_is_left_until_its_call_is_answered_or_over(directory):
    journal = opened(directory)
    for index in range(3):
        journal.placed(call_id(index), INVITE)
    journal.answered(open_call(1))
    journal.ended(answered_call(2))
    journal.flush()
    [left] = [each for each in crash_and_read(directory).legs() if each.invites]
    assert (left.call_id, left.invites, left.dialogs) == (call_id(0), (INVITE,), ())


def test_the_legs_of_an_answered_call_are_left_until_it_is_over(directory):
    journal = opened(directory)
    for index in (1, 2):
        journal.answered(open_call(index), Description((DIALOG,)))
    journal.ended(answered_call(2, hangup_source="callee"))
    journal.flush()
    [left] = crash_and_read(directory).legs()
    assert (left.call_id, left.dialogs) == (call_id(1), (DIALOG,))


def test_a_side_that_moves_with_every_packet_is_written_down_twice_a_second_at_most(directory):
    """Requests within calls are not limited, so the disk must not be filled with where they came from."""
    journal = opened(directory)
    journal.answered(open_call(1), Description((DIALOG,)))
    journal.flush()
    seen_at = PEER
    journal.describe = lambda _call_id: Description((msgspec.structs.replace(DIALOG, seen_at=seen_at),))
    before = sum(path.stat().st_size for path in directory.iterdir())
    for port in range(20_000, 30_000):
        seen_at = msgspec.structs.replace(PEER, port=port)
        journal.moved(call_id(1))
        journal.flush()
    journal.tick(ManualClock().now(), has_calls=True)
    [left] = crash_and_read(directory).legs()
    assert [leg.seen_at.port for leg in left.dialogs] == [29_999]
    assert sum(path.stat().st_size for path in directory.iterdir()) - before < 8_000


def test_a_new_file_begins_with_the_legs_as_they_are_by_then(directory):
    journal = opened(directory, segment_bytes=3_000)
    moved = msgspec.structs.replace(DIALOG, seen_at=msgspec.structs.replace(PEER, port=29_999))
    journal.describe = {call_id(1): Description((moved,))}.__getitem__
    journal.answered(open_call(1), Description((DIALOG,)))
    for index in range(2, 6):
        journal.ended(answered_call(index))
        journal.flush()
    assert len(list(directory.glob("*.log"))) > 1
    for older in sorted(directory.glob("*.log"))[:-1]:
        older.unlink()
    [left] = crash_and_read(directory).legs()
    assert (left.call_id, left.dialogs) == (call_id(1), (moved,))


def test_a_call_that_has_moved_and_ended_is_not_open_again(directory):
    journal = opened(directory)
    journal.answered(open_call(1))
    journal.moved(call_id(1))
    journal.ended(answered_call(1, hangup_source="callee"))
    journal.tick(ManualClock().now(), has_calls=False)
    assert crash_and_read(directory).open_calls == {}


def test_a_gateway_whose_bye_may_not_have_left_is_hung_up_once_more(directory):
    journal = opened(directory)
    caller_side = msgspec.structs.replace(DIALOG, gateway="", invite_sequence=0)
    for index in range(3):
        journal.answered(open_call(index, 5_000 + index), Description((DIALOG, caller_side)))
    journal.ended(answered_call(0))
    journal.ended(answered_call(1, hangup_source="callee"))
    long_after = answered_call(2)
    journal.flush()
    assert [(each.call_id, each.dialogs) for each in crash_and_read(directory).legs()] == [
        (call_id(2), (DIALOG, caller_side)),
        (call_id(0), (DIALOG,)),
    ]
    journal.ended(msgspec.structs.replace(long_after, ended_at=long_after.ended_at + 5_000))
    journal.flush()
    assert [each.call_id for each in crash_and_read(directory).legs()] == [call_id(2)]


def test_what_is_left_is_carried_through_files_and_lives_until_it_is_hung_up(directory):
    first = opened(directory)
    first.placed(call_id(0), INVITE)
    first.answered(open_call(1), Description((DIALOG,)))
    first.flush()
    left = crash_and_read(directory).legs()
    second = opened(directory, segment_bytes=3_000)
    second.left_over.leave(left)
    second.placed(call_id(5), INVITE)
    for index in range(10, 30):
        second.ended(answered_call(index))
        second.flush()
        second.booked([call_id(index)])
    remains = crash_and_read(directory)
    assert list(remains.left_over.values()) == left
    assert remains.placed == {call_id(5): [INVITE]}
    second.left_over.all_released()
    second.close()
    assert not crash_and_read(directory).left_over


def test_what_is_left_survives_a_clean_stop(directory):
    journal = opened(directory)
    journal.left_over.leave([LeftOver(call_id(1), (DIALOG,), (INVITE,))])
    journal.close()
    assert [each.call_id for each in crash_and_read(directory).left_over.values()] == [call_id(1)] * 2


def test_a_caller_is_left_until_his_call_is_answered_for_him_or_over(directory):
    journal = opened(directory)
    for index in range(4):
        journal.placed(call_id(index), INVITE, CALLER)
    unheard = open_call(1)
    waiting = msgspec.structs.replace(unheard.record, answered_at=None)
    journal.answered(msgspec.structs.replace(unheard, record=waiting))
    journal.answered(open_call(2))
    journal.ended(answered_call(3))
    journal.flush()
    assert crash_and_read(directory).callers == {call_id(0): CALLER, call_id(1): CALLER}


def test_text_that_is_no_utf_8_is_written_down_too(directory):
    journal = opened(directory)
    call = open_call(1)
    strange = msgspec.structs.replace(call.record, sip_call_id_in="\udcfc@192.0.2.10")
    journal.answered(msgspec.structs.replace(call, record=strange), Description((DIALOG,)))
    journal.flush()
    [kept] = crash_and_read(directory).open_calls.values()
    assert kept.record.sip_call_id_in == "\\udcfc@192.0.2.10"
    assert (kept.legs, kept.customer_rate) == ((DIALOG,), call.customer_rate)


# -- the messages --------------------------------------------------------------------------------------------------


def test_a_dialog_of_an_earlier_run_gets_ack_and_bye_by_its_route():
    probe = Probe()
    flows = probe.endpoint.flows
    probe.endpoint.client.end_left_over(DIALOG.to_hang_up(flows, no_login), DIALOG.invite_sequence, "", probe.now)
    ack, bye = probe.sent()[:2]
    assert (ack.title, bye.title) == ("ACK", "BYE")
    assert ack.request.cseq.number == 1
    assert bye.request.cseq.number > DIALOG.local_sequence + 1
    for each in (ack, bye):
        assert each.peer == Peer(0, "198.51.100.8", 5060)
        assert each.request.header("route") == "<sip:proxy@198.51.100.8;lr>"
        assert str(each.request.uri).encode() == DIALOG.target
        assert (each.request.call_id.encode(), each.request.to_tag) == (DIALOG.call_id, "theirs")


def test_an_invite_of_an_earlier_run_gets_cancel_and_its_late_answer_ack_and_bye():
    probe = Probe()
    parts = INVITE.restored(probe.endpoint.flows, no_login)
    probe.endpoint.client.cancel_left_over(parts, "", probe.now)
    [cancel] = probe.sent()
    assert (cancel.title, cancel.peer) == ("CANCEL", VENDOR)
    assert cancel.request.header("via") == VIA
    probe.receive(
        (
            f"SIP/2.0 200 OK\r\nVia: {VIA}\r\nFrom: {INVITE.from_.decode()}\r\nTo: {INVITE.to.decode()};tag=theirs\r\n"
            f"Call-ID: {INVITE.call_id.decode()}\r\nCSeq: 1 INVITE\r\nContact: <sip:2@198.51.100.7>\r\n"
            "Content-Length: 0\r\n\r\n"
        ).encode(),
        VENDOR,
    )
    assert [each.title for each in probe.sent()][-2:] == ["ACK", "BYE"]


def test_a_waiting_caller_gets_503_until_it_is_acknowledged():
    probe = Probe()
    key, stem = CALLER.restored(probe.endpoint.flows)
    for _ in range(2):  # a repeated INVITE has made a new transaction meanwhile: no second answer
        probe.endpoint.refuse_left_over(key, stem, CALLER.tag, "", probe.now)
    probe.advance(600)
    first, again = probe.sent()
    assert first.data == again.data
    assert (first.title, first.peer, first.response.to_tag) == ("503", CUSTOMER, "ours")
    assert b"M\xfcller" in first.data
    probe.receive(
        b"ACK sip:4@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKcaller\r\n"
        b"From: <sip:3@192.0.2.10>;tag=theirs\r\nTo: <sip:4@192.0.2.1>;tag=ours\r\nCall-ID: leg-3@192.0.2.10\r\n"
        b"CSeq: 1 ACK\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
    probe.advance(40_000)
    assert probe.sent() == []


def test_a_socket_that_is_gone_is_replaced_by_one_of_its_kind():
    flows = Probe().endpoint.flows
    assert PeerSnapshot("udp:192.0.2.250:5060", "198.51.100.7", 5062).restored(flows) == Peer(0, "198.51.100.7", 5062)


def test_an_invite_is_described_as_it_was_sent():
    flows = Probe().endpoint.flows
    parts = InviteParts("sip:1@h", "via", "from", "to", "id", 7, VENDOR, "Route: <sip:p;lr>\r\n", nat=Nat.YES)
    restored = InviteSnapshot.of(parts, flows, "g").restored(flows, no_login)
    assert restored == replace(parts, nat=Nat.AUTO)


# -- whole calls ---------------------------------------------------------------------------------------------------


def test_an_answered_call_is_written_down_with_what_hangs_both_sides_up(scene_of_calls):
    scene = scene_of_calls
    call, incoming = scene.talk()
    [kept] = scene.exchange.sink.open.values()
    callee, caller = kept.legs
    assert (callee.call_id.decode(), callee.gateway, callee.invite_sequence) == (incoming.call_id, "vendor-0", 1)
    assert (caller.call_id.decode(), caller.gateway, caller.invite_sequence) == (call.call_id, "", 0)
    scene.finish(call)


@pytest.fixture
def scene_of_calls() -> Scene:
    return Scene()


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_a_side_that_moves_within_the_call_is_written_down_where_it_is(scene_of_calls, side):
    scene = scene_of_calls
    call, there = scene.talk()
    mover = call if side == "caller" else there
    moved = scene.exchange.caller(mover.agent.address._replace(port=5099))
    moved.calls[call.call_id] = moved.calls[there.call_id] = mover
    mover.agent = moved
    mover.propose("a=sendonly")
    scene.wire.run_for(100)
    [kept] = scene.exchange.sink.open.values()
    targets = {leg.call_id: leg.target for leg in kept.legs}
    assert b":5099" in targets[mover.call_id.encode()]
    call.hang_up()
    scene.wire.run_until(lambda: call.is_over)
    scene.close()


def test_the_party_that_took_a_call_over_replaces_the_one_that_left(scene_of_calls):
    scene = scene_of_calls
    call, there = scene.talk()
    named = f"{call.call_id};to-tag={call.remote.rpartition('tag=')[2]};from-tag={call.tag}"
    newcomer = scene.caller.call(CALLEE, Intent(headers=(f"Replaces: {named}",)))
    scene.wire.run_until(lambda: newcomer.final == 200 and call.is_over)
    [kept] = scene.exchange.sink.open.values()
    assert [leg.call_id.decode() for leg in kept.legs] == [there.call_id, newcomer.call_id]
    newcomer.hang_up()
    scene.wire.run_until(lambda: newcomer.is_over)
    scene.close()


def test_a_connection_that_went_with_the_earlier_run_is_replaced_by_one_to_the_contact():
    probe = Probe(listeners=(LISTENER, Listener("192.0.2.1", 5060, "tcp")))
    seen_at = PeerSnapshot("tcp:192.0.2.1:5060", VENDOR.host, 40_123)
    dialog = msgspec.structs.replace(
        DIALOG, seen_at=seen_at, routes=(), target=b"sip:2@198.51.100.7:5070;transport=tcp", invite_sequence=0
    )
    probe.endpoint.client.end_left_over(dialog.to_hang_up(probe.endpoint.flows, no_login), 0, "", probe.now)
    [bye] = probe.sent()
    assert bye.peer == Peer(1, VENDOR.host, 40_123)
    probe.fail(bye.peer)
    [again] = probe.sent()
    assert (again.data, again.peer) == (bye.data, Peer(1, VENDOR.host, 5_070))


# -- the pace ------------------------------------------------------------------------------------------------------

CALLER_SIDE = msgspec.structs.replace(DIALOG, gateway="", invite_sequence=0)


class Start:
    """A start of the switch on the journal of the earlier one, on virtual time."""

    def __init__(self, directory: Path) -> None:
        self.probe, self.clock = Probe(), ManualClock()
        self.journal = new_journal(directory)
        remains = self.journal.open()
        self.leftovers = Leftovers(
            self.probe.endpoint, self.journal, self.clock, lambda _now: None, lambda: catalogue([])
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
    journal.placed(call_id(0), INVITE, CALLER)
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
