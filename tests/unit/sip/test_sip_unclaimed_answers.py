"""A 200 to an INVITE of ours that is not known any more, as after a restart: ACK and BYE, but only to known peers.

Every peer that has had a request of ours knows how our branches begin, and can send such a 200.
"""

from collections import Counter

import pytest
from doubles.virtual.probe import LISTENER, SDP, UNKNOWN_SOURCE, VENDOR, Probe

from vosd.sip.drops import Drop
from vosd.sip.flows import Hop, Listener
from vosd.sip.unclaimed_answers import ALL_RELEASED_PER_S, RELEASED_PER_S
from vosd.sip.wire.outgoing import Peer

LISTENERS = (LISTENER, Listener("192.0.2.1", 5060, "tcp"))
PHONE = Peer(0, "198.51.100.99", 40_123)
"""Where the NAT of a registered phone shows it."""
SECOND_HOST = Peer(0, "198.51.100.9", 5060)
"""Another host of that vendor."""
OTHER_VENDOR = Peer(0, "198.51.100.8", 5060)
AT_VENDOR = f"<sip:v@{VENDOR.host}:5070>"
INSIDE = "<sip:v@10.0.0.5:3306;transport=tcp>"
GIVE_UP = 32_000


def knows(host: str, port: int) -> bool:
    vendors = {VENDOR.host, SECOND_HOST.host, OTHER_VENDOR.host}
    return host in vendors or (host, port) == (PHONE.host, PHONE.port)


def are_of_one_vendor(*hosts: str) -> bool:
    return {VENDOR.host, SECOND_HOST.host}.issuperset(hosts)


@pytest.fixture
def probe() -> Probe:
    addresses = {"sbc.example": SECOND_HOST.host, "evil.example": "10.0.0.5"}

    def locate(hop: Hop, _seen_at: str) -> Hop | None:
        return hop._replace(host=addresses[hop.host], port=5060) if hop.host in addresses else None

    return Probe(knows=knows, listeners=LISTENERS, locate=locate, are_of_one_vendor=are_of_one_vendor)


def unclaimed(contact: str = AT_VENDOR, headers: str = "", tag: str = "late") -> bytes:
    head = (
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKmark-of-before\r\n"
        f"From: <sip:4930@192.0.2.1>;tag=before\r\nTo: <sip:4420@198.51.100.7>;tag={tag}\r\n"
        "Call-ID: before@192.0.2.1\r\nCSeq: 1 INVITE\r\n"
        f"Contact: {contact}\r\n{headers}Content-Type: application/sdp\r\nContent-Length: {len(SDP)}\r\n\r\n"
    )
    return head.encode() + SDP


def ended_at(probe: Probe) -> list[Peer]:
    sent = probe.sent()
    assert [each.title for each in sent] == ["ACK", "BYE"]
    return [each.peer for each in sent]


@pytest.mark.parametrize("contact", [INSIDE, AT_VENDOR, "<sip:v@evil.example>", f"<sip:v@{UNKNOWN_SOURCE.host}>"])
@pytest.mark.parametrize("headers", ["", "Record-Route: <sip:10.0.0.5;lr>\r\n"])
def test_nothing_is_sent_for_that_of_an_unknown_source(probe, contact, headers):
    assert probe.receive(unclaimed(contact, headers), UNKNOWN_SOURCE) is None
    probe.advance(GIVE_UP)
    assert probe.sent() == []
    assert probe.endpoint.dropped == {Drop.UNMATCHED_RESPONSE: 1}
    assert not any(probe.endpoint.census().values())


def test_neither_is_it_in_overload(probe):
    assert probe.endpoint.refuse_overload(unclaimed(INSIDE), UNKNOWN_SOURCE, "", probe.now) is None
    assert probe.sent() == []


def test_that_of_a_vendor_is_acknowledged_and_ended_at_its_contact(probe):
    assert probe.receive(unclaimed(), VENDOR) is None
    assert ended_at(probe) == [Peer(0, VENDOR.host, 5070)] * 2
    probe.receive(unclaimed(), VENDOR)
    assert probe.titles() == ["ACK"]


