"""A request of ours that comes back to us (RFC 3261 section 16.3)."""

import pytest
from doubles.virtual.probe import request

from vosd.sip.screening import has_looped
from vosd.sip.wire.message import Request
from vosd.sip.wire.parse import parse_message

MARK = "z9hG4bKours"
OURS = ("10.0.0.1:5060", "[2001:db8::1]:5070")


def looks_looped(**parts):
    message = parse_message(request(**parts))
    assert isinstance(message, Request)
    return has_looped(message, MARK, OURS)


@pytest.mark.parametrize(
    ("under", "looped"),
    [
        ("SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKa", True),
        ("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa", True),
        ("SIP/2.0/UDP [2001:db8::1]:5070;branch=z9hG4bKa", True),
        ("SIP/2.0/UDP 192.0.2.50, SIP/2.0/UDP 10.0.0.1:5060", True),
        ("SIP/2.0/UDP 110.0.0.1:5060;branch=z9hG4bKa", False),
        ("SIP/2.0/UDP 10.0.0.1:50601;branch=z9hG4bKa", False),
        ("SIP/2.0/UDP [2001:db8::1];branch=z9hG4bKa", False),
        ("SIP/2.0/UDP h;x=10.0.0.1:5060", False),
        ("10.0.0.1:5060", False),
    ],
)
def test_a_call_has_looped_when_a_via_of_ours_is_under_the_first(under, looped):
    assert looks_looped(headers=f"Via: {under}\r\n") is looped


def test_a_call_with_one_foreign_via_has_not_looped():
    assert not looks_looped()


def test_our_mark_in_the_topmost_branch_is_a_loop_whatever_the_address():
    assert looks_looped(via="SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKours77")


def test_our_address_in_the_topmost_via_is_a_customer_behind_nat():
    assert not looks_looped(via="SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKtheirs")
