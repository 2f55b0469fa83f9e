"""Provisional responses that must arrive: repeated until their PRACK, and the numbers that tie the two (RFC 3262)."""

import pytest
from doubles.virtual.probe import LISTENER, SDP, Keeper, Probe, reply, request, straight

from vosd.sip.dialog.dialog import Dialog
from vosd.sip.dialog.prack import ReliableProvisional, rseq_of
from vosd.sip.events import InviteArrived, ProvisionalUnacknowledged, RequestArrived
from vosd.sip.flows import Listener
from vosd.sip.headers.rack import Rack
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Request, Response
from vosd.sip.wire.outgoing import Peer
from vosd.sip.wire.parse import parse_message

T1 = 500
GIVE_UP = 64 * T1
DOUBLING = [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]
INVITE = request(headers="Supported: 100rel\r\n", body=SDP)


def ring(probe: Probe, owner: Keeper, *, body: bytes = b"", source: Peer | None = None) -> ReliableProvisional:
    """Take a call and say 183, number 17, reliably."""
    event = probe.receive(INVITE) if source is None else probe.receive(INVITE, source)
    assert isinstance(event, InviteArrived)
    owner.dialog = Dialog.of_caller(event.request, "ours", event.source, straight)
    probe.endpoint.dialogs.adopt("ours", owner)
    headers = f"{probe.endpoint.flows.contacts[0]}{'Content-Type: application/sdp' + chr(13) + chr(10) if body else ''}"
    return probe.ring_reliably(event.transaction, owner, headers=headers, body=body)


# -- ours ---------------------------------------------------------------------------------------------------------


def test_a_reliable_response_has_require_and_rseq(probe, owner):
    """Section 3."""
    assert not ring(probe, owner).has_session
    [sent] = probe.sent()
    assert sent.response.status == 183
    assert sent.response.headers("require") == ["100rel"]
    assert sent.response.header("rseq") == "17"
    assert sent.response.to_tag == "ours"


def test_it_is_repeated_at_doubling_intervals_until_64_t1_and_then_reported(probe, owner):
    """Section 3: from T1, doubling with each repetition; T2 is no ceiling here, as it is for a 2xx."""
    ring(probe, owner, body=SDP)
    assert probe.advance(GIVE_UP) == [ProvisionalUnacknowledged(owner, probe.now)]
    assert probe.times_of("183") == DOUBLING
    assert len({sent.data for sent in probe.log}) == 1
    assert probe.endpoint.census()["timers"] == 0


def test_it_is_repeated_over_a_connection_too(owner):
    """Section 3: by the core, whatever the transport, for there may be proxies on the way."""
    probe = Probe(listeners=(LISTENER, Listener("192.0.2.1", 5060, "tcp")))
    caller = Peer(1, "192.0.2.10", 40_000)
    ring(probe, owner, source=caller)
    probe.advance(100)
    assert probe.fail(caller) == []
    assert probe.advance(GIVE_UP - 100) == [ProvisionalUnacknowledged(owner, probe.now)]
    assert probe.times_of("183") == DOUBLING


def test_after_the_prack_it_is_not_retransmitted(probe, owner):
    provisional = ring(probe, owner, body=SDP)
    assert (provisional.number, provisional.has_session) == (17, True)
    probe.advance(600)
    provisional.stop()
    assert probe.advance(GIVE_UP) == []
    assert probe.times_of("183") == [0, 500]


def test_a_repeated_invite_gets_it_again_at_once(probe, owner):
    """RFC 3261 section 17.2.1: the last provisional response answers retransmissions."""
    ring(probe, owner)
    probe.advance(200)
    assert probe.receive(INVITE) is None
    first, again = probe.sent()
    assert (again.at, again.data) == (200, first.data)


def test_its_prack_comes_to_the_owner_of_the_early_dialog(probe, owner):
    ring(probe, owner)
    prack = request(
        "PRACK", branch="z9hG4bK-2", to="<sip:4420@192.0.2.1>;tag=ours", cseq="2 PRACK",
        headers="RAck: 17 1 INVITE\r\n",
    )  # fmt: skip
    event = probe.receive(prack)
    assert isinstance(event, RequestArrived)
    assert event.owner is owner
    assert Rack.of(event.request) == (17, 1)


