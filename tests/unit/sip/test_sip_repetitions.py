"""Retransmitted requests: each is answered as before or absorbed, and none reaches the endpoint's user again."""

import pytest
from doubles.virtual.probe import request


def test_an_invite_without_response_is_absorbed(probe):
    assert probe.receive(request("INVITE")) is not None
    assert probe.receive(request("INVITE")) is None
    assert probe.sent() == []


def test_an_invite_gets_its_latest_provisional_response_again(probe):
    probe.receive(request("INVITE")).transaction.respond(180, "tag", "", probe.now)
    (ringing,) = probe.sent()
    assert probe.receive(request("INVITE")) is None
    assert probe.sent() == [ringing]


def test_the_ack_of_a_failure_is_absorbed_when_it_comes_again(probe):
    probe.receive(request("INVITE")).transaction.respond(486, "tag", "", probe.now)
    probe.sent()
    for _ in range(2):
        assert probe.receive(request("ACK", to="<sip:4420@192.0.2.1>;tag=tag")) is None
    assert probe.sent() == []


def test_a_finished_request_gets_the_same_answer_again(probe):
    probe.receive(request("OPTIONS"))
    (answer,) = probe.sent()
    assert probe.receive(request("OPTIONS")) is None
    assert probe.sent() == [answer]


def test_a_refusal_without_transaction_is_the_same_again(probe):
    stray = request("BYE", to="<sip:4420@192.0.2.1>;tag=unknown")
    assert probe.receive(stray) is None
    (refusal,) = probe.sent()
    assert refusal.data.startswith(b"SIP/2.0 481 ")
    assert probe.receive(stray) is None
    assert probe.sent() == [refusal]
    assert probe.endpoint.census()["transactions"] == 0


@pytest.mark.parametrize("method", ["INVITE", "REGISTER"])
def test_another_request_with_the_branch_of_an_open_one_is_refused_for_now(probe, method):
    assert probe.receive(request(method)) is not None
    probe.sent()
    assert probe.receive(request(method, cseq=f"2 {method}")) is None
    (refusal,) = probe.sent()
    assert refusal.data.startswith(b"SIP/2.0 500 ")
    assert b"Retry-After: 1\r\n" in refusal.data
