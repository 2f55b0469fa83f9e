"""Requests above 1,300 bytes: TCP where nothing forbids it, UDP where TCP does not work (RFC 3261 section 18.1.1)."""

import msgspec
import pytest
from doubles.virtual.probe import CUSTOMER, LISTENER, SDP, Keeper, Probe, Sent, reply, request

from vosd.base.nat import Nat
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.events import InviteArrived, NoResponse
from vosd.sip.flows import Listener
from vosd.sip.restoration import Restoration
from vosd.sip.transaction.client import Client
from vosd.sip.transaction.client_snapshot import ClientSnapshot
from vosd.sip.transaction.store import UNREACHABLE_MS
from vosd.sip.wire.outgoing import Peer

T1 = 500
GIVE_UP = 64 * T1
LISTENERS = (LISTENER, Listener("192.0.2.1", 5060, "tcp"), Listener("192.0.2.1", 5061, "tls"))
TCP, TLS = 1, 2
GATEWAY = Peer(TCP, "198.51.100.7", 5060)
LARGE = SDP + b"a=fill:" + b"x" * 1_300 + b"\r\n"


@pytest.fixture
def probe() -> Probe:
    return Probe(listeners=LISTENERS)


def nothing_left(probe: Probe) -> bool:
    return not any(probe.endpoint.census().values()) and not probe.endpoint.store.streams


def large_invite(probe: Probe, owner: Keeper, **how) -> list[Sent]:
    probe.call_vendor(owner, body=LARGE, is_fixed=False, **how)
    return probe.sent()


def test_an_invite_above_1300_bytes_takes_tcp(probe, owner):
    [sent] = large_invite(probe, owner)
    assert len(sent.data) > 1_300
    assert sent.peer == GATEWAY
    assert sent.request.via.transport == "TCP"
    assert sent.request.header("contact") == "<sip:192.0.2.1:5060;transport=tcp>"
    assert sent.request.problems() == []
    assert probe.advance(GIVE_UP - 1) == []
    assert probe.sent() == []


def test_the_limit_is_1300_bytes_of_the_whole_request(owner):
    def sizes_and_flows(body_bytes):
        probe = Probe(listeners=LISTENERS)
        probe.call_vendor(owner, body=b"x" * body_bytes, is_fixed=False)
        return len(probe.log[0].data), probe.log[0].peer.flow

    without = sizes_and_flows(0)[0]
    room = 1_300 - without - 3  # Content-Length takes four digits instead of one, or three
    fitting = max(each for each in range(room - 5, room + 5) if sizes_and_flows(each)[1] == 0)
    assert sizes_and_flows(fitting) == (1_300, 0)
    assert sizes_and_flows(fitting + 1)[1] == TCP


@pytest.mark.parametrize("how", [{"is_fixed": True}, {"peer": Peer(TLS, "198.51.100.7", 5061)}])
def test_a_transport_that_is_fixed_or_a_connection_already_carries_any_size(probe, owner, how):
    peer = how.get("peer", Peer(0, "198.51.100.7", 5060))
    probe.call_vendor(owner, body=LARGE, **{"is_fixed": False, "peer": peer} | how)
    assert probe.log[0].peer == peer


def test_without_a_listener_for_tcp_a_large_invite_stays_on_udp(owner):
    probe = Probe()
    [sent] = large_invite(probe, owner)
    assert (sent.peer.flow, sent.request.via.transport) == (0, "UDP")


def test_refused_by_tcp_a_large_invite_goes_back_to_udp_as_the_same_transaction(probe, owner):
    """The branch and the Call-ID stay: a peer that got both counts one INVITE."""
    transaction = probe.call_vendor(owner, body=LARGE, is_fixed=False)
    probe.advance(20)
    assert probe.fail(GATEWAY) == []
    by_tcp, by_udp = probe.sent()
    assert by_udp.peer == Peer(0, "198.51.100.7", 5060)
    one, other = by_tcp.request, by_udp.request
    assert (one.via.transport, other.via.transport) == ("TCP", "UDP")
    assert one.via.branch == other.via.branch
    assert (one.problems(), other.problems()) == ([], [])
    for name in ("from", "to", "call-id", "cseq"):
        assert one.header(name) == other.header(name)
    assert other.header("contact") == "<sip:192.0.2.1:5060>"
    assert other.body == LARGE
    assert probe.endpoint.census()["transactions"] == 1

    probe.advance(T1)
    assert probe.times_of("INVITE") == [0, 20, 20 + T1], "over UDP it is repeated"
    event = probe.receive(reply(by_udp, 486), by_udp.peer)
    assert event.transaction is transaction
    assert probe.log[-1].peer == by_udp.peer, "the ACK follows its INVITE"
    assert probe.log[-1].request.via.transport == "UDP"


