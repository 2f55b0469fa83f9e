"""A head in the usual form is read by one scan, any other one rule by rule: the message is the same."""

import string
from typing import Any

import pytest
from doubles.virtual.probe import SDP, request
from hypothesis import given, strategies as st

from vosd.sip import ParseError, Request, Response, parse_message
from vosd.sip.headers.via import branch_of
from vosd.sip.repetitions import prefix_of
from vosd.sip.screening import objection
from vosd.sip.settings import Limits
from vosd.sip.wire.parse import read_by_rules
from vosd.sip.wire.uri import Uri

INVITE = request(
    body=SDP, headers='User-Agent: PBX/1.10 (x)\r\nAllow: INVITE, ACK\r\nP-Asserted-Identity: "A, B" <tel:+44>\r\n'
)
BYE = request("BYE", to="<sip:4420@192.0.2.1>;tag=ours", cseq="2 BYE", headers="Reason: Q.850;cause=16\r\n")
ACK = request("ACK", to="<sip:4420@192.0.2.1>;tag=ours", cseq="1 ACK")
RINGING = (
    b"SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;rport=5060;branch=z9hG4bKa1;received=192.0.2.9\r\n"
    b"From: <sip:1@192.0.2.1>;tag=f1\r\nTo: <sip:2@198.51.100.7>;tag=t1\r\nCall-ID: c@192.0.2.1\r\nCSeq: 1 INVITE\r\n"
    b"Contact: <sip:198.51.100.7:5060>\r\nContent-Length: 0\r\n\r\n"
)
TRYING = RINGING.replace(b"180 Ringing", b"100").replace(b";tag=t1", b"")
DONE = RINGING.replace(b"180 Ringing", b"200 OK").replace(b"1 INVITE", b"2 BYE")
URI_PIECES = ("1", "a", "+", "*", "#", ".", "-", "_", ":", "@", ";", "?", "%41", "[::1]", "65536", "\u00e9")
PADDED = INVITE.replace(b"Content-Length: ", b"Content-Length:   ")
"""As pjsip, osip and SIPp write it."""
ANSWERED = RINGING.replace(b"Length: 0\r\n\r\n", b"Length:     3\r\n\r\nv=0").replace(b"180 Ringing", b"200 OK")
USUAL = (INVITE, BYE, ACK, RINGING, TRYING, DONE, PADDED, ANSWERED, ACK.replace(b"Length: ", b"Length:     "))

