"""Plans: their gateways, their own routes, and the conditions that gateways and calls make."""

from decimal import Decimal

import pytest
from doubles.data.builders import applied_rate, rate_group, routing_gateway
from doubles.priced_vendors import PricedByTerms

from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.base.margin import LossGuard
from vosd.callcontrol.explain import explain_routes
from vosd.routing.capacity import Occupancy
from vosd.routing.pipeline import Cause, FoundRoutes, RouteRequest, examine_routes, find_routes
from vosd.routing.plan import Criterion, RouteRow, RoutingPlan
from vosd.routing.quality import QualityFigures
from vosd.routing.rest import Rests
from vosd.routing.route_table import RouteTable
from vosd.routing.weights import Turns
from vosd.trunks.gateways import PrefixMode
from vosd.trunks.scope import LimitScope, SharedLimit

NOON = 1_790_000_000_000
HOUR = 3_600_000


class Vendors(PricedByTerms):
    """Vendors that are all well, with a price for each; ``None`` = no buy rate."""

    unregistered = down = resting = frozenset()

    def __init__(self, prices=None):
        self.turns, self.blocked = Turns(), {}
        self.prices = prices or {}
        self.asked = []

    def is_barred(self, gateway, callee, wall_ms):
        return False

    def terms(self, gateway, callee, wall_ms, caller):
        self.asked.append(gateway.name)
        price = self.prices.get(gateway.name, "0.10")
        return None if price is None else applied_rate(price)

    def quality(self, gateway, prefix, callee, caller, at, least):
        return QualityFigures(0)

    def funded(self, gateway, terms):
        return True


def request(callee="442071", **more) -> RouteRequest:
    return RouteRequest(**{"callee": callee, "caller": "1000", "at": Instant(10_000, NOON), **more})


def examined(table: RouteTable, asked: RouteRequest | None = None, vendors=None, occupancy=None) -> FoundRoutes:
    return examine_routes(asked or request(), table, occupancy or Occupancy(), Rests(), vendors or Vendors())


def names(routes: FoundRoutes) -> list[str]:
    return [choice.gateway.name for choice in routes.choices]


def left(routes: FoundRoutes) -> dict[str, tuple[Cause, str]]:
    return {each.gateway.name: (each.cause, each.detail) for each in routes.left}


A, B, C = map(routing_gateway, "abc")
ALL = RouteTable([A, B, C])


def with_rows(*rows: RouteRow, order=None, gateways=(A, B, C)) -> RouteTable:
    terms = {} if order is None else {"order": order}
    return RouteTable(gateways).by_plan(RoutingPlan("premium", routes=rows, **terms))


def test_a_plan_may_use_some_of_the_gateways():
    table = ALL.by_plan(RoutingPlan("premium", gateways=frozenset("ca")))
    assert names(examined(table)) == ["a", "c"]
    explained = explain_routes(request(), table, Occupancy(), Rests(), Vendors(), others=ALL)
    assert explained.left == (("b", "plan: not among the gateways of plan premium"),)


def test_a_plan_has_its_own_order():
    low, high = routing_gateway("low", priority=2), routing_gateway("high", priority=1)
    vendors = Vendors({"low": "0.05"})
    assert names(examined(RouteTable([low, high]), vendors=vendors)) == ["high", "low"]
    cheapest = RoutingPlan("cheap", order=(Criterion.COST, Criterion.PRIORITY))
    assert names(examined(RouteTable([low, high]).by_plan(cheapest), vendors=vendors)) == ["low", "high"]


def test_routes_of_a_plan_stand_in_place_of_the_prefixes():
    table = with_rows(RouteRow("44", "b", priority=2), RouteRow("4420", "c"), RouteRow("44", "a", priority=1))
    routes = examined(table)
    assert [(each.gateway.name, each.prefix, each.priority) for each in routes.choices] == [
        ("c", "4420", 1), ("a", "44", 1), ("b", "44", 2),
    ]  # fmt: skip
    assert examined(table, request("33")) == FoundRoutes((), ())


