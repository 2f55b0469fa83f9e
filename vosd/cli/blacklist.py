"""``vosd blacklist``: callers that the running switch refuses for what they did."""

from typing import Final

import click

from vosd.cli import output
from vosd.cli.command import Family, Invocation, json_option, pass_invocation
from vosd.cli.office import in_office, outcome_of, principal
from vosd.control.peers import ClearBlacklist, ListBlacklist

_COLUMNS: Final = ("caller", "mapping_gateway", "cause", "limit", "since", "until", "remaining_s")


@click.group(cls=Family)
def blacklist() -> None:
    """Callers that are refused because they exceeded a limit of ``dynamic_blacklist``."""


@blacklist.command("list")
@json_option
@pass_invocation
def list_callers(invocation: Invocation, as_json: bool) -> None:
    """List the callers on the list, the one that was put there first at the top."""
    from vosd.admin.office.alarms import list_blacklist

    who = principal()
    rows = in_office(invocation, lambda office: list_blacklist(office, who, ListBlacklist()), with_database=False)
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
    from vosd.admin.office.alarms import clear_blacklist

    who, order = principal(), ClearBlacklist(number)
    outcome = outcome_of(in_office(invocation, lambda office: clear_blacklist(office, who, order), with_database=False))
    if as_json:
        output.document(outcome)
    else:
        output.line(f"{outcome.cleared} taken off the list")
