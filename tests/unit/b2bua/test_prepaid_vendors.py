"""Vendors that are paid in advance: held for from the attempt on, left out without money, never carried below a limit.

The vendors charge a cent a second by begun seconds; a minute is held at a time.
"""

from decimal import Decimal

import pytest
from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, rate_group, rating_policy
from doubles.sockets.peer import ANSWER
from doubles.successor import replace_node
from doubles.virtual.customer import SUPPORTS_100REL, Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import RINGS, Line, Script, answers, refuses

from vosd.billing.accounts import AccountType
from vosd.callcontrol.verdicts import verdicts_in

STRICT = rating_policy(hold_time_precision_ms=0)
ANSWERS_AT_ONCE_BEHIND_A_PRACK = Script((Line(0, 183, ANSWER), Line(10, 200, ANSWER)))


def scene_of(*balances, lateness_ms=0, limit="0", customer="100", **terms):
    """Make a scene whose vendors have an account each, with that much on it."""
    gateways = [vendor_gateway(index, account=f"carrier-{index}", **terms) for index in range(len(balances))]
    carriers = [
        account(f"carrier-{index}", type=AccountType.CLEARING, rate_group="buy", overdraft_limit=Decimal(limit))
        for index in range(len(balances))
    ]
    groups = [rate_group("sell", applied_rate("1.20")), rate_group("buy", applied_rate("0.60", policy=STRICT))]
    content = catalogue(
        [mapping_gateway("acme", f"{CUSTOMER.host}/32"), *gateways], accounts=carriers, rate_groups=groups
    )
    scene = Scene(content, balance=customer, lateness_ms=lateness_ms)
    for index, balance in enumerate(balances):
        scene.exchange.credits[f"carrier-{index}"].committed(Decimal(balance), 2)
    return scene


def reserved(scene):
    return [scene.exchange.credits[name].reserved for name in sorted(scene.exchange.credits)]


@pytest.mark.parametrize("lateness_ms", [0, 49, 3_000])
def test_a_call_ends_where_the_money_of_its_vendor_ends(lateness_ms):
    scene = scene_of("0.60", limit="0.37", lateness_ms=lateness_ms)
    scene.whole_call()
    scene.wire.run_for(10)
    record = scene.close()
    assert (record.end_reason, record.hangup_source) == ("Balance Exhausted", "switch")
    noted = verdicts_in(record.verdicts)
    assert noted is not None
    assert noted.refusal.startswith("vendor carrier-0: account carrier-0 has 0.00 USD available, ")
    assert (record.hold_time_ms, record.cost, record.fee) == (97_000, Decimal("0.97"), Decimal("1.94"))
    assert scene.exchange.credits["carrier-0"].available == 0


def test_the_vendor_is_held_for_while_it_is_tried_and_released_when_it_fails():
    scene = scene_of("1", "1", failover_after_ringing=True)
    scene.vendors[0].script, scene.vendors[1].script = refuses(503, after_ms=500), RINGS
    call = scene.begun_call(after_ms=400)
    assert reserved(scene) == [Decimal("1.20"), Decimal("0.60"), 0]
    scene.wire.run_for(400)
    assert reserved(scene) == [Decimal("1.20"), 0, Decimal("0.60")]
    call.cancel()
    scene.wire.run_for(100)
    assert scene.close().end_reason == "Cancelled"
    assert reserved(scene) == [0, 0, 0]


def test_a_vendor_that_cannot_pay_for_the_first_minute_is_left_out_and_the_next_is_tried():
    scene = scene_of("0.59", "1")
    call = scene.answered_call()
    assert scene.exchange.switch.calls()[0].call.journey.choice.gateway.name == "vendor-1"
    left = scene.exchange.switch.calls()[0].call_request.left
    assert [(each.gateway.name, each.cause.value) for each in left] == [("vendor-0", "vendor without funds")]
    scene.finish(call)


def test_without_any_vendor_that_can_pay_there_is_no_route():
    scene = scene_of("0.59", "0")
    scene.whole_call()
    record = scene.close()
    assert (record.end_reason, record.sip_code, record.attempts) == ("No Available Route", 503, ())
    assert "no funds: its account cannot pay for the first seconds of a call" in record.verdicts