def test_percentages_share_calls_and_what_is_left_goes_by_weight():
    table = with_rows(RouteRow("44", "a", percent=50), RouteRow("44", "b", weight=3), RouteRow("44", "c", weight=2))
    vendors, taken = Vendors(), []
    for _ in range(100):
        routes = find_routes(request(), table, Occupancy(), Rests(), vendors)
        taken.append(next(routes).gateway.name)
    assert {name: taken.count(name) for name in "abc"} == {"a": 50, "b": 30, "c": 20}


@pytest.mark.parametrize(
    ("rows", "asked"),
    [
        ([RouteRow("44", "b", percent=70, valid_to=NOON), RouteRow("44", "b", percent=20, valid_from=NOON)], request()),
        (
            [RouteRow("44", "a", percent=70), RouteRow("44", "b", percent=20)],
            request(denied=frozenset("a"), is_selective=True),
        ),
    ],
)
def test_lines_that_are_not_in_force_or_not_for_such_calls_have_no_share_of_a_hundred(rows, asked):
    table, vendors = with_rows(*rows, RouteRow("44", "c")), Vendors()
    taken = [next(find_routes(asked, table, Occupancy(), Rests(), vendors)).gateway.name for _ in range(10)]
    assert sorted(taken) == ["b"] * 2 + ["c"] * 8


@pytest.mark.parametrize("why", ["none", "blocked", "disabled", "without rate"])
def test_gateways_that_are_closed_or_have_no_price_have_no_share_of_a_hundred(why):
    rows = RouteRow("44", "a", percent=70), RouteRow("44", "b", percent=20), RouteRow("44", "c")
    table = with_rows(*rows, gateways=(routing_gateway("a", enabled=why != "disabled"), B, C))
    vendors = Vendors({"a": None} if why == "without rate" else None)
    vendors.blocked = {"a": "by ann"} if why == "blocked" else {}
    taken = [next(find_routes(request(), table, Occupancy(), Rests(), vendors)).gateway.name for _ in range(10)]
    assert sorted(taken) == (["a"] * 7 + ["b"] * 2 + ["c"] if why == "none" else ["b"] * 2 + ["c"] * 8)


@pytest.mark.parametrize("criterion", [Criterion.WEIGHT, Criterion.ROUND_ROBIN])
@pytest.mark.parametrize(
    "others",
    [
        [RouteRow("44", "a", weight=200, valid_to=NOON)],
        [RouteRow("44", "a", weight=200, valid_from=NOON + 1)],
        [RouteRow("442", "a", valid_to=NOON), RouteRow("4420", "a", valid_from=NOON + 1)],
        [RouteRow("4", "a", valid_from=NOON, valid_to=NOON + 1)],
    ],
)
def test_a_gateway_of_several_lines_has_its_share_by_the_one_that_stands(others, criterion):
    table = with_rows(*others, RouteRow("44", "a", weight=100), RouteRow("44", "b", weight=100), order=(criterion,))
    vendors = Vendors()
    taken = [next(find_routes(request(), table, Occupancy(), Rests(), vendors)).gateway.name for _ in range(30)]
    assert (taken.count("a"), taken.count("b")) == (15, 15)


def test_a_whole_percentage_leaves_the_others_as_a_reserve():
    table = with_rows(RouteRow("44", "a", percent=100), RouteRow("44", "b"))
    vendors = Vendors()
    for _ in range(3):
        assert names(examined(table, vendors=vendors)) == ["a", "b"]


def test_a_line_that_is_not_valid_now_is_left_out():
    table = with_rows(
        RouteRow("44", "a", valid_to=NOON),
        RouteRow("44", "b", valid_from=NOON),
        RouteRow("44", "c", valid_from=NOON + 1),
    )
    routes = examined(table)
    assert names(routes) == ["b"]
    assert left(routes) == {
        "a": (Cause.EXPIRED, "valid until 2026-09-21T14:13:20Z"),
        "c": (Cause.EXPIRED, "valid from 2026-09-21T14:13:20Z"),
    }


