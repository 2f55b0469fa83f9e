"""Common parts of all verbs: ``-c/--config`` anywhere on the line, ``--json``, and exit codes.

Exit codes: 0 success, 1 the operation failed, 2 wrong usage (click's own), 3 invalid configuration, 4 daemon not
reachable. An error that an operator can act on is one line or one list, never a traceback.
"""

import atexit
import errno
import gc
import importlib
import os
import re
import sys
import textwrap
import time
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import click

from vosd.base.errors import VosError
from vosd.wiring.configured_switch import ConfiguredSwitch, NoConfigurationError

if TYPE_CHECKING:
    from vosd.config.assembly.rate_compilers import Progress

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
class Invocation(ConfiguredSwitch):
    """Options of the command line before the verb."""

    def __post_init__(self) -> None:
        """Have what is held left when the command ends; it may be entered in any thread."""
        click.get_current_context().find_root().call_on_close(self._held.close)

    def remark(self, text: str) -> None:
        """Print to standard error."""
        click.echo(text, err=True)

    def progress(self) -> "Progress":
        """Return what prints how far the compilation of rates is, at most every two seconds."""
        return _progress_lines()


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
        type=click.Path(readable=False, path_type=Path),
        callback=_remember_config,
        expose_value=False,
        metavar="FILE",
        help="Configuration file; default $VOSD_CONFIG, config/vosd.yaml, /etc/vosd/vosd.yaml.",
    )


def json_option(command: Any) -> Any:
    """Add ``--json`` to a verb: one document on standard output, nothing else there (``output.printed_as_json``)."""
    text = "Print one JSON document."
    return click.option("--json", "as_json", is_flag=True, expose_value=False, callback=remember, help=text)(command)


def remember(ctx: click.Context, param: click.Parameter, value: object) -> None:
    """Keep the value of an option while the verb runs, in place of handing it to the verb."""
    ctx.meta[str(param.name)] = value


pass_invocation = click.make_pass_decorator(Invocation, ensure=True)


def json_verb(command: Any) -> Any:
    """Hand a verb its invocation, and add ``--json``."""
    return json_option(pass_invocation(command))


_CONFIRM: Final = ("--yes", "--force")
"""Options by which a verb that does not ask is confirmed."""


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
            message = self._in_its_words(str(error))
            if error.code == "order":  # by its code, for its module is seldom loaded
                raise click.UsageError(message) from error
            raise _as_exit(error, self._in_its_words) from error

    def _in_its_words(self, said: str) -> str:
        """Return a message with arguments and options in place of the fields that it names."""
        written = {each.name: each.human_readable_name for each in self.params if isinstance(each, click.Argument)}
        options = {each for param in self.params if isinstance(param, click.Option) for each in param.opts}
        confirm = next((each for each in _CONFIRM if each in options), None)

        def word(field: "re.Match[str]") -> str:
            option = confirm if field[1] == "confirm" else f"--{field[1].replace('_', '-')}"
            forms = option, (option or "").removesuffix("s")  # one that may be repeated is named for one value
            return written.get(field[1]) or next((each for each in forms if each in options), field[0])

        return re.sub("`([a-z_]+)`", word, said)


class Family(click.Group):
    """A group of verbs; ``-c/--config`` may also stand before the verb."""

    command_class = Verb

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(_config_option())


class VerbDirectory(Family):
    """The whole command line, from a table of verb to ``module:name``; a module is imported when needed."""

    def __init__(
        self,
        *args: Any,
        table: Mapping[str, str],
        summaries: Mapping[str, str],
        not_built: Set[str] = frozenset(),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._table = table
        self._summaries = summaries
        self._not_built = not_built

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """List the verbs in the order of the table: the most frequently used first."""
        return list(self._table)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        room = formatter.width - 6 - max(map(len, self._table))
        rows = [(verb, textwrap.shorten(self._summaries[verb], room, placeholder=" …")) for verb in self._table]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the verb; None if it does not exist.

        One of a capability that does not exist yet is wrong usage that says so.
        """
        if cmd_name in self._not_built:
            ctx.fail(f"vosd {cmd_name} is not built yet")
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
        _do_without_closed_streams()
        _print_any_letter()
        try:
            return super().invoke(ctx)
        except VosError as error:
            raise _as_exit(error, str) from error
        except OSError as error:
            if error.errno != errno.ENOSPC or error.filename is not None:
                raise
            raise _as_full_disk(error) from error


def _do_without_closed_streams() -> None:
    """Have an order done, and counted as done, whose standard output is closed: what it prints is lost.

    Standard error is left as none, to which nothing is written: the switch says in an alarm that it has no log.
    """
    if None in (sys.stdin, sys.stdout, sys.stderr):
        from vosd.processes.standard_streams import do_without_output

        do_without_output()


def _print_any_letter() -> None:
    """Have letters that the locale lacks printed by number: an error would come once the order is carried out.

    CSV and other documents are UTF-8 (``output.output_of_files``).
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _as_full_disk(error: OSError) -> OperationError:
    """Return the message of an error that does not say which file has no space: standard output, or another one."""
    try:
        click.echo()  # a flush finds nothing where the text was too long for the buffer
    except OSError as full:
        # What is left in the buffer would be written once more as the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return OperationError(f"standard output: {full.strerror}")
    return OperationError(f"a file that was to be written: {error.strerror}")


def _as_exit(error: VosError, in_its_words: Callable[[str], str]) -> click.ClickException:
    """Return how a command ends by an error, whose fields it has words for."""
    from vosd.catalogue.problems import ConfigError
    from vosd.cdr.ports import StoreUnavailable
    from vosd.control.client import DaemonUnreachableError

    said = in_its_words(str(error))
    if isinstance(error, ConfigError | NoConfigurationError):
        return BadConfigurationError(said)
    remedy = in_its_words(getattr(error, "remedy", ""))
    advice = "" if remedy in said else f"\n{remedy}"
    if isinstance(error, DaemonUnreachableError):
        return DaemonAwayError(said + advice)
    from vosd.cli.output import printable

    if isinstance(error, StoreUnavailable) and (invocation := click.get_current_context().find_object(Invocation)):
        said += f" (database.url of {invocation.config_path()})"
    said += advice
    return OperationError("\n".join(map(printable, said.split("\n"))))
