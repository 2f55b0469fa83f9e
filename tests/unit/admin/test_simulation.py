"""What other routes would have done to stored calls: the search of a real call, and the sums before and after."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from doubles.data import builders

from vosd.admin import simulate
from vosd.admin.routing import idle_state
from vosd.admin.simulate import Simulation
from vosd.base.margin import LossGuard
from vosd.billing.accounts import AccountType
from vosd.billing.destinations import DestinationClass, Destinations
from vosd.billing.exchange import ExchangeRate
from vosd.callcontrol.replay import Replay
from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.overrides import Overrides, Setting, Target
from vosd.cdr.past import PastAgent, PastCall
from vosd.routing.dynamic_lists import ListedCaller, ListingCause
from vosd.routing.lookups import PortabilityTerms, RedirectTerms
from vosd.routing.plan import Criterion, RoutingPlan
from vosd.routing.special_numbers import SpecialNumbers
from vosd.trunks.dialect import CalleeDialect
from vosd.trunks.stir import VendorSignatures

ACME = builders.mapping_gateway("acme", "127.0.0.1/32", tech_prefix="7001", max_concurrent=1, max_cps=1)
DEAR = builders.routing_gateway("dear", "44", max_concurrent=1)
CHEAP = builders.routing_gateway("cheap", "44", priority=2)
CLEARING: Mapping[str, Any] = {"type": AccountType.CLEARING, "overdraft_limit": None}
AT = 1_790_000_000_000


def vendor(name: str, group: str) -> Any:
    return builders.account(name, rate_group=group, **CLEARING)


CHEAP_GROUP = builders.rate_group("cheap", builders.applied_rate("0.12"))


def catalogue(*gateways: Any, **parameters: Any) -> Catalogue:
    known = [vendor(each.name, "cheap") for each in gateways if each.name == "cheap"]
    groups = [CHEAP_GROUP] if known else []
    return builders.catalogue([ACME, *gateways], accounts=known, rate_groups=groups, **parameters)


def call(number: int = 0, **changes: Any) -> PastCall:
    """Return a call of one minute by the gateway ``dear``, in its first second of a minute."""
    past = PastCall(
        call_id=str(number),
        started_at=AT + number,
        mapping_gateway="acme",
        routing_gateway="dear",
        customer_account="acme",
        vendor_account="dear",
        currency="USD",
        vendor_currency="USD",
        caller_in="1000",
        callee_in="7001442012",
        caller_out="1000",
        callee_billing="442012",
        forward_prefix=None,
        routing_number=None,
        answered_at=AT + number + 2_000,
        vendor_answered_at=AT + number + 2_000,
        ended_at=AT + number + 62_000,
        billing_base_ms=None,
        vendor_billing_base_ms=None,
        hold_time_ms=60_000,
        fee=Decimal("0.60"),
        tax=Decimal(0),
        cost=Decimal("0.30"),
        cost_tax=Decimal(0),
        rate_group="sell",
        rate_prefix="44",
        rate_area="United Kingdom",
        vendor_rate_prefix="44",
        end_reason="Normal",
        tried=("dear",),
    )
    return past._replace(**changes)


def unanswered(number: int = 0, **changes: Any) -> PastCall:
    nothing = {"answered_at": None, "vendor_answered_at": None, "hold_time_ms": 0}
    free = {"fee": Decimal(0), "cost": Decimal(0), "end_reason": "Busy"}
    return call(number, **{**nothing, **free, **changes})


def refused(number: int = 0, **changes: Any) -> PastCall:
    nowhere = {"routing_gateway": None, "vendor_account": None, "vendor_currency": None, "tried": ()}
    return unanswered(number, **{**nowhere, "end_reason": "No Available Route", **changes})


def simulated(known: Catalogue, calls: Iterable[PastCall]) -> Any:
    simulation = Simulation(known)
    for each in calls:
        simulation.add(each)
    return simulation.to_json(10)


@pytest.mark.parametrize(("forward_prefix", "fee"), [(None, "0.60"), ("9", "1.20")])
def test_a_call_that_was_forwarded_is_sold_behind_the_forward_prefix(forward_prefix: str | None, fee: str) -> None:
    sell = builders.rate_group("sell", builders.applied_rate("0.60"), builders.applied_rate("1.20", prefix="944"))
    numbers = SpecialNumbers(forward_prefix="9")
    known = builders.catalogue([ACME, DEAR], rate_groups=[sell], special_numbers=numbers)
    found = simulated(known, [call(forward_prefix=forward_prefix)])
    assert found["currencies"][0]["after"]["fee"] == fee


def test_with_the_same_routes_nothing_changes() -> None:
    found = simulated(catalogue(DEAR, CHEAP), [call(number) for number in range(5)])
    assert (found["calls"], found["changed"], found["destinations"]) == (5, 0, [])
    assert found["before"] == found["after"] == {
        "calls": 5, "answered": 5, "minutes": "5.0", "without_route": 0, "loss_calls": 0,
    }  # fmt: skip
    assert found["currencies"] == [
        {
            "currency": "USD",
            "before": {"fee": "3.00", "cost": "1.50", "margin": "1.50"},
            "after": {"fee": "3.00", "cost": "1.50", "margin": "1.50"},
        }
    ]


def test_without_a_vendor_its_calls_go_to_the_next_and_cost_what_that_charges() -> None:
    found = simulated(catalogue(CHEAP), [call(number) for number in range(4)])
    assert (found["changed"], found["without_route"]) == (4, [])
    assert [(row["vendor"], row["before"]["calls"], row["after"]["calls"]) for row in found["vendors"]] == [
        ("cheap", 0, 4),
        ("dear", 4, 0),
    ]
    cheap = found["gateways"][0]
    assert (cheap["routing_gateway"], cheap["after"]["minutes"], cheap["after"]["cost"]) == ("cheap", "4.0", "0.48")
    (destination,) = found["destinations"]
    assert (destination["prefix"], destination["changed"]) == ("44", 4)
    assert (destination["before"]["margin"], destination["after"]["margin"]) == ("1.20", "1.92")


def test_margins_by_area_and_vendor_stand_as_booked_beside_as_foreseen() -> None:
    below_cost = call(4, vendor_account="costly", cost=Decimal("0.75"))
    found = simulated(catalogue(CHEAP), [*(call(number) for number in range(4)), below_cost])
    assert found["margins_in_all"] == 3
    figures = ("calls", "fee", "cost", "margin", "loss_calls", "loss")
    rows = [
        (row["area"], row["vendor"], side, *(row[side][each] for each in figures))
        for row in found["margins"]
        for side in ("before", "after")
        if row[side]["calls"]
    ]
    assert sorted(rows) == [
        ("44", "cheap", "after", 5, "3.00", "0.60", "2.40", 0, "0.00"),
        ("United Kingdom", "costly", "before", 1, "0.60", "0.75", "-0.15", 1, "0.15"),
        ("United Kingdom", "dear", "before", 4, "2.40", "1.20", "1.20", 0, "0.00"),
    ]
    assert found["margins"][0]["vendor"] == "cheap", "the greatest difference of margins comes first"


def test_a_gateway_that_failed_a_call_fails_it_again() -> None:
    after_failover = call(
        routing_gateway="cheap", vendor_account="cheap", cost=Decimal("0.12"), tried=("dear", "cheap")
    )
    found = simulated(catalogue(DEAR, CHEAP), [after_failover])
    assert (found["changed"], found["currencies"][0]["after"]["cost"]) == (0, "0.12")


def test_where_all_gateways_failed_a_call_the_last_one_has_it() -> None:
    found = simulated(catalogue(DEAR, CHEAP), [unanswered(routing_gateway="gone", tried=("dear", "cheap", "gone"))])
    assert [(row["routing_gateway"], row["after"]["calls"]) for row in found["gateways"]] == [("cheap", 1), ("gone", 0)]


@pytest.mark.parametrize("plans", [[], [RoutingPlan("short", max_attempts=1)]], ids=["parameter", "plan"])
def test_a_call_that_comes_to_no_gateway_but_one_that_failed_it_is_not_answered(plans: list[RoutingPlan]) -> None:
    after_failover = call(
        routing_gateway="cheap", vendor_account="cheap", cost=Decimal("0.12"), tried=("dear", "cheap")
    )
    trunk = msgspec.structs.replace(ACME, routing_plan=plans[0].name if plans else None)
    known = builders.catalogue(
        [trunk, DEAR, CHEAP], accounts=[vendor("cheap", "cheap")], rate_groups=[CHEAP_GROUP], plans=plans,
        max_attempts=10 if plans else 1,
    )  # fmt: skip
    found = simulated(known, [after_failover])
    assert (found["changed"], found["after"]["calls"], found["after"]["answered"]) == (1, 1, 0)
    assert found["currencies"][0]["after"] == {"fee": "0.00", "cost": "0.00", "margin": "0.00"}
    assert [(row["routing_gateway"], row["after"]["calls"]) for row in found["gateways"]] == [("cheap", 0), ("dear", 1)]


def test_each_address_that_failed_a_call_is_an_attempt() -> None:
    after_failover = call(
        routing_gateway="cheap", vendor_account="cheap", cost=Decimal("0.12"), tried=("dear", "dear", "cheap")
    )
    assert simulated(catalogue(DEAR, CHEAP, max_attempts=3), [after_failover])["after"]["answered"] == 1
    assert simulated(catalogue(DEAR, CHEAP, max_attempts=2), [after_failover])["after"]["answered"] == 0


def test_the_cost_of_a_late_answer_is_no_call() -> None:
    late = call(1, customer_account=None, end_reason="Cancelled", fee=Decimal(0), answered_at=None, tried=("dear",))
    found = simulated(catalogue(DEAR, CHEAP), [call(), late])
    assert (found["calls"], found["changed"]) == (1, 0)
    assert found["left_out"] == [{"reason": "Late Answer", "calls": 1}]


def test_calls_that_lose_or_gain_a_route_are_counted_by_reason() -> None:
    nowhere = catalogue(builders.routing_gateway("elsewhere", "1"))
    lost = simulated(nowhere, [call()])
    assert lost["without_route"] == [{"reason": "No Available Route", "before": 0, "after": 1}]
    assert (lost["changed"], lost["currencies"][0]["after"]) == (1, {"fee": "0.00", "cost": "0.00", "margin": "0.00"})
    gained = simulated(catalogue(DEAR), [refused()])
    assert gained["without_route"] == [{"reason": "No Available Route", "before": 1, "after": 0}]
    assert (gained["changed"], gained["after"]["calls"], gained["after"]["answered"]) == (1, 1, 0)


def test_a_call_that_lasted_keeps_its_length_and_one_that_was_not_answered_costs_nothing() -> None:
    found = simulated(catalogue(CHEAP), [call(hold_time_ms=90_000, ended_at=AT + 92_000), unanswered(1)])
    assert (found["after"]["answered"], found["after"]["minutes"]) == (1, "1.5")
    assert found["currencies"][0]["after"] == {"fee": "0.90", "cost": "0.18", "margin": "0.72"}


def test_a_call_that_is_charged_from_its_invite_pays_for_ringing_and_counts_its_talk() -> None:
    """Without an answer it has neither connection fee nor minimum charge."""
    sold = builders.applied_rate("0.60", connection_fee="0.50")
    bought = builders.applied_rate("0.30", minimum_charge="0.40")
    groups = [builders.rate_group("sell", sold), builders.rate_group("buy", bought)]
    known = builders.catalogue([ACME, DEAR], accounts=[vendor("dear", "buy")], rate_groups=groups)
    charged = {"billing_base_ms": 70_000, "vendor_billing_base_ms": 70_000}
    rang = unanswered(1, **charged, fee=Decimal("0.70"), cost=Decimal("0.35"), ended_at=AT + 70_001)
    found = simulated(known, [rang])
    assert found["before"] == found["after"] == {
        "calls": 1, "answered": 0, "minutes": "0.0", "without_route": 0, "loss_calls": 0,
    }  # fmt: skip
    money = {"fee": "0.70", "cost": "0.35", "margin": "0.35"}
    assert (found["currencies"][0]["before"], found["currencies"][0]["after"]) == (money, money)
    (gateway,) = found["gateways"]
    assert gateway["after"] == {"calls": 1, "answered": 0, "minutes": "0.0", "cost": "0.35"}
    talked = simulated(known, [call(**charged, fee=Decimal("1.20"), cost=Decimal("0.40"))])
    assert (talked["after"]["answered"], talked["after"]["minutes"]) == (1, "1.0")
    assert talked["currencies"][0]["after"] == {"fee": "1.20", "cost": "0.40", "margin": "0.80"}


def test_calls_that_came_to_no_search_are_left_out() -> None:
    unknown = refused(1, mapping_gateway=None, end_reason="Unknown Source")
    reasons = ("Geofence Blocked", "Insufficient Balance", "User Agent Not Allowed")
    found = simulated(catalogue(DEAR), [*(refused(end_reason=each) for each in reasons), unknown])
    assert found["calls"] == 0
    assert found["left_out"] == [
        {"reason": "Geofence Blocked", "calls": 1},
        {"reason": "Insufficient Balance", "calls": 1},
        {"reason": "Unknown Source", "calls": 1},
        {"reason": "User Agent Not Allowed", "calls": 1},
    ]


def test_calls_of_callers_on_the_dynamic_blacklist_are_left_out() -> None:
    """Their reason is that of rules for numbers, too, which decide again."""
    caller = ListedCaller("acme", "1000", ListingCause.FREQUENCY, 3, AT, AT, AT)
    listed, by_rules = (
        refused(end_reason="Number Not Allowed", refusal=each) for each in (str(caller), "acme: denied")
    )
    found = simulated(catalogue(DEAR), [listed, by_rules])
    assert (found["left_out"], found["calls"]) == ([{"reason": "Number Not Allowed", "calls": 1}], 1)


@pytest.mark.parametrize(
    ("target", "name", "setting"),
    [
        (Target.ACCOUNT, "acme", Setting.BLOCKED),
        (Target.ACCOUNT, "acme", Setting.CLOSED),
        (Target.ACCOUNT, "north", Setting.BLOCKED),
        (Target.MAPPING, "acme", Setting.BLOCKED),
        (Target.DESTINATION, "acme/dear places", Setting.BLOCKED),
    ],
)
def test_calls_that_an_override_has_refused_are_left_out(target: Target, name: str, setting: Setting) -> None:
    """No override holds in a simulation, so each of them would be carried."""
    north = builders.account("north", overdraft_limit=None)
    acme = builders.account("acme", agent="north")
    classes = Destinations((DestinationClass("dear places", ("44",)),))
    known = replace(builders.catalogue([ACME, DEAR], accounts=[north, acme]), destinations=classes)
    override = builders.override(target, name, setting)
    found = Replay(known, idle_state(known, None, Overrides([override]))).route(call()).refusal
    assert found is not None
    past = refused(end_reason=found.reason.text, refusal=found.detail)
    sums = simulated(known, [past, refused(1, end_reason=found.reason.text, refusal="account acme is disabled")])
    assert sums["left_out"] == [{"reason": found.reason.text, "calls": 1}]
    assert (sums["calls"], sums["after"]["calls"]) == (1, 1)


def test_a_mapping_gateway_that_is_gone_has_no_calls() -> None:
    found = simulated(catalogue(DEAR), [call(mapping_gateway="gone")])
    assert found["without_route"] == [{"reason": "Unknown Source", "before": 0, "after": 1}]


def test_no_limit_is_reached_because_no_call_runs() -> None:
    found = simulated(catalogue(DEAR), [call(0) for _ in range(50)])
    assert (found["changed"], found["after"]["calls"]) == (0, 50)


def test_gateways_that_share_calls_by_weight_share_them_here() -> None:
    half = builders.routing_gateway("half", "44", account="dear", weight=100)
    found = simulated(catalogue(DEAR, half), [call(number) for number in range(100)])
    assert [(row["routing_gateway"], row["after"]["calls"]) for row in found["gateways"]] == [
        ("dear", 50),
        ("half", 50),
    ]


def test_a_ported_number_is_routed_by_the_number_that_the_call_was() -> None:
    ported = builders.routing_gateway("ported", "999", account="dear")
    terms = PortabilityTerms(asks=True)
    known = catalogue(DEAR, ported, number_portability=terms)
    found = simulated(known, [call(routing_number="99912"), call(1)])
    assert [(row["routing_gateway"], row["after"]["calls"]) for row in found["gateways"]] == [
        ("dear", 1),
        ("ported", 1),
    ]
    # Without a server, a gateway that sends routing numbers itself is believed all the same.
    sender = builders.mapping_gateway("acme", "127.0.0.1/32", tech_prefix="7001", accept_routing_number=True)
    sent = builders.catalogue([sender, DEAR, ported])
    assert simulated(sent, [call(routing_number="99912")])["gateways"][1]["after"]["calls"] == 1
    assert simulated(catalogue(DEAR, ported), [call(routing_number="99912")])["changed"] == 0


def test_a_redirect_server_is_not_asked_and_the_calls_are_counted() -> None:
    known = catalogue(DEAR, redirect_server=RedirectTerms())
    assert simulated(known, [call()])["unasked"] == 1
    assert simulated(catalogue(DEAR), [call()])["unasked"] == 0, "without a server no question is left open"


def test_destinations_are_bounded_and_those_that_change_most_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate, "GROUPS_MAX", 2)
    rates = [builders.applied_rate("0.60", prefix=prefix) for prefix in ("441", "442", "443", "444")]
    known = builders.catalogue(
        [ACME, CHEAP],
        accounts=[vendor("cheap", "cheap")],
        rate_groups=[builders.rate_group("sell", *rates), CHEAP_GROUP],
    )
    calls = [call(number, callee_in=f"700144{digit}12") for number, digit in enumerate("122344")]
    found = simulated(known, calls)
    assert [(row["prefix"], row["changed"]) for row in found["destinations"]] == [
        (simulate.OTHERS, 3),
        ("442", 2),
        ("441", 1),
    ]
    assert found["destinations_changed"] == 3


def test_all_money_is_in_one_currency_where_the_vendor_has_another_one() -> None:
    trunk = builders.routing_gateway("cheap", "44", priority=2)
    known = builders.catalogue(
        [ACME, trunk],
        accounts=[builders.account("cheap", **CLEARING, rate_group="quarter", currency="EUR")],
        rate_groups=[builders.rate_group("quarter", builders.applied_rate("0.25"))],
        exchange_rates=[ExchangeRate("USD", "EUR", Decimal("0.80")), ExchangeRate("EUR", "USD", Decimal("1.25"))],
    )
    found = simulated(known, [call(number) for number in range(4)])
    (money,) = found["currencies"]
    assert (money["currency"], money["after"]) == ("USD", {"fee": "2.40", "cost": "1.00", "margin": "1.40"})
    (gateway,) = [row for row in found["gateways"] if row["routing_gateway"] == "cheap"]
    assert (gateway["currency"], gateway["after"]["cost"]) == ("EUR", "0.80")
    (destination,) = found["destinations"]
    assert (destination["currency"], destination["after"]["margin"]) == ("USD", "1.40")


def test_money_that_no_exchange_rate_converts_is_counted_and_left_out() -> None:
    pounds = [call(number, currency="GBP", vendor_currency="GBP", cost=Decimal("0.70")) for number in range(2)]
    found = simulated(catalogue(DEAR), pounds)
    (money,) = found["currencies"]
    assert (money["currency"], money["before"]["fee"], money["after"]["fee"]) == ("USD", "0.00", "1.20")
    assert found["unconverted"] == [{"currency": "GBP", "amounts": 4}]
    other = builders.catalogue([ACME, DEAR], exchange_rates=[ExchangeRate("USD", "GBP", Decimal("0.5"))])
    assert simulated(other, pounds)["currencies"][0]["before"] == {"fee": "2.40", "cost": "2.80", "margin": "-0.40"}


def test_with_agents_the_fee_is_what_the_last_of_them_pays() -> None:
    """Agents keep the difference between their prices: by the customer's fee a loss would look like a profit."""
    plan = RoutingPlan("by-cost", order=(Criterion.COST,), loss_guard=LossGuard(None))
    known = builders.catalogue(
        [msgspec.structs.replace(ACME, routing_plan="by-cost"), DEAR],
        accounts=[
            builders.account("acme", agent="reseller"),
            builders.account("reseller", rate_group="low", agent="wholesaler"),
            builders.account("wholesaler", rate_group="lower"),
            builders.account("dear", rate_group="middle", **CLEARING),
        ],
        rate_groups=[
            builders.rate_group("low", builders.applied_rate("0.40")),
            builders.rate_group("lower", builders.applied_rate("0.20")),
            builders.rate_group("middle", builders.applied_rate("0.30")),
        ],
        plans=[plan],
    )
    agents = (
        PastAgent("reseller", 1, Decimal("0.50"), Decimal(0), "USD"),
        PastAgent("wholesaler", 2, Decimal("0.25"), Decimal(0), None),
    )
    found = simulated(known, [call(agents=agents)])
    assert found["currencies"][0]["before"] == {"fee": "0.25", "cost": "0.30", "margin": "-0.05"}
    assert found["currencies"][0]["after"] == {"fee": "0.20", "cost": "0.30", "margin": "-0.10"}
    assert (found["before"]["loss_calls"], found["after"]["loss_calls"]) == (1, 1)
    assert found["destinations"][0]["prefix"] == "44", "the calls are sorted by the customer's rate"


