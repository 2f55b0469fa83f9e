"""Ports in the descriptions that an rtpengine writes."""

import pytest

from vosd.media.rtpengine_orders import RtpReply
from vosd.sdp.media import Place

AUDIO = "m=audio 4000 RTP/AVP 0\r\n"
HOST = "c=IN IP4 192.0.2.1\r\n"
ABOVE = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\n"


@pytest.mark.parametrize(
    ("lines", "places"),
    [
        (f"{HOST}t=0 0\r\n{AUDIO}", [Place("192.0.2.1", 4000, 4001)]),
        (f"{HOST}{AUDIO}a=rtcp:4001\r\n", [Place("192.0.2.1", 4000, 4001)]),
        (f"c=IN IP6 2001:db8::1\r\n{AUDIO}a=rtcp:5000\r\n", [Place("2001:db8::1", 4000, 5000)]),
        (f"{AUDIO}{HOST}a=rtcp:5000 IN IP4 192.0.2.1\r\n", [Place("192.0.2.1", 4000, 5000)]),
        (f"{HOST}{AUDIO}a=rtcp:4000\r\na=rtcp-mux\r\n", [Place("192.0.2.1", 4000, None)]),
        (f"{HOST}{AUDIO}a=rtcp-mux\r\na=rtcp:4000\r\n", [Place("192.0.2.1", 4000, None)]),
        (
            f"{AUDIO}{HOST}m=video 0 RTP/AVP 31\r\n{HOST}m=image 4002 udptl t38\r\nc=IN IP4 192.0.2.2\r\n",
            [Place("192.0.2.1", 4000, 4001), None, Place("192.0.2.2", 4002, 4003)],
        ),
        (AUDIO, []),
        (f"{HOST}a=rtcp:4009\r\n{AUDIO}", [Place("192.0.2.1", 4000, 4001)]),
        ("", []),
    ],
)
def test_places_of_media_are_read_from_a_reply(lines, places):
    assert list(RtpReply(result="ok", sdp=ABOVE + lines).places) == places
