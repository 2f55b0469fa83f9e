"""Calls of an account below two agents: charged at every level, held for on all, refused where one cannot pay.

The customer pays two cents a second, its agent 1.5, the agent of that one 1.2; a minute is held at a time.
"""

from decimal import Decimal

import pytest
from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, override, rate_group, rating_policy
from doubles.successor import replace_node
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway

from vosd.base.margin import LossGuard
from vosd.callcontrol.verdicts import verdicts_in
from vosd.catalogue.overrides import Target

STRICT = rating_policy(hold_time_precision_ms=0)
LEVELS = ("acme", "reseller", "wholesaler")


def content(terms=None, *, prefixes=("44", "44", "44"), prices=("1.20", "0.90", "0.72"), guard=None):
    terms = terms or {}
    agents = dict(zip(LEVELS, (*LEVELS[1:], None), strict=True))
    accounts = [account(name, rate_group=f"of {name}", agent=agents[name], **terms.get(name, {})) for name in LEVELS]
    groups = [
        rate_group(f"of {name}", applied_rate(price, prefix=prefix, policy=STRICT))
        for name, price, prefix in zip(LEVELS, prices, prefixes, strict=True)
    ]
    gateways = [mapping_gateway("acme", f"{CUSTOMER.host}/32", loss_guard=guard), vendor_gateway(0)]
    return catalogue(gateways, accounts=accounts, rate_groups=groups)


def scene_of(*balances, terms=None, lateness_ms=0, **made):
    scene = Scene(content(terms, **made), balance=balances[0], lateness_ms=lateness_ms)
    for name, balance in zip(LEVELS, balances, strict=True):
        scene.exchange.credits[name].committed(Decimal(balance), 2)
    return scene


def refusal_of(scene):
    call = scene.whole_call()
    record = scene.close()
    return call.final, record.end_reason, record.verdicts


def test_every_level_is_charged_by_its_own_rate_in_one_record():
    scene = scene_of("100", "100", "100")
    scene.whole_call(Intent(hang_up_after_ms=59_500))
    record = scene.close()
    assert [(each.account, each.role, each.level, each.fee) for each in record.charges] == [
        ("acme", "customer", 0, Decimal("1.20")),
        ("reseller", "agent", 1, Decimal("0.90")),
        ("wholesaler", "agent", 2, Decimal("0.72")),
        ("carriers", "vendor", 0, Decimal("0.30")),
    ]
    assert {each.account: each.amount for each in record.postings} == {
        "acme": Decimal("-1.20"),
        "reseller": Decimal("-0.90"),
        "wholesaler": Decimal("-0.72"),
        "carriers": Decimal("-0.30"),
    }


@pytest.mark.parametrize(("prices", "final"), [(("0.20", "0.20", "0.72"), 200), (("1.20", "0.90", "0.20"), 503)])
def test_a_vendor_may_cost_no_more_than_the_highest_agent_pays(prices, final):
    assert refusal_of(scene_of("0.30", "0.30", "9", prices=prices, guard=LossGuard()))[0] == final


def test_each_level_is_asked_for_its_own_advance():
    """A customer of a small balance may be below an agent that pays for a minute ahead, and the reverse."""
    assert refusal_of(scene_of("0.30", "9", "9", terms={"acme": {"advance_s": 10}}))[0] == 200
    assert refusal_of(scene_of("9", "0.30", "9", terms={"reseller": {"advance_s": 10}}))[0] == 200
    refused, reason, _ = refusal_of(scene_of("9", "0.30", "9", terms={"acme": {"advance_s": 10}}))
    assert (refused, reason) == (402, "Insufficient Balance")


@pytest.mark.parametrize("lateness_ms", [0, 3_000])
@pytest.mark.parametrize(
    ("balances", "lasts_s", "whose"),
    [
        (("1.60", "9", "9"), 80, "account acme"),
        (("9", "1.20", "9"), 80, "agent reseller: account reseller"),
        (("9", "9", "0.84"), 70, "agent wholesaler: account wholesaler"),
    ],
)
def test_a_call_ends_where_the_money_of_the_first_level_ends(balances, lasts_s, whose, lateness_ms):
    scene = scene_of(*balances, lateness_ms=lateness_ms)
    scene.whole_call()
    scene.wire.run_for(10)
    record = scene.close()
    assert (record.end_reason, record.hold_time_ms) == ("Balance Exhausted", lasts_s * 1_000)
    noted = verdicts_in(record.verdicts)
    assert noted is not None
    assert noted.refusal.startswith(f"{whose} has 0.00 USD available, 1 s to prefix 44 hold ")
    credits = scene.exchange.credits
    assert min(credits[name].available for name in LEVELS) == 0


