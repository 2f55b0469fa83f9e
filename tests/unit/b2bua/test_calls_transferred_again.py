"""Two sides that a transfer has connected: either of them transfers the other one once more (ADR 193)."""

import pytest
from doubles.data.sessions import follows, revised
from doubles.desk_scene import (
    DESK,
    MATE,
    TARGET,
    are_connected,
    assert_no_faults,
    attended,
    blind,
    called,
    dialled,
    notified,
    office,
    registered,
    transferring,
)
from doubles.keypad_scene import passed_on, press
from doubles.killed import KilledScene, interrupt
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import Intent, OutgoingCall
from doubles.virtual.phone import VirtualPhone
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import CALLEE, Scene, usual_catalogue
from doubles.virtual.side import Reply
from doubles.virtual.vendor import RINGS, IncomingCall, answers, answers_timed, refuses

from vosd.base.cause import EndReason
from vosd.cdr.record import CallRecord
from vosd.sdp.media import media_of
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters

SECOND = "442072222222"


@pytest.fixture(params=["runs on", "is replaced", "is killed", "is stopped"])
def scene(request, tmp_path):
    """Make a scene whose switch is interrupted by ``interrupt``."""
    scene = KilledScene(tmp_path, office()) if request.param in {"is killed", "is stopped"} else Scene(office())
    scene.how = request.param
    yield scene
    if request.param != "is killed":
        assert_no_faults(scene)


@pytest.fixture
def running():
    scene = Scene(office())
    yield scene
    assert_no_faults(scene)


def moved_to_mate(scene: Scene) -> tuple[OutgoingCall, IncomingCall, VirtualPhone]:
    """Let the customer call the desk, which moves the call to its mate; return both sides, and the mate."""
    call, _, mate = transferring(scene)
    (at_mate,) = mate.calls
    assert are_connected(call, at_mate)
    return call, at_mate, mate


def by_number(scene: Scene) -> dict[str, CallRecord]:
    records = {record.callee_in: record for record in scene.exchange.sink.records}
    assert len(records) == len(scene.exchange.sink.records)
    for record in records.values():
        assert scene.exchange.statement(record.customer_account) == -sum(
            each.fee + each.tax for each in records.values() if each.customer_account == record.customer_account
        )
    return records


def test_the_second_phone_moves_the_caller_on_and_each_call_is_paid_while_it_had_a_side(scene):
    call, at_mate, _ = moved_to_mate(scene)
    interrupt(scene)
    blind(at_mate, TARGET)
    scene.wire.run_for(4_000)
    assert at_mate.got["REFER"] == [202]
    assert notified(at_mate) == ["100 Trying", "180 Ringing", "200 OK"]
    (target,) = scene.vendor.calls
    assert (at_mate.is_over, call.is_over) == (True, False)
    assert are_connected(call, target)
    interrupt(scene)
    scene.propose(call, "a=sendonly")
    assert "a=sendonly" in target.theirs
    (to_mate,) = scene.exchange.sink.records  # it has no side left
    target.hang_up()
    scene.wire.run_until(lambda: call.is_over)
    scene.expect_nothing_left()
    records = by_number(scene)
    first, third = records[DESK], records[TARGET]
    assert to_mate is records[MATE]
    assert (first.customer_account, to_mate.customer_account, third.customer_account) == ("acme", "office", "office")
    assert (to_mate.mapping_gateway, third.mapping_gateway) == (DESK, MATE)
    assert (to_mate.end_reason, to_mate.hangup_source) == ("Normal", "callee")
    assert to_mate.ended_at == third.answered_at < first.ended_at == third.ended_at
    assert third.hangup_source == "callee"
    assert (to_mate.sip_call_id_in, third.sip_call_id_in) == (first.sip_call_id_out, to_mate.sip_call_id_out)


