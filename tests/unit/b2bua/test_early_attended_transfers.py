"""Attended transfers whose target still rings: the transferor hangs up before it answers (RFC 5589 section 7.6)."""

import pytest
from doubles.conformance import faults_of
from doubles.data.builders import account, catalogue, mapping_gateway
from doubles.desk_scene import (
    ANYWHERE,
    DESK,
    MATE,
    TARGET,
    are_connected,
    assert_no_faults,
    attended,
    blind,
    called,
    notified,
    office,
    registered,
)
from doubles.killed import KilledScene
from doubles.sockets.peer import ANSWER, OFFER
from doubles.successor import replace_node
from doubles.virtual.customer import SUPPORTS_100REL, Intent, OutgoingCall
from doubles.virtual.exchange import SWITCH
from doubles.virtual.phone import VirtualPhone
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import RINGS, IncomingCall, Line, Script, answers, answers_reliably


@pytest.fixture
def scene():
    scene = Scene(office())
    yield scene
    assert_no_faults(scene)


def ringing(scene: Scene, phone: VirtualPhone, number: str, intent: Intent | None = None) -> OutgoingCall:
    """Let a phone call a number that rings; return its side a second later."""
    own = phone.call(number, intent or Intent())
    scene.wire.run_for(1_000)
    own.remote = own.responses[-1]["To"]
    assert own.final is None
    return own


def staged(scene: Scene, script: Script | None = None) -> tuple[OutgoingCall, IncomingCall, OutgoingCall]:
    """Let the desk, which is called, call a target outside that rings; return caller, desk, and the desk once more."""
    desk, _ = registered(scene)
    scene.vendor.script = script or answers(5_000)
    call, at_desk = called(scene, desk)
    return call, at_desk, ringing(scene, desk, TARGET)


@pytest.mark.parametrize("how", ["runs on", "is replaced"])
def test_the_caller_is_connected_with_the_target_once_it_answers(scene, how):
    call, at_desk, own = staged(scene)
    attended(at_desk, own)
    scene.wire.run_for(1_000)
    assert at_desk.got["REFER"] == [202]
    assert notified(at_desk) == ["100 Trying", "180 Ringing"]
    assert (own.final, at_desk.is_over) == (487, False)
    if how == "is replaced":
        replace_node(scene)
    scene.wire.run_for(5_000)
    (target,) = scene.vendor.calls
    assert notified(at_desk)[2:] == ["200 OK"]
    assert (at_desk.is_over, call.is_over, target.is_over) == (True, False, False)
    assert are_connected(call, target)
    scene.propose(call, "a=sendonly")
    assert "a=sendonly" in target.theirs
    target.hang_up()
    scene.wire.run_until(lambda: call.is_over)
    scene.expect_nothing_left()
    records = {record.callee_in: record for record in scene.exchange.sink.records}
    first, second = records[DESK], records[TARGET]
    assert (first.customer_account, second.customer_account) == ("acme", "office")
    assert (second.mapping_gateway, second.sip_call_id_in) == (DESK, own.call_id)
    assert first.answered_at < second.answered_at < first.ended_at == second.ended_at
    assert second.vendor_account == "carriers"
    for record in (first, second):
        assert scene.exchange.statement(record.customer_account) == -(record.fee + record.tax) < 0


@pytest.mark.parametrize("hangs_up", ["bye first", "cancel first", "bye"])
def test_a_phone_that_hangs_up_all_at_once_leaves_the_caller_to_the_target(scene, hangs_up):
    call, at_desk, own = staged(scene)
    attended(at_desk, own)
    if hangs_up == "cancel first":
        own.cancel()  # crosses the 487
    scene.wire.run_for(200)
    scene.hang_up(at_desk, wait_ms=500)
    call.propose("a=sendonly")  # no other side can take it now
    scene.wire.run_for(6_000)
    (target,) = scene.vendor.calls
    assert not target.is_over
    assert are_connected(call, target)
    scene.expect_nothing_left(call)
    assert target.is_over


