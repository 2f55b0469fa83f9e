"""Common parts of all verbs: ``-c/--config`` anywhere on the line, ``--json``, and exit codes.

Exit codes: 0 success, 1 the operation failed, 2 wrong usage (click's own), 3 invalid configuration, 4 daemon not
reachable. An error that an operator can act on is one line or one list, never a traceback.
"""

import atexit
import gc
import importlib
import os
import re
import textwrap
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import click

from vosd.base.errors import VosError

if TYPE_CHECKING:
    from vosd.config.assembly.rate_compilers import Progress
    from vosd.config.assembly.rate_tables import RateTables
    from vosd.config.excerpt import Excerpt
    from vosd.config.load import Loaded
    from vosd.config.reader.document import Section
    from vosd.config.stored import Stored, Wanted
    from vosd.control.client import RunningSwitch
    from vosd.engine.settings import Settings

CONFIG_PLACES: Final = (Path("config/vosd.yaml"), Path("/etc/vosd/vosd.yaml"))
EXAMPLE: Final = Path(__file__).parents[1] / "_examples" / "vosd.yaml"
"""Path of the example in the wheel; in the source tree it is in the first of ``CONFIG_PLACES``."""


GC_THRESHOLDS: Final = (50_000, 20, 100)
"""Modules are no garbage: to look through them while they are imported takes a fifth of most commands."""
PROGRESS_S: Final = 2.0
"""Seconds between two messages of progress."""


class OperationError(click.ClickException):
    """The operation failed: exit code 1."""

    exit_code = 1


class BadConfigurationError(click.ClickException):
    """The configuration is invalid: exit code 3; the message is a sentence or the list of problems."""

    exit_code = 3

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message without prefix, so that every line of a list begins with its file and line."""
        click.echo(self.message, file=file, err=file is None)


class DaemonAwayError(click.ClickException):
    """The running switch cannot be reached: exit code 4."""

    exit_code = 4


@dataclass
class Invocation:
    """Options of the command line before the verb."""

    config: Path | None = None
    _excerpt: "Excerpt | None" = None

    def config_path(self) -> Path:
        """Return the configuration file: the option, ``$VOSD_CONFIG``, or the first usual path that exists.

        Raises:
            BadConfigurationError: there is none; the message lists the paths that were tried.
        """
        if self.config is not None:
            return self.config
        if named := os.environ.get("VOSD_CONFIG"):
            return Path(named)
        for place in CONFIG_PLACES:
            if os.path.exists(place):  # noqa: PTH110 - false, not an error, where the directory may not be entered
                return place
        places = ", ".join(map(str, CONFIG_PLACES))
        example = f"; an example to start from is {EXAMPLE}" if EXAMPLE.exists() else ""
        message = f"no configuration: none at {places}. Say -c FILE or set VOSD_CONFIG{example}."
        raise BadConfigurationError(message)

    def load(self) -> "Loaded":
        """Read the configuration; warnings go to standard error.

        Raises:
            ConfigError: with every problem.
        """
        from vosd.config.load import load

        loaded = load(self.config_path(), tables=self.tables, definitions=self.definitions)
        for problem in loaded.problems:
            click.echo(problem, err=True)
        return loaded

    def tables(self, state_dir: Path) -> "RateTables":
        """Return where rate files are compiled: among those of the switch, if this is its user."""
        from vosd.config.assembly.rate_tables import tables_for_reader
        from vosd.config.places import state_dir_found_from

        return tables_for_reader(state_dir_found_from(self.config_path(), state_dir), _progress_lines())

    def definitions(self, wanted: "Wanted") -> "Stored":
        """Return the definitions of the database; no switch needs to run.

        If the database cannot be read, those that the switch read last hold; a file that is not there yet is not read.
        """
        from vosd.config.kept import kept_definitions
        from vosd.config.places import database_found_from, is_database_there, state_dir_found_from

        state_dir = state_dir_found_from(self.config_path(), wanted.state_dir)
        url = database_found_from(self.config_path(), wanted.state_dir, wanted.database_url)
        if not wanted.decks and not is_database_there(url):
            return kept_definitions(state_dir, wanted)
        from vosd.cli.stored_definitions import read_definitions

        return read_definitions(wanted._replace(state_dir=state_dir, database_url=url))

    def _has_objects(self, files: "Section") -> bool:
        """Return whether the database defines objects of the configuration, or it cannot be asked."""
        from vosd.config.places import STATE_DIR, database_found_from, is_database_there
        from vosd.config.reader.places_written import database_url_in, path_in

        written = database_url_in(files)
        if written is None:
            return False
        url = database_found_from(self.config_path(), path_in(files, "state_dir") or STATE_DIR, written)
        if not is_database_there(url):
            return True
        from vosd.cli.database import has_objects

        return has_objects(url)

    @property
    def excerpt(self) -> "Excerpt":
        """The configuration, for verbs that need a part of it: only that part is read and validated."""
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
            ConfigError: it is invalid.
        """
        from vosd.config.places import database_found_from

        return database_found_from(self.config_path(), self.excerpt.state_dir, self.excerpt.database_url)

    def running_switch(self) -> "RunningSwitch":
        """Return the running switch of the configuration; of that only the path of the socket must be valid."""
        from vosd.config.control_socket import control_socket_of
        from vosd.config.places import socket_found_from
        from vosd.control.client import RunningSwitch

        if self._excerpt is None:
            place = control_socket_of(self.config_path())
        else:  # use what was read already
            place = socket_found_from(self.config_path(), self._excerpt.state_dir, self._excerpt.control_socket)
        return RunningSwitch(place)