def test_the_caller_moves_the_second_phone_on(scene):
    call, at_mate, _ = moved_to_mate(scene)
    interrupt(scene)
    blind(call, TARGET)
    scene.wire.run_for(4_000)
    (target,) = scene.vendor.calls
    assert (call.is_over, at_mate.is_over) == (True, False)
    assert are_connected(at_mate, target)
    interrupt(scene)
    at_mate.hang_up()
    scene.wire.run_until(lambda: target.is_over)
    scene.expect_nothing_left()
    records = by_number(scene)
    first, second, third = records[DESK], records[MATE], records[TARGET]
    assert first.hangup_source == "caller"
    assert first.ended_at == third.answered_at < second.ended_at == third.ended_at
    assert (third.customer_account, third.sip_call_id_in) == ("acme", first.sip_call_id_in)


def test_a_call_is_moved_five_times(running):
    desk, mate = registered(running)
    call, side = called(running, desk)
    for number in (MATE, DESK, MATE, DESK, TARGET):
        blind(side, number)
        running.wire.run_for(3_000)
        assert side.is_over
        before, side = side, {MATE: mate, DESK: desk, TARGET: running.vendor}[number].calls[-1]
        assert int(side.invite["Max-Forwards"]) == int(before.invite["Max-Forwards"]) - 1
        assert are_connected(call, side)
    running.expect_nothing_left(call)
    assert side.is_over
    assert len(running.exchange.sink.records) == 6


def test_phones_that_move_every_call_to_each_other_are_refused_when_max_forwards_is_used_up(running):
    desk, mate = registered(running)
    call, side = called(running, desk, hops=3)
    for phone, number in ((mate, MATE), (desk, DESK)):
        blind(side, number)
        running.wire.run_for(3_000)
        assert side.is_over
        side = phone.calls[-1]
    assert side.invite["Max-Forwards"] == "0"
    blind(side, MATE)
    running.wire.run_for(3_000)
    assert side.got["REFER"] == [483]
    assert are_connected(call, side)
    assert len(mate.calls) == 1
    running.expect_nothing_left(call)
    assert [record.end_reason for record in running.exchange.sink.records].count(EndReason.LOOP.text) == 1


@pytest.mark.parametrize("script", [refuses(486), RINGS])
def test_both_talk_on_where_the_second_target_is_not_to_be_had(scene, script):
    call, at_mate, _ = moved_to_mate(scene)
    scene.vendor.script = script
    blind(at_mate, TARGET)
    scene.wire.run_for(35_000)
    assert notified(at_mate)[-1][0] == "4"
    interrupt(scene)
    scene.propose(call, "a=sendonly")
    assert "a=sendonly" in at_mate.theirs
    scene.vendor.script = answers()
    blind(at_mate, SECOND)
    scene.wire.run_for(3_000)
    assert at_mate.is_over
    assert are_connected(call, scene.vendor.calls[-1])
    scene.expect_nothing_left(call)
    assert scene.vendor.calls[-1].is_over


def test_a_switch_that_is_killed_while_the_second_target_rings_notifies_the_phone_and_both_talk_on(tmp_path):
    scene = KilledScene(tmp_path, office())
    call, at_mate, _ = moved_to_mate(scene)
    scene.vendor.script = RINGS
    blind(at_mate, TARGET)
    scene.wire.run_for(1_000)
    scene.kill(then_ms=5_000)
    assert notified(at_mate)[-1] == "503 Service Unavailable"
    assert scene.vendor.calls[0].is_over
    assert (call.is_over, at_mate.is_over) == (False, False)
    scene.propose(call, "a=sendonly")
    assert "a=sendonly" in at_mate.theirs
    scene.expect_nothing_left(call)
    assert at_mate.is_over
    assert scene.lost == []


@pytest.mark.parametrize("how", ["is replaced", "is stopped"])
def test_a_transfer_in_progress_goes_on_at_the_next_switch(tmp_path, how):
    scene = Scene(office()) if how == "is replaced" else KilledScene(tmp_path, office())
    scene.how = how
    call, at_mate, _ = moved_to_mate(scene)
    scene.vendor.script = answers(8_000)
    blind(at_mate, TARGET)
    scene.wire.run_for(1_000)
    interrupt(scene)
    scene.wire.run_for(5_000)
    assert at_mate.is_over
    assert are_connected(call, scene.vendor.calls[0])
    scene.expect_nothing_left(call)
    assert len(by_number(scene)) == 3


