"""Answered calls: which side ends them, what is billed, what each side receives."""

from decimal import Decimal

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.sockets.peer import ANSWER, OFFER
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, usual_catalogue, vendor_gateway
from doubles.virtual.vendor import answers, refuses

TRUNK = mapping_gateway("acme", f"{CUSTOMER.host}/32")


def test_the_caller_hangs_up(scene):
    call = scene.whole_call(Intent(hang_up_after_ms=61_000))
    record = scene.close()
    assert call.statuses == [180, 200]
    assert call.got["BYE"] == [200]
    assert scene.vendor.only_call.is_over
    assert (record.end_reason, record.hangup_source, record.sip_code, record.q850_cause) == (
        "Normal",
        "caller",
        200,
        16,
    )
    assert (record.mapping_gateway, record.routing_gateway) == ("acme", "vendor-0")
    assert (record.customer_account, record.vendor_account, record.currency) == ("acme", "carriers", "USD")
    assert (record.caller_in, record.callee_in) == ("12025550100", CALLEE)
    assert (record.caller_out, record.callee_out, record.callee_billing) == ("12025550100", CALLEE, CALLEE)
    assert (record.sip_call_id_in, record.sip_call_id_out) == (call.call_id, scene.vendor.only_call.call_id)
    assert (record.source_address, record.destination_address) == (str(CUSTOMER), str(VENDORS[0]))
    assert (record.codec, record.vendor_codec) == ("PCMU", "PCMU")
    assert (record.pdd_ms, record.hold_time_ms, record.hold_time_s) == (2, 61_002, 61)
    assert record.ended_at == record.answered_at + 61_002
    assert record.ringing_at == record.started_at + 2
    assert (record.fee, record.cost) == (Decimal("0.61"), Decimal("0.305"))
    (attempt,) = record.attempts
    assert (attempt.gateway, attempt.code, attempt.ms, attempt.pdd_ms) == ("vendor-0", 200, 1_002, 2)


def test_the_callee_hangs_up(scene):
    scene.whole_call(script=answers(hang_up_after_ms=5_000))
    scene.wire.run_for(10)
    record = scene.close()
    assert scene.vendor.only_call.got["BYE"] == [200]
    assert (record.end_reason, record.hangup_source, record.hold_time_ms) == ("Normal", "callee", 5_000)


def test_offer_and_answer_pass_untouched(scene):
    call = scene.whole_call(Intent(hang_up_after_ms=1_000))
    assert scene.vendor.only_call.invite.body == OFFER
    (answer,) = (response for response in call.responses if response.status == 200)
    assert answer.body == ANSWER
    assert answer["Content-Type"] == "application/sdp"


def test_each_side_is_acknowledged_once_and_the_vendor_at_once(scene):
    call = scene.answered_call(Intent(acknowledges=False), talk_ms=2)
    assert len(scene.vendor.only_call.acks) == 1
    call.acknowledge()
    scene.wire.run_for(10_000)
    assert len(scene.caller.received(200)) == 1
    assert len(scene.vendor.only_call.acks) == 1
    scene.finish(call)


def test_both_hang_up_at_the_same_moment(scene):
    """BYE crossing BYE: both get 200, the record has one end."""
    call = scene.answered_call(talk_ms=3_000)
    scene.vendor.only_call.hang_up()
    scene.hang_up(call, wait_ms=100)
    assert call.got["BYE"] == [200]
    assert scene.vendor.only_call.got["BYE"] == [200]
    assert scene.close().end_reason == "Normal"


def test_callee_hangs_up_before_the_callers_ack_and_our_bye_waits_for_it(scene):
    """RFC 3261 section 15.1.1: no BYE to a caller whose ACK is missing, until it came or 64·T1 are over."""
    call = scene.answered_call(Intent(acknowledges=False))
    scene.hang_up(scene.vendor.only_call, wait_ms=400)
    assert scene.exchange.record.hangup_source == "callee"
    assert scene.caller.received("BYE") == []
    call.acknowledge()
    scene.wire.run_for(10)
    assert len(scene.caller.received("BYE")) == 1
    assert call.is_over
    scene.close()


def test_callee_hangs_up_and_the_callers_ack_never_comes(scene):
    scene.answered_call(Intent(acknowledges=False))
    scene.hang_up(scene.vendor.only_call, wait_ms=31_000)
    assert scene.caller.received("BYE") == []
    scene.wire.run_for(2_000)
    assert len(scene.caller.received("BYE")) == 1
    record = scene.close()
    assert (record.end_reason, record.hangup_source) == ("Normal", "callee")


def test_callee_hangs_up_before_the_ack_and_the_caller_hangs_up_instead_of_acknowledging(scene):
    call = scene.answered_call(Intent(acknowledges=False))
    scene.hang_up(scene.vendor.only_call, wait_ms=100)
    scene.hang_up(call, wait_ms=100)
    assert call.got["BYE"] == [200]
    assert scene.caller.received("BYE") == []
    scene.close()


def test_a_200_without_ack_is_repeated_for_64_t1_and_ends_the_call(scene):
    """No ACK: billed as answered, source switch, BYE both ways."""
    scene.whole_call(Intent(acknowledges=False))
    record = scene.close()
    assert (record.end_reason, record.hangup_source, record.hold_time_ms) == ("No ACK", "switch", 32_000)
    assert record.fee == Decimal("0.32")
    assert len(scene.caller.received(200)) == 11  # after 0, 0.5, 1.5, 3.5, 7.5 s, then every 4 s up to 31.5 s
    assert scene.vendor.only_call.is_over
    assert len(scene.caller.received("BYE")) == 1


