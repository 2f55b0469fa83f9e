"""Media of calls that a telephone transfers which was called (ADR 180): relayed or not, recorded, keys, music."""

import json
from pathlib import Path

import msgspec
import pytest
from doubles.announcing import SOUNDS
from doubles.data.builders import account, catalogue, mapping_gateway, phone
from doubles.desk_scene import DESK, MATE, TARGET, attended, blind, called, dialled, registered
from doubles.keypad_scene import KEYS, press
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import Intent
from doubles.virtual.relay import OpenPort, VirtualRelay
from doubles.virtual.rtpengines import HOSTS, VirtualRtpEngines
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import RINGS, Line, Script, answers

from vosd.engine.media.recordings import CallRecordings
from vosd.sdp.media import media_of
from vosd.trunks.dialect import CallerDialect
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters, MediaSettings, MediaWatch

AUTO, ON, OFF, MUST_ON = MediaMode.AUTO, MediaMode.ON, MediaMode.OFF, MediaMode.MUST_ON


def stage(relay=None, modes=(AUTO, AUTO, AUTO), *, rtpengines=None, music="", sounds=None, recorded=0, **desk) -> Scene:
    """Make a customer and two telephones of an office; ``desk`` are settings of the first one's media."""
    of_caller, of_desk, of_mate = modes
    terms = {"account": "office", "dialect": CallerDialect(transfer_keys=KEYS)}
    known = [mapping_gateway("acme", f"{CUSTOMER.host}/32", media=MediaSettings(mode=of_caller)), vendor_gateway(0)]
    phones = [
        phone(DESK, media=MediaSettings(mode=of_desk, **desk), **terms),
        phone(MATE, media=MediaSettings(mode=of_mate), **terms),
    ]
    engine = MediaEngine.RELAY if rtpengines is None else MediaEngine.RTPENGINE
    media = MediaParameters(engine=engine, mode=AUTO, music_on_hold=music)
    rich = account("office", overdraft_limit=None, record=recorded)
    content = catalogue(known, phones=phones, accounts=[rich], media=media, sounds=sounds or {})
    return Scene(content, relay=relay, rtpengines=rtpengines)


def place(session: str) -> tuple[str, int]:
    """Return where a description wants its first medium."""
    medium = media_of(session.encode())[0]
    return medium.host, medium.port


def port_of(relay: VirtualRelay, session: str) -> OpenPort:
    return relay.at(place(session)[1])


def settle(scene: Scene, relay: VirtualRelay) -> None:
    scene.expect_nothing_left()
    assert relay.open_ports == {}


def test_lost_packets_of_phones_are_counted_of_no_trunk():
    relay = VirtualRelay()
    scene = stage(relay, (ON, ON, ON))
    desk, _ = registered(scene)
    for call in (called(scene, desk)[0], dialled(scene, desk)):
        for port in relay.open_ports.values():
            port.figures = msgspec.structs.replace(port.figures, expected=3_000, lost=300)
        scene.hang_up(call, wait_ms=1_000)
    parts, now = scene.exchange.media.parts, scene.exchange.clock.now()
    assert dict(parts.customer_losses.percents(now.mono)) == {"acme": 10.0}
    assert dict(parts.losses.percents(now.mono)) == {}
    settle(scene, relay)


@pytest.mark.parametrize("how", ["blind", "by keys", "attended"])
@pytest.mark.parametrize(
    ("modes", "is_relayed"),
    [((ON, ON, ON), True), ((OFF, OFF, OFF), False), ((AUTO, MUST_ON, AUTO), True), ((AUTO, AUTO, AUTO), False)],
)
def test_the_two_that_were_connected_hear_each_other_as_the_first_two_did(how, modes, is_relayed):
    relay = VirtualRelay()
    scene = stage(relay, modes)
    desk, mate = registered(scene)
    mate.script = answers(1_000, body=ANSWER.replace("192.0.2.20", "192.0.2.30"))
    call, at_desk = called(scene, desk)
    if how == "blind":
        blind(at_desk, MATE)
    elif how == "attended":
        attended(at_desk, dialled(scene, desk))
    else:
        press(scene, at_desk, f"*2{MATE}#")
        scene.wire.run_for(4_000)
        press(scene, at_desk, "*9")
    scene.wire.run_for(5_000)
    (target,) = mate.calls
    assert (call.is_over, at_desk.is_over, target.is_over) == (False, True, False)
    if is_relayed:
        one, other = port_of(relay, call.theirs), port_of(relay, target.theirs)
        assert (one.other, other.other) == (other.port, one.port)
        assert one.source is not None
        assert other.source is not None
        assert len(relay.open_ports) == 2
    else:
        assert (place(call.theirs), place(target.theirs)) == (place(target.mine), place(call.mine))
        assert relay.open_ports == {}
    call.hang_up()
    scene.wire.run_until(lambda: target.is_over)
    settle(scene, relay)


