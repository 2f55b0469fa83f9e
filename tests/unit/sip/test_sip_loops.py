"""A request of ours that comes back to us (RFC 3261 section 16.3)."""

import pytest
from doubles.virtual.probe import LISTENER, Probe, request

from vosd.sip.events import InviteArrived
from vosd.sip.screening import own_branch
from vosd.sip.wire.message import Request
from vosd.sip.wire.parse import parse_message

MARK = "z9hG4bKours"


def branch_found(**parts):
    message = parse_message(request(**parts))
    assert isinstance(message, Request)
    return own_branch(message, MARK)


@pytest.mark.parametrize(
    ("under", "branch"),
    [
        ("SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKours1", "z9hG4bKours1"),
        ("SIP/2.0/UDP [2001:db8::1]:5070;rport ; Branch = z9hG4bKours1", "z9hG4bKours1"),
        ("SIP/2.0/UDP 192.0.2.50;branch=z9hG4bKa, SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKours1", "z9hG4bKours1"),
        (
            "SIP/2.0/UDP 192.0.2.50;branch=z9hG4bKa\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKours1",
            "z9hG4bKours1",
        ),
        ("SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK-z9hG4bKours1", ""),
        ("SIP/2.0/UDP 10.0.0.1:5060;x=z9hG4bKours1;branch=z9hG4bKa", ""),
        ("z9hG4bKours1", ""),
    ],
)
def test_a_call_was_ours_when_a_via_of_ours_is_under_the_first(under, branch):
    assert branch_found(headers=f"Via: {under}\r\n") == branch


def test_a_call_with_one_foreign_via_was_not_ours():
    assert not branch_found()


def test_a_machine_behind_a_proxy_may_have_our_private_address():
    """The private networks of the world are the same few: the branch says whose a Via is, not its address."""
    listener = LISTENER._replace(host="192.168.1.10")
    probe = Probe(listeners=(listener,))
    event = probe.receive(request(headers=f"Via: SIP/2.0/UDP {listener.sent_by};branch=z9hG4bK-pbx\r\n"))
    assert isinstance(event, InviteArrived)
    assert not own_branch(event.request, probe.endpoint.flows.mark)


def test_our_mark_in_the_topmost_branch_is_ours_whatever_the_address():
    assert branch_found(via="SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKours77") == "z9hG4bKours77"


def test_our_address_in_the_topmost_via_is_a_customer_behind_nat():
    assert not branch_found(via="SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKtheirs")
