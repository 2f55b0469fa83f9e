"""Values of the stored decks as operators see them; the switch's own are in ``catalogue.decks``."""

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum

import msgspec

from vosd.base.errors import VosError


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
    """The version that brought these rates: itself, or an earlier one that a rollback has put in force again.

    A rollback to no rates is its own.
    """
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


def not_taken_back(versions: Iterable[StoredDeck]) -> Iterator[StoredDeck]:
    """Yield the versions of a deck that no rollback has taken back; given and returned newest first."""
    latest = None
    for deck in versions:
        if latest is None or deck.version <= latest:
            yield deck
            # a rollback that brought its content itself has taken all out that was before
            latest = 0 if deck.way is Way.ROLLBACK and deck.content == deck.version else deck.content
