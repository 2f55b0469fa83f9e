"""Classification by the first bytes: priority of a message, and what is not SIP."""

import time

import pytest
from doubles.virtual.probe import Probe, request
from hypothesis import given, strategies as st

from vosd.sip.wire.classify import MessageKind, answered, classify, to_tag
from vosd.sip.wire.message import Request
from vosd.sip.wire.parse import parse_message

IN_DIALOG = b"INVITE sip:1@h SIP/2.0\r\nVia: x\r\nTo: <sip:1@h>;tag=ours\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (request("INVITE"), MessageKind.CALL),
        (request("OPTIONS"), MessageKind.OTHER),
        (request("REGISTER"), MessageKind.OTHER),
        (b"ACK sip:1@h SIP/2.0\r\n", MessageKind.WITHIN),
        (b"BYE sip:1@h SIP/2.0\r\n", MessageKind.WITHIN),
        (b"CANCEL sip:1@h SIP/2.0\r\n", MessageKind.WITHIN),
        (b"PRACK sip:1@h SIP/2.0\r\n", MessageKind.WITHIN),
        (b"UPDATE sip:1@h SIP/2.0\r\n", MessageKind.WITHIN),
        (b"INFO sip:1@h SIP/2.0\r\n", MessageKind.WITHIN),
        (b"SIP/2.0 200 OK\r\n", MessageKind.RESPONSE),
        (b"sip/2.0 200 OK\r\n", MessageKind.RESPONSE),
        (b"\r\nSIP/2.0 200 OK\r\n", MessageKind.RESPONSE),
        (b"\r\n\r\n" + request("INVITE"), MessageKind.CALL),
        (b"\r\n" + IN_DIALOG, MessageKind.WITHIN),
        (IN_DIALOG, MessageKind.WITHIN),
        (IN_DIALOG.replace(b"To: <sip:1@h>;tag", b"t \t: <sip:1@h> ;x=1 ; TAG "), MessageKind.WITHIN),
        (IN_DIALOG.replace(b"\r\n", b"\n"), MessageKind.WITHIN),
        (IN_DIALOG.replace(b"INVITE", b"REFER"), MessageKind.WITHIN),
        (IN_DIALOG.replace(b"INVITE", b"UNHEARDOF"), MessageKind.WITHIN),
        (IN_DIALOG.replace(b"To:", b"From:"), MessageKind.CALL),
        (IN_DIALOG.replace(b";tag=", b";tags="), MessageKind.CALL),
        (IN_DIALOG.replace(b"To: <sip:1@h>;tag=ours", b'To: "x;tag=1" <sip:1@h>'), MessageKind.CALL),
        (IN_DIALOG.replace(b"To: <sip:1@h>;tag=ours", b"To: <sip:1;tag=x@h>"), MessageKind.CALL),
        (IN_DIALOG.replace(b"To: <sip:1@h>;tag=ours", b"To:<sip:1@h;tag=x>"), MessageKind.CALL),
        (IN_DIALOG.replace(b"To: <sip:1@h>;tag=ours", b'To: <sip:1@h>;x=";tag=1"'), MessageKind.CALL),
        (IN_DIALOG.replace(b"tag=ours", b"tag=ours\r\n >"), MessageKind.CALL),
        (IN_DIALOG.replace(b"To: <sip:1@h>", b'To: "Bob" <sip:1@h>'), MessageKind.WITHIN),
        (IN_DIALOG.replace(b"To: <sip:1@h>", b"To: sip:1@h"), MessageKind.WITHIN),
        (b"FLY sip:1@h SIP/2.0\r\n", MessageKind.OTHER),
        (b"INVITE sip:1@h SIP/7.0\r\n", MessageKind.CALL),
        (b"", MessageKind.KEEP_ALIVE),
        (b"\r\n\r\n", MessageKind.KEEP_ALIVE),
        (b"\0", MessageKind.KEEP_ALIVE),
        (b"jaK", MessageKind.KEEP_ALIVE),
        (b"GET / HTTP/1.1\r\n", MessageKind.JUNK),
        (b"\x00\x01\x00\x00\x21\x12\xa4\x42", MessageKind.JUNK),
        (b"x" * 600, MessageKind.JUNK),
    ],
)
def test_what_a_message_is(data, kind):
    assert classify(data) is kind


def test_the_tag_of_to_is_found():
    assert to_tag(IN_DIALOG) == b"ours"
    assert to_tag(request("INVITE")) == b""