def test_a_gateway_may_have_another_priority_at_another_time_and_is_offered_once():
    table = with_rows(
        RouteRow("44", "a", priority=3),
        RouteRow("44", "a", priority=1, valid_from=NOON, valid_to=NOON + HOUR),
        RouteRow("44", "b", priority=2),
    )
    assert names(examined(table)) == ["a", "b"]
    assert names(examined(table, request(at=Instant(10_000, NOON + HOUR)))) == ["b", "a"]


def test_a_gateway_without_a_line_in_force_is_left_out_once_by_its_longest():
    table = with_rows(RouteRow("4", "a", valid_to=NOON), RouteRow("44", "a", valid_from=NOON + 1), RouteRow("4", "b"))
    found = examined(table)
    assert (names(found), [(each.gateway.name, each.cause) for each in found.left]) == (["b"], [("a", Cause.EXPIRED)])
    assert found.left[0].detail.startswith("valid from")


def test_a_resting_gateway_of_several_lines_is_tried_once():
    class Resting(Vendors):
        resting = frozenset({"a"})

        def paused_ms(self, gateway, mono_ms):
            return 0

        def resting_ms(self, gateway, mono_ms, payer=""):
            return 5_000

        def why_resting(self, gateway, mono_ms, payer=""):
            return "failed"

    rows = RouteRow("4420", "a"), RouteRow("4420", "a", valid_from=NOON - HOUR)
    assert names(examined(with_rows(*rows), vendors=Resting())) == ["a"]


def test_the_validity_of_a_gateway_counts_too():
    table = RouteTable([routing_gateway("old", valid_to=NOON), routing_gateway("new", valid_from=NOON)])
    assert names(examined(table)) == ["new"]
    assert names(examined(table, request(at=Instant(10_000, NOON - 1)))) == ["old"]


def test_a_denied_prefix_beats_the_prefixes():
    table = RouteTable([routing_gateway("a", "44", denied_prefixes=("447", "4470")), routing_gateway("b")])
    assert names(examined(table)) == ["a", "b"]
    routes = examined(table, request("+447012"))
    assert names(routes) == ["b"]
    assert left(routes) == {"a": (Cause.DENIED_PREFIX, "4470")}


def test_a_denied_prefix_puts_a_gateway_behind_all_others_for_an_emergency_number_and_the_whole_number_leaves_it_out():
    vendors = [
        routing_gateway("no-america", denied_prefixes=("1",), priority=1),
        routing_gateway("no-centre", denied_prefixes=("1", "112"), priority=2),
        routing_gateway("stops", "11", denied_prefixes=("11",), prefix_mode=PrefixMode.STOP, priority=3),
        routing_gateway("any", priority=4),
    ]
    emergency = examined(RouteTable(vendors), request("112", is_emergency=True))
    assert names(emergency) == ["any", "stops", "no-america"]
    assert left(emergency) == {"no-centre": (Cause.DENIED_PREFIX, "112")}
    assert names(examined(RouteTable(vendors[:2]), request("+112", is_emergency=True))) == ["no-america"]
    assert names(examined(RouteTable(vendors), request("112"))) == ["any"]
    ordered = RouteTable(vendors, plan=RoutingPlan("by-priority", order=(Criterion.PRIORITY, Criterion.WEIGHT)))
    assert names(examined(ordered, request("112", is_emergency=True))) == ["any", "no-america", "stops"]


def test_a_call_never_goes_back_to_the_partner_that_it_came_from():
    table = RouteTable([routing_gateway("a", partner="group"), routing_gateway("b", partner="rival")])
    routes = examined(table, request(partner="group"))
    assert names(routes) == ["b"]
    assert left(routes) == {"a": (Cause.PARTNER, "the call comes from group")}
    assert names(examined(table)) == ["a", "b"]


