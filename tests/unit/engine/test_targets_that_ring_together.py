"""Telephones that ring together, and a side with music on hold that is transferred to them."""

import pytest
from doubles.announcing import SOUNDS
from doubles.data.builders import account, catalogue, mapping_gateway, phone
from doubles.desk_scene import DESK, blind
from doubles.killed import KilledScene
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.rtpengines import VirtualRtpEngines
from doubles.virtual.scene import CUSTOMER, vendor_gateway
from doubles.virtual.vendor import Line, Script

from vosd.media.rtpengine_orders import RtpOffer
from vosd.media.sounds import Sound
from vosd.sdp.media import media_of
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters
from vosd.trunks.phone import RingOrder

PARTY, ONE, OTHER = "192.0.2.20", "192.0.2.30", "192.0.2.40"
OF_ONE, OF_OTHER = (ANSWER.replace(PARTY, each) for each in (ONE, OTHER))
MUSIC, RING_BACK = "music", "ring-back"


def ringing(tmp_path, engine, one, other):
    """Return a scene with two telephones of one number, which ring by these lines, and its relay and rtpengines."""
    relay, engines = VirtualRelay(), VirtualRtpEngines()
    content = catalogue(
        [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)],
        phones=[phone(DESK, account="office", ring=RingOrder.TOGETHER)],
        accounts=[account("office", overdraft_limit=None)],
        media=MediaParameters(engine=MediaEngine(engine), mode=MediaMode.ON, music_on_hold="busy"),
        sounds={"busy": Sound("busy", SOUNDS["busy"].by_codec, "/srv/busy.wav")},
    )
    scene = KilledScene(tmp_path, content, **({"relay": relay} if engine == "relay" else {"rtpengines": engines}))
    for lines, address in ((one, ("203.0.113.66", 41_234)), (other, ("203.0.113.77", 5_070))):
        telephone = scene.exchange.telephone(DESK, Endpoint(*address))
        telephone.register()
        telephone.script = Script(tuple(lines))
    return scene, relay, engines


def transferred(scene, *, leaves):
    """Let the caller hold its party and transfer it; return both."""
    call, party = scene.talk()
    scene.propose(call, "a=sendonly")
    blind(call, DESK)
    scene.wire.run_for(300)
    if leaves:
        call.hang_up()
    scene.wire.run_for(200)
    return call, party


def played(relay):
    """Return what the party has: music, ring-back, or the media of another host."""
    (port,) = (each for each in relay.open_ports.values() if each.source and each.source.host == PARTY)
    if port.playing is not None:
        return MUSIC
    partner = None if port.other is None else relay.open_ports.get(port.other.id)
    host = None if partner is None or partner.source is None else partner.source.host
    return host if host in {ONE, OTHER} else RING_BACK if port.rings_after_ms is not None else host


