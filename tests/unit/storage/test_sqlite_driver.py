"""Trips to the thread of SQLite's driver: one a statement, and nothing is lost or held by it."""

import asyncio
from collections import Counter
from threading import Event

import pytest
from sqlalchemy import exc, text

from vosd.storage.asynchronous import create_async_engine
from vosd.storage.database import Database
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
async def database(tmp_path):
    (tmp_path / "y.db").touch()
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'y.db'}")
    async with database.writing() as connection:
        await connection.exec_driver_sql("CREATE TABLE t (x INTEGER PRIMARY KEY)")
    yield database
    await database.close()


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


def test_a_statement_that_outlives_its_loop_fails_in_no_thread(tmp_path):
    """As one that was cancelled as its program ended."""
    goes_on, is_at_work = Event(), Event()

    def work():
        is_at_work.set()
        goes_on.wait(10)

    async def run():
        connection = await connection_to(str(tmp_path / "x.db"), isolation_level=None)
        waiting = asyncio.create_task(connection._execute(work))
        await asyncio.to_thread(is_at_work.wait, 10)
        waiting.cancel()
        connection.stop()
        return connection

    connection = asyncio.run(run())
    goes_on.set()
    connection._thread.join(10)
    assert (connection._thread.is_alive(), connection._connection) == (False, None)


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


async def test_a_transaction_that_reads_makes_a_trip_for_each_statement_alone(database, trips):
    async with database.reading() as connection:
        for _ in range(2):
            await connection.exec_driver_sql("SELECT x FROM t")
    async with database.reading():
        pass
    assert trips == {"_run": 2}


async def test_a_transaction_that_writes_makes_one_for_its_begin_and_one_for_its_end_too(database, trips):
    async with database.writing() as connection:
        await connection.exec_driver_sql("INSERT INTO t VALUES (1)")
    assert trips == {"_run": 2, "commit": 1}


async def test_a_transaction_that_reads_begins_once_and_sees_one_state(database, tmp_path):
    other, found = Database(f"sqlite+aiosqlite:///{tmp_path / 'y.db'}"), []
    for number in range(2):
        async with database.reading() as connection:
            for each in range(2):
                found.append((await connection.exec_driver_sql("SELECT COUNT(*) FROM t")).scalar())
                async with other.writing() as writer:
                    await writer.exec_driver_sql(f"INSERT INTO t VALUES ({2 * number + each})")
    await other.close()
    assert found == [0, 0, 2, 2]


async def test_many_rows_as_the_first_statement_begin_the_transaction_too(connection):
    await connection.cursor().execute("CREATE TABLE t (x INTEGER)")
    connection.begin_with_next()
    await connection.cursor().executemany("INSERT INTO t VALUES (?)", [(1,), (2,)])
    assert connection.in_transaction
    await connection.rollback()
    assert not connection.in_transaction


async def test_a_transaction_that_has_failed_is_rolled_back_behind_its_statement_that_the_thread_closes(
    database, trips
):
    with pytest.raises(exc.OperationalError):  # of the driver itself: the connection has no errors of ours
        async with database.engine.connect() as connection:
            await connection.exec_driver_sql("SELECT y FROM t")
    assert trips == {"_run": 1, "close": 1}
    async with database.writing() as connection:
        await connection.exec_driver_sql("INSERT INTO t VALUES (1)")


async def test_a_cancelled_transaction_is_rolled_back_behind_its_statement(database, trips):
    async def read():
        async with database.reading() as connection:
            await connection.exec_driver_sql(NUMBERS.replace(str(ROWS), "2000000"))

    task = asyncio.create_task(read())
    while not trips["_run"]:  # noqa: ASYNC110 - it is the driver that counts
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert trips["rollback"] == 1
    async with database.writing() as connection:
        await connection.exec_driver_sql("INSERT INTO t VALUES (1)")
