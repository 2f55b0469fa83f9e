"""What is not a call, or not quite SIP: the RFC's answer, or silence, and never a trace left behind."""

from collections.abc import Iterator
from random import Random

import pytest
from doubles.sockets.peer import ANSWER, OFFER, OutgoingCall, Peer

from .addresses import SWITCH, UNKNOWN_SOURCE
from .conversation import conversing
from .expectations import Expected, answered, check
from .stage import Stage

QUIET_S = 0.3
"""Longer than an answer takes on this machine."""

EMERGENCY = {"required": "112", "optional": "911"}
"""Numbers that no vendor of the stage takes, so that both calls are refused."""

STRAY_RESPONSE = (
    f"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP {SWITCH};branch=z9hG4bKnone\r\nFrom: <sip:a@b>;tag=1\r\n"
    "To: <sip:a@b>;tag=2\r\nCall-ID: none\r\nCSeq: 1 INVITE\r\n\r\n"
).encode()
"""An answer to a request that the switch never sent."""


@pytest.fixture
def customer(stage: Stage) -> Iterator[Peer]:
    """A customer's agent at an address of its own."""
    with Peer(stage.endpoint_of("acme")) as peer:
        yield peer


@pytest.fixture
def call(stage: Stage, customer: Peer) -> Iterator[OutgoingCall]:
    """A call to compose requests of; at the end nothing of it is left and the log is clean."""
    yield OutgoingCall(customer, stage.address, stage.number("4410"))
    stage.expect_nothing_left()
    stage.expect_clean_log()


def test_options_gets_200_with_allow_and_accept(call: OutgoingCall, customer: Peer) -> None:
    call.send(call.request("OPTIONS"))

    answer = customer.expect(200)
    assert {"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS"} <= set(answer["Allow"].replace(" ", "").split(","))
    assert "application/sdp" in answer["Accept"]
    assert answer["Server"].startswith("vosd/")


def test_an_unknown_method_gets_405_with_allow(call: OutgoingCall, customer: Peer) -> None:
    call.send(call.request("DANCE"))

    assert "INVITE" in customer.expect(405)["Allow"]


@pytest.mark.parametrize("method", ["BYE", "INVITE", "OPTIONS"])
def test_a_request_inside_no_dialog_gets_481(call: OutgoingCall, customer: Peer, method: str) -> None:
    call.remote_to += ";tag=unknown"
    call.send(call.request(method, 7))

    response = customer.expect(481)
    if method == "INVITE":
        call.send(call.request("ACK", 7, branch="INVITE"))
    assert response["CSeq"] == f"7 {method}"


def test_an_ack_of_nothing_is_not_answered(call: OutgoingCall, customer: Peer) -> None:
    call.remote_to += ";tag=unknown"
    call.send(call.request("ACK"))

    assert customer.messages(QUIET_S) == []


def test_cancel_of_nothing_gets_481(call: OutgoingCall, customer: Peer) -> None:
    call.send(call.request("CANCEL"))

    customer.expect(481)


def test_an_unknown_extension_gets_420_and_is_named(call: OutgoingCall, customer: Peer) -> None:
    call.invite(headers=["Require: 100rel, time-travel"])

    assert "time-travel" in call.refused()["Unsupported"]


def test_from_without_tag_gets_400(call: OutgoingCall, customer: Peer) -> None:
    call.send(call.request("INVITE", body=OFFER).replace(f";tag=customer-{call.call_id}", "", 1))

    response = customer.expect(400)
    assert response["Call-ID"] == call.call_id
    call.remote_to = response["To"]
    call.send(call.request("ACK", branch="INVITE"))


def test_max_forwards_zero_gets_483_and_a_record(stage: Stage, call: OutgoingCall) -> None:
    call.send(call.request("INVITE", body=OFFER, max_forwards=0))

    assert call.refused().status == 483
    check(stage.record_of(call.callee), Expected("Loop", "switch", 483, 25, rated=False))


def test_a_call_that_has_been_here_before_gets_482(stage: Stage, call: OutgoingCall) -> None:
    with conversing(stage, "4410") as (talk,):
        talk.call.invite()
        invite = talk.vendor.expect("INVITE")
        talk.answer(invite)
        call.send(call.request("INVITE", body=OFFER, headers=[f"Via: {invite['Via']}"]))

        assert call.refused().status == 482
        talk.hang_up()
    check(stage.record_of(call.callee), Expected("Loop", "switch", 482, 25, rated=False))


