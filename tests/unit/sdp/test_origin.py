"""Origins of successive descriptions of one dialog (RFC 3264 section 8)."""

import pytest

from vosd.sdp.origin import continued, succeeding

REST = b"s=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


def of(version: bytes, rest: bytes = REST) -> bytes:
    return b"v=0\r\no=- 1 " + version + b" IN IP4 192.0.2.7\r\n" + rest


@pytest.mark.parametrize("version", [b"7", b"007"])
@pytest.mark.parametrize("change", [continued, succeeding])
def test_a_description_that_says_the_same_again_stays_and_another_one_gets_the_next_version(change, version):
    said = of(version)
    assert change(said, said) == said
    held = REST + b"a=inactive\r\n"
    assert change(of(version, held), said) == of(b"8", held)
