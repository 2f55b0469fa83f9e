"""The watch over destinations, on virtual time: events, blocks, what ends them, and a database that is away."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from sys import getrefcount

import msgspec
import pytest
from doubles.fraud_scene import Scene, catalogue_of
from structlog.testing import capture_logs

from vosd.billing.accounts import Account, AccountType
from vosd.billing.destinations import DAY_MS, Destinations
from vosd.billing.spending import SpendAction
from vosd.catalogue.overrides import Overrides
from vosd.engine.alarms import fraud
from vosd.engine.alarms.fraud import OPERATOR
from vosd.obs.events import GONE


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


@pytest.mark.parametrize("action", [SpendAction.EVENT, SpendAction.BLOCK, SpendAction.HANG_UP])
async def test_calls_have_their_turns_while_the_calls_of_many_accounts_are_looked_at(action, monkeypatch):
    monkeypatch.setattr(fraud, "USES_AT_ONCE", 2)
    scene = Scene(max_minutes=1, action=action)
    names = [f"a{number}" for number in range(6)]
    scene.catalogue = catalogue_of(
        *(msgspec.structs.replace(scene.catalogue.accounts["acme"], id=name) for name in names)
    )
    now = scene.clock.now()
    for name in names:
        use = scene.live.destinations.of(name, "premium", now.wall)
        scene.live.destinations.answered(use, now.mono, "449012")
    await scene.watch.tick()
    scene.clock.move_to(now.mono + 61_000)
    with capture_logs() as logs:
        looking = asyncio.ensure_future(scene.watch.tick())
        raised = [0]
        while not looking.done():
            await asyncio.sleep(0)
            raised.append(sum(each["event"] == "fraud_suspected" for each in logs))
    assert max(after - before for before, after in pairwise(raised)) == (2 if action is SpendAction.EVENT else 1)
    assert [each["account"] for each in logs if each["event"] == "fraud_suspected"] == names
    with capture_logs() as logs:
        await scene.watch.tick()
    assert logs == []


async def test_a_block_that_is_cleared_while_the_uses_are_looked_at_neither_begins_anew_nor_ends_calls(monkeypatch):
    monkeypatch.setattr(fraud, "USES_AT_ONCE", 1)
    scene = Scene(max_minutes=1, action=SpendAction.HANG_UP)
    scene.answer("satellite", "8811")  # it is looked at before the other one
    scene.answer()
    assert await scene.pass_minutes(2) == ["fraud_suspected", "calls_hung_up"]
    [stored] = (await scene.store.load()).by_key.values()
    looking = asyncio.ensure_future(scene.watch.tick())
    await asyncio.sleep(0)
    await scene.store.clear([stored.key], "ann", scene.clock.now().wall)
    await scene.blocks_changed()
    scene.answer()
    await looking
    assert (scene.blocked, len(scene.hung_up)) == ([], 1)
    assert await scene.pass_minutes(0.5) == ["fraud_over"]


async def test_the_blocks_of_the_database_are_read_once_for_all_that_were_written():
    scene, read = Scene(max_minutes=1, action=SpendAction.BLOCK), []
    scene.catalogue = catalogue_of(
        *(msgspec.structs.replace(scene.catalogue.accounts["acme"], id=name) for name in ("acme", "other"))
    )
    now, changed = scene.clock.now(), scene.blocks_changed

    async def blocks_changed() -> None:
        read.append(len((await scene.store.load()).by_key))
        await changed()

    scene.blocks_changed = blocks_changed
    for name in ("acme", "other"):
        scene.live.destinations.answered(scene.live.destinations.of(name, "premium", now.wall), now.mono, "449012")
    await scene.pass_minutes(2)
    assert (read, scene.blocked, scene.live.blocks.pending) == ([2], ["acme/premium", "other/premium"], {})


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


async def test_a_block_for_a_time_outlives_a_wall_clock_that_is_set_ahead_while_the_database_is_away():
    scene = Scene(max_minutes=5, minutes=1, action=SpendAction.BLOCK, block_for_s=600)
    scene.calls.is_away = True
    scene.answer()
    assert await scene.pass_minutes(6) == ["fraud_suspected"]
    scene.clock.set_wall(DAY_MS)
    assert await scene.pass_minutes(1) == []
    scene.clock.set_wall(-DAY_MS)
    assert await scene.pass_minutes(8) == []
    assert scene.blocked == ["acme/premium"]
    assert await scene.pass_minutes(2) == ["fraud_over"]


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
    assert scene.lines[0]["why"] == GONE  # its use is what it was, above the limit of before


@pytest.mark.parametrize(
    "after",
    [
        catalogue_of(),
        catalogue_of(Account("acme", AccountType.DIRECT, None, Decimal(0), "USD", enabled=False)),
        replace(
            catalogue_of(Account("acme", AccountType.DIRECT, None, Decimal(0), "USD")), destinations=Destinations()
        ),
    ],
    ids=["removed", "disabled", "class removed"],
)
async def test_a_block_of_what_a_reload_takes_away_is_no_alarm_until_that_returns(after):
    """The block itself holds: no one has looked at it yet."""
    scene = Scene(minutes=5, action=SpendAction.BLOCK)
    before = scene.catalogue
    scene.answer()
    assert await scene.pass_minutes(6) == ["fraud_suspected"]
    scene.catalogue = after
    assert await scene.pass_minutes(1) == ["fraud_over"]
    assert scene.lines[0]["why"] == "gone"
    assert await scene.pass_minutes(60) == []
    scene.catalogue = before
    assert await scene.pass_minutes(1) == ["fraud_suspected"]
    assert scene.blocked == ["acme/premium"]
    (stored,) = (await scene.store.load()).by_key.values()
    await scene.store.clear([stored.key], "ann", scene.clock.now().wall)
    await scene.blocks_changed()
    assert await scene.pass_minutes(1) == ["fraud_over"]


async def test_a_block_that_is_cleared_while_its_account_is_gone_is_forgiven_without_a_second_end_of_its_alarm():
    scene = Scene(minutes=5, action=SpendAction.HANG_UP)
    scene.answer()
    assert await scene.pass_minutes(6) == ["fraud_suspected", "calls_hung_up"]
    used, scene.catalogue = scene.catalogue, catalogue_of()
    assert await scene.pass_minutes(1) == ["fraud_over"]
    (stored,) = (await scene.store.load()).by_key.values()
    await scene.store.clear([stored.key], "ann", scene.clock.now().wall)
    await scene.blocks_changed()
    assert await scene.pass_minutes(1) == []
    scene.catalogue = used
    scene.answer()
    assert await scene.pass_minutes(1) == []
    assert len(scene.hung_up) == 1


async def test_a_catalogue_that_a_reload_replaces_is_not_held():
    """The event loop freed it in one turn at the next tick: 50 ms with 50,000 phones."""
    scene = Scene(max_minutes=1)
    before = getrefcount(scene.catalogue)
    await scene.watch.tick()
    after = getrefcount(scene.catalogue)
    assert after == before
