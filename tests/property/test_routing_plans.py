"""The matcher and the order of plans against their plain definition: every gateway is looked at, and sorted anew."""

from decimal import Decimal

from doubles.data.builders import applied_rate, rate_group, routing_gateway
from doubles.priced_vendors import PricedByTerms
from hypothesis import given, strategies as st

from vosd.base.clock import Instant
from vosd.billing.rate_choice import PricedPrefixes
from vosd.routing.capacity import Occupancy
from vosd.routing.pipeline import RouteRequest, examine_routes, find_routes
from vosd.routing.plan import Criterion, RouteRow, RoutingPlan
from vosd.routing.quality import QualityFigures
from vosd.routing.rest import Rests
from vosd.routing.route_table import RouteTable
from vosd.routing.weights import Turns
from vosd.trunks.gateways import PrefixMode
from vosd.trunks.scope import LimitScope

NOW = Instant(60_000, 1_000)
PREFIXES = ("*", "4", "44", "442", "4420", "49", "491")
prefixes = st.sampled_from(PREFIXES)
numbers = st.sampled_from(["44201", "4491", "4911", "49", "33", "4", "+44201"])
moments = st.none() | st.sampled_from([500, 1_000, 1_500])
gateways = st.builds(
    lambda found, priority, weight, stop, denied, protect, valid_from, valid_to, price: {
        "prefixes": found,
        "priority": priority,
        "weight": weight,
        "denied_prefixes": tuple(denied),
        "prefix_mode": PrefixMode.STOP if stop else PrefixMode.CONTINUE,
        "protect_ms": 10_000 if protect else None,
        "valid_from": valid_from,
        "valid_to": valid_to,
        "price": price,
    },
    st.lists(prefixes, min_size=1, max_size=3) | st.just(["from_rates"]),
    st.integers(1, 2),
    st.sampled_from([0, 1, 3]),
    st.booleans(),
    st.lists(st.sampled_from(PREFIXES[1:]), max_size=1),
    st.booleans(),
    moments,
    moments,
    st.none() | st.sampled_from(["0.10", "0.20", "0.30"]),
)
rows = st.builds(
    RouteRow,
    prefixes,
    st.sampled_from(["0", "1", "2"]),
    st.none() | st.integers(1, 2),
    st.none() | st.sampled_from([0, 2]),
    valid_from=moments,
    valid_to=moments,
)
orders = st.permutations([Criterion.PREFIX, Criterion.PRIORITY, Criterion.COST, Criterion.LOAD]).flatmap(
    lambda order: st.integers(0, 4).map(lambda count: (*order[:count], Criterion.WEIGHT))
)
RATED = {"44": "0.20", "442": "0.10"}
BUY = rate_group("buy", *(applied_rate(price, prefix=prefix) for prefix, price in RATED.items()))


class Vendors(PricedByTerms):
    """Vendors with one price each; those that take their prefixes from rates have those of ``RATED``."""

    unregistered = down = resting = frozenset()

    def __init__(self, prices):
        self.turns, self.blocked, self.prices = Turns(), {}, prices

    def is_barred(self, gateway, callee, wall_ms):
        return False

    def terms(self, gateway, callee, wall_ms, caller):
        price = self.prices[gateway.name]
        return None if price is None else applied_rate(price)

    def quality(self, gateway, prefix, callee, caller, at, least):
        return QualityFigures()

    def funded(self, gateway, terms):
        return True


def length(prefix: str) -> int:
    return len(prefix.strip("*"))


def fits(prefix: str, number: str) -> bool:
    return prefix == "*" or number.startswith(prefix)


def candidates_of(given_gateways, plan, number, wall_ms):
    """Every gateway or line that a number fits, as (gateway, prefix, priority, weight, valid_from, valid_to)."""
    found = []
    if plan.routes is not None:
        for row in plan.routes:
            if int(row.gateway) < len(given_gateways) and fits(row.prefix, number):
                own = given_gateways[int(row.gateway)]
                priority = own["priority"] if row.priority is None else row.priority
                weight = own["weight"] if row.weight is None else row.weight
                found.append((int(row.gateway), row.prefix, priority, weight, row.valid_from, row.valid_to))
        found.sort(key=lambda each: (not is_in_force(each, wall_ms), -length(each[1]), each[2]))
        standing = {}
        for each in found:
            standing.setdefault(each[0], each)
        return not_stopped(list(standing.values()), given_gateways, number, wall_ms)
    for name, own in enumerate(given_gateways):
        listed = list(RATED) if own["prefixes"] == ["from_rates"] else own["prefixes"]
        fitting = [prefix for prefix in listed if fits(prefix, number)]
        if fitting:
            found.append((name, max(fitting, key=length), own["priority"], own["weight"], None, None))
    return not_stopped(found, given_gateways, number, wall_ms)


def is_in_force(candidate, wall_ms):
    valid_from, valid_to = candidate[4:]
    return (valid_from is None or wall_ms >= valid_from) and (valid_to is None or wall_ms < valid_to)


