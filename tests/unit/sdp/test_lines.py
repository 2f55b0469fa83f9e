"""Media that a description lacks, or has too many of, beside the one before (RFC 3264 section 8)."""

import pytest

from vosd.sdp.lines import fitted, without_foreign

ABOVE = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
BARE = ABOVE.replace(b"c=IN IP4 192.0.2.1\r\n", b"")
AUDIO = b"m=audio 4000 RTP/AVP 0\r\n"
OWN = AUDIO + b"c=IN IP4 192.0.2.3\r\n"
VIDEO = b"m=video 4002/2 RTP/AVP 96\r\nc=IN IP4 192.0.2.2\r\na=rtpmap:96 H264/90000\r\na=mid:v\r\na=sendonly\r\n"
SECURE = b"m=audio 4006 RTP/SAVP 0\r\n"
REJECTED = b"m=image 0 udptl t38\r\n"


@pytest.mark.parametrize(
    ("session", "before", "expected"),
    [
        (ABOVE + AUDIO, ABOVE + AUDIO, ABOVE + AUDIO),
        (ABOVE + AUDIO, ABOVE + VIDEO, ABOVE + AUDIO),  # a medium may be replaced by another kind
        (ABOVE + AUDIO + VIDEO, ABOVE + AUDIO, ABOVE + AUDIO + VIDEO),
        (ABOVE + AUDIO + REJECTED, ABOVE + AUDIO, ABOVE + AUDIO),
        (ABOVE + AUDIO + REJECTED.replace(b" 0 ", b"\t00 "), ABOVE + AUDIO, ABOVE + AUDIO),
        (ABOVE + AUDIO, ABOVE + AUDIO + b"m=video\t4002 RTP/AVP 96\r\n", ABOVE + AUDIO + b"m=video 0 RTP/AVP 96\r\n"),
        (ABOVE + REJECTED + AUDIO, ABOVE + AUDIO, ABOVE + REJECTED + AUDIO),
        (
            ABOVE + AUDIO,
            BARE + OWN + VIDEO,
            ABOVE + AUDIO + b"m=video 0 RTP/AVP 96\r\nc=IN IP4 192.0.2.2\r\na=mid:v\r\n",
        ),
        (ABOVE + AUDIO, ABOVE + REJECTED + AUDIO, ABOVE + REJECTED + AUDIO),
        (ABOVE + AUDIO, ABOVE + REJECTED + REJECTED, ABOVE + AUDIO + REJECTED),
        (ABOVE + SECURE, ABOVE + AUDIO + SECURE, ABOVE + AUDIO.replace(b" 4000 ", b" 0 ") + SECURE),
        (ABOVE + SECURE, ABOVE + AUDIO + AUDIO, ABOVE + SECURE + AUDIO.replace(b" 4000 ", b" 0 ")),
        (ABOVE + AUDIO.rstrip(), ABOVE + AUDIO + REJECTED, ABOVE + AUDIO + REJECTED),
        (ABOVE + AUDIO[:-1], ABOVE + AUDIO + REJECTED, ABOVE + AUDIO + REJECTED),
        (ABOVE, ABOVE + AUDIO, ABOVE + AUDIO.replace(b" 4000 ", b" 0 ")),
        (b"v=0\r\no=- 1 9", ABOVE + AUDIO, b"v=0\r\no=- 1 9"),
        (BARE + OWN, ABOVE + AUDIO + REJECTED, BARE + OWN + REJECTED + b"c=IN IP4 0.0.0.0\r\n"),
    ],
    ids=[
        "as many",
        "another kind",
        "more",
        "rejected more",
        "rejected oddly",
        "lacking oddly",
        "rejected first",
        "fewer",
        "fewer of another place",
        "fewer of another kind",
        "fewer of the other transport",
        "fewer of another transport",
        "no end",
        "half an end",
        "no medium",
        "cut off",
        "no address",
    ],
)
def test_a_description_has_the_media_of_the_one_before(session, before, expected):
    assert fitted(session, before) == expected


@pytest.mark.parametrize(
    ("session", "known", "expected"),
    [
        (ABOVE + REJECTED + AUDIO, ABOVE + AUDIO, ABOVE + AUDIO),
        (ABOVE + REJECTED + AUDIO + REJECTED, ABOVE + AUDIO, ABOVE + AUDIO),
        (ABOVE + AUDIO.replace(b" 4000 ", b" 0 ") + SECURE, ABOVE + SECURE, ABOVE + SECURE),
        (ABOVE + AUDIO + REJECTED, ABOVE + AUDIO, ABOVE + AUDIO + REJECTED),
        (ABOVE + VIDEO + AUDIO, ABOVE + AUDIO, ABOVE + VIDEO + AUDIO),
        (ABOVE + REJECTED + AUDIO + VIDEO, ABOVE + AUDIO, ABOVE + AUDIO + VIDEO),
        (ABOVE + REJECTED + REJECTED, ABOVE + AUDIO, ABOVE + REJECTED + REJECTED),
    ],
    ids=["before", "on both sides", "of another transport", "behind", "in use", "another in use", "of no kind known"],
)
def test_a_side_is_not_sent_the_rejected_media_of_another_dialog_before_its_own(session, known, expected):
    assert without_foreign(session, known) == expected