def test_money_that_another_call_takes_while_a_gateway_rings_is_not_there_for_the_next_attempt():
    scene = scene_of("5", "0.60", "5", failover_after_ringing=True)
    scene.vendors[0].script = refuses(503, after_ms=1_000)
    waiting = scene.begun_call(after_ms=100)
    scene.exchange.credits["carrier-1"].post(Decimal("-0.01"))
    scene.wire.run_until(lambda: waiting.final == 200)
    assert waiting.final == 200
    (live_call,) = scene.exchange.switch.calls()
    assert live_call.call.journey.choice.gateway.name == "vendor-2"
    assert [each.gateway.name for each in live_call.call_request.left] == ["vendor-1"]
    assert reserved(scene)[1:] == [0, 0, Decimal("0.60")]
    scene.exchange.credits["carrier-1"].booked(Decimal("-0.01"))
    scene.finish(waiting)


def test_a_hundred_parallel_calls_on_a_vendors_money_for_five_carry_exactly_five():
    scene = scene_of("3.00", customer="1000")
    calls = [scene.caller.call(CALLEE, Intent(hang_up_after_ms=55_000)) for _ in range(100)]
    scene.wire.run_until(lambda: all(call.is_over for call in calls))
    scene.wire.run_for(1_000)
    assert sorted(call.final for call in calls) == [200] * 5 + [503] * 95
    scene.expect_nothing_left(within_ms=0)


def test_the_vendor_pays_for_the_time_before_our_200_and_no_more_than_it_has():
    """Its answer is three seconds old when the caller's 200 goes out."""
    scene = scene_of("0.65")
    scene.vendor.script = ANSWERS_AT_ONCE_BEHIND_A_PRACK
    call = scene.begun_call(Intent(headers=SUPPORTS_100REL, pracks=False), after_ms=3_010)
    acknowledge(call)
    record = scene.end_of(call)
    assert record.end_reason == "Balance Exhausted"
    assert record.answered_at - record.vendor_answered_at in range(2_900, 3_001)
    assert (record.hold_time_ms, record.cost) == (62_000, Decimal("0.65"))


def acknowledge(call):
    early = call.response(183)
    call.remote, call.target = early["To"], early.target
    call.ask("PRACK", headers=(f"RAck: {early['RSeq']} 1 INVITE",))


@pytest.mark.parametrize("lateness_ms", [0, 3_000])
def test_an_answer_waits_for_its_prack_no_longer_than_the_vendor_is_paid_for(lateness_ms):
    scene = scene_of("0.10", max_call_seconds=10, lateness_ms=lateness_ms)
    scene.whole_call(Intent(headers=SUPPORTS_100REL, pracks=False), script=ANSWERS_AT_ONCE_BEHIND_A_PRACK)
    record = scene.close()
    assert (record.end_reason, record.sip_code, record.answered_at) == ("Unavailable", 504, None)
    assert (record.ended_at - record.vendor_answered_at, record.cost) == (10_000, Decimal("0.10"))


def test_a_prack_that_comes_after_the_vendors_money_has_ended_answers_no_more():
    scene = scene_of("0.10", max_call_seconds=10, lateness_ms=3_000)
    scene.vendor.script = ANSWERS_AT_ONCE_BEHIND_A_PRACK
    call = scene.begun_call(Intent(headers=SUPPORTS_100REL, pracks=False), after_ms=11_500)
    acknowledge(call)
    record = scene.end_of(call)
    assert (call.final, record.answered_at, record.cost) == (504, None, Decimal("0.10"))


def test_a_vendor_without_limit_is_not_held_for():
    scene = Scene()
    call, _ = scene.talk()
    assert reserved(scene) == [Decimal("0.60"), 0]
    scene.finish(call)


def test_a_gateway_without_buy_rate_of_an_account_with_money_is_tried_and_holds_nothing():
    scene = scene_of("1", allow_unrated=True)
    scene.exchange.swap_catalogue(unrated(scene.exchange.switch.catalogue))
    call, _ = scene.talk()
    assert reserved(scene) == [Decimal("1.20"), 0]
    assert scene.finish(call).cost == 0


def unrated(content):
    carrier = account("carrier-0", type=AccountType.CLEARING, rate_group=None)
    gateways = [*content.mapping_gateways.values(), *content.routing_gateways.values()]
    return catalogue(gateways, accounts=[carrier], rate_groups=content.rate_groups.values())


def test_a_call_that_is_restored_goes_on_holding_its_vendor():
    scene = scene_of("0.97")
    scene.vendor.script = answers()
    call, _ = scene.talk()
    before = reserved(scene)
    replace_node(scene)
    assert reserved(scene) == before == [Decimal("1.20"), Decimal("0.60")]
    assert scene.end_of(call).cost == Decimal("0.97")