def test_a_peer_that_took_no_connection_gets_large_invites_over_udp_for_five_minutes(probe, owner):
    """What a filtered port has cost one call is not paid by every call."""
    large_invite(probe, owner)
    probe.fail(GATEWAY)
    learnt_at = probe.now.mono
    probe.sent()
    [sent] = large_invite(probe, owner)
    assert (sent.peer.flow, sent.request.via.transport) == (0, "UDP")
    elsewhere = Peer(0, "198.51.100.8", 5060)
    [sent] = large_invite(probe, owner, peer=elsewhere)
    assert sent.peer.flow == TCP
    probe.advance(learnt_at + UNREACHABLE_MS - probe.now.mono)
    probe.sent()
    [sent] = large_invite(probe, owner)
    assert sent.peer.flow == TCP


def test_back_on_udp_time_begins_anew_and_ends(probe, owner):
    transaction = probe.call_vendor(owner, body=LARGE, is_fixed=False)
    probe.advance(1_000)
    probe.fail(GATEWAY)
    assert probe.advance(GIVE_UP) == [NoResponse(owner, transaction, probe.now)]
    assert nothing_left(probe)


def test_a_large_invite_given_up_does_not_go_back_to_udp(probe, owner):
    transaction = probe.call_vendor(owner, body=LARGE, is_fixed=False)
    transaction.abandon("", probe.now)
    assert probe.fail(GATEWAY) == []
    assert probe.titles() == ["INVITE"]


def test_a_cancel_follows_its_invite_to_tcp(probe, owner):
    transaction = probe.call_vendor(owner, body=LARGE, is_fixed=False)
    [asked] = probe.sent()
    probe.receive(reply(asked, 180), GATEWAY)
    transaction.abandon("", probe.now)
    [cancel] = probe.sent()
    assert (cancel.peer, cancel.request.header("via")) == (GATEWAY, asked.request.header("via"))


# -- within a dialog ----------------------------------------------------------------------------------------------

CUSTOMER_BY_TCP = CUSTOMER._replace(flow=TCP)
TYPE = "Content-Type: application/sdp\r\n"


def talk(probe: Probe, owner: Keeper, contact: str = "sip:4930@192.0.2.10:5060", **how) -> Dialog:
    """Answer a call of the customer's over UDP."""
    event = probe.receive(request(headers=f"Contact: <{contact}>\r\n", body=SDP))
    assert isinstance(event, InviteArrived)
    next_hop = probe.endpoint.flows.next_hop
    owner.dialog = Dialog.of_caller(event.request, "ours", how.get("source", event.source), next_hop, Nat.AUTO)
    probe.endpoint.dialogs.adopt("ours", owner)
    probe.accept(event.transaction, owner.dialog, owner).acknowledged()
    probe.sent()
    return owner.dialog


def no_login(_gateway: str) -> None:
    """Give no answers to challenges."""


def update(probe: Probe, dialog: Dialog, owner: Keeper, *, is_fixed: bool = False) -> Client:
    client = Client(store=probe.endpoint.store, owner=owner)
    headers = probe.endpoint.flows.contacts[0] + TYPE
    probe.endpoint.client.begin_request(client, dialog, "UPDATE", headers, LARGE, probe.now, is_fixed=is_fixed)
    return client


def test_a_large_re_invite_takes_tcp_and_its_dialog_stays_on_udp(probe, owner):
    dialog = talk(probe, owner)
    transaction = probe.invite_again(dialog, owner, headers=probe.endpoint.flows.contacts[0] + TYPE, body=LARGE)
    [sent] = probe.sent()
    assert (sent.peer, sent.request.via.transport) == (CUSTOMER_BY_TCP, "TCP")
    assert sent.request.header("contact") == "<sip:192.0.2.1:5060>"
    assert sent.request.body == LARGE
    assert sent.request.problems() == []
    assert probe.receive(reply(sent, 200, to_tag="theirs"), CUSTOMER_BY_TCP).transaction is transaction
    probe.endpoint.client.send_ack(transaction, dialog, "", b"")
    probe.endpoint.client.send_bye(dialog, "", probe.now)
    ack, bye = probe.sent()
    assert (ack.peer, bye.peer, dialog.peer) == (CUSTOMER, CUSTOMER, CUSTOMER)
    assert (ack.request.via.transport, bye.request.via.transport) == ("UDP", "UDP")


