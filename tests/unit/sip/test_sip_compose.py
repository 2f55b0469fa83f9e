"""What leaves the switch: responses that repeat the right things, and nothing of a peer that could end a header."""

from types import SimpleNamespace

import pytest
from doubles.virtual.probe import CUSTOMER, Probe, read_request, request

from vosd.b2bua.attempt import GatewayAttempt
from vosd.b2bua.identity import caller_identity_of
from vosd.callcontrol.invite_numbers import InviteNumbers
from vosd.routing.pipeline import RouteChoice
from vosd.sip.headers.via import Via
from vosd.sip.wire.compose import escape_user, named_by_maddr, response, response_stem
from vosd.sip.wire.message import Request
from vosd.sip.wire.outgoing import Peer
from vosd.sip.wire.parse import parse_message
from vosd.sip.wire.uri import Uri
from vosd.trunks.gateways import Address, RoutingGateway

SOURCE = Peer(0, "203.0.113.5", 40_000)


@pytest.mark.parametrize(("host", "is_followed"), [("2001:db8::9", True), ("2001:db8::9%x", False)])
def test_responses_go_to_no_address_with_a_zone(host, is_followed):
    via = Via.parse(f"SIP/2.0/UDP h;maddr={host};branch=z9hG4bK-m")
    named = named_by_maddr(via, Peer(0, "2001:db8::7", 5060))
    assert named == (Peer(0, host, 5060) if is_followed else None)


@pytest.mark.parametrize(
    ("via", "written", "port"),
    [
        ("SIP/2.0/UDP 203.0.113.5:5070;branch=b", "SIP/2.0/UDP 203.0.113.5:5070;branch=b", 5070),
        ("SIP/2.0/UDP 203.0.113.5;branch=b", "SIP/2.0/UDP 203.0.113.5;branch=b", 5060),
        ("SIP/2.0/UDP h:5070;branch=b", "SIP/2.0/UDP h:5070;branch=b;received=203.0.113.5", 5070),
        ("SIP/2.0/UDP h;rport;branch=b", "SIP/2.0/UDP h;rport=40000;branch=b;received=203.0.113.5", 40_000),
        ("SIP/2.0/UDP h ; RPort = ;b", "SIP/2.0/UDP h ;rport=40000;b;received=203.0.113.5", 40_000),
        ("SIP/2.0/UDP h;rport=1;b", "SIP/2.0/UDP h;rport=40000;b;received=203.0.113.5", 40_000),
        ("SIP/2.0/UDP h;xrport;b", "SIP/2.0/UDP h;xrport;b;received=203.0.113.5", 5060),
        ("SIP/2.0/UDP h;received=6.6.6.6;b", "SIP/2.0/UDP h;b;received=203.0.113.5", 5060),
        ("SIP/2.0/UDP h:1;b, SIP/2.0/UDP i", "SIP/2.0/UDP h:1;b;received=203.0.113.5, SIP/2.0/UDP i", 1),
    ],
)
def test_a_response_goes_where_via_and_source_point(via, written, port):
    """RFC 3261 section 18.2, RFC 3581 section 4."""
    stem = response_stem(read_request(request(via=via)), SOURCE)
    assert stem.peer == Peer(0, "203.0.113.5", port)
    assert parse_message(response(stem, 200, "ours", "")).header("via") == written


def test_a_response_to_an_ipv6_peer_goes_back_to_it():
    source = Peer(1, "2001:db8::9", 5062)
    stem = response_stem(read_request(request(via="SIP/2.0/UDP [2001:db8::9]:5070;branch=b")), source)
    assert stem.peer == Peer(1, "2001:db8::9", 5070)
    assert b"received" not in stem.up_to_tag


def test_a_response_repeats_all_vias_in_order_and_adds_our_tag():
    """RFC 3261 section 8.2.6.2."""
    data = request(headers="Via: SIP/2.0/UDP two;branch=2, SIP/2.0/UDP three;branch=3\r\nv: SIP/2.0/UDP four\r\n")
    answer = parse_message(response(response_stem(read_request(data), CUSTOMER), 486, "ours", "X-Why: y\r\n"))
    asked = parse_message(data)
    assert answer.headers("via") == asked.headers("via")
    for name in ("from", "call-id", "cseq"):
        assert answer.header(name) == asked.header(name)
    assert answer.header("to") == f"{asked.header('to')};tag=ours"
    assert answer.header("x-why") == "y"


def test_a_response_inside_a_dialog_keeps_the_tag_it_has():
    stem = response_stem(read_request(request("BYE", to="<sip:4420@192.0.2.1>;tag=dialog")), CUSTOMER)
    assert parse_message(response(stem, 200, "another", "")).to_tag == "dialog"


