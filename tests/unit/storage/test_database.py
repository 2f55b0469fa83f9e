"""Opening a database: which URLs are taken, what a session is set to, what never shows."""

import asyncio
import errno
import re
import socket
import sqlite3
import ssl
from contextlib import asynccontextmanager, closing
from typing import NoReturn

import pymysql
import pytest
from doubles.closed import closed
from doubles.mysql import server_of_tests
from sqlalchemy import event, text, update

from vosd.cdr.lease import Claimant
from vosd.cdr.ports import StoreUnavailable
from vosd.storage.database import Database
from vosd.storage.driver_errors import (
    DatabaseGone,
    DatabaseRefusesUs,
    SchemaOutdated,
    StatementTooLong,
    UnsupportedDatabase,
)
from vosd.storage.lease import SqlLease
from vosd.storage.migrate import migrate_async
from vosd.storage.schema import lease


@pytest.fixture
async def database(sqlite_url):
    await migrate_async(sqlite_url)
    async with Database(sqlite_url) as database:
        yield database


@pytest.mark.parametrize(
    "url", ["", "vosd.db", "sqlite:///vosd.db", "mysql://u@h/vosd", "mysql+pymysql://u@h/v", "postgresql://u@h/v"]
)
def test_a_url_that_is_not_ours_is_refused_with_an_example(url):
    with pytest.raises(UnsupportedDatabase, match=r"sqlite\+aiosqlite.*mysql\+aiomysql"):
        Database(url)


async def test_a_password_is_never_shown():
    database = Database("mysql+aiomysql://vosd:hunter2@127.0.0.1:3306/vosd")
    assert "hunter2" not in database.place
    assert "hunter2" not in repr(database.engine)
    await database.close()


async def test_an_sqlite_session_is_durable_and_readable_while_written(database):
    async with database.reading() as connection:
        settings = [
            (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout")
        ]
    assert settings == ["wal", 2, 5000]


@pytest.mark.parametrize("command", ["read", "migrate"])
async def test_another_user_of_a_file_is_sent_to_that_of_the_switch(tmp_path, command):
    url = f"sqlite+aiosqlite:///{tmp_path}/lib/vosd.db"
    await migrate_async(url)
    database = Database(url)
    with closed(tmp_path / "lib"), pytest.raises(StoreUnavailable, match="run this as the user of the switch"):
        await (migrate_async(url) if command == "migrate" else database.check_schema())
    await database.close()


@pytest.mark.mariadb
async def test_a_mysql_session_is_in_utc_strict_escapes_by_backslash_and_looks_for_all_keys_in_the_index(mariadb_url):
    database = Database(mariadb_url)
    async with database.writing() as connection:
        row = (
            await connection.exec_driver_sql(
                "SELECT @@time_zone, @@sql_mode, @@tx_isolation, @@character_set_connection,"
                " @@eq_range_index_dive_limit"
            )
        ).one()
    zone, mode, isolation, characters, dives = row
    assert (zone, isolation, characters, dives) == ("+00:00", "READ-COMMITTED", "utf8mb4", 0)
    assert "STRICT_ALL_TABLES" in mode
    assert "NO_BACKSLASH_ESCAPES" not in mode
    await database.close()


@pytest.mark.mariadb
async def test_a_session_on_a_node_of_galera_waits_for_what_other_nodes_have_committed(tmp_path):
    server = server_of_tests(tmp_path)
    server.start("--loose-wsrep-on=ON")
    try:
        async with Database(server.create_database("vosd")) as database, database.reading() as connection:
            row = (await connection.exec_driver_sql("SHOW SESSION VARIABLES LIKE 'wsrep_sync_wait'")).one_or_none()
    finally:
        server.kill()
    assert row in {("wsrep_sync_wait", "3"), None}  # None: a server that is built without wsrep


@pytest.mark.mariadb
@pytest.mark.parametrize("set_in_url", ["autocommit=0", "autocommit=1&client_flag=a&connect_timeout=b&local_infile=c",
                                        "echo=1&init_command=x&sql_mode=ANSI_QUOTES&use_unicode=0"])  # fmt: skip
async def test_a_mysql_session_is_as_ever_where_the_url_asks_for_another(mariadb_url, set_in_url):
    async with Database(f"{mariadb_url}?program_name=vosd&{set_in_url}") as database:
        async with database.writing() as connection:
            row = (await connection.exec_driver_sql("SELECT @@autocommit, LOCATE('ANSI', @@sql_mode), 'é'")).one()
        assert tuple(row) == (0, 0, "é")


@pytest.mark.parametrize(("statement_s", "ms"), [(None, 0), (20, 20_000), (0.2, 200)])
async def test_a_limit_of_ours_takes_the_place_of_that_of_a_mysql_server(statement_s, ms):
    database, said = Database("mysql+aiomysql://u@h/vosd", statement_s=statement_s), []

    @event.listens_for(database.engine.sync_engine, "do_connect")
    def note(_dialect: object, _record: object, _given: object, named: dict[str, str]) -> NoReturn:
        said.append(f"/*!50708 , max_execution_time = {ms} */" in named["init_command"])
        raise ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError):
        async with database.engine.connect():
            pass
    assert said == [True]


