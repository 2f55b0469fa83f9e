"""Trips to the thread of SQLite's driver: one a statement, and nothing is lost or held by it."""

import asyncio
from collections import Counter

import pytest
from sqlalchemy import text

from vosd.storage.asynchronous import create_async_engine
from vosd.storage.sqlite_driver import FETCHED_AT_ONCE, OneTripConnection, connection_to

ROWS = 2 * FETCHED_AT_ONCE + 7
NUMBERS = f"WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {ROWS}) SELECT x FROM n"


@pytest.fixture
def trips(monkeypatch) -> Counter[str]:
    """Counts what is given to the thread, by name."""
    made: Counter[str] = Counter()
    execute = OneTripConnection._execute

    async def counted(self, function, *arguments, **named):
        made[function.__name__] += 1
        return await execute(self, function, *arguments, **named)

    monkeypatch.setattr(OneTripConnection, "_execute", counted)
    return made


@pytest.fixture
async def connection(tmp_path):
    connection = await connection_to(str(tmp_path / "x.db"), isolation_level=None)
    yield connection
    await connection.close()


async def test_a_statement_its_rows_and_its_end_are_one_trip(connection, trips):
    cursor = connection.cursor()
    await cursor.execute("SELECT 1 UNION SELECT ?", (2,))
    assert list(await cursor.fetchall()) == [(1,), (2,)]
    await cursor.close()
    assert trips == {"_run": 1}


async def test_a_long_result_comes_whole_and_in_order(connection):
    cursor = connection.cursor()
    await cursor.execute(NUMBERS)
    assert [x for (x,) in await cursor.fetchall()] == list(range(1, ROWS + 1))
    assert await cursor.fetchall() == []


@pytest.mark.parametrize("size", [1, 7, FETCHED_AT_ONCE - 1, FETCHED_AT_ONCE, FETCHED_AT_ONCE + 1, ROWS, ROWS + 1])
async def test_parts_of_a_long_result_are_as_large_as_asked_for(connection, size):
    cursor = connection.cursor()
    await cursor.execute(NUMBERS)
    parts = []
    while part := await cursor.fetchmany(size):
        parts.append(part)
    assert [x for part in parts for (x,) in part] == list(range(1, ROWS + 1))
    assert {len(part) for part in parts[:-1]} <= {size}


async def test_single_rows_end_with_none(connection):
    cursor = connection.cursor()
    await cursor.execute("SELECT 1 UNION SELECT 2")
    assert [await cursor.fetchone() for _ in range(3)] == [(1,), (2,), None]


async def test_a_cursor_that_has_more_rows_releases_its_statement_when_it_is_closed(connection, trips):
    await connection.cursor().execute("CREATE TABLE t AS " + NUMBERS)
    cursor = connection.cursor()
    await cursor.execute("SELECT x FROM t")
    await cursor.close()
    assert trips["close"] == 1
    await connection.cursor().execute("DROP TABLE t")  # a statement that still reads it would forbid that


async def test_a_statement_that_is_cancelled_is_closed_behind_its_end(connection, trips):
    cursor = connection.cursor()
    task = asyncio.create_task(cursor.execute("SELECT 1"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await cursor.close()
    assert trips == {"_run": 1, "close": 1}


async def test_a_streamed_result_is_not_held_whole(tmp_path):
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{tmp_path / 'x.db'}", connect_args={"async_creator_fn": connection_to}
    )
    async with engine.connect() as connection:
        result = await connection.stream(text(NUMBERS))
        assert [x async for (x,) in result] == list(range(1, ROWS + 1))
    await engine.dispose()
