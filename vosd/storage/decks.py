"""Decks of rates in MySQL and SQLite: a row for each version, and its rates as compressed text in a few rows.

A million rates are some fifty rows, written in one transaction with the version that needs them. What is written is
never changed.
"""

import zlib
from bisect import bisect_right
from collections.abc import AsyncGenerator, Collection, Iterable, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Select, func, insert, select
from sqlalchemy.engine import Row

from vosd.billing.deck_content import Chunk
from vosd.catalogue.decks import DeckVersion
from vosd.cdr.kinds import NAME_LENGTH
from vosd.storage import schema
from vosd.storage.audit import note
from vosd.storage.audit_line import AuditLine
from vosd.storage.database import SqlStore, repeated
from vosd.storage.deck_values import DeckMoved, StoredDeck, Way
from vosd.storage.definitions import advance, advance_beyond, version_in
from vosd.storage.driver_errors import AlreadyThere
from vosd.storage.types import descriptive, identifying

_deck: Final = schema.rate_deck
_chunk: Final = schema.rate_deck_chunk


class SqlDecks(SqlStore):
    """The decks as operators change them (``catalogue.decks.DeckStore`` for the switch). Nothing is ever deleted."""

    async def version(self) -> int:
        """Return the version of all definitions in the database."""
        async with self._database.reading() as connection:
            return await version_in(connection)

    async def advance_beyond(self, lost: int) -> None:
        """Advance the version of all definitions beyond one that the database has lost: everyone reads all anew."""
        async with self._database.writing() as connection:
            await advance_beyond(connection, lost)

    async def all_current(self) -> Sequence[DeckVersion]:
        """Return the current version of each deck, by group."""
        return [_as_switch_sees(deck) for deck in await self._select(_newest().order_by(_deck.c.rate_group))]

    async def rows(self, version: DeckVersion) -> AsyncGenerator[bytes, None]:
        """Yield the rows of a version in parts."""
        numbered = (_deck.c.rate_group == version.group) & (_deck.c.version == version.number)
        content = select(_deck.c.content).where(numbered).scalar_subquery()
        own = (_chunk.c.rate_group == version.group) & (_chunk.c.content == content)
        position = 0
        while True:
            query = select(_chunk.c.compressed).where(own, _chunk.c.position == position)
            compressed = await self._database.value(query)
            if compressed is None:
                return
            yield zlib.decompress(compressed)
            position += 1

    async def versions(self, rate_group: str) -> Sequence[StoredDeck]:
        """Return all versions of a deck, newest first."""
        return await self._select(
            select(_deck).where(_deck.c.rate_group == rate_group).order_by(_deck.c.version.desc())
        )

    async def chunks(self, deck: StoredDeck, prefixes: Collection[str] | None = None) -> Sequence[Chunk]:
        """Return the content of a version, or the first chunk and those that may have rates of ``prefixes``."""
        own = (_chunk.c.rate_group == deck.rate_group) & (_chunk.c.content == deck.content)
        query = select(_chunk.c.first_prefix, _chunk.c.compressed).where(own).order_by(_chunk.c.position)
        async with self._database.reading(unhurried=True) as connection:
            if prefixes is not None:
                heads = select(_chunk.c.first_prefix).where(own).order_by(_chunk.c.position)
                firsts = (await connection.execute(heads)).scalars().all()
                query = query.where(_chunk.c.position.in_(_positions(firsts, prefixes)))
            return [Chunk(row.first_prefix, row.compressed) for row in (await connection.execute(query)).all()]

    @repeated
    async def add(self, deck: StoredDeck, chunks: Iterable[Chunk], audit: AuditLine | None = None) -> None:
        """Put a version in force, with its content unless an earlier version has that already, and its audit line.

        ``chunks`` can be gone through again.

        Raises:
            DeckMoved: the version in force is not ``deck.replaced``.
            ContentRefused: a text is too long; nothing was changed.
        """
        newest = select(func.max(_deck.c.version)).where(_deck.c.rate_group == deck.rate_group)
        moved = DeckMoved(f"deck {deck.rate_group} was changed meanwhile, and nothing was imported: do the same again")
        try:
            async with self._database.writing(unhurried=True) as connection:
                if (await connection.execute(newest)).scalar() != deck.replaced:
                    raise moved
                await connection.execute(insert(_deck).values(_row_of(deck)))  # its key keeps a second writer out
                for position, chunk in enumerate(chunks):
                    await connection.execute(insert(_chunk).values(_chunk_row(deck, position, chunk)))
                await advance(connection)
                await note(connection, audit)
        except AlreadyThere as error:
            raise moved from error

    async def _select(self, query: Select[Any]) -> Sequence[StoredDeck]:
        return [*map(_deck_of, await self._database.rows(query))]


def _newest() -> Select[Any]:
    groups = select(_deck.c.rate_group, func.max(_deck.c.version).label("version")).group_by(_deck.c.rate_group)
    newest = groups.subquery()
    both = (newest.c.rate_group == _deck.c.rate_group) & (newest.c.version == _deck.c.version)
    return select(_deck).join(newest, both)


def _positions(firsts: Sequence[str], prefixes: Collection[str]) -> Collection[int]:
    """Return the chunks that may have rates of these prefixes, by the first prefix of each; the first one always."""
    found = {0}
    for prefix in prefixes:
        last = max(bisect_right(firsts, prefix) - 1, 0)
        found.add(last)
        while last and firsts[last] == prefix:  # the rates of one prefix may be in several chunks
            last -= 1
            found.add(last)
    return found


def _chunk_row(deck: StoredDeck, position: int, chunk: Chunk) -> dict[str, Any]:
    return {
        "rate_group": deck.rate_group,
        "content": deck.content,
        "position": position,
        "first_prefix": chunk.first_prefix,
        "compressed": chunk.compressed,
    }


def _row_of(deck: StoredDeck) -> dict[str, Any]:
    values = msgspec.structs.asdict(deck)
    return values | {
        "mode": values.pop("way").value,
        "rate_group": identifying(deck.rate_group, NAME_LENGTH),
        "operator": descriptive(deck.operator, NAME_LENGTH),
        "changes": msgspec.json.encode(deck.changes).decode(),
        "memo": None if deck.memo is None else descriptive(deck.memo, schema.MEMO_LENGTH),
    }


def _deck_of(row: Row[Any]) -> StoredDeck:
    values = dict(row._mapping)
    way, changes = Way(values.pop("mode")), msgspec.json.decode(values.pop("changes"), type=dict[str, int])
    return StoredDeck(**values, way=way, changes=changes)


def _as_switch_sees(deck: StoredDeck) -> DeckVersion:
    return DeckVersion(deck.rate_group, deck.version, deck.digest, deck.rates)
