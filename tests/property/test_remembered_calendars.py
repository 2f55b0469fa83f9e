"""Candidates sorted once for a state of the calendars are those that sorting for each call gives."""

from datetime import UTC, date

from hypothesis import given
from hypothesis import strategies as st

from vosd.base.clock import Instant
from vosd.callcontrol.live_state import LiveState
from vosd.callcontrol.vendor_terms import LiveVendors
from vosd.routing.calendar import Calendar, Entry
from vosd.routing.pipeline import RouteRequest, examine_routes
from vosd.routing.plan import Criterion, RoutingPlan
from vosd.routing.route_table import RouteTable
from vosd.testing.data.builders import catalogue, routing_gateway

DAY_MS = 86_400_000
CALENDARS = {
    name: Calendar(name, UTC, entries)
    for name, entries in {
        "hours": (Entry(from_s=6 * 3_600, until_s=18 * 3_600),),
        "nights": (Entry(from_s=18 * 3_600, until_s=6 * 3_600),),
        "workdays": (Entry(weekdays=(0, 1, 2, 3, 4)),),
        "fair": (Entry(first=date(1970, 1, 2), last=date(1970, 1, 4)),),
        "one day": (Entry(first=date(1970, 1, 3), last=date(1970, 1, 3)),),
    }.items()
}
GATEWAYS = st.lists(
    st.tuples(
        st.sampled_from(["44", "4420", "*"]),
        st.integers(1, 2),
        st.sampled_from([None, *CALENDARS]),
        st.booleans(),
        st.sampled_from([None, 5_000]),
    ),
    max_size=7,
)
ORDERS = st.permutations([Criterion.CALENDAR, Criterion.PREFIX, Criterion.PRIORITY]).map(tuple)


@given(GATEWAYS, ORDERS, st.booleans(), st.lists(st.integers(0, 7 * DAY_MS - 1), min_size=1, max_size=6))
def test_the_remembered_order_is_that_of_a_search_from_the_start(drawn, order, strict, moments):
    gateways = [
        routing_gateway(f"g{place}", prefix, priority=priority, calendar=calendar, enabled=enabled, protect_ms=protect)
        for place, (prefix, priority, calendar, enabled, protect) in enumerate(drawn)
    ]
    made = catalogue(gateways, calendars=CALENDARS.values())
    bound = {each.name: CALENDARS[each.calendar] for each in gateways if each.calendar is not None}
    table = RouteTable(gateways, (), RoutingPlan("any", order=order, calendar_strict=strict), bound)
    plain, blocking = LiveState(), LiveState()
    blocking.blocks.called["another gateway"] = "so that nothing is remembered"
    for wall_ms in moments:
        request = RouteRequest("442079460000", "", Instant(60_000, wall_ms))
        remembered, anew = (
            examine_routes(request, table, live.occupancy, live.rests, LiveVendors(made, live))
            for live in (plain, blocking)
        )
        assert remembered.choices == anew.choices
        why, why_anew = (
            sorted((each.gateway.name, each.cause.value, each.detail) for each in found.left)
            for found in (remembered, anew)
        )
        assert why == why_anew
