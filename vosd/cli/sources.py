"""``vosd unblock``: sources that are locked out for wrong passwords or blocked for a flood."""

import click

from vosd.cli import output
from vosd.cli.command import Invocation, Verb, json_option, pass_invocation
from vosd.cli.office import in_office, principal, say_unaudited


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
    from vosd.admin.office.trunks import UnblockSource, unblock_source

    who, order = principal(), UnblockSource(address)
    done = in_office(invocation, lambda office: unblock_source(office, who, order), with_database=False)
    say_unaudited(done.unaudited)
    if as_json:
        output.document(done.outcome)
    else:
        output.line(f"{done.outcome.address} is unblocked")


def _list(invocation: Invocation, as_json: bool) -> None:
    from vosd.admin.office.trunks import ListRefusedSources, list_refused_sources

    who, order = principal(), ListRefusedSources()
    found = in_office(invocation, lambda office: list_refused_sources(office, who, order), with_database=False)
    if as_json:
        output.document(found)
        return
    rows = [(each.source, each.cause, f"{each.remaining_s} s", each.until, each.username or "-") for each in found]
    output.table(("source", "cause", "remaining", "until", "user tried"), rows, empty="no source is locked out")
