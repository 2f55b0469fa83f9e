"""Session descriptions without what their author writes about itself (RFC 3323 sections 4.1 and 5.3)."""

import pytest

from vosd.sdp.anonymous import anonymous
from vosd.sdp.origin import alike
from vosd.sdp.rewrite import Authored, Hidden

NAMED = (
    "v=0\r\no=anne.smith 2890844526 7 IN IP4 192.0.2.10\r\ns=Anne's phone\r\ni=Desk of Anne\r\n"
    "u=http://anne.example/\r\ne=anne@example.org (Anne)\r\np=+44 20 7946 0000\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
    "m=audio 20000 RTP/AVP 0\r\ni=Anne's microphone\r\na=rtpmap:0 PCMU/8000\r\na=label:s=1\r\n"
)
BARE = (
    "v=0\r\no=- 2890844526 7 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
    "m=audio 20000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=label:s=1\r\n"
)


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_names_go_and_all_else_stays_to_the_byte(end):
    named, bare = (each.replace("\r\n", end).encode() for each in (NAMED, BARE))
    assert anonymous(named) == bare
    assert anonymous(bare) == bare


@pytest.mark.parametrize("last", ["i=Anne", "p=+44 20 7946 0000", "s=", "s=Anne"])
def test_the_last_line_needs_no_end(last):
    assert anonymous(f"v=0\r\n{last}".encode()) == (b"v=0\r\ns=-" if last[0] == "s" else b"v=0\r\n")


@pytest.mark.parametrize("text", [b"", b"this is not SDP\r\ns=Anne\r\n", b"<pidf>\ne=anne</pidf>"])
def test_what_is_no_session_description_is_not_changed(text):
    assert anonymous(text) == text


def test_bytes_that_are_no_text_and_a_line_that_is_no_origin_are_harmless():
    assert anonymous(b"v=0\r\no=anne\r\ns=\xff\xfe\r\ni=\xff\r\nt=0 0\r\n") == b"v=0\r\no=anne\r\ns=-\r\nt=0 0\r\n"


@pytest.mark.parametrize("authored", [Authored(NAMED.encode(), 7), Hidden(NAMED.encode(), "192.0.2.7", 7)])
def test_the_author_stays_known(authored):
    assert anonymous(authored) == authored.changed(BARE.encode())
    assert (type(anonymous(authored)), anonymous(authored).author) == (type(authored), 7)


@pytest.mark.parametrize(("other", "is_alike"), [(BARE, True), (BARE.replace("20000", "20002"), False)])
def test_names_alone_make_no_other_description(other, is_alike):
    assert alike(NAMED.encode(), other.encode()) is is_alike
