"""Connections that are cut before the first statement on them, and how often the server is asked for a read."""

import asyncio
import os
from contextlib import suppress

import aiomysql
import pymysql
import pytest
from doubles.mysql import PROGRAM
from doubles.turns import PATIENCE_S
from sqlalchemy import event

from vosd.cdr.ports import StoreUnavailable
from vosd.storage.database import Database
from vosd.storage.driver_errors import DatabaseRefusesUs


@pytest.mark.mariadb
async def test_a_connection_that_is_cut_while_its_session_is_prepared_means_a_database_that_is_away(
    mariadb_server, mariadb_url
):
    database = Database(mariadb_url)

    @event.listens_for(database.engine.sync_engine, "checkout")
    def cut(connection, *_):
        number = connection.driver_connection.thread_id()
        with mariadb_server.connection() as other:
            other.cursor().execute(f"KILL CONNECTION {number}")

    with pytest.raises(StoreUnavailable, match="is the server running"):
        async with database.reading() as connection:
            await connection.exec_driver_sql("SELECT 1")
    await database.close()


@pytest.mark.mariadb
async def test_a_database_is_refused_where_something_between_has_each_statement_committed_alone(
    mariadb_server, mariadb_url, monkeypatch
):
    with mariadb_server.connection() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@socket")
        ((file,),) = cursor.fetchall()

    async def answered(_connection):
        """Answer ``SET AUTOCOMMIT = 0`` without the server, as ProxySQL does."""

    monkeypatch.setattr(aiomysql.Connection, "_send_autocommit_mode", answered)
    async with Database(mariadb_url) as database:
        for kind in (database.writing, database.reading, database.reading):
            with pytest.raises(DatabaseRefusesUs, match="mysql-enforce_autocommit_on_reads = true"):
                async with kind() as connection:
                    await connection.exec_driver_sql("SELECT 1")
        by_file = Database(f"{mariadb_url}?unix_socket={file}")
        with pytest.raises(DatabaseRefusesUs, match=f"^{file} commits each statement alone"):
            async with by_file.reading():
                pass
        await by_file.close()
        monkeypatch.undo()
        async with database.writing() as connection:
            await connection.exec_driver_sql("SELECT 1")


@pytest.mark.mariadb
async def test_a_transaction_asks_for_its_rows_and_the_end_and_for_its_level_where_another_kind_was_before(
    mariadb_url, monkeypatch
):
    database, asked = Database(mariadb_url), []
    execute = aiomysql.Connection._execute_command
    async with database.writing() as connection:
        await connection.exec_driver_sql("SELECT 1")

    async def note(self, command, text):
        asked.append(text if isinstance(text, str) else text.decode())
        await execute(self, command, text)

    monkeypatch.setattr(aiomysql.Connection, "_execute_command", note)
    for kind in (database.writing, database.reading, database.reading, database.writing):
        async with kind() as connection:
            await connection.exec_driver_sql("SELECT 2")
    monkeypatch.undo()
    await database.close()
    level, write, read = "SET SESSION TRANSACTION ISOLATION LEVEL", ["SELECT 2", "COMMIT"], ["SELECT 2", "ROLLBACK"]
    pause = "SET SESSION idle_transaction_timeout ="
    changed = [[f"{level} REPEATABLE READ", f"{pause} 0"], [f"{level} READ COMMITTED", f"{pause} 60"]]
    if PROGRAM in os.environ:  # MySQL has no such limit
        changed = [each[:1] for each in changed]
    assert asked == [*write, *changed[0], *read, *read, *changed[1], *write]


@pytest.mark.mariadb
async def test_each_kind_of_transaction_has_its_level_on_one_connection(mariadb_server, mariadb_url):
    database = Database(mariadb_url)
    numbers, name = "SELECT COUNT(*), CONNECTION_ID() FROM numbers", mariadb_url.rpartition("/")[2]
    async with database.writing() as connection:
        await connection.exec_driver_sql("CREATE TABLE numbers (number INTEGER) ENGINE=InnoDB")
    found, used = [], set()
    for kind in (database.reading, database.writing, database.writing, database.reading, database.reading):
        async with kind() as connection:
            for _ in range(2):
                count, number = (await connection.exec_driver_sql(numbers)).one()
                found.append(count)
                used.add(number)
                with mariadb_server.connection(autocommit=True) as other:
                    other.cursor().execute(f"INSERT INTO {name}.numbers VALUES (1)")
    await database.close()
    assert found == [0, 0, 2, 3, 4, 5, 6, 6, 8, 8]
    assert len(used) == 1


