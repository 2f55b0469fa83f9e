"""Phones without NAT over a connection (IPv6, an office): it breaks, they register over another one, calls follow."""

from itertools import count

import pytest
from doubles.data.builders import catalogue, mapping_gateway, phone
from doubles.data.registering import register_request
from doubles.killed import KilledScene
from doubles.sockets.loopback import Endpoint as Address
from doubles.virtual.customer import KNOWS_UPDATE, Intent
from doubles.virtual.exchange import SWITCH
from doubles.virtual.rtpengines import VirtualRtpEngines
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.ua import new_branch
from doubles.virtual.vendor import RINGS, Line, Script, Vendor, answers, answers_timed
from msgspec import UNSET

from vosd.engine.registration.bindings import RegistrantKind
from vosd.sip.flows import Listener
from vosd.sip.wire.outgoing import Peer
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters

NUMBER = "4471001"
DESK, AGAIN = Address("198.51.100.99", 40_000), Address("198.51.100.99", 41_000)
ELSEWHERE = Address("198.51.100.77", 42_000)
INSTANCE, OTHER_INSTANCE = "00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000b"
CALL_ID = "registrations@desk"
CSEQ = count(1)


def content(**others):
    gateways = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    return catalogue(gateways, phones=[phone(NUMBER), phone("1002")], **others)


def listeners(transport="tls"):
    return (Listener(*SWITCH, transport),)


@pytest.fixture
def scene():
    return Scene(content(), listeners=listeners())


def register(scene, source, contact=None, number=NUMBER, call_id=CALL_ID, instance=INSTANCE):
    """Register over a connection; most phones write its port into their Contact."""
    written = f"<sip:{number}@{contact or source}>" + (f';+sip.instance="<urn:uuid:{instance}>"' if instance else "")
    wanted = register_request(written, call_id=call_id, cseq=next(CSEQ))
    now = scene.exchange.clock.now()
    scene.exchange.registrations.register(number, RegistrantKind.PHONE, wanted, Peer(0, *source), now)
    scene.exchange.flush()


def called(scene, script=None, instance=INSTANCE):
    """Call the phone; return the side of the caller, and that of the phone."""
    there = Vendor(scene.wire, DESK, SWITCH, script or answers())
    register(scene, DESK, instance=instance)
    call = scene.answered_call(Intent(headers=KNOWS_UPDATE), callee=NUMBER, talk_ms=1_000)
    return call, there.only_call


def calling(scene):
    """Let the phone call; return the side of the vendor, and that of the phone."""
    desk = scene.exchange.telephone(NUMBER, DESK)
    register(scene, DESK)
    call = desk.call(CALLEE, Intent(headers=KNOWS_UPDATE))
    scene.await_answer(call, talk_ms=1_000)
    return scene.vendor.only_call, call


def lose(scene, after=AGAIN):
    """End the connection: nothing that is sent there arrives, and the phone sends from another port or host."""
    scene.wire.hide(DESK, after)
    scene.exchange.endpoint.transport_failed(Peer(0, *DESK), scene.exchange.clock.now())
    scene.exchange.registrations.connection_lost(Peer(0, *DESK))


def peer_of(scene):
    """Return where the switch sends requests of the call to the phone."""
    dialogs = [owner.dialog for owner in scene.exchange.endpoint.dialogs.owners.values()]
    [peer] = [each.peer for each in dialogs if each.user]
    return peer


@pytest.mark.parametrize("begin", [called, calling], ids=["called", "caller"])
@pytest.mark.parametrize("transport", ["tcp", "tls", "ws"])
@pytest.mark.parametrize("after", [AGAIN, ELSEWHERE], ids=["another port", "another network"])
@pytest.mark.parametrize("is_noticed", [True, False], ids=["reset", "silent"])
def test_a_call_goes_on_over_the_next_connection_of_its_phone(begin, transport, after, is_noticed):
    scene = Scene(content(), listeners=listeners(transport))
    far, there = begin(scene)
    if is_noticed:
        lose(scene, after)
    else:
        scene.exchange.registrations.has_accepted = lambda _peer: True
        scene.wire.hide(DESK, after)
    register(scene, after)
    assert peer_of(scene) == Peer(0, *after)
    scene.propose(far, "a=sendonly")
    scene.propose(far, "a=sendrecv", method="UPDATE")
    far.ask("INFO", body="Signal=1\r\n", kind="application/dtmf-relay")
    scene.wire.run_for(1_000)
    assert far.got == {"INVITE": [200], "UPDATE": [200], "INFO": [200]}
    assert "a=sendrecv" in there.theirs
    far.hang_up()
    scene.wire.run_until(lambda: far.is_over and there.is_over)
    scene.close()
    assert scene.exchange.endpoint.dialogs._by_user == {}


@pytest.mark.parametrize("contact", [DESK, AGAIN], ids=["its own port", "that of the connection"])
def test_a_phone_that_names_the_port_where_it_listens_is_followed_as_well(scene, contact):
    """Without an instance it is known by the Call-ID of its registrations, if it keeps its Contact."""
    call, there = called(scene, instance=INSTANCE if contact == AGAIN else "")
    lose(scene)
    register(scene, AGAIN, contact, instance=INSTANCE if contact == AGAIN else "")
    scene.propose(call, "a=sendonly")
    assert call.got == {"INVITE": [200]}
    scene.finish(call)
    assert there.is_over


