"""Operational overrides laid over a catalogue, and what they block."""

from decimal import Decimal

import pytest
from doubles.data.builders import account, catalogue, mapping_gateway, override, phone, routing_gateway

from vosd.base.clock import Instant
from vosd.callcontrol.live_state import LiveState
from vosd.callcontrol.vendor_terms import LiveVendors
from vosd.catalogue.overrides import SETTINGS, Blocks, Overrides, Setting, Target, overlaid
from vosd.routing.pipeline import find_routes
from vosd.routing.plan import RouteRow, RoutingPlan
from vosd.routing.routes import RouteRequest
from vosd.trunks.dialect import CalleeDialect, Redirects
from vosd.trunks.gateways import PrefixMode

CATALOGUE = catalogue(
    [
        mapping_gateway("acme", "198.51.100.10/32", max_concurrent=7),
        routing_gateway("a", "44", priority=1, account="carriers"),
        routing_gateway("b", "44", priority=2, account="carriers"),
        routing_gateway("c", "44", priority=2, account="others"),
    ],
    phones=[phone("1001", offline_gateway="a", max_concurrent=2)],
    accounts=[account("acme", overdraft_limit=Decimal(5))],
)
PRIORITY_OF_A = override(Target.ROUTING, "a", Setting.PRIORITY, "9")


def order(whole) -> list[str]:
    return [each.gateway.name for each in whole.routes.candidates("4420")]


def test_without_overrides_the_catalogue_is_the_same():
    assert overlaid(CATALOGUE, Overrides()) is CATALOGUE
    assert overlaid(CATALOGUE, Overrides([override(Target.ROUTING, "a")])) is CATALOGUE


def test_values_win_over_the_configuration():
    whole = overlaid(
        CATALOGUE,
        Overrides(
            [
                PRIORITY_OF_A,
                override(Target.ROUTING, "b", Setting.MAX_CPS, "3"),
                override(Target.MAPPING, "acme", Setting.MAX_CONCURRENT, "none"),
            ]
        ),
    )
    assert (order(CATALOGUE), order(whole)) == (["a", "b", "c"], ["b", "c", "a"])
    assert whole.routing_gateways["a"].priority == 9
    assert whole.routing_gateways["b"].max_cps == 3
    assert whole.overridden["acme"].max_concurrent is None
    assert whole.mapping_gateways["acme"].max_concurrent == 7, "an index of all callers is not made again"
    assert whole.routing_gateways["c"] is CATALOGUE.routing_gateways["c"]
    assert order(CATALOGUE) == ["a", "b", "c"], "the catalogue without overrides stays as it is"


def test_equal_priorities_follow_the_order_of_definition():
    whole = overlaid(CATALOGUE, Overrides([override(Target.ROUTING, "a", Setting.PRIORITY, "2")]))
    assert order(whole) == ["a", "b", "c"]


def test_the_limit_of_a_phone_holds_in_both_directions():
    limit = override(Target.MAPPING, "1001", Setting.MAX_CONCURRENT, "1")
    whole = overlaid(CATALOGUE, Overrides([limit, override(Target.ROUTING, "a", Setting.MAX_CONCURRENT, "4")]))
    assert whole.overridden["1001"].max_concurrent == 1
    called, offline = (each.gateway for each in whole.routes.candidates("1001"))
    assert (called.name, called.max_concurrent) == ("1001", 1)
    assert (offline.name, offline.max_concurrent) == ("a", 4)


def test_plans_have_the_same_called_half_of_a_phone_as_the_common_table():
    """A call that was restored gets that of the common table, and a search compares gateways by identity."""
    whole = catalogue(
        [mapping_gateway("acme")], phones=[phone("1001")], plans=[RoutingPlan("own"), RoutingPlan("other")]
    )
    limited = overlaid(whole, Overrides([override(Target.MAPPING, "1001", Setting.MAX_CONCURRENT, "1")]))
    called = limited.routes.phone("1001")
    assert called is not None
    assert called.max_concurrent == 1
    assert all(table.phone("1001") is called for table in limited.plans.values())


