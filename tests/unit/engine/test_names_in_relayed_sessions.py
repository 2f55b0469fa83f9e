"""Relayed session descriptions do not name their author to the other side, and keep the origin of their session."""

import msgspec
import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.data.sessions import follows, revised
from doubles.desk_scene import blind
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import KNOWS_UPDATE, SUPPORTS_100REL, Intent
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.rtpengines import VirtualRtpEngines
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import Line, Script, answers

from vosd.media.leg_media import LegMedia
from vosd.trunks.media import Encryption, MediaEngine, MediaMode, MediaParameters, MediaSettings

KEY = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:vendor+keyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n"
ENGINES = [MediaEngine.RELAY, MediaEngine.RTPENGINE]
SECOND = "442222222222"


def named(session: str, name: str) -> str:
    """Return a description whose author writes who it is in all lines for that, and has an attribute of its own."""
    return (
        session.replace("o=- ", f"o={name} ")
        .replace("s=-\r\n", f"s={name}\r\ni={name} 7\r\nu=http://{name}/\r\ne=a@{name}\r\np={name}\r\n")
        .replace("t=0 0\r\n", f"t=0 0\r\na=tool:{name} 1.2\r\n")
        .replace("101\r\n", f"101\r\ni={name}\r\na=tool:{name}\r\na=x-own:kept\r\n", 1)
    )


OF_CALLER, OF_VENDOR = named(OFFER, "acme-pbx"), named(ANSWER, "vend-sbc")
OF_SECOND = named(ANSWER.replace("192.0.2.20", "192.0.2.30"), "second-sbc")


def stage(engine, modes=(MediaMode.ON, MediaMode.ON), **vendor) -> Scene:
    """Return a scene with a vendor for each mode, and these keys of their media."""
    prefixes = ("4420", SECOND[:4])
    vendors = [
        vendor_gateway(index, prefixes=prefixes[index : index + 1], media=MediaSettings(mode=mode, **vendor))
        for index, mode in enumerate(modes)
    ]
    trunks = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), *vendors]
    content = catalogue(trunks, media=MediaParameters(engine=engine, mode=MediaMode.AUTO))
    is_relay = engine is MediaEngine.RELAY
    return Scene(content, relay=VirtualRelay()) if is_relay else Scene(content, rtpengines=VirtualRtpEngines())


def assert_unnamed(*sessions: str) -> None:
    for session in sessions:
        assert "o=- " in session
        assert "\r\ns=-\r\n" in session
        assert "a=x-own:kept\r\n" in session
        assert not any(f"{name}-" in session for name in ("acme", "vend", "second"))


@pytest.mark.parametrize("engine", ENGINES)
def test_no_side_is_named_to_the_other_one_before_and_after_the_answer(engine):
    scene = stage(engine)
    scene.vendor.script = Script((Line(0, 183, OF_VENDOR, KNOWS_UPDATE, True), Line(1_000, 200, OF_VENDOR)))
    call, there = scene.talk(Intent(OF_CALLER, headers=(*SUPPORTS_100REL, *KNOWS_UPDATE)))
    assert_unnamed(call.theirs, there.theirs, *(each.body for each in call.responses if each.body))
    for one, other in ((call, there), (there, call)):
        before = other.theirs
        one.ask("INVITE", body=revised(one.mine, "a=sendonly"))
        scene.wire.run_for(1_000)
        assert_unnamed(call.theirs, there.theirs)
        assert other.theirs != before
        assert follows(before, other.theirs)
    scene.finish(call)


def test_no_side_is_named_to_the_other_one_where_encryption_ends_at_an_rtpengine():
    scene = stage(MediaEngine.RTPENGINE, encryption=Encryption.REQUIRED)
    secured = OF_VENDOR.replace("RTP/AVP", "RTP/SAVP") + KEY
    scene.vendor.script = answers(500, body=secured)
    call, there = scene.talk(Intent(OF_CALLER))
    assert "a=crypto:" in there.theirs
    assert_unnamed(call.theirs, there.theirs)
    scene.finish(call)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_target_of_a_transfer_whose_origin_differs_by_its_user_alone_has_the_next_version(engine):
    scene = stage(engine)
    scene.vendors[1].script = answers(500, body=OF_SECOND)
    scene.vendor.script = answers(500, body=OF_VENDOR)
    call, there = scene.talk(Intent(OF_CALLER))
    before = there.theirs
    blind(call, SECOND)
    scene.wire.run_for(4_000)
    (second,) = scene.vendors[1].calls
    assert_unnamed(there.theirs, second.theirs)
    assert there.theirs != before
    assert follows(before, there.theirs)
    scene.hang_up(there, wait_ms=3_000)
    scene.expect_nothing_left()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_session_that_began_without_a_relay_keeps_the_user_of_its_origin(engine):
    """RFC 3264 section 8; the one that it talks to from now on is not named to it."""
    scene = stage(engine, (MediaMode.OFF, MediaMode.MUST_ON))
    scene.vendors[1].script = answers(500, body=OF_SECOND)
    scene.vendor.script = answers(500, body=OF_VENDOR)
    call, there = scene.talk(Intent(OF_CALLER))
    before = there.theirs
    assert before == OF_CALLER
    blind(call, SECOND)
    scene.wire.run_for(4_000)
    (second,) = scene.vendors[1].calls
    assert "o=acme-pbx " in there.theirs
    assert "192.0.2.30" not in there.theirs
    assert "second-" not in there.theirs
    assert follows(before, there.theirs)
    assert_unnamed(second.theirs)
    scene.hang_up(there, wait_ms=3_000)
    scene.expect_nothing_left()


def test_a_session_of_an_earlier_version_keeps_the_user_of_its_origin():
    assert not msgspec.convert({"number": 1, "origin": "203.0.113.5"}, LegMedia).is_unnamed
