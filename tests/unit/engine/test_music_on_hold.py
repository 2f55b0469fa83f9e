"""Music on hold: who hears it, from when to when, and what both sides are told."""

import json
from functools import partial
from pathlib import Path

import pytest
from doubles.announcing import SOUNDS
from doubles.data.builders import catalogue, mapping_gateway
from doubles.data.sessions import revised
from doubles.desk_scene import attended
from doubles.keypad_scene import keypad_scene, press, talking
from doubles.killed import KilledScene
from doubles.sockets.peer import ANSWER, OFFER
from doubles.successor import replace_node
from doubles.virtual import exchange
from doubles.virtual.clock import ManualClock
from doubles.virtual.customer import Intent
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.rtpengines import VirtualRtpEngines
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.side import Reply
from doubles.virtual.vendor import RINGS, Line, Script, answers

from vosd.media.sounds import READY_MADE, Sound, encoded_frames
from vosd.sdp.media import media_of
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters, MediaSettings

TARGET = "442071111111"
EARLY = ANSWER.replace("192.0.2.20", "192.0.2.30")
G729 = OFFER.replace("RTP/AVP 0 101", "RTP/AVP 18 0").replace("a=rtpmap:0 PCMU/8000", "a=rtpmap:18 G729/8000")


def scene_with(*, music: str = "busy", caller: str | None = None, callee: str | None = None, kind=Scene, **terms):
    relay = VirtualRelay()
    trunks = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32", media=MediaSettings(music=caller)),
        vendor_gateway(0, media=MediaSettings(music=callee)),
    ]
    ready = Sound("ready", {"g729": encoded_frames(bytes(40), READY_MADE["g729"])})
    media = MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON, music_on_hold=music)
    content = catalogue(trunks, media=media, sounds={**SOUNDS, "ready": ready})
    if kind is KilledScene:
        return KilledScene(terms["directory"], content, relay=relay), relay
    return kind(content, relay=relay), relay


def playing(relay: VirtualRelay) -> dict[str, tuple[str, int, int]]:
    """Return what is played to which host: name, payload type, how often."""
    names = {id(each): sound.name for sound in SOUNDS.values() for each in sound.by_codec.values()}
    return {
        port.source.host: (names.get(id(port.playing[0]), "ready"), *port.playing[1:])
        for port in relay.open_ports.values()
        if port.playing is not None
    }


def directions(side, method: str = "INVITE") -> str:
    """Return the direction of the latest offer that a side was sent."""
    return media_of(side.asked[method][-1].body.encode())[0].direction


def run(scene: Scene, ms: int = 500) -> None:
    scene.wire.run_for(ms)


def test_the_side_that_is_held_hears_it_until_the_call_is_resumed():
    scene, relay = scene_with()
    call, party = scene.talk()
    scene.propose(call, "a=sendonly", wait_ms=3_000)
    assert playing(relay) == {"192.0.2.20": ("busy", 0, 0)}
    assert directions(party) == "sendonly"
    scene.propose(call)
    assert playing(relay) == {}
    record = scene.finish(call)
    assert '"played":[{"to":"callee","sound":"busy","codec":"PCMU","ms":2998' in record.media
    assert relay.open_ports == {}


def test_the_side_that_is_called_may_hold_as_well():
    scene, relay = scene_with(music="", callee="other")
    call, party = scene.talk()
    scene.propose(party, "a=sendonly", wait_ms=500)
    assert playing(relay) == {"192.0.2.10": ("other", 0, 0)}
    party.hang_up()
    run(scene)
    assert relay.open_ports == {}
    assert call.is_over
    (record,) = scene.exchange.sink.records
    assert '"to":"caller","sound":"other","codec":"PCMU","ms":4' in record.media


@pytest.mark.parametrize(
    ("named", "heard"),
    [
        ({}, "busy"),
        ({"caller": "other"}, "other"),
        ({"caller": ""}, None),
        ({"music": ""}, None),
        ({"music": "no"}, None),
    ],
)
def test_the_trunk_of_the_holder_goes_before_the_installation(named, heard):
    scene, relay = scene_with(**named)
    call, _ = scene.talk()
    scene.propose(call, "a=sendonly")
    assert [name for name, *_ in playing(relay).values()] == ([heard] if heard else [])
    scene.finish(call)


def test_a_hold_in_both_directions_lets_the_other_side_listen_and_answers_the_holder_as_it_wants():
    scene, relay = scene_with()
    call, party = scene.talk()
    scene.propose(call, "a=inactive")
    assert directions(party) == "sendonly"
    assert media_of(call.theirs.encode())[0].direction == "inactive"
    assert list(playing(relay)) == ["192.0.2.20"]
    scene.propose(call)
    assert directions(party) == "sendrecv"
    assert media_of(call.theirs.encode())[0].direction == "sendrecv"
    assert playing(relay) == {}
    scene.finish(call)


def test_without_music_a_hold_in_both_directions_stays_one():
    scene, _ = scene_with(music="")
    call, party = scene.talk()
    scene.propose(call, "a=inactive")
    assert directions(party) == "inactive"
    scene.finish(call)


def test_a_hold_by_the_zero_address_is_one():
    scene, relay = scene_with()
    call, _ = scene.talk()
    call.ask("INVITE", body=call.mine.replace("c=IN IP4 192.0.2.10", "c=IN IP4 0.0.0.0").replace("o=- 1 1", "o=- 1 2"))
    run(scene)
    assert list(playing(relay)) == ["192.0.2.20"]
    scene.finish(call)