@pytest.mark.parametrize("has_left", [True, False])
@pytest.mark.parametrize("script", [Script((Line(0, 180), Line(3_000, 486))), RINGS])
def test_a_target_that_does_not_answer_leaves_the_caller_to_the_phone_while_it_is_there(scene, script, has_left):
    call, at_desk, own = staged(scene, script)
    attended(at_desk, own)
    scene.wire.run_for(500)
    if has_left:
        at_desk.hang_up()
    scene.wire.run_for(35_000)
    assert call.is_over is has_left
    assert scene.vendor.calls[0].is_over
    if not has_left:
        assert notified(at_desk)[-1][0] == "4"
        scene.propose(call, "a=sendonly")
        assert at_desk.agrees_with(call)
        call.hang_up()
    scene.expect_nothing_left()
    assert len(scene.exchange.sink.records) == 2


def test_the_next_gateway_is_offered_the_session_of_the_side_that_stays():
    """A customer that transfers one vendor's side to a number that two vendors have."""
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0), vendor_gateway(1)]
    scene = Scene(catalogue(trunks))
    first = scene.answered_call(talk_ms=1_000)
    (party,) = scene.vendors[0].calls
    scene.vendors[0].script = Script((Line(0, 180), Line(3_000, 503)))
    second = scene.begun_call(callee=TARGET, after_ms=1_000)
    second.remote = second.responses[-1]["To"]
    attended(first, second)
    scene.wire.run_for(6_000)
    (target,) = scene.vendors[1].calls
    assert target.invite.body.partition("\r\nt=")[2] == party.mine.partition("\r\nt=")[2]
    assert are_connected(party, target)
    assert (first.is_over, second.final) == (True, 487)
    scene.expect_nothing_left(party)
    assert faults_of(scene.wire.packets, SWITCH) == []


@pytest.mark.parametrize("ends", ["caller", "desk's call"])
def test_a_caller_that_hangs_up_takes_the_ringing_target_with_it(scene, ends):
    call, at_desk, own = staged(scene, RINGS)
    attended(at_desk, own)
    scene.wire.run_for(1_000)
    if ends == "desk's call":
        scene.hang_up(at_desk, wait_ms=500)
    scene.hang_up(call, wait_ms=3_000)
    assert (at_desk.is_over, scene.vendor.calls[0].is_over) == (True, True)
    scene.expect_nothing_left()
    assert sorted(record.end_reason for record in scene.exchange.sink.records) == ["Cancelled", "Normal"]


@pytest.mark.parametrize(
    ("script", "headers"),
    [
        (Script((Line(0, 183, ANSWER), Line(5_000, 200, ANSWER))), ()),
        (answers_reliably(after_ms=5_000), SUPPORTS_100REL),
    ],
    ids=["early media", "reliable"],
)
def test_a_target_with_early_media_is_connected_with_the_caller(scene, script, headers):
    desk, _ = registered(scene)
    scene.vendor.script = script
    call, at_desk = called(scene, desk)
    own = ringing(scene, desk, TARGET, Intent(headers=headers))
    attended(at_desk, own)
    scene.wire.run_for(8_000)
    assert at_desk.is_over
    assert are_connected(call, scene.vendor.calls[0])
    scene.expect_nothing_left(call)


def test_several_phones_that_ring_go_on_ringing(scene):
    """The target is another telephone of the office; the caller is moved on by it afterwards."""
    desk, mate = registered(scene)
    mate.script = answers(5_000)
    call, at_desk = called(scene, desk)
    own = ringing(scene, desk, MATE)
    attended(at_desk, own)
    scene.wire.run_for(6_000)
    (at_mate,) = mate.calls
    assert are_connected(call, at_mate)
    scene.vendor.script = answers(5_000)
    further = ringing(scene, mate, TARGET)
    attended(at_mate, further)
    scene.wire.run_for(6_000)
    assert at_mate.is_over
    assert are_connected(call, scene.vendor.calls[0])
    scene.expect_nothing_left(call)
    assert len(scene.exchange.sink.records) == 3


