"""A description without hold, whichever way it was said (RFC 3264 sections 5.1 and 8.4)."""

import pytest

from vosd.sdp.direction import active, has_zero_address, inactive, may_answer

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


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("", ""),
        ("sendrecv", ""),
        ("recvonly", ""),
        ("inactive", ""),
        ("sendonly", "recvonly"),
        ("inactive", "recvonly"),
        ("recvonly", "sendonly"),
        ("inactive", "sendonly"),
        ("inactive", "inactive"),
    ],
)
@pytest.mark.parametrize("above", [False, True], ids=["of the medium", "of all media"])
def test_directions_of_an_answer_fit_those_of_the_offer(said, wanted, above):
    answer, offer = directed(said, above=above), directed(wanted, above=above)
    assert may_answer(answer, offer)
    if said in {"", "sendrecv"}:
        for held in ("sendonly", "recvonly", "inactive"):
            assert not may_answer(answer, directed(held, above=above))


def directed(way: str, *, above: bool = False) -> bytes:
    line = b"a=" + way.encode() + b"\r\n" if way else b""
    return HEAD + at(b"192.0.2.7") + b"t=0 0\r\n" + (line + AUDIO if above else AUDIO + line)


@pytest.mark.parametrize("way", ["sendonly", "recvonly"])
def test_neither_side_answers_as_it_was_offered(way):
    assert not may_answer(directed(way), directed(way))
    assert not may_answer(directed(way), directed("inactive"))


def test_a_medium_that_is_not_used_fits_any_other_one():
    unused = VIDEO.replace(b"4002", b"0") + b"a=sendonly\r\n"
    held = VIDEO + b"a=sendonly\r\n"
    assert may_answer(TALKING + unused, TALKING + held)
    assert may_answer(TALKING + held, TALKING + unused)
    assert not may_answer(TALKING + held, TALKING + held)


def test_an_answer_has_chosen_one_key_for_each_medium():
    key = b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc\r\n"
    assert may_answer(TALKING + key + VIDEO + key, TALKING)
    assert not may_answer(TALKING + VIDEO + key + key.replace(b"1", b"2", 1), TALKING)


def test_an_answer_has_chosen_its_role_in_a_handshake():
    assert may_answer(TALKING + b"a=setup:active\r\n", TALKING)
    assert not may_answer(TALKING + b"a=setup:actpass\r\n", TALKING + b"a=setup:active\r\n")
