"""Questions before something that is hard to take back: at a terminal only, and ``--yes`` answers them."""

import sys
from typing import Any

import click


def yes_option(command: Any) -> Any:
    """Add ``--yes`` to a verb that asks."""
    return click.option("--yes", is_flag=True, help="Do not ask; programs say it.")(command)


def ask(question: str, *, yes: bool) -> None:
    """Ask whether to go on; ``yes`` is the answer that the command line gave.

    Raises:
        click.UsageError: it was not answered, and standard input is no terminal.
        click.Abort: the answer was no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} There is no terminal to ask at: say --yes if it is meant")
    click.confirm(question, abort=True, err=True)