@pytest.mark.parametrize("handling", ["required", "optional"])
def test_an_emergency_call_with_a_location_goes_on_or_leaves_its_record(
    stage: Stage, customer: Peer, handling: str
) -> None:
    """RFC 6442: the session is taken; only what must be understood is refused, and ``vosd why`` shows it."""
    part = f"Content-Type: application/pidf+xml\r\nContent-Disposition: render;handling={handling}\r\n\r\n<presence/>"
    body = f"--x\r\nContent-Type: application/sdp\r\n\r\n{OFFER}\r\n--x\r\n{part}\r\n--x--"
    call = OutgoingCall(customer, stage.address, EMERGENCY[handling])
    text = call.request("INVITE", body=body)
    call.send(text.replace("Content-Type: application/sdp", "Content-Type: multipart/mixed;boundary=x", 1))

    status = call.refused().status
    record = stage.record_of(call.callee)
    [shown] = stage.daemon.ask("why", "--callee", call.callee)["calls"]
    assert (record["sip_code"], shown["sip_code"]) == (status, status)
    assert (status == 415) is (handling == "required")
    assert (shown["refusal"] or "").startswith("415 ") is (status == 415)
    stage.expect_nothing_left()
    stage.expect_clean_log()


def test_a_body_shorter_than_its_content_length_gets_400(call: OutgoingCall, customer: Peer) -> None:
    call.send(call.request("INVITE", body=OFFER)[:-40])

    assert call.refused().status == 400


def test_bytes_after_the_content_length_are_ignored(call: OutgoingCall, customer: Peer) -> None:
    call.send(call.request("OPTIONS") + "left over from a torn datagram")

    customer.expect(200)


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\r\n\r\n",
        b"\x00" * 100,
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"INVITE",
        b"INVITE sip:1@127.0.0.1 SIP/2.0\r\n",
        b"INVITE sip:1@127.0.0.1 SIP/2.0\r\n\r\n",
        b"SIP/2.0 200 OK\r\n\r\n",
        b"SIP/2.0 99999999999 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\n\r\n",
        pytest.param(STRAY_RESPONSE, id="a response to no request"),  # the network of each worker is in it
        b"X: y\r\n" * 5_000,
        b"INVITE sip:1@h SIP/2.0\r\n" + b"Via: x\r\n" * 4_000 + b"\r\n",
    ],
    ids=lambda datagram: f"{datagram[:24]!r} of {len(datagram)} bytes",
)
def test_what_is_not_sip_is_not_answered(call: OutgoingCall, customer: Peer, datagram: bytes) -> None:
    customer.send(datagram, call.switch)

    assert customer.messages(QUIET_S) == []


def test_torn_invites_never_raise_and_leave_no_call(call: OutgoingCall, customer: Peer) -> None:
    draw = Random(3261)
    whole = call.request("INVITE", body=OFFER).encode()
    for _ in range(300):
        data = bytearray(whole[: draw.randrange(len(whole))])
        for _ in range(draw.randrange(4)):
            if data:
                data[draw.randrange(len(data))] = draw.randrange(256)
        # a destination without rate: what is still an INVITE is refused before it reaches a vendor
        customer.send(bytes(data).replace(call.callee.encode(), b"55100"), call.switch)
    customer.messages(QUIET_S)

    call.send(call.request("OPTIONS", branch="after"))
    customer.expect(200, passing=range(200, 700))


def test_an_unknown_source_is_not_answered(stage: Stage) -> None:
    with Peer(UNKNOWN_SOURCE) as unknown:
        call = OutgoingCall(unknown, stage.address, stage.number("4410"))
        call.invite()
        call.send(call.request("OPTIONS"))

        assert unknown.messages(QUIET_S) == []
    stage.expect_nothing_left()
    assert stage.records("--callee", call.callee) == []


FAULT = "this line is no header"


def test_a_line_that_is_no_header_in_every_message_after_the_invite_changes_nothing(stage: Stage) -> None:
    """The vendor's 200, the ACK, the BYE and the answer to it, each with that line (RFC 3261 section 8.2.2)."""
    with conversing(stage, "4410") as (talk,):
        talk.call.invite()
        invite = talk.vendor.expect("INVITE")
        talk.vendor.reply(invite, 200, tag="faulty", headers=[FAULT], body=ANSWER)
        response = talk.customer.final_response("1 INVITE", talk.call.call_id)
        assert (response.status, response.body) == (200, ANSWER)
        talk.vendor.expect("ACK")
        talk.call.adopt(response)
        talk.call.send(talk.call.request("ACK", headers=[FAULT]))
        talk.call.send(talk.call.request("BYE", 2, headers=[FAULT, "Max-Forwards: 1", "Require: foo"]))
        assert talk.customer.final_response("2 BYE", talk.call.call_id).status == 200
        talk.vendor.reply(talk.vendor.expect("BYE"), 200, headers=[FAULT])
    stage.expect_nothing_left()
    check(stage.record_of(talk.callee), answered("carrier-a", rang=False))
    stage.expect_clean_log()
