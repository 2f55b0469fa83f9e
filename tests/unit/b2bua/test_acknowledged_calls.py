"""When a call is up on both sides: the caller's ACK of our 200, beside the answer that is billed from."""

import pytest
from doubles.virtual.customer import Intent
from doubles.virtual.vendor import answers


def test_the_record_has_the_time_of_the_callers_ack(scene):
    call, _ = scene.talk()
    record = scene.finish(call)
    assert record.acknowledged_at - record.answered_at == 2, "a millisecond each way"


def test_a_late_ack_has_a_time_of_its_own(scene):
    call = scene.answered_call(Intent(acknowledges=False), script=answers(), talk_ms=3_000)
    call.acknowledge()
    scene.wire.run_for(1_000)
    scene.propose(call, "a=sendonly", wait_ms=5_000)
    record = scene.finish(call)
    assert record.acknowledged_at - record.answered_at in range(3_000, 3_010), "the first ACK counts"
    assert record.hold_time_ms >= 9_000, "what is billed runs from the answer"


@pytest.mark.parametrize("number", ["", "99999999999 "])
def test_an_ack_whose_number_cannot_be_read_confirms_the_call(scene, number):
    call = scene.answered_call(Intent(acknowledges=False), script=answers())
    call.agent.send(call.request("ACK", 1, "z9hG4bK-ack").replace("CSeq: 1 ACK", f"CSeq: {number}ACK"))
    scene.wire.run_for(60_000)
    record = scene.finish(call)
    assert (record.end_reason, record.acknowledged_at is None) == ("Normal", False)


def test_a_call_that_is_never_acknowledged_has_no_such_time(scene):
    scene.whole_call(Intent(acknowledges=False), script=answers())
    record = scene.close()
    assert (record.end_reason, record.acknowledged_at) == ("No ACK", None)
