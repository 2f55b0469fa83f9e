"""Costs are compared by a call of typical length, with increments, first periods and fees (docs/routing.md)."""

from decimal import Decimal

import msgspec
import pytest
from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, rate_group, rating_policy
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import answers
from structlog.testing import capture_logs

from vosd.admin.routing import explain_route, idle_state
from vosd.base.clock import Instant
from vosd.base.margin import LossGuard
from vosd.billing.accounts import AccountType
from vosd.billing.exchange import ExchangeRate
from vosd.billing.typical import typical_price
from vosd.callcontrol.live_state import LiveState
from vosd.catalogue.catalogue import Catalogue
from vosd.obs.alarms import Alarms, Level
from vosd.routing.plan import Criterion, RoutingPlan

NOW = Instant(0, 1_790_000_000_000)
BY_COST, BY_PRICE = (RoutingPlan(each.value, order=(each,)) for each in (Criterion.COST, Criterion.PRICE))
MINUTES, SECONDS = applied_rate("0.50", 60), applied_rate("0.55", 1)
"""By begun minutes for less a minute, and by seconds for more. The customer pays 0.60 by the second."""


@pytest.mark.parametrize(
    ("rate", "seconds", "price"),
    [
        (applied_rate("0.60"), 5, "0.60"),
        (applied_rate("0.60", 60), 5, "7.2"),
        (applied_rate("0.60", 60), 60, "0.60"),
        (applied_rate("0.60", 60), 90, "0.8"),
        (applied_rate("0.60", 6, first_rate="0.30", first_duration=30), 45, "0.64"),
        (applied_rate("0.60", connection_fee="0.05"), 30, "0.70"),
        (applied_rate("0.60", minimum_charge="0.10"), 5, "1.2"),
        (applied_rate("0.60", tax_rate=19), 30, "0.60"),
        (applied_rate("0.60", policy=rating_policy(free_time_s=10)), 5, "0"),
        (applied_rate("0.06", 6, per_cycle=True), 0, "0.6"),
        (applied_rate("0.60", 60, first_rate="9", first_duration=60), 0, "0.60"),
    ],
)
def test_the_effective_price_is_what_a_call_of_that_length_is_charged(rate, seconds, price):
    assert typical_price(rate, seconds) == Decimal(price)


def content(*buys, plan: RoutingPlan | None = None, **terms) -> Catalogue:
    """A customer and vendors with an account and a rate each."""
    names = [f"vendor-{place}" for place in range(len(buys))]
    accounts = [
        account(name, rate_group=name, type=AccountType.CLEARING, overdraft_limit=None, **terms.get(name, {}))
        for name in names
    ]
    groups = [rate_group("sell", terms.get("sell", applied_rate("0.60"))), *map(rate_group, names, buys)]
    gateways = [vendor_gateway(place, account=name, priority=place + 1) for place, name in enumerate(names)]
    customer = mapping_gateway(
        "acme", f"{CUSTOMER.host}/32", routing_plan=None if plan is None else plan.name, loss_guard=terms.get("guard")
    )
    return catalogue(
        [customer, *gateways],
        accounts=[*accounts, account("acme", **terms.get("acme", {})), *terms.get("others", ())],
        rate_groups=[*groups, *terms.get("groups", ())],
        plans=() if plan is None else (plan,),
        exchange_rates=terms.get("exchange_rates", ()),
        typical_seconds=terms.get("typical_s", 60),
    )


def explained(known: Catalogue, live: LiveState | None = None):
    state = live or idle_state(known, None)
    return explain_route(known, state, gateway="acme", caller="", callee=CALLEE, at=NOW)


def tried(known: Catalogue, live: LiveState | None = None) -> list[str]:
    return [each.routing_gateway for each in explained(known, live).candidates]


def test_a_vendor_by_begun_minutes_is_left_out_where_calls_are_short():
    assert tried(content(MINUTES, SECONDS)) == ["vendor-0", "vendor-1"]
    found = explained(content(MINUTES, SECONDS, typical_s=5))
    assert [each.routing_gateway for each in found.candidates] == ["vendor-1"]
    assert found.left[0].reason == (
        "loss: sold for 0.60 a minute and bought for 6.00 where a call lasts 5 s (by the price alone 0.60 and 0.50): "
        "a margin of -5.40, at least 0.00 is wanted"
    )


def test_what_the_customer_is_charged_for_a_short_call_counts_as_well():
    """Sold by begun minutes at 0.50, a call of 5 s brings 0.50: a vendor at 0.55 by the second costs a tenth of it."""
    dearer = applied_rate("0.55")
    assert tried(content(dearer, sell=applied_rate("0.50", 60), typical_s=5)) == ["vendor-0"]
    assert tried(content(dearer, sell=applied_rate("0.50"), typical_s=5)) == []


def test_the_guard_can_compare_the_price_alone():
    by_price = LossGuard(by_price=True)
    assert tried(content(MINUTES, SECONDS, typical_s=5, guard=by_price)) == ["vendor-0", "vendor-1"]
    dearer = content(applied_rate("0.61"), SECONDS, typical_s=5, guard=by_price)
    assert explained(dearer).left[0].reason.startswith("loss: sold for 0.60 a minute and bought for 0.61: a margin")
    begun_minutes = applied_rate("0.50", 60)
    assert tried(content(applied_rate("0.55"), sell=begun_minutes, typical_s=5, guard=by_price)) == []


