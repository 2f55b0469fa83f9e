"""Session-Expires and Min-SE are read as RFC 4028 writes them, and nothing else is."""

from contextlib import suppress
from time import process_time

import pytest
from doubles.virtual.probe import request

from vosd.sip.headers.session_expires import Refresher, SessionExpires, min_se_of
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.parse import parse_message


def invite(headers):
    return parse_message(request(headers=headers))


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("600", (600, None)),
        ("600;refresher=uac", (600, Refresher.UAC)),
        ("600 ; Refresher = UAS", (600, Refresher.UAS)),
        ("1800;x=y;refresher=uas;z", (1800, Refresher.UAS)),
        ('90;x="refresher=uac"', (90, None)),
        ("0", (0, None)),
        ("4294967295", (4294967295, None)),
        ("\t60 ", (60, None)),
    ],
)
def test_intervals_and_refreshers_are_read(text, read):
    assert SessionExpires.parse(text) == read


@pytest.mark.parametrize(
    "text",
    ["", " ", "x", "-1", "+600", "600.5", "6 00", "600,700", "600;", "600;;refresher=uac", "600 refresher=uac",
     "12345678901", "\u0666\u0660\u0660", "600;refresher", "600;refresher=", "600;refresher=us", "0x10"],
)  # fmt: skip
def test_garbage_is_400(text):
    with pytest.raises(ParseError) as caught:
        SessionExpires.parse(text)
    assert caught.value.status == 400


def test_the_compact_form_is_the_same():
    assert SessionExpires.of(invite("x: 120;refresher=uas\r\n")) == (120, Refresher.UAS)
    assert SessionExpires.of(invite("")) is None


@pytest.mark.parametrize(
    "headers", ["Session-Expires: 90\r\nSession-Expires: 90\r\n", "Session-Expires: 90\r\nx: 91\r\n"]
)
def test_two_of_them_are_400(headers):
    with pytest.raises(ParseError):
        SessionExpires.of(invite(headers))


def test_what_is_written_is_read_back():
    for value in (SessionExpires(90), SessionExpires(600, Refresher.UAC), SessionExpires(3600, Refresher.UAS)):
        assert SessionExpires.parse(str(value)) == value


@pytest.mark.parametrize(("headers", "read"), [("", 0), ("Min-SE: 120\r\n", 120), ("min-se:  90;x=y\r\n", 90)])
def test_min_se_is_read(headers, read):
    assert min_se_of(invite(headers)) == read


@pytest.mark.parametrize(
    "headers", ["Min-SE: x\r\n", "Min-SE: \r\n", "Min-SE: 90\r\nMin-SE: 90\r\n", "Min-SE: 1e3\r\n"]
)
def test_a_min_se_that_is_none_is_400(headers):
    with pytest.raises(ParseError):
        min_se_of(invite(headers))


@pytest.mark.parametrize(
    "long", ["9" * 8_000, "600" + ";a=b" * 2_000, "600" + " " * 8_000, "600;" * 2_000, '600;a="' + "\\" * 8_000]
)
def test_a_long_value_is_read_in_one_pass(long):
    def seconds():
        begun = process_time()
        with suppress(ParseError):
            SessionExpires.parse(long)
        return process_time() - begun

    assert any(seconds() < 0.02 for _ in range(200))