@pytest.mark.parametrize(
    ("terms", "tried"),
    [
        ({"allowed": frozenset("ab")}, "ab"),
        ({"denied": frozenset("a")}, "bc"),
        ({"allowed": frozenset("ab"), "denied": frozenset("a")}, "b"),
    ],
)
def test_a_trunk_may_use_some_of_the_gateways(terms, tried):
    routes = examined(ALL, request(mapping="acme", is_selective=True, **terms))
    assert names(routes) == list(tried)
    assert set(left(routes).values()) == {(Cause.PLAN, "not among the gateways that acme uses")}


@pytest.mark.parametrize(
    ("terms", "tried"),
    [
        ({"allowed": {"cheap"}}, "ab"),
        ({"denied": {"cheap"}}, "c"),
        ({"allowed": {"cheap", "c"}, "denied": {"a"}}, "bc"),
    ],
)
def test_a_trunk_may_use_the_gateways_of_some_groups(terms, tried):
    cheap = frozenset({"cheap"})
    table = RouteTable([routing_gateway("a", groups=cheap), routing_gateway("b", groups=cheap | {"other"}), C])
    routes = examined(table, request(mapping="acme", is_selective=True, **terms))
    assert sorted(names(routes)) == list(tried)


def test_a_gateway_that_ends_the_search_hides_those_with_shorter_prefixes():
    gateways = [
        routing_gateway("exact", "4420", prefix_mode=PrefixMode.STOP, priority=9), routing_gateway("equal", "4420"),
        routing_gateway("wide", "44"), routing_gateway("any"),
    ]  # fmt: skip
    routes = examined(RouteTable(gateways))
    assert names(routes) == ["equal", "exact"]
    assert set(left(routes)) == {"wide", "any"}
    assert names(examined(RouteTable(gateways), request("4430"))) == ["wide", "any"]


@pytest.mark.parametrize(
    "terms",
    [{"denied_prefixes": ("44207",)}, {"valid_to": NOON - 1}, {"partner": "group"}],
    ids=lambda terms: next(iter(terms)),
)
def test_a_gateway_that_does_not_accept_the_number_or_the_time_ends_no_search(terms):
    exact = routing_gateway("exact", "4420", prefix_mode=PrefixMode.STOP, **terms)
    nearer = routing_gateway("nearer", "442", prefix_mode=PrefixMode.STOP)
    wide, asked = routing_gateway("wide", "44"), request("4420746", partner="group")
    assert names(examined(RouteTable([exact, wide]), asked)) == ["wide"]
    routes = examined(RouteTable([exact, nearer, wide]), asked)
    assert names(routes) == ["nearer"]
    assert set(left(routes)) == {"exact", "wide"}


def test_a_disabled_gateway_ends_no_search():
    gateways = [routing_gateway("off", "4420", prefix_mode=PrefixMode.STOP, enabled=False), routing_gateway("any")]
    assert names(examined(RouteTable(gateways))) == ["any"]


def test_a_protected_gateway_comes_last_whatever_its_prefix_and_priority():
    table = RouteTable([routing_gateway("guard", "4420", protect_ms=10_000), routing_gateway("a", priority=7)])
    assert names(examined(table)) == ["a", "guard"]


def test_a_limit_that_gateways_share_leaves_all_of_them_out():
    shared = SharedLimit(LimitScope.VENDOR, "carrier", 2, None)
    table = RouteTable(
        [routing_gateway("a", shared_limits=(shared,)), routing_gateway("b", shared_limits=(shared,)), C]
    )
    occupancy = Occupancy()
    assert names(examined(table, occupancy=occupancy)) == ["a", "b", "c"]
    for _ in range(2):
        occupancy.take(LimitScope.VENDOR, "carrier", 2, None, 0)
    routes = examined(table, occupancy=occupancy)
    assert names(routes) == ["c"]
    assert left(routes)["b"] == (Cause.FULL, "carrier has its 2")


def test_a_line_has_a_limit_of_its_own():
    table = with_rows(RouteRow("44", "a", max_calls=1), RouteRow("4420", "a", max_calls=5))
    occupancy = Occupancy()
    (choice,) = examined(table, request("4430")).choices
    assert choice.limits == (SharedLimit(LimitScope.ROUTE, "premium/44/a", 1, None),)
    occupancy.take(LimitScope.ROUTE, "premium/44/a", 1, None, 0)
    assert names(examined(table, request("4430"), occupancy=occupancy)) == []
    assert names(examined(table, request("4420"), occupancy=occupancy)) == ["a"], "another line"


