"""Music of a hold whose session changes: another codec, another place of the audio, or two sides that hold."""

import json
from itertools import pairwise

import pytest
from doubles.announcing import SOUNDS
from doubles.data.builders import catalogue, mapping_gateway
from doubles.data.sessions import follows, revised
from doubles.desk_scene import attended, called, dialled, office, registered
from doubles.killed import KilledScene
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import Intent
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.rtpengines import VirtualRtpEngines
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway
from doubles.virtual.side import Reply
from doubles.virtual.vendor import RINGS, Line, Script, answers

from vosd.media.sounds import Sound
from vosd.sdp.media import media_of
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters

TARGET = "442071111111"
MUSIC = {"busy": Sound("busy", SOUNDS["busy"].by_codec, "/srv/busy.wav")}
PCMA, G729 = "8 PCMA", "18 G729"
LINE = "m=audio {} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"


def scene_with(directory=None, engine=MediaEngine.RELAY):
    relay = VirtualRelay() if engine is MediaEngine.RELAY else None
    engines = VirtualRtpEngines() if engine is MediaEngine.RTPENGINE else None
    media = MediaParameters(engine=engine, mode=MediaMode.ON, music_on_hold="busy")
    content = catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)], media=media, sounds=MUSIC)
    if directory is not None:
        return KilledScene(directory, content, relay=relay, rtpengines=engines), relay or engines
    return Scene(content, relay=relay, rtpengines=engines), relay or engines


def playing(relay: VirtualRelay) -> dict[int, tuple[str, int]]:
    """Return what is played, as codec and payload type, by the port that the peer receives it at."""
    return {
        port.source.rtp: (port.playing[0].codec.name, port.playing[1])
        for port in relay.open_ports.values()
        if port.playing is not None
    }


def run(scene: Scene, ms: int = 500) -> None:
    scene.wire.run_for(ms)


def in_codec(session: str, codec: str) -> str:
    payload, name = codec.split()
    return session.replace("RTP/AVP 0 101", f"RTP/AVP {payload} 101").replace("0 PCMU", f"{payload} {name}")


def with_direction(session: str, direction: str) -> str:
    return revised(session, f"a={direction}")


def offer(scene: Scene, one, other, session: str, answer: str) -> None:
    """Let one side offer a session, which the other one answers so."""
    other.will("INVITE", Reply(200, answer))
    one.ask("INVITE", body=session)
    run(scene)
    assert one.got["INVITE"][-1] == 200


@pytest.mark.parametrize(("codec", "heard"), [(PCMA, {30_000: ("PCMA", 8)}), (G729, {})])
@pytest.mark.parametrize("who", ["holder", "held side"])
def test_a_hold_that_goes_on_in_another_codec_has_its_music_in_that_one(who, codec, heard):
    scene, relay = scene_with()
    call, party = scene.talk()
    scene.propose(call, "a=sendonly")
    assert playing(relay) == {30_000: ("PCMU", 0)}
    holds = with_direction(in_codec(call.mine, codec), "sendonly")
    listens = with_direction(in_codec(party.mine, codec), "recvonly")
    sides = ((call, holds), (party, listens))
    (one, session), (other, answer) = sides if who == "holder" else sides[::-1]
    offer(scene, one, other, session, answer)
    assert playing(relay) == heard
    run(scene, 3_000)
    scene.propose(call)
    assert playing(relay) == {}
    played = json.loads(scene.finish(call).media)["played"]
    assert [each["codec"] for each in played] == ["PCMU", *(codec for codec, _ in heard.values())]


def test_a_hold_that_goes_on_as_before_has_its_music_without_a_break():
    scene, relay = scene_with()
    call, _ = scene.talk()
    scene.propose(call, "a=sendonly")
    (playing_on,) = (port for port in relay.open_ports.values() if port.playing is not None)
    before = playing_on.playing
    scene.propose(call, "a=sendonly")
    assert playing_on.playing is before
    scene.finish(call)


def test_another_codec_that_is_refused_leaves_the_music_as_it_was():
    scene, relay = scene_with()
    call, party = scene.talk()
    scene.propose(call, "a=sendonly")
    party.will("INVITE", Reply(488))
    call.ask("INVITE", body=with_direction(in_codec(call.mine, G729), "sendonly"))
    run(scene)
    assert (call.got["INVITE"][-1], playing(relay)) == (488, {30_000: ("PCMU", 0)})
    scene.finish(call)