VIAS = (
    "SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-1", "SIP/2.0/TCP h;rport;branch=z9hG4bK-1",
    "SIP/2.0/TLS [2001:db8::1]:5061;branch=z9hG4bK.x_;rport", "SIP/2.0/UDP h;branch=z9hG4bK",
    "SIP/2.0/UDP h:0;branch=z9hG4bK1", "SIP/2.0/UDP h", "SIP/2.0/UDP h:65536;branch=z9hG4bK1",
    "SIP/2.0/UDP h:05060;branch=z9hG4bK1;alias;received=1.2.3.4;maddr=[::1]", "SIP/2.0/UDP h;branch;branch=z9hG4bK1",
    "SIP/2.0/UDP h;branch=z9hG4bK1;branch=z9hG4bK2", "SIP/2.0/UDP h;;branch=z9hG4bK1",
    "SIP/2.0/UDP h;tag=1;branch=z9hG4bK1",
    "SIP/2.0/UDP h;branch=z9hG4bK1;ttl=1, SIP/2.0/UDP i;branch=z9hG4bK2", "SIP/2.0/UDP h;branch=z9hG4bK1;rport;rport=1",
    "SIP/2.0/UDP h;branch=z9hG4bK+1~;received=2001:db8::1;x-1;rport=7", "SIP/2.0/UDP h;rport;branch=z9hG4bK1;rport",
    "SIP/2.0/UDP h;Branch=x;branch=z9hG4bK1",
)  # fmt: skip
ADDRESSES = (
    "<sip:a@b>;tag=1", "<sip:a@b>", '"A \u00e9" <sip:a@b>;tag=x-y', '"A"<tel:+44;x=y>;tag=x.y;tag=z;u',
    "A B <sip:a>;tag=1", "sip:a@b;tag=1", "<sip:a@b> ;tag=1", "<sip:a@b>;tag = 1", "<sip:a@b>;Tag=1",
    "<sip:a@b>;x=y;tag=1", '<sip:a>;tag="1"', " <sip:a@b>;tag=1", '"\\"" <sip:a@b>;tag=1', "<>;tag=1",
    "< sip:a >;tag=1", '"A" B <sip:a>;tag=1', "<sip:a>;tag=\u0661", "<sip:a>;x-1=+~;tag=1+~;tags=2;branch", "tel:+44",
    "<sip:a@b>;tags=1", "sip:a@b;x;tag=1", "<sip:a@b>;tag", "sip:a,b;tag=1", "sip:a;b?c=d;tag=1",
    "<sip:a>;x;tag=1;tag=2",
)  # fmt: skip
VALUES = {
    "Via": VIAS, "From": ADDRESSES, "To": ADDRESSES, "Call-ID": ("a@b", "a b", "", "\u00e9", "a\x7f", " a"),
    "CSeq": ("1 INVITE", "2 BYE", "0 ACK", "999999999 INVITE", "2147483648 INVITE", "1  INVITE", "1 invite", "1"),
    "Content-Length": ("0", "1", "3", "5", "-1", "", "1000000000", "\u0661"),
    "Max-Forwards": ("70", "0", "x", "256", "1000"), "Contact": ("<sip:a@b>", "sip:a@b", "<sip:a;;b>", "*", "sip:a?b"),
    "Require": ("100rel", "x", ",", "timer,  path", ""), "Accept": ("application/sdp", "text/plain"),
    "Subject": ("a", " a ", "", "\x1c", "a\x1c", "a\u00a0", "\u00e9"), "x-vendor_1": ("a", ""), "User-agent": ("a",),
    "Cisco-Guid": ("1-2",), "CALL-ID": ("e",), "vIA": ("SIP/2.0/UDP x;branch=z9hG4bK9",), "max-forwards": ("70",),
}  # fmt: skip
NAMES = {"Via": "v", "From": "f", "To": "t", "Call-ID": "i", "Content-Length": "l", "Contact": "m", "Subject": "s"}
STARTS = (
    "INVITE sip:4420@192.0.2.1 SIP/2.0", "BYE sip:[::1]:5060;lr SIP/2.0", "ACK sips:h;x=y SIP/2.0",
    "INVITE tel:+44 SIP/2.0",
    "INVITE sip:a@b?c=d SIP/2.0", "INVITE sip:a@b:70000 SIP/2.0", "INVITE sip:h;x=@i:70000 SIP/2.0",
    "INVITE sip:a@b SIP/2.0 ",
    "INVITE  sip:a@b SIP/2.0", "BYE sip:a@b SIP/3.0", "SIP/2.0 200 OK", "SIP/2.0 100", "SIP/2.0 100 ", "SIP/2.0 700 x",
    "SIP/2.0 180  R\u00e9 ", "INVITE sip:%41;b=c@d SIP/2.0", "INVITE http:x SIP/2.0", "INVITE sip: SIP/2.0",
)  # fmt: skip


@st.composite
def lines(draw: st.DrawFn) -> str:
    """One header line, mostly as peers write it."""
    name = draw(st.sampled_from(sorted(VALUES)))
    value = draw(st.sampled_from(VALUES[name]))
    written = draw(st.sampled_from([name] * 8 + [name.lower(), name.upper(), NAMES.get(name, name), f"{name} "]))
    end = draw(st.sampled_from(["\r\n"] * 30 + ["\n", "\r", "\r\n ", " \r\n"]))
    return f"{written}{draw(st.sampled_from([': '] * 20 + [':', ':  ', ' : ']))}{value}{end}"


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """A message that has all the lines that it needs, and some that make it unusual or wrong."""
    start = draw(st.sampled_from(STARTS))
    method = "INVITE" if start.startswith("SIP/") else start.partition(" ")[0]
    needed = [
        f"Via: {draw(st.sampled_from(VIAS[:4]))}\r\n", f"From: {draw(st.sampled_from(ADDRESSES[:4]))}\r\n",
        f"To: {draw(st.sampled_from(ADDRESSES[:4]))}\r\n", "Call-ID: c@d\r\n", f"CSeq: 3 {method}\r\n",
    ]  # fmt: skip
    for index in draw(st.lists(st.integers(0, 4), max_size=1)):
        needed[index] = draw(lines())
    more = draw(st.lists(lines(), max_size=3))
    text = start + "\r\n" + "".join(draw(st.permutations(needed + more))) + "\r\nv=0"
    return text.encode("utf-8", "surrogateescape")


