"""Phones behind NAT over TCP: their connection breaks, they register over another one, and their calls follow them."""

from itertools import count

import pytest
from doubles.data.builders import catalogue, mapping_gateway, phone
from doubles.data.registering import register_request
from doubles.killed import KilledScene
from doubles.sockets.loopback import Endpoint as Address
from doubles.sockets.peer import ANSWER
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import RINGS, Line, Script, Vendor, answers

from vosd.engine.registration.bindings import RegistrantKind
from vosd.sip.flows import Listener
from vosd.sip.settings import RegistrarSettings, SipSettings
from vosd.sip.transaction.store import RegisteredPlace
from vosd.sip.wire.outgoing import Peer

NUMBER = "4471001"
HOME, SEEN, AGAIN = Address("192.168.1.100", 5060), Address("198.51.100.99", 40_000), Address("198.51.100.99", 41_000)
ELSEWHERE = Address("198.51.100.77", 42_000)
OVER_TCP = (Listener(*SWITCH, "tcp"),)


CSEQ = count(1)


def call_id_of(contact, number=NUMBER, user=NUMBER):
    """Return the Call-ID of the registrations of a device: it has one for all of them."""
    return f"{number}-{user}-{contact}"


def register(scene, source, contact=HOME, number=NUMBER, user=NUMBER, call_id=None, instance="", reg_id=0):
    written = f"<sip:{user}@{contact}>" + (f';+sip.instance="<urn:uuid:{instance}>"' if instance else "")
    written += f";reg-id={reg_id}" if reg_id else ""
    call_id = call_id or call_id_of(contact, number, user)
    wanted = register_request(written, call_id=call_id, cseq=next(CSEQ))
    now = scene.exchange.clock.now()
    scene.exchange.registrations.register(number, RegistrantKind.PHONE, wanted, Peer(0, *source), now)
    scene.exchange.flush()


def content():
    gateways = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    return catalogue(gateways, phones=[phone(NUMBER), phone("1002")])


def connected(scene):
    at_home = Vendor(scene.wire, HOME, SWITCH, answers(body=ANSWER.replace("192.0.2.20", HOME.host)))
    scene.wire.hide(HOME, SEEN)
    register(scene, SEEN)
    call = scene.answered_call(callee=NUMBER)
    return call, at_home


@pytest.fixture
def scene():
    return Scene(content(), listeners=OVER_TCP)


def dialog(scene):
    [live_call] = scene.exchange.switch.calls()
    return live_call.call.callee.leg.dialog


def test_a_call_follows_its_phone_to_the_next_connection(scene):
    call, at_home = connected(scene)
    scene.exchange.registrations.connection_lost(Peer(0, *SEEN))
    scene.wire.hide(HOME, AGAIN)
    register(scene, AGAIN)
    [kept] = scene.exchange.sink.open.values()
    assert (AGAIN.host, AGAIN.port) in [(leg.seen_at.host, leg.seen_at.port) for leg in kept.legs]
    assert scene.finish(call).end_reason == "Normal"
    assert at_home.only_call.is_over


@pytest.mark.parametrize(
    ("number", "contact"), [("1002", HOME), (NUMBER, Address("192.168.1.101", 5060))], ids=["user", "device"]
)
def test_a_call_does_not_follow_another_one(scene, number, contact):
    connected(scene)
    scene.exchange.registrations.connection_lost(Peer(0, *SEEN))
    register(scene, ELSEWHERE, contact, number=number)
    assert dialog(scene).peer == Peer(0, *SEEN)


def test_a_call_does_not_leave_a_connection_at_which_its_user_is_registered(scene):
    """Another device of the same user is in another home, which has the same private addresses."""
    connected(scene)
    register(scene, ELSEWHERE, user="softphone")
    assert len(scene.exchange.registrations.addresses(NUMBER)) == 2
    assert dialog(scene).peer == Peer(0, *SEEN)


def test_a_call_does_not_leave_the_connection_of_a_device_whose_place_another_one_takes():
    settings = SipSettings(registrar=RegistrarSettings(max_contacts=1))
    scene = Scene(content(), listeners=OVER_TCP, sip=settings)
    connected(scene)
    register(scene, ELSEWHERE, user="softphone")
    assert [each.host for each in scene.exchange.registrations.addresses(NUMBER)] == [ELSEWHERE.host]
    assert dialog(scene).peer == Peer(0, *SEEN)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("most", [1, 10], ids=["thrown out", "ended by the same REGISTER"])
