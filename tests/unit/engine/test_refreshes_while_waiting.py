"""Refreshes of a side whose other one has transferred it and left, while the target rings (RFC 3264 section 8)."""

import pytest
from doubles.announcing import SOUNDS
from doubles.data.builders import account, catalogue, mapping_gateway, phone
from doubles.desk_scene import DESK, TARGET, are_connected, blind, called
from doubles.keypad_scene import KEYS, press
from doubles.killed import KilledScene
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.rtpengines import VirtualRtpEngines
from doubles.virtual.scene import CUSTOMER, vendor_gateway
from doubles.virtual.side import Reply
from doubles.virtual.vendor import Line, Script, answers

from vosd.media.sounds import Sound
from vosd.sdp.media import media_of
from vosd.trunks.dialect import CallerDialect
from vosd.trunks.media import KeyWay, MediaEngine, MediaMode, MediaParameters, MediaSettings

NEXT = "443333333333"
OF_TARGET = ANSWER.replace("192.0.2.20", "192.0.2.30")
WIDE = OFFER.replace("AVP 0 101", "AVP 0 8 101").replace("a=rtpmap:0", "a=rtpmap:8 PCMA/8000\r\na=rtpmap:0")
PLAIN = OFFER.replace("AVP 0 101", "AVP 0").replace("a=rtpmap:101 telephone-event/8000\r\n", "")
FEW = MediaSettings(codecs=("PCMU", "telephone-event"))
RELAY, RTPENGINE = MediaEngine.RELAY, MediaEngine.RTPENGINE


def stage(tmp_path, engine, mode, *, customer=None, desk=None, **media):
    """Make a customer and a telephone, both with keys, a vendor that is relayed, and one whose target rings on."""
    dialect = CallerDialect(transfer_keys=KEYS)
    content = catalogue(
        [
            mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=dialect, media=customer or MediaSettings()),
            vendor_gateway(0, media=MediaSettings(mode=MediaMode.MUST_ON)),
            vendor_gateway(1, prefixes=(NEXT[:6],)),
        ],
        phones=[phone(DESK, account="office", dialect=dialect, media=desk or MediaSettings())],
        accounts=[account("office", overdraft_limit=None)],
        media=MediaParameters(engine=engine, mode=mode, **media),
        sounds={"busy": Sound("busy", SOUNDS["busy"].by_codec, "/srv/busy.wav")},
    )
    by_engine = {"relay": VirtualRelay()} if engine is RELAY else {"rtpengines": VirtualRtpEngines()}
    scene = KilledScene(tmp_path, content, **by_engine)
    scene.vendors[0].script = answers(500, body=OF_TARGET)
    scene.vendors[1].script = Script((Line(0, 180), Line(60_000, 200, OF_TARGET)))
    telephone = scene.exchange.telephone(DESK, Endpoint("203.0.113.66", 41_234))
    telephone.register()
    return scene, telephone


def leave(scene, call):
    """Let the caller transfer its party to a target that rings, and hang up."""
    blind(call, NEXT)
    scene.wire.run_for(500)
    scene.hang_up(call, wait_ms=500)


def refresh(scene, side, by):
    """Let a side refresh its session, or the switch do so, and return the description that it gets."""
    if by == "side":
        side.ask("INVITE", body=side.mine)
    else:
        asked = len(side.asked["INVITE"])
        (leg,) = (
            leg
            for live in scene.exchange.switch.calls()
            for leg in live.call.conversation.all_legs
            if leg.host == side.agent.address.host and leg.facts.is_confirmed
        )
        leg.supervision.offer_again(scene.exchange.clock.now())
    scene.wire.run_for(1_000)
    if by == "side":
        assert side.got["INVITE"][-1] == 200
    else:
        assert side.asked["INVITE"][asked].body == side.theirs, "else it was refused"
    return side.theirs


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("by", ["side", "switch"])
@pytest.mark.parametrize("engine", [RELAY, RTPENGINE])
def test_a_direct_side_gets_no_ports_that_it_had_for_a_target_before(engine, by, is_restarted, tmp_path):
    scene, desk = stage(tmp_path, engine, MediaMode.AUTO)
    call, at_desk = called(scene, desk)
    for side in (call, at_desk):
        press(scene, side, f"*2{TARGET}#", 100)
        scene.wire.run_for(4_000)
        scene.hang_up(scene.vendors[0].calls[-1], wait_ms=4_000)
        assert are_connected(call, at_desk)
    leave(scene, call)
    before = at_desk.theirs
    if is_restarted:
        scene.stop_and_keep(1_000, then_ms=2_000)
    assert refresh(scene, at_desk, by) == before
    scene.expect_nothing_left(at_desk)


def changed(terms, offer):
    return {"terms": terms, "offer": offer}