def test_a_gateway_whose_line_has_all_its_calls_gets_no_more_of_them_by_a_shorter_line():
    dated = RouteRow("4420", "a", max_calls=1, valid_to=NOON + 1)
    table, occupancy = with_rows(RouteRow("44", "a"), RouteRow("44", "b"), dated), Occupancy()
    occupancy.take(LimitScope.ROUTE, "premium/4420/a", 1, None, 0)
    found = examined(table, occupancy=occupancy)
    assert (names(found), left(found)) == (["b"], {"a": (Cause.FULL, "premium/4420/a has its 1")})
    assert sorted(names(examined(table, request("4430"), occupancy=occupancy))) == ["a", "b"]


@pytest.mark.parametrize(
    "order",
    [
        (Criterion.PREFIX, Criterion.PRIORITY, Criterion.WEIGHT),
        (Criterion.PRIORITY, Criterion.WEIGHT),
        (Criterion.COST, Criterion.WEIGHT),
        (Criterion.PRIORITY, Criterion.PREFIX),
    ],
)
@pytest.mark.parametrize("until", [None, NOON + 1])
def test_the_limit_of_the_longest_line_in_force_holds_whatever_the_order_begins_with(order, until):
    dated = RouteRow("4420", "b", priority=2, weight=50, max_calls=1, valid_to=until)
    rows = RouteRow("44", "b", priority=1), RouteRow("44", "a", priority=2), dated
    table, occupancy = with_rows(*rows, order=order), Occupancy()
    assert {each.gateway.name: each.prefix for each in examined(table).choices} == {"a": "44", "b": "4420"}
    occupancy.take(LimitScope.ROUTE, "premium/4420/b", 1, None, 0)
    found = examined(table, occupancy=occupancy)
    assert (names(found), left(found)) == (["a"], {"b": (Cause.FULL, "premium/4420/b has its 1")})


def test_the_least_loaded_comes_first_in_proportion_to_the_weight():
    wide, narrow = routing_gateway("wide", weight=300), routing_gateway("narrow", weight=100)
    table = RouteTable([narrow, wide]).by_plan(RoutingPlan("even", order=(Criterion.LOAD,)))
    occupancy = Occupancy()
    for name, calls in (("wide", 3), ("narrow", 2)):
        for _ in range(calls):
            occupancy.take(LimitScope.ROUTING, name, None, None, 0)
    assert names(examined(table, occupancy=occupancy)) == ["wide", "narrow"]


def test_round_robin_takes_no_account_of_weights():
    table = RouteTable([routing_gateway("a", weight=900), routing_gateway("b", weight=1)])
    vendors, plan = Vendors(), RoutingPlan("turns", order=(Criterion.ROUND_ROBIN,))
    firsts = [names(examined(table.by_plan(plan), vendors=vendors))[0] for _ in range(4)]
    assert firsts == ["a", "b", "a", "b"]


# -- prefixes of the buy rates ----------------------------------------------------------------------------------------


class CountedRates:
    """Buy rates that note what they are asked."""

    def __init__(self, *prefixes):
        self.table = rate_group("buy", *(applied_rate(prefix=prefix) for prefix in prefixes)).table
        self.asked = []

    def find(self, number, wall_ms, caller):
        self.asked.append((number, wall_ms))
        return self.table.find(number, wall_ms)


def test_a_gateway_takes_the_numbers_that_its_buy_rates_have():
    rates = CountedRates("44", "4420")
    gateways = [routing_gateway("fixed", "442"), routing_gateway("a", "from_rates"), routing_gateway("b", "from_rates")]
    table = RouteTable(gateways, rates={"a": rates, "b": rates})
    routes = examined(table)
    assert [(each.gateway.name, each.prefix) for each in routes.choices] == [
        ("a", "4420"), ("b", "4420"), ("fixed", "442"),
    ]  # fmt: skip
    assert rates.asked == [("442071", NOON)], "one look-up for all gateways of the same rates"
    assert names(examined(table, request("+4479"))) == ["a", "b"]
    assert examined(table, request("33")) == FoundRoutes((), ())


