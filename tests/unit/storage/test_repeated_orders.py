"""Orders that collide with others are tried again; those of a run also where others hold rows that they need."""

import asyncio
from types import SimpleNamespace

import pytest

from vosd.cdr.ports import Collided, RowsLocked
from vosd.storage import database
from vosd.storage.database import Database, repeated


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


@pytest.mark.parametrize(("held", "tries"), [(0, 1), (1, 2), (5, 6), (6, 6)])
async def test_an_order_of_a_run_waits_for_rows_as_long_between_two_tries_as_one_took(
    monkeypatch: pytest.MonkeyPatch, held: int, tries: int
) -> None:
    now, slept, told, begun = 0.0, list[float](), list[str](), 0

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(database, "time", SimpleNamespace(monotonic=lambda: now))

    @repeated
    async def order() -> str:
        nonlocal begun, now
        begun += 1
        if begun <= held:
            now += 5
            raise RowsLocked("held")
        return "done"

    async with Database("sqlite+aiosqlite:///:memory:", remark=told.append) as waiting:
        with waiting.waiting_for_rows():
            if held == 6:
                with pytest.raises(RowsLocked):
                    await order()
            else:
                assert await order() == "done"
    assert (begun, slept) == (tries, [5] * (tries - 1))
    assert told == ["another transaction holds locks: this waits up to a minute for them"] * len(slept)


async def test_an_order_that_a_person_waits_for_is_tried_once_where_rows_are_held() -> None:
    begun = 0

    @repeated
    async def order() -> None:
        nonlocal begun
        begun += 1
        raise RowsLocked("held")

    async with Database("sqlite+aiosqlite:///:memory:") as waiting:
        with waiting.waiting_for_rows():
            pass
        with pytest.raises(RowsLocked):
            await order()
    assert begun == 1