def test_a_hold_that_is_refused_plays_nothing():
    scene, relay = scene_with()
    call, party = scene.talk()
    party.will("INVITE", Reply(488))
    scene.propose(call, "a=sendonly")
    assert playing(relay) == {}
    scene.finish(call)


@pytest.mark.parametrize("status", [488, 500])
def test_it_goes_on_where_the_holder_is_refused_what_it_proposes_next(status):
    """RFC 3264 section 8: the session stays as it was."""
    scene, relay = scene_with()
    call, party = scene.talk()
    scene.propose(call, "a=sendonly", wait_ms=3_000)
    held = playing(relay)
    party.will("INVITE", Reply(status))
    scene.propose(call)
    assert (call.got["INVITE"][-1], playing(relay)) == (status, held)
    scene.propose(call)
    assert playing(relay) == {}
    scene.finish(call)


def test_a_side_that_has_refused_the_audio_of_the_holder_is_played_nothing():
    """It takes video alone; the record names no music that it has heard."""
    scene, relay = scene_with()
    video = "m=video 30002 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    answer = ANSWER.replace("m=audio 30000", "m=audio 0") + video
    call, there = scene.talk(Intent(OFFER + video), answers(body=answer))
    call.will("INVITE", Reply(200, revised(OFFER + video).replace("m=video", "a=sendonly\r\nm=video")))
    there.ask("INVITE")  # it is sent the offer of the holder
    run(scene)
    assert playing(relay) == {}
    assert json.loads(scene.finish(call).media)["played"] == []


def test_the_latest_description_says_which_side_holds():
    scene, relay = scene_with()
    call, party = scene.talk()
    scene.propose(call, "a=sendonly")
    scene.propose(party, "a=sendonly")
    assert list(playing(relay)) == ["192.0.2.10"]
    scene.finish(call)


@pytest.mark.parametrize("status", [200, 488])
@pytest.mark.parametrize("holds_on", [False, True])
def test_music_goes_on_until_the_other_side_has_answered_for_a_newcomer_and_is_played_to_that_one_then(
    holds_on, status
):
    """INVITE with Replaces: one that accepts it with ``sendonly`` holds it."""
    scene, relay = scene_with()
    call, party = scene.talk()
    scene.propose(party if holds_on else call, "a=sendonly")
    before = playing(relay)
    assert list(before) == ["192.0.2.10" if holds_on else "192.0.2.20"]
    answer = revised(party.mine, "a=sendonly" if holds_on else "a=sendrecv")
    party.will("INVITE", Reply(status, answer if status == 200 else "", after_ms=3_000))
    offer = OFFER.replace("192.0.2.10", "192.0.2.11")
    newcomer = scene.caller.call(CALLEE, Intent(headers=(f"Replaces: {call.replaces}",), offer=offer))
    run(scene)
    assert playing(relay) == before
    run(scene, 5_000)
    assert (newcomer.final, call.is_over) == (status, status == 200)
    after = ["192.0.2.11"] if holds_on else []
    assert list(playing(relay)) == (after if status == 200 else list(before))
    scene.finish(newcomer if status == 200 else call)


def asking(direction: str, session: str) -> str:
    return revised(session, f"a={direction}")


@pytest.mark.parametrize("method", ["first INVITE", "INVITE", "UPDATE"])
def test_a_side_that_asked_to_listen_alone_hears_the_other_one(method):
    """``sendonly`` is the full answer to ``recvonly``, and no hold (RFC 3264 section 6.1)."""
    scene, relay = scene_with()
    if method == "first INVITE":
        intent = Intent(asking("recvonly", OFFER))
        call, party = scene.talk(intent, answers(body=asking("sendonly", ANSWER)))
    else:
        call, party = scene.talk()
        party.will(method, Reply(200, asking("sendonly", party.mine)))
        call.propose("a=recvonly", method=method)
    run(scene)
    assert media_of(call.theirs.encode())[0].direction == "sendonly"
    assert playing(relay) == {}
    asked = len(call.asked.get("INVITE", ()))
    party.ask("INVITE", body=party.mine)
    run(scene)
    assert (party.got["INVITE"][-1], len(call.asked.get("INVITE", ()))) == (200, asked), "a refresh changes nothing"
    scene.propose(party, "a=sendonly")
    assert playing(relay) == {}
    party.will("INVITE", Reply(200, asking("sendonly", party.mine)))
    scene.propose(call)
    assert list(playing(relay)) == ["192.0.2.10"], "it wants to talk, and is held"
    assert scene.finish(call).media.count('"sound"') == 1


def test_a_refused_offer_leaves_a_side_that_sends_to_a_listener_one_that_holds_nothing():
    scene, relay = scene_with()
    call, party = scene.talk()
    party.will("INVITE", Reply(200, asking("sendonly", party.mine)))
    scene.propose(call, "a=recvonly")
    call.will("INVITE", Reply(488))
    scene.propose(party)
    assert (party.got["INVITE"], playing(relay)) == ([488], {})
    scene.propose(party, "a=sendonly")
    assert playing(relay) == {}
    scene.finish(call)


def test_a_side_that_is_held_hears_it_on_when_it_offers_to_listen():
    scene, relay = scene_with()
    call, party = scene.talk()
    scene.propose(call, "a=sendonly")
    call.will("INVITE", Reply(200, asking("sendonly", call.mine)))
    scene.propose(party, "a=recvonly")
    assert party.got["INVITE"] == [200]
    assert list(playing(relay)) == ["192.0.2.20"]
    scene.finish(call)