def test_early_only_is_obeyed(scene):
    """RFC 3891 section 7.1: of a call that rings it may be connected."""
    call, at_desk, own = staged(scene)
    at_desk.ask("REFER", headers=[f"Refer-To: <sip:x@{ANYWHERE}?Replaces={own.replaces_in_uri}%3Bearly-only>"])
    scene.wire.run_for(6_000)
    assert at_desk.got["REFER"] == [202]
    assert are_connected(call, scene.vendor.calls[0])
    scene.expect_nothing_left(call)


def test_a_call_without_an_offer_is_no_target(scene):
    """The answer has to come from the phone that has made the call."""
    desk, _ = registered(scene)
    scene.vendor.script = Script((Line(0, 180), Line(5_000, 200, OFFER)))
    call, at_desk = called(scene, desk)
    own = ringing(scene, desk, TARGET, Intent(offer=""))
    attended(at_desk, own)
    scene.wire.run_for(1_000)
    assert at_desk.got["REFER"] == [603]
    scene.wire.run_for(5_000)
    assert own.final == 200
    scene.expect_nothing_left(own, call)


def test_a_call_that_rings_at_the_phone_is_no_target(scene):
    """RFC 3891 section 3: it has not begun that dialog."""
    desk, mate = registered(scene)
    call, at_desk = called(scene, desk)
    desk.script = RINGS
    other = mate.call(DESK)
    scene.wire.run_for(1_000)
    attended(at_desk, desk.calls[-1])
    scene.wire.run_for(1_000)
    assert at_desk.got["REFER"] == [603]
    other.cancel()
    scene.expect_nothing_left(call)


def test_a_ringing_call_of_another_phone_is_no_target(scene):
    desk, mate = registered(scene)
    scene.vendor.script = RINGS
    call, at_desk = called(scene, desk)
    own = ringing(scene, mate, TARGET)
    attended(at_desk, own)
    scene.wire.run_for(1_000)
    assert at_desk.got["REFER"] == [603]
    assert not scene.vendor.calls[0].is_over
    own.cancel()
    scene.expect_nothing_left(call)


def test_a_call_that_was_moved_to_the_phone_is_moved_on(scene):
    desk, mate = registered(scene)
    scene.vendor.script = answers(5_000)
    call, at_desk = called(scene, desk)
    blind(at_desk, MATE)
    scene.wire.run_for(3_000)
    (at_mate,) = mate.calls
    own = ringing(scene, mate, TARGET)
    attended(at_mate, own)
    scene.hang_up(at_mate, wait_ms=6_000)
    assert are_connected(call, scene.vendor.calls[0])
    scene.expect_nothing_left(call)
    assert len(scene.exchange.sink.records) == 3


@pytest.mark.parametrize("how", ["is killed", "is stopped"])
def test_a_switch_that_ends_while_the_target_rings_leaves_the_caller_to_the_phone(tmp_path, how):
    scene = KilledScene(tmp_path, office())
    call, at_desk, own = staged(scene, answers(8_000))
    attended(at_desk, own)
    scene.wire.run_for(1_000)
    scene.kill() if how == "is killed" else scene.stop_and_keep()
    scene.wire.run_for(10_000)
    (target,) = scene.vendor.calls
    if how == "is killed":
        assert notified(at_desk)[-1] == "503 Service Unavailable"
        assert (target.is_over, at_desk.is_over, call.is_over) == (True, False, False)
    else:
        assert at_desk.is_over
        assert are_connected(call, target)
    scene.expect_nothing_left(call)
    assert scene.lost == []


def test_money_of_the_phones_account_limits_the_call_to_the_target():
    scene = Scene(office(accounts=[account("office", overdraft_limit=1)]))
    call, at_desk, own = staged(scene)
    attended(at_desk, own)
    scene.wire.run_for(200_000)
    assert (call.is_over, at_desk.is_over) == (True, True)
    scene.expect_nothing_left()
    assert {record.end_reason for record in scene.exchange.sink.records} == {"Normal", "Balance Exhausted"}
