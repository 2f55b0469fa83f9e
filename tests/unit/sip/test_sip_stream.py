"""Streams cut into messages (RFC 3261 18.3), whatever pieces they come in, and closed where that cannot be."""

import time
from itertools import pairwise

import pytest
from doubles.virtual.probe import SDP, request
from hypothesis import given, strategies as st

from vosd.sip.settings import Limits
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.parse import parse_message
from vosd.sip.wire.stream import MESSAGES_AT_ONCE, PING, PONG, StreamFramer

INVITE = request(body=SDP)
OPTIONS = request("OPTIONS", branch="z9hG4bK-2")
RINGING = b"SIP/2.0 180 Ringing\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK-3\r\nl:0\r\n\r\n"
SMALL = Limits(max_message_bytes=1_000, max_headers=20, max_line_chars=200)


def framer(limits: Limits = Limits()) -> StreamFramer:  # noqa: B008 - frozen
    return StreamFramer(limits)


def with_length(line: str) -> bytes:
    return f"OPTIONS sip:192.0.2.1 SIP/2.0\r\n{line}".encode() + b"\r\n\r\n"


def test_one_piece_may_bring_several_messages():
    assert framer().feed(INVITE + OPTIONS + RINGING) == [INVITE, OPTIONS, RINGING]


def test_a_piece_with_very_many_messages_is_cut_by_several_calls():
    stream = framer()
    assert stream.feed(OPTIONS * (MESSAGES_AT_ONCE + 1)) == [OPTIONS] * MESSAGES_AT_ONCE
    assert stream.has_more
    assert stream.feed(b"") == [OPTIONS]
    assert not stream.has_more
    assert stream.feed(OPTIONS * MESSAGES_AT_ONCE) == [OPTIONS] * MESSAGES_AT_ONCE
    assert not stream.has_more


@given(st.lists(st.integers(0, 3 * len(INVITE)), max_size=40))
def test_the_pieces_in_which_messages_come_do_not_matter(cuts):
    whole = PONG + INVITE + OPTIONS + PONG + PONG + RINGING + INVITE
    stream, got, pings = framer(), [], 0
    for start, end in pairwise(sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})):
        got += stream.feed(whole[start:end])
        pings += stream.take_pings()
    assert (got, pings, stream.lost) == ([INVITE, OPTIONS, RINGING, INVITE], 1, None)


