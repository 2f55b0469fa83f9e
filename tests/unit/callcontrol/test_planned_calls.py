"""Calls by routing plans, through a whole switch on virtual time: where they go, what they cost, what is recorded."""

from decimal import Decimal

import pytest
from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, rate_group
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import SILENT, answers, refuses

from vosd.admin.why import why
from vosd.base.margin import LossGuard
from vosd.billing.accounts import AccountType
from vosd.callcontrol.verdicts import verdicts_in
from vosd.engine.peers.gateways import note_call
from vosd.obs.log import call_line
from vosd.routing.figures import Figures
from vosd.routing.plan import Criterion, RouteRow, RoutingPlan
from vosd.trunks.gateways import Address
from vosd.trunks.groups import GatewayGroup
from vosd.trunks.scope import LimitScope

PRICES = ("0.70", "0.30", "0.20")
"""Of a minute with each vendor; the customer pays 0.60."""


def content(*, plans=(), customer=None, payer=None, vendors=None, carriers=None, prices=PRICES, together=()):
    """A customer, three vendors on accounts of their own, the first of them dearer than what the customer pays."""
    gateways = [vendor_gateway(index, account=f"carrier-{index}", **(vendors or {})) for index in range(3)]
    groups = [rate_group(f"buy-{index}", applied_rate(price)) for index, price in enumerate(prices)]
    terms = {"type": AccountType.CLEARING, "overdraft_limit": None, **(carriers or {})}
    accounts = [account(f"carrier-{index}", rate_group=f"buy-{index}", **terms) for index in range(3)]
    accounts.append(account("acme", **(payer or {})))
    trunk = mapping_gateway("acme", f"{CUSTOMER.host}/32", **(customer or {}))
    return catalogue([trunk, *gateways], accounts=accounts, rate_groups=groups, plans=plans, groups=together)


def record_of(scene: Scene, *scripts):
    for vendor, script in zip(scene.vendors, scripts, strict=False):
        vendor.script = script
    scene.whole_call(Intent(hang_up_after_ms=6_000))
    return scene.close()


def tried(record) -> list[tuple[str, int]]:
    return [(row.gateway, row.code) for row in record.attempts]


def too_dear_of(record) -> list[str]:
    return [each["routing_gateway"] for each in why(record)["left"] if each["reason"].startswith("loss: ")]


def test_a_gateway_that_would_lose_money_is_not_called_and_stands_in_the_record():
    scene = Scene(content())
    record = record_of(scene, answers(0), refuses(503), answers(0))
    assert tried(record) == [("vendor-1", 503), ("vendor-2", 200)]
    assert too_dear_of(record) == ["vendor-0"]
    assert (record.routing_gateway, record.cost) == ("vendor-2", Decimal("0.02"))
    assert scene.vendors[0].calls == []


@pytest.mark.parametrize(("callee", "prefix"), [("1900123", "1900"), ("+1900123", "1900"), ("anne+1900", "*")])
def test_a_number_has_the_same_prefix_on_both_sides_with_a_plus_sign_or_without(callee, prefix):
    groups = [
        rate_group(name, applied_rate(usual, prefix="*"), applied_rate(premium, prefix="1900"))
        for name, usual, premium in (("sell", "0.05", "2.00"), ("buy", "0.01", "1.90"))
    ]
    gateways = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0, prefixes=("*",))]
    scene = Scene(catalogue(gateways, rate_groups=groups))
    scene.vendors[0].script = answers(0)
    scene.whole_call(Intent(hang_up_after_ms=6_000), callee=callee)
    record = scene.close()
    assert (record.rate_prefix, record.vendor_rate_prefix) == (prefix, prefix)


def test_the_margin_is_compared_at_every_gateway_that_is_tried():
    scene = Scene(content(prices=("0.30", "0.70", "0.20")))
    record = record_of(scene, SILENT, answers(0), answers(0))
    assert tried(record) == [("vendor-0", 0), ("vendor-2", 200)]
    assert too_dear_of(record) == ["vendor-1"]


