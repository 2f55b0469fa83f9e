"""Mapping gateways that share the limits of a gateway group, through the real switch."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway
from doubles.sockets.loopback import Endpoint
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway

from vosd.trunks.groups import GatewayGroup
from vosd.trunks.scope import LimitScope

OTHER = Endpoint("192.0.2.177", 5060)
CROWD = frozenset({"crowd"})
TRUNKS = [
    mapping_gateway("acme", f"{CUSTOMER.host}/32", account="acme", groups=CROWD),
    mapping_gateway("branch", f"{OTHER.host}/32", account="acme", groups=CROWD),
]


def scene(*, vendor_groups: frozenset[str] = frozenset(), **limits: int) -> Scene:
    members = frozenset({"vendor-0"}) if vendor_groups else frozenset()
    vendor = vendor_gateway(0, groups=vendor_groups)
    group = GatewayGroup("crowd", frozenset({vendor.name}) if members else frozenset(), **limits)
    return Scene(catalogue([*TRUNKS, vendor], groups=[group]))


def call(stage: Scene, address: Endpoint = CUSTOMER, seconds: int = 10):
    made = stage.exchange.caller(address).call(CALLEE, Intent(hang_up_after_ms=seconds * 1_000))
    stage.wire.run_for(500)
    return made


def outcomes(stage: Scene) -> list[tuple[str, str | None, int | None]]:
    return [(each.end_reason, each.mapping_gateway, each.sip_code) for each in stage.exchange.sink.records]


def test_the_calls_of_all_gateways_of_a_group_are_limited_together_and_a_place_is_free_again_at_the_end():
    stage = scene(max_concurrent=1)
    occupancy = stage.exchange.switch.live.occupancy
    call(stage)
    assert occupancy.active(LimitScope.GROUP, "crowd") == 1
    call(stage, OTHER)
    assert outcomes(stage) == [("Gateway Capacity", "branch", 503)]
    assert occupancy.active(LimitScope.MAPPING, "branch") == 0, "given back"
    stage.wire.run_for(12_000)
    assert occupancy.active(LimitScope.GROUP, "crowd") == 0
    call(stage, seconds=1)
    stage.wire.run_for(3_000)
    assert [each[0] for each in outcomes(stage)] == ["Gateway Capacity", "Normal", "Normal"]


def test_the_calls_a_second_of_a_group_are_limited_together():
    stage = scene(max_cps=1)
    call(stage, seconds=1)
    call(stage, OTHER)
    stage.wire.run_for(3_000)
    assert [each[:2] for each in outcomes(stage)] == [("Gateway Rate Limit", "branch"), ("Normal", "acme")]


@pytest.mark.parametrize(("most", "end"), [(1, "No Available Route"), (2, "Normal")])
def test_a_call_between_two_gateways_of_a_group_counts_for_each(most, end):
    stage = scene(vendor_groups=CROWD, max_concurrent=most)
    call(stage, seconds=1)
    stage.wire.run_for(3_000)
    assert [each[0] for each in outcomes(stage)] == [end]
