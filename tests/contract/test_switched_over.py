"""Connections that are open and of no use: to a primary of before, which is read-only, or forgotten on the way."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pymysql
import pytest
from chaos.proxy import Proxy
from doubles.migrated import migrate_on_server
from doubles.mysql import server_with_rights
from sqlalchemy import event
from sqlalchemy.pool import ConnectionPoolEntry

from vosd.cdr.ports import OutcomeUnknown, StoreUnavailable
from vosd.storage.database import Database

pytestmark = pytest.mark.mariadb

FILES = "/nowhere"
NAME = "switched"
SET_UP = (
    "FLUSH PRIVILEGES",
    f"CREATE DATABASE {NAME}",
    f"CREATE TABLE {NAME}.numbers (number INTEGER) ENGINE=InnoDB",
    "CREATE USER 'switch'@'127.0.0.1' IDENTIFIED BY 'secret'",
    f"GRANT ALL ON {NAME}.* TO 'switch'@'127.0.0.1'",
    "GRANT FILE ON *.* TO 'switch'@'127.0.0.1'",
)
WHERE = "SELECT @@port"
ADD = "INSERT INTO numbers VALUES (1)"


class Server(NamedTuple):
    port: int
    admin: "pymysql.Connection[pymysql.cursors.Cursor]"

    @property
    def url(self) -> str:
        return f"mysql+aiomysql://switch:secret@127.0.0.1:{self.port}/{NAME}"

    def say(self, statement: str) -> None:
        with self.admin.cursor() as cursor:
            cursor.execute(statement)


def _server(directory: Path) -> Iterator[Server]:
    server = server_with_rights(directory)
    server.start(f"--secure-file-priv={directory}")
    with server.connection(autocommit=True) as admin:
        started = Server(server.port, admin)
        for statement in SET_UP:
            started.say(statement)
        yield started
    server.stop()


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from _server(tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from _server(tmp_path_factory.mktemp("second"))


@pytest.fixture
def old(first: Server) -> Iterator[Server]:
    """The primary at the beginning of a test."""
    yield first
    first.say("SET GLOBAL read_only = OFF")


@pytest.fixture
def name(old: Server) -> Iterator[Proxy]:
    """The address under which the database is known."""
    with Proxy(old.port) as proxy:
        yield proxy


@pytest.fixture
async def database(old: Server, name: Proxy) -> AsyncIterator[Database]:
    """A database with two connections to the old primary."""
    database = Database(old.url.replace(str(old.port), str(name.port)), patience_s=5)
    assert await places(database) == [old.port] * 2
    yield database
    await database.close()


async def places(database: Database) -> list[int]:
    """Return the ports of the servers that two connections at a time lead to."""
    async with database.writing() as one, database.writing() as other:
        return [(await each.exec_driver_sql(WHERE)).scalar_one() for each in (one, other)]


async def place(database: Database) -> int:
    """Return the port of the server that is read."""
    async with database.reading() as connection:
        return (await connection.exec_driver_sql(WHERE)).scalar_one()


def switch_over(name: Proxy, old: Server, new: Server) -> None:
    old.say("SET GLOBAL read_only = ON")
    name.server_port = new.port


async def add(database: Database, before_the_end: Callable[[], object] = lambda: None) -> None:
    async with database.writing() as connection:
        await connection.exec_driver_sql(ADD)
        before_the_end()


async def test_all_connections_to_a_server_that_is_read_only_are_replaced(database, name, old, second):
    switch_over(name, old, second)
    with pytest.raises(StoreUnavailable, match=r"make it the primary, or have database\.url lead to the one that is"):
        await add(database)
    assert await places(database) == [second.port] * 2
    await add(database)


async def test_a_server_that_is_read_only_at_the_end_of_a_transaction_is_left(database, name, old, second):
    with pytest.raises(OutcomeUnknown, match="make it the primary"):
        await add(database, partial(switch_over, name, old, second))
    assert await places(database) == [second.port] * 2


@pytest.mark.parametrize("code", [1036, 1047, 1792, 1836, 1874])
async def test_a_server_that_says_in_other_words_that_it_is_no_primary_is_left(database, name, second, code):
    name.server_port = second.port
    with pytest.raises(StoreUnavailable, match="make it the primary"):
        async with database.reading() as connection:
            await connection.exec_driver_sql(f"SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {code}")
    assert await places(database) == [second.port] * 2


async def test_a_node_that_leaves_its_cluster_at_a_commit_is_left(database, name, second):
    name.server_port = second.port
    said = "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1180, MESSAGE_TEXT = 'Not connected to Primary Component'"
    with pytest.raises(StoreUnavailable, match="make it the primary"):
        async with database.reading() as connection:
            await connection.exec_driver_sql(said)
    assert await places(database) == [second.port] * 2


async def test_a_server_whose_other_option_forbids_a_statement_is_used_on(database, name, old, second):
    name.server_port = second.port
    with pytest.raises(StoreUnavailable, match=r"1290.*secure-file-priv.*see the server's log"):
        async with database.reading() as connection:
            await connection.exec_driver_sql(f"SELECT 1 INTO OUTFILE '{FILES}/numbers'")
    assert await places(database) == [old.port] * 2


def grow_older(database: Database, by_s: float) -> None:
    """Have each use of a connection take so long."""

    @event.listens_for(database.engine.sync_engine, "checkin")
    def age(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info["vosd_made_s"] -= by_s


async def test_a_database_that_is_only_read_is_that_of_the_new_primary_after_a_minute(database, name, old, second):
    switch_over(name, old, second)
    grow_older(database, 30)
    found = [await place(database) for _ in range(6)]  # the two connections take turns
    assert found == [old.port] * 4 + [second.port] * 2


async def test_connections_that_a_firewall_has_forgotten_after_a_minute_are_not_waited_for(database, name, old):
    grow_older(database, 61)
    assert [await place(database) for _ in range(2)] == [old.port] * 2
    name.forget_connections()
    assert [await place(database) for _ in range(2)] == [old.port] * 2


@pytest.fixture
async def named(old: Server, name: Proxy) -> AsyncIterator[Database]:
    """A database whose server has a name, with two connections that are old at their next use."""
    database = Database(old.url.replace(f"127.0.0.1:{old.port}", f"localhost:{name.port}"), patience_s=5)
    grow_older(database, 61)
    assert await places(database) == [old.port] * 2
    yield database
    await database.close()


@pytest.mark.parametrize("is_silent", [True, False])
async def test_connections_are_kept_while_the_name_of_their_server_is_not_found(
    named, name, old, second, monkeypatch, is_silent
):
    asked = []

    async def look_up(_loop: object, host: str, *_: object, **__: object) -> None:
        asked.append(host)
        if is_silent:
            await asyncio.Event().wait()
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    name.server_port = second.port
    with monkeypatch.context() as names:
        names.setattr(type(asyncio.get_running_loop()), "getaddrinfo", look_up)
        assert [await place(named) for _ in range(4)] == [old.port] * 4
        assert asked == ["localhost"]  # not again within a minute
    later = SimpleNamespace(**vars(time) | {"monotonic": lambda: time.monotonic() + 61})
    monkeypatch.setattr("vosd.storage.engines.time", later)
    assert await places(named) == [second.port] * 2


async def test_a_replica_that_is_read_only_is_used_on(old, second):
    await asyncio.to_thread(migrate_on_server, old.url)
    old.say("SET GLOBAL read_only = ON")
    remarks: list[str] = []
    database = Database(second.url, replica=old.url, remark=remarks.append)
    for _ in range(3):
        async with database.searching() as connection:
            assert (await connection.exec_driver_sql(WHERE)).scalar_one() == old.port
        await add(database)
    assert remarks == []
    await database.close()