def test_a_call_that_every_gateway_would_lose_money_on_leaves_a_record_that_says_so():
    scene = Scene(content(prices=("0.70", "0.70", "0.70")))
    record = record_of(scene)
    assert (record.end_reason, record.sip_code, record.q850_cause) == ("No Available Route", 503, 3)
    assert (tried(record), too_dear_of(record)) == ([], ["vendor-0", "vendor-1", "vendor-2"])


def test_a_gateway_that_was_too_dear_does_not_count_in_its_figures(capsys):
    record = record_of(Scene(content()), answers(0), answers(0))
    figures = Figures()
    figures.adopt(LimitScope.ROUTING, ["vendor-0", "vendor-1"])
    figures.adopt(LimitScope.MAPPING, ["acme"])
    note_call(figures, record, 0)
    hours = [figures.last_hour(LimitScope.ROUTING, name, 0) for name in ("vendor-0", "vendor-1")]
    assert [hour.attempts for hour in hours] == [0, 1]
    call_line(record)
    assert "tried='vendor-1 200'" in capsys.readouterr().out


@pytest.mark.parametrize(
    "terms",
    [
        {"customer": {"loss_guard": LossGuard(None)}},
        {"payer": {"loss_guard": LossGuard(None)}},
        {"plans": [RoutingPlan("bold", loss_guard=LossGuard(None))], "payer": {"routing_plan": "bold"}},
        {"customer": {"loss_guard": LossGuard(Decimal(-1))}, "payer": {"loss_guard": LossGuard(Decimal(1))}},
    ],
)
def test_selling_below_cost_is_allowed_to_a_trunk_an_account_or_a_plan(terms):
    assert tried(record_of(Scene(content(**terms)), answers(0))) == [("vendor-0", 200)]


CHEAPEST = RoutingPlan("cheapest", order=(Criterion.COST,))
CHEAP = {"routing_plan": "cheapest"}


@pytest.mark.parametrize("where", ["customer", "payer"])
def test_a_call_goes_by_the_plan_of_its_trunk_or_account(where):
    scene = Scene(content(plans=[CHEAPEST], **{where: {"routing_plan": "cheapest"}}))
    record = record_of(scene, answers(0), answers(0), refuses(503))
    assert tried(record) == [("vendor-2", 503), ("vendor-1", 200)]


def test_the_plan_of_the_trunk_wins():
    few = RoutingPlan("few", gateways=frozenset({"vendor-1"}))
    terms = {"customer": {"routing_plan": "few"}, "payer": {"routing_plan": "cheapest"}}
    assert tried(record_of(Scene(content(plans=[CHEAPEST, few], **terms)), answers(0), answers(0))) == [
        ("vendor-1", 200)
    ]


@pytest.mark.parametrize(
    ("limits", "attempts", "why"),
    [
        ({"max_attempts": 1}, 1, "search over: the call had made as many attempts as it may: 1"),
        ({"search_ms": 4_000}, 1, "search over: 4 s had passed since the INVITE"),
        ({}, 2, None),
    ],
)
def test_a_plan_limits_the_search_and_the_record_names_what_it_did_not_come_to(limits, attempts, why):
    plan = RoutingPlan("short", gateways=frozenset({"vendor-1", "vendor-2"}), **limits)
    scene = Scene(content(plans=[plan], customer={"routing_plan": "short"}))
    record = record_of(scene, answers(0), SILENT, answers(0))
    assert len(record.attempts) == attempts
    left = () if record.verdicts is None else verdicts_in(record.verdicts).left
    assert [each.reason for each in left if each.routing_gateway == "vendor-2"] == ([] if why is None else [why])


def test_what_a_call_occupies_beside_its_gateway_is_released():
    rows = tuple(RouteRow("44", f"vendor-{index}", max_calls=1) for index in (1, 2))
    plan = RoutingPlan("narrow", routes=rows)
    scene = Scene(content(plans=[plan], customer={"routing_plan": "narrow"}, carriers={"max_concurrent": 1}))
    occupancy = scene.exchange.switch.live.occupancy
    for vendor in scene.vendors:
        vendor.script = answers(0)
    first = scene.settled_call()
    held = [occupancy.active(LimitScope.VENDOR, "carrier-1"), occupancy.active(LimitScope.ROUTE, "narrow/44/vendor-1")]
    assert (first.final, held) == (200, [1, 1])
    second, third = scene.caller.call(CALLEE), scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: second.final is not None and third.final is not None)
    assert sorted([second.final, third.final]) == [200, 503]
    for call in (first, second if second.final == 200 else third):
        call.hang_up()
    scene.wire.run_until(lambda: first.is_over and second.is_over and third.is_over)
    scene.wire.run_for(70_000)
    assert occupancy.total() == 0


