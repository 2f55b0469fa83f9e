"""A deck import that is killed in its transaction leaves nothing, and its repetition is like a first one."""

import asyncio
from typing import Any

import pytest
from doubles.dying import Steps, is_killed
from doubles.migrated import migrate_on_server, migrated
from sqlalchemy import event, select

from vosd.billing.deck_content import Chunk
from vosd.storage import schema
from vosd.storage.database import Database
from vosd.storage.deck_values import StoredDeck, Way
from vosd.storage.decks import SqlDecks

CHUNKS = [Chunk("44", b"first"), Chunk("45", b"second"), Chunk("46", b"third")]
TABLES = (schema.rate_deck, schema.rate_deck_chunk, schema.counter)


def deck(version: int) -> StoredDeck:
    return StoredDeck(
        rate_group="buy", version=version, content=version, replaced=version - 1 or None, made_at=1_790_000_000_000,
        operator="ann", way=Way.FULL, effective=None, rates=3, digest="d", changes={"new": 3}, memo=None,
    )  # fmt: skip


async def rows(database: Database) -> list[list[tuple[Any, ...]]]:
    async with database.reading() as connection:
        return [sorted(map(tuple, (await connection.execute(select(table))).all()), key=repr) for table in TABLES]


async def added(url: str, version: int) -> list[list[tuple[Any, ...]]]:
    async with Database(url) as database:
        await SqlDecks(database).add(deck(version), CHUNKS)
        return await rows(database)


async def found(url: str) -> list[list[tuple[Any, ...]]]:
    async with Database(url) as database:
        return await rows(database)


def killed_at(url: str, number: int) -> bool:
    def run() -> int:
        steps = Steps(number)
        database = Database(url)
        event.listen(database.engine.sync_engine, "after_cursor_execute", lambda *_arguments: steps.step())
        asyncio.run(SqlDecks(database).add(deck(2), CHUNKS))
        return 0

    return is_killed(run)


@pytest.fixture(params=["sqlite_url", pytest.param("mariadb_url", marks=pytest.mark.mariadb)])
def url(request) -> str:
    return request.getfixturevalue(request.param)


def test_a_killed_import_leaves_nothing_and_is_repeated(url, tmp_path):
    if url.startswith("sqlite"):
        migrated(tmp_path / "vosd.db")
    else:
        migrate_on_server(url)
    before = asyncio.run(added(url, 1))
    number = 0
    while killed_at(url, number := number + 1):
        assert asyncio.run(found(url)) == before
    assert number > len(CHUNKS), "killed behind each statement"
    after = asyncio.run(found(url))
    assert [row[:2] for row in after[0]] == [("buy", 1), ("buy", 2)]
    assert len(after[1]) == 2 * len(CHUNKS)
