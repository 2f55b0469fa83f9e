"""The order of candidates that are equal by the configuration: by calendar, price, quality and weight."""

from collections import Counter
from decimal import Decimal

import pytest
from doubles.data.builders import applied_rate, routing_gateway
from doubles.priced_vendors import PricedByTerms

from vosd.base.clock import Instant
from vosd.routing import weights
from vosd.routing.capacity import Occupancy
from vosd.routing.order import Ordering
from vosd.routing.plan import Criterion, RoutingPlan
from vosd.routing.quality import QualityFigures
from vosd.routing.quality_order import Blend, QualityTerms
from vosd.routing.route_table import RouteTable
from vosd.routing.routes import RouteRequest
from vosd.routing.weights import Share, ShareKey, Turns
from vosd.trunks.announcements import GatewaySound
from vosd.trunks.dialect import CalleeDialect, Privacy

NOW = Instant(60_000, 1_790_000_000_000)
REQUEST = RouteRequest("4420", "", NOW)
KEY = ShareKey("", "*", 1)


class Vendors(PricedByTerms):
    """Prices and answered calls of a hundred by gateway, and whose turn it is."""

    blocked = frozenset()

    def __init__(self, prices=None, answered=None, turns=None):
        self.prices, self.answered, self.turns = prices or {}, answered or {}, turns or Turns()

    def is_barred(self, gateway, callee, wall_ms):
        return False

    def terms(self, gateway, callee, wall_ms, caller):
        price = self.prices.get(gateway.name)
        return None if price is None else applied_rate(price)

    def quality(self, gateway, prefix, callee, caller, at, min_attempts):
        answered = self.answered.get(gateway.name)
        return QualityFigures() if answered is None else QualityFigures(100, answered)


class Season:
    """A calendar that fits by an entry of one tier, or never."""

    name = "season"

    def __init__(self, tier):
        self._tier = tier

    def tier(self, wall_ms):
        return self._tier

    def objection(self, wall_ms):
        return "it is another season"


def plan(*order: Criterion) -> RoutingPlan:
    return RoutingPlan("test", order=order)


def tried(table: RouteTable, vendors: Vendors, callee: str = "4420") -> list[str]:
    """The names in the order in which they are tried, each of them offered the call."""
    fit, names = table.fit(callee, NOW.wall), []
    ordering = Ordering(table.plan, callee, RouteRequest(callee, "", NOW), Occupancy(), vendors)
    for candidate in ordering.in_order(fit.groups, fit.criteria, fit.alike) if fit.criteria else fit.ranked:
        ordering.offered(candidate)
        names.append(candidate.gateway.name)
    return names


def first(table: RouteTable, vendors: Vendors) -> str:
    """The name of the gateway that takes the call at once."""
    fit = table.fit("4420", NOW.wall)
    ordering = Ordering(table.plan, "4420", REQUEST, Occupancy(), vendors)
    candidate = next(ordering.in_order(fit.groups, fit.criteria, fit.alike))
    ordering.offered(candidate)
    return candidate.gateway.name


def test_the_cheapest_is_tried_first_and_one_without_price_last():
    gateways = [routing_gateway(name, priority=priority) for name, priority in (("dear", 1), ("?", 1), ("low", 2))]
    table = RouteTable(gateways, plan=plan(Criterion.COST, Criterion.PRIORITY))
    assert tried(table, Vendors({"dear": "0.30", "low": "0.10"})) == ["low", "dear", "?"]


def test_vendors_of_equal_price_stay_as_they_are_defined():
    accounts = {"a": "v1", "b": "v2", "c": "v1", "d": "v3", "e": "v2"}
    table = RouteTable(
        [routing_gateway(name, account=account) for name, account in accounts.items()], plan=plan(Criterion.COST)
    )
    vendors = Vendors(dict.fromkeys("abce", "0.20") | {"d": "0.10"})
    assert tried(table, vendors) == ["d", "a", "b", "c", "e"]


def test_what_gateways_of_one_account_cost_is_looked_up_once_and_not_at_all_without_others():
    class Counted(Vendors):
        asked = 0

        def terms(self, gateway, callee, wall_ms, caller):
            self.asked += 1
            return super().terms(gateway, callee, wall_ms, caller)

    for accounts, asked in (("vvvv", 0), ("vwvw", 2)):
        gateways = [routing_gateway(str(place), account=account) for place, account in enumerate(accounts)]
        vendors = Counted(dict.fromkeys("0123", "0.10"))
        assert tried(RouteTable(gateways, plan=plan(Criterion.COST)), vendors) == ["0", "1", "2", "3"]
        assert vendors.asked == asked


def test_an_announcement_does_not_take_the_price_of_the_trunks_of_its_account_away():
    sound = routing_gateway("sound", account="v1", sound=GatewaySound("closed", 1, 480))
    gateways = [sound, routing_gateway("low", account="v1"), routing_gateway("dear", account="v2")]
    assert tried(RouteTable(gateways, plan=plan(Criterion.COST)), Vendors({"low": "0.10", "dear": "0.30"})) == [
        "low", "dear", "sound",
    ]  # fmt: skip


