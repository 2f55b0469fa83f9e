"""Candidates sorted once for a state of the calendars are those that sorting for each call gives."""

from datetime import UTC, date
from typing import Final

import msgspec
from doubles.data.builders import catalogue, routing_gateway
from hypothesis import given, strategies as st

from vosd.base.clock import Instant
from vosd.callcontrol.live_state import LiveState
from vosd.callcontrol.vendor_terms import LiveVendors
from vosd.routing.calendar import Calendar, CalendarEntry
from vosd.routing.pipeline import RouteRequest, examine_routes
from vosd.routing.plan import Criterion, RoutingPlan
from vosd.routing.route_table import RouteTable

DAY_MS = 86_400_000
CALENDARS = {
    name: Calendar(name, UTC, entries)
    for name, entries in {
        "hours": (CalendarEntry(from_s=6 * 3_600, until_s=18 * 3_600),),
        "nights": (CalendarEntry(from_s=18 * 3_600, until_s=6 * 3_600),),
        "workdays": (CalendarEntry(weekdays=(0, 1, 2, 3, 4)),),
        "fair": (CalendarEntry(first=date(1970, 1, 2), last=date(1970, 1, 4)),),
        "one day": (CalendarEntry(first=date(1970, 1, 3), last=date(1970, 1, 3)),),
    }.items()
}
GATEWAYS = st.lists(
    st.tuples(
        st.sampled_from(["44", "4420", "*"]),
        st.integers(1, 2),
        st.sampled_from([None, *CALENDARS]),
        st.booleans(),
        st.sampled_from([None, 5_000]),
        st.sampled_from([{}, {}, {"denied_prefixes": ("4420",)}, {"valid_to": 3 * DAY_MS}, {"partner": "twin"}]),
    ),
    max_size=7,
)
REFUSED: Final = st.frozensets(st.sampled_from(["g0", "g1", "g2"]), max_size=2)
"""What the trunk of the call does without."""
MOMENTS: Final = st.lists(st.integers(0, 7 * DAY_MS - 1), min_size=1, max_size=6)
ORDERS = st.permutations([Criterion.CALENDAR, Criterion.PREFIX, Criterion.PRIORITY]).map(tuple)


def gateways_of(drawn):
    return [
        routing_gateway(
            f"g{place}", prefix, priority=priority, calendar=calendar, enabled=enabled, protect_ms=protect, **terms
        )
        for place, (prefix, priority, calendar, enabled, protect, terms) in enumerate(drawn)
    ]


def table_of(gateways, order, strict):
    bound = {each.name: CALENDARS[each.calendar] for each in gateways if each.calendar is not None}
    return RouteTable(gateways, (), RoutingPlan("any", order=order, calendar_strict=strict), bound)


def request_at(wall_ms, refused):
    request = RouteRequest("442079460000", "", Instant(60_000, wall_ms), partner="twin")
    return msgspec.structs.replace(request, denied=refused, is_selective=bool(refused))


@given(GATEWAYS, ORDERS, st.booleans(), MOMENTS, REFUSED)
def test_the_remembered_order_is_that_of_a_search_from_the_start(drawn, order, strict, moments, refused):
    gateways = gateways_of(drawn)
    made = catalogue(gateways, calendars=CALENDARS.values())
    table = table_of(gateways, order, strict)
    plain, blocking = LiveState(), LiveState()
    blocking.blocks.called["another gateway"] = "so that nothing is remembered"
    for wall_ms in moments:
        request = request_at(wall_ms, refused)
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


@given(GATEWAYS, st.permutations([*Criterion]).map(tuple), st.booleans(), MOMENTS, REFUSED)
def test_gateways_that_a_call_may_not_use_change_nothing_for_the_others(drawn, order, strict, moments, refused):
    gateways = gateways_of(drawn)
    made = catalogue(gateways, calendars=CALENDARS.values())
    live = LiveState()
    for wall_ms in moments:
        request = request_at(wall_ms, refused)

        def may_use(gateway, at=wall_ms):
            is_valid = gateway.valid_to is None or at < gateway.valid_to
            is_for_call = not gateway.denied_prefixes and gateway.partner is None and gateway.name not in refused
            return gateway.enabled and is_valid and is_for_call

        found, among_usable = (
            examine_routes(request, table_of(some, order, strict), live.occupancy, live.rests, LiveVendors(made, live))
            for some in (gateways, [each for each in gateways if may_use(each)])
        )
        assert {each.gateway.name for each in found.choices} == {each.gateway.name for each in among_usable.choices}
