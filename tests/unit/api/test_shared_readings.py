"""Requests that wait for the same reading share it, but none gets what was read before it asked."""

import asyncio

import pytest
from doubles.turns import turns

from vosd.api.shared_readings import SharedReadings
from vosd.cdr.ports import StoreUnavailable


class Slow:
    """A reading that waits until it may end; its result is its number."""

    def __init__(self) -> None:
        self.begun = 0
        self.gate = asyncio.Semaphore(0)

    async def __call__(self) -> int:
        self.begun += 1
        number = self.begun
        await self.gate.acquire()
        return number


async def _rest() -> None:
    await turns(10)


async def test_who_asks_while_it_is_read_gets_what_is_read_after_that_once_for_all():
    readings, read = SharedReadings[int](), Slow()
    first = asyncio.create_task(readings.of("a", read))
    await _rest()
    later = [asyncio.create_task(readings.of("a", read)) for _ in range(3)]
    await _rest()
    assert read.begun == 1
    read.gate.release()
    assert await first == 1
    await _rest()
    last = asyncio.create_task(readings.of("a", read))
    await _rest()
    read.gate.release()
    assert [await each for each in later] == [2, 2, 2]
    read.gate.release()
    assert await last == 3


async def test_readings_of_other_things_do_not_wait():
    readings, slow, quick = SharedReadings[int](), Slow(), Slow()
    waiting = asyncio.create_task(readings.of("a", slow))
    await _rest()
    quick.gate.release()
    assert await readings.of("b", quick) == 1
    slow.gate.release()
    assert await waiting == 1


async def test_a_failed_reading_fails_for_those_who_wait_and_for_none_after_them():
    readings, read = SharedReadings[int](), Slow()

    async def fail() -> int:
        await read.gate.acquire()
        raise StoreUnavailable("away")

    waiting = [asyncio.create_task(readings.of("a", fail)) for _ in range(2)]
    await _rest()
    read.gate.release()
    for each in waiting:
        with pytest.raises(StoreUnavailable):
            await each
    read.gate.release()
    assert await readings.of("a", read) == 1


async def test_a_request_that_is_given_up_takes_the_reading_from_no_other():
    readings, read = SharedReadings[int](), Slow()
    given_up, waiting = (asyncio.create_task(readings.of("a", read)) for _ in range(2))
    await _rest()
    given_up.cancel()
    await _rest()
    read.gate.release()
    assert await waiting == 1
    assert read.begun == 1


async def test_who_asks_soon_after_a_reading_waits_and_shares_the_next_one():
    readings, read, later = SharedReadings[int](0.05), Slow(), asyncio.Event()
    for _ in range(3):
        read.gate.release()
    assert await readings.of("a", read) == 1
    waiting = [asyncio.create_task(readings.of("a", read)) for _ in range(3)]
    await _rest()
    assert read.begun == 1
    assert await readings.of("b", read) == 2, "others do not wait"
    assert [await each for each in waiting] == [3, 3, 3]
    asyncio.get_running_loop().call_later(0.1, later.set)
    await later.wait()
    assert not readings._resting, "nothing is kept of what was read"