@pytest.mark.mariadb
async def test_a_connection_that_the_server_has_ended_is_replaced_before_its_next_use(mariadb_server, mariadb_url):
    database = Database(mariadb_url)
    own = "SELECT CONNECTION_ID()"
    async with database.reading() as connection:
        number = (await connection.exec_driver_sql(own)).scalar()
    with mariadb_server.connection() as other, other.cursor() as cursor:
        cursor.execute(f"KILL CONNECTION {number}")
        while cursor.execute("SELECT 1 FROM information_schema.processlist WHERE id = %s", (number,)):
            pass
    async with database.reading() as connection:
        following = (await connection.exec_driver_sql(own)).scalar()
    await database.close()
    assert following != number


@pytest.fixture
async def impatient(mariadb_url):
    """Return a database whose server ends what is idle for a second, and the connections that were made."""
    database, made = Database(mariadb_url), []

    @event.listens_for(database.engine.sync_engine, "connect")
    def expect_little(connection, _):
        made.append(connection.driver_connection)
        connection.cursor().execute("SET SESSION wait_timeout = 1")

    yield database, made
    await database.close()


async def ended(driver):
    """Wait until the event loop has seen the end of a connection."""
    with suppress(OSError):
        async with asyncio.timeout(PATIENCE_S):
            await driver._writer.wait_closed()


@pytest.mark.mariadb
async def test_connections_whose_end_the_event_loop_has_seen_are_replaced_without_an_error(impatient, caplog):
    database, made = impatient
    async with database.reading(), database.reading():
        pass
    await asyncio.gather(*map(ended, made))
    async with database.reading() as connection, database.reading():
        assert (await connection.exec_driver_sql("SELECT 1")).scalar() == 1
    assert len(made) == 4
    await ended(made[-1])
    await database.close()
    assert caplog.records == []


@pytest.mark.mariadb
@pytest.mark.parametrize("last", ["SELECT 1", "COMMIT"])
async def test_a_connection_that_ends_between_two_statements_means_a_database_that_is_away(impatient, last):
    database, made = impatient

    async def write():
        async with database.writing() as connection:
            await connection.exec_driver_sql("SELECT 1")
            await ended(made[0])
            if last != "COMMIT":
                await connection.exec_driver_sql(last)

    with pytest.raises(StoreUnavailable, match="is the server running"):
        await write()
    async with database.writing() as connection:
        assert (await connection.exec_driver_sql("SELECT 1")).scalar() == 1


@pytest.mark.mariadb
async def test_a_table_that_was_changed_since_a_transaction_began_to_read_asks_for_another_try(
    mariadb_server, mariadb_url
):
    with mariadb_server.connection(autocommit=True) as other, other.cursor() as cursor:
        cursor.execute(f"USE {mariadb_url.rpartition('/')[2]}")
        for name in ("first", "second"):
            cursor.execute(f"CREATE TABLE {name} (number INTEGER) ENGINE=InnoDB")

        async def read_both(database: Database) -> None:
            async with database.reading() as connection:
                await connection.exec_driver_sql("SELECT * FROM first")
                cursor.execute("ALTER TABLE second ADD INDEX (number)")
                await connection.exec_driver_sql("SELECT * FROM second")

        async with Database(mariadb_url) as database:
            with pytest.raises(StoreUnavailable, match=r"1412.* a table was changed meanwhile"):
                await read_both(database)


@pytest.mark.parametrize(
    ("number", "text", "advice"),
    [
        (4151, "Access denied, this account is locked", "ALTER USER ... ACCOUNT UNLOCK"),
        (1862, "Your password has expired", "ALTER USER ... IDENTIFIED BY"),
        (3159, "Connections using insecure transport are prohibited", "needs ssl_ca"),
        (1226, "User 'vosd' has exceeded the 'max_user_connections' resource", "raise the limits"),
    ],
)
async def test_a_user_that_the_server_takes_again_later_means_a_database_that_is_away(number, text, advice):
    """A start goes on without the database, as behind other outages."""
    async with Database("mysql+aiomysql://vosd:secret@127.0.0.1:9/vosd") as database:

        @event.listens_for(database.engine.sync_engine, "do_connect")
        def refuse(*_):
            raise pymysql.err.OperationalError(number, text)

        with pytest.raises(StoreUnavailable, match=advice) as away:
            await database.check_schema()
    assert type(away.value) is StoreUnavailable