@pytest.mark.parametrize(
    "answer",
    [asking("inactive", ANSWER), asking("sendonly", ANSWER.replace("IN IP4 192.0.2.20\r\nt=", "IN IP4 0.0.0.0\r\nt="))],
)
def test_a_listener_is_held_by_one_that_sends_nothing(answer):
    scene, relay = scene_with()
    call, _ = scene.talk(Intent(asking("recvonly", OFFER)), answers(body=answer))
    run(scene)
    assert list(playing(relay)) == ["192.0.2.10"]
    scene.finish(call)


def test_it_is_played_in_the_codec_that_was_agreed():
    scene, relay = scene_with(music="ready")
    call, _ = scene.talk(Intent(G729), answers(body=G729.replace("192.0.2.10", "192.0.2.20")))
    scene.propose(call, "a=sendonly")
    assert playing(relay) == {"192.0.2.20": ("ready", 18, 0)}
    scene.finish(call)


@pytest.mark.parametrize("transport", ["RTP/AVP", "RTP/SAVP"])
def test_a_side_that_encrypts_hears_the_holder(transport):
    lines = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40 + "\r\n"
    offer, answer = (each.replace("RTP/AVP", transport) + lines for each in (OFFER, ANSWER))
    scene, relay = scene_with()
    call, _ = scene.talk(Intent(offer), answers(body=answer))
    scene.propose(call, "a=sendonly")
    assert playing(relay) == {}
    scene.finish(call)


def test_without_a_codec_in_common_the_media_of_the_holder_pass():
    scene, relay = scene_with(music="ready")
    call, party = scene.talk()
    scene.propose(call, "a=inactive")
    assert playing(relay) == {}
    assert directions(party) == "inactive"
    scene.finish(call)


def test_the_next_switch_ends_it_with_the_hold():
    scene, relay = scene_with()
    call, _ = scene.talk()
    scene.propose(call, "a=inactive")
    replace_node(scene)
    run(scene)
    assert list(playing(relay)) == ["192.0.2.20"]
    scene.propose(call)
    assert playing(relay) == {}
    assert '"sound":"busy"' in scene.finish(call).media


@pytest.mark.parametrize("are_workers_gone", [False, True])
def test_it_goes_on_after_a_kill(tmp_path, are_workers_gone):
    scene, relay = scene_with(kind=KilledScene, directory=tmp_path)
    call, _ = scene.talk()
    scene.propose(call, "a=sendonly", wait_ms=5_000)
    if are_workers_gone:
        relay.open_ports.clear()
    scene.kill()
    run(scene)
    assert list(playing(relay)) == ["192.0.2.20"]
    scene.propose(call)
    assert playing(relay) == {}
    scene.finish(call)
    assert relay.open_ports == {}


@pytest.mark.parametrize("is_known_at_once", [False, True])
def test_without_memory_for_it_the_media_of_the_holder_pass(is_known_at_once):
    scene, relay = scene_with()
    call, _ = scene.talk()
    relay.has_memory = not is_known_at_once
    scene.propose(call, "a=sendonly")
    for port in tuple(relay.open_ports):
        scene.exchange.switch.media_events.sound_failed(port, scene.wire.clock.now())
    assert playing(relay) == {}
    scene.propose(call)
    assert '"played":[]' in scene.finish(call).media


def refer(scene: Scene, call) -> None:
    call.ask("REFER", headers=[f"Refer-To: <sip:{TARGET}@192.0.2.1>"])
    run(scene, 1_000)


@pytest.mark.parametrize("is_held", [True, False])
def test_a_side_that_is_transferred_hears_it_until_the_target_rings_and_then_ring_back(is_held):
    scene, relay = scene_with()
    scene.vendor.by_number = {TARGET: Script((Line(3_000, 180), Line(6_000, 200, ANSWER)))}
    call, party = scene.talk()
    if is_held:
        scene.propose(call, "a=sendonly")
    refer(scene, call)
    call.hang_up()
    run(scene)
    assert list(playing(relay)) == ["192.0.2.20"]
    run(scene, 2_500)
    assert playing(relay) == {}
    assert [port.rings_after_ms for port in relay.open_ports.values() if port.rings_after_ms is not None] == [0]
    run(scene, 5_000)
    assert not party.is_over
    party.hang_up()
    run(scene, 1_000)
    assert relay.open_ports == {}


@pytest.mark.parametrize("early", ["", ANSWER.replace("192.0.2.20", "192.0.2.30")])
def test_it_goes_on_where_the_target_is_busy_and_who_transfers_has_stayed(early):
    scene, relay = scene_with()
    scene.vendor.by_number = {TARGET: Script((Line(2_000, 183, early), Line(5_000, 486)))}
    call, _ = scene.talk()
    scene.propose(call, "a=sendonly")
    before = {number: port.other for number, port in relay.open_ports.items()}
    refer(scene, call)
    assert list(playing(relay)) == ["192.0.2.20"], "its target may ring for long"
    run(scene, 2_000)
    assert playing(relay) == {}
    run(scene, 3_000)
    assert list(playing(relay)) == ["192.0.2.20"]
    assert {number: port.other for number, port in relay.open_ports.items()} == before
    assert all(port.rings_after_ms is None for port in relay.open_ports.values())
    scene.propose(call, "a=sendrecv")
    assert playing(relay) == {}
    call.hang_up()
    run(scene, 1_000)
    assert relay.open_ports == {}