def test_a_call_follows_its_phone_that_replaces_its_own_binding(transport, most):
    """The user part of its Contact is a new one each time."""
    settings = SipSettings(registrar=RegistrarSettings(max_contacts=most))
    scene = Scene(content(), listeners=(Listener(*SWITCH, transport),), sip=settings)
    call, at_home = connected(scene)
    scene.wire.hide(HOME, AGAIN)
    contacts = [f"<sip:a2@{HOME}>"] if most == 1 else [f"<sip:a2@{HOME}>", f"<sip:{NUMBER}@{HOME}>;expires=0"]
    again = register_request(*contacts, call_id=call_id_of(HOME), cseq=next(CSEQ))
    now = scene.exchange.clock.now()
    scene.exchange.registrations.register(NUMBER, RegistrantKind.PHONE, again, Peer(0, *AGAIN), now)
    scene.exchange.flush()
    assert [each.port for each in scene.exchange.registrations.addresses(NUMBER)] == [AGAIN.port]
    assert dialog(scene).peer == Peer(0, *AGAIN)
    assert scene.finish(call).end_reason == "Normal"
    assert at_home.only_call.is_over


def test_a_call_of_another_process_follows_as_well(tmp_path):
    """The binding has ended with its connection, and the next process has the call alone."""
    scene = KilledScene(tmp_path, content(), listeners=OVER_TCP)
    call, at_home = connected(scene)
    scene.wire.run_for(2_000)
    scene.kill(then_ms=1_000)
    assert scene.lost == []
    scene.wire.hide(HOME, AGAIN)
    register(scene, AGAIN)
    assert scene.finish(call).routing_gateway == NUMBER
    assert at_home.only_call.is_over


def lose_connection(scene):
    """Nothing is sent to where the phone was; the switch is told."""
    scene.wire.hide(HOME, AGAIN)
    exchange = scene.exchange
    assert exchange.endpoint.transport_failed(Peer(0, *SEEN), exchange.clock.now()) == []


def test_a_phone_that_is_not_back_yet_learns_of_the_hang_up_when_it_is(tmp_path):
    """Its connection has ended with the process, and the caller hangs up before it has registered again."""
    scene = KilledScene(tmp_path, content(), listeners=OVER_TCP)
    call, at_home = connected(scene)
    scene.wire.run_for(2_000)
    scene.kill(then_ms=1_000)
    scene.wire.hide(HOME, AGAIN)
    scene.hang_up(call)
    lose_connection(scene)
    scene.wire.run_for(60_000)
    assert not at_home.only_call.is_over
    register(scene, AGAIN)
    assert scene.close().end_reason == "Normal"
    assert at_home.only_call.is_over


def test_a_leg_that_is_hung_up_at_a_start_waits_for_its_phone_as_well(tmp_path):
    scene = KilledScene(tmp_path, content(), listeners=OVER_TCP)
    call, at_home = connected(scene)
    scene.wire.run_for(2_000)
    scene.wire.hide(HOME, AGAIN)
    scene.hang_up(call)
    scene.kill(then_ms=1_000)
    lose_connection(scene)
    assert not at_home.only_call.is_over
    register(scene, AGAIN)
    scene.wire.run_until(lambda: at_home.only_call.is_over)


ANSWER_AT_HOME = ANSWER.replace("192.0.2.20", HOME.host)
ANSWERS_LATE = answers(10_000, body=ANSWER_AT_HOME)
RELIABLY = Script((Line(0, 100), Line(0, 183, ANSWER_AT_HOME, (), True), Line(10_000, 200)))


def ringing(scene, script=ANSWERS_LATE, intent=None):
    """Call a phone, whose connection is lost while it rings; nothing reaches it at the old one."""
    at_home = Vendor(scene.wire, HOME, SWITCH, script)
    scene.wire.hide(HOME, SEEN)
    register(scene, SEEN)
    call = scene.caller.call(NUMBER, intent)
    scene.wire.run_until(lambda: call.statuses)
    scene.wire.run_for(1_000)
    lose(scene)
    return call, at_home


