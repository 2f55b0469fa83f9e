"""Which codec a session description settles on."""

import pytest

from vosd.sdp.codec import first_audio_codec

HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"


def codec(media: str) -> str | None:
    return first_audio_codec((HEAD + media).encode("utf-8", "surrogateescape"))


@pytest.mark.parametrize(
    ("media", "name"),
    [
        ("m=audio 4000 RTP/AVP 0\r\n", "PCMU"),
        ("m=audio 4000 RTP/AVP 8 0\r\n", "PCMA"),
        ("m=Audio\t4000  rtp/avp 8 0\r\n", "PCMA"),
        ("m=audio 4000 RTP/AVP 18\r\na=rtpmap:18 G729/8000\r\n", "G729"),
        ("m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\n", "opus"),
        ("m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 MuLaw/8000\r\n", "MuLaw"),
        ("m=audio 4000 RTP/AVP 101 9\r\na=rtpmap:101 Telephone-Event/8000\r\n", "G722"),
        ("m=audio 4000 RTP/AVP 77 3\r\n", "GSM"),
        ("m=video 4002 RTP/AVP 31\r\na=rtpmap:31 H261/90000\r\nm=audio 4000 RTP/AVP 4\r\n", "G723"),
        ("m=audio 4000 RTP/AVP 96\r\nm=video 4002 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n", None),
        ("m=audio 4000 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\n", None),
        ("m=image 4000 udptl t38\r\n", None),
        ("m=audio 4000\r\n", None),
        ("i=m=audio 1 RTP/AVP 8\r\nm=audio 4000 RTP/AVP 0\r\n", "PCMU"),
        ("m=audio 0 RTP/AVP 0\r\nm=audio 4000 RTP/AVP 8\r\n", "PCMA"),
        ("m=audio  0\tRTP/AVP 0\r\n", None),
        ("m=audio 4000 RTP/AVP 8\r\na=rtpmap:8 pcma/8000\r\n", "PCMA"),
        ("m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 pcmu/16000\r\n", "PCMU"),
        ("", None),
    ],
)
def test_the_first_audio_payload_but_telephone_events_is_named(media, name):
    assert codec(media) == name


def test_lines_may_end_in_bare_line_feeds():
    assert first_audio_codec(b"v=0\nm=audio 4000 RTP/AVP 96\na=rtpmap:96 iLBC/8000\n") == "iLBC"


def test_a_name_is_cut_to_what_its_column_holds():
    assert codec(f"m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 {'x' * 500}/8000\r\n") == "x" * 32


@pytest.mark.parametrize("body", [b"", b"\0", b"\xff" * 20, b"m=audio ", b"\r\nm=audio ", b"\nm=audio \n", b"<xml/>"])
def test_what_is_no_session_description_has_no_codec(body):
    assert first_audio_codec(body) is None


def test_a_name_that_is_not_utf8_can_still_be_written_down():
    name = codec("m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 \udcff/8000\r\n")
    assert name == "\ufffd"