def test_a_prack_with_a_lower_cseq_comes_too_and_moves_no_dialog(owner):
    """A deviation from RFC 3261 section 12.2.2: an UPDATE may overtake it, and its RAck says what it is for."""
    probe = Probe(listeners=(LISTENER, Listener("192.0.2.1", 5060, "tcp")))
    ring(probe, owner, source=Peer(1, "192.0.2.10", 40_000))
    inside = {"to": "<sip:4420@192.0.2.1>;tag=ours", "headers": "RAck: 17 1 INVITE\r\n"}
    update = request("UPDATE", branch="z9hG4bK-3", cseq="3 UPDATE", **inside)
    assert probe.receive(update, Peer(1, "192.0.2.10", 40_001)) is not None
    late = request("PRACK", branch="z9hG4bK-2", cseq="2 PRACK", **inside)
    event = probe.receive(late, Peer(1, "192.0.2.10", 40_000))
    assert isinstance(event, RequestArrived)
    assert (event.owner, owner.dialog.remote_sequence, owner.dialog.seen_at.port) == (owner, 3, 40_001)


def test_a_prack_outside_any_dialog_gets_481(probe):
    """Section 3."""
    assert probe.receive(request("PRACK", headers="RAck: 17 1 INVITE\r\n")) is None
    assert probe.titles() == ["481"]


@pytest.mark.parametrize("value", ["17 1 INVITE", "17\t1  INVITE", "0017 1 INVITE"])
def test_a_rack_names_response_and_invite(value):
    assert Rack.of(prack_with(f"RAck: {value}\r\n")) == Rack(response=17, invite=1)


@pytest.mark.parametrize(
    "line",
    [
        "", "RAck: \r\n", "RAck: 17\r\n", "RAck: 17 1\r\n", "RAck: 17 1 invite\r\n", "RAck: 17 1 UPDATE\r\n",
        "RAck: -17 1 INVITE\r\n", "RAck: x 1 INVITE\r\n", "RAck: 17 1 INVITE x\r\n", "RAck: 12345678901 1 INVITE\r\n",
        "RAck: \u0661 1 INVITE\r\n",
    ],
)  # fmt: skip
def test_a_rack_that_cannot_be_read_deserves_400(line):
    """Section 7.2."""
    with pytest.raises(ParseError, match="400 Bad RAck"):
        Rack.of(prack_with(line))


def prack_with(headers: str) -> Request:
    message = parse_message(request("PRACK", headers=headers))
    assert isinstance(message, Request)
    return message


# -- theirs -------------------------------------------------------------------------------------------------------


def response_with(headers: str, status: int = 183) -> Response:
    probe = Probe()
    probe.call_vendor(Keeper())
    message = parse_message(reply(probe.log[0], status, headers=headers))
    assert isinstance(message, Response)
    return message


@pytest.mark.parametrize(
    "headers",
    ["Require: 100rel\r\nRSeq: 4711\r\n", "RSeq: 4711\r\nRequire: x, 100REL\r\n", "Require: 100rel\r\nRSeq:4711 \r\n"],
)
def test_a_response_with_100rel_and_rseq_needs_a_prack(headers):
    """Section 4."""
    assert rseq_of(response_with(headers)) == 4_711


@pytest.mark.parametrize(
    "headers",
    [
        "", "RSeq: 1\r\n", "Require: 100rel\r\n", "Supported: 100rel\r\nRSeq: 1\r\n",
        "Require: 100rel\r\nRSeq: x\r\n", "Require: 100rel\r\nRSeq: -1\r\n", "Require: 100rel\r\nRSeq: \u0661\r\n",
        "Require: 100rel\r\nRSeq: 12345678901\r\n", "Require: 100relative\r\nRSeq: 1\r\n",
    ],
)  # fmt: skip
def test_any_other_response_needs_no_prack(headers):
    assert rseq_of(response_with(headers)) is None


def test_a_100_is_never_reliable():
    """Section 3: it goes hop by hop."""
    assert rseq_of(response_with("Require: 100rel\r\nRSeq: 1\r\n", 100)) is None
