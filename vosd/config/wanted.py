"""Questions of a load to the database: first the objects that it defines, then the rows of the decks they name."""

from collections.abc import Callable, Iterable, Set
from pathlib import Path

from vosd.catalogue.problems import DefinitionProblem
from vosd.config.assembly.decks import names_of_decks, naming_decks
from vosd.config.places import DATABASE_URL, STATE_DIR
from vosd.config.reader.document import Section
from vosd.config.reader.places_written import database_url_in, path_in
from vosd.config.stored import Stored, Wanted
from vosd.config.stored_text import naming_objects, without_equals


def wanted_of(document: Section, decks: Set[str] = frozenset()) -> Wanted:
    """Return where the database and the state directory are, as the files say it before they are validated.

    ``decks`` are the rate groups that take their rates from one.
    """
    url = database_url_in(document) or DATABASE_URL
    return Wanted(path_in(document, "state_dir") or STATE_DIR, url, frozenset(decks))


class Asked:
    """Answers of the database to one load."""

    def __init__(self, definitions: Callable[[Wanted], Stored], config: Path, known: Stored | None = None) -> None:
        """``definitions`` asks the database; ``config`` is the main file, ``known`` what the load before was given."""
        self._definitions = definitions
        self._config = config
        self._known = known
        self.stored = Stored()

    def objects(self, files: Section) -> Stored:
        """Return what the database defines, without the rows of decks; ``files`` is the document of the files."""
        self.stored = self._definitions(wanted_of(files)._replace(known=self._known))
        if self.stored.yields:
            self.stored = without_equals(self.stored, files)
        return self.stored

    def rows(self, document: Section, decks: Set[str]) -> None:
        """Ask for the rows of decks too: those of the versions that the database had, or those that were read last."""
        if decks:
            found = self._definitions(wanted_of(document, decks)._replace(known=self.stored))
            self.stored = self.stored._replace(files=found.files)
            if found.unread is not None:
                self.stored = self.stored._replace(version=found.version, decks=found.decks, unread=found.unread)

    def naming(self, found: Iterable[DefinitionProblem]) -> tuple[DefinitionProblem, ...]:
        """Return problems that name decks and objects instead of what they were read from."""
        return naming_objects(naming_decks(found, names_of_decks(self.stored.decks, self.stored.files)), self._config)
