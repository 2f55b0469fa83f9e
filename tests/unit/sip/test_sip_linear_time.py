"""A byte of any message costs at most five times what a byte of a normal one costs (no quadratic reader hides).

Processor time is measured side by side, the best of several rounds each, so that a busy machine judges nothing.
"""

from collections.abc import Callable
from contextlib import suppress
from time import process_time
from typing import Final

import pytest
from doubles.virtual.probe import CUSTOMER, SDP, Probe, request

from vosd.base.nat import Nat
from vosd.sip.flows import hop_of
from vosd.sip.nat import is_behind_nat
from vosd.sip.settings import Limits
from vosd.sip.wire.classify import classify
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Message, Request
from vosd.sip.wire.parse import parse_message

RATIO: Final = 5
ROUNDS: Final = 60
LINE: Final = Limits().max_line_chars - 100
DATAGRAM: Final = Limits().max_message_bytes - 2_000

NORMAL: Final = request(
    body=SDP + b"a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\n",
    headers='User-Agent: PBX/1.10 (x)\r\nAllow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, REFER, NOTIFY\r\n'
    "Supported: timer, path, replaces\r\nAllow-Events: talk, hold, conference, refer\r\n"
    'Content-Disposition: session\r\nP-Asserted-Identity: "4930" <sip:4930@192.0.2.10>\r\n'
    "Contact: <sip:4930@192.0.2.10:5060>\r\n",
)  # fmt: skip

PIECES: Final = (
    " ", "\t", ",", ";", '"', "\\", "<", ">", "[", "(", ")", "@", "%", ":", "::", "?", "=", ".", "-", "a", "1", "*",
    ";a=[", ';a="', '\\"', "; ", ";rport", ";rport ", ", <", '",', "%41", "a:", ";a", " \t", ";tag", ";tag ",
    ";branch", ";received", "1.", "a.", "a-", "\u00e9", "\udcff", "\x00", "a,", "a/a,", "a=b,", "<a>", "<sip:a@b>,",
    "sip:a@b,", "SIP/2.0/UDP h,", '199 a "b",', "(a)", "[::1]", "&a=b", ";a=b", ";q=0.1,", ";a;b;c;d;e",
)  # fmt: skip
PLACES: Final = (
    "via", "from_", "to", "cseq", "call_id", "uri", "Contact", "Record-Route", "P-Asserted-Identity", "Require",
    "Accept", "Authorization", "Call-Info", "Date", "Privacy", "Reason", "Refer-To", "Retry-After", "Subject",
    "Timestamp", "User-Agent", "Warning",
)  # fmt: skip
BEGINNINGS: Final = {
    "via": "SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-1", "from_": "<sip:a@b>;tag=1", "to": "<sip:a@b>",
    "cseq": "1 INVITE", "call_id": "x", "uri": "sip:4420",
}  # fmt: skip


def message_with(place: str, text: str) -> bytes:
    """Return an INVITE that has ``text`` in one place, after a beginning that is fine there."""
    if place in BEGINNINGS:
        return request(**{place: BEGINNINGS[place] + text})
    return request(headers=f"{place}: <sip:a@b>{text}\r\n")


def touch(data: bytes) -> None:
    """Read a message, and everything in it."""
    message: Message | None = None
    try:
        message = parse_message(data)
    except ParseError as error:
        message = error.request
    if message is None:
        return
    for name in ("via", "cseq", "from_", "to", "contact", "from_tag", "to_tag"):
        with suppress(ParseError):
            getattr(message, name)
    if isinstance(message, Request):
        with suppress(ParseError):
            assert message.target
    hop_of.cache_clear()  # each message of an attacker is a new one
    is_behind_nat(Nat.AUTO, message, CUSTOMER)
    hop_of(message.header("contact") or "")
    for name, _ in message.fields:
        message.header(name)
        message.values(name)
        message.headers(name)
    message.problems()


def receive(data: bytes) -> None:
    """Let an endpoint that knows nothing yet take a message."""
    probe = Probe()
    probe.endpoint.receive_datagram(data, CUSTOMER, probe.now)


