"""Origins of successive descriptions of one dialog (RFC 3264 section 8)."""

import pytest

from vosd.sdp.origin import continued, from_address, raised, succeeding

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


@pytest.mark.parametrize("blanks", [b" ", b"\t "])
def test_blanks_behind_the_origin_hide_neither_its_version_nor_its_address(blanks):
    said = of(b"7").replace(b"192.0.2.7\r\n", b"192.0.2.7" + blanks + b"\r\n", 1)
    held = said + b"a=inactive\r\n"
    next_one = held.replace(b"o=- 1 7 ", b"o=- 1 8 ")
    assert continued(held, said) == succeeding(held, said) == raised(held) == next_one
    moved = from_address(said, "203.0.113.5", keeps_user=True)
    assert moved == said.replace(b"192.0.2.7" + blanks, b"203.0.113.5" + blanks, 1)
