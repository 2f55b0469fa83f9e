"""What the watch over destinations counts at the edges of hours, forgets in which order, and takes for its own."""

from decimal import Decimal

import msgspec
from doubles.fraud_scene import Scene

from vosd.billing.destinations import HOUR_MS
from vosd.billing.spending import SpendAction


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


async def test_a_class_is_forgotten_as_soon_where_the_clock_was_years_ahead():
    scene, years_ms = Scene(minutes=1_000), 10 * 366 * 24 * HOUR_MS
    scene.clock.set_wall(years_ms)
    use = scene.answer()
    use.released(use._answered_ms)
    use.ended(1_000, Decimal(0), scene.clock.now().wall)
    await scene.pass_minutes(120)
    assert use in scene.watch._idle_since
    scene.clock.set_wall(-years_ms)
    await scene.pass_minutes(15 * 24 * 60)
    assert scene.watch._idle_since == scene.live.destinations.all == {}


async def test_a_person_named_like_the_switch_is_not_taken_for_the_watch():
    scene, by_watch = Scene(minutes=5), Scene(minutes=5, action=SpendAction.BLOCK)
    by_watch.answer()
    await by_watch.pass_minutes(6)
    (block,) = by_watch.live.blocks.destinations.values()
    scene.live.blocks.destinations[block.name] = msgspec.structs.replace(block, operator="vosd")
    assert await scene.pass_minutes(1) == []
