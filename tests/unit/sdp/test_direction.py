"""A description without hold, whichever way it was said (RFC 3264 sections 5.1 and 8.4)."""

import pytest

from vosd.sdp.direction import active, has_zero_address, inactive

HEAD = b"v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\n"
AUDIO = b"m=audio 4000 RTP/AVP 0\r\n"
VIDEO = b"m=video 4002 RTP/AVP 96\r\n"


def at(address: bytes, family: bytes = b"4") -> bytes:
    return b"c=IN IP%b %b\r\n" % (family, address)


TALKING = HEAD + at(b"192.0.2.7") + b"t=0 0\r\n" + AUDIO
HELD = HEAD + at(b"0.0.0.0") + b"t=0 0\r\n" + AUDIO


@pytest.mark.parametrize("way", [b"sendonly", b"recvonly", b"inactive"])
@pytest.mark.parametrize("end", [b"\r\n", b"\n", b" \r\n", b"\t\r\n", b"\r", b""])
def test_hold_by_an_attribute_is_taken_off(way, end):
    assert active(TALKING + b"a=" + way + end) == TALKING
    assert inactive(TALKING + b"a=" + way + end) == TALKING + b"a=inactive\r\n"
    assert active(TALKING + b"a=sendrecv\r\n") == TALKING + b"a=sendrecv\r\n"


def test_hold_by_the_zero_address_goes_where_its_author_was_before():
    assert has_zero_address(HELD)
    assert active(HELD, TALKING) == TALKING
    assert active(HELD + b"a=inactive\r\n", TALKING) == TALKING


def test_where_its_author_was_is_not_made_up():
    assert active(HELD) == HELD
    assert active(HELD, HELD) == HELD


def test_each_medium_goes_where_it_was():
    before = HEAD + b"t=0 0\r\n" + AUDIO + at(b"192.0.2.8") + VIDEO + at(b"192.0.2.9")
    held = HEAD + b"t=0 0\r\n" + AUDIO + at(b"0.0.0.0") + VIDEO + at(b"192.0.2.10")
    assert active(held, before) == HEAD + b"t=0 0\r\n" + AUDIO + at(b"192.0.2.8") + VIDEO + at(b"192.0.2.10")
    above = HEAD + at(b"0.0.0.0") + b"t=0 0\r\n" + AUDIO + VIDEO
    assert active(above, before) == HEAD + at(b"192.0.2.8") + b"t=0 0\r\n" + AUDIO + VIDEO


def test_a_medium_that_is_new_goes_where_the_others_are():
    held = HELD + VIDEO + at(b"0.0.0.0")
    assert active(held, TALKING) == TALKING + VIDEO + at(b"192.0.2.7")


def test_the_zero_address_of_ipv6_is_one():
    held = HELD.replace(at(b"0.0.0.0"), at(b"::", b"6"))
    before = TALKING.replace(at(b"192.0.2.7"), at(b"2001:db8::7", b"6"))
    assert active(held, before) == before


@pytest.mark.parametrize("session", [TALKING, b"", b"no SDP", TALKING.replace(b"192.0.2.7", b"10.0.0.0"), b"a= ::\r\n"])
def test_anything_else_goes_somewhere(session):
    assert not has_zero_address(session)
    assert active(session, TALKING) == session


def test_a_last_line_that_is_cut_within_its_end_is_mended_where_a_hold_is_added():
    assert inactive(TALKING[:-1]) == inactive(TALKING)
