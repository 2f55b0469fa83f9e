"""Definitions in the database beside the files, as a load gets them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from vosd.catalogue.decks import DeckVersion
from vosd.catalogue.stored_objects import ObjectVersion


class Unkept:
    """Objects that differ from those on the disk."""

    def __init__(
        self, *, everything: bool = False, changes: Mapping[tuple[str, str], ObjectVersion] | None = None
    ) -> None:
        self.everything = everything
        """Whether nothing is known of those on the disk."""
        self.changes = dict(changes or {})

    def with_changes(self, changes: Iterable[ObjectVersion]) -> "Unkept":
        """Return what differs after changes."""
        by_name = {(each.kind, each.name): each for each in changes}
        return Unkept(everything=self.everything, changes={**self.changes, **by_name})


class Wanted(NamedTuple):
    """Decks and definitions that a load needs of the database."""

    state_dir: Path
    database_url: str
    decks: frozenset[str]
    """Names of the rate groups that take their rates from a deck."""
    known: "Stored | None" = None
    """Definitions that were read before: only what has changed since is read again, and where decks are wanted, only
    their rows."""


class LastChange(NamedTuple):
    """The last change of objects up to a version of all definitions: that of another database is another one."""

    version: int = 0
    """Version of all definitions that it made; 0 = there was no change."""
    made_at: int = 0
    """UTC milliseconds."""


class Stored(NamedTuple):
    """Definitions in the database."""

    version: int | None = None
    """None = it was not read."""
    decks: tuple[DeckVersion, ...] = ()
    files: Mapping[str, Path] = {}
    """The file with the rows of each deck that is wanted, by rate group."""
    unread: str | None = None
    """Why the database could not be read, and this is what was known last; None = it was read."""
    objects: Mapping[str, Mapping[str, ObjectVersion]] = {}
    """The objects in force, by kind and name."""
    changes: Sequence[ObjectVersion] | None = None
    """Differences from those that were known, ended ones included; None = nothing was known."""
    at: int = 0
    """The moment at which these objects were in force, UTC milliseconds."""
    next_at: int | None = None
    """Beginning of the next planned version of an object, UTC milliseconds."""
    unkept: Unkept | None = None
    """Objects that have to be kept; None = they are those that were."""
    last_change: LastChange | None = None
    """By which commands notice that the database was put back since; None = it was not asked for."""
    yields: bool = False
    """Whether an object yields to an equal one of the files, which are not the configuration of the installation."""

    @property
    def has_objects(self) -> bool:
        """Whether the database defines objects, or will."""
        return any(self.objects.values()) or self.next_at is not None


def nothing_stored(_wanted: Wanted) -> Stored:
    """Return that the database defines nothing."""
    return Stored()
