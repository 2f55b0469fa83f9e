"""``vosd blacklist``: callers that the running switch refuses for what they did."""

import asyncio
from typing import Final

import click

from vosd.cli import output
from vosd.cli.command import Family, Invocation, OperationError, json_option, pass_invocation
from vosd.control.peers import ClearBlacklist, ListBlacklist

_COLUMNS: Final = ("caller", "mapping_gateway", "cause", "limit", "since", "until", "remaining_s")
_NUMBER_CHARACTERS_MAX: Final = 128


@click.group(cls=Family)
def blacklist() -> None:
    """Callers that are refused because they exceeded a limit of ``dynamic_blacklist``."""


@blacklist.command("list")
@json_option
@pass_invocation
def list_callers(invocation: Invocation, as_json: bool) -> None:
    """List the callers on the list, the one that was put there first at the top."""
    rows = asyncio.run(invocation.running_switch().ask(ListBlacklist()))
    if as_json:
        output.document(rows)
    else:
        output.records(_COLUMNS, rows, empty="no caller is on the list")


@blacklist.command("clear")
@click.argument("number", required=False)
@json_option
@pass_invocation
def clear(invocation: Invocation, /, number: str | None, as_json: bool) -> None:
    """Take NUMBER off the list, or all callers; exit code 1 if NUMBER is not on it.

    A leading + makes no difference.
    """
    if number is not None and not (
        number.strip("+ ") and number.isprintable() and len(number) <= _NUMBER_CHARACTERS_MAX
    ):
        raise click.BadParameter(f"{number!r}: expected a calling number as the list shows it", param_hint="NUMBER")
    answer = asyncio.run(invocation.running_switch().ask(ClearBlacklist(number)))
    if number is not None and not answer.cleared:
        message = f"{number} is not on the list; vosd blacklist list shows who is"
        raise OperationError(message)
    if as_json:
        output.document(answer)
    else:
        output.line(f"{answer.cleared} taken off the list")


def _is_number(text: str) -> bool:
    return bool(text.strip("+ ")) and text.isprintable() and len(text) <= _NUMBER_CHARACTERS_MAX