def lose(scene):
    """End the connection of the phone."""
    lose_connection(scene)
    scene.exchange.registrations.connection_lost(Peer(0, *SEEN))


def bytes_sent_to(scene, address, method):
    return [each.data for each in scene.wire.packets if each.target == address and each.data.startswith(method)]


@pytest.mark.parametrize("script", [ANSWERS_LATE, RELIABLY], ids=["rings", "rings reliably"])
def test_a_phone_that_connects_again_while_it_rings_gets_what_follows_over_its_next_connection(scene, script):
    call, at_home = ringing(scene, script)
    register(scene, AGAIN)
    scene.await_answer(call, talk_ms=1_000)
    assert bytes_sent_to(scene, AGAIN, b"ACK")
    assert scene.finish(call).end_reason == "Normal"
    assert at_home.only_call.is_over


def test_the_caller_cancels_what_rings_at_the_next_connection(scene):
    call, at_home = ringing(scene, RINGS)
    register(scene, AGAIN)
    call.cancel()
    scene.wire.run_for(1_000)
    assert call.is_over
    assert at_home.only_call.is_cancelled
    assert len(bytes_sent_to(scene, AGAIN, b"ACK")) == 1, "the ACK of the 487"
    scene.close()


def test_a_phone_that_comes_back_after_its_call_was_cancelled_learns_of_that(scene):
    call, at_home = ringing(scene, RINGS)
    call.cancel()
    scene.wire.run_until(lambda: call.is_over)
    scene.wire.run_for(10_000)
    assert not at_home.only_call.is_cancelled
    register(scene, AGAIN)
    scene.wire.run_for(1_000)
    assert at_home.only_call.is_cancelled
    assert scene.close().end_reason


def test_a_phone_that_answers_before_it_registers_gets_the_ack_of_its_repeated_answer(scene):
    """Only a registration proves that the new connection is one of the user."""
    call, at_home = ringing(scene)
    scene.wire.run_until(lambda: call.final == 200)
    assert bytes_sent_to(scene, AGAIN, b"ACK") == []
    register(scene, AGAIN)
    scene.wire.run_for(5_000)
    assert bytes_sent_to(scene, AGAIN, b"ACK")
    assert scene.finish(call).end_reason == "Normal"
    assert at_home.only_call.is_over


@pytest.mark.parametrize(
    ("number", "contact"), [("1002", HOME), (NUMBER, Address("192.168.1.101", 5060))], ids=["user", "device"]
)
def test_nothing_of_a_ringing_call_follows_another_one(scene, number, contact):
    call, _ = ringing(scene)
    register(scene, ELSEWHERE, contact, number=number)
    scene.await_answer(call, talk_ms=1_000)
    scene.hang_up(call, wait_ms=10_000)
    assert [each.data for each in scene.wire.packets if each.target == ELSEWHERE] == []


def test_a_ringing_call_does_not_leave_a_connection_at_which_its_user_is_registered(scene):
    at_home = Vendor(scene.wire, HOME, SWITCH, RINGS)
    scene.wire.hide(HOME, SEEN)
    register(scene, SEEN)
    call = scene.caller.call(NUMBER)
    scene.wire.run_until(lambda: call.statuses)
    register(scene, ELSEWHERE, user="softphone")
    call.cancel()
    scene.wire.run_until(lambda: call.is_over)
    assert at_home.only_call.is_cancelled
    assert bytes_sent_to(scene, ELSEWHERE, b"") == []


def test_a_ringing_phone_is_cancelled_at_its_next_connection_after_a_crash(tmp_path):
    scene = KilledScene(tmp_path, content(), listeners=OVER_TCP)
    at_home = Vendor(scene.wire, HOME, SWITCH, RINGS)
    scene.wire.hide(HOME, SEEN)
    register(scene, SEEN)
    call = scene.caller.call(NUMBER)
    scene.wire.run_until(lambda: call.statuses)
    scene.wire.hide(HOME, AGAIN)
    scene.kill(then_ms=1_000)
    lose_connection(scene)
    assert not at_home.only_call.is_cancelled
    register(scene, AGAIN)
    scene.wire.run_for(1_000)
    assert at_home.only_call.is_cancelled