def test_gateways_of_one_account_have_prices_of_their_own_where_only_some_are_sent_the_number_of_the_caller():
    class ByOrigin(Vendors):
        def terms(self, gateway, callee, wall_ms, caller):
            return applied_rate("0.20" if gateway.account == "v2" else "0.10" if caller else "0.30")

    gateways = [
        routing_gateway("not told", account="v1", dialect=CalleeDialect(privacy=Privacy.ANONYMISE)),
        routing_gateway("other", account="v2"),
        routing_gateway("told", account="v1"),
    ]
    table = RouteTable(gateways, plan=plan(Criterion.COST))
    request, fit = RouteRequest("4420", "4930", NOW), table.fit("4420", NOW.wall)
    ordering = Ordering(table.plan, "4420", request, Occupancy(), ByOrigin())
    found = ordering.in_order(fit.groups, fit.criteria, fit.alike)
    assert [each.gateway.name for each in found] == ["told", "other", "not told"]


def test_cost_decides_within_a_priority_where_it_stands_behind_it():
    gateways = [routing_gateway("dear"), routing_gateway("fair"), routing_gateway("low", priority=2)]
    table = RouteTable(gateways, plan=plan(Criterion.PREFIX, Criterion.PRIORITY, Criterion.COST))
    assert tried(table, Vendors({"dear": "0.30", "fair": "0.20", "low": "0.10"})) == ["fair", "dear", "low"]


def test_gateways_of_equal_price_share_calls_by_weight():
    table = RouteTable(map(routing_gateway, "abc"), plan=plan(Criterion.COST, Criterion.WEIGHT))
    vendors = Vendors(dict.fromkeys("ab", "0.10") | {"c": "0.20"})
    assert [first(table, vendors) for _ in range(4)] == ["a", "b", "a", "b"]


def test_the_better_band_of_quality_is_tried_first():
    table = RouteTable(map(routing_gateway, "abc"), plan=plan(Criterion.QUALITY))
    vendors = Vendors(dict.fromkeys("abc", "0.10"), {"a": 40, "b": 50, "c": 39})
    assert tried(table, vendors) == ["b", "a", "c"]


@pytest.mark.parametrize("criterion", [Criterion.QUALITY, Criterion.BLEND])
@pytest.mark.parametrize("why", ["none", "blocked", "disabled", "expired", "without rate"])
def test_a_gateway_that_the_call_cannot_use_does_not_part_others_by_its_quality(criterion, why):
    """The best is 8 points above a and 12 above b, which are equal without it, so that the cheaper one is first."""
    best = routing_gateway("best", enabled=why != "disabled", valid_to=NOW.wall if why == "expired" else None)
    quality, blend = QualityTerms(asr_band=10), Blend(asr=100, band=10)
    by_quality = RoutingPlan("test", order=(criterion, Criterion.COST), quality=quality, blend=blend)
    table = RouteTable([best, *map(routing_gateway, "ab")], plan=by_quality)
    prices = {"best": "0.10", "a": "0.30", "b": "0.20"}
    vendors = Vendors(prices, {"best": 100, "a": 92, "b": 88})
    if why == "blocked":
        vendors.blocked = {"best"}
    if why == "without rate":
        del prices["best"]
    assert tried(table, vendors) == (["best", "a", "b"] if why == "none" else ["b", "a", "best"])


@pytest.mark.parametrize("criterion", [Criterion.QUALITY, Criterion.BLEND])
def test_an_announcement_comes_behind_vendors_of_any_quality(criterion):
    sound = routing_gateway("sound", sound=GatewaySound("closed", 1, 480), allow_unrated=True)
    by_quality = RoutingPlan("test", order=(criterion, Criterion.PRIORITY), blend=Blend(asr=100))
    table = RouteTable(
        [sound, routing_gateway("bad", priority=2), routing_gateway("good", priority=2)], plan=by_quality
    )
    vendors = Vendors(dict.fromkeys(("bad", "good"), "0.10"), {"good": 60, "bad": 20})
    assert tried(table, vendors) == ["good", "bad", "sound"]


def test_equal_quality_and_unknown_quality_leave_the_choice_to_the_next_criterion():
    table = RouteTable(map(routing_gateway, "abc"), plan=plan(Criterion.QUALITY, Criterion.COST))
    vendors = Vendors({"a": "0.30", "b": "0.20", "c": "0.10"}, {"a": 50, "b": 47})
    assert tried(table, vendors) == ["c", "b", "a"]
    vendors.answered["c"] = 30
    assert tried(table, vendors) == ["b", "a", "c"]


def test_a_blend_lets_a_cheap_gateway_make_up_for_its_quality():
    gateways = list(map(routing_gateway, "ab"))
    vendors = Vendors({"a": "0.30", "b": "0.10"}, {"a": 50, "b": 40})
    for blend, wanted in ((Blend(asr=90, cost=10), ["a", "b"]), (Blend(asr=50, cost=50), ["b", "a"])):
        by_blend = RoutingPlan("test", order=(Criterion.BLEND,), blend=blend)
        assert tried(RouteTable(gateways, plan=by_blend), vendors) == wanted


