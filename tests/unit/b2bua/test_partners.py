"""Accounts that are customer and vendor at once: what they pay and what they are paid meet in one balance with a limit.

The partner pays two cents a second and is paid one cent a second; a minute is held at a time.
"""

from decimal import Decimal

from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, rate_group
from doubles.successor import replace_node
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway

from vosd.billing.accounts import AccountType
from vosd.cdr.record import charged_by

PARTNER = "partner"


def scene_of(*, caller=PARTNER, balance="0", limit="0", customer="100", **terms):
    """Make a scene whose vendor is the partner's gateway, and whose caller is of the account ``caller``."""
    partner = account(PARTNER, type=AccountType.PARTNER, rate_group="sell", overdraft_limit=Decimal(limit), **terms)
    groups = [
        rate_group("sell", applied_rate("1.20")),
        rate_group("paid", applied_rate("0.60")),
        rate_group("cheap", applied_rate("0.06")),
    ]
    gateways = [
        mapping_gateway("trunk", f"{CUSTOMER.host}/32", account=caller),
        vendor_gateway(0, account=PARTNER, rate_group="paid"),
    ]
    scene = Scene(catalogue(gateways, accounts=[partner], rate_groups=groups), balance=customer)
    scene.exchange.credits[PARTNER].committed(Decimal(balance), 2)
    return scene


def credit_of(scene):
    return scene.exchange.credits[PARTNER]


def test_what_a_partner_carries_raises_its_balance_and_holds_nothing():
    scene = scene_of(caller="acme", balance="-5", limit="5")
    call = scene.answered_call(Intent(hang_up_after_ms=90_000))
    assert (credit_of(scene).available, credit_of(scene).reserved) == (0, 0)
    record = scene.end_of(call)
    assert (record.vendor_account, record.cost) == (PARTNER, Decimal("0.90"))
    assert [(each.account, each.amount) for each in record.postings] == [
        ("acme", Decimal("-1.80")),
        (PARTNER, Decimal("0.90")),
    ]
    assert [(each.role, each.earned) for each in record.charges] == [("customer", None), ("vendor", 1)]


def test_what_it_has_earned_counts_when_it_is_booked():
    scene = scene_of(caller="acme", balance="-5", limit="5")
    scene.whole_call(Intent(hang_up_after_ms=90_000))
    record = scene.close()
    credit = credit_of(scene)
    assert (credit.available, credit.unbooked) == (0, 0)
    credit.committed(Decimal("-4.10"), 3)
    credit.booked(charged_by([record])[PARTNER])
    assert (credit.available, credit.unbooked) == (Decimal("0.90"), 0)


def test_a_call_to_its_own_gateway_needs_the_whole_fee_and_books_both_sides():
    scene = scene_of(balance="1.50")
    call, _ = scene.talk()
    assert credit_of(scene).reserved == Decimal("1.20")
    record = scene.end_of(call)
    assert (record.end_reason, record.hold_time_ms) == ("Balance Exhausted", 75_000)
    assert [(each.account, each.amount) for each in record.postings] == [
        (PARTNER, Decimal("-1.50")),
        (PARTNER, Decimal("0.75")),
    ]
    assert credit_of(scene).available == 0


def test_a_hundred_parallel_calls_to_its_own_gateway_on_money_for_five_carry_exactly_five():
    scene = scene_of(balance="2", limit="4")
    calls = [scene.caller.call(CALLEE, Intent(hang_up_after_ms=55_000)) for _ in range(100)]
    scene.wire.run_until(lambda: all(call.is_over for call in calls))
    scene.wire.run_for(1_000)
    assert sorted(call.final for call in calls) == [200] * 5 + [402] * 95
    scene.expect_nothing_left(within_ms=0)


def test_rates_of_its_account_are_what_it_pays_and_price_nothing_that_it_is_paid():
    scene = scene_of(caller="acme", private_rate_group="cheap")
    scene.whole_call(Intent(hang_up_after_ms=60_000))
    assert scene.close().cost == Decimal("0.60")


def test_a_restored_call_still_earns():
    scene = scene_of(balance="100")
    call, _ = scene.talk()
    replace_node(scene)
    assert credit_of(scene).reserved == Decimal("1.20")
    scene.wire.run_for(60_000)
    scene.finish(call)
    record = scene.close()
    assert [each.amount > 0 for each in record.postings] == [False, True]
    assert [each.earned for each in record.charges] == [None, 1]
