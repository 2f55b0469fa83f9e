"""Media of a caller whose call another fork, phone or gateway answers than the one that it agreed on a session with."""

import msgspec
import pytest
from doubles.announcing import SOUNDS
from doubles.data.builders import catalogue, mapping_gateway, phone
from doubles.data.sessions import follows, revised
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import KNOWS_UPDATE, SUPPORTS_100REL, Intent
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.rtpengines import VirtualRtpEngines
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, sides, vendor_gateway
from doubles.virtual.side import Reply
from doubles.virtual.vendor import Line, Script

from vosd.media.rtpengine_orders import RtpAnswer, RtpOffer
from vosd.sdp.media import media_of
from vosd.trunks.dids import Did
from vosd.trunks.media import Encryption, MediaEngine, MediaMode, MediaParameters, MediaSettings
from vosd.trunks.ringing import RingOrder

NUMBER, NAMES = "4420946000", ("7001", "7002")
OTHER = ANSWER.replace("30000", "31000").replace("192.0.2.20", "192.0.2.21")
KEY = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:vendor+keyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n"
BUSY = msgspec.structs.replace(SOUNDS["busy"], file="/srv/busy.wav")
SETTLES = Line(0, 183, ANSWER, KNOWS_UPDATE, True)
ANSWERS = Line(2_000, 200, OTHER, KNOWS_UPDATE)


def stage(media, music="", **vendors):
    """Return a scene with two vendors and two phones that ring together, and a relay or rtpengines.

    ``vendors`` are keys about their media.
    """
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32")]
    trunks += [vendor_gateway(index, media=MediaSettings(**vendors)) for index in range(2)]
    did = Did(NUMBER, "acme", phones=NAMES, ring=RingOrder.TOGETHER)
    is_relay = isinstance(media, VirtualRelay)
    engine = MediaEngine.RELAY if is_relay else MediaEngine.RTPENGINE
    parameters = MediaParameters(engine=engine, mode=MediaMode.ON, music_on_hold=music)
    phones = [phone(name) for name in NAMES]
    content = catalogue(trunks, phones=phones, dids=[did], media=parameters, sounds={"busy": BUSY})
    return Scene(content, relay=media) if is_relay else Scene(content, rtpengines=media)


def rings(scene, another):
    """Let the caller agree on a session with one that rings; ``another`` says which other one answers."""
    number = CALLEE
    match another:
        case "fork":
            scene.vendor.script = Script((SETTLES,), forks=(Script((Line(0, 180), ANSWERS)),))
        case "gateway":
            scene.vendor.script = Script((SETTLES, Line(1_500, 503)))
            scene.vendors[1].script = Script((Line(0, 180), ANSWERS))
        case "phone":
            number = NUMBER
            for index, script in enumerate((Script((SETTLES,)), Script((Line(0, 180), ANSWERS)))):
                place = Endpoint("203.0.113.66", 41_000 + index)
                scene.exchange.telephone(NAMES[index], place, script=script).register()
    return scene.begun_call(Intent(headers=(*SUPPORTS_100REL, *KNOWS_UPDATE)), callee=number, after_ms=500)


def answered(scene, call):
    scene.await_answer(call, talk_ms=500)


def places(relay):
    """Return the ports from which the relay takes media."""
    return sorted(port.source.rtp for port in relay.open_ports.values() if port.source is not None)


def plays(media):
    """Return whether someone is played a sound."""
    if isinstance(media, VirtualRelay):
        return any(port.playing is not None for port in media.open_ports.values())
    return media.playing != {}


def given(engines):
    """Return what an rtpengine was given, and which port the author has."""
    return [(type(order), media_of(order.sdp.encode())[0].port) for order in engines.sessions]


@pytest.mark.parametrize("media", [VirtualRelay, VirtualRtpEngines])
@pytest.mark.parametrize("another", ["fork", "gateway", "phone"])
def test_a_hold_that_was_agreed_with_another_one_lets_no_call_be_silent(media, another):
    """The caller's session with the one that answers is that of its INVITE (RFC 3261 section 12.1)."""
    scene = stage(media())
    call = rings(scene, another)
    call.propose("a=inactive", method="UPDATE")
    answered(scene, call)
    assert call.got["UPDATE"] == [200]
    for _ in range(16):
        if media is VirtualRtpEngines:
            scene.exchange.poll_rtpengines()
        scene.wire.run_for(4_500)
    assert call.is_over
    assert scene.close().end_reason == "No Media"


@pytest.mark.parametrize("media", [VirtualRelay, VirtualRtpEngines])
def test_music_of_a_hold_ends_where_a_fork_answers_that_was_shown_before_the_one_on_hold(media):
    """It was played to the fork that answered, in place of the caller's media."""
    relay = media()
    scene = stage(relay, music="busy")
    other = Script((Line(200, 183, OTHER.replace("o=- 1 1 ", "o=- 2 1 "), KNOWS_UPDATE, True),))
    scene.vendor.script = Script((SETTLES, Line(2_000, 200)), forks=(other,))
    call = scene.begun_call(Intent(headers=(*SUPPORTS_100REL, *KNOWS_UPDATE)), after_ms=500)
    call.propose("a=sendonly", method="UPDATE")
    scene.wire.run_for(500)
    assert (call.got["UPDATE"], plays(relay)) == ([200], True)
    answered(scene, call)
    assert not plays(relay)
    scene.finish(call)