def test_short_calls_go_where_short_calls_cost_least_and_those_below_cost_are_counted() -> None:
    minutes = builders.rate_group("minutes", builders.applied_rate("0.10", 60))
    cheap = builders.account("cheap", rate_group="minutes", **CLEARING)
    plan = RoutingPlan("by-cost", order=(Criterion.COST,), loss_guard=LossGuard(None))
    acme = msgspec.structs.replace(ACME, routing_plan="by-cost")
    known = builders.catalogue([acme, CHEAP, DEAR], accounts=[cheap], rate_groups=[minutes], plans=[plan])
    short = {"fee": Decimal("0.05"), "cost": Decimal("0.03"), "ended_at": AT + 7_000, "hold_time_ms": 5_000}
    found = simulated(known, [call(number, **short) for number in range(25)])
    assert (found["before"]["loss_calls"], found["after"]["loss_calls"]) == (0, 20), "the length is known from then on"
    assert [(row["routing_gateway"], row["after"]["calls"]) for row in found["gateways"]] == [
        ("cheap", 20),
        ("dear", 5),
    ]


def test_a_gateway_for_verified_callers_takes_the_calls_that_were_verified() -> None:
    wary = msgspec.structs.replace(DEAR, dialect=CalleeDialect(stir=VendorSignatures(only_verified=True)))
    calls = [call(0, verstat="TN-Validation-Passed"), call(1, verstat="TN-Validation-Failed"), call(2)]
    assert [simulated(catalogue(wary, CHEAP), [each])["changed"] for each in calls] == [0, 1, 1]