@pytest.mark.parametrize("early", ["", EARLY])
@pytest.mark.parametrize("engine", ["relay", "rtpengine"])
def test_it_goes_on_where_the_switch_is_killed_while_the_target_rings_and_who_transfers_has_stayed(
    tmp_path, engine, early
):
    scene, relay, engines = scene_with_keys(engine, directory=tmp_path)
    scene.vendor.by_number = {TARGET: Script((Line(0, 183 if early else 180, early), Line(60_000, 200, EARLY)))}
    call = talking(scene)
    scene.propose(call, "a=sendonly")

    def state():
        others = {number: port.other for number, port in relay.open_ports.items()}
        return playing(relay), dict(engines.playing), engines.heard(), others

    before = state()
    assert len(before[0]) + len(before[1]) == 1
    refer(scene, call)
    run(scene, 1_000)
    assert bool(playing(relay) or engines.playing) == (engine == "rtpengine" and not early)
    scene.kill()
    run(scene, 2_000)
    assert state() == before
    assert all(port.rings_after_ms is None for port in relay.open_ports.values())
    scene.propose(call)
    assert (playing(relay), engines.playing) == ({}, {})
    call.hang_up()
    run(scene, 2_000)
    assert (relay.open_ports, engines.calls) == ({}, {})


def test_early_media_of_the_target_are_heard_in_place_of_it():
    scene, relay = scene_with()
    scene.vendor.by_number = {TARGET: Script((Line(2_000, 183, ANSWER.replace("192.0.2.20", "192.0.2.30")),))}
    call, party = scene.talk()
    scene.propose(call, "a=sendonly")
    refer(scene, call)
    call.hang_up()
    run(scene)
    assert list(playing(relay)) == ["192.0.2.20"]
    run(scene, 2_000)
    assert playing(relay) == {}
    (target,) = (port for port in relay.open_ports.values() if port.source and port.source.host == "192.0.2.30")
    assert relay.open_ports[target.other.id].source.host == "192.0.2.20"
    party.hang_up()
    run(scene, 1_000)
    assert relay.open_ports == {}


@pytest.mark.parametrize("early", ["", ANSWER.replace("192.0.2.20", "192.0.2.30")])
@pytest.mark.parametrize("is_held", [True, False])
@pytest.mark.parametrize("how", ["blind", "attended"])
def test_a_target_that_has_begun_to_ring_is_heard_once_the_side_that_is_transferred_waits_for_it(how, is_held, early):
    scene, relay = scene_with()
    answer = ANSWER.replace("192.0.2.20", "192.0.2.30")
    scene.vendor.by_number = {TARGET: Script((Line(0, 183 if early else 180, early), Line(6_000, 200, answer)))}
    call, party = scene.talk()
    if is_held:
        scene.propose(call, "a=sendonly")
    if how == "blind":
        refer(scene, call)
    else:
        own = scene.caller.call(TARGET)
        run(scene, 1_000)
        own.remote = own.responses[-1]["To"]
        attended(call, own)
        run(scene)
    call.hang_up()
    run(scene, 2_000)
    assert playing(relay) == {}
    (port,) = (port for port in relay.open_ports.values() if port.source and port.source.host == "192.0.2.20")
    assert port.rings_after_ms == (None if early else 0)
    assert not early or relay.open_ports[port.other.id].source.host == "192.0.2.30"
    run(scene, 5_000)
    assert relay.open_ports[port.other.id].source.host == "192.0.2.30"
    scene.expect_nothing_left(party)
    assert all('"ms":0' not in (record.media or "") for record in scene.exchange.sink.records)
    assert relay.open_ports == {}


@pytest.mark.parametrize("leaves", [True, False])
@pytest.mark.parametrize("engine", ["relay", "rtpengine"])
def test_early_media_that_follow_ringing_without_any_are_heard(engine, leaves):
    scene, relay, engines = scene_with_keys(engine)
    early = Script((Line(0, 180), Line(1_000, 183, EARLY), Line(2_000, 180), Line(9_000, 200, EARLY)))
    scene.vendor.by_number = {TARGET: early}
    call = talking(scene)
    party = scene.vendor.only_call
    scene.propose(call, "a=sendonly")
    refer(scene, call)
    if leaves:
        call.hang_up()
    run(scene, 2_000)
    assert (playing(relay), engines.playing) == ({}, {})
    if engine == "relay":
        (port,) = (port for port in relay.open_ports.values() if port.source and port.source.host == "192.0.2.20")
        assert relay.open_ports[port.other.id].source.host == "192.0.2.30"
    run(scene, 8_000)
    assert not party.is_over
    scene.expect_nothing_left(party)


def test_a_side_that_refreshes_its_session_while_a_target_rings_keeps_its_ring_back():
    scene, relay = scene_with()
    scene.vendor.by_number = {TARGET: Script((Line(0, 180), Line(6_000, 486)))}
    call, party = scene.talk()
    scene.propose(call, "a=sendonly")
    refer(scene, call)
    party.ask("INVITE", body=party.mine)
    run(scene)
    assert playing(relay) == {}
    assert [port.rings_after_ms for port in relay.open_ports.values() if port.rings_after_ms is not None] == [0]
    run(scene, 6_000)
    assert list(playing(relay)) == ["192.0.2.20"]
    scene.expect_nothing_left(call)