@pytest.mark.parametrize(("balances", "who"), [(("9", "0.89", "9"), "reseller"), (("9", "9", "0.71"), "wholesaler")])
def test_an_agent_that_cannot_pay_refuses_the_calls_below_it_and_is_named(balances, who):
    final, reason, verdicts = refusal_of(scene_of(*balances))
    assert (final, reason) == (402, "Insufficient Balance")
    assert f"agent {who}: account {who} has {balances[LEVELS.index(who)]} USD available" in verdicts


def test_an_agent_without_a_rate_for_the_number_refuses_the_calls_below_it():
    final, reason, verdicts = refusal_of(scene_of("9", "9", "9", prefixes=("44", "44", "49")))
    assert (final, reason) == (403, "No Matching Rate")
    assert f"agent wholesaler: of wholesaler rates no {CALLEE}" in verdicts


@pytest.mark.parametrize(
    ("terms", "status", "expected", "detail"),
    [
        ({"enabled": False}, 403, "Account Disabled", "agent wholesaler is disabled"),
        ({"expires_at": 1}, 403, "Account Expired", "agent wholesaler has expired"),
        ({"denied_prefixes": ("44",)}, 403, "Number Not Allowed", "number section of wholesaler: prefix 44 is denied"),
        ({"max_concurrent": 0}, 503, "Account Capacity", "agent wholesaler: concurrency limit 0"),
    ],
)  # fmt: skip
def test_what_refuses_the_calls_of_an_agent_refuses_those_below_it(terms, status, expected, detail):
    final, reason, verdicts = refusal_of(scene_of("9", "9", "9", terms={"wholesaler": terms}))
    assert (final, reason) == (status, expected)
    assert detail in verdicts


def test_a_blocked_agent_refuses_the_calls_below_it():
    scene = scene_of("9", "9", "9")
    scene.exchange.override(override(Target.ACCOUNT, "reseller"))
    final, reason, verdicts = refusal_of(scene)
    assert (final, reason) == (403, "Account Disabled")
    assert "agent reseller is blocked" in verdicts


def test_the_limits_of_an_agent_count_all_calls_below_it():
    scene = scene_of("99", "99", "99", terms={"wholesaler": {"max_concurrent": 2}})
    calls = [scene.caller.call(CALLEE) for _ in range(3)]
    scene.wire.run_for(100)
    assert [call.final for call in calls] == [None, None, 503]
    calls[0].cancel()
    scene.wire.run_for(1_000)
    again = scene.settled_call()
    assert again.final == 200
    for call in (calls[1], again):
        call.hang_up()
    scene.expect_nothing_left(within_ms=1_000)


def test_the_longest_call_of_an_agent_holds_for_the_accounts_below_it():
    scene = scene_of("99", "99", "99", terms={"wholesaler": {"max_call_seconds": 30}})
    scene.whole_call()
    record = scene.close()
    assert (record.end_reason, record.hold_time_ms) == ("Maximum Duration", 30_000)


def test_a_call_keeps_its_agents_through_a_reload_that_moves_its_account():
    scene = scene_of("9", "9", "9")
    call, _ = scene.talk()
    scene.exchange.swap_catalogue(
        catalogue([mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)], accounts=[account("acme")])
    )
    assert [each.account for each in scene.finish(call).charges] == ["acme", "reseller", "wholesaler", "carriers"]


@pytest.mark.parametrize("is_answered", [True, False])
def test_a_restored_call_goes_on_holding_and_charging_all_levels(is_answered):
    scene = scene_of("9", "9", "9")
    call = scene.begun_call(after_ms=2_000 if is_answered else 500)
    before = [scene.exchange.credits[name].reserved for name in LEVELS]
    replace_node(scene)
    assert [scene.exchange.credits[name].reserved for name in LEVELS] == before
    assert before == [Decimal("1.20"), Decimal("0.90"), Decimal("0.72")]
    scene.wire.run_for(2_000)
    assert [each.account for each in scene.finish(call).charges] == ["acme", "reseller", "wholesaler", "carriers"]


def test_a_hundred_calls_at_once_on_an_agents_money_for_five_are_carried_exactly_five_times():
    scene = scene_of("999", "999", "3.60")
    calls = [scene.caller.call(CALLEE, Intent(hang_up_after_ms=55_000)) for _ in range(100)]
    scene.wire.run_until(lambda: all(call.is_over for call in calls))
    scene.wire.run_for(1_000)
    assert sorted(call.final for call in calls) == [200] * 5 + [402] * 95
    assert scene.exchange.leftovers() == {}
    carried = [record for record in scene.exchange.sink.records if record.fee]
    assert [len(record.charges) for record in carried] == [4] * 5