@pytest.mark.parametrize("how", ["blind", "attended", "two callers"])
def test_silence_ends_both_calls_of_the_two_that_were_connected(how):
    relay = VirtualRelay()
    scene = stage(relay, (ON, ON, ON), watch=MediaWatch.ANY, timeout_ms=60_000)
    desk, _ = registered(scene)
    call, at_desk = called(scene, desk)
    if how == "blind":
        blind(at_desk, MATE)
    else:
        attended(at_desk, dialled(scene, desk) if how == "attended" else called(scene, desk)[1])
    scene.wire.run_for(3_000)
    assert (at_desk.is_over, call.is_over) == (True, False)
    scene.wire.run_for(70_000)
    assert call.is_over
    settle(scene, relay)
    records = scene.exchange.sink.records
    assert sorted(each.end_reason for each in records) == ["No Media", "No Media"]
    assert records[0].ended_at == records[1].ended_at


@pytest.mark.parametrize("recorded", [0, 100])
def test_calls_to_a_phone_are_recorded_where_its_account_wants_it(recorded):
    relay = VirtualRelay()
    scene = stage(relay, (ON, ON, ON), recorded=recorded)
    scene.exchange.media.parts.recordings = CallRecordings(relay, Path("/recordings"))
    desk, _ = registered(scene)
    call, _ = called(scene, desk)
    assert len(relay.recordings) == (recorded > 0)
    call.hang_up()
    settle(scene, relay)


@pytest.mark.parametrize("recorded", [0, 100])
def test_a_call_that_a_phone_picks_up_is_recorded_where_its_account_wants_it(recorded):
    relay = VirtualRelay()
    scene = stage(relay, (ON, ON, ON), recorded=recorded)
    scene.exchange.media.parts.recordings = CallRecordings(relay, Path("/recordings"))
    desk, mate = registered(scene)
    desk.script = RINGS
    call = scene.begun_call(callee=DESK, after_ms=1_000)
    pickup = mate.call(DESK, Intent(headers=(f"Replaces: {desk.only_call.replaces}",)))
    scene.wire.run_for(1_000)
    assert (call.final, pickup.final) == (200, 200)
    assert len(relay.recordings) == (recorded > 0)
    call.hang_up()
    settle(scene, relay)


def test_a_recording_goes_on_and_both_records_have_their_figures():
    relay = VirtualRelay()
    scene = stage(relay, (ON, ON, ON), record=100)
    scene.exchange.media.parts.recordings = CallRecordings(relay, Path("/recordings"))
    desk, mate = registered(scene)
    call, at_desk = called(scene, desk)
    (file,) = relay.recordings
    at = port_of(relay, at_desk.theirs)
    at.figures = msgspec.structs.replace(at.figures, packets_in=50)
    blind(at_desk, MATE)
    scene.wire.run_for(5_000)
    (target,) = mate.calls
    assert port_of(relay, call.theirs).recording == file
    target.hang_up()
    scene.wire.run_until(lambda: call.is_over)
    settle(scene, relay)
    (first,) = (each for each in scene.exchange.sink.records if each.mapping_gateway == "acme")
    document = json.loads(first.media)
    assert document["recording"].endswith(file.name)
    assert document["legs"]["callee"]["packets_in"] == 50


def test_keys_in_the_media_of_the_called_phone_transfer_the_call():
    relay = VirtualRelay()
    scene = stage(relay, (ON, ON, ON))
    desk, mate = registered(scene)
    call, at_desk = called(scene, desk)
    own = port_of(relay, at_desk.theirs)
    assert own.keys == (True, False)
    assert port_of(relay, call.theirs).keys == (False, False), "the caller has no keys"
    for key in f"*1{MATE}#":
        exchange = scene.exchange
        exchange.switch.media_events.key_pressed(own.port.id, key, 100, exchange.clock.now())
        exchange.flush()
        scene.wire.run_for(300)
    scene.wire.run_for(4_000)
    (target,) = mate.calls
    assert (at_desk.is_over, call.is_over, target.is_over) == (True, False, False)
    call.hang_up()
    settle(scene, relay)


