"""The watch over destinations, on virtual time: events, blocks, what ends them, and a database that is away."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

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
from vosd.billing.spending import SpendAction
from vosd.callcontrol.live_state import LiveState
from vosd.catalogue.catalogue import CallParameters, Catalogue
from vosd.catalogue.overrides import Overrides, Target
from vosd.catalogue.ports import Change
from vosd.cdr.ports import StoreUnavailable
from vosd.engine.alarms.fraud import OPERATOR, FraudWatch
from vosd.storage.memory import MemoryOverrides
from vosd.testing.data.builders import catalogue as made
from vosd.testing.data.builders import mapping_gateway
from vosd.testing.virtual.clock import ManualClock

CLASSES = (DestinationClass("premium", ("4490",)), DestinationClass("satellite", ("881",)))
PREMIUM = ("acme", "premium")


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
        self.calls, self.store = Calls(), MemoryOverrides()
        self.hung_up: list[DestinationUse] = []
        self.watch = FraudWatch(self, self.clock, self.calls, self, 14)
        self.lines: list[Any] = []

    def attach(self, now: Instant) -> None:
        """There are no calls to attach."""

    def hang_up(self, use: DestinationUse) -> int:
        self.hung_up.append(use)
        count, use.running, use._answered_ms = use.running, 0, 0
        return count

    async def put(self, overrides: Any, now: int) -> None:
        self.calls._ask()
        await self.store.put(overrides, now)

    async def changes(self, limit: int, name: str | None = None, target: Target | None = None) -> Sequence[Change]:
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
            self.watch.tick(self.clock.now())
            await self.learn()
            self.watch.tick(self.clock.now())
        self.lines = [line for line in logs if line["event"] != "database_away"]
        return [line["event"] for line in self.lines]

    async def learn(self) -> None:
        try:
            await self.watch.store_blocks()
            await self.watch.learn()
        except StoreUnavailable:
            assert self.calls.is_away

    def store_call(self, days: int, minutes: int, number: str = "449012", price: str = "1") -> None:
        """Store a call that began so many days ago, within this hour of the day."""
        self.calls.stored.append((self.clock.now().wall - days * DAY_MS, number, minutes, price))


def catalogue_of(*accounts: Account) -> Catalogue:
    parameters = CallParameters(destination_classes=CLASSES)
    plain = made([mapping_gateway("acme-pbx")])
    by_id = {each.id: each for each in accounts}
    return replace(plain, accounts=by_id, destinations=Destinations(CLASSES), parameters=parameters)


async def test_an_event_is_raised_once_and_cleared_in_an_hour_that_is_within_the_limit():
    scene = Scene(factor=3, minutes=5)
    scene.store_call(2, 4)
    use = scene.answer()
    assert await scene.pass_minutes(11.9) == []
    assert await scene.pass_minutes(0.2) == ["fraud_suspected"]
    assert scene.lines[0]["found"].startswith("12.1 minutes in an hour, 12.0 allowed, at most 4.0 minutes")
    assert await scene.pass_minutes(5) == []
    use.released(use._answered_ms)
    use.ended(17 * 60_000, Decimal(1), scene.clock.now().wall)
    assert await scene.pass_minutes(5) == []
    assert await scene.pass_minutes(10) == ["fraud_over"]
    assert scene.blocked == []
    assert scene.live.destinations.active == {}


async def test_a_call_that_runs_over_the_end_of_the_hour_keeps_the_alarm():
    scene = Scene(minutes=5)
    scene.answer()
    assert await scene.pass_minutes(6) == ["fraud_suspected"]
    assert await scene.pass_minutes(60) == []


async def test_a_block_holds_until_it_is_cleared_and_the_rest_of_the_hour_counts_from_zero():
    scene = Scene(minutes=5, action=SpendAction.BLOCK)
    scene.answer()
    assert await scene.pass_minutes(6) == ["fraud_suspected"]
    assert scene.blocked == ["acme/premium"]
    assert scene.live.blocks.pending == {}
    (stored,) = (await scene.store.load()).by_key.values()
    assert (stored.operator, stored.until, stored.memo) == (OPERATOR, None, "6.0 minutes in an hour, 5.0 allowed")
    assert await scene.pass_minutes(90) == []
    await scene.store.clear([stored.key], "ann", scene.clock.now().wall)
    await scene.blocks_changed()
    assert await scene.pass_minutes(4) == ["fraud_over"]
    assert scene.lines[0]["why"] == "the block was cleared"
    assert await scene.pass_minutes(4.5) == []
    assert await scene.pass_minutes(1) == ["fraud_suspected"]
    assert scene.hung_up == []


async def test_a_block_for_a_time_expires_also_while_the_database_is_away():
    scene = Scene(max_minutes=5, minutes=1, action=SpendAction.HANG_UP, block_for_s=120)
    scene.calls.is_away = True
    use = scene.answer()
    assert await scene.pass_minutes(6) == ["fraud_suspected", "calls_hung_up"]
    assert (scene.hung_up, scene.blocked) == ([use], ["acme/premium"])
    scene.live.blocks.set(Overrides(), scene.catalogue)
    assert scene.blocked == ["acme/premium"]
    assert await scene.pass_minutes(3) == ["fraud_over"]
    assert (scene.blocked, scene.live.blocks.pending) == ([], {})


async def test_a_block_of_an_operator_is_no_alarm_and_none_is_set_beside_it():
    scene = Scene(minutes=5, action=SpendAction.BLOCK)
    by_watch = Scene(minutes=5, action=SpendAction.BLOCK)
    by_watch.answer()
    await by_watch.pass_minutes(6)
    (block,) = by_watch.live.blocks.destinations.values()
    scene.live.blocks.destinations[block.name] = msgspec.structs.replace(block, operator="ann")
    scene.answer()
    assert await scene.pass_minutes(60) == []
    restarted = Scene(minutes=5, action=SpendAction.BLOCK)
    restarted.live.blocks.destinations[block.name] = block
    assert await restarted.pass_minutes(0) == ["fraud_suspected"]


async def test_until_the_past_is_read_only_the_highest_limit_holds():
    scene = Scene(minutes=5, max_minutes=50)
    scene.calls.is_away = True
    scene.answer()
    assert await scene.pass_minutes(20) == []
    scene.calls.is_away = False
    scene.store_call(2, 1)
    assert await scene.pass_minutes(0) == ["fraud_suspected"]


async def test_what_ended_in_this_hour_before_the_switch_started_counts_and_is_read_again():
    scene = Scene(minutes=10)
    scene.calls.stored.append((scene.clock.now().wall - 9 * 60_000, "449012", 7, "1"))
    scene.answer()
    assert await scene.pass_minutes(2) == []
    scene.calls.stored.append((scene.clock.now().wall - 9 * 60_000, "449012", 2, "1"))  # booked late
    assert await scene.pass_minutes(0.5) == []
    assert await scene.pass_minutes(1) == ["fraud_suspected"]


async def test_what_was_used_before_an_unblock_does_not_count_after_a_restart():
    scene, now = Scene(minutes=5, action=SpendAction.BLOCK), 0
    scene.answer()
    assert await scene.pass_minutes(6) == ["fraud_suspected"]
    (block,) = scene.live.blocks.destinations.values()
    now = scene.clock.now().wall
    await scene.store.clear([block.key], "ann", now)
    after = Scene(minutes=5, action=SpendAction.BLOCK)
    after.store, after.clock = scene.store, scene.clock
    after.watch._clock = scene.clock
    scene.clock.move_to(scene.clock.now().mono + 10 * 60_000)
    after.calls.stored += [(now - 7 * 60_000, "449012", 6, "1"), (now + 60_000, "449012", 2, "1")]
    after.answer()
    assert await after.pass_minutes(2.9) == []
    assert await after.pass_minutes(0.2) == ["fraud_suspected"]


async def test_what_ended_before_the_start_is_forgiven_once_by_an_unblock():
    scene = Scene(minutes=10, action=SpendAction.BLOCK)
    scene.calls.stored.append((scene.clock.now().wall - 9 * 60_000, "449012", 7, "1"))
    use = scene.answer()
    assert await scene.pass_minutes(4) == ["fraud_suspected"]
    use.released(use._answered_ms)
    use.ended(4 * 60_000, Decimal(1), scene.clock.now().wall)
    (block,) = scene.live.blocks.destinations.values()
    await scene.store.clear([block.key], "ann", scene.clock.now().wall)
    await scene.blocks_changed()
    assert await scene.pass_minutes(2) == ["fraud_over"]  # what ended before is read again
    scene.answer()
    assert await scene.pass_minutes(9) == []
    assert await scene.pass_minutes(2) == ["fraud_suspected"]


async def test_a_call_that_rang_when_its_class_was_blocked_is_hung_up_when_it_is_answered():
    scene = Scene(minutes=5, action=SpendAction.HANG_UP)
    use = scene.answer()
    assert await scene.pass_minutes(6) == ["fraud_suspected", "calls_hung_up"]
    scene.answer()
    assert await scene.pass_minutes(0) == ["calls_hung_up"]
    assert (scene.lines[0]["count"], scene.hung_up) == (1, [use] * 2)
    assert await scene.pass_minutes(1) == []
    (block,) = scene.live.blocks.destinations.values()
    await scene.store.clear([block.key], "ann", scene.clock.now().wall)
    await scene.blocks_changed()
    scene.answer()
    assert await scene.pass_minutes(1) == ["fraud_over"]


async def test_calls_that_run_go_on_where_an_operator_has_blocked_the_class():
    scene, by_watch = Scene(minutes=5, action=SpendAction.HANG_UP), Scene(minutes=5, action=SpendAction.BLOCK)
    by_watch.answer()
    await by_watch.pass_minutes(6)
    (block,) = by_watch.live.blocks.destinations.values()
    scene.live.blocks.destinations[block.name] = msgspec.structs.replace(block, operator="ann")
    scene.answer()
    assert await scene.pass_minutes(60) == []
    assert scene.hung_up == []


async def test_a_limit_of_no_money_is_exceeded_by_money_alone_and_its_alarm_ends():
    scene = Scene(spend=Decimal(0))
    use = scene.answer()
    assert await scene.pass_minutes(1) == []
    use.released(use._answered_ms)
    use.ended(60_000, Decimal("0.01"), scene.clock.now().wall)
    assert await scene.pass_minutes(1) == ["fraud_suspected"]
    assert await scene.pass_minutes(60) == ["fraud_over"]


async def test_a_block_that_is_cleared_while_it_is_stored_does_not_stay():
    scene = Scene(minutes=5, action=SpendAction.BLOCK)
    changed = scene.blocks_changed

    async def cleared_before() -> None:
        (block,) = scene.live.blocks.destinations.values()
        await scene.store.clear([block.key], "ann", scene.clock.now().wall)
        await changed()

    scene.blocks_changed = cleared_before
    scene.answer()
    await scene.pass_minutes(6)
    assert scene.blocked == []


async def test_what_is_read_again_is_read_less_and_less_often():
    scene = Scene(minutes=1_000)
    scene.store_call(3, 1)
    scene.answer()
    for _ in range(29):
        await scene.pass_minutes(1)
    assert scene.calls.asked == 1 + 2 * 6  # the first call once, the rest at 0, 1, 2, 4, 8 and 16 minutes


async def test_the_past_is_read_once_an_hour():
    scene = Scene(minutes=10)
    scene.store_call(3, 1)
    scene.answer()
    await scene.pass_minutes(40)
    asked = scene.calls.asked
    await scene.pass_minutes(5)
    assert scene.calls.asked == asked
    await scene.pass_minutes(60)
    assert scene.calls.asked == asked + 1


async def test_a_class_that_was_never_called_is_reported_once():
    scene = Scene(new_destination_alarm=True, minutes=1_000)
    scene.store_call(13, 1)
    scene.answer()
    scene.answer("satellite", "88162")
    assert await scene.pass_minutes(1) == ["destination_new"]
    assert (scene.lines[0]["destination"], scene.lines[0]["callee"]) == ("satellite", "88162")
    assert await scene.pass_minutes(1) == []


async def test_a_class_is_new_again_when_it_was_not_called_for_the_days_of_the_past():
    scene = Scene(new_destination_alarm=True, minutes=1_000)
    scene.store_call(3, 1)
    use = scene.answer()
    assert await scene.pass_minutes(1) == []
    use.released(use._answered_ms)
    use.ended(60_000, Decimal(1), scene.clock.now().wall)
    await scene.pass_minutes(60)
    await scene.pass_minutes(15 * 24 * 60)
    assert scene.live.destinations.all == {}
    scene.answer()
    assert await scene.pass_minutes(1) == ["destination_new"]


@pytest.mark.parametrize("days", [0, None])
async def test_no_class_of_a_new_account_is_reported(days):
    scene = Scene(new_destination_alarm=True, minutes=1_000)
    if days is not None:
        scene.store_call(days, 1)
    scene.answer("satellite", "88162")
    assert await scene.pass_minutes(1) == []


async def test_a_reload_that_makes_an_event_a_block_blocks_what_is_above_the_limit_already():
    scene = Scene(minutes=5)
    scene.answer()
    assert await scene.pass_minutes(6) == ["fraud_suspected"]
    scene.catalogue = Scene(minutes=5, action=SpendAction.BLOCK).catalogue
    assert await scene.pass_minutes(1) == ["fraud_suspected"]
    assert (scene.lines[0]["action"], scene.blocked) == ("block", ["acme/premium"])
    assert await scene.pass_minutes(60) == []


async def test_a_limit_that_a_reload_removes_ends_its_alarm():
    scene = Scene(minutes=5)
    scene.answer()
    assert await scene.pass_minutes(6) == ["fraud_suspected"]
    scene.catalogue = catalogue_of(Account("acme", AccountType.DIRECT, None, Decimal(0), "USD"))
    assert await scene.pass_minutes(1) == ["fraud_over"]


async def test_a_call_that_begins_and_ends_between_two_looks_counts_in_its_hour():
    scene = Scene(spend=Decimal(1))
    use = scene.answer()
    scene.clock.move_to(scene.clock.now().mono + 400)
    use.released(use._answered_ms)
    use.ended(400, Decimal("0.40"), scene.clock.now().wall)
    assert await scene.pass_minutes(200) == []
    assert scene.live.destinations.active == {}
    for _ in range(2):  # of a class that was idle, in another hour
        use = scene.answer()
        scene.clock.move_to(scene.clock.now().mono + 400)
        use.released(use._answered_ms)
        use.ended(400, Decimal("0.60"), scene.clock.now().wall)
    assert await scene.pass_minutes(1) == ["fraud_suspected"]


async def test_a_call_that_ends_in_the_first_second_of_an_hour_counts_in_it():
    scene = Scene(spend=Decimal(1))
    use = scene.answer()
    await scene.pass_minutes(29.99)
    scene.clock.move_to(scene.clock.now().mono + 700)
    assert scene.clock.now().wall % HOUR_MS < 1_000
    use.released(use._answered_ms)
    use.ended(1_800_000, Decimal(5), scene.clock.now().wall)
    assert await scene.pass_minutes(1) == ["fraud_suspected"]


async def test_the_class_that_was_idle_first_is_forgotten_first():
    scene = Scene(minutes=1_000)
    watch, day = scene.watch, 24 * 60

    async def call_to(destination: str) -> None:
        use = scene.answer(destination)
        use.released(use._answered_ms)
        use.ended(1_000, Decimal(0), scene.clock.now().wall)
        await scene.pass_minutes(120)
        assert use in watch._idle_since

    for destination in ("premium", "satellite", "mobile"):
        await call_to(destination)
    await scene.pass_minutes(10 * day)
    await call_to("satellite")
    await scene.pass_minutes(5 * day)
    assert [use.destination for use in watch._idle_since] == ["satellite"]


async def test_a_person_named_like_the_switch_is_not_taken_for_the_watch():
    scene, by_watch = Scene(minutes=5), Scene(minutes=5, action=SpendAction.BLOCK)
    by_watch.answer()
    await by_watch.pass_minutes(6)
    (block,) = by_watch.live.blocks.destinations.values()
    scene.live.blocks.destinations[block.name] = msgspec.structs.replace(block, operator="vosd")
    assert await scene.pass_minutes(1) == []
