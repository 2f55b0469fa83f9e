"""Ring-back of the switch for callers whose callee rings without media."""

import pytest
from doubles.announcing import SOUNDS
from doubles.data.builders import catalogue, mapping_gateway
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import Intent
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import Line, Script

from vosd.sdp.media import media_of
from vosd.trunks.dialect import CallerDialect, Passing
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters, MediaSettings

ENCRYPTED = OFFER.replace("RTP/AVP", "RTP/SAVP") + ("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40 + "\r\n")
ONLY_G729 = OFFER.replace("RTP/AVP 0 101", "RTP/AVP 18").replace("a=rtpmap:0 PCMU/8000", "a=rtpmap:18 G729/8000")


def scene_with(
    *, local_ring: bool = True, mode: MediaMode = MediaMode.AUTO, announcements=None, sounds=None, **caller
) -> tuple[Scene, VirtualRelay]:
    relay = VirtualRelay()
    trunks = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=CallerDialect(**caller)),
        *(vendor_gateway(index, media=MediaSettings(local_ring=local_ring)) for index in range(2)),
    ]
    media = MediaParameters(
        engine=MediaEngine.RELAY, mode=mode, ring_back_delay_ms=2_000, announcements=announcements or {}
    )
    return Scene(catalogue(trunks, media=media, sounds=sounds or {}), relay=relay), relay


def ringing(scene: Scene, intent: Intent | None = None):
    scene.vendor.script = Script((Line(0, 180), Line(3_000, 200, ANSWER)))
    call = scene.caller.call(CALLEE, intent or Intent())
    scene.wire.run_until(lambda: any(response.status == 180 for response in call.responses))
    return call, next(response for response in call.responses if response.status == 180)


def test_the_caller_is_told_where_the_tone_comes_from_and_hears_it_until_the_answer():
    scene, relay = scene_with()
    call, response = ringing(scene)
    assert response["Content-Type"] == "application/sdp"
    (medium,) = media_of(response.body.encode())
    assert (medium.host, medium.codecs) == ("192.0.2.1", ("PCMU", "telephone-event"))
    port = relay.at(medium.port)
    assert port.source.host == "192.0.2.10"
    assert port.rings_after_ms == 2_000
    scene.wire.run_until(lambda: call.final == 200)
    assert port.rings_after_ms is None
    assert media_of(call.theirs.encode())[0].port == medium.port
    scene.finish(call)
    assert relay.open_ports == {}


def test_it_begins_again_for_the_next_vendor_because_media_of_the_first_have_ended_it():
    scene, relay = scene_with()
    scene.vendor.script = Script((Line(0, 180), Line(1_000, 180), Line(2_000, 503)))
    scene.vendors[1].script = Script((Line(0, 180), Line(3_000, 200, ANSWER)))
    call = scene.caller.call(CALLEE)
    scene.wire.run_for(500)
    port = next(each for each in relay.open_ports.values() if each.rings_after_ms is not None)
    port.rings_after_ms = None  # as the worker does at the first packet of the vendor
    scene.wire.run_for(1_000)
    assert port.rings_after_ms is None
    scene.wire.run_for(1_000)
    assert port.rings_after_ms == 2_000
    scene.wire.run_until(lambda: call.final == 200)
    assert port.rings_after_ms is None
    scene.finish(call)


@pytest.mark.parametrize("named", [{"local_ring": False, "mode": MediaMode.ON}, {"mode": MediaMode.OFF}])
def test_no_tone_is_played_where_no_trunk_wants_it_or_nothing_is_relayed(named):
    scene, relay = scene_with(**named)
    call, response = ringing(scene)
    assert response.body == ""
    assert all(port.rings_after_ms is None for port in relay.open_ports.values())
    scene.wire.run_until(lambda: call.final == 200)
    scene.finish(call)


@pytest.mark.parametrize(
    "offer",
    ["", ONLY_G729, ENCRYPTED, ENCRYPTED.replace("RTP/SAVP", "RTP/AVP")],
    ids=["no offer", "no G.711", "encrypted", "perhaps encrypted"],
)
def test_a_caller_that_takes_no_plain_g711_hears_its_own_tone(offer):
    scene, _ = scene_with()
    call, response = ringing(scene, Intent(offer))
    assert response.body == ""
    scene.wire.run_until(lambda: call.final == 200)
    scene.finish(call)


def test_a_caller_that_gets_no_early_media_hears_its_own_tone():
    scene, relay = scene_with(early_media=Passing.STRIP)
    call, response = ringing(scene)
    assert response.body == ""
    assert all(port.rings_after_ms is None for port in relay.open_ports.values())
    scene.wire.run_until(lambda: call.final == 200)
    scene.finish(call)


def test_an_announcement_ends_it_in_another_early_dialog():
    scene, relay = scene_with(announcements={"Busy": "busy"}, sounds=SOUNDS)
    scene.vendor.script = Script((Line(0, 180), Line(3_000, 486)))
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: any(response.status == 183 for response in call.responses))
    ringing, announced = [response for response in call.responses if response.body]
    assert ringing["To"] != announced["To"]
    port = relay.at(media_of(ringing.body.encode())[0].port)
    assert port.rings_after_ms is None
    assert relay.at(media_of(announced.body.encode())[0].port).playing
    scene.wire.run_until(lambda: call.final == 486)
    assert relay.open_ports == {}


def test_media_of_the_callee_are_described_instead():
    scene, relay = scene_with()
    scene.vendor.script = Script((Line(0, 183, ANSWER), Line(1_000, 200, ANSWER)))
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: call.final == 200)
    early = next(response for response in call.responses if response.status == 183)
    assert media_of(early.body.encode())[0].codecs[0] == "PCMU"
    assert all(port.rings_after_ms is None for port in relay.open_ports.values())
    scene.finish(call)


def test_a_call_that_is_refused_after_the_tone_leaves_nothing():
    scene, relay = scene_with()
    scene.vendor.script = Script((Line(0, 180), Line(100, 180), Line(2_000, 486)))
    call = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: call.final == 486)
    assert relay.open_ports == {}
    scene.close()
