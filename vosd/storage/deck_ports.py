"""Port of the stored decks for operators: a protocol and its values; the switch's own is in ``catalogue.decks``."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import Enum
from typing import Protocol

import msgspec

from vosd.base.errors import VosError
from vosd.billing.deck_content import Chunk
from vosd.catalogue.decks import DeckStore
from vosd.storage.audit_line import AuditLine


class Way(Enum):
    """Origin of a version; the value is stored."""

    FULL = "full"
    DELTA = "delta"
    ROLLBACK = "rollback"


class DeckMoved(VosError):  # noqa: N818 - states what was found
    """Another version was made meanwhile, so what was compared is not in force any more; nothing was changed."""


class StoredDeck(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a deck and how it was made; times are UTC milliseconds."""

    rate_group: str
    version: int
    """1, 2, 3 …; the highest is in force."""
    content: int
    """The version that brought these rates: itself, or an earlier one that a rollback has put in force again."""
    replaced: int | None
    made_at: int
    operator: str
    way: Way
    effective: int | None
    """From when prefixes have ended that were no longer there; None = at once."""
    rates: int
    digest: str
    """SHA-256 of its content."""
    changes: Mapping[str, int]
    """Prefixes by kind of change."""
    memo: str | None
    layout: str | None = None
    """The map by which its sheet was read, as text; None = it had our names."""


class OperatorDecks(DeckStore, Protocol):
    """The decks as operators change them. Nothing is ever deleted."""

    async def versions(self, rate_group: str) -> Sequence[StoredDeck]:
        """Return all versions of a deck, newest first.

        Raises:
            StoreUnavailable: try again.
        """
        ...

    async def chunks(self, deck: StoredDeck, prefixes: Collection[str] | None = None) -> Sequence[Chunk]:
        """Return the content of a version in order.

        ``prefixes``: only the first chunk, and those that may have rates of these prefixes.

        Raises:
            StoreUnavailable: try again.
        """
        ...

    async def add(self, deck: StoredDeck, chunks: Iterable[Chunk], audit: AuditLine | None = None) -> None:
        """Put a version in force, with its content unless an earlier version has that already, and its audit line.

        Raises:
            DeckMoved: the version in force is not ``deck.replaced``.
            ContentRefused: a text is too long; nothing was changed.
            StoreUnavailable: probably nothing was changed.
        """
        ...
