"""Packets that come twice, cross each other, or never come."""

import pytest
from doubles.sockets.peer import ANSWER, OutgoingCall, Peer

from .addresses import VENDORS
from .conversation import Conversation
from .expectations import Expected, answered, check
from .stage import Stage

CARRIER_A = VENDORS["carrier-a"]
SIXTY_FOUR_T1_S = 3.2
RTT_S = 0.3
"""Longer than anything on this machine takes, shorter than any timer that matters."""


@pytest.fixture
def customer(stage: Stage):
    """A customer's agent at an address of its own."""
    with Peer(stage.endpoint_of("acme")) as peer:
        yield peer


@pytest.fixture
def vendor():
    """The agent behind carrier-a."""
    with Peer(CARRIER_A) as peer:
        yield peer


def dial(stage: Stage, customer: Peer) -> OutgoingCall:
    return OutgoingCall(customer, stage.address, stage.number("4410"))


def settle(stage: Stage, call: OutgoingCall, expected: Expected) -> None:
    stage.expect_nothing_left()
    check(stage.record_of(call.callee), expected)
    stage.expect_clean_log()


def test_a_repeated_invite_is_one_call_and_gets_the_same_answer(stage: Stage, customer: Peer, vendor: Peer) -> None:
    call = dial(stage, customer)
    invite = call.invite()
    customer.expect(100)
    call.send(invite)
    call.send(invite)
    incoming = vendor.expect("INVITE")
    vendor.reply(incoming, 486, tag="vendor-busy")
    vendor.expect("ACK")
    refusal = customer.expect(486)
    call.send(invite)  # the ACK is late: the caller asks again

    again = customer.expect(486)
    call.remote_to = again["To"]
    call.send(call.request("ACK", branch="INVITE"))

    assert again.headers == refusal.headers
    assert vendor.messages(RTT_S) == []
    settle(stage, call, Expected("Busy", "callee", 486, 17, (("carrier-a", 486),)))


def test_an_answer_is_repeated_until_its_ack_comes(stage: Stage, customer: Peer, vendor: Peer) -> None:
    call = dial(stage, customer)
    call.invite()
    incoming = vendor.expect("INVITE")
    vendor.reply(incoming, 200, tag="vendor-answer", body=ANSWER)
    vendor.expect("ACK")  # the vendor is not made to wait for the caller
    first = customer.expect(200)
    second = customer.expect(200)
    third = customer.expect(200)
    assert first.headers == second.headers == third.headers
    call.adopt(third)
    call.send(call.request("ACK"))

    assert customer.messages(0.6) == []
    call.hang_up()
    vendor.reply(vendor.expect("BYE"), 200)
    settle(stage, call, answered("carrier-a", rang=False))


def test_an_answer_without_ack_ends_the_call_both_ways(stage: Stage, customer: Peer, vendor: Peer) -> None:
    call = dial(stage, customer)
    call.invite()
    incoming = vendor.expect("INVITE")
    vendor.reply(incoming, 200, tag="vendor-answer", body=ANSWER)
    vendor.expect("ACK")

    bye = customer.expect("BYE", within_s=5 * SIXTY_FOUR_T1_S, passing=[200])
    customer.reply(bye, 200)
    vendor.reply(vendor.expect("BYE"), 200)

    expected = Expected(
        "No ACK", "switch", 200, 102, (("carrier-a", 200),), answered=True, columns={"routing_gateway": "carrier-a"}
    )
    settle(stage, call, expected)
    held_ms = stage.record_of(call.callee)["hold_time_ms"]
    assert SIXTY_FOUR_T1_S * 1000 <= held_ms < 5 * SIXTY_FOUR_T1_S * 1000


def test_both_sides_hang_up_at_once_and_both_are_answered(stage: Stage, customer: Peer, vendor: Peer) -> None:
    conversation = Conversation(stage, customer, vendor, "4410")
    conversation.establish()
    call = conversation.call

    call.send(call.request("BYE", 2))
    conversation.hang_up_from_the_vendor()

    customer.final_response("2 BYE", call.call_id)
    heard = vendor.messages(RTT_S)
    for bye in [message for message in heard if message.method == "BYE"][:1]:
        vendor.reply(bye, 200)
    assert {message.method or message["CSeq"] for message in heard} == {"BYE", "1 BYE"}
    assert {message.status for message in heard if message.status} <= {200, 481}
    settle(stage, call, answered("carrier-a", rang=False))


def test_a_vendor_that_repeats_its_answer_is_acknowledged_again(stage: Stage, customer: Peer, vendor: Peer) -> None:
    call = dial(stage, customer)
    call.invite()
    incoming = vendor.expect("INVITE")
    answer = vendor.reply(incoming, 200, tag="vendor-answer", body=ANSWER)
    first = vendor.expect("ACK")
    call.answered()

    vendor.send(answer, incoming.source)

    assert vendor.expect("ACK")["CSeq"] == first["CSeq"]
    call.hang_up()
    vendor.reply(vendor.expect("BYE"), 200)
    settle(stage, call, answered("carrier-a", rang=False))


def test_a_repeated_bye_is_answered_again_and_changes_nothing(stage: Stage, customer: Peer, vendor: Peer) -> None:
    conversation = Conversation(stage, customer, vendor, "4410")
    conversation.establish()
    conversation.hang_up()
    call = conversation.call

    assert call.hang_up().status == 200

    settle(stage, call, answered("carrier-a", rang=False))


def test_cancel_after_the_answer_changes_nothing(stage: Stage, customer: Peer, vendor: Peer) -> None:
    call = dial(stage, customer)
    call.invite()
    incoming = vendor.expect("INVITE")
    vendor.reply(incoming, 200, tag="vendor-answer", body=ANSWER)
    vendor.expect("ACK")
    answer = customer.expect(200)

    call.send(call.request("CANCEL", branch="INVITE"))

    assert customer.final_response("1 CANCEL", call.call_id).status == 200
    call.adopt(answer)
    call.send(call.request("ACK"))
    call.hang_up()
    vendor.reply(vendor.expect("BYE"), 200)
    settle(stage, call, answered("carrier-a", rang=False))
