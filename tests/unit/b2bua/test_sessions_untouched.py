"""What peers agree upon is theirs: session descriptions go through to the byte, whatever they hold (RFC 3264)."""

import re

import pytest
from doubles.data.sessions import revised
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import Intent
from doubles.virtual.scene import sides
from doubles.virtual.vendor import Line, Script, answers

VIDEO = "m=video 20002 RTP/AVP 96\r\nb=AS:512\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 profile-level-id=42e01f\r\n"
SESSIONS = {
    "audio and video": OFFER + VIDEO,
    "video that is not wanted": OFFER + VIDEO.replace("20002", "0"),
    "fax beside audio": OFFER + "m=image 20004 udptl t38\r\na=T38FaxVersion:0\r\n",
    "no stream at all": OFFER.partition("m=")[0],
    "IPv6": OFFER.replace("IN IP4 192.0.2.10", "IN IP6 2001:db8::10"),
    "ICE, rtcp-mux and SRTP keys": OFFER
    + "a=ice-ufrag:8hhY\r\na=candidate:1 1 UDP 2130706431 10.0.1.1 8998 typ host\r\na=rtcp-mux\r\n"
    + "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n",
    "alternatives": OFFER.replace("m=audio", "a=group:BUNDLE a v\r\nm=audio") + "a=mid:a\r\n" + VIDEO + "a=mid:v\r\n",
    "lines that end in a line feed alone": OFFER.replace("\r\n", "\n"),
    "bytes that are no text": OFFER.replace("s=-", "s=\udcff\udcfe"),
    "no description": "this is not SDP",
}

every_session = pytest.mark.parametrize("session", SESSIONS.values(), ids=SESSIONS)


@every_session
def test_an_offer_goes_through_untouched(scene, session):
    call, there = scene.talk(Intent(offer=session))
    assert there.theirs == session
    scene.finish(call)


@every_session
def test_an_answer_goes_through_untouched(scene, session):
    answer = session.replace("192.0.2.10", "192.0.2.20").replace("\udcff\udcfe", "caf")
    call, _ = scene.talk(script=answers(body=answer))
    assert call.theirs == answer
    scene.finish(call)


@every_session
def test_an_offer_of_the_other_side_and_its_late_answer_go_through_untouched(scene, session):
    offer = session.replace("\udcff\udcfe", "caf")
    call = scene.answered_call(Intent(offer="", acknowledges=False), script=answers(body=offer))
    call.acknowledge(ANSWER + VIDEO)
    scene.wire.run_for(100)
    assert call.theirs == offer
    assert [ack.body for ack in scene.vendor.only_call.acks] == [ANSWER + VIDEO]
    scene.finish(call)


REJECTED = "m=video 0 RTP/AVP 96\r\n"


@pytest.mark.parametrize("is_first", [False, True], ids=["behind the audio", "before the audio"])
def test_media_that_an_answer_leaves_out_are_rejected_in_their_place(scene, is_first):
    """RFC 3264 section 6: browsers and others end a call whose answer has fewer media than they have offered."""
    offer = OFFER.replace("m=audio", VIDEO + "m=audio") if is_first else OFFER + VIDEO
    expected = ANSWER.replace("m=audio", REJECTED + "m=audio") if is_first else ANSWER + REJECTED
    script = Script((Line(0, 100), Line(0, 183, ANSWER), Line(1_000, 200, ANSWER)))
    call, there = scene.talk(Intent(offer=offer), script)
    assert (call.theirs, there.theirs) == (expected, offer)
    assert {each.body for each in call.responses if each.status in {183, 200}} == {expected}
    scene.finish(call)


def test_media_that_a_late_answer_leaves_out_are_rejected(scene):
    call = scene.answered_call(Intent(offer="", acknowledges=False), script=answers(body=OFFER + VIDEO))
    call.acknowledge(ANSWER)
    scene.wire.run_for(100)
    assert [ack.body for ack in scene.vendor.only_call.acks] == [ANSWER + REJECTED]
    scene.finish(call)


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_hold_as_it_was_before_rfc_3264_goes_through(scene, side):
    """RFC 3264 section 8.4, at its end: a connection address of 0.0.0.0; and back."""
    call, there = scene.talk()
    asking, asked = sides(side, call, there)
    for address in ("0.0.0.0", "192.0.2.10"):
        offer = re.sub(r"c=IN IP4 \S+", f"c=IN IP4 {address}", revised(asking.mine))
        asking.ask("INVITE", body=offer)
        scene.wire.run_for(1_000)
        assert asked.theirs == offer
    assert asking.got == {"INVITE": [200, 200]}
    scene.finish(call)