@pytest.mark.parametrize("is_answered", [True, False])
def test_a_phone_that_hangs_up_before_the_second_target_answers_leaves_the_caller_to_it(running, is_answered):
    call, at_mate, _ = moved_to_mate(running)
    running.vendor.script = answers(2_000) if is_answered else refuses(486, after_ms=2_000)
    blind(at_mate, TARGET)
    running.wire.run_for(500)
    at_mate.hang_up('Reason: Q.850;cause=31;text="Moved on"')
    running.wire.run_for(500)
    assert not at_mate.asked["BYE"]
    (to_mate,) = running.exchange.sink.records
    assert (to_mate.callee_in, to_mate.hangup_source) == (MATE, "callee")
    assert (to_mate.q850_cause, to_mate.reason_text) == (31, "Moved on")
    call.propose("a=sendonly")  # no other side can take it now
    press(running, call, "5")
    running.wire.run_for(5_000)
    assert call.is_over is not is_answered
    if is_answered:
        assert are_connected(call, running.vendor.calls[0])
        call.hang_up()
    running.expect_nothing_left()
    records = by_number(running)
    assert records[DESK].hangup_source == ("caller" if is_answered else "callee")


@pytest.mark.parametrize("has_left", [True, False])
@pytest.mark.parametrize("ends", ["caller", "switch"])
def test_the_end_of_the_side_that_stays_ends_the_ringing_target(running, has_left, ends):
    call, at_mate, _ = moved_to_mate(running)
    running.vendor.script = RINGS
    blind(at_mate, TARGET)
    running.wire.run_for(1_000)
    if has_left:
        running.hang_up(at_mate, wait_ms=500)
    call.hang_up() if ends == "caller" else running.exchange.end_all(EndReason.ADMINISTRATIVE)
    running.wire.run_for(3_000)
    assert (call.is_over, at_mate.is_over, running.vendor.calls[0].is_over) == (True, True, True)
    assert notified(at_mate)[2:] == ([] if has_left else ["487 Request Terminated"])
    running.expect_nothing_left()
    assert len(by_number(running)) == 3


def test_the_phone_connects_its_caller_with_one_that_it_has_called(scene):
    call, at_mate, mate = moved_to_mate(scene)
    own = dialled(scene, mate, TARGET)
    interrupt(scene)
    attended(at_mate, own)
    scene.wire.run_for(3_000)
    (target,) = scene.vendor.calls
    assert notified(at_mate) == ["200 OK"]
    assert (at_mate.is_over, own.is_over) == (True, True)
    assert are_connected(call, target)
    interrupt(scene)
    call.hang_up()
    scene.wire.run_until(lambda: target.is_over)
    scene.expect_nothing_left()
    records = by_number(scene)
    assert records[MATE].hangup_source == "callee"
    assert records[DESK].ended_at == records[TARGET].ended_at > records[MATE].ended_at