def test_a_call_that_is_resumed_while_a_target_rings_goes_on_where_early_media_follow():
    scene, relay = scene_with()
    scene.vendor.by_number = {TARGET: Script((Line(0, 180), Line(3_000, 183, EARLY), Line(6_000, 486)))}
    call, _ = scene.talk()
    before = {number: port.other for number, port in relay.open_ports.items()}
    scene.propose(call, "a=sendonly")
    refer(scene, call)
    scene.propose(call, "a=sendrecv", wait_ms=3_000)
    assert {number: relay.open_ports[number].other for number in before} == before
    scene.expect_nothing_left(call)


ONLY_G729 = OFFER.replace("RTP/AVP 0 101", "RTP/AVP 18 101").replace("a=rtpmap:0 PCMU/8000", "a=rtpmap:18 G729/8000")


@pytest.mark.parametrize("early", ["", EARLY])
def test_it_goes_on_for_a_side_that_can_be_played_neither_early_media_nor_ring_back(early):
    scene, relay = scene_with(music="ready")
    scene.vendor.by_number = {TARGET: Script((Line(0, 183 if early else 180, early), Line(8_000, 200, early or EARLY)))}
    call, party = scene.talk(Intent(ONLY_G729), answers(body=ONLY_G729.replace("192.0.2.10", "192.0.2.20")))
    scene.propose(call, "a=sendonly")
    own = scene.caller.call(TARGET, Intent(OFFER))
    run(scene, 1_000)
    own.remote = own.responses[-1]["To"]
    attended(call, own)
    run(scene)
    call.hang_up()
    run(scene, 1_500)
    assert playing(relay) == {"192.0.2.20": ("ready", 18, 0)}
    scene.expect_nothing_left(party)


SEALED = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40 + "\r\n"
FURTHER = EARLY.replace("AVP 0 101", "AVP 0 8 13 101").replace(
    "a=rtpmap:101", "a=rtpmap:8 PCMA/8000\r\na=rtpmap:13 CN/8000\r\na=rtpmap:101"
)


@pytest.mark.parametrize("leaves", [True, False])
@pytest.mark.parametrize(
    ("offer", "answer", "is_forwarded"),
    [
        (OFFER, EARLY, True),
        (OFFER, FURTHER, True),
        (OFFER + SEALED, EARLY, True),
        (G729, G729.replace("192.0.2.10", "192.0.2.30"), False),
        (OFFER.replace("RTP/AVP", "RTP/SAVP") + SEALED, EARLY.replace("RTP/AVP", "RTP/SAVP") + SEALED, False),
        (OFFER + SEALED, EARLY + SEALED, False),
        (
            OFFER.replace("0 PCMU", "8 PCMA").replace("AVP 0", "AVP 8"),
            EARLY.replace("0 PCMU", "8 PCMA").replace("AVP 0", "AVP 8"),
            False,
        ),
    ],
    ids=[
        "same codec",
        "further formats",
        "keys refused",
        "G.729",
        "SRTP",
        "SRTP that may be plain",
        "another payload type",
    ],
)
def test_early_media_that_the_side_that_is_transferred_cannot_decode_are_not_forwarded(
    offer, answer, is_forwarded, leaves
):
    """They answer the offer of who transfers; the side that waits is sent no description of them, and has ring-back."""
    scene, relay = scene_with()
    scene.vendor.by_number = {TARGET: Script((Line(0, 183, answer), Line(8_000, 200, answer)))}
    call, _ = scene.talk()
    scene.propose(call, "a=sendonly")
    own = scene.caller.call(TARGET, Intent(offer))
    run(scene, 1_000)
    own.remote = own.responses[-1]["To"]
    attended(call, own)
    run(scene)
    if leaves:
        call.hang_up()
        run(scene)
    assert playing(relay) == {}
    (port,) = (port for port in relay.open_ports.values() if port.source and port.source.host == "192.0.2.20")
    partner = None if port.other is None else relay.open_ports.get(port.other.id)
    assert (partner is not None and partner.source.host == "192.0.2.30") == is_forwarded
    assert port.rings_after_ms == (None if is_forwarded else 0)
    scene.expect_nothing_left(scene.vendor.calls[0])


def with_opus(session, payload):
    """Return a description that prefers Opus, as this payload type."""
    lines = f"a=rtpmap:{payload} opus/48000/2\r\na=rtpmap:0 "
    return session.replace("RTP/AVP 0", f"RTP/AVP {payload} 0").replace("a=rtpmap:0 ", lines)


@pytest.mark.parametrize(
    ("answered", "known", "is_forwarded"),
    [(96, None, False), (98, None, False), (98, 96, True), (98, 98, False), (96, 97, False), (None, None, True)],
)
def test_a_target_sends_early_media_by_the_payload_types_that_it_was_offered(answered, known, is_forwarded):
    """RFC 3264 section 5.1: the numbers of its answer (section 6.1) are those by which it receives."""
    scene, relay = scene_with()
    early = EARLY if answered is None else with_opus(EARLY, answered)
    scene.vendor.by_number = {TARGET: Script((Line(0, 183, early), Line(8_000, 200, early)))}
    wide, answer = OFFER if known is None else with_opus(OFFER, known), ANSWER
    call, _ = scene.talk(Intent(wide), answers(body=answer if known is None else with_opus(answer, known)))
    scene.propose(call, "a=sendonly")
    own = scene.caller.call(TARGET, Intent(with_opus(OFFER, 96)))
    run(scene, 1_000)
    own.remote = own.responses[-1]["To"]
    attended(call, own)
    run(scene)
    (port,) = (port for port in relay.open_ports.values() if port.source and port.source.host == "192.0.2.20")
    assert port.rings_after_ms == (None if is_forwarded else 0)
    if is_forwarded and answered is not None:
        assert {96, 0} <= set(relay.open_ports[port.other.id].source.payloads), "what the target sends is let through"
    scene.expect_nothing_left(scene.vendor.calls[0])


