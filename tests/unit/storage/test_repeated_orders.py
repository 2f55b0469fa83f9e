"""Orders that collide with others are tried again, later each time by a random while."""

import asyncio

import pytest

from vosd.cdr.ports import Collided
from vosd.storage import database
from vosd.storage.database import repeated


@pytest.mark.parametrize("collisions", [0, 1, 2, 3])
async def test_tries_are_apart_by_random_pauses(monkeypatch: pytest.MonkeyPatch, collisions: int) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(database, "uniform", lambda least, most: (least + most) / 2)
    tries = 0

    @repeated
    async def order() -> str:
        nonlocal tries
        tries += 1
        if tries <= collisions:
            raise Collided("undone")
        return "done"

    if collisions == 3:
        with pytest.raises(Collided):
            await order()
    else:
        assert await order() == "done"
    assert slept == [0.025, 0.1][:collisions]
    assert tries == min(collisions + 1, 3)