@pytest.mark.parametrize("limits", [{"max_concurrent": 1}, {"max_cps": 1}])
def test_gateways_of_a_group_share_its_limits_and_others_take_the_rest(limits):
    pair = GatewayGroup("pair", frozenset({"vendor-1", "vendor-2"}), **limits)
    scene = Scene(content(together=[pair], prices=("0.30", "0.20", "0.20"), plans=[CHEAPEST], payer=CHEAP))
    occupancy = scene.exchange.switch.live.occupancy
    for vendor in scene.vendors:
        vendor.script = answers(0)
    calls = [scene.caller.call(CALLEE) for _ in range(2)]
    scene.wire.run_until(lambda: all(call.final is not None for call in calls))
    assert [call.final for call in calls] == [200, 200]
    assert occupancy.active(LimitScope.GROUP, "pair") == 1
    for call in calls:
        call.hang_up()
    scene.wire.run_until(lambda: all(call.is_over for call in calls))
    scene.wire.run_for(70_000)
    tried_by = sorted(record.routing_gateway or "" for record in scene.exchange.sink.records)
    assert tried_by[0] == "vendor-0"
    assert tried_by[1] in pair.gateways
    assert occupancy.total() == 0


def test_a_customer_may_use_the_gateways_of_a_group_alone():
    pair = GatewayGroup("pair", frozenset({"vendor-1", "vendor-2"}))
    scene = Scene(content(together=[pair], prices=("0.30",) * 3, customer={"gateways_deny": frozenset({"pair"})}))
    record = record_of(scene, answers(0), answers(0), answers(0))
    assert tried(record) == [("vendor-0", 200)]


def test_what_a_failed_attempt_occupied_is_released():
    scene = Scene(content(carriers={"max_concurrent": 5}))
    record = record_of(scene, answers(0), refuses(503), answers(0))
    assert record.routing_gateway == "vendor-2"
    assert scene.exchange.switch.live.occupancy.total() == 0


def test_calls_a_second_of_an_account_are_limited():
    scene = Scene(content(carriers={"max_cps": 1}))
    calls = [scene.caller.call(CALLEE, Intent(hang_up_after_ms=2_000)) for _ in range(3)]
    for vendor in scene.vendors:
        vendor.script = answers(0)
    scene.wire.run_until(lambda: all(call.is_over for call in calls))
    scene.wire.run_for(70_000)
    gateways = sorted(record.routing_gateway or "" for record in scene.exchange.sink.records)
    assert gateways == ["", "vendor-1", "vendor-2"]
    assert scene.exchange.switch.live.occupancy.total() == 0


def test_a_shared_limit_that_is_reached_before_the_second_address_leaves_nothing_taken():
    addresses = tuple(Address(vendor.host, vendor.port) for vendor in VENDORS[1:])
    plan = RoutingPlan("one", gateways=frozenset({"vendor-1"}))
    terms = {"plans": [plan], "customer": {"routing_plan": "one"}, "vendors": {"addresses": addresses}}
    scene = Scene(content(**terms, carriers={"max_cps": 1}))
    scene.vendors[1].script, scene.vendors[2].script = SILENT, answers(0)
    first = scene.begun_call(after_ms=4_500)
    second = scene.caller.call(CALLEE)
    scene.wire.run_until(lambda: first.final is not None)
    assert first.final == 408, "the second call has taken the place of this second"
    scene.wire.run_until(lambda: second.final is not None)
    assert second.final == 200
    scene.hang_up(second, wait_ms=70_000)
    assert scene.exchange.switch.live.occupancy.total() == 0
