"""One switch at a time runs on a database, and what the database says of itself tells when it has lost commits."""

import asyncio
import os

import msgspec
import pymysql
import pytest
from doubles.data.records import answered_call, refused_call
from doubles.memory import MemoryLease
from doubles.migrated import migrate_on_server
from doubles.mysql import PROGRAM
from sqlalchemy import make_url

from vosd.cdr.lease import Claimant, LeaseHeld
from vosd.cdr.ports import StoreUnavailable
from vosd.storage import engines, schema
from vosd.storage.database import Database
from vosd.storage.driver_errors import SchemaOutdated
from vosd.storage.lease import SqlLease, last_holder
from vosd.storage.migration_lock import alone, check_held

ONE = Claimant("sw1", "holder-1", "host-a", 100, "boot/1")
AGAIN = Claimant("sw1", "holder-2", "host-a", 200, "boot/2")
OTHER_NODE = Claimant("sw2", "holder-3", "host-b", 300, "boot/3")


@pytest.fixture
def ended() -> set[Claimant]:
    """The processes that are known to have ended."""
    return set()


@pytest.fixture
async def lease(store_url, store, ended):
    """The lease of each kind of database."""
    if store_url is None:
        yield MemoryLease(store.books, ended.__contains__)
        return
    async with Database(store_url) as database:
        yield SqlLease(database, ended.__contains__)


async def test_the_holder_renews_and_every_renewal_counts_on(lease):
    first, second = await lease.hold(ONE), await lease.hold(ONE)
    assert second == first._replace(renewals=first.renewals + 1)


@pytest.mark.parametrize("other", [AGAIN, OTHER_NODE])
async def test_another_switch_is_refused_and_told_who_holds_the_database(lease, other):
    await lease.hold(ONE)
    with pytest.raises(LeaseHeld, match=r"node sw1 on host host-a, pid 100 runs on this database.* stop ") as refused:
        await lease.hold(other)
    assert refused.value.holder == ONE
    await lease.hold(ONE)


async def test_a_released_lease_is_free_at_once(lease):
    await lease.hold(ONE)
    await lease.release(ONE)
    await lease.hold(OTHER_NODE)
    with pytest.raises(LeaseHeld):
        await lease.hold(ONE)


async def test_who_does_not_hold_the_lease_releases_nothing(lease):
    await lease.hold(ONE)
    await lease.release(AGAIN)
    with pytest.raises(LeaseHeld):
        await lease.hold(AGAIN)


async def test_the_lease_of_a_process_that_has_ended_is_free_at_once(lease, ended):
    first = await lease.hold(ONE)
    ended.add(ONE)
    second = await lease.hold(AGAIN)
    assert (second.epoch, second.renewals) == (first.epoch + 1, first.renewals + 1)


async def test_the_last_holder_of_a_node_is_known_until_the_next_one_takes_the_lease(database, ended):
    assert await last_holder(database, ONE.node) is None
    lease = SqlLease(database, ended.__contains__)
    await lease.hold(ONE)
    await lease.release(ONE)
    assert await last_holder(database, ONE.node) == ONE
    assert await last_holder(database, OTHER_NODE.node) is None
    await lease.hold(AGAIN)
    assert await last_holder(database, ONE.node) == AGAIN


async def move_renewal(database: Database, by_ms: int) -> None:
    async with database.writing() as connection:
        row = (await connection.execute(schema.lease.select())).one()
        await connection.execute(schema.lease.update().values(renewed_at=row.renewed_at + by_ms))


@pytest.mark.parametrize("moved_ms", [-10_500, 86_400_000], ids=["renewed long ago", "renewed in the future"])
async def test_a_lease_runs_out_by_the_clock_of_the_database(database, moved_ms, ended):
    lease = SqlLease(database, ended.__contains__)
    first = await lease.hold(ONE)
    await move_renewal(database, moved_ms)
    taken = await lease.hold(OTHER_NODE)
    assert (taken.identity, taken.epoch) == (first.identity, 1)
    with pytest.raises(LeaseHeld):
        await lease.hold(ONE)


async def takings(database: Database) -> int:
    async with database.reading() as connection:
        return (await connection.exec_driver_sql("SELECT value FROM counter WHERE name = 'lease'")).scalar_one()


async def test_who_takes_the_lease_changes_one_row_and_who_renews_it_does_not(database, ended):
    lease = SqlLease(database, ended.__contains__)
    before = await takings(database)
    await lease.hold(ONE)
    assert await takings(database) == before + 1
    await lease.hold(ONE)
    assert await takings(database) == before + 1
    ended.add(ONE)
    await lease.hold(OTHER_NODE)
    assert await takings(database) == before + 2


async def test_who_takes_the_lease_locks_the_row_that_earlier_versions_lock(mariadb_server, ended):
    """Such a version beside this one took it in the same milliseconds."""
    url = mariadb_server.create_database("vosd_lease")
    await asyncio.to_thread(migrate_on_server, url)
    parsed, tried = make_url(url), []

    def as_earlier_versions(_holder: Claimant) -> bool:
        of_name = {"user": parsed.username, "password": parsed.password or "", "db": parsed.database}
        with pymysql.connect(host="127.0.0.1", port=parsed.port, **of_name) as other, other.cursor() as cursor:
            with pytest.raises(pymysql.err.OperationalError) as refused:
                cursor.execute("SELECT id FROM identity LIMIT 1 FOR UPDATE NOWAIT")
            tried.append(refused.value.args[0])
        return True

    async with Database(url) as database:
        lease = SqlLease(database, as_earlier_versions)
        await lease.hold(ONE)
        await lease.hold(OTHER_NODE)
    assert tried == [1205], "a lock that it waits for"


