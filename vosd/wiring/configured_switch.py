"""A switch as its configuration file describes it: settings, definitions, database and control socket."""

import math
import os
from contextlib import AbstractContextManager, ExitStack
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from vosd.base.errors import VosError

if TYPE_CHECKING:
    from asyncio import Semaphore

    from vosd.config.assembly.rate_compilers import Progress
    from vosd.config.assembly.rate_tables import RateTables
    from vosd.config.excerpt import Excerpt
    from vosd.config.load import Loaded
    from vosd.config.reader.document import Section
    from vosd.config.reader.texts import Texts
    from vosd.config.stored import Stored, Wanted
    from vosd.control.client import RunningSwitch
    from vosd.engine.settings import Settings

Held = TypeVar("Held")
CONFIG_PLACES: Final = (Path("config/vosd.yaml"), Path("/etc/vosd/vosd.yaml"))
EXAMPLE: Final = Path(__file__).parents[1] / "_examples" / "vosd.yaml"
"""Path of the example in the wheel; in the source tree it is in the first of ``CONFIG_PLACES``."""


class NoConfigurationError(VosError):
    """No configuration file was named, and none is at the usual places."""


def _may_exist(place: Path) -> bool:
    return _is_hidden(place) or place.exists()


def _is_hidden(place: Path) -> bool:
    """Return whether this user may not look into the directory of a usual path."""
    directory = place.parent
    return os.path.isdir(directory) and not os.access(directory, os.X_OK, effective_ids=True)  # noqa: PTH112 - no error


