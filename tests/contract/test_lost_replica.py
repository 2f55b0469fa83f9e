"""A replica that ends or hangs after it was connected to: the database is read in its place."""

import asyncio
import math
from collections.abc import Iterator

import pytest
from doubles.migrated import migrate_on_server
from doubles.mysql import mortal_server
from doubles.process.mariadb import MariaDb
from sqlalchemy import event, update

from vosd.cdr.lease import Claimant
from vosd.cdr.ports import StoreUnavailable
from vosd.storage.database import Database
from vosd.storage.lease import SqlLease
from vosd.storage.schema import lease

WHERE = "SELECT @@port"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    """A server that may hang."""
    yield from mortal_server(tmp_path_factory.mktemp("copy"))


async def copied(copy: MariaDb, name: str) -> str:
    """Return the URL of a copy with all tables."""
    url = copy.create_database(name)
    await asyncio.to_thread(migrate_on_server, url)
    return url


async def searched(database: Database) -> int:
    """Return the port of the server that a search reads."""
    async with database.searching() as connection:
        return (await connection.exec_driver_sql(WHERE)).scalar_one()


@pytest.mark.mariadb
async def test_a_replica_whose_connection_is_cut_is_left_alone_and_the_database_is_read(
    mariadb_server, mariadb_url, copy
):
    remarks = []
    url = await copied(copy, "cut")
    database = Database(mariadb_url, replica=url, remark=remarks.append)
    assert await searched(database) == copy.port
    replica = database._replica

    @event.listens_for(replica.engine.sync_engine, "checkout")
    def cut(connection, *_):
        number = connection.driver_connection.thread_id()
        with copy.connection() as other:
            other.cursor().execute(f"KILL CONNECTION {number}")

    assert [await searched(database) for _ in range(2)] == [mariadb_server.port] * 2
    (remark,) = remarks
    assert remark.startswith(
        f"the replica is away, so the database itself is read: {replica.place} does not do its work"
    )
    event.remove(replica.engine.sync_engine, "checkout", cut)
    database._replica_is_away_until = -math.inf
    assert await searched(database) == copy.port
    await database.close()


@pytest.mark.mariadb
async def test_the_time_limit_of_a_replica_that_hangs_ends_with_the_use_of_that_replica(
    mariadb_server, mariadb_url, copy, monkeypatch
):
    remarks = []
    database = Database(mariadb_url, replica=await copied(copy, "hanging"), remark=remarks.append)
    assert await searched(database) == copy.port
    limit_s = 0.5
    monkeypatch.setattr("vosd.storage.database._REPLICA_S", limit_s / 2)
    monkeypatch.setattr(database._replica, "_patience_s", limit_s)
    copy.hang()
    try:
        async with database.searching() as connection:
            found = await connection.exec_driver_sql(f"{WHERE}, SLEEP({limit_s})")
            assert found.scalar_one() == mariadb_server.port
    finally:
        copy.go_on()
    assert remarks == ["the replica is away, so the database itself is read: it did not answer within 0.25 s"]
    await database.close()


@pytest.mark.mariadb
async def test_a_search_that_is_begun_on_a_replica_has_its_time_limit(mariadb_url, copy, monkeypatch):
    database = Database(mariadb_url, replica=await copied(copy, "slow"))
    assert await searched(database) == copy.port
    monkeypatch.setattr(database._replica, "_patience_s", 0.5)
    with pytest.raises(StoreUnavailable, match=r"did not answer within 0\.5 s"):
        async with database.searching():
            await asyncio.Event().wait()
    await database.close()


@pytest.mark.mariadb
async def test_a_replica_that_does_not_follow_is_left_alone_and_the_database_is_read(mariadb_server, mariadb_url, copy):
    remarks = []
    await asyncio.to_thread(migrate_on_server, mariadb_url)
    claimant = Claimant("sw1", "holder", "host", 1, "process")
    async with Database(mariadb_url, replica=await copied(copy, "late"), remark=remarks.append) as database:
        for each in (database._replica, database):
            await SqlLease(each, lambda _: True).hold(claimant)
        assert await searched(database) == copy.port
        async with database._replica.writing() as connection:
            await connection.execute(update(lease).values(renewed_at=1_000))
        database._replica_is_well_until = 0.0
        assert await searched(database) == mariadb_server.port
    (remark,) = remarks
    assert remark.endswith("s behind the database: see the state of its replication")