@st.composite
def battered(draw: st.DrawFn) -> bytes:
    """A usual message with a few characters replaced, left out or put in."""
    data = draw(st.sampled_from(USUAL))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        piece = draw(st.sampled_from(string.printable + "\x00\x1c\x7f\u00e9")).encode()
        data = data[:at] + draw(st.sampled_from([piece, b"", piece * 2])) + data[at + draw(st.integers(0, 2)) :]
    return data


def told(message: Request | Response) -> list[Any]:
    """Return everything that can be read of a message."""
    known = [
        type(message),
        message.raw,
        message.body,
        message.call_id,
        message.from_tag,
        message.to_tag,
        message.sequence,
    ]
    names = sorted({name for name, _ in message.fields} | {"require", "to"})
    known += [(message.header(name), list(message.values(name)), list(message.headers(name))) for name in names]
    known += [message.fault, list(message.fields), [message.comes_twice(name) for name in names]]
    known += [asked(lambda name=name: getattr(message, name)) for name in ("via", "cseq", "from_", "to", "contact")]
    if isinstance(message, Response):
        return [*known, message.status, message.reason]
    return [*known, message.method, message.uri, asked(lambda: message.target), asked(lambda: objection(message))]


def asked(question) -> Any:
    try:
        return question()
    except ParseError as error:
        return error.status, error.reason


def outcome(read, data: bytes, limits: Limits) -> list[Any]:
    try:
        message = read(data, limits)
    except ParseError as error:
        part = error.request or error.response
        return [error.status, error.reason, None if part is None else told(part)]
    return told(message)


@given(
    st.one_of(heads(), battered()),
    st.sampled_from([Limits(), Limits(max_message_bytes=500, max_headers=6, max_line_chars=300)]),
)
def test_both_readers_tell_the_same(data, limits):
    assert outcome(parse_message, data, limits) == outcome(read_by_rules, data, limits)


@given(st.one_of(heads(), battered()))
def test_the_keys_of_the_scan_are_those_that_the_headers_give(data):
    try:
        message = parse_message(data)
    except ParseError:
        return
    if isinstance(message, Request) and message.prefix:
        assert message.prefix == prefix_of(message)
    elif isinstance(message, Response) and message.key:
        assert message.key == f"{branch_of(message.header('via') or '')} {message.cseq.method}"


@given(st.lists(st.sampled_from(URI_PIECES), max_size=6))
def test_a_plain_uri_is_read_like_any_other(pieces):
    """A scheme in capitals is left to the general pattern."""
    text = "".join(pieces)
    assert asked(lambda: Uri.parse(f"sip:{text}")) == asked(lambda: Uri.parse(f"SIP:{text}"))


@pytest.mark.parametrize("data", USUAL)
def test_what_peers_send_is_read_by_the_scan(data):
    message = parse_message(data)
    assert message.prefix if isinstance(message, Request) else message.key


@pytest.mark.parametrize("data", [INVITE, RINGING])
def test_another_spelling_of_a_header_that_may_occur_once_is_not_taken_for_another_header(data):
    for line in (
        "f: <sip:x@y>;tag=2",
        "FROM: <sip:x@y>;tag=2",
        "i: other",
        "cseq: 7 BYE",
        "l: 3",
        "t: <sip:x@y>",
        "From : x",
    ):
        with pytest.raises(ParseError):
            parse_message(data.replace(b"\r\n", f"\r\n{line}\r\n".encode(), 1))