@pytest.mark.parametrize("is_back", [False, True], ids=["before", "after"])
def test_a_ringing_call_of_another_process_follows_its_phone_as_well(tmp_path, is_back):
    """The phone is back before the restart, or after it."""
    scene = KilledScene(tmp_path, content(), listeners=OVER_TCP)
    call, at_home = ringing(scene)
    if is_back:
        register(scene, AGAIN)
    scene.stop_and_keep(then_ms=1_000)
    if not is_back:
        register(scene, AGAIN)
    scene.await_answer(call, talk_ms=1_000)
    assert bytes_sent_to(scene, AGAIN, b"ACK")
    assert scene.finish(call).end_reason == "Normal"
    assert at_home.only_call.is_over


def test_what_rings_behind_nat_is_cancelled_where_nat_has_moved_it():
    scene = Scene(content(), listeners=(Listener(*SWITCH, "udp"),))
    at_home = Vendor(scene.wire, HOME, SWITCH, RINGS)
    scene.wire.hide(HOME, SEEN)
    register(scene, SEEN)
    call = scene.caller.call(NUMBER)
    scene.wire.run_until(lambda: call.statuses)
    scene.wire.hide(HOME, AGAIN)
    register(scene, AGAIN)
    call.cancel()
    scene.wire.run_for(1_000)
    assert call.is_over
    assert at_home.only_call.is_cancelled
    scene.close()


OVER_UDP = (Listener(*SWITCH, "udp"),)
OTHER_CALL_ID = "registrations@elsewhere"
INSTANCE, OTHER_INSTANCE = "00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000b"


def register_another(scene, instance=""):
    """Register another device of the user, which has the same private Contact in another home."""
    register(scene, ELSEWHERE, call_id=OTHER_CALL_ID, instance=instance)


def ringing_at_home(scene, script, instance=""):
    at_home = Vendor(scene.wire, HOME, SWITCH, script)
    scene.wire.hide(HOME, SEEN)
    register(scene, SEEN, instance=instance)
    call = scene.caller.call(NUMBER)
    scene.wire.run_until(lambda: call.statuses)
    scene.wire.run_for(1_000)
    return call, at_home


@pytest.mark.parametrize("listeners", [OVER_UDP, OVER_TCP], ids=["udp", "tcp"])
def test_a_phone_that_rings_gets_its_ack_while_another_one_takes_its_binding(listeners):
    """Both have one Contact and no ``+sip.instance``: the registrar takes them for one device."""
    scene = Scene(content(), listeners=listeners)
    call, at_home = ringing_at_home(scene, ANSWERS_LATE)
    register_another(scene)
    assert len(scene.exchange.registrations.addresses(NUMBER)) == 1
    scene.await_answer(call, talk_ms=1_000)
    assert bytes_sent_to(scene, SEEN, b"ACK")
    assert bytes_sent_to(scene, ELSEWHERE, b"") == []
    assert dialog(scene).peer == Peer(0, *SEEN)
    assert scene.finish(call).end_reason == "Normal"
    assert at_home.only_call.is_over


@pytest.mark.parametrize("listeners", [OVER_UDP, OVER_TCP], ids=["udp", "tcp"])
def test_a_phone_that_rings_is_cancelled_while_another_one_takes_its_binding(listeners):
    scene = Scene(content(), listeners=listeners)
    call, at_home = ringing_at_home(scene, RINGS)
    register_another(scene)
    call.cancel()
    scene.wire.run_until(lambda: call.is_over)
    assert at_home.only_call.is_cancelled
    assert bytes_sent_to(scene, ELSEWHERE, b"") == []


def test_a_repeated_answer_is_acknowledged_where_it_came_from_though_its_call_may_have_moved():
    scene = Scene(content(), listeners=OVER_UDP)
    call, _ = ringing_at_home(scene, ANSWERS_LATE)
    scene.await_answer(call, talk_ms=1_000)
    [answer] = [
        each.data
        for each in scene.wire.packets
        if each.target == SWITCH
        and each.data.startswith(b"SIP/2.0 200 ")
        and b" INVITE\r\n" in each.data
        and each.source == SEEN
    ]
    register_another(scene)
    scene.wire.send(HOME, SWITCH, answer)
    scene.wire.run_for(1_000)
    assert len(bytes_sent_to(scene, SEEN, b"ACK")) == 2
    assert bytes_sent_to(scene, ELSEWHERE, b"ACK") == []


