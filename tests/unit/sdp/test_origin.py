"""A description that follows another one in a dialog: the same origin, and a later version if it differs."""

import pytest

from vosd.sdp.direction import inactive
from vosd.sdp.origin import continued

MEDIA = b"s=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


def session(version: int, media: bytes = MEDIA, origin: bytes = b"- 1", host: bytes = b"192.0.2.7") -> bytes:
    return b"v=0\r\no=%b %d IN IP4 %b\r\n%b" % (origin, version, host, media)


@pytest.mark.parametrize(
    ("now", "follows"),
    [
        (session(5), session(5)),
        (session(6), session(6)),
        (session(9, inactive(MEDIA)), session(9, inactive(MEDIA))),
        (session(5, inactive(MEDIA)), session(6, inactive(MEDIA))),
        (session(4, inactive(MEDIA)), session(6, inactive(MEDIA))),
        (session(4), session(5)),
        (session(9, origin=b"other 1"), session(5)),
        (session(9, inactive(MEDIA), origin=b"- 2"), session(6, inactive(MEDIA))),
        (session(9, host=b"192.0.2.8"), session(5)),
        (b"v=0\r\n" + MEDIA, b"v=0\r\n" + MEDIA),
    ],
    ids=[
        "repeated", "the next version of the same", "changed by its author", "changed in the version before",
        "changed in an older version", "an older version", "of another user", "of another session, changed",
        "of another host", "without origin",
    ],
)  # fmt: skip
def test_a_description_follows_another_one(now, follows):
    assert continued(now, session(5)) == follows


def test_a_repeated_description_is_unchanged_however_its_version_is_written():
    written = session(5).replace(b"1 5 IN", b"1 005 IN")
    assert continued(written, written) == written


def test_anything_may_follow_a_description_without_origin():
    assert continued(session(1), MEDIA) == session(1)