def test_an_ack_that_is_too_large_goes_where_its_large_invite_went(probe, owner):
    dialog = talk(probe, owner)
    transaction = probe.invite_again(dialog, owner, body=LARGE)
    [sent] = probe.sent()
    probe.receive(reply(sent, 200, to_tag="theirs"), CUSTOMER_BY_TCP)
    probe.endpoint.client.send_ack(transaction, dialog, TYPE, LARGE)
    [ack] = probe.sent()
    assert (ack.peer, ack.request.via.transport) == (CUSTOMER_BY_TCP, "TCP")
    assert ack.request.problems() == []


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_refused_by_tcp_a_large_request_within_a_dialog_goes_back_to_udp_as_the_same_transaction(probe, owner, method):
    dialog = talk(probe, owner)

    def ask() -> list[Sent]:
        if method == "INVITE":
            probe.invite_again(dialog, owner, headers=probe.endpoint.flows.contacts[0] + TYPE, body=LARGE)
        else:
            update(probe, dialog, owner)
        return probe.sent()

    [by_tcp] = ask()
    assert by_tcp.peer == CUSTOMER_BY_TCP
    assert probe.fail(CUSTOMER_BY_TCP) == []
    [by_udp] = probe.sent()
    one, other = by_tcp.request, by_udp.request
    assert (by_udp.peer, other.via.transport) == (CUSTOMER, "UDP")
    assert one.via.branch == other.via.branch
    assert other.problems() == []
    assert [one.header(name) for name in ("from", "to", "call-id", "cseq")] == [
        other.header(name) for name in ("from", "to", "call-id", "cseq")
    ]
    assert one.body == other.body == LARGE
    probe.advance(T1)
    assert [sent.peer for sent in probe.sent()] == [CUSTOMER], "over UDP it is repeated"
    assert probe.receive(reply(by_udp, 488, to_tag="theirs"), CUSTOMER) is not None
    probe.sent()
    [again] = ask()
    assert again.peer == CUSTOMER, "for five minutes"
    assert dialog.peer == CUSTOMER


@pytest.mark.parametrize(
    "why",
    [
        {"contact": "sip:4930@192.0.2.10:5060;transport=udp"},
        {"contact": "sip:4930@10.0.0.7:5060"},
        {"source": CUSTOMER._replace(host="203.0.113.9", port=40_000), "contact": "sip:4930@192.168.1.7:5060"},
        {"contact": "sip:4930@[2001:db8::7]:5060"},
    ],
    ids=["its Contact says UDP", "a private Contact", "behind NAT", "another family"],
)
def test_a_peer_that_cannot_be_connected_to_gets_any_size_over_udp(probe, owner, why):
    dialog = talk(probe, owner, **why)
    update(probe, dialog, owner)
    [sent] = probe.sent()
    assert (sent.peer.flow, sent.request.via.transport) == (0, "UDP")


def test_within_a_dialog_a_transport_that_is_fixed_carries_any_size(probe, owner):
    dialog = talk(probe, owner)
    update(probe, dialog, owner, is_fixed=True)
    probe.invite_again(dialog, owner, body=LARGE, is_fixed=True)
    assert {sent.peer for sent in probe.sent()} == {CUSTOMER}


def test_a_large_request_that_waits_over_tcp_goes_back_to_udp_after_a_restart_too(probe, owner):
    """The connection ends with the process, and the spare request is in the journal."""
    flows = probe.endpoint.flows
    client = update(probe, talk(probe, owner), owner)
    [by_tcp] = probe.sent()
    data = msgspec.json.encode(ClientSnapshot.of(client, flows))
    other = Probe(listeners=LISTENERS)
    restored = msgspec.json.decode(data, type=ClientSnapshot).restored(Restoration(other.endpoint, no_login))
    assert restored.spare == CUSTOMER
    assert other.fail(CUSTOMER_BY_TCP) == []
    [by_udp] = [sent for sent in other.sent() if sent.peer == CUSTOMER]
    assert by_udp.request.via.transport == "UDP"
    assert by_udp.request.via.branch == by_tcp.request.via.branch
    assert by_udp.request.body == LARGE