@pytest.mark.parametrize("has_instance", [True, False], ids=["instances", "Call-IDs"])
@pytest.mark.parametrize("rings", [True, False], ids=["rings", "talks"])
def test_a_call_follows_its_own_phone_where_another_one_connects_before(scene, rings, has_instance):
    own, other = (INSTANCE, OTHER_INSTANCE) if has_instance else ("", "")
    call, at_home = ringing_at_home(scene, ANSWERS_LATE, own)
    if not rings:
        scene.await_answer(call, talk_ms=1_000)
    lose(scene)
    register_another(scene, other)
    register(scene, AGAIN, instance=own)
    scene.await_answer(call, talk_ms=1_000)
    assert dialog(scene).peer == Peer(0, *AGAIN)
    assert bytes_sent_to(scene, ELSEWHERE, b"") == []
    assert scene.finish(call).end_reason == "Normal"
    assert at_home.only_call.is_over


@pytest.mark.parametrize("has_instance", [True, False], ids=["instances", "Call-IDs"])
@pytest.mark.parametrize("is_first", [True, False], ids=["before", "after"])
def test_a_phone_gets_its_bye_though_another_one_is_registered_when_its_connection_is_lost(
    scene, has_instance, is_first
):
    """The other one registers before the connection is lost, or while the BYE waits."""
    own, other = (INSTANCE, OTHER_INSTANCE) if has_instance else ("", "")
    Vendor(scene.wire, ELSEWHERE, SWITCH, RINGS)
    call, at_home = ringing_at_home(scene, ANSWERS_LATE, own)
    scene.wire.run_until(lambda: call.final == 200)
    if is_first:
        register_another(scene, other)
    scene.wire.hide(HOME, AGAIN)
    scene.hang_up(call, wait_ms=100)
    lose(scene)
    if not is_first:
        register_another(scene, other)
    scene.exchange.flush()
    scene.wire.run_for(10_000)
    if has_instance:
        assert bytes_sent_to(scene, ELSEWHERE, b"") == []
    assert not at_home.only_call.is_over
    register(scene, AGAIN, instance=own)
    scene.wire.run_for(1_000)
    assert at_home.only_call.is_over


@pytest.mark.parametrize("listeners", [OVER_UDP, OVER_TCP], ids=["udp", "tcp"])
@pytest.mark.parametrize("is_same_place", [True, False], ids=["the same place", "another place"])
def test_a_call_stays_at_its_phone_while_another_one_takes_its_binding(listeners, is_same_place):
    """Over UDP no connection is lost, and over TCP it is open, so that a move is one only where it is proven."""
    scene = Scene(content(), listeners=listeners)
    scene.exchange.registrations.has_accepted = lambda _peer: True
    call, at_home = ringing_at_home(scene, ANSWERS_LATE)
    scene.await_answer(call, talk_ms=1_000)
    register_another(scene)
    assert dialog(scene).peer == Peer(0, *SEEN)
    if not is_same_place:
        scene.wire.hide(HOME, AGAIN)
        register(scene, AGAIN)
        assert dialog(scene).peer == Peer(0, *AGAIN)
    assert scene.finish(call).end_reason == "Normal"
    assert at_home.only_call.is_over
    assert bytes_sent_to(scene, ELSEWHERE, b"") == []


@pytest.mark.parametrize("is_killed", [True, False], ids=["crash", "restart"])
def test_another_process_knows_the_phone_that_rings(tmp_path, is_killed):
    scene = KilledScene(tmp_path, content(), listeners=OVER_TCP)
    call, at_home = ringing_at_home(scene, RINGS, INSTANCE)
    scene.wire.hide(HOME, AGAIN)
    scene.kill() if is_killed else scene.stop_and_keep()
    scene.wire.run_for(1_000)
    lose_connection(scene)
    register_another(scene, OTHER_INSTANCE)
    if not is_killed:
        call.cancel()
    scene.wire.run_for(1_000)
    assert not at_home.only_call.is_cancelled
    register(scene, AGAIN, instance=INSTANCE, call_id="registrations after a restart@home")
    scene.wire.run_for(1_000)
    assert at_home.only_call.is_cancelled
    assert bytes_sent_to(scene, ELSEWHERE, b"") == []