@pytest.mark.parametrize("number", [1969, 3024])
async def test_a_statement_that_mariadb_or_mysql_has_ended_was_too_long(number):
    database = Database("mysql+aiomysql://u@h/vosd", statement_s=20)

    @event.listens_for(database.engine.sync_engine, "do_connect")
    def end(*_: object) -> NoReturn:
        raise pymysql.err.OperationalError(number, "Query execution was interrupted")

    with pytest.raises(StatementTooLong, match="longer than 20 s"):
        async with database.reading():
            pass


@pytest.mark.parametrize(("number", "advice"), [(1317, "by KILL"), (1927, "by KILL"), (1053, "is the server running")])
async def test_a_statement_that_was_killed_and_a_server_that_stops_are_not_said_to_lack_room(number, advice):
    database = Database("mysql+aiomysql://u@h/vosd")

    @event.listens_for(database.engine.sync_engine, "do_connect")
    def end(*_: object) -> NoReturn:
        raise pymysql.err.OperationalError(number, "interrupted")

    with pytest.raises(StoreUnavailable, match=advice):
        async with database.reading():
            pass


@pytest.mark.parametrize("directory", ["", "{}/"])
async def test_a_file_that_is_not_there_is_not_made_by_reading_it(tmp_path, monkeypatch, directory):
    monkeypatch.chdir(tmp_path)
    database = Database(f"sqlite+aiosqlite:///{directory.format(tmp_path)}vosd.db")
    with pytest.raises(SchemaOutdated, match=f"there is no file {tmp_path}/vosd.db: run vosd migrate"):
        await database.check_schema()
    await database.close()
    assert list(tmp_path.iterdir()) == []


async def test_a_database_that_a_switch_has_worked_on_is_missed_and_not_made_anew(tmp_path):
    file = tmp_path / "vosd.db"
    database = Database(f"sqlite+aiosqlite:///{file}", was_used=lambda: True)
    for _ in range(2):  # without the file, then without tables
        with pytest.raises(DatabaseGone, match="Put it back, or vosd restore FILE") as missed:
            await database.check_schema()
        assert "run vosd migrate" not in str(missed.value)
        file.touch()
    with closing(sqlite3.connect(file)) as made, made:
        made.execute("CREATE TABLE alembic_version (version_num)")
        made.execute("INSERT INTO alembic_version VALUES ('0001')")
    with pytest.raises(SchemaOutdated, match=r"has schema 0001, not .*: run vosd migrate"):
        await database.check_schema()
    await database.close()


async def test_a_replica_that_hangs_is_left_alone_for_a_while(database, sqlite_url, monkeypatch):
    monkeypatch.setattr("vosd.storage.database._REPLICA_S", 0.01)
    asked = []

    @asynccontextmanager
    async def hanging(**_options):
        asked.append(1)
        await asyncio.Event().wait()
        yield None

    searched = Database(sqlite_url, replica=sqlite_url)
    monkeypatch.setattr(searched._replica, "reading", hanging)
    for _ in range(2):
        async with searched.searching() as connection:
            assert (await connection.exec_driver_sql("SELECT 1")).scalar() == 1
    assert len(asked) == 1
    await searched.close()