CASES = {
    "the other one sends early media": (
        [Line(0, 180), Line(20_000, 480)],
        [Line(2_000, 183, OF_OTHER), Line(20_000, 480)],
        [(1_000, RING_BACK), (3_000, OTHER)],
    ),
    "both send early media": (
        [Line(0, 183, OF_ONE), Line(20_000, 480)],
        [Line(2_000, 183, OF_OTHER), Line(20_000, 480)],
        [(1_000, ONE), (3_000, OTHER)],
    ),
    "the first one refuses while the other one rings": (
        [Line(0, 180), Line(2_000, 480)],
        [Line(100, 180), Line(20_000, 480)],
        [(1_000, RING_BACK), (3_000, RING_BACK)],
    ),
    "the other one refuses while the first one rings": (
        [Line(0, 180), Line(20_000, 480)],
        [Line(2_000, 480)],
        [(1_000, RING_BACK), (3_000, RING_BACK)],
    ),
    "the first one refuses before the other one rings": (
        [Line(0, 180), Line(2_000, 480)],
        [Line(4_000, 180), Line(20_000, 480)],
        [(1_000, RING_BACK), (3_000, MUSIC), (5_000, RING_BACK)],
    ),
    "one with early media refuses while the other one rings": (
        [Line(0, 183, OF_ONE), Line(2_000, 480)],
        [Line(100, 180), Line(20_000, 480)],
        [(1_000, ONE), (3_000, RING_BACK)],
    ),
    "one with early media refuses while the other one sends some": (
        [Line(0, 183, OF_ONE), Line(20_000, 480)],
        [Line(2_000, 183, OF_OTHER), Line(4_000, 480)],
        [(1_000, ONE), (3_000, OTHER), (5_000, ONE)],
    ),
}


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("leaves", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_a_side_that_is_transferred_has_the_ringing_that_goes_on(case, leaves, is_restarted, tmp_path):
    one, other, expected = CASES[case]
    scene, relay, _ = ringing(tmp_path, "relay", one, other)
    call, party = transferred(scene, leaves=leaves)
    passed_ms = 500
    for at_ms, what in expected:
        scene.wire.run_for(at_ms - passed_ms)
        passed_ms = at_ms
        assert played(relay) == what
        if is_restarted:
            scene.stop_and_keep(100, then_ms=200)
            passed_ms += 200
    scene.wire.run_for(25_000)
    assert party.is_over == leaves, "both have refused"
    if not leaves:
        assert played(relay) == MUSIC
        scene.propose(call, "a=sendrecv")
        assert played(relay) == CUSTOMER.host.replace("198.51.100", "192.0.2")
        call.hang_up()
    scene.wire.run_for(5_000)
    assert relay.open_ports == {}


@pytest.mark.parametrize("leaves", [False, True])
def test_a_telephone_that_answers_is_connected_after_the_ringing_of_another_one(leaves, tmp_path):
    one = [Line(0, 180), Line(20_000, 480)]
    other = [Line(1_000, 183, OF_OTHER), Line(3_000, 200, OF_OTHER)]
    scene, relay, _ = ringing(tmp_path, "relay", one, other)
    call, party = transferred(scene, leaves=leaves)
    scene.wire.run_for(5_000)
    assert played(relay) == OTHER
    assert (call.is_over, party.is_over) == (True, False)
    scene.expect_nothing_left(party)
    assert relay.open_ports == {}


RINGS, SENDS = Line(0, 180), Line(0, 183, OF_ONE)
DECLINED = {
    "both ring": ([RINGS], [Line(100, 180), Line(2_000, 603)]),
    "the first one sends early media": ([SENDS], [Line(100, 180), Line(2_000, 603)]),
    "the one that declines sends early media": ([RINGS], [Line(100, 183, OF_OTHER), Line(2_000, 603)]),
    "both send early media": ([SENDS], [Line(100, 183, OF_OTHER), Line(2_000, 603)]),
    "the first one declines": ([RINGS, Line(2_000, 603)], [Line(100, 180)]),
}


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("case", DECLINED)
@pytest.mark.parametrize("engine", ["relay", "rtpengine"])
def test_music_goes_on_once_one_of_two_that_ring_has_declined_for_both(engine, case, is_restarted, tmp_path):
    scene, relay, engines = ringing(tmp_path, engine, *DECLINED[case])
    call, party = transferred(scene, leaves=False)
    scene.wire.run_for(500)
    has_music = (lambda: played(relay) == MUSIC) if engine == "relay" else (lambda: bool(engines.playing))
    if is_restarted:
        scene.stop_and_keep(100, then_ms=200)
    assert engine == "rtpengine" or not has_music()
    scene.wire.run_for(3_000)
    assert has_music()
    call.ask("INVITE", body=call.mine)
    scene.wire.run_for(500)
    assert has_music()
    scene.propose(call, "a=sendrecv")
    assert engines.playing == {}
    assert [
        each.source.host for each in relay.open_ports.values() if each.rings_after_ms is not None or each.playing
    ] == []
    if engine == "relay":
        assert played(relay) == CUSTOMER.host.replace("198.51.100", "192.0.2")
    scene.expect_nothing_left(party)
    assert (relay.open_ports, engines.calls) == ({}, {})


@pytest.mark.parametrize("leaves", [False, True])
def test_music_goes_on_at_an_rtpengine_once_a_telephone_with_early_media_has_refused(leaves, tmp_path):
    """It plays no ring-back within a call."""
    one = [Line(0, 183, OF_ONE), Line(2_000, 480)]
    other = [Line(100, 180), Line(4_000, 183, OF_OTHER), Line(20_000, 480)]
    scene, _, engines = ringing(tmp_path, "rtpengine", one, other)
    call, _ = transferred(scene, leaves=leaves)
    scene.wire.run_for(500)
    assert engines.playing == {}
    scene.wire.run_for(2_000)
    assert [file for file, _ in engines.playing.values()] == ["/srv/busy.wav"]
    scene.wire.run_for(2_000)
    assert engines.playing == {}
    scene.wire.run_for(20_000)
    scene.expect_nothing_left(call)
    assert engines.calls == {}


def heard(engines):
    """Return the hosts of which media are forwarded at an rtpengine, of those that ring together."""
    ((engine, name), legs) = next(iter(engines.calls.items()))
    described = {}
    for order in engines.sessions:
        author = order.author if isinstance(order, RtpOffer) else order.reader
        described[author] = media_of(order.sdp.encode())[0].host
    return {
        host for tag, host in described.items()
        if tag in legs and host in {ONE, OTHER} and (engine, name, tag) not in engines.blocked
    }  # fmt: skip


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("leaves", [False, True])
def test_one_telephone_with_early_media_is_heard_at_an_rtpengine(leaves, is_restarted, tmp_path):
    one = [Line(0, 183, OF_ONE), Line(40_000, 480)]
    other = [Line(2_000, 183, OF_OTHER), Line(15_000, 480)]
    scene, _, engines = ringing(tmp_path, "rtpengine", one, other)
    call, _ = transferred(scene, leaves=leaves)
    scene.wire.run_for(500)
    assert heard(engines) == {ONE}
    scene.wire.run_for(2_000)
    assert heard(engines) == {OTHER}
    if is_restarted:
        scene.stop_and_keep(100)
    for _ in range(10):
        scene.wire.run_for(1_000)
        scene.exchange.poll_rtpengines()
    scene.wire.run_for(100)
    assert heard(engines) == {OTHER}
    scene.wire.run_for(10_000)
    assert heard(engines) == {ONE}
    scene.expect_nothing_left(call, within_ms=40_000)
