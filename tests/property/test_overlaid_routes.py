"""A route table with overridden values routes as one that was made of them."""

from typing import Final

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from vosd.catalogue.overrides import Overrides, Setting, Target, overlaid
from vosd.testing.data.builders import catalogue, override, phone, routing_gateway
from vosd.trunks.dialect import CalleeDialect, Redirects

NAMES: Final = ("a", "b", "c", "d")
FOLLOWS: Final = CalleeDialect(redirects=Redirects.FOLLOW)
PHONE: Final = phone("1001", offline_gateway="a", redirect_server="b")
prefixes = st.lists(st.sampled_from(["*", "1", "10", "100", "2", "21"]), min_size=1, max_size=3)
gateways = st.lists(st.tuples(prefixes, st.integers(1, 3), st.sampled_from([0, 50, 100])), min_size=4, max_size=4)
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


def whole(defined, changed):
    """Make a catalogue of gateways, some with other values than defined."""
    return catalogue(
        [
            msgspec.structs.replace(
                routing_gateway(name, *prefixes, priority=priority, weight=weight, account="carriers", dialect=FOLLOWS),
                **{setting.value: value for setting, value in changed.get(name, {}).items()},
            )
            for name, (prefixes, priority, weight) in zip(NAMES, defined, strict=True)
        ],
        phones=[PHONE],
    )


@given(gateways, st.dictionaries(st.sampled_from(NAMES), values), st.lists(numbers, min_size=1, max_size=4))
def test_overridden_values_count_as_configured_ones_do(defined, changed, callees):
    rows = [
        override(Target.ROUTING, name, setting, str(value))
        for name, settings in changed.items()
        for setting, value in settings.items()
    ]
    configured = whole(defined, {})
    before = [configured.routes.fit(callee) for callee in callees]
    laid_over, made = overlaid(configured, Overrides(rows)), whole(defined, changed)
    assert [laid_over.routes.fit(callee) for callee in callees] == [made.routes.fit(callee) for callee in callees]
    assert laid_over.routing_gateways == made.routing_gateways
    assert [configured.routes.fit(callee) for callee in callees] == before