def test_an_rtpengine_plays_it_in_the_other_codec_and_keeps_the_holder_back_all_the_time():
    scene, engines = scene_with(engine=MediaEngine.RTPENGINE)
    call, party = scene.talk()
    scene.propose(call, "a=sendonly")
    blocked, orders = set(engines.blocked), engines.orders
    before = len(orders)
    holds, listens = in_codec(call.mine, PCMA), in_codec(party.mine, PCMA)
    offer(scene, call, party, with_direction(holds, "sendonly"), with_direction(listens, "recvonly"))
    assert (len(engines.playing), engines.blocked) == (1, blocked)
    kinds = [type(each).__name__ for each in orders[before:]]
    assert (kinds.count("RtpPlay"), kinds.count("RtpStopPlaying"), kinds.count("RtpUnblock")) == (1, 0, 0)
    scene.propose(call)
    assert (engines.playing, engines.blocked) == ({}, set())
    played = json.loads(scene.finish(call).media)["played"]
    assert [each["codec"] for each in played] == ["PCMU", "PCMA"]


def moved(session: str, port: int) -> str:
    """Return the next description whose audio is another medium, at this port."""
    first = session.partition("m=audio ")[2].partition(" ")[0]
    return revised(session).replace(f"m=audio {first}", "m=audio 0") + LINE.format(port)


def test_music_goes_on_at_the_port_to_which_a_hold_moves_the_audio():
    scene, relay = scene_with()
    call, party = scene.talk()
    scene.propose(call, "a=sendonly")
    holds, listens = moved(call.mine, 20_010), moved(party.mine, 30_010)
    offer(scene, call, party, holds + "a=sendonly\r\n", listens + "a=recvonly\r\n")
    assert playing(relay) == {30_010: ("PCMU", 0)}
    scene.propose(call)
    assert playing(relay) == {}
    scene.finish(call)


@pytest.mark.parametrize("restart", [False, True])
def test_music_ends_where_the_call_is_resumed_at_another_port(tmp_path, restart):
    scene, relay = scene_with(tmp_path if restart else None)
    call, party = scene.talk()
    scene.propose(call, "a=sendonly")
    if restart:
        scene.kill()
        run(scene)
    assert playing(relay) == {30_000: ("PCMU", 0)}
    offer(scene, call, party, moved(call.mine, 20_010), moved(party.mine, 30_010))
    assert playing(relay) == {}
    scene.finish(call)


def test_music_ends_at_the_port_that_plays_it_where_each_offer_names_a_medium_that_is_rejected():
    """The audio of an offer is another medium than that of its answer, which takes the second one."""
    two = OFFER.replace("m=audio", LINE.format(20_010) + "m=audio", 1)
    answer = ANSWER.replace("m=audio", "m=audio 0 RTP/AVP 0\r\nm=audio", 1)
    scene, relay = scene_with()
    call, party = scene.talk(Intent(two), answers(body=answer))
    held, listening = (revised(each) for each in (two, answer))
    holds, listens = (held.replace("t=0 0", "t=0 0\r\na=sendonly"), listening.replace("t=0 0", "t=0 0\r\na=recvonly"))
    offer(scene, call, party, holds, listens)
    assert playing(relay) == {30_000: ("PCMU", 0)}
    offer(scene, call, party, revised(call.mine), revised(party.mine))
    assert playing(relay) == {}
    scene.finish(call)


def test_a_port_whose_music_has_no_memory_has_the_media_of_the_holder_although_the_audio_has_another_one():
    scene, relay = scene_with()
    call, party = scene.talk()
    scene.propose(call, "a=sendonly")
    (port,) = (number for number, port in relay.open_ports.items() if port.playing is not None)
    call.ask("INVITE", body=moved(call.mine, 20_010) + "a=sendonly\r\n")
    party.will("INVITE", Reply(200, moved(party.mine, 30_010) + "a=recvonly\r\n", 400))
    run(scene, 200)
    scene.exchange.switch.media_events.sound_failed(port, scene.wire.clock.now())
    assert playing(relay) == {}
    run(scene)
    assert playing(relay) == {30_010: ("PCMU", 0)}
    scene.finish(call)