def test_a_call_of_another_process_follows_its_own_phone(tmp_path):
    scene = KilledScene(tmp_path, content(), listeners=OVER_TCP)
    call, at_home = ringing_at_home(scene, ANSWERS_LATE)
    scene.await_answer(call, talk_ms=2_000)
    scene.kill(then_ms=1_000)
    scene.wire.hide(HOME, AGAIN)
    register_another(scene)
    register(scene, AGAIN)
    assert scene.finish(call).routing_gateway == NUMBER
    assert at_home.only_call.is_over


def test_a_call_follows_its_phone_that_has_another_call_id_since_its_restart(scene):
    """Nothing else has its Contact: it may be the phone of the call."""
    call, at_home = connected(scene)
    scene.exchange.registrations.connection_lost(Peer(0, *SEEN))
    scene.wire.hide(HOME, AGAIN)
    register(scene, AGAIN, call_id="registrations after a restart@home")
    assert scene.finish(call).end_reason == "Normal"
    assert at_home.only_call.is_over


def test_a_phone_that_nat_has_moved_while_it_rang_is_cancelled_there_after_a_crash(tmp_path):
    scene = KilledScene(tmp_path, content(), listeners=OVER_UDP)
    _, at_home = ringing_at_home(scene, RINGS)
    scene.wire.hide(HOME, AGAIN)
    register(scene, AGAIN)
    scene.kill(then_ms=1_000)
    assert at_home.only_call.is_cancelled
    assert bytes_sent_to(scene, SEEN, b"CANCEL") == []


OTHER_CONTACTS = [Address(HOME.host, 41_000), Address("10.8.0.7", 5060)]


@pytest.mark.parametrize("contact", OTHER_CONTACTS, ids=["another port", "another network"])
@pytest.mark.parametrize("is_lost", [True, False], ids=["lost before", "found lost later"])
@pytest.mark.parametrize("rings", [True, False], ids=["rings", "talks"])
def test_a_call_follows_its_phone_that_has_another_contact_since_it_connected_again(scene, contact, is_lost, rings):
    """Phones write the port of their connection into their Contact, or the address that a network gives them."""
    call, at_home = ringing_at_home(scene, ANSWERS_LATE, INSTANCE)
    if not rings:
        scene.await_answer(call, talk_ms=1_000)
    if is_lost:
        lose(scene)
    scene.wire.hide(HOME, AGAIN)
    register(scene, AGAIN, contact, instance=INSTANCE)
    scene.await_answer(call, talk_ms=1_000)
    assert dialog(scene).peer == Peer(0, *AGAIN)
    assert scene.finish(call).end_reason == "Normal"
    assert at_home.only_call.is_over


@pytest.mark.parametrize("contact", OTHER_CONTACTS, ids=["another port", "another network"])
def test_a_call_follows_no_other_contact_of_its_call_id_alone(scene, contact):
    """A box of several telephones may register each of them with one Call-ID."""
    call, _ = ringing_at_home(scene, ANSWERS_LATE)
    lose(scene)
    register(scene, ELSEWHERE, contact, call_id=call_id_of(HOME))
    scene.await_answer(call, talk_ms=1_000)
    assert dialog(scene).peer == Peer(0, *SEEN)
    assert bytes_sent_to(scene, ELSEWHERE, b"") == []


def test_a_call_stays_on_its_transport(scene):
    """A request with the Via of one transport cannot be sent over another one, and the phone may have left neither."""
    call, _ = ringing_at_home(scene, ANSWERS_LATE, INSTANCE)
    scene.await_answer(call, talk_ms=1_000)
    here, there = dialog(scene).peer, RegisteredPlace(Peer(1, *AGAIN), f"sip:{NUMBER}@{AGAIN}", dialog(scene).device)
    scene.exchange.endpoint.dialogs.connected_again(NUMBER, there, [there], scene.exchange.clock.now())
    scene.exchange.endpoint.dialogs.peer_moved(NUMBER, here, there, scene.exchange.clock.now())
    assert dialog(scene).peer == here