def test_with_agents_what_the_last_of_them_pays_is_compared():
    agents = {
        "acme": {"agent": "reseller"},
        "others": [account("reseller", rate_group="low")],
        "groups": [rate_group("low", applied_rate("0.52"))],
    }
    found = explained(content(applied_rate("0.55"), applied_rate("0.50"), **agents))
    assert [each.routing_gateway for each in found.candidates] == ["vendor-1"]
    assert found.left[0].reason.startswith("loss: sold for 0.52 a minute and bought for 0.55: a margin of -0.03")


def test_the_highest_price_of_a_second_is_that_of_a_typical_call():
    dear = LossGuard(None, Decimal("0.01"))
    assert tried(content(MINUTES, SECONDS, typical_s=5, guard=dear)) == ["vendor-1"]
    assert tried(content(MINUTES, SECONDS, typical_s=60, guard=dear)) == ["vendor-0", "vendor-1"]


def test_a_plan_by_cost_calls_first_where_a_typical_call_costs_least_and_one_by_price_where_a_minute_does():
    off = LossGuard(None)
    for plan, order in ((BY_COST, ["vendor-1", "vendor-0"]), (BY_PRICE, ["vendor-0", "vendor-1"])):
        assert tried(content(MINUTES, SECONDS, plan=plan, typical_s=5, guard=off)) == order
        assert tried(content(MINUTES, SECONDS, plan=plan, typical_s=60, guard=off)) == ["vendor-0", "vendor-1"]


def test_calls_to_a_prefix_are_as_long_as_they_were_lately():
    known = content(MINUTES, SECONDS, plan=BY_COST)
    live = idle_state(known, None)
    for _ in range(19):
        live.quality.talked("vendor-0", "44", 5_000, 0, "44")
    assert tried(known, live) == ["vendor-0", "vendor-1"], "too few calls: routing.typical_seconds"
    live.quality.talked("vendor-1", "44", 5_000, 0, "44")
    found = explained(known, live)
    assert [each.routing_gateway for each in found.candidates] == ["vendor-1"]
    shown = msgspec.to_builtins(found)
    assert (shown["typical_seconds"], shown["typical_seconds_measured"]) == (5, True)


def test_the_calls_of_a_switch_tell_how_long_calls_are():
    scene = Scene(content(MINUTES, SECONDS))
    carried = []
    for _ in range(21):
        for vendor in scene.vendors:
            vendor.script = answers(0)
        scene.whole_call(Intent(hang_up_after_ms=5_000))
        scene.wire.run_for(100_000)
    carried = [record.routing_gateway for record in scene.exchange.sink.records]
    assert carried == ["vendor-0"] * 20 + ["vendor-1"]


def test_a_call_sold_below_cost_says_so_in_its_record_and_raises_an_alarm():
    scene = Scene(content(MINUTES, guard=LossGuard(None)))
    with capture_logs() as logs:
        for seconds in (5, 60):
            scene.vendors[0].script = answers(0)
            scene.whole_call(Intent(hang_up_after_ms=1_000 * seconds))
            scene.wire.run_for(100_000)
    losses = {record.hold_time_s: record.loss for record in scene.exchange.sink.records}
    assert losses == {5: Decimal("0.45"), 60: None}, "0.05 and 0.50; 0.60 and 0.50"
    (told,) = [line for line in logs if line["event"] == "loss_calls"]
    assert (told["account"], told["prefix"], told["gateway"], told["loss"]) == ("acme", "44", "vendor-0", "0.45")
    alarms = Alarms()
    alarms.note("loss_calls", told, NOW.wall)
    assert [(each.subject, each.level) for each in alarms.active()] == [("acme 44 vendor-0", Level.WARNING)]


def test_the_loss_in_a_warning_has_the_currency_of_the_last_agent():
    known = content(
        MINUTES,
        guard=LossGuard(None),
        acme={"agent": "reseller"},
        others=[account("reseller", rate_group="low", currency="EUR", overdraft_limit=None)],
        groups=[rate_group("low", applied_rate("0.60"))],
        exchange_rates=(ExchangeRate("EUR", "USD", Decimal("1.25")), ExchangeRate("USD", "EUR", Decimal("0.80"))),
    )
    scene = Scene(known)
    scene.vendors[0].script = answers(0)
    with capture_logs() as logs:
        scene.whole_call(Intent(hang_up_after_ms=5_000))
        scene.wire.run_for(100_000)
    (record,) = scene.exchange.sink.records
    assert (record.currency, record.loss) == ("USD", Decimal("0.36")), "0.05 USD are 0.04 EUR, 0.50 USD are 0.40 EUR"
    (warning,) = [line for line in logs if line["event"] == "loss_calls"]
    assert (warning["loss"], warning["currency"]) == ("0.36", "EUR")


COMPARED = ("cost", "effective_cost", "currency", "margin")


def shown(known: Catalogue) -> list[tuple[str, ...]]:
    rows = msgspec.to_builtins(explained(known))["candidates"]
    return [tuple(row[key] for key in COMPARED) for row in rows]


def test_explain_shows_both_prices_currency_and_margin():
    known = content(MINUTES, SECONDS, typical_s=80, guard=LossGuard(None))
    assert shown(known) == [("0.50", "0.75", "USD", "-0.15"), ("0.55", "0.55", "USD", "0.05")]
    assert msgspec.to_builtins(explained(known))["rate"]["effective_price"] == "0.60"


def test_a_margin_is_in_the_currency_of_the_customer():
    rates = (ExchangeRate("EUR", "USD", Decimal("1.1")), ExchangeRate("USD", "EUR", Decimal("0.9")))
    known = content(applied_rate("0.50"), exchange_rates=rates, **{"vendor-0": {"currency": "EUR"}})
    assert shown(known) == [("0.45", "0.45", "EUR", "0.105")]