def test_a_message_cut_into_single_bytes_takes_no_more_than_linear_time():
    body = b"x" * 60_000
    message = f"MESSAGE sip:192.0.2.1 SIP/2.0\r\nSubject: {'y' * 4_000}\r\nl: {len(body)}\r\n\r\n".encode() + body

    def seconds(data: bytes) -> float:
        stream, began = framer(), time.process_time()
        for at in range(len(data)):
            stream.feed(data[at : at + 1])
        return time.process_time() - began

    eighth = whole = float("inf")
    for _ in range(20):  # side by side, the best of several rounds each: other work on the machine must not count
        eighth = min(eighth, seconds(message[: len(message) // 8]))
        whole = min(whole, seconds(message))
        if whole < 16 * eighth:
            break
    assert whole < 16 * eighth


@pytest.mark.parametrize(
    "line",
    ["Content-Length: 3", "content-length:3", "l : 3", "CONTENT-LENGTH \t:\r\n 3 ", "X: y\nL: 3", "Via: x\r\nl:003"],
)
def test_content_length_is_found_however_it_is_written(line):
    message = with_length(line) + b"abc"
    assert framer().feed(message + OPTIONS) == [message, OPTIONS]


def test_a_content_length_in_the_body_or_inside_another_header_is_none():
    message = with_length("Subject: Content-Length: 99\r\nX-Content-Length: 98\r\nl: 19") + b"Content-Length: 97\n"
    assert framer().feed(message + OPTIONS) == [message, OPTIONS]


def test_without_content_length_a_message_without_body_ends_with_its_head():
    message = with_length("Max-Forwards: 70")
    assert framer().feed(message + OPTIONS) == [message, OPTIONS]


def test_a_body_without_content_length_is_no_message_and_ends_the_stream():
    stream = framer()
    assert stream.feed(OPTIONS + with_length("c: application/sdp") + b"v=0\r\n") == [OPTIONS]
    assert stream.lost == "a body without Content-Length"


@pytest.mark.parametrize("value", ["", "-1", "3x", "0x3", "9999999999", "٣", "1 2", "3\r\nl: 3"])
def test_an_unreadable_content_length_ends_the_stream_and_its_request_gets_400(value):
    stream = framer()
    head = request("OPTIONS").replace(b"Content-Length: 0", f"Content-Length: {value}".encode())
    assert stream.feed(head + b"abc" + OPTIONS) == [head]
    assert stream.lost == "Content-Length cannot be read"
    assert stream.feed(OPTIONS) == []
    with pytest.raises(ParseError) as refused:
        parse_message(head)
    assert refused.value.status == 400


def test_a_message_with_a_too_large_content_length_is_refused_unread():
    stream = framer(SMALL)
    head = request("OPTIONS").replace(b"Content-Length: 0", b"Content-Length: 999999999")
    assert stream.feed(head) == [head]
    assert stream.lost == "message too large"


def test_a_head_without_end_is_refused_at_the_limit_with_513():
    stream, got = framer(SMALL), []
    line = b"X-Filler: " + b"x" * 80 + b"\r\n"
    data = OPTIONS.replace(b"\r\n\r\n", b"\r\n") + line * 100
    for at in range(0, len(data), 64):
        got += stream.feed(data[at : at + 64])
    assert stream.lost == "message too large"
    assert SMALL.max_message_bytes < len(got[0]) <= SMALL.max_message_bytes + 64
    with pytest.raises(ParseError) as refused:
        parse_message(got[0], SMALL)
    assert refused.value.status == 513


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x00",
        b"  \r\n",
        b"\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"hello world\r\n\r\n",
        b"A" * 201,
    ],
)
def test_what_is_no_sip_ends_the_stream_at_once(junk):
    stream = framer(SMALL)
    assert stream.feed(junk) == []
    assert stream.lost in {"no SIP", "start line too long"}


def test_another_version_of_sip_is_a_message_all_the_same():
    """RFC 4475 3.1.2.16: it deserves a 505."""
    message = request("OPTIONS").replace(b"SIP/2.0\r\n", b"SIP/7.0\r\n", 1)
    assert framer().feed(message) == [message]


def test_two_blank_lines_are_a_keep_alive():
    """RFC 5626 4.4.1."""
    stream = framer()
    assert stream.feed(PONG) == []
    assert stream.take_pings() == 0
    assert stream.feed(PONG) == []
    assert stream.take_pings() == 1
    assert stream.take_pings() == 0
    assert not stream.is_amid_message


@pytest.mark.parametrize(("received", "idle"), [
    (PING * 1_000, 1_000),
    (PONG * 2_000, 1_000),
    ((OPTIONS + PING) * 5, 0),
    (PING * 10 + OPTIONS + PING * 10, 19),
    (OPTIONS, 0),
])  # fmt: skip
def test_keep_alives_beyond_one_for_each_message_are_counted(received, idle):
    stream = framer()
    stream.feed(PING)
    assert stream.idle_frames == 1
    stream.feed(received)
    assert stream.idle_frames == idle
    stream.feed(b"")
    assert stream.idle_frames == 0


def test_a_keep_alive_that_comes_later_than_its_message_is_not_counted():
    stream = framer()
    for received, idle in ((OPTIONS, 0), (PING, 0), (PING, 1), (OPTIONS * 3, 0), (PING * 4, 1)):
        stream.feed(received)
        assert stream.idle_frames == idle


def test_a_blank_line_after_a_message_is_half_of_no_keep_alive():
    """RFC 3261 7.5."""
    stream = framer()
    assert stream.feed(PONG + OPTIONS + PONG + OPTIONS + PONG) == [OPTIONS] * 2
    assert stream.take_pings() == 0


def test_a_begun_message_is_known_to_be_unfinished():
    stream = framer()
    stream.feed(INVITE[:-1])
    assert stream.is_amid_message
    assert stream.feed(INVITE[-1:]) == [INVITE]
    assert not stream.is_amid_message


@given(
    st.lists(st.one_of(st.binary(max_size=300), st.sampled_from([INVITE, OPTIONS, INVITE[:90], b"\r\n"])), max_size=30)
)
def test_no_stream_raises_or_is_remembered_beyond_the_limit(pieces):
    stream = framer(SMALL)
    for piece in pieces:
        stream.feed(piece)
        assert len(stream._pending) <= SMALL.max_message_bytes


def test_a_single_blank_line_answers_a_keep_alive_of_ours_and_a_double_one_is_the_peers():
    """RFC 5626 4.4.1: either side may send keep-alives, and both cross."""
    stream = framer()
    for piece, pings, is_pong in [(PONG, 0, True), (PING + PONG, 1, True), (PING, 1, False), (PONG, 0, True)]:
        stream.ping()
        assert stream.feed(piece) == []
        assert (stream.take_pings(), stream.take_pong()) == (pings, is_pong), piece
    assert (stream.feed(PONG), stream.take_pings(), stream.take_pong()) == ([], 0, False)
    assert (stream.feed(PONG), stream.take_pings(), stream.take_pong()) == ([], 1, False)


def test_a_blank_line_that_ends_a_message_or_comes_late_answers_no_keep_alive():
    stream = framer()
    stream.ping()
    assert stream.feed(OPTIONS + PONG) == [OPTIONS]
    assert (stream.take_pings(), stream.take_pong()) == (0, False)
    stream.feed(PONG)
    assert (stream.take_pings(), stream.take_pong()) == (1, False), "both are a keep-alive in two pieces"
    stream.ping()
    stream.feed(OPTIONS)
    stream.feed(PONG)
    assert stream.take_pong(), "it came by itself"
    stream.ping()
    stream.expect_no_pong()
    stream.feed(PONG)
    assert (stream.take_pings(), stream.take_pong()) == (0, False)
    stream.feed(PONG)
    assert (stream.take_pings(), stream.take_pong()) == (1, False)


@given(st.lists(st.sampled_from([PING, PONG, INVITE]), max_size=20), st.lists(st.integers(0, 400), max_size=20))
def test_keep_alives_of_both_sides_change_no_message(parts, cuts):
    whole, stream, got = b"".join(parts), framer(), []
    for start, end in pairwise(sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})):
        stream.ping()
        got += stream.feed(whole[start:end])
    assert got == [part for part in parts if part is INVITE]
