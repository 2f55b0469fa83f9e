"""Promises of ``SqlDecks``, over SQLite and MariaDB."""

import asyncio
import zlib

import msgspec
import pytest
from doubles.data.records import STARTED

from vosd.billing.deck_content import Chunk
from vosd.storage.database import Database
from vosd.storage.deck_values import DeckMoved, StoredDeck, Way
from vosd.storage.decks import SqlDecks
from vosd.storage.driver_errors import ContentRefused

FIRST = StoredDeck(
    rate_group="acme", version=1, content=1, replaced=None, made_at=STARTED, operator="ann", way=Way.FULL,
    effective=None, rates=3, digest="a" * 64, changes={"new": 3}, memo="ticket 4711",
)  # fmt: skip
TEXTS = ("header\n1,one\n", "2,two\n", "2,two again\n3,three\n")
CHUNKS = tuple(Chunk(prefix, zlib.compress(text.encode())) for prefix, text in zip(("1", "2", "2"), TEXTS, strict=True))
SECOND = msgspec.structs.replace(
    FIRST, version=2, content=2, replaced=1, made_at=STARTED + 1, way=Way.DELTA, effective=STARTED + 5, digest="b" * 64,
    memo=None,
)  # fmt: skip
BACK = msgspec.structs.replace(FIRST, version=3, replaced=2, way=Way.ROLLBACK, made_at=STARTED + 2)


@pytest.fixture
def decks(database: Database) -> SqlDecks:
    return SqlDecks(database)


async def rows(decks: SqlDecks) -> str:
    current = next(each for each in await decks.all_current() if each.group == "acme")
    return b"".join([part async for part in decks.rows(current)]).decode()


async def test_what_was_added_is_read_as_it_was_added(decks):
    await decks.add(FIRST, CHUNKS)
    assert await decks.versions("acme") == [FIRST]
    assert await decks.chunks(FIRST) == [*CHUNKS]
    assert await rows(decks) == "".join(TEXTS)


async def test_the_newest_version_is_in_force_and_the_others_stay(decks):
    await decks.add(FIRST, CHUNKS)
    await decks.add(SECOND, CHUNKS[:1])
    await decks.add(msgspec.structs.replace(FIRST, rate_group="other"), CHUNKS[1:])
    assert [(each.group, each.number, each.digest) for each in await decks.all_current()] == [
        ("acme", 2, "b" * 64),
        ("other", 1, "a" * 64),
    ]
    assert await decks.versions("acme") == [SECOND, FIRST]
    assert await decks.chunks(FIRST) == [*CHUNKS]
    assert await rows(decks) == TEXTS[0]


async def test_a_rollback_has_the_content_of_then(decks):
    await decks.add(FIRST, CHUNKS)
    await decks.add(SECOND, CHUNKS[:1])
    await decks.add(BACK, ())
    (current,) = await decks.all_current()
    assert (current.number, current.digest) == (3, FIRST.digest)
    assert await rows(decks) == "".join(TEXTS)


async def test_a_group_without_deck_has_none(decks):
    assert await decks.all_current() == []
    assert await decks.versions("acme") == []


async def test_only_the_chunks_that_may_have_a_prefix_are_read(decks):
    await decks.add(FIRST, CHUNKS)
    assert await decks.chunks(FIRST, {"1"}) == [CHUNKS[0]]
    assert await decks.chunks(FIRST, {"2"}) == [*CHUNKS]  # its rates may begin in the chunk before
    assert await decks.chunks(FIRST, {"3", "33"}) == [CHUNKS[0], CHUNKS[2]]
    assert await decks.chunks(FIRST, {"*"}) == [CHUNKS[0]]


async def test_a_version_that_does_not_follow_the_one_in_force_changes_nothing(decks):
    await decks.add(FIRST, CHUNKS)
    version = await decks.version()
    for late in (FIRST, msgspec.structs.replace(SECOND, version=3, replaced=2)):
        with pytest.raises(DeckMoved, match="acme"):
            await decks.add(late, CHUNKS)
    assert await decks.version() == version
    assert await decks.versions("acme") == [FIRST]


async def test_of_two_at_the_same_time_one_is_taken(decks):
    await decks.add(FIRST, CHUNKS)
    twin = msgspec.structs.replace(SECOND, operator="bob")
    outcomes = await asyncio.gather(decks.add(SECOND, CHUNKS), decks.add(twin, CHUNKS), return_exceptions=True)
    assert sorted(type(each) for each in outcomes if each is not None) == [DeckMoved]
    assert len(await decks.versions("acme")) == 2


async def test_each_version_advances_that_of_the_definitions_and_reading_does_not(decks):
    before = await decks.version()
    await decks.add(FIRST, CHUNKS)
    await decks.versions("acme")
    assert await decks.version() == before + 1


async def test_the_version_of_the_definitions_is_advanced_beyond_one_that_was_lost_and_never_back(decks):
    before = await decks.version()
    await decks.advance_beyond(before + 7)
    beyond = await decks.version()
    assert beyond > before + 7
    await decks.advance_beyond(before)
    assert await decks.version() > beyond


async def test_a_failure_in_the_middle_leaves_nothing(decks):
    def broken():
        yield CHUNKS[0]
        raise OSError("the disk is gone")

    with pytest.raises(Exception, match="disk"):
        await decks.add(FIRST, broken())
    assert await decks.versions("acme") == []
    await decks.add(FIRST, CHUNKS)
    assert await rows(decks) == "".join(TEXTS)


async def test_a_name_that_fits_no_column_is_refused(decks):
    with pytest.raises(ContentRefused):
        await decks.add(msgspec.structs.replace(FIRST, rate_group="a" * 65), CHUNKS)
