"""Which numbers an INVITE carries, and whether it has been here before (INTERFACES section 3, "Numbers")."""

import pytest

from vosd.engine.caller import NUMBER_MAX, called_number, calling_number
from vosd.sip.errors import ParseError
from vosd.sip.message import Request
from vosd.sip.parse import parse_message
from vosd.testing.probe import request


def read(**changes) -> Request:
    message = parse_message(request(**changes))
    assert isinstance(message, Request)
    return message


@pytest.mark.parametrize(
    ("uri", "number"),
    [
        ("sip:4420@192.0.2.1", "4420"),
        ("sip:+4420@192.0.2.1;user=phone", "+4420"),
        ("sip:4420;phone-context=x@h", "4420"),
        ("sip:4420:password@h", "4420"),
        ("sip:%2B44%2020@h", "+44 20"),
        ("sip:alice@h", "alice"),
        ("tel:+4420;phone-context=x", "+4420"),
        ("sips:4420@h", "4420"),
        ("sip:" + "4" * NUMBER_MAX + "@h", "4" * NUMBER_MAX),
    ],
)
def test_the_called_number_is_the_user_part_of_the_request_uri(uri, number):
    assert called_number(read(uri=uri, to="<sip:other@192.0.2.1>")) == number


@pytest.mark.parametrize(
    ("uri", "status"),
    [
        ("sip:192.0.2.1", 484), ("sip:@h", 484), ("sip:;x@h", 484), ("sip:" + "4" * (NUMBER_MAX + 1) + "@h", 484),
        ("http://x/", 416), ("sip:a b@h", 400), ("sip:\udcff@h", 400),
    ],
)  # fmt: skip
def test_a_request_uri_that_names_nobody_is_refused(uri, status):
    with pytest.raises(ParseError) as caught:
        called_number(read(uri=uri))
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("identity", "number"),
    [
        (None, "4930"),
        ("<sip:+49111@h>", "+49111"),
        ('"Smith, A" <sip:+49111@h>, <tel:+49222>', "+49111"),
        ("<sip:h>, <tel:+49222>", "+49222"),
        ("not readable <, <tel:+49222>", "4930"),
        ("<sip:h>", "4930"),
    ],
)
def test_the_calling_number_is_the_asserted_identity_else_from(identity, number):
    headers = f"P-Asserted-Identity: {identity}\r\n" if identity else ""
    assert calling_number(read(from_="<sip:4930@192.0.2.10>;tag=1", headers=headers)) == number


@pytest.mark.parametrize("from_", ["<sip:192.0.2.10>;tag=1", "<mailto:a@b>;tag=1", "<sip:\udcff@h>;tag=1", "<x;tag=1"])
def test_a_caller_that_says_nothing_readable_has_no_number(from_):
    assert calling_number(read(from_=from_)) == ""