def test_a_calendar_that_fits_by_a_more_special_entry_comes_first_and_alone():
    names = ("always", "weekly", "daily", "never", "dated")
    gateways, vendors = [*map(routing_gateway, names)], Vendors(dict.fromkeys(names, "0.10"))
    calendars = {"weekly": Season(3), "daily": Season(4), "never": Season(None), "dated": Season(1)}
    table = RouteTable(gateways, calendars=calendars)
    fit, ordering = table.fit("4420", NOW.wall), Ordering(table.plan, "4420", REQUEST, Occupancy(), vendors)
    names = [candidate.gateway.name for candidate in ordering.in_order(fit.groups, fit.criteria, fit.alike)]
    assert names == ["dated", "always", "never"], "the search leaves the last one out"
    assert [candidate.gateway.name for candidate in ordering.outranked] == ["weekly", "daily"]


def test_without_calendars_their_criterion_costs_nothing():
    table = RouteTable([routing_gateway("a"), routing_gateway("b", priority=2)])
    assert table.fit("4420", NOW.wall).criteria == ()


def test_calls_are_spread_smoothly():
    turns, shares = Turns(), [Share("a", 3), Share("b", 1)]
    order = []
    for _ in range(8):
        name = shares[turns.next_of(KEY, shares)].gateway
        turns.take(KEY, shares, name)
        order.append(name)
    assert "".join(order) == "aabaaaba"


def test_a_gateway_that_waits_has_its_turn_before_a_new_one():
    turns = Turns()
    turns.take(KEY, [Share("a", 1), Share("b", 1)], "b")
    assert turns.next_of(KEY, [Share("new", 1), Share("a", 1)]) == 1


def test_weight_zero_is_tried_after_the_others_of_its_priority():
    gateways = [routing_gateway("spare", weight=0), routing_gateway("a"), routing_gateway("low", priority=2)]
    assert tried(RouteTable(gateways), Vendors()) == ["a", "spare", "low"]


def test_the_calls_of_a_failing_gateway_are_shared_by_the_others():
    """Each failover is a turn, too: the next gateway is not always the same one."""
    vendors, table = Vendors(), RouteTable(map(routing_gateway, "abc"))
    seconds = [tried(table, vendors)[1] for _ in range(60) if first(table, vendors) == "a"]
    assert set(seconds) == {"b", "c"}


def test_groups_of_different_prefixes_have_turns_of_their_own():
    vendors = Vendors()
    table = RouteTable([routing_gateway("a", "44", "49"), routing_gateway("b", "44", "49")])
    assert [tried(table, vendors, callee)[0] for callee in ("4420", "4930", "4420", "4930")] == ["a", "a", "b", "b"]


def test_groups_beyond_those_with_turns_of_their_own_share_one(monkeypatch):
    monkeypatch.setattr(weights, "SHARES_MAX", 4)
    turns, shares, taken = Turns(), [Share("a", 3), Share("b", 1)], Counter()
    for prefix in [*range(6)] * 8:
        key = ShareKey("", str(prefix), 1)
        name = shares[turns.next_of(key, shares)].gateway
        turns.take(key, shares, name)
        taken[name] += 1
    assert taken == {"a": 36, "b": 12}


def test_turns_of_gateways_that_are_gone_are_forgotten_and_the_others_keep_theirs():
    turns, shares = Turns(), [Share("a", 1), Share("b", 1)]
    turns.take(KEY, shares, "a")
    turns.take(ShareKey("gone", "*", 1), shares, "a")
    turns.keep(plans={""}, gateways={"a"})
    assert turns.next_of(KEY, shares) == 1, "b begins anew, a has had its turn"
    assert turns.next_of(ShareKey("gone", "*", 1), shares) == 0


def test_groups_of_gateways_that_reloads_have_removed_take_no_turns_of_others(monkeypatch):
    monkeypatch.setattr(weights, "SHARES_MAX", 2)
    turns, shares = Turns(), [Share("a", 1), Share("b", 1)]
    for number in range(10):
        turns.take(ShareKey("", f"{number}", 1), [Share(f"old-{number}", 1)], f"old-{number}")
        turns.keep(plans={""}, gateways={"a", "b"})
    one, other = ShareKey("", "44", 1), ShareKey("", "49", 1)
    for key in (one, other, one, other):
        turns.take(key, shares, shares[turns.next_of(key, shares)].gateway)
    assert set(turns._credits) == {one, other}


def test_a_copy_of_turns_moves_alone():
    turns, shares = Turns(), [Share("a", 1), Share("b", 1)]
    copied = turns.copied()
    copied.take(KEY, shares, "a")
    assert (turns.next_of(KEY, shares), copied.next_of(KEY, shares)) == (0, 1)


def test_prices_are_compared_as_money():
    table = RouteTable(map(routing_gateway, "ab"), plan=plan(Criterion.COST))
    assert tried(table, Vendors({"a": Decimal("0.10000001"), "b": Decimal("0.1")})) == ["b", "a"]