def test_the_overdraft_limit_of_an_account_is_overridden():
    overrides = Overrides(
        [
            override(Target.ACCOUNT, "acme", Setting.OVERDRAFT_LIMIT, "unlimited"),
            override(Target.ACCOUNT, "carriers", Setting.OVERDRAFT_LIMIT, "12.50"),
        ]
    )
    accounts = CATALOGUE.accounts
    assert overrides.accounts() == {"acme", "carriers"}
    assert overrides.overdraft_limit(accounts["acme"]) is None
    assert overrides.overdraft_limit(accounts["carriers"]) == Decimal("12.50")
    assert Overrides().overdraft_limit(accounts["acme"]) == Decimal(5)


def test_an_override_of_what_is_not_configured_changes_nothing():
    ghosts = [
        override(Target.ROUTING, "gone", Setting.PRIORITY, "1"),
        override(Target.MAPPING, "gone", Setting.MAX_CPS, "1"),
        override(Target.ACCOUNT, "gone", Setting.OVERDRAFT_LIMIT, "1"),
    ]
    assert overlaid(CATALOGUE, Overrides(ghosts)) is CATALOGUE


def test_a_block_of_an_account_blocks_the_gateways_that_are_paid_by_it():
    blocks = Blocks()
    block = override(Target.ACCOUNT, "carriers", memo="fraud")
    blocks.set(Overrides([block]), CATALOGUE)
    assert (blocks.accounts, blocks.callers) == ({"carriers": block}, {})
    assert blocks.called == {"a": block, "b": block}


def test_a_block_of_a_mapping_gateway_leaves_a_routing_gateway_of_that_name_alone():
    whole = catalogue([mapping_gateway("twin", "198.51.100.10/32"), routing_gateway("twin", "44", account="x")])
    blocks = Blocks()
    blocks.set(Overrides([override(Target.MAPPING, "twin")]), whole)
    assert (list(blocks.callers), list(blocks.called)) == (["twin"], [])
    blocks.set(Overrides([override(Target.ROUTING, "twin")]), whole)
    assert (list(blocks.callers), list(blocks.called)) == ([], ["twin"])


def test_a_blocked_phone_neither_calls_nor_is_called():
    blocks = Blocks()
    blocks.set(Overrides([override(Target.MAPPING, "1001")]), CATALOGUE)
    assert (list(blocks.callers), list(blocks.called)) == (["1001"], ["1001"])


def test_an_override_ends_at_its_time():
    both = Overrides([override(Target.ROUTING, "a", until=2_000), override(Target.ROUTING, "b")])
    assert both.next_expiry == 2_000
    assert [each.name for each in both.at(1_999).by_key.values()] == ["a", "b"]
    assert [each.name for each in both.at(2_000).by_key.values()] == ["b"]
    assert both.at(2_000).next_expiry is None


def test_the_text_of_an_override_says_who_until_when_and_why():
    assert str(override(Target.ROUTING, "a")) == "by ann"
    terms = {"until": 1_790_000_000_000, "memo": "no audio"}
    assert str(override(Target.ROUTING, "a", **terms)) == "by ann until 2026-09-21T14:13:20.000Z: no audio"


def test_every_setting_belongs_to_a_kind_of_object_except_what_is_kept_with_the_account():
    assert frozenset(Setting) - {Setting.EXPIRES_AT} == frozenset.union(*SETTINGS.values())


def test_a_priority_wins_over_that_of_a_plans_own_routes():
    rows = (RouteRow("44", "a", priority=1), RouteRow("44", "b", priority=2), RouteRow("44", "c"))
    whole = catalogue(
        [routing_gateway(name, "1", account="carriers", priority=5) for name in "abc"],
        plans=[RoutingPlan("own", routes=rows)],
    )
    plan = overlaid(whole, Overrides([override(Target.ROUTING, "a", Setting.PRIORITY, "9")])).plans["own"]
    assert [each.gateway.name for each in plan.candidates("4420")] == ["b", "c", "a"]


