"""Private addresses in a session description become the one where its author is seen; nothing else changes."""

import pytest
from hypothesis import given, strategies as st

from vosd.sdp.rewrite import Hidden, reachable_at

SEEN = "203.0.113.9"
HOME = (
    b"v=0\r\no=alice 1 7 IN IP4 192.168.1.100\r\ns=-\r\nc=IN IP4 192.168.1.100\r\nt=0 0\r\n"
    b"m=audio 4000 RTP/AVP 0\r\na=rtcp:4001 IN IP4 192.168.1.100\r\n"
    b"m=video 5000 RTP/AVP 34\r\nc=IN IP4 192.168.1.101\r\n"
)


def test_every_private_address_becomes_the_one_that_is_seen():
    """Origin, session and media level, RTCP: whatever the author said of its own network."""
    assert reachable_at(HOME, SEEN) == HOME.replace(b"192.168.1.100", b"203.0.113.9").replace(
        b"192.168.1.101", b"203.0.113.9"
    )


@pytest.mark.parametrize(
    "line",
    [
        b"c=IN IP4 198.51.100.20",  # a relay, or what STUN has found
        b"c=IN IP4 0.0.0.0",  # hold as RFC 2543 has it
        b"c=IN IP6 ::",
        b"c=IN IP4 media.example.com",
        b"c=IN IP4 224.2.1.1/127/3",
        b"c=IN IP6 fd00::7",  # an address of the other family says nothing of this one
        b"a=candidate:1 1 UDP 2130706431 10.0.1.1 8998 typ host",
        b"i=c=IN IP4 10.0.0.1",
        b"a=x c=IN IP4 10.0.0.1",
        b"c=IN IP4 10.0.0.1x",
        b"c=IN IP4 10.0.0",
    ],
)
def test_what_can_be_reached_or_is_no_address_stays(line):
    session = b"v=0\r\ns=-\r\n" + line + b"\r\nt=0 0\r\n"
    assert reachable_at(session, SEEN) == session


@pytest.mark.parametrize("private", [b"fd00::7", b"fe80::7", b"::1"])
def test_ipv6_is_replaced_by_ipv6(private):
    session = b"v=0\no=- 1 1 IN IP6 " + private + b"\ns=-\nc=IN IP6 " + private
    assert reachable_at(session, "2001:db8::9") == session.replace(private, b"2001:db8::9")
    assert reachable_at(session, SEEN) == session


def test_ice_finds_its_way_itself():
    """RFC 8839 section 4.2.5: a default address that is no candidate would end it."""
    session = HOME + b"a=candidate:1 1 UDP 2130706431 192.168.1.101 5000 typ host\r\n"
    assert reachable_at(session, SEEN) == session


def test_line_ends_and_a_missing_last_one_stay():
    assert reachable_at(b"c=IN IP4 10.0.0.1\nm=audio 1 RTP/AVP 0\nc=IN IP4 10.0.0.2", SEEN) == (
        b"c=IN IP4 203.0.113.9\nm=audio 1 RTP/AVP 0\nc=IN IP4 203.0.113.9"
    )


@given(st.lists(st.sampled_from([*HOME.splitlines(keepends=True), b"a=sendonly\r\n", b"junk \xff\r\n"])))
def test_doing_it_twice_does_no_more_and_lines_without_addresses_are_untouched(lines):
    session = b"".join(lines)
    once = reachable_at(session, SEEN)
    assert reachable_at(once, SEEN) == once
    for before, after in zip(session.splitlines(), once.splitlines(), strict=True):
        assert after == before or b"IN IP4 192.168." in before


def test_a_description_from_behind_nat_keeps_the_address_of_its_author():
    """The same text from another address is a different description: the media are there now."""
    said = Hidden(HOME, SEEN)
    assert said == Hidden(HOME, SEEN)
    assert said != Hidden(HOME, "203.0.113.10")
    assert said != HOME
    assert said != HOME
    assert said.changed(b"v=0") == Hidden(b"v=0", SEEN)
    assert len({said, Hidden(HOME, SEEN)}) == 1


def test_a_peer_behind_the_same_nat_gets_the_private_addresses():
    told = Hidden(HOME, SEEN).for_one_at(SEEN)
    assert told == HOME
    assert type(told) is bytes
    assert Hidden(HOME, SEEN).for_one_at("198.51.100.1") == reachable_at(HOME, SEEN)