@pytest.mark.parametrize("is_moved", [False, True])
def test_ring_back_of_a_transfer_ends_when_the_side_is_talked_to_again(is_moved):
    scene, relay = scene_with()
    scene.vendor.by_number = {TARGET: Script((Line(0, 180), Line(9_000, 486)))}
    call, party = scene.talk()
    scene.propose(call, "a=sendonly")
    call.ask("REFER", headers=[f"Refer-To: <sip:{TARGET}@192.0.2.1>"])
    run(scene, 1_000)
    assert [port.source.rtp for port in relay.open_ports.values() if port.rings_after_ms is not None] == [30_000]
    if is_moved:
        offer(scene, call, party, moved(call.mine, 20_010), moved(party.mine, 30_010))
    else:
        scene.propose(call)
    assert all(port.rings_after_ms is None for port in relay.open_ports.values())
    assert playing(relay) == {}
    scene.expect_nothing_left(call, within_ms=40_000)


def direction(session: str) -> str:
    return media_of(session.encode())[0].direction


ANSWERS = [("sendrecv", "sendonly"), ("recvonly", "sendonly"), ("sendonly", "inactive"), ("inactive", "inactive")]


@pytest.mark.parametrize(("offered", "told"), ANSWERS)
@pytest.mark.parametrize(
    ("engine", "is_first"), [(MediaEngine.RELAY, True), (MediaEngine.RELAY, False), (MediaEngine.RTPENGINE, False)]
)
def test_inactive_in_an_answer_is_sendonly_for_one_alone_that_has_offered_to_listen(engine, is_first, offered, told):
    """RFC 3264 section 6.1: a stream that was offered as sendonly or inactive has no answer that sends."""
    scene, relay = scene_with(engine=engine)
    if is_first:
        call, party = scene.talk(
            Intent(with_direction(OFFER, offered)), answers(body=with_direction(ANSWER, "inactive"))
        )
    else:
        call, party = scene.talk()
        offer(scene, call, party, with_direction(call.mine, offered), with_direction(party.mine, "inactive"))
    run(scene)
    assert direction(call.theirs) == told
    assert len(playing(relay) if engine is MediaEngine.RELAY else relay.playing) == (told == "sendonly")
    scene.propose(party)
    assert party.got["INVITE"] == [200]
    scene.finish(call)


@pytest.mark.parametrize("engine", [MediaEngine.RELAY, MediaEngine.RTPENGINE])
def test_a_side_that_holds_is_offered_inactive_as_it_is_and_hears_music_once_it_holds_no_longer(engine):
    scene, relay = scene_with(engine=engine)
    call, party = scene.talk()
    scene.propose(call, "a=sendonly")
    call.will("INVITE", Reply(200, with_direction(call.mine, "inactive")))
    scene.propose(party, "a=inactive")
    assert (direction(call.theirs), direction(party.theirs)) == ("inactive", "inactive")
    assert (playing(relay) if engine is MediaEngine.RELAY else relay.playing) == {}
    party.will("INVITE", Reply(200, with_direction(party.mine, "inactive")))
    scene.propose(call)
    assert direction(call.theirs) == "sendonly"
    assert len(playing(relay) if engine is MediaEngine.RELAY else relay.playing) == 1
    scene.propose(party)
    assert (playing(relay) if engine is MediaEngine.RELAY else relay.playing) == {}
    scene.finish(call)


@pytest.mark.parametrize("engine", [MediaEngine.RELAY, MediaEngine.RTPENGINE])
def test_a_side_that_begins_or_ends_to_hold_is_sent_the_same_description_by_another_version(engine):
    """RFC 3264 section 8: it was sent the other one's inactive as sendonly before, and is so again."""
    scene, _ = scene_with(engine=engine)
    call, party = scene.talk()
    party.will("INVITE", Reply(200, with_direction(party.mine, "inactive")))
    scene.propose(call, "a=inactive")
    told, kept = [party.theirs], call.mine
    for session in (party.mine, party.mine, revised(party.mine)):
        call.will("INVITE", Reply(200, kept))
        party.ask("INVITE", body=session)
        run(scene)
        told.append(party.theirs)
    assert [direction(each) for each in told] == ["sendonly", "inactive", "inactive", "sendonly"]
    assert told[1] == told[2], "a refresh changes nothing"
    assert all(follows(before, now) for before, now in pairwise(told))
    scene.finish(call)


@pytest.mark.parametrize("engine", [MediaEngine.RELAY, MediaEngine.RTPENGINE])
@pytest.mark.parametrize(
    "directions", [("recvonly", "sendrecv", "inactive"), ("sendrecv", "sendrecv", "inactive")], ids="-".join
)
def test_a_version_that_a_party_has_is_not_sent_again_where_the_switch_is_killed(tmp_path, engine, directions):
    """It would take the new description for the one that it has, and go on holding."""
    scene, _ = scene_with(tmp_path, engine)
    call, _ = scene.talk()
    first, second, last = directions
    scene.propose(call, f"a={first}", method="UPDATE")
    scene.propose(call, f"a={second}", method="UPDATE", wait_ms=30)  # the journal has no mark behind it
    scene.kill(20, then_ms=10_000)
    had = call.theirs
    scene.propose(call, f"a={last}", method="UPDATE")
    assert follows(had, call.theirs)
    scene.expect_nothing_left(call)