def test_a_session_is_refreshed_over_the_next_connection(scene):
    call, there = called(scene, answers_timed("600;refresher=uac"))
    lose(scene)
    register(scene, AGAIN)
    scene.wire.run_for(310_000)
    assert len(there.asked["UPDATE"]) == 1
    assert not call.is_over
    scene.finish(call)


@pytest.mark.parametrize("begin", [called, calling], ids=["called", "caller"])
@pytest.mark.parametrize("restart", ["stop", "kill"])
@pytest.mark.parametrize("is_back", [True, False], ids=["back before", "back after"])
@pytest.mark.parametrize("after", [AGAIN, ELSEWHERE], ids=["another port", "another network"])
def test_a_call_follows_its_phone_after_a_restart(tmp_path, begin, restart, is_back, after):
    scene = KilledScene(tmp_path, content(), listeners=listeners())
    far, there = begin(scene)
    lose(scene, after)
    if is_back:
        register(scene, after)
    scene.wire.run_for(2_000)
    scene.kill() if restart == "kill" else scene.stop_and_keep()
    scene.wire.run_for(1_000)
    if not is_back:
        register(scene, after)
    scene.propose(far, "a=sendonly")
    assert far.got == {"INVITE": [200]}
    far.hang_up()
    scene.wire.run_until(lambda: far.is_over and there.is_over)


def test_a_caller_that_connects_again_is_answered_there(scene):
    scene.vendor.script = Script((*RINGS.lines, Line(10_000, 200)))
    desk = scene.exchange.telephone(NUMBER, DESK)
    register(scene, DESK)
    call = desk.call(CALLEE)
    scene.wire.run_until(lambda: 180 in call.statuses)
    lose(scene)
    register(scene, AGAIN)
    scene.wire.run_until(lambda: call.final is not None, 15_000)
    assert f"rport={AGAIN.port}" in call.response(200)["Via"]
    assert scene.finish(call).end_reason == "Normal"


@pytest.mark.parametrize(
    "other",
    [
        {"number": "1002"},
        {"number": "1002", "contact": DESK},
        {"instance": OTHER_INSTANCE},
        {"instance": OTHER_INSTANCE, "contact": DESK},
        {"instance": ""},
        {"instance": "", "contact": DESK, "call_id": "registrations@elsewhere"},
    ],
    ids=["user", "user, one Contact", "device", "device, one Contact", "no instance", "no proof"],
)
@pytest.mark.parametrize("begin", [called, calling], ids=["called", "caller"])
@pytest.mark.parametrize("is_lost", [True, False], ids=["lost", "open"])
def test_no_call_follows_another_phone(scene, begin, other, is_lost):
    """A Contact without NAT may be a place that accepts connections: what is not proven moves nothing."""
    begin(scene)
    if is_lost:
        lose(scene)
    register(scene, ELSEWHERE, **other)
    assert peer_of(scene) == Peer(0, *DESK)


@pytest.mark.parametrize("begin", [called, calling], ids=["called", "caller"])
def test_a_contact_at_another_host_is_followed_as_before(scene, begin):
    """The phone has named a server that has its calls from then on."""
    _, there = begin(scene)
    server = Address("198.51.100.44", 5061)
    update = there.request("UPDATE", there.sequence + 1, new_branch())
    there.agent.send(update.replace(f"Contact: <sip:{DESK}>", f"Contact: <sip:{NUMBER}@{server};transport=tls>"))
    scene.wire.run_for(1_000)
    assert peer_of(scene) == Peer(0, *server)
    lose(scene)
    register(scene, AGAIN)
    assert peer_of(scene) == Peer(0, *server)


@pytest.mark.parametrize("begin", [called, calling], ids=["called", "caller"])
def test_a_phone_that_says_where_it_is_after_its_move_is_reached_there(scene, begin):
    _, there = begin(scene)
    lose(scene, ELSEWHERE)
    register(scene, ELSEWHERE)
    server = Address("198.51.100.44", 5061)
    update = there.request("UPDATE", there.sequence + 1, new_branch())
    there.agent.send(update.replace(f"Contact: <sip:{DESK}>", f"Contact: <sip:{NUMBER}@{server};transport=tls>"))
    scene.wire.run_for(1_000)
    assert peer_of(scene) == Peer(0, *server)


@pytest.mark.parametrize("begin", [called, calling], ids=["called", "caller"])
@pytest.mark.parametrize("after", [AGAIN, ELSEWHERE], ids=["another port", "another network"])
def test_media_of_a_phone_that_has_moved_are_where_it_says(begin, after):
    """They may have another address than its SIP, as those of a media gateway; only NAT hides where they are."""
    media = MediaParameters(engine=MediaEngine.RTPENGINE, mode=MediaMode.ON)
    engines = VirtualRtpEngines()
    scene = Scene(content(media=media), listeners=listeners(), rtpengines=engines)
    _, there = begin(scene)
    lose(scene, after)
    register(scene, after)
    scene.propose(there, "a=sendrecv", method="UPDATE")
    assert there.got == {"UPDATE": [200]}
    assert [each.seen_at for each in engines.sessions] == [UNSET] * 4
    assert peer_of(scene) == Peer(0, *after)


def test_a_call_of_a_proxy_stays_with_that_proxy(scene):
    """It is in the route set of the call, which a REGISTER over another way does not change."""
    proxied = (f"Record-Route: <sip:{DESK};transport=tls;lr>",)
    called(scene, Script((Line(0, 180, headers=proxied), Line(0, 200, answers().lines[-1].body, proxied))))
    lose(scene)
    register(scene, ELSEWHERE)
    assert peer_of(scene) == Peer(0, *DESK)
