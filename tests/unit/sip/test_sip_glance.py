"""A look at the first bytes: who is served first, and what is no SIP."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vosd.sip.glance import Kind, glance, to_tag
from vosd.testing.probe import request

IN_DIALOG = b"INVITE sip:1@h SIP/2.0\r\nVia: x\r\nTo: <sip:1@h>;tag=ours\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (request("INVITE"), Kind.CALL),
        (request("OPTIONS"), Kind.OTHER),
        (request("REGISTER"), Kind.OTHER),
        (b"ACK sip:1@h SIP/2.0\r\n", Kind.WITHIN),
        (b"BYE sip:1@h SIP/2.0\r\n", Kind.WITHIN),
        (b"CANCEL sip:1@h SIP/2.0\r\n", Kind.WITHIN),
        (b"PRACK sip:1@h SIP/2.0\r\n", Kind.WITHIN),
        (b"UPDATE sip:1@h SIP/2.0\r\n", Kind.WITHIN),
        (b"INFO sip:1@h SIP/2.0\r\n", Kind.WITHIN),
        (b"SIP/2.0 200 OK\r\n", Kind.RESPONSE),
        (b"sip/2.0 200 OK\r\n", Kind.RESPONSE),
        (b"\r\nSIP/2.0 200 OK\r\n", Kind.RESPONSE),
        (b"\r\n\r\n" + request("INVITE"), Kind.CALL),
        (b"\r\n" + IN_DIALOG, Kind.WITHIN),
        (IN_DIALOG, Kind.WITHIN),
        (IN_DIALOG.replace(b"To: <sip:1@h>;tag", b"t \t: <sip:1@h> ;x=1 ; TAG "), Kind.WITHIN),
        (IN_DIALOG.replace(b"\r\n", b"\n"), Kind.WITHIN),
        (IN_DIALOG.replace(b"INVITE", b"REFER"), Kind.WITHIN),
        (IN_DIALOG.replace(b"INVITE", b"UNHEARDOF"), Kind.WITHIN),
        (IN_DIALOG.replace(b"To:", b"From:"), Kind.CALL),
        (IN_DIALOG.replace(b";tag=", b";tags="), Kind.CALL),
        (b"FLY sip:1@h SIP/2.0\r\n", Kind.OTHER),
        (b"INVITE sip:1@h SIP/7.0\r\n", Kind.CALL),
        (b"", Kind.KEEP_ALIVE),
        (b"\r\n\r\n", Kind.KEEP_ALIVE),
        (b"\0", Kind.KEEP_ALIVE),
        (b"jaK", Kind.KEEP_ALIVE),
        (b"GET / HTTP/1.1\r\n", Kind.JUNK),
        (b"\x00\x01\x00\x00\x21\x12\xa4\x42", Kind.JUNK),
        (b"x" * 600, Kind.JUNK),
    ],
)
def test_what_a_message_is(data, kind):
    assert glance(data) is kind


def test_the_tag_of_to_is_found():
    assert to_tag(IN_DIALOG) == b"ours"
    assert to_tag(request("INVITE")) == b""


@given(st.binary(max_size=200))
def test_anything_gets_a_look(data):
    assert glance(data) in Kind


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
    """Best of five: a look at 64 KiB of anything takes less than a read of a common message would take twenty times."""
    times = []
    for _ in range(5):
        began = time.perf_counter()
        glance(hostile)
        times.append(time.perf_counter() - began)
    assert min(times) < 0.002