def not_stopped(found, given_gateways, number, wall_ms):
    """Those that no gateway with a longer prefix, which accepts the number at this time, keeps from being tried."""
    stops = [
        length(each[1])
        for each in found
        if given_gateways[each[0]]["prefix_mode"] is PrefixMode.STOP
        and accepts(each, given_gateways[each[0]], number, wall_ms)
    ]
    return [each for each in found if length(each[1]) >= max(stops, default=0)]


def is_open(candidate, own, number, wall_ms):
    return own["price"] is not None and accepts(candidate, own, number, wall_ms)


def accepts(candidate, own, number, wall_ms):
    gateway = None, None, None, None, own["valid_from"], own["valid_to"]
    if not (is_in_force(candidate, wall_ms) and is_in_force(gateway, wall_ms)):
        return False
    return not any(number.startswith(prefix) for prefix in own["denied_prefixes"])


def rank_of(candidate, own, order, loads):
    name, prefix, priority, weight, *_ = candidate
    values = {
        Criterion.PREFIX: -length(prefix),
        Criterion.PRIORITY: priority,
        Criterion.COST: Decimal("Infinity") if own["price"] is None else Decimal(own["price"]),
        Criterion.LOAD: Decimal(loads[name]) / weight if weight else Decimal("Infinity"),
        Criterion.WEIGHT: 0,
    }
    return (own["protect_ms"] is not None, *(values[each] for each in order))


@given(
    st.lists(gateways, max_size=4),
    st.none() | st.lists(rows, max_size=5),
    orders,
    st.lists(numbers, min_size=1, max_size=3),
    st.lists(st.integers(0, 3), min_size=4, max_size=4),
)
def test_routes_are_those_of_the_plain_definition(given_gateways, lines, order, callees, loads):
    """Gateways of one rank may come in any order here: whose turn it is has tests of its own."""
    plan = RoutingPlan("drawn", order=order, routes=None if lines is None else tuple(lines))
    trunks = [
        routing_gateway(
            str(name), *own["prefixes"], **{key: own[key] for key in own if key not in ("prefixes", "price")}
        )
        for name, own in enumerate(given_gateways)
    ]
    rated = [str(name) for name, own in enumerate(given_gateways) if own["prefixes"] == ["from_rates"]]
    rates = dict.fromkeys(rated, PricedPrefixes(BUY))
    table, occupancy = RouteTable(trunks, rates=rates).by_plan(plan), Occupancy()
    for name in range(len(given_gateways)):
        for _ in range(loads[name]):
            occupancy.take(LimitScope.ROUTING, str(name), None, None, 0)
    vendors = Vendors({str(name): own["price"] for name, own in enumerate(given_gateways)})
    for callee in callees:
        number = callee.removeprefix("+")
        possible = candidates_of(given_gateways, plan, number, NOW.wall)
        usable = [each for each in possible if is_open(each, given_gateways[each[0]], number, NOW.wall)]
        ranks = {}
        for each in sorted(usable, key=lambda each: rank_of(each, given_gateways[each[0]], order, loads)):
            ranks.setdefault(each[0], rank_of(each, given_gateways[each[0]], order, loads))
        routes = examine_routes(RouteRequest(callee, "1000", NOW), table, occupancy, Rests(), vendors)
        names = [int(choice.gateway.name) for choice in routes.choices]
        assert sorted(names) == sorted(ranks), "each usable gateway once, and no other"
        assert [ranks[name] for name in names] == sorted(ranks.values())


shared = st.builds(
    RouteRow,
    st.sampled_from(["44", "4420"]),
    st.sampled_from(["0", "1", "2"]),
    st.just(1),
    st.integers(1, 4),
    valid_from=moments,
    valid_to=moments,
)


@given(st.lists(shared, min_size=1, max_size=7), st.sampled_from([Criterion.WEIGHT, Criterion.ROUND_ROBIN]))
def test_each_gateway_has_its_share_by_the_one_line_that_stands_for_it(lines, criterion):
    """After as many calls as the sum of the weights is, each has had exactly its own."""
    plan = RoutingPlan("drawn", order=(criterion,), routes=tuple(lines))
    table = RouteTable([routing_gateway(str(name)) for name in range(3)]).by_plan(plan)
    given_gateways = [{"prefix_mode": None, "weight": 1, "priority": 1}] * 3
    standing = [each for each in candidates_of(given_gateways, plan, "44201", NOW.wall) if is_in_force(each, NOW.wall)]
    due = {str(each[0]): each[3] if criterion is Criterion.WEIGHT else 1 for each in standing}
    vendors, occupancy = Vendors(dict.fromkeys("012", "0.10")), Occupancy()
    got = dict.fromkeys(due, 0)
    for _ in range(2 * sum(due.values())):
        routes = find_routes(RouteRequest("44201", "1000", NOW), table, occupancy, Rests(), vendors)
        got[next(routes).gateway.name] += 1
    assert got == {name: 2 * weight for name, weight in due.items()}