@pytest.mark.parametrize("wait_ms", [3_000, 100], ids=["late", "at once"])
def test_a_side_that_was_sent_the_answer_of_another_call_in_an_ack_is_sent_a_later_version_after_a_kill(scene, wait_ms):
    """RFC 3264 section 8: one of the same version is the same description, and this side would keep that of before.

    Both calls have been written for another change a moment ago.
    """
    desk, _ = registered(scene)
    first, second = dialled(scene, desk, TARGET), dialled(scene, desk, SECOND)
    attended(first, second)
    scene.wire.run_for(3_000)
    party, target = scene.vendor.calls
    scene.propose(target, wait_ms=100)
    party.will("INVITE", Reply(200, revised(party.mine, "a=sendonly")))
    target.ask("INVITE")  # its answer to the party's offer is in its ACK
    scene.wire.run_for(wait_ms)
    before = party.theirs
    interrupt(scene)
    scene.wire.run_for(3_000)
    target.propose()
    scene.wire.run_for(1_000)
    assert target.got["INVITE"] == [200, 200, 200]
    assert party.theirs != before
    assert follows(before, party.theirs)
    target.hang_up()
    scene.wire.run_for(3_000)
    scene.expect_nothing_left()


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_medium_that_a_side_of_another_call_was_offered_just_before_a_kill_is_relayed_after_it(tmp_path, method):
    """The call of that side has been written for another change a moment ago, and has a port more since."""
    relay = VirtualRelay()
    media = MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON)
    scene = KilledScene(tmp_path, usual_catalogue(media=media), relay=relay)
    scene.vendor.script = answers_timed()
    first, second = (scene.answered_call(callee=number, talk_ms=1_000) for number in (TARGET, SECOND))
    attended(first, second)
    scene.wire.run_for(3_000)
    party, target = scene.vendor.calls
    scene.propose(target, wait_ms=100)
    video = "m=video 6002 RTP/AVP 96\r\n"
    party.will(method, Reply(200, revised(party.mine) + video))
    target.ask(method, body=revised(target.mine) + video)
    scene.wire.run_for(100)
    scene.kill()
    scene.wire.run_for(1_000)
    for side, other in ((party, target), (target, party)):
        ports = [each.port for each in media_of(side.theirs.encode())]
        opposite = [each.port for each in media_of(other.theirs.encode())]
        assert [relay.at(port).other.rtp for port in ports] == opposite
    scene.expect_nothing_left(target)


@pytest.mark.parametrize("after_ms", range(1, 8))
@pytest.mark.parametrize("transport", ["RTP/AVP 0", "RTP/SAVP 0"])
def test_two_sides_have_the_session_of_each_other_where_a_kill_was_while_a_transfer_introduced_them(
    tmp_path, transport, after_ms
):
    """Else one goes on sending to the side that has left, or by its key, to the end of the call."""
    scene = KilledScene(tmp_path, usual_catalogue())
    key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" if "SAVP" in transport else "a=x-of:"
    calls = []
    for number in range(2):
        offer, answer = (
            f"{session.replace('RTP/AVP 0', transport)}{key}{f'{side}{number}'.ljust(40, 'A')}\r\n"
            for session, side in ((OFFER, "caller"), (ANSWER.replace("30000", f"300{number}0"), "callee"))
        )
        script = answers(500, body=answer)
        calls.append(scene.answered_call(Intent(offer), script=script, callee=f"{CALLEE[:-1]}{number}", talk_ms=3_000))
    party, target = scene.vendor.calls
    attended(*calls)
    scene.wire.run_for(after_ms)
    scene.kill()
    scene.wire.run_for(40_000)
    assert [call.is_over for call in (*calls, party, target)] == [True, True, False, False]
    assert are_connected(party, target)
    scene.expect_nothing_left(target)


@pytest.mark.parametrize("is_first", [True, False])
def test_a_phone_connects_two_that_were_both_moved_to_it(scene, is_first):
    desk, mate = registered(scene)
    calls, sides = [], []
    for _ in range(2):
        call, at_desk = called(scene, desk)
        blind(at_desk, MATE)
        scene.wire.run_for(3_000)
        calls.append(call)
        sides.append(mate.calls[-1])
    interrupt(scene)
    one, other = sides if is_first else sides[::-1]
    attended(one, other)
    scene.wire.run_for(3_000)
    assert [each.is_over for each in (*sides, *calls)] == [True, True, False, False]
    assert are_connected(*calls)
    interrupt(scene)
    calls[0].hang_up()
    scene.wire.run_until(lambda: calls[1].is_over)
    scene.expect_nothing_left()
    assert len(scene.exchange.sink.records) == 4


