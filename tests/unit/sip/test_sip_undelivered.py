"""Datagrams that do not arrive: the kernel refuses them, or an ICMP error comes back (RFC 3261 8.1.3.1, 18.4)."""

import pytest
from doubles.virtual.probe import VENDOR, Keeper, Probe, reply, request

from vosd.sip.dialog.dialog import Dialog
from vosd.sip.events import NoResponse
from vosd.sip.wire.outgoing import Peer

# -- the kernel refuses them -------------------------------------------------------------------------------------------


def test_an_invite_that_cannot_be_sent_fails_at_once():
    probe, owner = Probe(), Keeper()
    transaction = probe.call_vendor(owner)
    event = probe.endpoint.unsent(probe.sent()[0].data, probe.now)
    assert isinstance(event, NoResponse)
    assert (event.owner, event.transaction) == (owner, transaction)
    assert not any(probe.endpoint.census().values())


@pytest.mark.parametrize("name", ["", "sip.carrier.example"])
def test_a_request_that_cannot_be_sent_is_left_to_its_timers_also_where_its_peer_has_a_name(name):
    """The route may come back, and a BYE must not be given up."""
    probe, owner = Probe(), Keeper()
    question = Dialog.outside(
        call_id="1", local="<sip:a@h>;tag=1", remote="<sip:h>", target="sip:h", peer=VENDOR, answers=None,
        server_name=name,
    )  # fmt: skip
    probe.endpoint.client.send_request(question, "OPTIONS", "", b"", owner, probe.now)
    [sent] = probe.sent()
    assert probe.endpoint.server_name_of(sent.data) == name
    assert probe.endpoint.unsent(sent.data, probe.now) is None
    assert probe.endpoint.census()["transactions"] == 1


def test_an_invite_that_was_sent_before_is_repeated_though_it_cannot_be_sent_now():
    probe, owner = Probe(), Keeper()
    probe.call_vendor(owner)
    probe.advance(600)
    assert probe.titles() == ["INVITE", "INVITE"]
    assert probe.endpoint.unsent(probe.log[-1].data, probe.now) is None
    probe.advance(1_000)
    assert probe.titles() == ["INVITE"]


# -- ICMP errors ------------------------------------------------------------------------------------------------------


QUOTED = 520
"""Bytes of a datagram in most ICMP errors."""


def test_an_icmp_error_ends_the_wait_for_that_address_at_once():
    probe, owner = Probe(), Keeper()
    transaction = probe.call_vendor(owner)
    invite = probe.sent()[0]
    event = probe.endpoint.undelivered(invite.data[:QUOTED], invite.peer, probe.now)
    assert event == NoResponse(owner, transaction, probe.now, is_unreachable=True)
    assert not any(probe.endpoint.census().values())


def test_an_icmp_error_about_a_retransmission_does_the_same_and_a_late_answer_is_hung_up():
    """The first one may have arrived: a vendor bills what it answers."""
    probe, owner = Probe(), Keeper()
    transaction = probe.call_vendor(owner)
    invite = probe.sent()[0]
    probe.advance(600)
    event = probe.endpoint.undelivered(invite.data[:QUOTED], invite.peer, probe.now)
    assert event == NoResponse(owner, transaction, probe.now, is_unreachable=True)
    assert probe.titles() == ["INVITE"]
    probe.advance(5_000)
    assert probe.titles() == []
    probe.receive(reply(invite, 200, to_tag="late"), invite.peer)
    assert probe.titles() == ["ACK", "BYE"]


@pytest.mark.parametrize(
    "forged", ["another port", "another host", "another listener", "another branch", "without branch", "another method"]
)
def test_a_forged_icmp_error_ends_nothing(forged):
    """Addresses and ports can be guessed, the branch cannot."""
    probe = Probe()
    probe.call_vendor(Keeper())
    data, peer = probe.sent()[0].data[:QUOTED], probe.log[0].peer
    cut = data.index(b";branch=")
    data = {
        "another branch": data[: cut + 12] + b"x" + data[cut + 13 :],
        "without branch": data[:cut],
        "another method": data.replace(b"INVITE", b"UPDATE"),
    }.get(forged, data)
    peer = {
        "another port": peer._replace(port=5_999),
        "another host": peer._replace(host="203.0.113.99"),
        "another listener": peer._replace(flow=1),
    }.get(forged, peer)
    assert probe.endpoint.undelivered(data, peer, probe.now) is None
    probe.advance(600)
    assert probe.titles() == ["INVITE"]


def test_an_icmp_error_behind_a_response_or_within_a_call_is_left_to_the_timers():
    probe = Probe()
    probe.call_vendor(Keeper())
    invite = probe.sent()[0]
    probe.receive(reply(invite, 100), invite.peer)
    assert probe.endpoint.undelivered(invite.data, invite.peer, probe.now) is None


@pytest.mark.parametrize("method", ["OPTIONS", "UPDATE", "BYE"])
def test_an_icmp_error_about_another_request_within_a_call_is_left_to_the_timers(method):
    """The peer may be starting again: repetitions reach it then, and its silence ends the call."""
    probe = Probe()
    us, them, target = "<sip:us@192.0.2.1>;tag=ours", "<sip:them@h>;tag=theirs", "sip:them@203.0.113.7:5060"
    peer, next_hop = Peer(0, "203.0.113.7", 5060), probe.endpoint.flows.next_hop
    dialog = Dialog("call", us, them, target, (), 1, peer, False, "ours", "theirs", next_hop)
    probe.endpoint.client.send_request(dialog, method, "", b"", Keeper(), probe.now)
    sent = probe.sent()[0]
    assert probe.endpoint.undelivered(sent.data, sent.peer, probe.now) is None
    probe.advance(600)
    assert probe.titles() == [method]


@pytest.mark.parametrize("data", [b"", b"INVITE x", b"SIP/2.0 200 OK\r\n\r\n", request("BYE")])
def test_what_belongs_to_no_invite_of_ours_is_left_to_its_timers(data):
    probe = Probe()
    probe.call_vendor(Keeper())
    assert probe.endpoint.unsent(data, probe.now) is None
