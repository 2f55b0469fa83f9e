"""A watch over destinations on virtual time, with stored calls of one account, and a switch without SIP."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from structlog.testing import capture_logs

from doubles.data.builders import catalogue as made, mapping_gateway
from doubles.memory import MemoryOverrides
from doubles.virtual.clock import ManualClock
from vosd.base.clock import Instant
from vosd.billing.accounts import Account, AccountType
from vosd.billing.destination_past import PastUsage, Span
from vosd.billing.destinations import (
    DAY_MS,
    HOUR_MS,
    DestinationClass,
    DestinationLimit,
    Destinations,
    DestinationUse,
    Usage,
)
from vosd.callcontrol.live_state import LiveState
from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.overrides import Override, Target
from vosd.catalogue.parameters import CallParameters
from vosd.catalogue.ports import OverrideRecord
from vosd.cdr.ports import StoreUnavailable
from vosd.daemon.fraud import WatchBlocks
from vosd.engine.alarms.fraud import FraudWatch

CLASSES = (DestinationClass("premium", ("4490",)), DestinationClass("satellite", ("881",)))


class Calls:
    """Stored calls of one account: when each began, its number, its minutes and its price."""

    def __init__(self) -> None:
        self.stored: list[tuple[int, str, int, str]] = []
        self.is_away = False
        self.asked = 0

    async def first_call(self, account: str) -> int | None:
        self._ask()
        return min((each[0] for each in self.stored), default=None)

    async def begun_in(self, account: str, spans: Sequence[Span], digits: int) -> list[PastUsage]:
        self._ask()
        return [
            PastUsage(place, number[:digits], Usage(1, minutes * 60_000, Decimal(price)))
            for place, span in enumerate(spans)
            for begun, number, minutes, price in self.stored
            if span.begin <= begun < span.end
        ]

    async def ended_in(self, account: str, span: Span, digits: int, longest_ms: int) -> list[PastUsage]:
        self._ask()
        return [
            PastUsage(0, number[:digits], Usage(1, minutes * 60_000, Decimal(price)))
            for begun, number, minutes, price in self.stored
            if span.begin <= begun + minutes * 60_000 < span.end
        ]

    def _ask(self) -> None:
        self.asked += 1
        if self.is_away:
            raise StoreUnavailable("away")


class MemoryBlocks(MemoryOverrides):
    """Blocks in memory, without lines of the audit."""

    async def block(self, block: Override, now: int) -> None:
        await self.put([block], now)


class Scene:
    """A watch, its clock half past an hour, and a switch without SIP."""

    def __init__(self, *, new_destination_alarm: bool = False, **limit: Any) -> None:
        account = Account(
            "acme", AccountType.DIRECT, None, Decimal(0), "USD",
            destination_limits=(DestinationLimit("premium", **limit),),
            new_destination_alarm=new_destination_alarm,
        )  # fmt: skip
        self.clock = ManualClock(wall=1_790_000_000_000 - 1_790_000_000_000 % HOUR_MS + HOUR_MS // 2)
        self.catalogue = catalogue_of(account)
        self.live = LiveState()
        self.calls = Calls()
        self.store: MemoryBlocks | WatchBlocks = MemoryBlocks()
        self.hung_up: list[DestinationUse] = []
        self.watch = FraudWatch(self, self.clock, self.calls, self, 14)
        self.lines: list[Any] = []

    async def attach(self, now: Instant) -> None:
        """There are no calls to attach."""

    def hang_up(self, use: DestinationUse) -> int:
        self.hung_up.append(use)
        count, use.running, use._answered_ms = use.running, 0, 0
        return count

    async def block(self, block: Override, now: int) -> None:
        self.calls._ask()
        await self.store.block(block, now)

    async def changes(
        self, limit: int, name: str | None = None, target: Target | None = None
    ) -> Sequence[OverrideRecord]:
        return await self.store.changes(limit, name, target)

    async def blocks_changed(self) -> None:
        self.live.blocks.set(await self.store.load(), self.catalogue)

    @property
    def blocked(self) -> list[str]:
        return [*self.live.blocks.destinations]

    def answer(self, destination: str = "premium", number: str = "449012") -> DestinationUse:
        now = self.clock.now()
        use = self.live.destinations.of("acme", destination, now.wall)
        self.live.destinations.answered(use, now.mono, number)
        return use

    async def pass_minutes(self, minutes: float) -> list[str]:
        """Let time pass, with the past read in between; return the events that were logged."""
        with capture_logs() as logs:
            await self.learn()
            self.clock.move_to(self.clock.now().mono + int(minutes * 60_000))
            await self.watch.tick()
            await self.learn()
            await self.watch.tick()
        self.lines = [line for line in logs if line["event"] != "database_away"]
        return [line["event"] for line in self.lines]

    async def learn(self) -> None:
        try:
            await self.watch.store_blocks()
            await self.watch.learn()
        except StoreUnavailable:  # tried again when the past is read the next time
            pass

    def store_call(self, days: int, minutes: int) -> None:
        """Store a call that began so many days ago, within this hour of the day."""
        self.calls.stored.append((self.clock.now().wall - days * DAY_MS, "449012", minutes, "1"))


def catalogue_of(*accounts: Account) -> Catalogue:
    parameters = CallParameters(destination_classes=CLASSES)
    plain = made([mapping_gateway("acme-pbx")])
    by_id = {each.id: each for each in accounts}
    return replace(plain, accounts=by_id, destinations=Destinations(CLASSES), parameters=parameters)
