"""Variables that a server has for people at a terminal: sessions of the switch do not follow them."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from doubles.data.records import answered_call
from doubles.migrated import migrate_on_server

from vosd.storage.books import SqlBooks
from vosd.storage.database import Database

pytestmark = pytest.mark.mariadb


@pytest.fixture(params=["sql_select_limit = 1", "max_join_size = 1", "sql_safe_updates = 1", "completion_type = 2"])
async def database(request, mariadb_server, mariadb_url) -> AsyncIterator[Database]:
    """A database on a server with a variable that is not its default."""
    await asyncio.to_thread(migrate_on_server, mariadb_url)
    name = request.param.partition(" ")[0]
    with mariadb_server.connection(autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(f"SET GLOBAL {request.param}")
        database = Database(mariadb_url)
        yield database
        await database.close()
        cursor.execute(f"SET GLOBAL {name} = DEFAULT")


async def test_calls_are_booked_and_found_whole_whatever_the_server_has_for_its_sessions(database: Database) -> None:
    books = SqlBooks(database)
    calls = [answered_call(index, customer_account=f"account-{index % 5}") for index in range(10)]
    accounts = {posting.account for call in calls for posting in call.postings}
    await books.book(calls[:5])
    await books.book(calls[5:])
    assert await books.lacking(calls) == []
    assert {*(await books.standings()).standings} == accounts


async def test_rows_are_changed_without_a_key_and_joined_without_a_limit(database: Database) -> None:
    await SqlBooks(database).book([answered_call(index, customer_account="acme") for index in range(5)])
    async with database.writing() as connection:
        await connection.exec_driver_sql("UPDATE counter SET value = value + 1")
    async with database.reading() as connection:
        found = await connection.exec_driver_sql("SELECT one.call_id FROM cdr one JOIN cdr other")
        assert len(found.fetchall()) == 25
