"""Live events of the running switch: their sources introduced, and the order that follows them (ADR 126)."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from typing import Final

from vosd.base.clock import Clock
from vosd.control.events import (
    DeadLetter,
    EventBatch,
    FollowEvents,
    ListDeadLetters,
    ReplayDeadLetters,
    ReplayedLetters,
)
from vosd.control.order import Handler
from vosd.control.server import CommandError
from vosd.engine.background import BackgroundTasks, every
from vosd.engine.counting import Counting
from vosd.engine.overload.load import Load
from vosd.engine.reports.live_events import LiveEvents
from vosd.engine.reports.reporters import CallReporters
from vosd.engine.reports.webhooks import EventWebhook
from vosd.engine.service import SwitchService
from vosd.engine.settings import ReceiverSettings, Settings
from vosd.obs.figures import Figure
from vosd.trunks.scope import LimitScope

LIFE_S: Final = 5.0
"""A follower gets a batch so often at least, so that it knows that the switch lives."""
GATHER_S: Final = 0.1
"""Events of so long go in one batch."""
FULL_S: Final = 1.0
"""Interval at which gateways are looked for that carry as many calls as they may."""


class NoSuchReceiverError(CommandError):
    """The configuration has no such receiver of webhooks."""


class LiveEventPart(Counting):
    """The events of one switch, from the start of the process to its end."""

    def __init__(self, settings: Settings, service: SwitchService, reporters: CallReporters, clock: Clock) -> None:
        self.events: Final = LiveEvents(settings.node, clock, reporters.place())
        self._clock = clock
        self._state_dir = settings.state_dir
        self._wanted = settings.webhooks
        self._webhooks: dict[str, EventWebhook] = {}
        service.balances.booked_elsewhere = self.events.balance_changed
        self._service = service
        self._tasks = BackgroundTasks()

    def handlers(self) -> Iterator[Handler]:
        """Yield what carries out each order."""
        yield FollowEvents.followed_by(self.follow)
        yield ListDeadLetters.answered_by(self.dead_letters)
        yield ReplayDeadLetters.answered_by(self.replay)

    async def begin(self) -> None:
        """Look for full gateways from now on, and deliver to the receivers."""
        self._tasks.run("full gateways", lambda: every(FULL_S, self._look_for_full))
        await self.adjust(self._wanted)

    async def end(self) -> None:
        """End the tasks; what is not delivered stays in the spools."""
        await asyncio.gather(*(each.end() for each in self._webhooks.values()))
        await self._tasks.stop()

    async def adjust(self, wanted: Iterable[ReceiverSettings]) -> None:
        """Deliver to these receivers; what waits for others is dropped."""
        by_name = {each.name: each for each in wanted}
        for name in self._webhooks.keys() - by_name.keys():
            await self._webhooks.pop(name).remove()
        for name, each in by_name.items():
            if name in self._webhooks:
                await self._webhooks[name].change(each)
                continue
            webhook = self._webhooks[name] = EventWebhook(
                self._clock, each, self._state_dir, self.events, self._is_busy
            )
            await webhook.begin()

    def census(self) -> Mapping[Figure, int]:
        """Count the events that wait for receivers."""
        return {Figure.WEBHOOK_EVENTS: sum(sum(each.census().values()) for each in self._webhooks.values())}

    async def dead_letters(self, order: ListDeadLetters) -> list[DeadLetter]:
        """List the events that were not delivered and will not be."""
        chosen = self._webhooks.values() if order.receiver is None else [self._receiver(order.receiver)]
        return [letter for each in chosen for letter in each.dead_letters()]

    async def replay(self, order: ReplayDeadLetters) -> ReplayedLetters:
        """Deliver dead letters again."""
        return ReplayedLetters(self._receiver(order.receiver).replay(order.number))

    def _receiver(self, name: str) -> EventWebhook:
        if name not in self._webhooks:
            known = ", ".join(sorted(self._webhooks)) or "none"
            raise NoSuchReceiverError(f"webhooks has no receiver {name!r}; there are {known}")
        return self._webhooks[name]

    def _is_busy(self) -> bool:
        return self._service.inbox.load is Load.OVERLOADED

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