@pytest.mark.parametrize("side", ["called", "calling"])
def test_keys_in_the_media_of_a_phone_that_has_taken_a_side_over_transfer_the_call(side):
    relay = VirtualRelay()
    scene = stage(relay, (ON, ON, ON))
    exchange = scene.exchange
    desk, mate = registered(scene)
    if side == "called":
        other, replaced = called(scene, desk)
    else:
        replaced = dialled(scene, desk, "442072222222")
        (other,) = scene.vendor.calls
    newcomer = mate.call(DESK, Intent(headers=(f"Replaces: {replaced.replaces}",)))
    scene.wire.run_for(1_000)
    own = port_of(relay, newcomer.theirs)
    assert (own.keys, port_of(relay, other.theirs).keys) == ((True, False), (False, False))
    for key in f"*1{TARGET}#":
        exchange.switch.media_events.key_pressed(own.port.id, key, 100, exchange.clock.now())
        exchange.flush()
        scene.wire.run_for(300)
    scene.wire.run_for(4_000)
    target = scene.vendor.calls[-1]
    assert (newcomer.is_over, other.is_over, target.is_over, target is other) == (True, False, False, False)
    other.hang_up()
    settle(scene, relay)


@pytest.mark.parametrize("how", ["blind", "by keys"])
def test_an_rtpengine_connects_the_two_and_they_are_moved_to_another_like_those_of_one_call(how):
    engines = VirtualRtpEngines()
    scene = stage(None, (ON, ON, ON), rtpengines=engines)
    desk, mate = registered(scene)
    mate.script = answers(1_000, body=ANSWER.replace("192.0.2.20", "192.0.2.30"))
    call, at_desk = called(scene, desk)
    if how == "blind":
        blind(at_desk, MATE)
    else:
        press(scene, at_desk, f"*2{MATE}#")
        scene.wire.run_for(4_000)
        press(scene, at_desk, "*9")
    scene.wire.run_for(5_000)
    (target,) = mate.calls
    assert (call.is_over, at_desk.is_over, target.is_over) == (False, True, False)
    assert [place(each.theirs)[0] for each in (call, target)] == [HOSTS["one"]] * 2
    engines.lose("one")
    for _ in range(20):
        scene.poll_rtpengines(wait_ms=500)
    assert [place(each.theirs)[0] for each in (call, target)] == [HOSTS["two"]] * 2
    assert len(engines.calls) == 1
    scene.hang_up(target, wait_ms=5_000)
    assert call.is_over
    assert engines.calls == {}


def test_another_port_of_an_rtpengine_is_another_version_also_where_both_phones_have_described_the_same():
    engines = VirtualRtpEngines()
    scene = stage(None, (ON, ON, ON), rtpengines=engines)
    desk, mate = registered(scene)
    call, at_desk = called(scene, desk)
    before = place(call.theirs)
    own = dialled(scene, desk)
    (target,) = mate.calls
    assert target.mine == at_desk.mine
    attended(at_desk, own)
    scene.wire.run_for(3_000)
    assert (call.is_over, at_desk.is_over, target.is_over) == (False, True, False)
    assert place(call.theirs) != before
    for one, other in ((call, target), (target, call)):
        scene.propose(one, "a=sendonly")
        assert one.got["INVITE"][-1] == 200
        assert "a=sendonly" in other.theirs
    scene.hang_up(call, wait_ms=5_000)
    assert target.is_over
    assert engines.calls == {}


@pytest.mark.parametrize("way", ["the phone leaves", "the phone talks to the target"])
def test_the_caller_hears_music_while_it_waits(way):
    relay = VirtualRelay()
    scene = stage(relay, (ON, ON, ON), music="busy", sounds=SOUNDS)
    desk, mate = registered(scene)
    mate.script = Script((Line(3_000, 180), Line(6_000, 200, ANSWER.replace("192.0.2.20", "192.0.2.30"))))
    call, at_desk = called(scene, desk)
    of_caller = port_of(relay, call.theirs)
    if way == "the phone leaves":
        blind(at_desk, MATE)
        scene.wire.run_for(1_000)
        scene.hang_up(at_desk, wait_ms=500)
        assert of_caller.playing is not None
        scene.wire.run_for(2_000)
        assert of_caller.playing is None, "the target rings"
        assert of_caller.rings_after_ms == 0
    else:
        press(scene, at_desk, f"*2{MATE}#")
        scene.wire.run_for(7_000)
        assert of_caller.playing is not None
        at_desk.hang_up()
    scene.wire.run_for(8_000)
    (target,) = mate.calls
    assert (call.is_over, target.is_over, of_caller.playing) == (False, False, None)
    assert of_caller.other == port_of(relay, target.theirs).port
    call.hang_up()
    settle(scene, relay)


# -- calls that are transferred again ---------------------------------------------------------------------------------