def transferred(scene: KilledScene, call):
    """Let the customer transfer its callee; return the callee and the target, 100 ms after they were connected."""
    scene.vendor.script = answers(body=ANSWER.replace("30000", "44000"))
    call.ask("REFER", headers=[f"Refer-To: <sip:{TARGET}@192.0.2.1>"])
    scene.wire.run_until(lambda: call.is_over)
    scene.wire.run_for(100)
    return scene.vendor.calls


@pytest.mark.parametrize("engine", [MediaEngine.RELAY, MediaEngine.RTPENGINE])
def test_music_of_two_that_a_transfer_has_connected_ends_with_the_hold_though_the_switch_was_killed_as_it_began(
    tmp_path, engine
):
    """It was played over what the other one said, to the end of the call."""
    scene, relay = scene_with(tmp_path, engine)
    call, _ = scene.talk()
    party, target = transferred(scene, call)
    run(scene, 5_000)
    scene.propose(target, "a=sendonly", wait_ms=100)
    assert is_playing(relay)
    scene.kill(20, then_ms=10_000)
    scene.propose(target)
    assert not is_playing(relay)
    scene.expect_nothing_left(party)


def is_playing(relay: VirtualRelay | VirtualRtpEngines) -> bool:
    return bool(relay.playing if isinstance(relay, VirtualRtpEngines) else playing(relay))


@pytest.mark.parametrize("engine", [MediaEngine.RELAY, MediaEngine.RTPENGINE])
def test_a_version_that_a_target_was_offered_is_not_sent_again_where_the_switch_is_killed(tmp_path, engine):
    """The side that it is connected with has answered from another place, which it is offered then."""
    media = MediaParameters(engine=engine, mode=MediaMode.ON)
    engines = VirtualRtpEngines() if engine is MediaEngine.RTPENGINE else None
    scene = KilledScene(tmp_path, office(media=media), relay=VirtualRelay(), rtpengines=engines)
    desk, _ = registered(scene)
    call, at_desk = called(scene, desk, offer=OFFER.replace("- 1 1", "- 7 1"))
    consulted = dialled(scene, desk, TARGET)
    (target,) = scene.vendor.calls
    call.will("INVITE", Reply(200, revised(call.mine).replace("20000", "20010")))
    attended(at_desk, consulted)
    run(scene, 100)
    scene.kill(20, then_ms=100)
    had = target.theirs
    scene.propose(target, "a=sendonly")
    assert "a=recvonly" in target.theirs
    assert follows(had, target.theirs)
    scene.expect_nothing_left(call)


def test_a_version_that_had_the_ports_of_another_rtpengine_is_not_sent_again_where_the_switch_is_killed(tmp_path):
    scene, engines = scene_with(tmp_path, MediaEngine.RTPENGINE)
    call, party = scene.talk()
    run(scene, 5_000)
    engines.lose("one")
    for _ in range(8):
        scene.poll_rtpengines()
    assert "198.51.100.2" in party.theirs
    scene.kill(20, then_ms=100)
    had = party.theirs
    scene.propose(call, "a=sendonly")
    assert "a=sendonly" in party.theirs
    assert follows(had, party.theirs)
    scene.expect_nothing_left(call)


def test_a_hold_has_its_music_again_where_the_switch_is_killed_while_the_target_of_a_transfer_rings(tmp_path):
    """The ring-back that the side on hold had in place of it had begun since the journal was written."""
    scene, relay = scene_with(tmp_path)
    scene.vendor.by_number = {TARGET: RINGS}
    call, _ = scene.talk()
    scene.propose(call, "a=sendonly", wait_ms=10)
    call.ask("REFER", headers=[f"Refer-To: <sip:{TARGET}@192.0.2.1>"])
    run(scene, 100)
    assert (playing(relay), [port.rings_after_ms for port in relay.open_ports.values()].count(0)) == ({}, 1)
    scene.kill(20, then_ms=5_000)
    assert playing(relay) == {30_000: ("PCMU", 0)}
    scene.expect_nothing_left(call)
