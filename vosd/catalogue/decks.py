"""Decks: tables of rates in the database, each for the rate group of its name that says ``deck: true`` (ADR 59).

``storage`` implements ``DeckStore``. It does not know what the rows mean: they are text as in a ``rates_file``.
"""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

import msgspec

from vosd.catalogue.problems import SourceLine


class DeckVersion(msgspec.Struct, frozen=True):
    """One version of a deck; its rows never change."""

    group: str
    """Name of the rate group, and of the deck."""
    number: int
    """1, 2, 3 … within the group."""
    digest: str
    """SHA-256 of the bytes of ``DeckStore.rows``, 64 hexadecimal digits: equal rows, equal digest."""
    rows: int


class DeckStore(Protocol):
    """The decks as the switch reads them; each method raises ``StoreUnavailable``: try again.

    Every change of what is current advances the version in the same transaction (``storage.definitions.advance``).
    """

    async def version(self) -> int:
        """Return the version of all definitions in the database, which every change of them changes."""

    async def all_current(self) -> Sequence[DeckVersion]:
        """Return the current version of each deck, by group."""

    def rows(self, version: DeckVersion) -> AsyncGenerator[bytes, None]:
        """Yield the rows of a version, also of one that is not current any more, in parts of any size.

        Together they are a CSV file as ``rates_file`` takes it: UTF-8, with a header; the same bytes every time.
        """


def place_of_deck(version: DeckVersion) -> SourceLine:
    """Return the place of a deck, for messages."""
    return SourceLine(f"deck {version.group} (version {version.number}) in the database", 0)