PROBE: Final = Probe()


def look(data: bytes) -> None:
    """Classify a message of an unknown source and match it with the calls, which is done before any limit applies."""
    PROBE.endpoint.belongs(classify(data), data)


def seconds_a_byte(work: Callable[[bytes], object], data: bytes, times: int = 1) -> float:
    begun = process_time()
    for _ in range(times):
        work(data)
    return (process_time() - begun) / (len(data) * times)


NORMAL_COSTS: Final[dict[Callable[[bytes], object], float]] = {}
"""The least that a byte of the normal message has cost so far, by what reads it."""


def ratio(work: Callable[[bytes], object], data: bytes, usual: Callable[[bytes], object] | None = None) -> float:
    """Return how many times as much a byte of ``data`` costs as a normal one; side by side where it seems too much.

    ``usual``: what reads the normal message, where that is another function.
    """
    usual = usual or work
    known = NORMAL_COSTS.get(work, 0.0)
    cost = seconds_a_byte(work, data)
    if cost <= RATIO * known:
        return cost / known
    normal, least = float("inf"), cost
    for _ in range(ROUNDS):
        normal = min(normal, *(seconds_a_byte(usual, NORMAL, times=3) for _ in range(3)))
        least = min(least, seconds_a_byte(work, data))
        if least <= RATIO * normal:
            break
    NORMAL_COSTS[work] = min(known or normal, normal)
    return least / normal


def test_the_normal_message_is_one():
    assert 700 < len(NORMAL) < 1_000
    assert parse_message(NORMAL).problems() == []


