"""``vosd unblock``: sources that are locked out for wrong passwords or blocked for a flood."""

import click

from vosd.cli import output
from vosd.cli.command import Invocation, Verb, json_option, pass_invocation
from vosd.cli.office import in_office, outcome_of, principal
from vosd.control.peers import ListLockedOut, Unblock


@click.command(cls=Verb)
@click.argument("address", required=False)
@click.option("--list", "lists", is_flag=True, help="List who is locked out instead.")
@json_option
@pass_invocation
def unblock(invocation: Invocation, /, address: str | None, lists: bool, as_json: bool) -> None:
    """Unblock ADDRESS, which was locked out or blocked for a flood; exit code 1 if it was not.

    Of IPv6 the /64 is locked out: give it, or any address of it.
    """
    if lists == (address is not None):
        raise click.UsageError("say either ADDRESS or --list")
    if address is None:
        _list(invocation, as_json)
        return
    from vosd.admin.office.alarms import unblock_source

    who, order = principal(), Unblock(address)
    outcome = outcome_of(in_office(invocation, lambda office: unblock_source(office, who, order), with_database=False))
    if as_json:
        output.document(outcome)
    else:
        output.line(f"{outcome.address} is unblocked")


def _list(invocation: Invocation, as_json: bool) -> None:
    from vosd.admin.office.alarms import list_locked_out

    who = principal()
    locked_out = in_office(
        invocation, lambda office: list_locked_out(office, who, ListLockedOut()), with_database=False
    )
    if as_json:
        output.document(locked_out)
        return
    rows = [(each.source, each.cause, f"{each.remaining_s} s", each.until, each.username or "-") for each in locked_out]
    output.table(("source", "cause", "remaining", "until", "user tried"), rows, empty="no source is locked out")
