"""Tables that are not as they must be, and a server that takes smaller packets: no call is refused for it."""

import asyncio

import pytest
from doubles.data.records import answered_call, refused_call
from doubles.migrated import migrate_on_server

from vosd.cdr.ports import RejectedRecords, StoreDamaged
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database
from vosd.storage.driver_errors import SchemaOutdated

BATCH = [answered_call(index, customer_account="acme") for index in range(3)]


async def run(database, *statements: str) -> None:
    async with database.writing() as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)


async def expect_booked_after(database, books, *mending: str) -> None:
    """Mend the tables; the batch that could not be booked is then taken as a whole."""
    await run(database, *mending)
    await books.book(BATCH)
    assert await books.lacking(BATCH) == []


async def test_a_counter_that_is_behind_is_no_fault_of_the_calls(database):
    books = SqlBooks(database)
    await books.book([refused_call(7), refused_call(8)])
    await run(database, "UPDATE counter SET value = (SELECT MIN(export_seq) - 1 FROM cdr) WHERE name = 'commits'")
    with pytest.raises(
        StoreDamaged, match=r"counter of commits is behind cdr\.export_seq: UPDATE counter SET"
    ) as found:
        await books.book(BATCH)
    mending = str(found.value).partition("export_seq: ")[2]
    await expect_booked_after(database, books, mending)


async def test_an_account_whose_seq_is_behind_is_no_fault_of_the_calls(database):
    books = SqlBooks(database)
    await books.book([answered_call(9, customer_account="acme")])
    await run(database, "UPDATE account SET seq = 0, balance = 0 WHERE id = 'acme'")
    with pytest.raises(StoreDamaged, match="an account's seq is behind its ledger entries: vosd ledger verify"):
        await books.book(BATCH)
    await expect_booked_after(
        database,
        books,
        "UPDATE account SET seq = 1, balance = (SELECT balance_after FROM ledger_entry WHERE account = 'acme')"
        " WHERE id = 'acme'",
    )


async def test_a_reference_that_is_taken_is_a_fault_of_the_call(database):
    books = SqlBooks(database)
    await books.book([answered_call(1)])
    stolen = answered_call(1).postings
    with pytest.raises(RejectedRecords) as refused:
        await books.book([answered_call(2, postings=stolen), refused_call(3)])
    assert [each.record.call_id for each in refused.value.rejected] == [answered_call(2).call_id]


@pytest.mark.parametrize(
    ("damage", "mending"),
    [
        ("ALTER TABLE cdr RENAME COLUMN codec TO codec_", "ALTER TABLE cdr RENAME COLUMN codec_ TO codec"),
        ("ALTER TABLE cdr_attempt RENAME TO cdr_attempt_", "ALTER TABLE cdr_attempt_ RENAME TO cdr_attempt"),
        ("ALTER TABLE account RENAME COLUMN seq TO seq_", "ALTER TABLE account RENAME COLUMN seq_ TO seq"),
    ],
)
async def test_a_missing_column_or_table_is_no_fault_of_the_calls(database, damage, mending):
    books = SqlBooks(database)
    await run(database, damage)
    try:
        with pytest.raises(StoreDamaged, match="run vosd migrate"):
            await books.book(BATCH)
    finally:
        await run(database, mending)
    await expect_booked_after(database, books)


@pytest.mark.mariadb
@pytest.mark.parametrize("column", ["codec varchar(1)", "caller_in varchar(64) CHARACTER SET latin1"])
async def test_a_column_that_is_not_this_version_s_is_no_fault_of_the_calls(mariadb_url, column):
    await asyncio.to_thread(migrate_on_server, mariadb_url)
    database = Database(mariadb_url)
    books = SqlBooks(database)
    calls = [answered_call(1, caller_in="12345 \u65e5\u672c", customer_account="acme")]
    await run(database, f"ALTER TABLE cdr MODIFY {column}")
    with pytest.raises(SchemaOutdated, match="has a column that is not this version's"):
        await books.book(calls)
    await run(database, "ALTER TABLE cdr MODIFY codec varchar(32), MODIFY caller_in varchar(64) CHARACTER SET utf8mb4")
    await books.book(calls)
    await database.close()


@pytest.mark.mariadb
async def test_a_server_that_takes_smaller_packets_than_before_is_asked_again(mariadb_server, mariadb_url):
    await asyncio.to_thread(migrate_on_server, mariadb_url)
    database = Database(mariadb_url)
    books = SqlBooks(database)
    await books.book([answered_call(1)])
    calls = [answered_call(index, customer_account="acme") for index in range(2, 200)]
    with mariadb_server.connection(autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@global.max_allowed_packet")
        ((before,),) = cursor.fetchall()
        cursor.execute("SET GLOBAL max_allowed_packet = 16384")
        try:
            ours = "SELECT id FROM information_schema.processlist WHERE db = %s", (database.engine.url.database,)
            cursor.execute(*ours)
            for (session,) in cursor.fetchall():
                cursor.execute(f"KILL {session}")  # as a restart of the server does
            while cursor.execute(*ours):
                pass
            await books.book(calls)
        finally:
            cursor.execute("SET GLOBAL max_allowed_packet = %s", (before,))
    assert await books.lacking(calls) == []
    await database.close()
