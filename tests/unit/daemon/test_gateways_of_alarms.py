"""Gateways of which alarms say how their calls do: none that a reload removes or disables, whatever was counted."""

from types import SimpleNamespace

import pytest
from doubles.data.builders import catalogue, mapping_gateway, routing_gateway
from doubles.data.records import answered_call
from doubles.virtual.clock import ManualClock

from vosd.daemon.alarms import SwitchMeasures
from vosd.engine.media.media_parts import MediaLosses
from vosd.engine.peers.gateways import Gateways
from vosd.routing.false_answers import ShortCalls


def named(enabled: bool = True):
    return [
        mapping_gateway("acme-pbx", "192.0.2.1/32", enabled=enabled),
        routing_gateway("carrier-a", enabled=enabled),
        mapping_gateway("other-pbx", "192.0.2.2/32"),
        routing_gateway("carrier-b"),
    ]


@pytest.mark.parametrize(
    ("after", "pbx", "carriers"),
    [
        (named(), ["acme-pbx"], ["carrier-a", "carrier-b"]),
        (named(enabled=False), [], ["carrier-b"]),
        (named()[2:], [], ["carrier-b"]),
    ],
    ids=["as before", "disabled", "removed"],
)
def test_gateways_that_a_reload_removes_or_disables_have_no_values(after, pbx, carriers):
    clock, content = ManualClock(), catalogue(after)
    gateways = Gateways(clock, catalogue(named()))
    gateways.note(answered_call(1, mapping_gateway="acme-pbx", routing_gateway="carrier-a"))
    gateways.adopt(content)
    losses, of_customers = MediaLosses(), MediaLosses()
    losses.note("carrier-a", 10_000, 100, clock.now().mono)
    of_customers.note("acme-pbx", 10_000, 100, clock.now().mono)
    media = SimpleNamespace(parts=SimpleNamespace(losses=losses, customer_losses=of_customers))
    short = SimpleNamespace(look=lambda _mono: [ShortCalls("carrier-a", "44", SimpleNamespace(), 50.0)])
    switch = SimpleNamespace(catalogue=content, live=SimpleNamespace(false_answers=short))
    service = SimpleNamespace(switch=switch, gateways=gateways, node=SimpleNamespace(media=media))
    measures = SwitchMeasures(service, clock, dict, dict, ())
    assert [*measures.gateways()] == carriers
    assert [*measures.customers()] == [name for name, _ in measures.customer_media_losses()] == pbx
    a_carrier = [name for name in carriers if name == "carrier-a"]
    assert [name for name, _ in measures.media_losses()] == a_carrier
    assert [each.gateway for each in measures.short_calls()] == a_carrier