@pytest.mark.parametrize("contact", OTHER_CONTACTS, ids=["another port", "another network"])
def test_a_bye_that_waits_is_sent_to_the_other_contact_of_the_same_instance(scene, contact):
    call, at_home = ringing_at_home(scene, ANSWERS_LATE, INSTANCE)
    scene.wire.run_until(lambda: call.final == 200)
    scene.wire.hide(HOME, AGAIN)
    scene.hang_up(call, wait_ms=100)
    lose(scene)
    scene.wire.run_for(10_000)
    register(scene, AGAIN, contact, instance=INSTANCE)
    scene.wire.run_for(1_000)
    assert at_home.only_call.is_over


def ringing_over_one_of_two(scene, script, other=INSTANCE, other_call_id=None, contact=HOME):
    """Call a phone that has two flows (RFC 5626): it rings over the one at ``SEEN``, the other is at ``AGAIN``."""
    at_home = Vendor(scene.wire, HOME, SWITCH, script)
    scene.wire.hide(HOME, SEEN)
    register(scene, AGAIN, contact, instance=other, reg_id=1, call_id=other_call_id)
    scene.wire.run_for(1_000)
    register(scene, SEEN, instance=INSTANCE, reg_id=2)
    call = scene.caller.call(NUMBER)
    scene.wire.run_until(lambda: call.statuses)
    scene.wire.run_for(1_000)
    assert bytes_sent_to(scene, SEEN, b"INVITE")
    assert bytes_sent_to(scene, AGAIN, b"INVITE") == []
    return call, at_home


@pytest.mark.parametrize("contact", [HOME, *OTHER_CONTACTS], ids=["one contact", "another port", "another network"])
def test_a_phone_that_answers_over_its_other_flow_gets_the_ack_there(scene, contact):
    call, at_home = ringing_over_one_of_two(scene, ANSWERS_LATE, contact=contact)
    lose(scene)
    scene.await_answer(call, talk_ms=1_000)
    assert bytes_sent_to(scene, AGAIN, b"ACK")
    assert dialog(scene).peer == Peer(0, *AGAIN)
    assert scene.finish(call).end_reason == "Normal"
    assert at_home.only_call.is_over


def test_a_repeated_answer_is_acknowledged_over_the_other_flow(scene):
    """The flow is lost before the ACK has arrived over it."""
    call, _ = ringing_over_one_of_two(scene, ANSWERS_LATE)
    scene.await_answer(call, talk_ms=1_000)
    [answer] = [
        each.data for each in scene.wire.packets if each.data.startswith(b"SIP/2.0 200 ") and each.source == SEEN
    ]
    lose(scene)
    scene.wire.send(HOME, SWITCH, answer)
    scene.wire.run_for(1_000)
    assert len(bytes_sent_to(scene, AGAIN, b"ACK")) == 1


@pytest.mark.parametrize("is_first", [True, False], ids=["before", "after"])
def test_a_phone_is_cancelled_over_its_other_flow(scene, is_first):
    """The caller gives up before the loss of the flow is noticed, or after it."""
    call, at_home = ringing_over_one_of_two(scene, RINGS)
    scene.wire.hide(HOME, AGAIN)
    if is_first:
        call.cancel()
        scene.wire.run_for(100)
    lose(scene)
    scene.exchange.flush()
    if not is_first:
        call.cancel()
    scene.wire.run_for(1_000)
    assert call.is_over
    assert at_home.only_call.is_cancelled
    assert len(bytes_sent_to(scene, AGAIN, b"ACK")) == 1, "the ACK of the 487"
    scene.close()


@pytest.mark.parametrize("is_answered", [True, False], ids=["talks", "rings"])
def test_nothing_of_a_call_goes_to_another_device_when_its_connection_is_lost(scene, is_answered):
    """It has the same user, the same private Contact and an open connection."""
    call, _ = ringing_over_one_of_two(scene, ANSWERS_LATE, other=OTHER_INSTANCE, other_call_id=OTHER_CALL_ID)
    if is_answered:
        scene.await_answer(call, talk_ms=1_000)
    lose(scene)
    scene.await_answer(call, talk_ms=5_000)
    assert dialog(scene).peer == Peer(0, *SEEN)
    assert bytes_sent_to(scene, AGAIN, b"") == []