TOS = ["<sip:1@h>", "sip:1@h", '"x" <sip:1@h>', '"x;tag=1" <sip:1@h>', '"<>;tag=2" <sip:1;tag=3@h;tag=4>', "<sip:1@h"]
TAILS = [
    "",
    ";tag=ours",
    ";x=1 ; TAG = ours",
    ';x=";tag=9"',
    ';x=";tag=9";tag=ours',
    "\r\n ;tag=ours",
    ";tag=ours\r\n >",
    ">",
]


@given(st.sampled_from(["To: ", "t:", "TO\t:  "]), st.sampled_from(TOS), st.lists(st.sampled_from(TAILS), max_size=3))
def test_a_look_sees_no_other_tag_than_a_reading(name, to, tails):
    data = request("INVITE").replace(b"To: <sip:4420@192.0.2.1>", f"{name}{to}{''.join(tails)}".encode())
    read = parse_message(data)
    assert isinstance(read, Request)
    assert to_tag(data).decode() in {"", read.to_tag}


@pytest.mark.parametrize("header", [b"To: <sip:1@h>\r\n ;x=y", b"t: <sip:1@h>", b"To: <sip:1@h>"])
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_a_look_ends_where_the_headers_do(header, end):
    """A To in the body could make a new call look like part of one."""
    data = request("INVITE").replace(b"To: <sip:4420@192.0.2.1>", header)
    data = data.partition(b"\r\n\r\n")[0] + b"\r\n\r\nv=0\r\nTo: <sip:x@y>;tag=ours\r\ns=-\r\n"
    data = data.replace(b"\r\n\r\n", end + end).replace(b"\r\n", end)
    read = parse_message(data)
    assert isinstance(read, Request)
    assert read.to_tag == ""
    assert to_tag(data) == b""
    assert answered(b"SIP/2.0 200 OK\r\nX: y\r\n\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nCSeq: 1 BYE\r\n") == ""


@pytest.mark.parametrize(
    ("via", "cseq", "key"),
    [
        ("Via: SIP/2.0/UDP h;rport=1;branch=z9hG4bK.a-1;received=x", "CSeq: 1 INVITE", "z9hG4bK.a-1 INVITE"),
        ("v:SIP/2.0/UDP h ; branch = z9hG4bKa", "cseq:  12  BYE", "z9hG4bKa BYE"),
        ("Via: SIP/2.0/UDP h, SIP/2.0/UDP g;branch=z9hG4bKa", "CSeq: 1 INVITE", ""),
        ("Via: SIP/2.0/UDP h;branch=z9hG4bKa, SIP/2.0/UDP g;branch=z9hG4bKb", "CSeq: 1 INVITE", "z9hG4bKa INVITE"),
        ("Via: SIP/2.0/UDP h\r\n ;branch=z9hG4bKa", "CSeq: 1\r\n\tINVITE", "z9hG4bKa INVITE"),
        ("X: z9hG4bKa", "CSeq: 1 INVITE", ""),
        ("Via: SIP/2.0/UDP h;branch=z9hG4bKa", "CSeq: one", ""),
    ],
)
def test_what_a_response_is_for_is_seen(via, cseq, key):
    assert answered(f"SIP/2.0 200 OK\r\n{via}\r\n{cseq}\r\n\r\n".encode()) == key


@given(st.binary(max_size=200))
def test_anything_gets_a_look(data):
    assert classify(data) in MessageKind


@pytest.mark.parametrize(
    "hostile",
    [
        b"INVITE x\nTo:" + b";" * 65_000,
        b"INVITE x\nTo:" + b"; tag " * 10_000,
        b"INVITE x" + b"\nTo: ;tag" * 7_000,
        b"INVITE x\nTo:" + b" " * 65_000 + b";",
        b"INVITE x\n" + b"to  " * 16_000,
        b"A " * 32_000,
        b"\r\n" * 32_000 + b"INVITE",
    ],
)
def test_no_message_makes_us_stare(hostile):
    """A look at 64 KiB of anything takes less than a read of a common message would take twenty times."""

    def seconds() -> float:
        began = time.process_time()
        classify(hostile)
        return time.process_time() - began

    assert any(seconds() < 0.002 for _ in range(200))


@pytest.mark.parametrize("length", [1, 40, 41, 400, 4_096])
def test_a_method_of_any_length_is_one(length):
    data = request("X" * length)
    assert classify(data) is MessageKind.OTHER
    probe = Probe()
    assert probe.receive(data) is None
    assert probe.titles() == ["405"]
