"""Route tables with overridden values, with a plan and without, route as ones that were made of these values."""

from typing import Final

import msgspec
from doubles.data.builders import catalogue, override, phone, routing_gateway
from hypothesis import given, strategies as st

from vosd.catalogue.overrides import Overrides, Setting, Target, overlaid
from vosd.routing.fit import Candidate
from vosd.routing.plan import Criterion, RouteRow, RoutingPlan
from vosd.trunks.dialect import CalleeDialect, Redirects
from vosd.trunks.gateways import PrefixMode

NAMES: Final = ("a", "b", "c", "d")
NO_LINES: Final = ((None, None),) * 3
FOLLOWS: Final = CalleeDialect(redirects=Redirects.FOLLOW)
PHONE: Final = phone("1001", offline_gateway="a", redirect_server="b")
prefixes = st.lists(st.sampled_from(["*", "1", "10", "100", "2", "21"]), min_size=1, max_size=3)
modes = st.sampled_from([PrefixMode.CONTINUE, PrefixMode.CONTINUE, PrefixMode.STOP])
gateways = st.lists(
    st.tuples(prefixes, st.integers(1, 3), st.sampled_from([0, 50, 100]), modes), min_size=4, max_size=4
)
SOME: Final = RoutingPlan(
    "some", gateways=frozenset("bcd"), order=(Criterion.PRIORITY, Criterion.PREFIX, Criterion.WEIGHT)
)
lines = st.tuples(*[st.tuples(st.none() | st.integers(1, 3), st.sampled_from([None, 0, 50, 100])) for _ in range(3)])
"""Priority and weight of each line of a plan's own routes."""
values = st.fixed_dictionaries(
    {},
    optional={
        Setting.PRIORITY: st.integers(1, 4),
        Setting.WEIGHT: st.integers(0, 3),
        Setting.MAX_CONCURRENT: st.integers(1, 3),
        Setting.MAX_CPS: st.integers(1, 3),
    },
)
numbers = st.text("012", min_size=1, max_size=4) | st.just("1001")


def own_routes(lines, changed):
    """Make a plan; a value of a line gives way to a changed one of its gateway, a percentage to a changed weight."""
    rows = [RouteRow("1", "b"), RouteRow("10", "c"), RouteRow("2", "d", percent=10)]
    for place, (row, (priority, weight)) in enumerate(zip(rows, lines, strict=True)):
        over = changed.get(row.gateway, {})
        rows[place] = msgspec.structs.replace(
            row,
            priority=over.get(Setting.PRIORITY, priority),
            weight=over.get(Setting.WEIGHT, weight),
            percent=None if Setting.WEIGHT in over else row.percent,
        )
    return RoutingPlan("own", routes=tuple(rows))


def whole(defined, changed, lines=NO_LINES, disabled=(), **phone_terms):
    """Make a catalogue of gateways, some with other values than defined."""
    return catalogue(
        [
            msgspec.structs.replace(
                routing_gateway(
                    name,
                    *prefixes,
                    priority=priority,
                    weight=weight,
                    prefix_mode=mode,
                    account="carriers",
                    dialect=FOLLOWS,
                    failover_codes=frozenset({503}),
                    stop_causes=frozenset({17}),
                ),
                **{setting.value: value for setting, value in changed.get(name, {}).items()},
                enabled=name not in disabled,
            )
            for name, (prefixes, priority, weight, mode) in zip(NAMES, defined, strict=True)
        ],
        phones=[msgspec.structs.replace(PHONE, gateway=msgspec.structs.replace(PHONE.gateway, **phone_terms))],
        plans=(SOME, own_routes(lines, changed)),
    )


def without_marks(part):
    """Return fits whose candidates do not say that an overridden weight has taken the place of a percentage."""
    if isinstance(part, Candidate):
        return part._replace(replaced_percent=None)
    return tuple(map(without_marks, part)) if isinstance(part, tuple | list) else part


def reweighted(fits_of_tables):
    return {
        each.gateway.name for fits in fits_of_tables for fit in fits for each in fit.ranked if each.replaced_percent
    }


def fits(content, callees):
    tables = (content.routes, *content.plans.values())
    return [[table.fit(callee, 0) for callee in callees] for table in tables]


@given(
    gateways,
    lines,
    st.dictionaries(st.sampled_from(NAMES), values),
    st.lists(numbers, min_size=1, max_size=4),
    st.booleans(),
)
def test_overridden_values_count_as_configured_ones_do(defined, lines, changed, callees, with_phone):
    rows = [
        override(Target.ROUTING, name, setting, str(value))
        for name, settings in changed.items()
        for setting, value in settings.items()
    ]
    configured = whole(defined, {}, lines)
    before = fits(configured, callees)
    if with_phone:
        rows.append(override(Target.MAPPING, "1001", Setting.MAX_CONCURRENT, "4"))
    laid_over = overlaid(configured, Overrides(rows))
    made = whole(defined, changed, lines, **({"max_concurrent": 4} if with_phone else {}))
    found = fits(laid_over, callees)
    assert without_marks(found) == without_marks(fits(made, callees))
    assert reweighted(found) <= ({"d"} if Setting.WEIGHT in changed.get("d", {}) else set())
    assert laid_over.routing_gateways == made.routing_gateways
    assert fits(configured, callees) == before


@given(gateways, st.sets(st.sampled_from(NAMES)), st.lists(numbers, min_size=1, max_size=4))
def test_blocked_gateways_keep_a_call_from_others_no_more_than_disabled_ones(defined, names, callees):
    configured = whole(defined, {})
    disabled = whole(defined, {}, disabled=names)
    blocked = overlaid(configured, Overrides(override(Target.ROUTING, name) for name in names))

    def usable(content):
        return [
            [each.gateway.name for each in fit.ranked if each.gateway.name not in names]
            for table in fits(content, callees)
            for fit in table
        ]

    assert usable(blocked) == usable(disabled)
