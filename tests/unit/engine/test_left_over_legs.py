"""What the journal knows of legs that a killed switch leaves, and how they are ended by the next."""

import msgspec
import pytest
from doubles.data.records import answered_call, call_id
from doubles.journals import crash_and_read, open_call, opened, write_ended
from doubles.left_legs import CALLER, CALLER_SIDE, DIALOG, INVITE, PEER, VIA
from doubles.virtual.clock import ManualClock
from doubles.virtual.customer import Intent
from doubles.virtual.probe import CUSTOMER, LISTENER, VENDOR, Probe
from doubles.virtual.scene import CALLEE, Scene
from msgspec.structs import replace

from vosd.base.clock import Instant
from vosd.base.nat import Nat
from vosd.callcontrol.open_call import Description
from vosd.cdr.record import CallRecord
from vosd.engine.journal.entries import LeftOver, PlacedCall
from vosd.sip.dialog.snapshot import InviteSnapshot, PeerSnapshot
from vosd.sip.flows import Listener
from vosd.sip.wire.outgoing import InviteParts, Peer


def no_login(_gateway: str) -> None:
    return None


# -- the journal ---------------------------------------------------------------------------------------------------


def test_an_invite_without_answer_is_left_until_its_call_is_answered_or_over(directory):
    journal = opened(directory)
    for index in range(3):
        journal.placed(PlacedCall(call_id(index), INVITE))
    journal.answered(open_call(1))
    write_ended(journal, answered_call(2))
    [left] = [each for each in crash_and_read(directory).legs() if each.invites]
    assert (left.call_id, left.invites, left.dialogs) == (call_id(0), (INVITE,), ())


def test_the_legs_of_an_answered_call_are_left_until_it_is_over(directory):
    journal = opened(directory)
    for index in (1, 2):
        journal.answered(open_call(index), Description((DIALOG,)))
    write_ended(journal, answered_call(2, hangup_source="callee"))
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
        write_ended(journal, answered_call(index))
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


def test_a_side_whose_bye_may_not_have_left_is_hung_up_once_more(directory):
    journal = opened(directory)
    for index in range(3):
        journal.answered(open_call(index, 5_000 + index), Description((DIALOG, CALLER_SIDE)))
        journal.acknowledged(call_id(index), 5_000 + index)
    journal.mark(Instant(5_010, 5_010))
    journal.ended(answered_call(0))
    journal.ended(answered_call(1, hangup_source="callee"))
    long_after = answered_call(2)
    journal.flush()
    assert [(each.call_id, each.dialogs) for each in crash_and_read(directory).legs()] == [
        (call_id(2), (DIALOG, CALLER_SIDE)),
        (call_id(0), (DIALOG,)),
        (call_id(1), (CALLER_SIDE,)),
    ]
    write_ended(journal, msgspec.structs.replace(long_after, ended_at=long_after.ended_at + 5_000))
    assert [each.call_id for each in crash_and_read(directory).legs()] == [call_id(2)]


def test_a_caller_who_has_not_acknowledged_the_answer_is_hung_up_for_as_long_as_its_bye_may_wait(directory):
    journal = opened(directory)
    for index in range(3):
        journal.answered(open_call(index, 5_000 + index), Description((DIALOG, CALLER_SIDE)))
    first = answered_call(0, hangup_source="callee")
    journal.ended(first)
    for index, later_ms in ((1, 31_000), (2, 33_000)):
        write_ended(journal, replace_end(answered_call(index, hangup_source="caller"), first.ended_at + later_ms))
        left = [each.call_id for each in crash_and_read(directory).legs() if each.dialogs == (CALLER_SIDE,)]
        assert left == ([call_id(0)] if later_ms < 32_000 else [])


@pytest.mark.parametrize(("user", "wait_ms"), [("", 32_000), ("1001", 300_000)])
def test_a_side_on_a_connection_is_hung_up_for_as_long_as_its_bye_may_wait_for_another_one(directory, user, wait_ms):
    journal = opened(directory)
    seen_at = PeerSnapshot("tcp:192.0.2.1:5060", CUSTOMER.host, 40_000)
    on_tcp = msgspec.structs.replace(CALLER_SIDE, seen_at=seen_at, user=user)
    for index in range(3):
        journal.answered(open_call(index, 5_000 + index), Description((DIALOG, on_tcp)))
        journal.acknowledged(call_id(index), 5_000 + index)
    journal.mark(Instant(5_010, 5_010))
    first = answered_call(0, hangup_source="callee")
    journal.ended(first)
    for index, later_ms in ((1, wait_ms - 1_000), (2, wait_ms + 1_000)):
        write_ended(journal, replace_end(answered_call(index, hangup_source="caller"), first.ended_at + later_ms))
        left = [each.call_id for each in crash_and_read(directory).legs() if each.dialogs == (on_tcp,)]
        assert left == ([call_id(0)] if later_ms < wait_ms else [])