def test_without_money_nothing_of_it_decides_what_is_listed_and_in_which_order() -> None:
    rates = [builders.applied_rate("0.60", prefix=prefix) for prefix in ("441", "442", "443", "444")]
    known = builders.catalogue(
        [ACME, CHEAP],
        accounts=[vendor("cheap", "cheap")],
        rate_groups=[builders.rate_group("sell", *rates), CHEAP_GROUP],
    )
    simulation = Simulation(known)
    for number, (digit, cost) in enumerate((("1", "0.11"), ("2", "0.12"), ("2", "0.12"), ("3", "0.59"))):
        simulation.add(call(number, callee_in=f"700144{digit}12", cost=Decimal(cost)))
    simulation.add(call(4, callee_in="700144412", routing_gateway="cheap", vendor_account="cheap"))
    listed = {
        with_money: [row["prefix"] for row in simulation.to_json(10, with_money=with_money)["destinations"]]
        for with_money in (True, False)
    }
    assert listed == {True: ["443", "444", "441", "442"], False: ["442", "441", "443"]}
    found = simulation.to_json(10, with_money=False)
    assert {*found["destinations"][0]["before"]} == {"calls", "answered", "minutes"}
    assert not {"currencies", "unconverted"} & found.keys()
    assert "loss_calls" not in found["before"]
    assert {*found["margins"][0]["after"]} == {"calls", "answered", "minutes"}
