"""Ring-back of the switch for callers whose callee rings without media."""

import pytest
from doubles.announcing import SOUNDS
from doubles.data.builders import catalogue, mapping_gateway
from doubles.killed import KilledScene
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import SUPPORTS_100REL, Intent
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import Line, Script

from vosd.sdp.media import media_of
from vosd.trunks.dialect import CallerDialect, Passing
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters, MediaSettings

ENCRYPTED = OFFER.replace("RTP/AVP", "RTP/SAVP") + ("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40 + "\r\n")
ONLY_G729 = OFFER.replace("RTP/AVP 0 101", "RTP/AVP 18").replace("a=rtpmap:0 PCMU/8000", "a=rtpmap:18 G729/8000")
BOTH = OFFER.replace("RTP/AVP 0 101", "RTP/AVP 18 8 0 101")
ANSWERS_G729 = ANSWER.replace("RTP/AVP 0", "RTP/AVP 18").replace("a=rtpmap:0 PCMU/8000", "a=rtpmap:18 G729/8000")


def scene_with(
    *,
    local_ring: bool = True,
    mode: MediaMode = MediaMode.AUTO,
    codecs=((), ()),
    announcements=None,
    sounds=None,
    directory=None,
    **caller,
) -> tuple[Scene, VirtualRelay]:
    """Return a scene; ``codecs`` are those of the caller's trunk and of the vendors."""
    relay = VirtualRelay()
    own, theirs = MediaSettings(codecs=codecs[0]), MediaSettings(local_ring=local_ring, codecs=codecs[1])
    trunks = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=CallerDialect(**caller), media=own),
        *(vendor_gateway(index, media=theirs) for index in range(2)),
    ]
    media = MediaParameters(
        engine=MediaEngine.RELAY, mode=mode, ring_back_delay_ms=2_000, announcements=announcements or {}
    )
    content = catalogue(trunks, media=media, sounds=sounds or {})
    scene = Scene(content, relay=relay) if directory is None else KilledScene(directory, content, relay=relay)
    return scene, relay


def described(call):
    """Return status, To tag and codecs of the responses with a description."""
    return [
        (each.status, each["To"].partition("tag=")[2], media_of(each.body.encode())[0].codecs)
        for each in call.responses
        if each.body
    ]


def ringing(scene: Scene, intent: Intent | None = None, answer: str = ANSWER):
    call = scene.begun_call(intent or Intent(), script=Script((Line(0, 180), Line(3_000, 200, answer))))
    scene.wire.run_until(lambda: any(response.status == 180 for response in call.responses))
    return call, next(response for response in call.responses if response.status == 180)


def test_the_caller_is_told_where_the_tone_comes_from_and_hears_it_until_the_answer():
    scene, relay = scene_with()
    call, response = ringing(scene)
    assert response["Content-Type"] == "application/sdp"
    (medium,) = media_of(response.body.encode())
    assert (medium.host, medium.codecs) == ("192.0.2.1", ("PCMU",))
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
    call = scene.begun_call(after_ms=500)
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
    call = scene.begun_call(script=Script((Line(0, 180), Line(3_000, 486))))
    scene.wire.run_until(lambda: any(response.status == 183 for response in call.responses))
    ringing, announced = [response for response in call.responses if response.body]
    assert ringing["To"] != announced["To"]
    port = relay.at(media_of(ringing.body.encode())[0].port)
    assert port.rings_after_ms is None
    assert relay.at(media_of(announced.body.encode())[0].port).playing
    scene.wire.run_until(lambda: call.final == 486)
    assert relay.open_ports == {}


@pytest.mark.parametrize("codecs", [(("G729",), ()), ((), ("G729",))], ids=["of the caller", "of the vendor"])
def test_a_trunk_that_may_not_use_g711_leaves_the_ringing_to_the_callers_telephone(codecs):
    scene, relay = scene_with(codecs=codecs)
    call, response = ringing(scene, Intent(BOTH), ANSWERS_G729)
    assert response.body == ""
    assert all(port.rings_after_ms is None for port in relay.open_ports.values())
    scene.wire.run_until(lambda: call.final == 200)
    scene.finish(call)


@pytest.mark.parametrize(("codecs", "expected"), [((), "PCMA"), (("PCMU", "PCMA"), "PCMU"), (("PCMU",), "PCMU")])
def test_the_tone_has_the_first_g711_that_the_vendor_was_offered(codecs, expected):
    scene, relay = scene_with(codecs=((), codecs))
    call, response = ringing(scene, Intent(BOTH))
    port = relay.at(media_of(response.body.encode())[0].port)
    assert [(codecs, port.rings_as) for _, _, codecs in described(call)] == [((expected,), expected)]
    scene.wire.run_until(lambda: call.final == 200)
    scene.finish(call)


def test_the_answer_and_early_media_have_early_dialogs_of_their_own():
    """A telephone takes the first description of a dialog, and ignores others there (RFC 3261 section 13.2.1)."""
    for lines, with_tag in (
        ([Line(1_000, 200, ANSWERS_G729)], [200]),
        ([Line(1_000, 183, ANSWERS_G729), Line(2_000, 180), Line(3_000, 200, ANSWERS_G729)], [183, 200]),
    ):
        scene, _ = scene_with()
        call = scene.answered_call(Intent(BOTH), script=Script((Line(0, 180), Line(500, 180), *lines)))
        rings, again, *others = described(call)
        assert rings == again
        assert rings[2] == ("PCMA",)
        assert [(status, codecs[0]) for status, _, codecs in others] == [(each, "G729") for each in with_tag]
        assert len({tag for _, tag, _ in others}) == 1
        assert rings[1] != others[0][1]
        scene.finish(call)


