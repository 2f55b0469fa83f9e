"""Concurrency and calls a second, of customers' and of vendors' gateways."""

import time
from collections.abc import Iterator

import pytest
from doubles.sockets.peer import Message, OutgoingCall

from .conversation import Conversation, conversing
from .expectations import Expected, check
from .stage import Stage


@pytest.fixture(autouse=True)
def _alone(stage: Stage) -> Iterator[None]:
    """End what a test has left that failed: the next one must find the limits unused."""
    yield
    if stage.status()["calls"]:
        stage.daemon.succeed("hangup", "--older-than", "0", "--yes")
        stage.expect_nothing_left()


def refusal_of(call: OutgoingCall) -> tuple[int | None, str, list[str]]:
    """Dial, and return the status, the Reason and any Retry-After of the refusal."""
    call.invite()
    response = call.refused()
    return response.status, response["Reason"], response.every("Retry-After")


def test_a_full_customer_gets_503_and_may_call_again_when_a_call_has_ended(stage: Stage) -> None:
    with conversing(stage, "4410", "4410", "4410", customer="narrow") as (first, second, third):
        first.establish()
        assert refusal_of(second.call) == (503, 'Q.850;cause=42;text="Gateway Capacity"', [])
        first.hang_up()
        third.establish()
        third.hang_up()
    stage.expect_nothing_left()
    check(
        stage.record_of(second.callee), Expected("Gateway Capacity", "switch", 503, 42, customer="narrow", rated=False)
    )
    stage.expect_clean_log()


def test_a_customer_over_its_rate_gets_503_until_a_second_has_passed(stage: Stage) -> None:
    with conversing(stage, "4410", "4410", customer="hasty") as (first, second):
        began = time.monotonic()
        first.call.invite()
        assert refusal_of(second.call) == (503, 'Q.850;cause=42;text="Gateway Rate Limit"', [])
        first.answer(first.vendor.expect("INVITE"))
        later = call_until_taken(stage, second)
        waited_s = time.monotonic() - began
        later.hang_up()
        first.hang_up()
    assert waited_s >= 1.0
    stage.expect_nothing_left()
    check(
        stage.record_of(second.callee), Expected("Gateway Rate Limit", "switch", 503, 42, customer="hasty", rated=False)
    )
    stage.expect_clean_log()


def call_until_taken(stage: Stage, refused: Conversation) -> Conversation:
    """Dial again and again, every time refused, until a call reaches the vendor; refused ones do not count."""
    while True:
        again = Conversation(stage, refused.customer, refused.vendor, "4410")
        again.call.invite()
        if is_taken(again):
            return again


def is_taken(attempt: Conversation) -> bool:
    """Answer the call and return True where it reaches the vendor; False where the caller is refused."""
    call = attempt.call
    while True:
        incoming = attempt.vendor.receive(0.02)
        # Repetitions of what belongs to the calls before may come in between: the machine is busy.
        if incoming is not None and incoming.method == "INVITE" and f"sip:{attempt.callee}@" in incoming.start_line:
            attempt.answer(incoming)
            return True
        response = attempt.customer.receive(0)
        if response is not None and is_final(response, call):
            assert response.status == 503
            call.remote_to = response["To"]
            call.send(call.request("ACK", branch="INVITE"))
            return False


def is_final(response: Message, call: OutgoingCall) -> bool:
    """Return whether a message is the final response to the INVITE of a call."""
    matches = response.every("Call-ID") == [call.call_id] and response.every("CSeq") == ["1 INVITE"]
    return matches and (response.status or 0) >= 200


def test_a_full_vendor_leaves_no_route(stage: Stage) -> None:
    with conversing(stage, "4450", "4450", gateway="carrier-narrow") as (first, second):
        first.establish()
        assert refusal_of(second.call) == (503, 'Q.850;cause=3;text="No Available Route"', [])
        first.hang_up()
    stage.expect_nothing_left()
    check(stage.record_of(second.callee), Expected("No Available Route", "switch", 503, 3))
    stage.expect_clean_log()


def test_a_vendor_over_its_rate_leaves_no_route(stage: Stage) -> None:
    with conversing(stage, "4460", "4460", gateway="carrier-hasty") as (first, second):
        first.call.invite()
        assert refusal_of(second.call) == (503, 'Q.850;cause=3;text="No Available Route"', [])
        first.answer(first.vendor.expect("INVITE"))
        first.hang_up()
    stage.expect_nothing_left()
    check(stage.record_of(second.callee), Expected("No Available Route", "switch", 503, 3))
    stage.expect_clean_log()
