"""Phones behind NAT over TCP that call: their connection breaks while it rings, and they register over another one."""

from itertools import count

import pytest
from doubles.data.builders import catalogue, phone
from doubles.data.registering import register_request
from doubles.killed import KilledScene
from doubles.sockets.loopback import Endpoint as Address
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import KNOWS_UPDATE, SUPPORTS_100REL, Intent
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import CALLEE, Scene, vendor_gateway
from doubles.virtual.vendor import RINGS, Line, Script, Vendor, answers

from vosd.engine.registration.bindings import RegistrantKind
from vosd.sip.flows import Listener
from vosd.sip.wire.outgoing import Peer

NUMBER = "4930555"
HOME, SEEN, AGAIN = Address("192.168.1.100", 5060), Address("198.51.100.99", 40_000), Address("198.51.100.98", 41_000)
ELSEWHERE = Address("198.51.100.77", 42_000)
OVER_TCP = (Listener(*SWITCH, "tcp"),)


def content():
    return catalogue([vendor_gateway(0)], phones=[phone(NUMBER), phone("1002")])


@pytest.fixture
def scene():
    return Scene(content(), listeners=OVER_TCP)


CSEQ = count(1)


def register(scene, source, contact=HOME, number=NUMBER, call_id=None, instance="", reg_id=0):
    call_id = call_id or f"{number}-{contact}"
    written = f"<sip:{number}@{contact}>" + (f';+sip.instance="<urn:uuid:{instance}>"' if instance else "")
    written += f";reg-id={reg_id}" if reg_id else ""
    wanted = register_request(written, call_id=call_id, cseq=next(CSEQ))
    now = scene.exchange.clock.now()
    scene.exchange.registrations.register(number, RegistrantKind.PHONE, wanted, Peer(0, *source), now)
    scene.exchange.flush()


def calling(scene, script, intent=None):
    """Let a phone call, whose connection is lost while it rings."""
    scene.vendor.script = script
    at_home = scene.exchange.telephone(NUMBER, HOME)
    scene.wire.hide(HOME, SEEN)
    register(scene, SEEN)
    call = at_home.call(CALLEE, intent)
    scene.wire.run_until(lambda: 180 in call.statuses)
    lose(scene)
    return call


def lose(scene):
    """End the connection: nothing that is sent there arrives."""
    scene.wire.hide(HOME, AGAIN)
    scene.exchange.endpoint.transport_failed(Peer(0, *SEEN), scene.exchange.clock.now())
    scene.exchange.registrations.connection_lost(Peer(0, *SEEN))


def test_a_caller_that_connects_again_while_it_rings_is_answered_over_its_next_connection(scene):
    call = calling(scene, answers(10_000))
    register(scene, AGAIN)
    scene.wire.run_until(lambda: call.final == 200)
    [answer] = [each for each in call.responses if each.status == 200]
    assert f"rport={AGAIN.port}" in answer["Via"]
    assert f"received={AGAIN.host}" in answer["Via"]
    assert scene.finish(call).end_reason == "Normal"


def test_a_caller_that_comes_back_after_the_answer_gets_it_when_it_registers(scene):
    call = calling(scene, answers(2_000))
    scene.wire.run_for(7_000)
    lose(scene)
    assert call.final is None
    register(scene, AGAIN)
    scene.wire.run_for(100)
    assert call.final == 200
    assert scene.finish(call).end_reason == "Normal"


@pytest.mark.parametrize("is_answered", [True, False], ids=["after the answer", "before it"])
@pytest.mark.parametrize("is_own", [True, False], ids=["its own", "that of another phone"])
def test_a_caller_whose_flow_is_lost_is_answered_over_its_other_one(scene, is_answered, is_own):
    """It has two (RFC 5626); the one over which it calls is lost while the 200 has no ACK, or before that."""
    scene.vendor.script = answers(2_000)
    at_home = scene.exchange.telephone(NUMBER, HOME)
    register(scene, AGAIN, instance="ours" if is_own else "theirs", reg_id=1, call_id="other flow")
    scene.wire.hide(HOME, SEEN)
    register(scene, SEEN, instance="ours", reg_id=2)
    call = at_home.call(CALLEE)
    scene.wire.run_until(lambda: 180 in call.statuses)
    scene.wire.hide(HOME, AGAIN)
    scene.wire.run_for(3_000 if is_answered else 1_000)
    lose(scene)
    scene.wire.run_for(3_000)
    assert call.final == (200 if is_own else None)
    if is_own:
        assert scene.finish(call).end_reason == "Normal"


