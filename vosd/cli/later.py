"""Verbs that are not implemented yet: they exist, print a message, and fail (exit code 1)."""

from typing import Any

import click

from vosd.cli.command import OperationError, Verb


def not_built_yet(name: str) -> Verb:
    """Return a verb that accepts any arguments and prints that it is not built yet."""

    @click.pass_context
    def fail_not_built(ctx: click.Context, /, **_: Any) -> None:
        message = f"{ctx.command_path} is not built yet"
        raise OperationError(message)

    return Verb(
        name,
        callback=fail_not_built,
        params=[click.Argument(["words"], nargs=-1, type=click.UNPROCESSED)],
        help="Not built yet.",
        context_settings={"ignore_unknown_options": True},
        add_help_option=True,
    )


report = not_built_yet("report")