SLOW = Script((Line(3_000, 180), Line(4_000, 200, ANSWER_AT_HOME)))
"""Does not respond for longer than it takes to register."""


def called_over_a_dead_connection(scene, script=ANSWERS_LATE, **registration):
    """Call a phone whose NAT has forgotten its connection, which no end of that connection says; wait for 2 s."""
    at_home = Vendor(scene.wire, HOME, SWITCH, script)
    scene.wire.hide(HOME, SEEN)
    register(scene, SEEN, **registration)
    scene.wire.hide(HOME, AGAIN)
    call = scene.begun_call(callee=NUMBER, after_ms=2_000)
    assert at_home.calls == []
    return call, at_home


@pytest.mark.parametrize(
    ("instance", "contact"),
    [("", HOME), (INSTANCE, HOME), (INSTANCE, OTHER_CONTACTS[0])],
    ids=["one contact", "one instance", "one instance, another contact"],
)
def test_a_phone_that_connects_again_before_it_has_its_call_is_called_there(scene, instance, contact):
    call, at_home = called_over_a_dead_connection(scene, instance=instance)
    register(scene, AGAIN, contact, instance=instance)
    scene.wire.run_for(500)
    assert at_home.only_call
    lose_connection(scene)
    assert bytes_sent_to(scene, AGAIN, b"INVITE") == bytes_sent_to(scene, SEEN, b"INVITE")
    scene.wire.run_until(lambda: call.final == 200)
    assert scene.finish(call).end_reason == "Normal"
    assert at_home.only_call.is_over


def test_a_phone_that_has_its_call_and_connects_again_before_it_responds_takes_it_for_a_retransmission(scene):
    at_home = Vendor(scene.wire, HOME, SWITCH, SLOW)
    scene.wire.hide(HOME, SEEN)
    register(scene, SEEN)
    call = scene.begun_call(callee=NUMBER, after_ms=2_000)
    scene.wire.hide(HOME, AGAIN)
    register(scene, AGAIN)
    scene.wire.run_until(lambda: call.final == 200)
    assert bytes_sent_to(scene, AGAIN, b"INVITE") == bytes_sent_to(scene, SEEN, b"INVITE")
    assert scene.finish(call).end_reason == "Normal"
    assert at_home.only_call.is_over


@pytest.mark.parametrize(
    ("number", "contact", "user"),
    [("1002", HOME, NUMBER), (NUMBER, Address("192.168.1.101", 5060), NUMBER), (NUMBER, HOME, "softphone")],
    ids=["user", "contact", "device"],
)
def test_a_call_without_response_goes_to_no_other_phone_that_connects(scene, number, contact, user):
    call, _ = called_over_a_dead_connection(scene)
    register(scene, ELSEWHERE, contact, number=number, user=user)
    scene.wire.run_until(lambda: call.is_over)
    assert call.final == 408
    assert bytes_sent_to(scene, ELSEWHERE, b"INVITE") == []


@pytest.mark.parametrize("is_cancelled", [True, False], ids=["by the caller", "by its time limit"])
def test_a_phone_that_connects_again_after_its_call_was_given_up_is_not_called(scene, is_cancelled):
    call, at_home = called_over_a_dead_connection(scene)
    if is_cancelled:
        call.cancel()
    scene.wire.run_until(lambda: call.is_over)
    register(scene, AGAIN)
    scene.wire.run_for(1_000)
    assert at_home.calls == []
    scene.wire.run_for(60_000)
    assert scene.close().end_reason


def test_a_call_without_response_goes_over_the_other_flow_of_its_phone(scene):
    at_home = Vendor(scene.wire, HOME, SWITCH, ANSWERS_LATE)
    scene.wire.hide(HOME, AGAIN)
    register(scene, AGAIN, instance=INSTANCE, reg_id=1)
    scene.wire.run_for(1_000)
    register(scene, SEEN, instance=INSTANCE, reg_id=2)
    call = scene.begun_call(callee=NUMBER, after_ms=2_000)
    assert at_home.calls == []
    scene.exchange.registrations.connection_lost(Peer(0, *SEEN))
    lose_connection(scene)
    scene.exchange.flush()
    scene.wire.run_until(lambda: call.final == 200)
    assert scene.finish(call).end_reason == "Normal"
    assert at_home.only_call.is_over