@pytest.mark.parametrize("place", PLACES)
def test_a_header_full_of_anything_costs_no_more_a_byte_than_a_normal_message(place):
    for piece in PIECES:
        for end in ("", "\x00"):
            data = message_with(place, piece * (LINE // len(piece)) + end)
            assert ratio(touch, data) <= RATIO, f"{piece!r} … {end!r}"


@pytest.mark.parametrize("name", ["Via", "Contact", "Route", "X"])
def test_many_short_lines_cost_no_more_a_byte_than_a_normal_message(name):
    for piece in PIECES:
        lines = f"{name}: {piece}\r\n" * (Limits().max_headers - 20)
        assert ratio(touch, request(headers=lines)) <= RATIO, repr(piece)
        folded = f"{name}: a\r\n {piece}\r\n" * (Limits().max_headers - 20)
        assert ratio(touch, request(headers=folded)) <= RATIO, f"folded {piece!r}"


@pytest.mark.parametrize("first", ["ACK", "CANCEL", "BYE", "SIP/2.0 200 OK", "INVITE"])
def test_a_look_at_anything_costs_no_more_a_byte_than_reading_a_normal_message(first):
    lead = first if first.startswith("SIP") else f"{first} sip:4420@192.0.2.1 SIP/2.0"
    for piece in (*PIECES, "\n ", "\r\n\t;a", "\nVia:", "\nTo: <", "\nTo\n ", "\r\nCSeq: 1"):
        via = "SIP/2.0/UDP h" + piece * (8_000 // len(piece))
        data = f"{lead}\r\nVia: {via}\r\nTo: <sip:a@b>\r\nCSeq: 1 INVITE\r\n\r\n".encode("utf-8", "surrogateescape")
        assert ratio(look, data, usual=parse_message) <= RATIO, repr(piece)


def full(line: str, count: int | None = None) -> bytes:
    """Return a request that is full of one header line, as long or as often as is allowed."""
    lines = count or min(DATAGRAM // (len(line) + 2), Limits().max_headers - 20)
    return request(headers=f"{line}\r\n" * lines)


FULL: Final = {
    "folds": request(headers="Subject: x" + "\r\n x" * (DATAGRAM // 4) + "\r\n"),
    "empty folds": request(headers="Subject: x" + "\r\n " * (DATAGRAM // 3) + "\r\n"),
    "folds that fit": full("Subject: x" + "\r\n x" * (LINE // 4)),
    "folded Via": request(via="SIP/2.0/UDP h" + "\r\n ;a=[;a=[;a=[;a=[;a=[;a=[" * 250),
    "short lines": full("X: y", DATAGRAM // 6),
    "names": request(headers="".join(f"X-{number}: y\r\n" for number in range(230))),
    "long names": full("X" * 250 + ": y"),
    "Route": full("Route: " + "<sip:a@b>," * (LINE // 10)),
    "Require": full("Require: " + "a," * (LINE // 2)),
    "Via": full("Via: " + "SIP/2.0/UDP h," * (LINE // 14)),
    "what is no Via": full("Via: " + "x," * (LINE // 2)),
    "identities": full("P-Asserted-Identity: " + "x," * (LINE // 2)),
    "parameters": full("X: " + ";a=[" * (LINE // 4)),
    "no header at all": request(headers="\r\n" * (DATAGRAM // 2)),
    "blank lines before": b"\r\n" * (DATAGRAM // 2) + request(),
    "blank lines": b"\r\n" * (DATAGRAM // 2),
    "line feeds": b"\n" * DATAGRAM,
    "carriage returns": b"\r" * DATAGRAM,
    "blanks": b" " * DATAGRAM,
    "blank URI": b"INVITE" + b" " * DATAGRAM + b"SIP/2.0\r\n\r\n",
    "URI of words": b"INVITE" + b" a" * (DATAGRAM // 2) + b" SIP/2.0\r\n\r\n",
    "long method": b"A" * DATAGRAM + b" sip:a@b SIP/2.0\r\n\r\n",
    "blank reason": b"SIP/2.0 200 " + b" " * DATAGRAM + b"\r\n\r\n",
    "bytes that are no UTF-8": request(headers="X: " + "\udcff" * LINE + "\r\n"),
    "media lines": request(body=b"m=audio " * (DATAGRAM // 8)),
    "payload types": request(body=b"v=0\r\nm=audio 1 RTP/AVP" + b" 99" * (DATAGRAM // 3)),
    "rtpmaps": request(body=b"v=0\r\nm=audio 1 RTP/AVP 1\r\n" + b"a=rtpmap:\r\n" * (DATAGRAM // 11)),
    "blank body": request(body=b"\r\n\r\n" * (DATAGRAM // 4)),
    "parts within parts": request(
        headers="Content-Type: multipart/mixed;boundary=x\r\n",
        body=b"\r\n--x\r\nContent-Type:multipart/mixed;boundary=y\r\n\r\n--y\r\nContent-Type:multipart/mixed;boundary=z\r\n\r\n"
        + b"\r\n--z" * (DATAGRAM // 6)
        + b"\r\n--z--\r\n--y--\r\n--x--",
    ),
    "parts": request(headers="Content-Type: multipart/mixed;boundary=x\r\n", body=b"\r\n--x" * (DATAGRAM // 5)),
}


@pytest.mark.parametrize("shape", FULL)
def test_a_datagram_full_of_anything_costs_no_more_a_byte_than_a_normal_message(shape):
    data = FULL[shape]
    assert len(data) <= Limits().max_message_bytes
    assert ratio(touch, data) <= RATIO
    assert ratio(receive, data) <= RATIO


@pytest.mark.parametrize("shape", [b"a", b"\r\n", b"X: y\r\n", b"Subject: x\r\n x"], ids=repr)
def test_what_is_over_the_limit_is_refused_in_the_time_of_the_limit(shape):
    """Ten times the limit costs about what one time costs; a reader of it all would need ten times as long.

    What lies far over the limit does not fit a processor's cache that others use, too: it may cost up to four times.
    """
    at_limit = request(headers="Y: ").rstrip(b"\r\n") + shape * (Limits().max_message_bytes // len(shape))
    far_over = at_limit * 10
    least = [float("inf")] * 2
    for _ in range(ROUNDS):
        for index, data in enumerate((at_limit, far_over)):
            least[index] = min(least[index], seconds_a_byte(touch, data) * len(data))
        if least[1] < 2 * least[0]:
            break
    assert least[1] < 4 * least[0]
    with pytest.raises(ParseError) as caught:
        parse_message(far_over)
    assert caught.value.status == 513