@pytest.mark.parametrize(
    ("offer", "early"), [(OFFER, FURTHER), (OFFER + SEALED, EARLY)], ids=["further formats", "keys refused"]
)
def test_early_media_for_a_side_that_is_transferred_blind_are_forwarded(offer, early):
    """A target sends what it was offered, whatever its answer has beyond that (RFC 3264 section 6.1)."""
    scene, relay = scene_with()
    scene.vendor.by_number = {TARGET: Script((Line(1_000, 183, early), Line(8_000, 200, early)))}
    call, party = scene.talk(Intent(OFFER), answers(body=ANSWER))
    party.mine = party.mine + offer.removeprefix(OFFER)
    scene.propose(party)
    scene.propose(call, "a=sendonly")
    refer(scene, call)
    call.hang_up()
    run(scene, 1_500)
    (port,) = (port for port in relay.open_ports.values() if port.source and port.source.host == "192.0.2.20")
    assert port.rings_after_ms is None
    assert relay.open_ports[port.other.id].source.host == "192.0.2.30"
    scene.expect_nothing_left(scene.vendor.calls[0])


@pytest.mark.parametrize("early", ["", ANSWER.replace("192.0.2.20", "192.0.2.30")])
def test_it_goes_on_where_a_target_that_rang_before_the_transfer_is_busy_and_who_transfers_has_stayed(early):
    scene, relay = scene_with()
    scene.vendor.by_number = {TARGET: Script((Line(0, 183 if early else 180, early), Line(5_000, 486)))}
    call, _ = scene.talk()
    scene.propose(call, "a=sendonly")
    before = {number: port.other for number, port in relay.open_ports.items()}
    own = scene.caller.call(TARGET)
    run(scene, 1_000)
    own.remote = own.responses[-1]["To"]
    attended(call, own)
    run(scene)
    assert playing(relay) == {}
    run(scene, 5_000)
    assert list(playing(relay)) == ["192.0.2.20"]
    assert {number: port.other for number, port in relay.open_ports.items()} == before
    assert all(port.rings_after_ms is None for port in relay.open_ports.values())
    scene.expect_nothing_left(call)
    assert relay.open_ports == {}


@pytest.mark.parametrize("who", ["party", "target"])
@pytest.mark.parametrize("holds", [("inactive", "sendonly"), ("sendonly", "inactive"), ("inactive", "inactive")])
def test_an_answer_that_is_put_back_has_a_version_of_its_own(holds, who):
    """RFC 3264 section 8: a side that gets another description under the version of the one before refuses it."""
    scene, _ = scene_with()
    scene.vendor.by_number = {TARGET: answers(500, body=EARLY)}
    call, _ = scene.talk()
    refer(scene, call)
    run(scene, 2_000)
    holder = scene.vendor.calls[-1 if who == "target" else 0]
    for hold in (*holds, "sendrecv"):
        scene.propose(holder, f"a={hold}")
        answer = {"inactive": "inactive", "sendonly": "recvonly", "sendrecv": "sendrecv"}[hold]
        assert media_of(holder.theirs.encode())[0].direction == answer
    assert holder.got["INVITE"] == [200] * 3
    before = holder.theirs
    holder.ask("INVITE", body=holder.mine)
    run(scene)
    assert holder.theirs == before, "a refresh changes nothing"
    scene.expect_nothing_left(holder)


@pytest.mark.parametrize("how", ["REFER", "*1", "*2", "*1 and *0"])
@pytest.mark.parametrize("status", [None, 180, 183])
@pytest.mark.parametrize("engine", ["relay", "rtpengine"])
def test_a_transfer_to_a_busy_target_begins_no_music_where_neither_side_holds(engine, status, how):
    scene, relay, engines = scene_with_keys(engine)
    early = [] if status is None else [Line(0, status, EARLY if status == 183 else "")]
    scene.vendor.by_number = {TARGET: Script((*early, Line(3_000, 486)))}
    call = talking(scene)
    before = {number: port.other for number, port in relay.open_ports.items()}
    legs = {leg for legs in engines.calls.values() for leg in legs}
    if how == "REFER":
        refer(scene, call)
    else:
        press(scene, call, f"{how[:2]}{TARGET}#", 100)
        run(scene)
        press(scene, call, how[-2:] if "and" in how else "", 100)
    run(scene, 5_000)
    assert len(scene.exchange.sink.records) == 1, "the target is gone"
    assert (playing(relay), engines.playing) == ({}, {})
    assert not legs & {leg for *_, leg in engines.blocked}
    assert {number: port.other for number, port in relay.open_ports.items()} == before
    scene.expect_nothing_left(call)


