"""RTCP on the port of RTP (RFC 5761): an answer has it where the offer has it, in each exchange anew."""

import json
from pathlib import Path

import msgspec
from doubles.announcing import SOUNDS
from doubles.data.builders import catalogue, mapping_gateway
from doubles.killed import KilledScene
from doubles.sockets.peer import OFFER
from doubles.virtual.customer import Intent
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway
from doubles.virtual.side import Reply

from vosd.engine.media.recordings import CallRecordings
from vosd.sdp.media import media_of
from vosd.trunks.media import KeyWay, MediaEngine, MediaMode, MediaParameters, MediaSettings

MUX = "a=rtcp-mux\r\n"
OFFERS_MUX = OFFER + MUX


def scene_with(relay=None, *, make=Scene, caller=None, vendor=None, **parameters):
    relay = relay or VirtualRelay()
    trunks = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32", media=MediaSettings(**(caller or {}))),
        vendor_gateway(0, media=MediaSettings(**(vendor or {}))),
    ]
    media = MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON, **parameters)
    return make(catalogue(trunks, media=media, sounds=SOUNDS), relay=relay), relay


def at(relay, session):
    """Return the port of the relay that a description names."""
    return relay.at(media_of(session.encode())[0].port)


def multiplexing(scene):
    """Return both ends of a call whose caller multiplexes."""
    call, there = scene.talk(Intent(OFFERS_MUX))
    assert MUX in call.theirs
    assert MUX not in there.theirs
    return call, there


def offer_without(scene, call, *attributes):
    call.mine = OFFER
    scene.propose(call, *attributes)


def test_a_caller_that_offers_no_multiplexing_any_more_is_answered_without_at_a_pair_of_ports():
    scene, relay = scene_with()
    call, there = multiplexing(scene)
    before, of_callee = at(relay, call.theirs), at(relay, there.theirs)
    assert (before.port.rtcp, before.source.rtcp) == (None, None)
    offer_without(scene, call)
    after = at(relay, call.theirs)
    assert "rtcp" not in call.theirs
    assert after.port.rtcp == after.port.rtp + 1
    assert (after.source.rtp, after.source.rtcp) == (20_000, 20_001)
    assert (after.other, of_callee.other) == (of_callee.port, after.port)
    assert at(relay, there.theirs) is of_callee
    assert relay.open_ports.keys() == {after.port.id, of_callee.port.id}
    offer_without(scene, call, "a=sendonly")
    assert at(relay, call.theirs) is after
    scene.finish(call)


def test_a_caller_that_goes_on_with_multiplexing_keeps_its_port():
    scene, relay = scene_with()
    call, there = multiplexing(scene)
    before = at(relay, call.theirs)
    scene.propose(call, "a=sendonly")
    scene.propose(there)
    assert MUX in call.theirs
    assert at(relay, call.theirs) is before
    scene.finish(call)


def test_a_caller_whose_offer_is_refused_keeps_its_port():
    scene, relay = scene_with()
    call, there = multiplexing(scene)
    before = at(relay, call.theirs)
    there.will("INVITE", Reply(488))
    offer_without(scene, call)
    assert call.got["INVITE"] == [488]
    assert (before.source.rtcp, len(relay.open_ports)) == (None, 2)
    scene.finish(call)


def test_an_offer_to_a_side_that_multiplexes_no_more_does_not_move_its_port():
    """It may refuse the offer, and would go on with the port that it has; the next answer to it brings the pair."""
    scene, relay = scene_with()
    call, there = multiplexing(scene)
    before = at(relay, call.theirs)
    call.will("INVITE", Reply(body=OFFER.replace("1 1", "1 2")))
    scene.propose(there, "a=sendonly")
    scene.propose(there, "a=sendrecv")
    assert at(relay, call.theirs) is before
    assert (before.source.rtcp, before.port.rtcp) == (20_001, None)
    offer_without(scene, call)
    assert at(relay, call.theirs).port.rtcp is not None
    scene.finish(call)


def test_a_side_at_a_pair_of_ports_that_offers_multiplexing_anew_is_sent_rtcp_at_its_port_of_rtcp():
    """It is answered without, and must not multiplex then (RFC 5761 section 5.1.1)."""
    scene, relay = scene_with()
    call, there = scene.talk()
    pair = at(relay, call.theirs)
    call.mine = OFFERS_MUX
    scene.propose(call)
    assert "rtcp" not in call.theirs
    assert at(relay, call.theirs) is pair
    assert (pair.source.rtp, pair.source.rtcp) == (20_000, 20_001)
    of_callee = at(relay, there.theirs)
    scene.propose(there, "a=rtcp-mux")
    assert "rtcp" not in there.theirs
    assert of_callee.source.rtcp == of_callee.source.rtp + 1
    scene.finish(call)


def test_without_a_free_port_the_caller_keeps_the_one_that_it_has():
    scene, relay = scene_with()
    call, _ = multiplexing(scene)
    before = at(relay, call.theirs)
    relay.free = 2
    offer_without(scene, call)
    assert at(relay, call.theirs) is before
    scene.finish(call)


def test_figures_keys_and_the_recording_go_on_at_the_other_port():
    scene, relay = scene_with(caller={"record": 100}, vendor={"dtmf": KeyWay.INFO})
    scene.exchange.media.parts.recordings = CallRecordings(relay, Path("/recordings"))
    call, there = multiplexing(scene)
    before = at(relay, call.theirs)
    before.figures = msgspec.structs.replace(before.figures, packets_in=200)
    offer_without(scene, call)
    after = at(relay, call.theirs)
    after.figures = msgspec.structs.replace(after.figures, packets_in=100)
    assert after.keys == before.keys == (True, True)
    assert after.recording == at(relay, there.theirs).recording == relay.recordings[0]
    exchange = scene.exchange
    exchange.switch.media_events.key_pressed(after.port.id, "5", 100, exchange.clock.now())
    exchange.flush()
    scene.wire.run_for(500)
    assert [request.body for request in there.asked["INFO"]] == ["Signal=5\r\nDuration=100\r\n"]
    assert json.loads(scene.finish(call).media)["legs"]["caller"]["packets_in"] == 300


def test_music_on_hold_goes_on_at_the_other_port():
    scene, relay = scene_with(music_on_hold="busy")
    call, there = multiplexing(scene)
    held = there.propose("a=sendonly")
    scene.wire.run_for(1_000)
    assert at(relay, call.theirs).playing is not None
    there.will("INVITE", Reply(body=held))
    offer_without(scene, call)
    assert media_of(call.theirs.encode())[0].direction == "sendonly"
    assert at(relay, call.theirs).playing is not None
    played = json.loads(scene.finish(call).media)["played"]
    assert [(sound["to"], sound["ms"] > 1_900) for sound in played] == [("caller", True)]


def test_the_journal_has_the_pair_of_ports(tmp_path):
    scene, relay = scene_with(make=lambda *args, **terms: KilledScene(tmp_path, *args, **terms))
    call, there = multiplexing(scene)
    offer_without(scene, call)
    pair = at(relay, call.theirs).port
    scene.wire.run_for(2_000)
    scene.kill(then_ms=1_000)
    assert at(relay, call.theirs).port == pair
    assert len(relay.open_ports) == 2
    there.hang_up()
    scene.wire.run_until(lambda: call.is_over)
    assert relay.open_ports == {}