@pytest.fixture
async def copied(database, tmp_path):
    """Return a database with a replica, both with the row of a switch that has renewed its lease at a time."""
    replica = f"sqlite+aiosqlite:///{tmp_path / 'copy.db'}"
    await migrate_async(replica)
    said: list[str] = []
    async with Database(str(database.engine.url), replica=replica, remark=said.append) as searched:

        async def read(renewed_at: int, copied_at: int) -> str:
            for each, at in ((searched, renewed_at), (searched._replica, copied_at)):
                await SqlLease(each, lambda _: True).hold(Claimant("sw1", "holder", "host", 1, "process"))
                async with each.writing() as connection:
                    await connection.execute(update(lease).values(renewed_at=at))
            async with searched.searching() as connection:
                return (await connection.exec_driver_sql("PRAGMA database_list")).all()[0][2].rpartition("/")[2]

        yield read, searched, said


async def test_a_replica_whose_replication_has_stopped_is_not_read(copied, monkeypatch):
    read, searched, said = copied
    assert await read(1_000_000, 700_000) == "copy.db"
    monkeypatch.setattr("vosd.storage.database._REPLICA_LOOK_S", 0.0)
    searched._replica_is_well_until = 0.0
    assert await read(1_000_001, 700_000) != "copy.db"
    (line,) = said
    assert "copy.db is 300 s behind the database: see the state of its replication" in line
    searched._replica_is_away_until = 0.0
    assert await read(1_000_001, 1_000_000) == "copy.db"


async def test_a_replica_that_has_nothing_of_a_switch_is_not_read(copied):
    read, _searched, said = copied
    assert await read(1_000_000, 0) != "copy.db"
    assert len(said) == 1
    assert "copy.db has nothing that a switch wrote into the database: see the state of its replication" in said[0]


async def test_a_replica_without_the_latest_migration_is_not_read(copied):
    read, searched, said = copied
    async with searched._replica.writing() as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    assert await read(0, 0) != "copy.db"
    assert len(said) == 1
    assert "schema 0001" in said[0]


async def test_a_file_that_is_replaced_while_it_is_opened_is_opened_anew(tmp_path):
    file, other = tmp_path / "x.db", tmp_path / "y.db"
    for path in (file, other):
        with closing(sqlite3.connect(path)) as made, made:
            made.execute("PRAGMA journal_mode = WAL")
            made.execute(f"CREATE TABLE is_{path.stem} (x)")
    database = Database(f"sqlite+aiosqlite:///{file}")

    @event.listens_for(database.engine.sync_engine, "connect", insert=True)
    def replace(_connection, _record):
        if other.exists():
            other.replace(file)

    async with database.reading() as connection:
        names = await connection.scalars(text("SELECT name FROM sqlite_master"))
    assert [*names] == ["is_y"]
    await database.close()


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed"), r"\(Connection refused\): is the server"),
        (socket.gaierror(-3, "Temporary failure"), r"\(Temporary failure\): .* do the name servers answer"),
        (TimeoutError(), r"\(no answer within 5 s\): .* do the name servers answer"),
    ],
)
async def test_a_server_that_cannot_be_reached_is_named_with_the_reason(monkeypatch, reason, told):
    """The driver says of each that it cannot connect, and no more."""
    error = await unreached(monkeypatch, reason)
    assert re.match(f"cannot reach .*db.example:3306/vosd {told}", str(error))


@pytest.mark.parametrize(("number", "why"), [(9, "not yet valid"), (10, "has expired")])
async def test_a_server_whose_certificate_is_not_valid_now_is_away_and_does_not_refuse_us(monkeypatch, number, why):
    """A start goes on without the database: nothing in the configuration could mend it."""
    reason = ssl.SSLCertVerificationError(1, f"certificate verify failed: certificate {why}")
    reason.verify_code = number
    error = await unreached(monkeypatch, reason)
    assert not isinstance(error, DatabaseRefusesUs)
    assert re.search(f"{why}.*: renew the server's certificate, or set the clock", str(error))


async def unreached(monkeypatch: pytest.MonkeyPatch, reason: Exception) -> StoreUnavailable:
    async def fail(*_: object, **__: object) -> NoReturn:
        raise reason

    monkeypatch.setattr("aiomysql.connection._open_connection", fail)
    database = Database("mysql+aiomysql://vosd:secret@db.example:3306/vosd")
    with pytest.raises(StoreUnavailable) as refused:
        async with database.reading():
            pass
    await database.close()
    return refused.value
