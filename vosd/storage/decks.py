"""Decks of rates in MySQL and SQLite. There is no table of them yet, only the version of all definitions."""

from collections.abc import AsyncGenerator, Sequence

from vosd.catalogue.decks import DeckVersion
from vosd.storage.database import Database
from vosd.storage.definitions import version_in


class SqlDecks:
    """Implements ``vosd.catalogue.decks.DeckStore``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def version(self) -> int:
        """Return the version of all definitions in the database.

        Raises:
            StoreUnavailable: try again.
        """
        async with self._database.reading() as connection:
            return await version_in(connection)

    async def all_current(self) -> Sequence[DeckVersion]:
        """Return the current version of each deck: none."""
        return ()

    async def current(self, _group: str) -> DeckVersion | None:
        """Return that a group has no deck."""
        return None

    async def rows(self, version: DeckVersion) -> AsyncGenerator[bytes, None]:
        """Yield nothing: there are no rows."""
        if version.rows:
            raise LookupError(version.group)
        yield b""