CHANGES = {
    "codecs of who has left": changed({"customer": FEW}, WIDE),
    "codecs of who waits": changed({"desk": FEW}, WIDE),
    "telephone events": changed({"customer": MediaSettings(dtmf=KeyWay.INFO)}, PLAIN),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("by", ["side", "switch"])
@pytest.mark.parametrize("mode", [MediaMode.OFF, MediaMode.ON])
@pytest.mark.parametrize("engine", [RELAY, RTPENGINE])
def test_a_side_gets_another_version_where_its_description_was_changed_on_its_way(engine, mode, by, change, tmp_path):
    scene, desk = stage(tmp_path, engine, mode, **CHANGES[change]["terms"])
    call, at_desk = called(scene, desk, offer=CHANGES[change]["offer"])
    before = at_desk.theirs
    leave(scene, call)
    after = refresh(scene, at_desk, by)
    if change == "codecs of who waits":
        assert media_of(after.encode())[0].codecs == media_of(before.encode())[0].codecs
    assert refresh(scene, at_desk, by) == after
    scene.expect_nothing_left(at_desk)


def direction(session):
    return media_of(session.encode())[0].direction


def played(scene, host):
    """Return the music that a side has."""
    (leg,) = (
        leg
        for live in scene.exchange.switch.calls()
        for leg in live.call.conversation.all_legs
        if leg.host == host and leg.facts.media
    )
    return leg.facts.media.music


@pytest.mark.parametrize("rings", [True, False])
@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("by", ["side", "switch"])
@pytest.mark.parametrize("engine", [RELAY, RTPENGINE])
def test_a_side_on_hold_may_listen_to_its_music_after_a_refresh(engine, by, is_restarted, rings, tmp_path):
    """It was sent ``sendonly`` for the ``inactive`` of its holder, and listens to ring-back by it, too."""
    scene, desk = stage(tmp_path, engine, MediaMode.ON, music_on_hold="busy")
    scene.vendors[1].script = Script((Line(0, 180 if rings else 100), Line(12_000, 200, OF_TARGET)))
    call, at_desk = called(scene, desk)
    scene.propose(call, "a=inactive")
    leave(scene, call)
    before = at_desk.theirs
    assert (direction(before), direction(at_desk.mine)) == ("sendonly", "recvonly")
    assert bool(played(scene, at_desk.agent.address.host)) == (engine is RTPENGINE or not rings)
    if is_restarted:
        scene.stop_and_keep(1_000, then_ms=2_000)
    assert refresh(scene, at_desk, by) == before
    assert direction(at_desk.mine) == "recvonly"
    scene.wire.run_for(15_000)
    assert (direction(at_desk.theirs), direction(at_desk.mine)) == ("sendrecv", "sendrecv")
    scene.expect_nothing_left(at_desk)


@pytest.mark.parametrize("by", ["side", "switch"])
@pytest.mark.parametrize("engine", [RELAY, RTPENGINE])
def test_a_side_on_hold_gets_another_version_where_its_codecs_were_changed(engine, by, tmp_path):
    scene, desk = stage(tmp_path, engine, MediaMode.ON, customer=FEW, music_on_hold="busy")
    call, at_desk = called(scene, desk, offer=WIDE)
    scene.propose(call, "a=inactive")
    leave(scene, call)
    after = refresh(scene, at_desk, by)
    assert direction(after) == "sendonly"
    assert refresh(scene, at_desk, by) == after
    scene.expect_nothing_left(at_desk)


@pytest.mark.parametrize("by", ["side", "switch"])
def test_a_side_that_has_refused_the_end_of_its_hold_gets_what_it_had_before(by, tmp_path):
    scene, desk = stage(tmp_path, RELAY, MediaMode.ON, music_on_hold="busy")
    call, at_desk = called(scene, desk)
    scene.propose(call, "a=inactive")
    before = at_desk.theirs
    at_desk.will("INVITE", Reply(488))
    scene.propose(call, "a=sendrecv")
    leave(scene, call)
    assert refresh(scene, at_desk, by) == before
    scene.expect_nothing_left(at_desk)


@pytest.mark.parametrize("by", ["side", "switch"])
@pytest.mark.parametrize("mode", [MediaMode.OFF, MediaMode.ON])
@pytest.mark.parametrize("engine", [RELAY, RTPENGINE])
@pytest.mark.parametrize("terms", [{}, {"customer": FEW}, {"desk": FEW}, {"customer": FEW, "desk": FEW}])
def test_a_side_keeps_its_version_where_nothing_was_changed(engine, mode, by, terms, tmp_path):
    """Also where the codecs are limited to those that were offered."""
    scene, desk = stage(tmp_path, engine, mode, **terms)
    call, at_desk = called(scene, desk)
    before = at_desk.theirs
    leave(scene, call)
    assert refresh(scene, at_desk, by) == before
    scene.expect_nothing_left(at_desk)