@pytest.mark.parametrize("is_phone_on_tcp", [False, True])
def test_a_side_that_a_call_goes_on_without_is_hung_up_once_more(directory, is_phone_on_tcp):
    """As a caller who has connected two others: the switch may be killed before its BYE to him has arrived."""
    gone = replace(CALLER_SIDE, local=b"<sip:4@192.0.2.1>;tag=other")
    if is_phone_on_tcp:  # its BYE may wait for its next connection
        gone = replace(gone, user="8001", seen_at=replace(PEER, socket="tcp:192.0.2.1:5060"))
    journal = opened(directory)
    journal.answered(open_call(1), Description((DIALOG, gone)))
    journal.mark(Instant(5_010, 5_010))
    journal.describe = {call_id(1): Description((DIALOG,))}.__getitem__
    journal.moved(call_id(1), at_once=True)
    journal.flush()
    assert [each.dialogs for each in crash_and_read(directory).legs()] == [(DIALOG,), (gone,)]
    journal.mark(Instant(15_010, 15_010))
    journal.flush()
    left = [each.dialogs for each in crash_and_read(directory).legs()]
    assert left == ([(DIALOG,), (gone,)] if is_phone_on_tcp else [(DIALOG,)])


def test_an_acknowledgement_that_is_written_after_the_end_counts(directory):
    journal = opened(directory)
    for index in range(2):
        journal.answered(open_call(index, 5_000 + index), Description((DIALOG, CALLER_SIDE)))
    first = answered_call(0, hangup_source="callee")
    journal.ended(first)
    journal.acknowledged(call_id(0), 5_000)
    journal.mark(Instant(5_010, 5_010))
    journal.flush()
    assert [each.call_id for each in crash_and_read(directory).legs()] == [call_id(1), call_id(0)]
    write_ended(journal, replace_end(answered_call(1, hangup_source="caller"), first.ended_at + 5_000))
    assert [each.call_id for each in crash_and_read(directory).legs()] == [call_id(1)]


def replace_end(record: CallRecord, at: int) -> CallRecord:
    return msgspec.structs.replace(record, ended_at=at)


def test_what_is_left_is_carried_through_files_and_lives_until_it_is_hung_up(directory):
    first = opened(directory)
    first.placed(PlacedCall(call_id(0), INVITE))
    first.answered(open_call(1), Description((DIALOG,)))
    first.flush()
    left = crash_and_read(directory).legs()
    second = opened(directory, segment_bytes=3_000)
    second.left_over.leave(left, ManualClock().now())
    second.placed(PlacedCall(call_id(5), INVITE))
    for index in range(10, 30):
        write_ended(second, answered_call(index))
        second.booked([call_id(index)])
    remains = crash_and_read(directory)
    assert list(remains.left_over.values()) == left
    assert remains.placed == {call_id(5): [PlacedCall(call_id(5), INVITE)]}
    second.left_over.all_released()
    second.close()
    assert not crash_and_read(directory).left_over


def test_what_is_left_survives_a_clean_stop(directory):
    journal = opened(directory)
    journal.left_over.leave([LeftOver(call_id(1), (DIALOG,), (INVITE,))], ManualClock().now())
    journal.close()
    assert [each.call_id for each in crash_and_read(directory).left_over.values()] == [call_id(1)] * 2


def test_a_caller_is_left_until_his_call_is_answered_for_him_or_over(directory):
    journal = opened(directory)
    for index in range(4):
        journal.placed(PlacedCall(call_id(index), INVITE, CALLER))
    unheard = open_call(1)
    waiting = msgspec.structs.replace(unheard.record, answered_at=None)
    journal.answered(msgspec.structs.replace(unheard, record=waiting))
    journal.answered(open_call(2))
    write_ended(journal, answered_call(3))
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
    probe.endpoint.client.take_left_over(parts).cancel("", probe.now)
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
    waiting = probe.endpoint.take_left_over(key, stem)
    assert waiting is not None
    assert probe.endpoint.take_left_over(key, stem) is None, "a repeated INVITE would have made a new transaction"
    waiting.respond(503, CALLER.tag, "", probe.now)
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
    assert probe.endpoint.take_left_over(key, stem) is None, "it was a new call, and that has its refusal"
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
    scene.propose(mover, "a=sendonly", wait_ms=100)
    [kept] = scene.exchange.sink.open.values()
    targets = {leg.call_id: leg.target for leg in kept.legs}
    assert b":5099" in targets[mover.call_id.encode()]
    scene.finish(call)


def test_the_party_that_took_a_call_over_replaces_the_one_that_left(scene_of_calls):
    scene = scene_of_calls
    call, there = scene.talk()
    newcomer = scene.caller.call(CALLEE, Intent(headers=(f"Replaces: {call.replaces}",)))
    scene.wire.run_until(lambda: newcomer.final == 200 and call.is_over)
    [kept] = scene.exchange.sink.open.values()
    assert [leg.call_id.decode() for leg in kept.legs] == [there.call_id, newcomer.call_id]
    scene.finish(newcomer)


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