def test_its_answer_is_waited_for_no_longer_for_that(scene):
    call = calling(scene, answers(2_000))
    scene.wire.run_for(22_000)
    register(scene, ELSEWHERE)
    scene.wire.run_for(20_000)
    assert call.final is None
    assert scene.record.end_reason == "No ACK"


def test_a_caller_that_connects_again_cancels_over_its_next_connection(scene):
    call = calling(scene, RINGS)
    register(scene, AGAIN)
    call.cancel()
    scene.wire.run_until(lambda: call.final == 487)
    scene.wire.run_for(1_000)
    assert scene.vendor.only_call.is_cancelled
    scene.close()


def test_a_caller_that_connects_again_is_refused_over_its_next_connection(scene):
    call = calling(scene, RINGS._replace(lines=(*RINGS.lines, Line(10_000, 486))))
    register(scene, AGAIN)
    scene.wire.run_until(lambda: call.final is not None)
    assert call.final == 486
    scene.close()


def test_a_reliable_response_that_it_has_missed_is_repeated_over_its_next_connection(scene):
    early = Script((*RINGS.lines, Line(3_000, 183, ANSWER, (), True), Line(20_000, 200)))
    call = calling(scene, early, Intent(headers=SUPPORTS_100REL))
    scene.wire.run_for(5_000)
    assert 183 not in call.statuses
    register(scene, AGAIN)
    scene.wire.run_until(lambda: call.final == 200)
    assert 183 in call.statuses
    assert scene.finish(call).end_reason == "Normal"


@pytest.mark.parametrize(
    ("number", "contact"), [("1002", HOME), (NUMBER, Address("192.168.1.101", 5060))], ids=["user", "device"]
)
def test_nothing_of_its_call_is_sent_to_another_one(scene, number, contact):
    call = calling(scene, answers(2_000))
    register(scene, ELSEWHERE, contact, number)
    scene.wire.run_for(10_000)
    assert call.final is None
    assert [each.data for each in scene.wire.packets if each.target == ELSEWHERE] == []


@pytest.mark.parametrize("is_back", [False, True], ids=["before", "after"])
def test_a_call_of_another_process_follows_its_caller_as_well(tmp_path, is_back):
    scene = KilledScene(tmp_path, content(), listeners=OVER_TCP)
    call = calling(scene, answers(10_000))
    if is_back:
        register(scene, AGAIN)
    scene.stop_and_keep(then_ms=1_000)
    if not is_back:
        register(scene, AGAIN)
    scene.wire.run_until(lambda: call.final == 200)
    assert scene.finish(call).end_reason == "Normal"


def test_an_answer_without_ack_follows_its_caller_after_a_crash(tmp_path):
    scene = KilledScene(tmp_path, content(), listeners=OVER_TCP)
    call = calling(scene, answers(2_000))
    scene.wire.run_for(4_000)
    scene.kill(then_ms=1_000)
    assert call.final is None
    register(scene, AGAIN)
    scene.wire.run_until(lambda: call.final == 200, 5_000)
    assert scene.finish(call).end_reason == "Normal"


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_an_answer_does_not_follow_another_phone_of_its_user(transport):
    """That has the same private Contact in another home, and registers while the answer has no ACK."""
    scene = Scene(content(), listeners=(Listener(*SWITCH, transport),))
    scene.vendor.script = answers(2_000)
    at_home = scene.exchange.telephone(NUMBER, HOME)
    scene.wire.hide(HOME, SEEN)
    register(scene, SEEN)
    call = at_home.call(CALLEE)
    scene.wire.run_until(lambda: 180 in call.statuses)
    scene.wire.hide(HOME, AGAIN)
    scene.wire.run_for(2_100)
    assert call.final != 200, "it is lost"
    register(scene, ELSEWHERE, call_id="registrations@elsewhere")
    scene.wire.hide(HOME, SEEN)
    scene.wire.run_until(lambda: call.final == 200)
    assert [each.data for each in scene.wire.packets if each.target == ELSEWHERE] == []
    scene.hang_up(call)