def test_they_are_heard_on_over_a_planned_restart(tmp_path):
    scene, relay = scene_with(kind=partial(KilledScene, tmp_path))
    early = ANSWER.replace("192.0.2.20", "192.0.2.30")
    scene.vendor.by_number = {TARGET: Script((Line(1_000, 183, early), Line(20_000, 200, early)))}
    call, party = scene.talk()
    scene.propose(call, "a=sendonly")
    refer(scene, call)
    run(scene, 1_000)
    before = {number: port.other for number, port in relay.open_ports.items()}
    assert len([other for other in before.values() if other is not None]) == 2
    scene.stop_and_keep(200)
    run(scene, 2_000)
    assert {number: port.other for number, port in relay.open_ports.items()} == before
    scene.expect_nothing_left(call, party)


@pytest.mark.parametrize("mono", [5_000, 100_000_000], ids=["less on the clock", "more on the clock"])
def test_music_over_a_boot_of_the_machine_is_as_long_as_it_was_played(tmp_path, monkeypatch, mono):
    """The music began at an instant of the clock of before."""
    before, _ = scene_with(kind=partial(KilledScene, tmp_path))
    call, _ = before.talk()
    before.propose(call, "a=sendonly")
    run(before, 10_000)
    before.kill(10**9)
    wall = before.exchange.clock.now().wall
    monkeypatch.setattr(exchange, "ManualClock", partial(ManualClock, mono, wall + 30_000))
    scene, relay = scene_with(kind=partial(KilledScene, tmp_path, boot="another boot"))
    run(scene, 5_000)
    assert playing(relay) == {"192.0.2.20": ("busy", 0, 0)}
    scene.exchange.end_all(exchange.EndReason.ADMINISTRATIVE)
    [played] = json.loads(scene.record.media)["played"]
    assert 44_000 < played["ms"] < 47_000


def scene_with_keys(engine: str, music: str = "busy", directory: Path | None = None):
    """Return a scene whose customer transfers by keys, and relay and rtpengines, of which one is used."""
    relay, engines = VirtualRelay(), VirtualRtpEngines()
    sounds = {"busy": Sound("busy", SOUNDS["busy"].by_codec, "/srv/busy.wav")}
    media = MediaParameters(engine=MediaEngine(engine), mode=MediaMode.ON, music_on_hold=music)
    by_engine = {"relay": relay} if engine == "relay" else {"rtpengines": engines}
    kind = Scene if directory is None else partial(KilledScene, directory)
    return keypad_scene(parameters={"media": media, "sounds": sounds}, kind=kind, **by_engine), relay, engines


def test_a_transfer_without_music_is_as_it_was():
    scene, relay = scene_with(music="")
    scene.vendor.by_number = {TARGET: RINGS}
    call, party = scene.talk()
    refer(scene, call)
    call.hang_up()
    run(scene, 2_000)
    assert all(port.rings_after_ms is None and port.playing is None for port in relay.open_ports.values())
    party.hang_up()
    run(scene, 1_000)
    assert relay.open_ports == {}


def consulting(music: str = "busy"):
    """Return scene, relay, the caller that consults, the party that waits, and the target."""
    relay = VirtualRelay()
    media = MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON, music_on_hold=music)
    scene = keypad_scene(parameters={"media": media, "sounds": SOUNDS}, relay=relay)
    target = ANSWER.replace("192.0.2.20", "192.0.2.30")
    scene.vendor.by_number = {TARGET: answers(1_000, body=target)}
    call = talking(scene)
    press(scene, call, f"*2{TARGET}#")
    run(scene, 2_500)
    return scene, relay, call, *scene.vendor.calls


@pytest.mark.parametrize("end", ["join", "target hangs up", "party hangs up"])
def test_a_side_that_waits_during_a_consultation_hears_it_until_that_is_over(end):
    scene, relay, call, party, target = consulting()
    assert list(playing(relay)) == ["192.0.2.20"]
    assert directions(party) == "sendonly"
    {"join": call, "target hangs up": target, "party hangs up": party}[end].hang_up()
    run(scene, 2_000)
    assert playing(relay) == {}
    scene.expect_nothing_left(call, party, target)
    assert relay.open_ports == {}


@pytest.mark.parametrize("end", ["486", "*0"])
@pytest.mark.parametrize("early", ["", EARLY])
@pytest.mark.parametrize("engine", ["relay", "rtpengine"])
def test_a_side_that_is_held_hears_it_on_while_the_target_rings_that_the_holder_consults(engine, early, end):
    scene, relay, engines = scene_with_keys(engine)
    scene.vendor.by_number = {TARGET: Script((Line(0, 183 if early else 180, early), Line(6_000, 486)))}
    call = talking(scene)
    scene.propose(call, "a=sendonly")
    before = playing(relay), dict(engines.playing), {number: port.other for number, port in relay.open_ports.items()}
    assert len(before[0]) + len(before[1]) == 1
    press(scene, call, f"*2{TARGET}#", 100)
    for keys in ("", end if end == "*0" else "", ""):
        run(scene, 2_500)
        others = {number: port.other for number, port in relay.open_ports.items() if number in before[2]}
        assert (playing(relay), engines.playing, others) == before
        assert all(port.rings_after_ms is None for port in relay.open_ports.values())
        press(scene, call, keys, 100)
    assert len(scene.exchange.sink.records) == 1
    scene.expect_nothing_left(call)


