"""A peer seen over UDP whose Contact names TCP or TLS, where it accepts no connection (RFC 3261 section 18.4)."""

import pytest
from doubles.virtual.probe import CUSTOMER, LISTENER, SDP, VENDOR, Keeper, Probe, reply, request

from vosd.sip.dialog.dialog import Dialog
from vosd.sip.events import InviteArrived
from vosd.sip.flows import Listener
from vosd.sip.transaction.store import UNREACHABLE_MS
from vosd.sip.wire.outgoing import Peer

LISTENERS = (LISTENER, Listener("192.0.2.1", 5060, "tcp"), Listener("192.0.2.1", 5061, "tls"))
BY_TCP, BY_TLS = "<sip:v@{}:5060;transport=tcp>", "<sips:v@{}:5061>"
PLACES = [(BY_TCP, 1, 5060), (BY_TLS, 2, 5061)]


@pytest.fixture
def probe() -> Probe:
    return Probe(listeners=LISTENERS)


def call(probe: Probe, owner: Keeper, contact: str) -> Dialog:
    """Let the vendor answer over UDP, and send it the ACK."""
    transaction = probe.call_vendor(owner)
    headers = f"Contact: {contact.format(VENDOR.host)}\r\n"
    event = probe.receive(reply(probe.sent()[-1], 200, headers=headers, body=SDP), VENDOR)
    owner.dialog = Dialog.of_callee(transaction.parts, "ours", event.response, probe.endpoint.flows.next_hop)
    probe.endpoint.dialogs.adopt("ours", owner)
    probe.endpoint.client.send_ack(transaction, owner.dialog, "", b"")
    return owner.dialog


def answer(probe: Probe, owner: Keeper, contact: str) -> Dialog:
    """Answer a call of the customer's over UDP."""
    event = probe.receive(request(headers=f"Contact: {contact.format(CUSTOMER.host)}\r\n", body=SDP))
    assert isinstance(event, InviteArrived)
    owner.dialog = Dialog.of_caller(event.request, "ours", event.source, probe.endpoint.flows.next_hop)
    probe.endpoint.dialogs.adopt("ours", owner)
    probe.accept(event.transaction, owner.dialog, owner).acknowledged()
    return owner.dialog


@pytest.mark.parametrize(("contact", "flow", "port"), PLACES, ids=["tcp", "tls"])
@pytest.mark.parametrize(("begin", "seen"), [(call, VENDOR), (answer, CUSTOMER)], ids=["vendor", "customer"])
@pytest.mark.parametrize("method", ["BYE", "INFO", "INVITE"])
def test_a_request_goes_where_the_peer_was_seen_if_its_contact_takes_no_connection(
    probe, owner, contact, flow, port, begin, seen, method
):
    """A vendor that gets no BYE charges on."""
    dialog = begin(probe, owner, contact)
    probe.sent()
    headers = probe.endpoint.flows.contacts[flow]
    if method == "BYE":
        probe.endpoint.client.send_bye(dialog, "", probe.now)
    elif method == "INFO":
        probe.endpoint.client.send_request(dialog, "INFO", headers, b"", owner, probe.now)
    else:
        probe.invite_again(dialog, owner, headers=f"{headers}Content-Type: application/sdp\r\n")
    [first] = probe.sent()
    assert first.peer == Peer(flow, seen.host, port)
    assert probe.fail(first.peer) == []
    [again] = probe.sent()
    one, other = first.request, again.request
    assert (again.peer, other.method, other.via.transport) == (seen, method, "UDP")
    assert one.via.branch == other.via.branch
    assert [one.header(name) for name in ("cseq", "call-id", "to")] == [
        other.header(name) for name in ("cseq", "call-id", "to")
    ]
    assert "transport=" not in (other.header("contact") or ""), "the peer reaches us over UDP, too"
    assert other.problems() == []
    probe.advance(500)
    assert [sent.peer for sent in probe.sent()] == [seen], "over UDP it is repeated"


def test_for_five_minutes_no_connection_is_tried_for_what_follows(probe, owner):
    dialog = call(probe, owner, BY_TCP)
    probe.sent()
    transaction = probe.invite_again(dialog, owner)
    probe.fail(dialog.peer)
    headers = f"Contact: {BY_TCP.format(VENDOR.host)}\r\n"
    probe.receive(reply(probe.sent()[-1], 200, headers=headers, body=SDP), VENDOR)
    probe.endpoint.client.send_ack(transaction, dialog, "", b"")
    assert [(sent.title, sent.peer) for sent in probe.sent()] == [("ACK", VENDOR)]
    probe.invite_again(dialog, owner)
    probe.endpoint.client.send_bye(dialog, "", probe.now)
    assert [(sent.title, sent.peer) for sent in probe.sent()] == [("INVITE", VENDOR), ("BYE", VENDOR)]
    probe.advance(UNREACHABLE_MS)
    probe.sent()
    probe.endpoint.client.send_bye(dialog, "", probe.now)
    assert [sent.peer for sent in probe.sent()] == [dialog.peer]


def test_the_ack_of_a_2xx_that_comes_again_goes_where_the_peer_was_seen(probe, owner):
    """Nothing waits for the response to an ACK: that it was lost shows by the repetition."""
    dialog = call(probe, owner, BY_TCP)
    [first] = probe.sent()
    assert (first.title, first.peer) == ("ACK", dialog.peer)
    probe.fail(first.peer)
    headers = f"Contact: {BY_TCP.format(VENDOR.host)}\r\n"
    probe.receive(reply(probe.log[0], 200, headers=headers, body=SDP), VENDOR)
    [again] = probe.sent()
    assert (again.title, again.peer, again.request.via.transport) == ("ACK", VENDOR, "UDP")
    assert again.request.via.branch == first.request.via.branch


def test_the_ack_of_a_2xx_from_before_a_restart_goes_where_the_peer_was_seen(probe, owner):
    dialog = call(probe, owner, BY_TCP)
    headers = f"Contact: {BY_TCP.format(VENDOR.host)}\r\n"
    again = reply(probe.log[0], 200, headers=headers, body=SDP)
    probe.endpoint.store.clear()
    probe.sent()
    probe.receive(again, VENDOR)
    assert [(sent.title, sent.peer) for sent in probe.sent()] == [("ACK", dialog.seen_at)]