# -- margins ----------------------------------------------------------------------------------------------------------


CONVERTED = {"price_of": lambda terms, seconds: Decimal("0.09"), "meets_currencies": True}
SOLD = {"sell_price": Decimal("0.10"), "currency": "USD"}


def test_a_gateway_that_would_lose_money_is_left_out():
    vendors = Vendors({"a": "0.11", "b": "0.10", "c": "0.09"})
    routes = examined(ALL, request(**SOLD), vendors)
    assert names(routes) == ["b", "c"]
    assert left(routes) == {
        "a": (Cause.LOSS, "sold for 0.10 a minute and bought for 0.11: a margin of -0.01, at least 0.00 is wanted")
    }
    explained = explain_routes(request(**SOLD), ALL, Occupancy(), Rests(), vendors)
    assert explained.left[0].reason.startswith("loss: sold for 0.10")


@pytest.mark.parametrize(
    ("guard", "tried"),
    [
        (LossGuard(), "bc"),
        (LossGuard(Decimal("0.01")), "c"),
        (LossGuard(Decimal("-0.01")), "abc"),
        (LossGuard(None), "abc"),
        (LossGuard(None, Decimal("0.0016")), "c"),
        (LossGuard(Decimal(0), Decimal("0.0015")), "c"),
    ],
)
def test_the_margin_that_is_wanted_and_the_highest_price(guard, tried):
    vendors = Vendors({"a": "0.11", "b": "0.10", "c": "0.09"})
    assert names(examined(ALL, request(guard=guard, **SOLD), vendors)) == list(tried)


def test_prices_are_not_compared_where_one_is_unknown():
    vendors = Vendors({"a": "9.99", "b": "9.99", "c": "9.99"})
    assert sorted(names(examined(ALL, request(currency="USD"), vendors))) == list("abc")
    unrated = RouteTable([routing_gateway("a", allow_unrated=True)])
    assert names(examined(unrated, request(**SOLD), Vendors({"a": None}))) == ["a"]


@pytest.mark.parametrize("rates", [{}, {"price_of": lambda terms, seconds: None, "meets_currencies": True}])
def test_a_price_that_cannot_be_converted_is_refused_where_the_guard_would_compare_it(rates):
    unknown = {"sell_price": Decimal("0.10"), "currency": "EUR", **rates}
    for guard in (LossGuard(), LossGuard(None, Decimal(1))):
        found = left(examined(ALL, request(guard=guard, **unknown)))
        why = "its price cannot be compared: no exchange rate into EUR is in force"
        assert found == dict.fromkeys("abc", (Cause.LOSS, why))
    assert names(examined(ALL, request(guard=LossGuard(None), **unknown))) == list("abc")
    assert names(examined(ALL, request(**{**unknown, **CONVERTED}))) == list("abc")


def test_the_regular_cycle_counts_and_no_first_period():
    class Cycles(Vendors):
        def terms(self, gateway, callee, wall_ms, caller):
            return applied_rate("0.01", 6, per_cycle=True, first_rate="9.00", first_duration=60)

    assert names(examined(ALL, request(**SOLD), Cycles())) == list("abc")
    assert names(examined(ALL, request(sell_price=Decimal("0.0999"), currency="USD"), Cycles())) == []


def test_a_call_that_every_gateway_would_lose_money_on_has_no_route():
    vendors, noted = Vendors({"a": "0.11"}), []
    refusal = find_routes(request(**SOLD), RouteTable([A]), Occupancy(), Rests(), vendors, noted)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.status) == (EndReason.NO_AVAILABLE_ROUTE, 503)
    assert [each.cause for each in noted] == [Cause.LOSS]
