"""Feed of live events: one stream from the switch for all clients, kept in a bounded ring (ADR 126).

A client has a place in the ring and no queue of its own: one that falls behind the oldest event gets an event that says
so, and takes no memory. The stream from the switch is open while there are clients, and a while longer.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from contextlib import aclosing
from time import time_ns
from typing import Final

import msgspec

from vosd.admin.office.events import for_agents
from vosd.base.errors import VosError
from vosd.cdr.columns import iso_utc
from vosd.control.client import RunningSwitch
from vosd.control.events import (
    FollowEvents,
    LiveEvent,
    NoFacts,
    StreamFacts,
    StreamGap,
    SwitchAway,
    SwitchBack,
    document_of,
)
from vosd.obs.events import log as _log

RING: Final = 10_000
"""Events that are kept for clients that come again: about 15 MB where all are of calls."""
TAKEN_AT_ONCE: Final = 500
LINGER_S: Final = 120.0
"""The stream from the switch stays open for so long after the last client."""
RETRY_S: Final = 1.0
"""Pause before the switch is asked again after it went away."""
BEGIN_S: Final = 5.0
"""A client waits so long at most until it is known whether the switch answers."""


class FedEvent:
    """An event of the ring, encoded once for all clients."""

    __slots__ = ("_for_agents", "_whole", "event", "id")

    def __init__(self, event: LiveEvent[msgspec.Struct], event_id: str) -> None:
        self.event = event
        self.id = event_id
        self._whole = b""
        self._for_agents = b""

    def lines(self, *, whole: bool) -> bytes:
        """Return it as Server-Sent Events have it; not ``whole``: without what agents do not see."""
        if whole:
            self._whole = self._whole or self._lines(None)
            return self._whole
        self._for_agents = self._for_agents or self._lines(for_agents(self.event))
        return self._for_agents

    def _lines(self, shown: Mapping[str, object] | None) -> bytes:
        return b"id: %s\nevent: %s\ndata: %s\n\n" % (
            self.id.encode(),
            self.event.type.encode(),
            document_of(self.event, self.id, shown),
        )


class EventFeed:
    """The ring, and the task that fills it while there are clients."""

    def __init__(self, switch: Callable[[], RunningSwitch], *, ring: int = RING, linger_s: float = LINGER_S) -> None:
        self._switch = switch
        self._most = ring
        self._linger_s = linger_s
        self._ring: dict[int, FedEvent] = {}
        self._epoch = secrets.token_hex(4)
        """Differs from that of every other feed, so that ids of another process are known as such."""
        self._next = 1
        self._fresh = asyncio.Event()
        """Set, and replaced, when events come."""
        self._known = asyncio.Event()
        """Set while it is known whether the switch answers."""
        self._is_away = False
        self._clients = 0
        self._task: asyncio.Task[None] | None = None
        self.is_closed = False

    @property
    def clients(self) -> int:
        """Number of clients."""
        return self._clients

    async def subscribe(self, after: str | None) -> "Subscription":
        """Return the place of a new client: behind the event that it has last, where that is known.

        It calls ``Subscription.leave`` at its end.
        """
        self._clients += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="live events")
        try:
            async with asyncio.timeout(BEGIN_S):
                await self._known.wait()
        except TimeoutError:
            pass
        except BaseException:
            self.left()
            raise
        place = self._place(after)
        return Subscription(self, self._next if place is None else place, missed=after is not None and place is None)

    def _place(self, after: str | None) -> int | None:
        """Return the number of the event after one; None = it is not known what has come since."""
        epoch, _, number = (after or "").rpartition("-")
        if epoch != self._epoch or not number.isascii() or not number.isdigit() or len(number) > 18:
            return None
        following = int(number) + 1
        return following if self.first <= following <= self._next else None

    @property
    def first(self) -> int:
        """Number of the oldest event of the ring."""
        return self._next - len(self._ring)

    @property
    def next(self) -> int:
        """Number of the next event."""
        return self._next

    def at(self, number: int) -> FedEvent:
        """Return an event of the ring."""
        return self._ring[number]

    @property
    def fresh(self) -> asyncio.Event:
        """Set when an event comes after those of now."""
        return self._fresh

    def gap(self, why: str) -> FedEvent:
        """Return the event for a client that misses some: as if it had all until now."""
        return FedEvent(StreamGap(_now(), StreamFacts(why)), f"{self._epoch}-{self._next - 1}")

    def report(self, event: LiveEvent[msgspec.Struct]) -> None:
        """Add an event that is not the switch's; without clients it is dropped."""
        if self._task is not None and not self._task.done():
            self._add(event)

    def left(self) -> None:
        """Note that a client has gone."""
        self._clients -= 1

    def close(self) -> None:
        """End all streams: the process ends."""
        self.is_closed = True
        self._wake()
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        idle_s = 0.0
        while idle_s < self._linger_s:
            try:
                if await self._follow() and not self._clients:
                    break
                why = "it has closed the connection"
            except VosError as error:
                why = str(error)
            except Exception as error:  # noqa: BLE001  the boundary of the task: streams go on
                _log.exception("live_events_failed")
                why = type(error).__name__
            if not self._is_away:
                self._is_away = True
                self._add(SwitchAway(_now(), StreamFacts(why)))
            self._known.set()
            await asyncio.sleep(RETRY_S)
            idle_s = 0.0 if self._clients else idle_s + RETRY_S
        # Nothing is followed until the next client comes: ids of before do not tell what it has missed.
        self._epoch, self._is_away = secrets.token_hex(4), False
        self._ring.clear()
        self._known.clear()

    async def _follow(self) -> bool:
        """Put what the switch reports into the ring; return True when no client was there for long."""
        loop = asyncio.get_running_loop()
        last_client = loop.time()
        async with aclosing(self._switch().follow(FollowEvents())) as batches:
            async for batch in batches:
                if self._is_away:
                    self._is_away = False
                    self._add(SwitchBack(_now(), NoFacts()))
                if not self._known.is_set():
                    self._known.set()
                    await asyncio.sleep(0)  # clients that wait take their places before the events of this stream
                if batch.left_out:
                    why = f"{batch.left_out} events were dropped: the management API was too slow"
                    self._keep(StreamGap(_now(), StreamFacts(why)))
                for event in batch.events:
                    self._keep(event)
                if batch.events:
                    self._wake()
                if self._clients:
                    last_client = loop.time()
                elif loop.time() - last_client >= self._linger_s:
                    return True
        return False

    def _add(self, event: LiveEvent[msgspec.Struct]) -> None:
        self._keep(event)
        self._wake()

    def _keep(self, event: LiveEvent[msgspec.Struct]) -> None:
        self._ring[self._next] = FedEvent(event, f"{self._epoch}-{self._next}")
        self._next += 1
        if len(self._ring) > self._most:
            del self._ring[self.first]

    def _wake(self) -> None:
        self._fresh.set()
        self._fresh = asyncio.Event()


class Subscription:
    """The place of one client in the ring."""

    def __init__(self, feed: EventFeed, place: int, *, missed: bool) -> None:
        """``place``: number of the next event; ``missed``: the client lacks events that are not kept any more."""
        self._feed = feed
        self._place = place
        self._missed = missed

    async def take(self, at_most_s: float) -> list[FedEvent]:
        """Return the next events, or none after a time."""
        feed = self._feed
        if self._missed:
            self._missed = False
            return [feed.gap("the events since the last one that you have are not kept any more: read the lists again")]
        if self._place == feed.next and not feed.is_closed:
            try:
                async with asyncio.timeout(at_most_s):
                    await feed.fresh.wait()
            except TimeoutError:
                return []
        if self._place < feed.first:
            self._place = feed.next
            return [feed.gap("you read too slowly: read the lists again")]
        until = min(feed.next, self._place + TAKEN_AT_ONCE)
        taken = [feed.at(number) for number in range(self._place, until)]
        self._place = until
        return taken

    def leave(self) -> None:
        """Note that the client has gone."""
        self._feed.left()


def _now() -> str:
    return iso_utc(time_ns() // 1_000_000)
