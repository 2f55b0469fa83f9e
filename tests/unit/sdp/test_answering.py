"""Answers of the switch itself to offers, by which it sends a sound."""

import pytest

from vosd.sdp.answering import playable_audio, sound_answer
from vosd.sdp.media import Place

HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n"
OFFER = (
    HEAD + "m=video 4000 RTP/AVP 31\r\nm=audio 4002 RTP/AVP 96 97 0\r\n"
    "a=rtpmap:96 opus/48000/2\r\na=rtpmap:97 PCMA/8000\r\na=sendrecv\r\n"
).encode()


def answered(offer: bytes, place: Place) -> str:
    audio = playable_audio(offer, {"pcma", "pcmu"})
    assert audio is not None
    return sound_answer(offer, audio, place, 7).decode()


@pytest.mark.parametrize(("rtcp", "said"), [(10_001, ""), (10_003, "a=rtcp:10003\r\n"), (None, "a=rtcp-mux\r\n")])
def test_the_audio_has_one_codec_with_its_name_and_other_media_are_rejected(rtcp, said):
    assert answered(OFFER, Place("198.51.100.9", 10_000, rtcp)) == (
        "v=0\r\no=- 7 1 IN IP4 198.51.100.9\r\ns=-\r\nc=IN IP4 198.51.100.9\r\nt=0 0\r\n"
        "m=video 0 RTP/AVP 31\r\nm=audio 10000 RTP/AVP 97\r\na=rtpmap:97 PCMA/8000\r\na=sendrecv\r\n" + said
    )


def test_who_only_listens_is_only_sent_to():
    offer = OFFER.replace(b"a=sendrecv", b"a=recvonly")
    assert answered(offer, Place("2001:db8::9", 10_000, 10_001)).endswith("a=rtpmap:97 PCMA/8000\r\na=sendonly\r\n")
    assert "c=IN IP6 2001:db8::9\r\n" in answered(offer, Place("2001:db8::9", 10_000, 10_001))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"RTP/AVP 96 97 0", b"RTP/AVP 96"),
        (b"m=audio 4002", b"m=audio 0"),
        (b"RTP/AVP 96 97 0", b"RTP/SAVP 96 97 0"),
        (b"a=sendrecv", b"a=sendonly"),
        (b"97 0\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:97 PCMA/8000", b"97\r\na=rtpmap:97 PCMA/16000"),
        (HEAD.encode(), b"v=0\r\n"),
    ],
)
def test_none_is_sent_where_codec_port_transport_hold_clock_or_address_forbids_it(before, after):
    assert playable_audio(OFFER.replace(before, after), {"pcma", "pcmu"}) is None