def test_a_phone_moves_a_call_to_one_whose_other_side_was_moved_to_it(running):
    """The second call was transferred, the first one was not."""
    call, at_mate, mate = moved_to_mate(running)
    own = dialled(running, mate, TARGET)
    attended(own, at_mate)
    running.wire.run_for(3_000)
    assert are_connected(call, running.vendor.calls[0])
    running.expect_nothing_left(running.vendor.calls[0])
    assert call.is_over


def test_a_side_is_not_connected_with_itself(running):
    """Both sides of a call are of one phone: it names the one in the REFER of the other."""
    desk, mate = registered(running)
    own = dialled(running, desk)
    (at_mate,) = mate.calls
    blind(at_mate, DESK)
    running.wire.run_for(3_000)
    (at_desk,) = desk.calls
    attended(own, at_desk)
    running.wire.run_for(1_000)
    assert own.got["REFER"] == [603]
    assert are_connected(own, at_desk)
    running.expect_nothing_left(own)


@pytest.mark.parametrize("first", ["caller", "mate"])
def test_one_transfers_while_the_other_does(running, first):
    call, at_mate, _ = moved_to_mate(running)
    running.vendor.script = RINGS
    one, other = (call, at_mate) if first == "caller" else (at_mate, call)
    blind(one, TARGET)
    running.wire.run_for(1_000)
    blind(other, SECOND)
    running.wire.run_for(1_000)
    assert (one.got["REFER"], other.got["REFER"]) == ([202], [491])
    running.expect_nothing_left(call, within_ms=40_000)


# -- keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keys", ["*1", "*2"])
@pytest.mark.parametrize("leaves", ["hangs up", "presses the key"])
def test_the_second_phone_moves_the_caller_on_by_keys(scene, keys, leaves):
    call, at_mate, _ = moved_to_mate(scene)
    interrupt(scene)
    press(scene, at_mate, f"{keys}{TARGET}#")
    scene.wire.run_for(3_000)
    (target,) = scene.vendor.calls
    assert passed_on(call) == "*"
    if keys == "*2":
        assert are_connected(at_mate, target)
        assert "a=inactive" in call.theirs
        interrupt(scene)
        press(scene, at_mate, "7")
        assert passed_on(target) == "7"
        press(scene, at_mate, "*9") if leaves == "presses the key" else at_mate.hang_up()
        scene.wire.run_for(3_000)
    assert at_mate.is_over
    assert are_connected(call, target)
    target.hang_up()
    scene.wire.run_until(lambda: call.is_over)
    scene.expect_nothing_left()
    records = by_number(scene)
    assert records[DESK].ended_at == records[TARGET].ended_at > records[MATE].ended_at


@pytest.mark.parametrize("how", ["key", "target"])
def test_the_second_phone_has_the_caller_back(scene, how):
    call, at_mate, _ = moved_to_mate(scene)
    press(scene, at_mate, f"*2{TARGET}#")
    scene.wire.run_for(3_000)
    interrupt(scene)
    (target,) = scene.vendor.calls
    press(scene, at_mate, "*0") if how == "key" else target.hang_up()
    scene.wire.run_for(5_000)
    assert target.is_over
    assert are_connected(call, at_mate)
    interrupt(scene)
    scene.propose(call, "a=sendonly")
    assert "a=sendonly" in at_mate.theirs
    press(scene, at_mate, f"*1{SECOND}#")
    scene.wire.run_for(3_000)
    assert are_connected(call, scene.vendor.calls[1])
    scene.expect_nothing_left(call)
    assert scene.vendor.calls[1].is_over


@pytest.mark.parametrize("ends", ["caller", "switch"])
def test_a_caller_that_does_not_wait_ends_it_for_all(running, ends):
    call, at_mate, _ = moved_to_mate(running)
    press(running, at_mate, f"*2{TARGET}#")
    running.wire.run_for(3_000)
    call.hang_up() if ends == "caller" else running.exchange.end_all(EndReason.ADMINISTRATIVE)
    running.wire.run_until(lambda: at_mate.is_over and running.vendor.calls[0].is_over)
    running.expect_nothing_left()
    assert len({record.ended_at for record in by_number(running).values()}) == 1