@pytest.mark.parametrize("restart", ["no restart", "restart", "crash"])
@pytest.mark.parametrize("is_late", [False, True], ids=["back before the hang-up", "back after it"])
def test_a_call_whose_phone_is_unknown_goes_to_each_that_may_be_it(tmp_path, restart, is_late):
    """It came over another connection than its phone had registered on; another phone has the same private Contact."""
    scene = KilledScene(tmp_path, content(), listeners=OVER_TCP)
    Vendor(scene.wire, ELSEWHERE, SWITCH, RINGS)
    at_home = scene.exchange.telephone(NUMBER, HOME)
    scene.wire.hide(HOME, SEEN)
    register(scene, Address(SEEN.host, 39_000), instance="ours")
    call = at_home.call(CALLEE)
    scene.await_answer(call, talk_ms=2_000)
    lose(scene)
    register(scene, ELSEWHERE, call_id="registrations@elsewhere", instance="theirs")
    scene.wire.run_for(2_000)
    if restart == "restart":
        scene.stop_and_keep()
    elif restart == "crash":
        scene.kill()
    scene.wire.run_for(1_000)
    register(scene, ELSEWHERE, call_id="registrations@elsewhere", instance="theirs")
    if is_late:
        scene.hang_up(scene.vendor.only_call, wait_ms=1_000)
        assert not call.is_over
    register(scene, AGAIN, instance="ours")
    scene.wire.run_for(1_000)
    if not is_late:
        scene.vendor.only_call.hang_up()
    scene.wire.run_until(lambda: call.is_over, 5_000)
    assert [each.data[:3] for each in scene.wire.packets if each.target == AGAIN] == [b"BYE"]
    scene.close()


@pytest.mark.parametrize("restart", ["no restart", "restart", "crash"])
@pytest.mark.parametrize("asks", ["INVITE", "UPDATE", "INFO"])
def test_a_call_does_not_end_by_the_word_of_another_phone(tmp_path, restart, asks):
    """The phone of the call is unknown, and another one of the user with the same private Contact answers 481."""
    scene = KilledScene(tmp_path, content(), listeners=OVER_TCP)
    other = Vendor(scene.wire, ELSEWHERE, SWITCH, RINGS)
    at_home = scene.exchange.telephone(NUMBER, HOME)
    scene.wire.hide(HOME, SEEN)
    register(scene, Address(SEEN.host, 39_000), instance="ours")
    call = at_home.call(CALLEE, Intent(headers=KNOWS_UPDATE))
    scene.await_answer(call, talk_ms=2_000)
    there = scene.vendor.only_call
    lose(scene)
    register(scene, ELSEWHERE, call_id="registrations@elsewhere", instance="theirs")
    if restart == "restart":
        scene.stop_and_keep()
    elif restart == "crash":
        scene.kill()
        register(scene, ELSEWHERE, call_id="registrations@elsewhere", instance="theirs")
    ask(there, asks)
    scene.wire.run_for(40_000)
    assert [message for message in other.heard if message.method == asks]
    assert there.got[asks][0] not in {200, 481}
    assert not there.is_over
    register(scene, AGAIN, instance="ours")
    scene.wire.run_for(1_000)
    ask(there, asks)
    scene.wire.run_for(5_000)
    assert there.got[asks][-1] == 200
    there.hang_up()
    scene.wire.run_until(lambda: call.is_over, 5_000)
    scene.close()


@pytest.mark.parametrize("asks", ["INVITE", "INFO"])
def test_another_phone_is_asked_before_the_next_one(scene, asks):
    """Both are registered when the other one answers 481."""
    Vendor(scene.wire, ELSEWHERE, SWITCH, RINGS)
    at_home = scene.exchange.telephone(NUMBER, HOME)
    scene.wire.hide(HOME, SEEN)
    register(scene, Address(SEEN.host, 39_000), instance="ours")
    call = at_home.call(CALLEE)
    scene.await_answer(call, talk_ms=2_000)
    there = scene.vendor.only_call
    lose(scene)
    register(scene, ELSEWHERE, call_id="registrations@elsewhere", instance="theirs")
    scene.exchange.endpoint.dialogs.owners[call.response(200).to_tag].dialog.device = None
    register(scene, AGAIN, call_id="registrations@again")
    dialog = scene.exchange.endpoint.dialogs.owners[call.response(200).to_tag].dialog
    dialog.reach_by(Peer(0, *ELSEWHERE), is_guessed=True)
    ask(there, asks)
    scene.wire.run_for(5_000)
    if asks == "INFO":
        ask(there, asks)
        scene.wire.run_for(5_000)
    assert there.got[asks][-1] == 200
    there.hang_up()
    scene.wire.run_until(lambda: call.is_over, 5_000)
    scene.close()


def ask(side, method):
    """Send a key, or change the session."""
    if method == "INFO":
        side.ask("INFO", body="Signal=1\r\n", kind="application/dtmf-relay")
    else:
        side.propose("a=sendonly", method=method)
