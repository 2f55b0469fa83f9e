"""A session description in a line for people."""

import pytest
from doubles.sockets.peer import OFFER

from vosd.sdp.summary import summary


def sdp(*lines: str) -> bytes:
    return "\r\n".join(("v=0", "o=- 1 1 IN IP4 192.0.2.7", "s=-", *lines, "")).encode()


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (("c=IN IP4 192.0.2.7", "t=0 0", "m=audio 4000 RTP/AVP 8 0"), "PCMA PCMU 192.0.2.7:4000"),
        (
            ("c=IN IP4 192.0.2.7", "m=audio 4000 RTP/AVP 96 101", "a=sendonly", "a=rtpmap:96 opus/48000/2"),
            "opus 101 192.0.2.7:4000 sendonly hold",
        ),
        (("c=IN IP4 192.0.2.7", "a=inactive", "m=audio 4000 RTP/AVP 0"), "PCMU 192.0.2.7:4000 inactive hold"),
        (("c=IN IP4 192.0.2.7", "m=audio 4000 RTP/AVP 0", "a=recvonly"), "PCMU 192.0.2.7:4000 recvonly"),
        (("c=IN IP4 0.0.0.0", "m=audio 4000 RTP/AVP 0"), "PCMU 0.0.0.0:4000 hold"),
        (("m=audio 4000 RTP/AVP 0", "c=IN IP6 2001:db8::7"), "PCMU [2001:db8::7]:4000"),
        (
            ("c=IN IP4 192.0.2.7", "m=audio 0 RTP/AVP 0", "m=image 4002 udptl t38"),
            "audio refused; image t38 192.0.2.7:4002",
        ),
        (("c=IN IP4 224.2.1.1/127", "m=audio 4000 RTP/AVP 18"), "G729 224.2.1.1:4000"),
        (("c=IN IP4 192.0.2.7", "t=0 0"), ""),
        (("c=", "m=audio"), "?:?"),
    ],
)
def test_codecs_address_and_hold_are_named(lines, says):
    assert summary(sdp(*lines)) == says


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"m=audio", b"c=IN IP4 192.0.2.7"])
def test_what_is_no_session_description_has_no_summary(body):
    assert summary(body) == ""


def test_the_usual_offer_is_one_phrase():
    assert summary(OFFER.encode()).startswith("PCMU ")