async def test_the_row_that_a_taking_changes_is_made_where_it_is_missing(database, ended):
    """It was said to run vosd migrate, which found nothing to do."""
    async with database.writing() as connection:
        await connection.exec_driver_sql("DELETE FROM counter WHERE name = 'lease'")
    lease = SqlLease(database, ended.__contains__)
    first, second = await lease.hold(ONE), await lease.hold(ONE)
    assert (first.identity, first.renewals + 1) == (second.identity, second.renewals)
    assert await takings(database) == 1


async def test_of_switches_that_find_that_row_missing_at_once_one_takes_the_lease(database, ended):
    async with database.reading(), database.reading(), database.writing() as connection:  # all are connected
        await connection.exec_driver_sql("DELETE FROM counter WHERE name = 'lease'")
    lease, switches = SqlLease(database, ended.__contains__), (ONE, OTHER_NODE, AGAIN._replace(node="sw3"))
    found = await asyncio.gather(*map(lease.hold, switches), return_exceptions=True)
    assert [type(each) for each in found].count(LeaseHeld) == 2, found


async def test_a_counter_that_is_missing_is_named_with_what_helps(database, ended):
    async with database.writing() as connection:
        await connection.exec_driver_sql("DELETE FROM counter WHERE name = 'commits'")
    with pytest.raises(SchemaOutdated, match=r"no row `commits`.*restore a backup"):
        await SqlLease(database, ended.__contains__).hold(ONE)
    async with database.writing() as connection:
        await connection.exec_driver_sql("INSERT INTO counter (name, value) VALUES ('commits', 0)")


async def test_who_renews_a_lease_that_has_run_out_takes_it(database, ended):
    lease = SqlLease(database, ended.__contains__)
    await lease.hold(ONE)
    before = await takings(database)
    await move_renewal(database, -10_500)
    await lease.hold(ONE)
    assert await takings(database) == before + 1


async def test_every_commit_moves_the_counter_that_a_renewal_reports(lease, store):
    before = await lease.hold(ONE)
    assert store.books.newest_commit() in {0, before.commits}
    await store.books.book([answered_call(1), refused_call(2)])
    after = await lease.hold(ONE)
    assert after.commits > before.commits
    assert store.books.newest_commit() == after.commits
    assert store.books.newest_commit() == 0


async def test_of_calls_that_are_booked_none_is_lacking(store):
    booked, lost = answered_call(1), answered_call(2)
    unrecorded = msgspec.structs.replace(answered_call(3), recorded=False)
    unrecorded_lost = msgspec.structs.replace(answered_call(4), recorded=False)
    leaves_nothing = msgspec.structs.replace(refused_call(5), recorded=False)
    await store.books.book([booked, unrecorded, leaves_nothing])
    asked = [booked, lost, unrecorded, unrecorded_lost, leaves_nothing, refused_call(6)]
    assert await store.books.lacking(asked) == [lost, unrecorded_lost, refused_call(6)]
    assert await store.books.lacking([]) == []


@pytest.mark.mariadb
@pytest.mark.skipif(PROGRAM in os.environ, reason="MySQL ends a session by wait_timeout alone")
async def test_a_switch_that_is_cut_off_in_the_middle_of_a_renewal_holds_the_database_no_longer(
    migrated_mariadb, monkeypatch
):
    monkeypatch.setattr(engines, "_IDLE_S", 1)
    statement = f"SELECT value FROM counter WHERE name = '{schema.LEASES}' FOR UPDATE"
    async with Database(migrated_mariadb) as silent, Database(migrated_mariadb) as database:

        async def renew() -> None:
            async with silent.writing() as connection:
                await connection.exec_driver_sql(statement)
                await SqlLease(database, lambda _: True).hold(AGAIN)
                await connection.exec_driver_sql("SELECT 1")

        with pytest.raises(StoreUnavailable, match="is the server running"):
            await renew()


@pytest.mark.mariadb
async def test_what_is_only_read_and_a_lock_of_migrations_may_pause_for_longer(migrated_mariadb, monkeypatch):
    monkeypatch.setattr(engines, "_IDLE_S", 1)
    async with (
        Database(migrated_mariadb) as database,
        Database(migrated_mariadb) as locking,
        locking.writing(unhurried=True) as connection,
        alone(connection, locking.place),
    ):
        async with database.reading() as reading:
            await reading.exec_driver_sql("SELECT value FROM counter")
            async with database.reading() as waiting:
                await waiting.exec_driver_sql("SELECT SLEEP(2.5)")
            await reading.exec_driver_sql("SELECT value FROM counter")
        await check_held(connection, locking.place)


@pytest.mark.mariadb
async def test_a_lock_of_migrations_outlasts_a_server_that_ends_idle_sessions_soon(migrated_mariadb):
    """A restore counts its rows at its end, which takes minutes: with hundreds of millions of calls it was in vain."""
    async with (
        Database(migrated_mariadb) as database,
        Database(migrated_mariadb) as locking,
        locking.writing(unhurried=True) as connection,
    ):
        await connection.exec_driver_sql("SET SESSION wait_timeout = 1")
        async with alone(connection, locking.place):
            async with database.reading() as counting:
                await counting.exec_driver_sql("SELECT SLEEP(2.5)")
            await check_held(connection, locking.place)