@pytest.mark.parametrize("another", ["fork", "gateway", "phone"])
def test_media_come_from_the_place_that_the_caller_has_named_the_one_that_answers(another):
    relay, engines = VirtualRelay(), VirtualRtpEngines()
    for scene in map(stage, (relay, engines)):
        call = rings(scene, another)
        call.ask("UPDATE", body=revised(call.mine.replace("m=audio 20000", "m=audio 20500")))
        answered(scene, call)
        assert call.got["UPDATE"] == [200]
    assert places(relay) == [20_000, 31_000]
    assert given(engines)[-2:] == [(RtpOffer, 20_000), (RtpAnswer, 31_000)]


@pytest.mark.parametrize("media", [VirtualRelay, VirtualRtpEngines])
@pytest.mark.parametrize("side", ["caller", "callee"])
def test_media_of_an_update_in_flight_are_those_of_the_fork_that_answers_before_its_response(side, media):
    """Another fork was shown before it, whose session does not hold any more; that of the UPDATE does."""
    scene = stage(media := media())
    last = Script((Line(500, 183, OTHER, KNOWS_UPDATE, True), Line(2_000, 200)))
    scene.vendor.script = Script((SETTLES,), forks=(last,))
    call = scene.begun_call(Intent(headers=(*SUPPORTS_100REL, *KNOWS_UPDATE)), after_ms=1_900)
    asking, asked = sides(side, call, scene.vendor.calls[1])
    asked.will("UPDATE", Reply(body=revised(asked.mine).replace("000 RTP", "500 RTP"), after_ms=400))
    asking.ask("UPDATE", body=revised(asking.mine).replace("000 RTP", "500 RTP"))
    answered(scene, call)
    assert asking.got["UPDATE"] == [200]
    if isinstance(media, VirtualRelay):
        assert places(media) == [20_500, 31_500]
    else:
        wanted = [(RtpOffer, 20_500), (RtpAnswer, 31_500)]
        assert given(media)[-2:] == (wanted if side == "caller" else [(RtpOffer, 31_500), (RtpAnswer, 20_500)])
    assert call.asked["INVITE"] == []
    scene.finish(call)


@pytest.mark.parametrize("final", ["", ANSWER])
def test_an_rtpengine_connects_the_caller_again_with_the_fork_that_answers(final):
    """The latest answer says which legs are connected, and after a reliable one the 200 has none for the caller."""
    engines = VirtualRtpEngines()
    scene = stage(engines)
    other = Script((Line(500, 183, OTHER, KNOWS_UPDATE, True),))
    scene.vendor.script = Script((SETTLES, Line(2_000, 200, final)), forks=(other,))
    call = scene.caller.call(CALLEE, Intent(headers=SUPPORTS_100REL))
    answered(scene, call)
    assert call.response(200).body == ""
    assert given(engines)[-3:] == [(RtpAnswer, 31_000), (RtpOffer, 20_000), (RtpAnswer, 30_000)]
    scene.finish(call)


@pytest.mark.parametrize("returns", [True, False])
def test_a_fork_that_an_rtpengine_encrypts_agrees_anew_only_where_another_was_shown_after_it(returns):
    """The keys that the first fork was given are those of another connection by then; those of the last one hold."""
    engines = VirtualRtpEngines()
    scene = stage(engines, encryption=Encryption.REQUIRED)
    sealed, others = (each.replace("RTP/AVP", "RTP/SAVP") + KEY for each in (ANSWER, OTHER))
    first, last = (Line(0, 183, sealed, KNOWS_UPDATE, True),), (Line(500, 183, others, KNOWS_UPDATE, True),)
    answers = (Line(2_000, 200),)
    scene.vendor.script = Script(first + answers * returns, forks=(Script(last + answers * (not returns)),))
    call = scene.caller.call(CALLEE, Intent(headers=SUPPORTS_100REL))
    answered(scene, call)
    for _ in range(3):
        scene.poll_rtpengines(wait_ms=500)
    asked = [bool(each.asked["INVITE"]) for each in (call, *scene.vendor.calls)]
    if returns:
        assert asked == [True, True, False]
        assert given(engines)[-1] in {(RtpAnswer, 30_000), (RtpAnswer, 20_000)}
    else:
        assert asked == [False, False, False]
        assert given(engines)[-1] == (RtpAnswer, 31_000)
    scene.finish(call)


def test_a_caller_is_offered_other_ports_in_the_session_of_the_fork_that_it_was_shown_before():
    """They had the origin of the fork that was shown last: strict callers refuse that, and hear nothing more."""
    engines = VirtualRtpEngines()
    scene = stage(engines)
    other = Script((Line(500, 183, OTHER.replace("o=- 1 1 ", "o=- 2 1 "), KNOWS_UPDATE, True),))
    scene.vendor.script = Script((SETTLES, Line(2_000, 200)), forks=(other,))
    call = scene.caller.call(CALLEE, Intent(headers=SUPPORTS_100REL))
    answered(scene, call)
    before = call.theirs
    engines.lose("one")
    for _ in range(10):
        scene.poll_rtpengines(wait_ms=1_000)
    assert call.theirs != before
    assert follows(before, call.theirs)
    assert "o=- 1 " in call.theirs
    scene.finish(call)