def moved_to_mate(scene: Scene):
    """Let the desk move its caller to the mate; return both sides."""
    desk, mate = registered(scene)
    mate.script = answers(1_000, body=ANSWER.replace("192.0.2.20", "192.0.2.30"))
    scene.vendor.script = Script((Line(3_000, 180), Line(6_000, 200, ANSWER.replace("192.0.2.20", "192.0.2.40"))))
    call, at_desk = called(scene, desk)
    blind(at_desk, MATE)
    scene.wire.run_for(5_000)
    return call, mate.calls[0]


@pytest.mark.parametrize("way", ["the phone leaves", "the phone stays", "the phone talks to the target"])
def test_the_caller_hears_music_and_then_the_second_target(way):
    relay = VirtualRelay()
    scene = stage(relay, (ON, ON, ON), music="busy", sounds=SOUNDS)
    call, at_mate = moved_to_mate(scene)
    of_caller = port_of(relay, call.theirs)
    if way == "the phone talks to the target":
        press(scene, at_mate, f"*2{TARGET}#")
        scene.wire.run_for(7_000)
        assert of_caller.playing is not None
        at_mate.hang_up()
    else:
        blind(at_mate, TARGET)
        scene.wire.run_for(1_000)
        assert of_caller.other == port_of(relay, at_mate.theirs).port, "they talk on"
        if way == "the phone leaves":
            scene.hang_up(at_mate, wait_ms=500)
            assert of_caller.playing is not None
            scene.wire.run_for(2_000)
            assert of_caller.playing is None, "the target rings"
            assert of_caller.rings_after_ms == 0
    scene.wire.run_for(8_000)
    (target,) = scene.vendor.calls
    assert (call.is_over, target.is_over, of_caller.playing) == (False, False, None)
    assert of_caller.other == port_of(relay, target.theirs).port
    assert len(relay.open_ports) == 2
    call.hang_up()
    settle(scene, relay)


def test_the_caller_hears_music_until_the_phone_has_it_back():
    relay = VirtualRelay()
    scene = stage(relay, (ON, ON, ON), music="busy", sounds=SOUNDS)
    call, at_mate = moved_to_mate(scene)
    of_caller = port_of(relay, call.theirs)
    press(scene, at_mate, f"*2{TARGET}#")
    scene.wire.run_for(7_000)
    assert of_caller.playing is not None
    press(scene, at_mate, "*0")
    scene.wire.run_for(5_000)
    assert of_caller.playing is None
    assert of_caller.other == port_of(relay, at_mate.theirs).port
    assert len(relay.open_ports) == 2
    call.hang_up()
    settle(scene, relay)


def test_silence_ends_both_calls_of_the_two_that_are_left_of_three():
    relay = VirtualRelay()
    scene = stage(relay, (ON, ON, ON), watch=MediaWatch.ANY, timeout_ms=60_000)
    call, at_mate = moved_to_mate(scene)
    blind(at_mate, TARGET)
    scene.wire.run_for(10_000)
    (target,) = scene.vendor.calls
    assert (at_mate.is_over, call.is_over, target.is_over) == (True, False, False)
    scene.wire.run_for(70_000)
    assert (call.is_over, target.is_over) == (True, True)
    settle(scene, relay)
    assert sorted(each.end_reason for each in scene.exchange.sink.records) == ["No Media", "No Media", "Normal"]


def test_a_recording_goes_on_with_the_second_target():
    relay = VirtualRelay()
    scene = stage(relay, (ON, ON, ON), record=100)
    scene.exchange.media.parts.recordings = CallRecordings(relay, Path("/recordings"))
    call, at_mate = moved_to_mate(scene)
    file = port_of(relay, call.theirs).recording
    assert file is not None
    blind(at_mate, TARGET)
    scene.wire.run_for(10_000)
    assert at_mate.is_over
    assert port_of(relay, call.theirs).recording == file
    call.hang_up()
    settle(scene, relay)


def test_an_rtpengine_connects_the_two_that_are_left_of_three():
    engines = VirtualRtpEngines()
    scene = stage(None, (ON, ON, ON), rtpengines=engines)
    call, at_mate = moved_to_mate(scene)
    blind(at_mate, TARGET)
    scene.wire.run_for(10_000)
    (target,) = scene.vendor.calls
    assert (call.is_over, at_mate.is_over, target.is_over) == (False, True, False)
    assert [place(each.theirs)[0] for each in (call, target)] == [HOSTS["one"]] * 2
    assert len(engines.calls) == 1
    scene.hang_up(target, wait_ms=5_000)
    assert call.is_over
    assert engines.calls == {}
