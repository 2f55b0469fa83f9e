"""The worked examples of shares by weight, through the search that routes real calls."""

from collections import Counter

from doubles.data.builders import routing_gateway

from golden.test_vectors_routing import VendorsWithCredits
from golden.worked import of
from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.routing.capacity import Occupancy
from vosd.routing.pipeline import RouteRequest, find_routes
from vosd.routing.rest import Rests
from vosd.routing.route_table import RouteTable


@of("weight_share")
def test_calls_are_shared_by_weight(given, expect):
    gateways = [routing_gateway(name, weight=weight) for name, weight in given["weights"].items()]
    known = [{"name": gateway.name, "prepaid_vendor": False, "vendor_balance": "0"} for gateway in gateways]
    asked = RouteTable(gateways), Occupancy(), Rests(), VendorsWithCredits(known)
    taken: Counter[str] = Counter()
    for call in range(given["calls"]):
        routes = find_routes(RouteRequest("12015551234", "", Instant(1_000 * call, 0)), *asked)
        assert not isinstance(routes, Refusal)
        taken[next(routes).gateway.name] += 1
    assert taken == expect["calls"]