def test_early_media_after_ring_back_are_sent_reliably_to_a_caller_that_supports_that():
    scene, _ = scene_with()
    scene.vendor.script = Script((Line(0, 180), Line(1_000, 183, ANSWERS_G729), Line(3_000, 200, ANSWERS_G729)))
    call = scene.answered_call(Intent(BOTH, headers=SUPPORTS_100REL))
    assert [(status, codecs[0]) for status, _, codecs in described(call)] == [(180, "PCMA"), (183, "G729")]
    assert call.response(183)["To"] == call.response(200)["To"] != call.response(180)["To"]
    scene.finish(call)


def test_a_switch_that_is_killed_after_the_answer_knows_the_dialog_of_it(tmp_path):
    scene, _ = scene_with(directory=tmp_path)
    call, _ = ringing(scene)
    scene.await_answer(call, talk_ms=1_500)
    scene.kill(then_ms=10_000)
    assert scene.finish(call).end_reason == "Normal"


def test_a_vendor_that_rings_again_after_its_early_media_goes_on_with_them():
    scene, relay = scene_with()
    scene.vendor.script = Script((Line(0, 183, ANSWERS_G729), Line(1_000, 180), Line(3_000, 200, ANSWERS_G729)))
    call = scene.answered_call(Intent(BOTH))
    assert call.response(180).body == ""
    assert all(port.rings_as is None for port in relay.open_ports.values())
    assert len({tag for _, tag, _ in described(call)}) == 1
    scene.finish(call)


@pytest.mark.parametrize("status", [180, 183])
def test_a_callee_that_describes_its_media_and_sends_none_does_not_keep_the_caller_in_silence(status):
    scene, relay = scene_with()
    call = scene.begun_call(script=Script((Line(0, status, ANSWER), Line(3_000, 200, ANSWER))), after_ms=500)
    (early,) = described(call)
    assert early[2][0] == "PCMU"
    port = relay.at(media_of(call.response(status).body.encode())[0].port)
    assert (port.rings_after_ms, port.rings_as) == (2_000, "PCMU")
    scene.wire.run_until(lambda: call.final == 200)
    assert port.rings_after_ms is None
    assert len({tag for _, tag, _ in described(call)}) == 1
    scene.finish(call)


def test_media_of_the_callee_end_the_tone_for_good():
    scene, relay = scene_with()
    lines = Line(0, 183, ANSWER), Line(1_000, 183, ANSWER), Line(1_500, 180), Line(3_000, 200, ANSWER)
    call = scene.begun_call(script=Script(lines), after_ms=500)
    port = next(each for each in relay.open_ports.values() if each.rings_after_ms is not None)
    port.rings_after_ms = None  # as the worker does at the first packet of the vendor
    scene.wire.run_for(2_000)
    assert port.rings_after_ms is None
    scene.wire.run_until(lambda: call.final == 200)
    scene.finish(call)


def test_the_next_vendor_that_describes_its_media_has_a_tone_again():
    scene, relay = scene_with()
    scene.vendor.script = Script((Line(0, 183, ANSWER), Line(1_000, 503)))
    scene.vendors[1].script = Script((Line(0, 183, ANSWER), Line(3_000, 200, ANSWER)))
    call = scene.begun_call(after_ms=500)
    port = next(each for each in relay.open_ports.values() if each.rings_after_ms is not None)
    port.rings_after_ms = None  # as the worker does at the first packet of the vendor
    scene.wire.run_for(1_000)
    assert port.rings_after_ms == 2_000
    scene.wire.run_until(lambda: call.final == 200)
    assert port.rings_after_ms is None
    scene.finish(call)


def test_an_answer_without_a_description_ends_the_tone():
    """The reliable response before it had the description (RFC 6337 section 2.1)."""
    scene, relay = scene_with()
    scene.vendor.script = Script((Line(0, 183, ANSWER, is_reliable=True), Line(3_000, 200)))
    call = scene.begun_call(Intent(headers=SUPPORTS_100REL), after_ms=500)
    assert [port.rings_after_ms for port in relay.open_ports.values() if port.rings_as] == [2_000]
    scene.wire.run_until(lambda: call.final == 200)
    assert call.response(200).body == ""
    assert all(port.rings_after_ms is None for port in relay.open_ports.values())
    scene.finish(call)


@pytest.mark.parametrize(
    ("offer", "answer", "named"),
    [
        (OFFER, ANSWER, {"local_ring": False, "mode": MediaMode.ON}),
        (OFFER, ANSWER, {"mode": MediaMode.OFF}),
        (OFFER, ANSWER, {"early_media": Passing.STRIP}),
        (OFFER, ANSWER + "a=inactive\r\n", {}),
        (BOTH, ANSWERS_G729, {}),
    ],
    ids=["not wanted", "not relayed", "no early media", "held", "no G.711"],
)
def test_no_tone_is_played_beside_a_description_where_it_cannot_be_or_is_not_wanted(offer, answer, named):
    scene, relay = scene_with(**named)
    scene.vendor.script = Script((Line(0, 183, answer), Line(1_000, 200, answer)))
    call = scene.begun_call(Intent(offer), after_ms=500)
    assert all(port.rings_after_ms is None for port in relay.open_ports.values())
    scene.wire.run_until(lambda: call.final == 200)
    scene.finish(call)


def test_a_call_that_is_refused_after_the_tone_leaves_nothing():
    scene, relay = scene_with()
    call = scene.begun_call(script=Script((Line(0, 180), Line(100, 180), Line(2_000, 486))))
    scene.wire.run_until(lambda: call.final == 486)
    assert relay.open_ports == {}
    scene.close()