def _progress_lines() -> "Progress":
    """Return what writes to standard error how far the compilation of rates is, at most every two seconds."""
    written_at = time.monotonic()

    def write(finished: int, files: int, rows: int) -> None:
        nonlocal written_at
        if time.monotonic() - written_at >= PROGRESS_S:
            written_at = time.monotonic()
            click.echo(f"compiling rates: {finished} of {files} files, {rows:,} rates", err=True)

    return write


def _remember_config(ctx: click.Context, _param: click.Parameter, value: Path | None) -> None:
    if value is not None:
        ctx.find_root().ensure_object(Invocation).config = value


def _config_option() -> click.Option:
    return click.Option(
        ["-c", "--config"],
        type=click.Path(path_type=Path),
        callback=_remember_config,
        expose_value=False,
        metavar="FILE",
        help="Configuration file; default $VOSD_CONFIG, config/vosd.yaml, /etc/vosd/vosd.yaml.",
    )


def json_option(command: Any) -> Any:
    """Add ``--json`` to a verb: one document on standard output, nothing else there."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


pass_invocation = click.make_pass_decorator(Invocation, ensure=True)


class Verb(click.Command):
    """A verb; accepts ``-c/--config``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(_config_option())

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; an order that makes no sense is wrong usage, and its fields are called as they are written."""
        try:
            return super().invoke(ctx)
        except VosError as error:
            if error.code != "order":  # by its code, for its module is seldom loaded
                raise
            written = {each.name: each.human_readable_name for each in self.params if isinstance(each, click.Argument)}
            message = re.sub("`([a-z_]+)`", lambda field: written.get(field[1]) or _option(field[1]), str(error))
            raise click.UsageError(message) from error


class Family(click.Group):
    """A group of verbs; ``-c/--config`` may also stand before the verb."""

    command_class = Verb

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(_config_option())


class Directory(Family):
    """The whole command line, from a table of verb to ``module:name``; a module is imported when needed."""

    def __init__(self, *args: Any, table: Mapping[str, str], summaries: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._table = table
        self._summaries = summaries

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """List the verbs in the order of the table: the most frequently used first."""
        return list(self._table)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        room = formatter.width - 6 - max(map(len, self._table))
        rows = [(verb, textwrap.shorten(self._summaries[verb], room, placeholder=" …")) for verb in self._table]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the verb; None if it does not exist."""
        place = self._table.get(cmd_name)
        if place is None:
            return None
        module, name = place.split(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command), place
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; convert expected errors to a message and an exit code."""
        gc.set_threshold(*GC_THRESHOLDS)
        atexit.register(gc.freeze)  # the interpreter looks for garbage as it ends
        try:
            return super().invoke(ctx)
        except VosError as error:
            raise _as_exit(error) from error


def _option(field: str) -> str:
    return f"--{field.replace('_', '-')}"


def _as_exit(error: VosError) -> click.ClickException:
    from vosd.catalogue.problems import ConfigError
    from vosd.control.client import DaemonUnreachableError

    if isinstance(error, ConfigError):
        return BadConfigurationError(str(error))
    if isinstance(error, DaemonUnreachableError):
        return DaemonAwayError(str(error))
    from vosd.cli.output import printable

    return OperationError("\n".join(map(printable, str(error).split("\n"))))