@pytest.mark.parametrize(("setting", "value"), [(Setting.PRIORITY, "1"), (Setting.WEIGHT, "100")])
def test_a_value_equal_to_that_of_the_gateway_wins_over_a_plans_own_routes(setting, value):
    rows = (RouteRow("44", "a", priority=1, weight=10), RouteRow("44", "b", priority=2, weight=20))
    whole = catalogue(
        [routing_gateway(name, "1", account="carriers", priority=1, weight=100) for name in "ab"],
        plans=[RoutingPlan("own", routes=rows)],
    )
    _, before = whole.plans["own"].candidates("4420")
    candidates = overlaid(whole, Overrides([override(Target.ROUTING, "b", setting, value)])).plans["own"]
    [after] = [each for each in candidates.candidates("4420") if each.gateway.name == "b"]
    assert after == before._replace(**{setting.value: int(value)})


def test_a_redirect_server_of_a_phone_leads_on_after_any_cause_with_overridden_values_too():
    terms = {"failover_codes": frozenset({503}), "stop_causes": frozenset({17})}
    dialect = CalleeDialect(redirects=Redirects.FOLLOW)
    whole = catalogue(
        [routing_gateway("a", "44", account="carriers", dialect=dialect, **terms)],
        phones=[phone("1001", redirect_server="a")],
    )
    before = whole.routes.candidates("1001")[0].gateway
    after = overlaid(whole, Overrides([PRIORITY_OF_A])).routes.candidates("1001")[0].gateway
    assert (after.stop_causes, after.failover_codes) == (before.stop_causes, before.failover_codes)
    assert (before.stop_causes, after.priority) == (frozenset(), 9)


def test_a_blocked_gateway_does_not_end_the_search_at_its_prefix():
    stops = routing_gateway("long", "4420", account="carriers", prefix_mode=PrefixMode.STOP)
    whole = catalogue([stops, routing_gateway("short", "44", account="carriers")])
    assert [each.gateway.name for each in whole.routes.candidates("4420")] == ["long"]
    for block in (override(Target.ROUTING, "long"), override(Target.ACCOUNT, "carriers")):
        blocked = overlaid(whole, Overrides([block]))
        assert [each.gateway.name for each in blocked.routes.candidates("4420")] == ["long", "short"]


def shares(percents, weight):
    """Return the calls of 100 that lines with these percentages get; ``weight`` is overridden for the first."""
    gateways = [routing_gateway(name, "44", account="carriers") for name in percents]
    plan = RoutingPlan("own", routes=tuple(RouteRow("44", name, percent=share) for name, share in percents.items()))
    made = [] if weight is None else [override(Target.ROUTING, next(iter(percents)), Setting.WEIGHT, weight)]
    whole = overlaid(catalogue(gateways, plans=(plan,)), Overrides(made))
    live = LiveState(addresses_of=lambda gateway: gateway.addresses)
    vendors, taken = LiveVendors(whole, live), []
    for _ in range(100):
        request = RouteRequest("4420", "", Instant(60_000, 0))
        routes = find_routes(request, whole.plans["own"], live.occupancy, live.rests, vendors)
        taken.append(next(routes).gateway.name)
    return {name: taken.count(name) for name in percents}


@pytest.mark.parametrize(
    ("percents", "weight", "expected"),
    [
        ({"a": 70, "b": None}, None, {"a": 70, "b": 30}),
        ({"a": 70, "b": None}, "0", {"a": 0, "b": 100}),
        ({"a": 70, "b": None}, "20", {"a": 40, "b": 60}),
        ({"a": 60, "b": 30, "c": None}, "10", {"a": 20, "b": 60, "c": 20}),
        ({"a": 70, "b": 30}, "10", {"a": 25, "b": 75}),
        ({"a": 70, "b": 30}, "0", {"a": 0, "b": 100}),
        ({"a": 10, "b": 40, "c": None}, "60", {"a": 40, "b": 27, "c": 33}),
    ],
)
def test_a_weight_takes_the_place_of_the_percentage_of_a_line(percents, weight, expected):
    assert shares(percents, weight) == expected


@pytest.mark.parametrize("percents", [{"a": 70, "b": 30}, {"a": 10, "b": 40}, {"a": 20, "b": 30, "c": 50, "d": None}])
def test_a_smaller_weight_in_place_of_a_percentage_never_gives_a_larger_share(percents):
    of_weights = [shares(percents, weight)["a"] for weight in ("0", "1", "10", "100", "1000")]
    assert of_weights == sorted(set(of_weights))
