"""One store for each implementation of the ports: memory, SQLite, MariaDB; empty for every test."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from doubles.ledger_entries import entries_of
from doubles.memory import MemoryOverrides, MemoryRegistrations, MemoryStore
from doubles.migrated import migrate_on_server, migrated

from vosd.cdr.ports import Books
from vosd.sip.ports import BindingStore
from vosd.storage import schema
from vosd.storage.audit import SqlAudit
from vosd.storage.audit_line import AuditLine
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database
from vosd.storage.overrides import SqlOverrides
from vosd.storage.payments import SqlPayments
from vosd.storage.queries import SqlQueries
from vosd.storage.registrations import SqlRegistrations

MARIADB = pytest.param("mariadb", marks=pytest.mark.mariadb)


def seeded(sqlite: int, mariadb: int) -> pytest.MarkDecorator:
    """Have each kind of database begin with a seed of its own: what is random is not the same in both then."""
    pairs = [("sqlite", sqlite), pytest.param("mariadb", mariadb, marks=pytest.mark.mariadb)]
    return pytest.mark.parametrize(("database_url", "seed"), pairs, indirect=["database_url"])


NODE = "sw1"
_OF_MIGRATIONS = (schema.counter, schema.identity, schema.schema_compatibility)
_FILLED = [table.name for table in reversed(schema.metadata.sorted_tables) if table not in _OF_MIGRATIONS]
"""Tables that a new database has no rows in, those that refer to others first."""


class Store(NamedTuple):
    books: Books
    payments: SqlPayments | MemoryStore
    queries: SqlQueries | MemoryStore
    registrations: BindingStore
    overrides: SqlOverrides | MemoryOverrides
    audit: Callable[[], Awaitable[Sequence[AuditLine]]]
    """Returns the lines of the audit, oldest first."""
    numbers: Callable[[], Awaitable[Mapping[str, int]]]
    """Returns the numbers of the entries of the ledger by their references."""


@pytest.fixture(scope="session")
def sqlite_directory(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("sqlite")


@pytest.fixture(scope="session")
def migrated_mariadb(mariadb_server) -> str:
    url = mariadb_server.create_database("vosd_contract")
    migrate_on_server(url)
    return url


@pytest.fixture(params=["sqlite", MARIADB])
def database_url(request) -> str:
    """The URL of a migrated database of each kind."""
    return _url(request)


@pytest.fixture
async def database(database_url) -> AsyncIterator[Database]:
    """A migrated and empty database of each kind."""
    async with emptied(database_url) as database:
        yield database


@pytest.fixture(autouse=True)
def late_server(late_server: None) -> None:
    """A clock of the server that has reached the times of all tests here."""


@pytest.fixture(params=["memory", "sqlite", MARIADB])
def store_url(request) -> str | None:
    """The URL of a migrated database of each kind, or None for memory."""
    return None if request.param == "memory" else _url(request)


@pytest.fixture
async def store(store_url) -> AsyncIterator[Store]:
    """Each implementation of the ports, empty."""
    if store_url is None:
        memory = MemoryStore()
        overrides = MemoryOverrides()

        async def lines() -> Sequence[AuditLine]:
            return overrides.audit

        async def numbers() -> Mapping[str, int]:
            return {each.reference: number for number, each in enumerate(memory.entries, 1)}

        yield Store(memory, memory, memory, MemoryRegistrations(), overrides, lines, numbers)
        return
    async with emptied(store_url) as database:
        yield Store(
            SqlBooks(database),
            SqlPayments(database),
            SqlQueries(database),
            SqlRegistrations(database, NODE),
            SqlOverrides(database),
            lambda: _lines(database),
            lambda: _numbers(database),
        )


async def _lines(database: Database) -> Sequence[AuditLine]:
    return [*reversed(await SqlAudit(database).newest(100))]


async def _numbers(database: Database) -> Mapping[str, int]:
    return {each.reference: each.id for each in await entries_of(database)}


@asynccontextmanager
async def emptied(url: str) -> AsyncIterator[Database]:
    database = shared_database(url)
    if not database.is_sqlite:  # whose file is new
        await _empty(database)
    try:
        yield database
    finally:  # a connection that is left open keeps the test run from ending
        await database.close()


async def _empty(database: Database) -> None:
    """Delete all rows, where there are any: one question finds that out."""
    asked = ", ".join(f"EXISTS(SELECT 1 FROM {name})" for name in _FILLED)
    async with database.writing() as connection:
        found = (await connection.exec_driver_sql(f"SELECT {asked}")).one()
        for name, has_rows in zip(_FILLED, found, strict=True):
            if has_rows:
                await connection.exec_driver_sql(f"DELETE FROM {name}")
        beginnings = "LEFT(name, 7) = 'dropped' OR LEFT(name, 6) = 'masked'"
        await connection.exec_driver_sql(f"DELETE FROM counter WHERE {beginnings}")
        await connection.exec_driver_sql("UPDATE counter SET value = 0 WHERE LEFT(name, 7) = 'traffic'")


@cache
def shared_database(url: str) -> Database:
    """Return the same for every test: what it has compiled it has not to compile again. A test closes connections."""
    return Database(url)


def _url(request) -> str:
    if request.param == "mariadb":
        return request.getfixturevalue("migrated_mariadb")
    directory = request.getfixturevalue("sqlite_directory")
    for file in directory.iterdir():
        file.unlink()
    return migrated(directory / "vosd.db")
