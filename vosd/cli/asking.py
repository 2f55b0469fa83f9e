"""Questions before something that is hard to take back: to people at a terminal; programs are not asked."""

import sys
from typing import Any

import click


def yes_option(command: Any) -> Any:
    """Add ``--yes`` to a verb that asks."""
    return click.option("--yes", is_flag=True, help="Do not ask.")(command)


def ask(question: str, *, yes: bool) -> None:
    """Ask at a terminal whether to go on; ``yes`` is the answer that the command line gave.

    Programs that book for years must not stop at a question that did not exist when they were written.

    Raises:
        click.Abort: the answer was no.
    """
    if not yes and sys.stdin.isatty():
        click.confirm(question, abort=True, err=True)
