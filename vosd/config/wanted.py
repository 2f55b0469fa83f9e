"""Questions of a load to the database: first the objects that it defines, then the rows of the decks they name."""

from collections.abc import Callable, Iterable, Mapping, Set
from pathlib import Path

from vosd.catalogue.decks import DATABASE
from vosd.catalogue.problems import Problem
from vosd.catalogue.source import CatalogueSource
from vosd.config.assembly.decks import names_of_decks, naming_decks
from vosd.config.kept import Stored, Wanted
from vosd.config.places import DATABASE_URL, STATE_DIR
from vosd.config.reader.document import Section
from vosd.config.reader.places_written import database_url_in, path_in
from vosd.config.stored_text import file_of, naming_objects


def wanted_of(document: Section, decks: Set[str] = frozenset()) -> Wanted:
    """Return where the database and the state directory are, as the files say it before they are validated.

    ``decks`` are the rate groups that take their rates from one.
    """
    url = database_url_in(document) or DATABASE_URL
    return Wanted(path_in(document, "state_dir") or STATE_DIR, url, frozenset(decks))


class Asked:
    """Answers of the database to one load."""

    def __init__(self, definitions: Callable[[Wanted], Stored], config: Path) -> None:
        """``definitions`` asks the database; ``config`` is the main file."""
        self._definitions = definitions
        self._config = config
        self.stored = Stored(CatalogueSource(DATABASE))
        self._texts: Mapping[Path, str] = {}

    def objects(self, files: Section) -> Mapping[Path, str]:
        """Return the texts with the objects, by what messages call them; ``files`` is the document without them."""
        self.stored = self._definitions(wanted_of(files))
        self._texts = {file_of(kind, self._config): text for kind, text in self.stored.objects.items()}
        return self._texts

    def rows(self, document: Section, decks: Set[str]) -> None:
        """Ask for the rows of decks too."""
        if decks:
            first = self.stored
            # Of the two answers the first version counts: what has changed in between is read again.
            self.stored = self._definitions(wanted_of(document, decks))._replace(
                version=first.version,
                objects=first.objects,
                digests=first.digests,
                at=first.at,
                next_at=first.next_at,
            )

    def naming(self, found: Iterable[Problem]) -> tuple[Problem, ...]:
        """Return problems that name decks and objects instead of the texts that hold them."""
        return naming_objects(naming_decks(found, names_of_decks(self.stored.decks, self.stored.files)), self._texts)