def test_bytes_that_are_not_utf8_go_back_as_they_came():
    stem = response_stem(read_request(request(from_="\udcff <sip:a@b>;tag=1")), CUSTOMER)
    assert b"\r\nFrom: \xff <sip:a@b>;tag=1\r\n" in response(stem, 200, "", "")


def test_a_body_is_counted_in_bytes():
    stem = response_stem(read_request(request()), CUSTOMER)
    data = response(stem, 183, "t", "Content-Type: application/sdp\r\n", b"\r\n\xc3\xa9")
    assert b"Content-Length: 4\r\n\r\n\r\n\xc3\xa9" in data


@pytest.mark.parametrize(
    ("user", "written"),
    [
        ("+4420", "+4420"), ("*21", "*21"), ("#31#", "%2331%23"), ("a b", "a%20b"),
        ("a@b;c?d/e:f", "a%40b%3Bc%3Fd%2Fe%3Af"),
        ("4420\r\nX: 1", "4420%0D%0AX%3A%201"), ("\0", "%00"), ("<\">", "%3C%22%3E"), ("\u00fc", "%C3%BC"),
        ("\udcff", "%FF"), ("100%", "100%25"), ("", ""),
    ],
)  # fmt: skip
def test_a_user_part_is_written_so_that_it_stays_one(user, written):
    assert escape_user(user) == written


HOSTILE = [
    "%0d%0aEvil:%201",
    "%0aEvil:%201",
    "%0d%0a%0d%0av=0",
    "%00%01%7f",
    "%3e%3b%2c%22",
    "%252e",
    "%ff%fe",
    "a%0D%0A",
]


@pytest.mark.parametrize("user", HOSTILE)
@pytest.mark.parametrize("place", ["uri", "from", "identity"])
def test_what_is_percent_encoded_in_a_number_cannot_end_a_header_of_ours(user, place):
    """Header injection: the INVITE that goes out has the headers that we wrote and no other."""
    uri = f"sip:{user}@192.0.2.1" if place == "uri" else "sip:4420@192.0.2.1"
    from_ = f"<sip:{user}@192.0.2.10>;tag=1" if place == "from" else "<sip:4930@192.0.2.10>;tag=1"
    identity = f"P-Asserted-Identity: <sip:{user}@h>\r\n" if place == "identity" else ""
    came = read_request(request(uri=uri, from_=from_, headers=identity))
    gateway = RoutingGateway("vendor", "vendor", (Address("198.51.100.7", 5060),), ("*",))
    choice = RouteChoice(gateway, "*", InviteNumbers(came).called(), InviteNumbers(came).calling())
    probe = Probe()
    call = SimpleNamespace(
        caller=SimpleNamespace(offer=b"", caller_identity=caller_identity_of(came), takes_100rel=False)
    )
    GatewayAttempt(probe.endpoint, call, choice, gateway.addresses[0], probe.now).begin(b"", 69, probe.now)
    sent = probe.sent()[0]
    head = sent.data.partition(b"\r\n\r\n")[0]
    assert [line.partition(b":")[0] for line in head.split(b"\r\n")[1:]] == [
        b"Via", b"Max-Forwards", b"From", b"To", b"Call-ID", b"CSeq", b"Contact", b"Allow",
        b"Supported", b"Session-Expires", b"Min-SE", b"Accept", b"Content-Length",
    ]  # fmt: skip
    assert head.isascii()
    assert not set(head) & {0, *range(1, 10), 11, 12, *range(14, 32), 127}
    assert Uri.parse(sent.request.uri).user == InviteNumbers(came).called()
    assert Uri.parse(sent.request.from_.uri).user == InviteNumbers(came).calling()


@pytest.mark.parametrize(
    ("via", "filled"),
    [
        ("SIP/2.0/UDP h;rport;branch=z9hG4bK1", "SIP/2.0/UDP h;rport=40000;branch=z9hG4bK1"),
        ("SIP/2.0/UDP h;branch=z9hG4bK1;rport", "SIP/2.0/UDP h;branch=z9hG4bK1;rport=40000"),
        ("SIP/2.0/UDP h;rport;branch=z9hG4bK1;rport", "SIP/2.0/UDP h;rport=40000;branch=z9hG4bK1;rport"),
        ("SIP/2.0/UDP h;rport=1;branch=z9hG4bK1;rport", "SIP/2.0/UDP h;rport=40000;branch=z9hG4bK1;rport"),
        ("SIP/2.0/UDP h;RPORT;branch=z9hG4bK1;rport", "SIP/2.0/UDP h;rport=40000;branch=z9hG4bK1;rport"),
    ],
)
def test_of_two_rports_the_first_is_filled_in(via, filled):
    message = parse_message(request(via=via))
    assert isinstance(message, Request)
    stem = response_stem(message, Peer(0, "203.0.113.5", 40_000))
    assert stem.up_to_tag.split(b"\r\n", 1)[0].decode() == f"Via: {filled};received=203.0.113.5"