@pytest.mark.parametrize("end", ["join", "target hangs up", "target hangs up, still on hold"])
@pytest.mark.parametrize("is_held", [False, True])
def test_an_rtpengine_forwards_the_media_of_who_consults_to_the_target_alone(is_held, end):
    """The target received nothing: who consults was blocked, because the side that waits is played music."""
    scene, _, engines = scene_with_keys("rtpengine")
    scene.vendor.by_number = {TARGET: answers(1_000, body=ANSWER.replace("30000", "46000"))}
    call = talking(scene)
    party = scene.vendor.only_call
    own, far = engines.sessions[0].author, engines.sessions[0].reader
    if is_held:
        scene.propose(call, "a=sendonly")
    press(scene, call, f"*2{TARGET}#")
    run(scene, 2_500)
    assert [tag for _, tag in engines.playing] == [far]
    assert {tag for *_, tag in engines.blocked} == {far}
    target = scene.vendor.calls[-1]
    if end == "target hangs up, still on hold":
        call.will("INVITE", Reply(200, revised(call.mine, "a=sendonly")))
    (call if end == "join" else target).hang_up()
    run(scene, 2_000)
    is_on_hold = end == "target hangs up, still on hold"
    assert [tag for _, tag in engines.playing] == [far] * is_on_hold
    assert (own in {tag for *_, tag in engines.blocked}) == (end == "join" or is_on_hold)
    assert far not in {tag for *_, tag in engines.blocked}
    scene.expect_nothing_left(call, party, target)
    assert engines.calls == {}


@pytest.mark.parametrize("change", ["", "same answer", "glare", "INVITE", "UPDATE", "our refresh", "held before"])
@pytest.mark.parametrize("music", ["busy", ""])
@pytest.mark.parametrize("engine", ["relay", "rtpengine", "rtpengine of before"])
def test_two_that_consult_hear_each_other_alone_whatever_the_side_that_waits_is_sent(engine, music, change):
    """A description of that side had their ports connected with it, and the two heard each other no more."""
    scene, relay, engines = scene_with_keys(engine.partition(" ")[0], music)
    engines.leaves_offerers = engine == "rtpengine"
    scene.vendor.by_number = {TARGET: answers(1_000, body=ANSWER.replace("192.0.2.20", "192.0.2.30"))}
    timer = "Session-Expires: 90;refresher=uac" if change == "our refresh" else "X-None: 1"
    scene.vendor.script = Script((Line(0, 200, ANSWER, headers=(timer,)),))
    call = talking(scene)
    party = scene.vendor.only_call
    before = {each for pair in engines.heard() for each in pair}
    if change == "held before":
        scene.propose(call, "a=sendonly")
    elif change == "same answer":
        call.will("INVITE", Reply(200, call.mine))
    elif change == "glare":
        party.will("INVITE", Reply(491))
    press(scene, call, f"*2{TARGET}#", 100)
    run(scene, 6_000)
    asked = len(party.asked["INVITE"])
    if change in {"INVITE", "UPDATE"}:
        party.ask(change, body=party.mine)
    run(scene, 46_000 if change == "our refresh" else 1_000)
    assert len(party.asked["INVITE"]) == asked + (change == "our refresh")
    assert directions(party) == ("sendonly" if music else "inactive")
    assert bool(playing(relay) or engines.playing) == bool(music)
    if engine == "relay":
        ports = relay.open_ports
        heard = {(port.source.host, ports[port.other.id].source.host) for port in ports.values() if port.other}
        assert heard == {("192.0.2.10", "192.0.2.30"), ("192.0.2.30", "192.0.2.10")}
    else:
        own, far = engines.sessions[0].author, engines.sessions[0].reader
        (target,) = {each for pair in engines.heard() for each in pair} - {own}
        assert before == {own, far}
        assert target != far
        assert engines.heard() == {(own, target), (target, own)}
    call.hang_up()
    run(scene, 2_000)
    scene.expect_nothing_left(call, party, scene.vendor.calls[-1])


@pytest.mark.parametrize("early", ["", EARLY])
def test_a_held_side_has_the_ringing_of_the_target_once_who_would_consult_it_has_left(early):
    scene, relay, _ = scene_with_keys("relay")
    scene.vendor.by_number = {TARGET: Script((Line(0, 183 if early else 180, early), Line(6_000, 200, EARLY)))}
    call = talking(scene)
    party = scene.vendor.only_call
    scene.propose(call, "a=sendonly")
    press(scene, call, f"*2{TARGET}#", 100)
    run(scene)
    call.hang_up()
    run(scene)
    assert playing(relay) == {}
    (port,) = (port for port in relay.open_ports.values() if port.source and port.source.host == "192.0.2.20")
    assert port.rings_after_ms == (None if early else 0)
    assert not early or relay.open_ports[port.other.id].source.host == "192.0.2.30"
    run(scene, 6_000)
    assert relay.open_ports[port.other.id].source.host == "192.0.2.30"
    scene.expect_nothing_left(party)


def test_a_refused_offer_begins_no_music_between_the_two_that_consult():
    scene, relay, call, party, target = consulting()
    scene.propose(call, "a=sendonly")
    target.will("INVITE", Reply(488))
    scene.propose(call)
    assert call.got["INVITE"][-1] == 488
    assert list(playing(relay)) == ["192.0.2.20"]
    scene.expect_nothing_left(call, party, target)


def test_a_consultation_without_music_is_as_it_was():
    scene, relay, call, party, target = consulting("")
    assert playing(relay) == {}
    assert directions(party) == "inactive"
    scene.expect_nothing_left(call, party, target)