def test_a_lost_200_is_repeated_until_its_ack(scene):
    lost = []

    def lose_the_first_200(packet):
        if packet.target == CUSTOMER and packet.data.startswith(b"SIP/2.0 200") and len(lost) < 2:
            lost.append(packet)
            return ()
        return (1,)

    scene.wire.delays = lose_the_first_200
    scene.whole_call(Intent(hang_up_after_ms=1_000))
    assert scene.close().end_reason == "Normal"


def test_a_repeated_invite_makes_no_second_call(scene):
    call = scene.caller.call(CALLEE, Intent(hang_up_after_ms=3_000))
    for _ in range(3):
        scene.wire.run_for(600)
        call.invite_again()
    scene.wire.run_until(lambda: call.is_over)
    assert len(scene.vendor.calls) == 1
    assert len(scene.caller.received(200)) == 2  # the answer, and the BYE's
    scene.close()


def test_a_doubled_ack_of_a_declined_reinvite_does_the_call_no_harm(scene):
    """An unexpected ACK is ignored, and the call goes on."""
    call = scene.answered_call(talk_ms=1_000)
    for side in (call, scene.vendor.only_call):
        side.ask("INVITE", body=OFFER)
        scene.wire.run_for(100)
        ack = next(packet for packet in reversed(scene.wire.packets) if packet.data.startswith(b"ACK"))
        scene.wire.run_for(100)
        scene.wire.send(*ack[1:])
        side.agent.send(side.request("ACK", 7, "z9hG4bK-stray"))
        scene.wire.run_for(100)
    assert scene.exchange.switch.census()["calls"] == 1
    assert scene.finish(call).end_reason == "Normal"


def test_late_offer_the_answer_in_the_callers_ack_goes_into_the_vendors_ack(scene):
    call = scene.answered_call(Intent(offer="", acknowledges=False), script=answers(body=OFFER))
    assert scene.vendor.only_call.invite.body == ""
    assert call.responses[-1].body == OFFER
    scene.wire.run_for(700)
    assert scene.vendor.only_call.acks == []
    call.acknowledge()
    scene.wire.run_for(10)
    (ack,) = scene.vendor.only_call.acks
    assert ack.body == ANSWER
    assert ack["Content-Type"] == "application/sdp"
    record = scene.finish(call)
    assert (record.codec, record.vendor_codec) == ("PCMU", "PCMU")


def test_late_offer_what_is_no_session_description_does_not_pass(scene):
    """Only SDP crosses from one side to the other."""
    call = scene.answered_call(Intent(offer="", acknowledges=False))
    ack = call.request("ACK", 1, "z9hG4bK-ack", body="secret").replace("application/sdp", "text/plain")
    call.agent.send(ack)
    scene.wire.run_for(10)
    assert [ack.body for ack in scene.vendor.only_call.acks] == [""]
    scene.hang_up(call)
    assert b"secret" not in scene.bytes_to(VENDORS[0])
    scene.close()


def test_late_offer_without_any_ack_ends_both_legs_and_acknowledges_the_vendor(scene):
    scene.whole_call(Intent(offer="", acknowledges=False), script=answers(body=OFFER)._replace(is_patient=True))
    scene.wire.run_for(100)
    there = scene.vendor.only_call
    assert len(there.acks) == 1
    assert there.is_over
    assert scene.close().end_reason == "No ACK"


def test_late_offer_a_callee_that_hangs_up_before_the_ack_is_acknowledged_too(scene):
    call = scene.answered_call(Intent(offer="", acknowledges=False))
    scene.hang_up(scene.vendor.only_call, wait_ms=100)
    assert len(scene.vendor.only_call.acks) == 1
    call.acknowledge()
    scene.wire.run_for(100)
    assert call.is_over
    scene.close()


@pytest.mark.parametrize("longest", [20, 90, 200])
def test_a_gateway_limits_the_calls_through_it(longest):
    """Less than one advance of money, more than one, and more than the account's own limit allows."""
    scene = Scene(usual_catalogue(vendors=1, terms={"max_call_seconds": longest}, max_call_seconds=150))
    scene.whole_call()
    scene.wire.run_for(10)
    record = scene.close()
    seconds = min(longest, 150)
    assert (record.end_reason, record.hangup_source) == ("Maximum Duration", "switch")
    assert record.hold_time_ms == 1_000 * seconds
    assert scene.vendor.only_call.is_over


def test_the_limit_of_a_gateway_that_was_only_tried_limits_nothing():
    scene = Scene(catalogue([TRUNK, vendor_gateway(0, max_call_seconds=20), vendor_gateway(1)]))
    scene.whole_call(Intent(hang_up_after_ms=100_000), script=refuses(503))
    assert scene.close().end_reason == "Normal"


def test_the_longest_call_ends_with_maximum_duration():
    scene = Scene(usual_catalogue(max_call_seconds=90))
    scene.whole_call()
    scene.wire.run_for(10)
    record = scene.close()
    assert (record.end_reason, record.hangup_source, record.hold_time_ms) == ("Maximum Duration", "switch", 90_000)
    assert scene.vendor.only_call.is_over
    assert 'Reason: Q.850;cause=31;text="Maximum Duration"' in scene.bytes_to(CUSTOMER).decode()