@dataclass
class ConfiguredSwitch:
    """A configuration, and what it leads to; each part is read when it is asked for."""

    config: Path | None = None
    _excerpt: "Excerpt | None" = None
    _home: "ConfiguredSwitch | None" = None
    """The switch whose database and state directory are used; None = those that the file names."""
    _found: Path | None = None
    """The usual path that was found; ``config`` is what was named, and says so to others."""
    _held: ExitStack = field(default_factory=ExitStack)

    def remark(self, text: str) -> None:
        """Note something that is no error; a front without a place for it drops it."""

    def held(self, resource: AbstractContextManager[Held]) -> Held:
        """Enter a resource until ``close``."""
        return self._held.enter_context(resource)

    def close(self) -> None:
        """Leave what is held, by this object and by those of ``with_file``."""
        self._held.close()

    def progress(self) -> "Progress":
        """Return a function that shows how far the compilation of rates is."""
        return lambda _finished, _files, _rows: None

    def with_file(self, file: Path) -> "ConfiguredSwitch":
        """Return the same with another configuration file: its objects, and the database and state of this one."""
        switch = copy(self)  # not made anew: a command, which closes it, may be entered in one thread alone
        switch.config, switch._excerpt, switch._home = file, None, self
        return switch

    def config_path(self) -> Path:
        """Return the configuration file: the option, ``$VOSD_CONFIG``, or the first usual path that exists.

        Where both usual paths may exist, a remark says once which one is used: each has a database of its own.

        Raises:
            NoConfigurationError: there is none; the message lists the paths that were tried.
        """
        if self.config is not None:
            return self.config
        if named := os.environ.get("VOSD_CONFIG"):
            return Path(named)
        if self._found is not None:
            return self._found
        for number, place in enumerate(CONFIG_PLACES, 1):
            if os.path.exists(place):  # noqa: PTH110 - false, not an error, where the directory may not be entered
                self._found = place
                for other in filter(_may_exist, CONFIG_PLACES[number:]):
                    self.remark(f"the configuration is {place} of this directory, not {other}: -c FILE names another")
                return place
        if hidden := next((place.parent for place in CONFIG_PLACES if _is_hidden(place)), None):
            advice = "run this as root, or as the user of the switch (sudo -u vosd …)"
            raise NoConfigurationError(f"no configuration: this user may not look into {hidden}: {advice}")
        places = ", ".join(map(str, CONFIG_PLACES))
        example = f"; an example to start from is {EXAMPLE}" if EXAMPLE.exists() else ""
        raise NoConfigurationError(f"no configuration: none at {places}. Say -c FILE or set VOSD_CONFIG{example}.")

    @property
    def texts(self) -> "Texts | None":
        """Place of the files of YAML; None = they are read from the disk as they are."""
        return None

    def load(self, *, written_rates_win: bool = False) -> "Loaded":
        """Read the configuration; its problems are remarks. ``written_rates_win`` as in ``config.load``.

        Raises:
            ConfigError: with every problem.
        """
        from vosd.config.load import load

        loaded = load(
            self.config_path(), tables=self.tables, definitions=self.definitions, written_rates_win=written_rates_win
        )
        for problem in (*loaded.problems, *loaded.api_problems):
            self.remark(str(problem))
        return loaded

    def tables(self, state_dir: Path) -> "RateTables":
        """Return where rate files are compiled: among those of the switch, if this is its user."""
        from vosd.config.assembly.rate_tables import tables_for_reader
        from vosd.config.places import state_dir_found_from

        if self._home is not None:
            return self._home.tables(self._home.excerpt.state_dir)
        return tables_for_reader(state_dir_found_from(self.config_path(), state_dir), self.progress())

    def definitions(self, wanted: "Wanted") -> "Stored":
        """Return the definitions of the database; no switch needs to run.

        If the database cannot be read, those that the switch read last hold; a file that is not there yet is not read.
        """
        from vosd.config.kept import kept_definitions
        from vosd.config.places import database_found_from, is_database_there, state_dir_found_from

        if (home := self._home) is not None:
            excerpt = home.excerpt
            return home.definitions(wanted._replace(state_dir=excerpt.state_dir, database_url=excerpt.database_url))
        state_dir = state_dir_found_from(self.config_path(), wanted.state_dir)
        url = database_found_from(self.config_path(), wanted.state_dir, wanted.database_url)
        if not wanted.decks and not is_database_there(url):
            return kept_definitions(state_dir, wanted)
        from vosd.wiring.stored_definitions import read_definitions

        return read_definitions(wanted._replace(state_dir=state_dir, database_url=url), self.remark, self.held)

    def _has_objects(self, files: "Section") -> bool:
        """Return whether the database defines objects of the configuration, or it cannot be asked."""
        from vosd.config.places import STATE_DIR, database_file, database_found_from, is_database_there
        from vosd.config.reader.places_written import database_url_in, path_in

        written = database_url_in(files)
        if written is None:
            return False
        url = database_found_from(self.config_path(), path_in(files, "state_dir") or STATE_DIR, written)
        if not is_database_there(url):
            return True
        if (file := database_file(url)) is not None:
            from vosd.storage.objects_in_file import has_objects_in

            return has_objects_in(file)
        from vosd.wiring.database import has_objects

        return has_objects(url)

    @property
    def excerpt(self) -> "Excerpt":
        """The configuration, for use cases that need a part of it: only that part is read and validated."""
        from vosd.config.excerpt import Excerpt

        if self._excerpt is None:
            self._excerpt = Excerpt(
                self.config_path(), tables=self.tables, definitions=self.definitions, has_objects=self._has_objects
            )
        return self._excerpt

    @property
    def settings(self) -> "Settings":
        """The settings of the installation, with the paths of its database and state relative to the working directory.

        Raises:
            ConfigError: they are invalid.
        """
        from vosd.config.places import found_from

        return found_from(self.config_path(), self.excerpt.settings)

    @property
    def database_url(self) -> str:
        """The URL of the database, with a path relative to the working directory; no other setting is validated.

        Raises:
            ConfigError: it is invalid, or that of another database than the one on which the running switch works.
        """
        from vosd.config.places import database_found_from

        url = database_found_from(self.config_path(), self.excerpt.state_dir, self.excerpt.database_url)
        self._require_database_of_running(url)
        return url

    def _require_database_of_running(self, url: str) -> None:
        """Raise ConfigError where the running switch works on another database than that of a URL."""
        from vosd.config.places import place_of_database, recorded_in

        state_dir = self._state_dir_if_any()
        running = None if state_dir is None else recorded_in(state_dir)
        if state_dir is None or running is None or running.database in ("", place_of_database(url)):
            return
        from vosd.catalogue.problems import ConfigError, DefinitionProblem
        from vosd.config.places import holder_of
        from vosd.daemon.claim import goes_on

        if goes_on(state_dir) and holder_of(state_dir) is not None:
            expected = f"the database on which the running switch works ({running.database}) until vosd restart"
            raise ConfigError([DefinitionProblem("", 0, "database.url", None, expected)])

    @property
    def report_database(self) -> "tuple[str | None, int | None]":
        """The URL of the replica that reports are read from, and the longest time of one of their statements.

        None = there is none. Raises ConfigError as ``database_url`` does.
        """
        from vosd.config.places import database_found_from

        replica, seconds = self.excerpt.report_database
        if replica is not None:
            replica = database_found_from(self.config_path(), self.excerpt.state_dir, replica)
        return replica, seconds

    def running_switch(self, turns: "Semaphore | None" = None, until: float = math.inf) -> "RunningSwitch":
        """Return the running switch of the configuration; the file need not even be YAML for that.

        ``turns`` is what orders to it wait for (None = nothing), and ``until`` the time of the event loop after which
        none waits for its answer.
        """
        from vosd.config.control_socket import control_socket_of
        from vosd.config.places import socket_found_from
        from vosd.control.client import RunningSwitch

        if self._excerpt is None:
            place = control_socket_of(self.config_path(), remark=self.remark)
        else:  # use what was read already
            place = socket_found_from(self.config_path(), self._excerpt.state_dir, self._excerpt.control_socket)
        return RunningSwitch(place, turns=turns, until=until, starting=self._holder_of_state)

    def _state_dir_if_any(self) -> Path | None:
        """Return the state directory of the switch of the configuration, or where a new one would have it.

        None = the file is invalid, or leads to the switch of another one.
        """
        from vosd.catalogue.problems import ConfigError
        from vosd.config.places import OtherInstallationError, state_dir_found_from

        try:
            return state_dir_found_from(self.config_path(), self.excerpt.state_dir)
        except (ConfigError, OtherInstallationError):
            return None

    def was_used(self) -> bool:
        """Return whether a switch has worked on the database of the configuration."""
        from vosd.engine.booking.known_database import was_used

        state_dir = self._state_dir_if_any()
        return state_dir is not None and was_used(state_dir, self.excerpt.database_url)

    def _holder_of_state(self) -> int | None:
        """Return the pid of the process that has the state directory; None = there is none, or the file is invalid."""
        from vosd.config.places import holder_of

        state_dir = self._state_dir_if_any()
        return None if state_dir is None else holder_of(state_dir)