@pytest.mark.parametrize("contact", [f"<sip:v@{SECOND_HOST.host}>", "<sip:v@sbc.example>"])
def test_a_contact_at_another_address_of_the_vendor_is_followed(probe, contact):
    probe.receive(unclaimed(contact), VENDOR)
    assert ended_at(probe) == [SECOND_HOST] * 2


@pytest.mark.parametrize("headers", ["", f"Record-Route: <sip:{OTHER_VENDOR.host};lr>\r\n"], ids=["contact", "route"])
@pytest.mark.parametrize("source", [VENDOR, PHONE], ids=["vendor", "phone"])
def test_no_known_peer_makes_the_switch_send_to_another_one(probe, source, headers):
    probe.receive(unclaimed(f"<sip:any@{OTHER_VENDOR.host}>", headers), source)
    assert ended_at(probe) == [source] * 2
    probe.advance(GIVE_UP)
    assert {each.peer for each in probe.sent()} == {source}


def test_that_of_a_vendor_behind_its_proxy_is_ended_through_the_proxy(probe):
    route = f"<sip:{VENDOR.host};lr>"
    probe.receive(unclaimed("<sip:v@10.0.0.5>", f"Record-Route: {route}\r\n"), VENDOR)
    ack, bye = probe.sent()
    assert (ack.peer, bye.peer) == (VENDOR, VENDOR)
    for each in (ack, bye):
        assert (each.request.uri, each.request.header("route")) == ("sip:v@10.0.0.5", route)


@pytest.mark.parametrize("contact", [INSIDE, "<sip:v@evil.example>", "<sip:v@192.168.1.2:5062>"])
@pytest.mark.parametrize("source", [VENDOR, PHONE], ids=["vendor", "phone"])
def test_a_contact_at_an_unknown_address_is_reached_where_the_answer_came_from(probe, contact, source):
    probe.receive(unclaimed(contact), source)
    assert ended_at(probe) == [source] * 2


def test_a_registered_phone_is_known_by_its_port(probe):
    assert probe.receive(unclaimed(), PHONE._replace(port=PHONE.port + 1)) is None
    assert probe.sent() == []


def test_each_fork_of_a_forgotten_invite_is_ended_and_none_leads_elsewhere(probe):
    probe.receive(unclaimed(), VENDOR)
    assert ended_at(probe) == [Peer(0, VENDOR.host, 5070)] * 2
    probe.receive(unclaimed(INSIDE, tag="second"), VENDOR)
    assert ended_at(probe) == [VENDOR] * 2
    probe.receive(unclaimed(INSIDE, tag="third"), UNKNOWN_SOURCE)
    assert probe.sent() == []


def test_answers_forged_in_the_name_of_a_vendor_cost_it_a_bounded_number_of_messages(probe):
    """Each is acknowledged once, and its BYE is repeated to a vendor that is silent: the vendor, and nothing else."""
    forged = 3 * RELEASED_PER_S
    for number in range(forged):
        probe.receive(unclaimed(tag=f"forged-{number}"), VENDOR)
    probe.receive(unclaimed(tag="real"), OTHER_VENDOR)
    assert probe.titles().count("ACK") == RELEASED_PER_S + 1, "those in the name of one vendor use up what is its own"
    assert probe.endpoint.dropped[Drop.TOO_MANY_LATE_ANSWERS] == forged - RELEASED_PER_S
    probe.advance(1_000)
    probe.receive(unclaimed(tag="repeated"), VENDOR)
    assert "ACK" in probe.titles(), "a real one is repeated by the vendor, and released in a later second"
    probe.advance(2 * GIVE_UP)
    counted = Counter(sent.peer.host for sent in probe.log)
    assert counted[VENDOR.host] == 12 * (RELEASED_PER_S + 1), "an ACK and eleven BYEs each"
    assert probe.endpoint.census()["transactions"] == 0


def test_answers_forged_in_the_names_of_many_hosts_are_bounded_together():
    probe = Probe(knows=lambda _host, _port: True)
    hosts = [f"10.0.{number // 250}.{number % 250}" for number in range(ALL_RELEASED_PER_S + 50)]
    for host in hosts:
        probe.receive(unclaimed(f"<sip:{host}>", tag=host), Peer(0, host, 5060))
    assert probe.titles().count("ACK") == ALL_RELEASED_PER_S
