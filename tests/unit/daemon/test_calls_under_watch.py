"""Running calls that are counted from a reload on: others get their turn between them."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

from doubles.data.builders import account
from doubles.virtual.customer import Intent
from doubles.virtual.scene import Scene

from vosd.base.cause import EndReason
from vosd.billing.destinations import DestinationClass, DestinationLimit, Destinations
from vosd.daemon import fraud as module
from vosd.daemon.fraud import SwitchUnderWatch

CALLS = 5


async def test_a_call_that_ends_while_running_calls_are_counted_is_not_counted(monkeypatch):
    monkeypatch.setattr(module, "CALLS_AT_ONCE", 2)
    scene = Scene(balance="1000")
    for _ in range(CALLS):
        scene.talk(Intent(hang_up_after_ms=3_600_000))
    switch, now = scene.exchange.switch, scene.exchange.clock.now()
    running = switch.calls()
    number = running[0].call_request.callee_billing
    watched = account("acme", destination_limits=(DestinationLimit("any", max_minutes=1),))
    destinations = Destinations([DestinationClass("any", (number[:2],))])
    catalogue = replace(
        switch.catalogue, accounts=switch.catalogue.accounts | {"acme": watched}, destinations=destinations
    )
    service = SimpleNamespace(switch=SimpleNamespace(catalogue=catalogue, live=switch.live, calls=switch.calls))

    asyncio.get_running_loop().call_soon(switch.end_calls, running[-1:], EndReason.ADMINISTRATIVE, now)
    await SwitchUnderWatch(service).attach(now)
    [use] = switch.live.destinations.active.values()
    assert use.running == CALLS - 1
    switch.end_calls(running, EndReason.ADMINISTRATIVE, now)
    assert use.running == 0
