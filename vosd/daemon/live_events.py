"""Live events of the running switch: their sources introduced, and the order that follows them (ADR 126)."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from typing import Final

from vosd.base.clock import Clock
from vosd.control.events import EventBatch, FollowEvents
from vosd.control.order import Handler
from vosd.engine.background import BackgroundTasks, every
from vosd.engine.reports.live_events import LiveEvents
from vosd.engine.reports.reporters import CallReporters
from vosd.engine.service import SwitchService
from vosd.trunks.scope import LimitScope

LIFE_S: Final = 5.0
"""A follower gets a batch so often at least, so that it knows that the switch lives."""
GATHER_S: Final = 0.1
"""Events of so long go in one batch."""
FULL_S: Final = 1.0
"""Interval at which gateways are looked for that carry as many calls as they may."""


class LiveEventPart:
    """The events of one switch, from the start of the process to its end."""

    def __init__(self, node: str, service: SwitchService, reporters: CallReporters, clock: Clock) -> None:
        self.events: Final = LiveEvents(node, clock, reporters.place())
        service.balances.booked_elsewhere = self.events.balance_changed
        self._service = service
        self._tasks = BackgroundTasks()

    def handlers(self) -> Iterator[Handler]:
        """Yield what carries out each order."""
        yield FollowEvents.followed_by(self.follow)

    async def begin(self) -> None:
        """Look for full gateways from now on."""
        self._tasks.run("full gateways", lambda: every(FULL_S, self._look_for_full))

    async def end(self) -> None:
        """End the task."""
        await self._tasks.stop()

    async def follow(self, _order: FollowEvents) -> AsyncGenerator[EventBatch, None]:
        """Yield events until the client disconnects; the first batch, without any, says that they are followed."""
        with self.events.followed() as follower:
            yield EventBatch([], 0)
            while True:
                await follower.wait(LIFE_S)
                if not follower.is_long:
                    await asyncio.sleep(GATHER_S)
                yield follower.batch()

    def _look_for_full(self) -> None:
        if not self.events.are_wanted:
            return
        switch, full = self._service.switch, {}
        for name, active in switch.live.occupancy.busy(LimitScope.ROUTING):
            gateway = switch.catalogue.routing_gateways.get(name)
            if gateway is not None and gateway.max_concurrent is not None and active >= gateway.max_concurrent:
                full[name] = gateway.max_concurrent
        self.events.full_gateways(full)
