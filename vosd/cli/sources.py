"""``vosd unblock``: sources that are locked out for wrong passwords or blocked for a flood."""

from ipaddress import IPv6Network, ip_address
from typing import Final

import click

from vosd.cli import output
from vosd.cli.command import Invocation, Verb, json_option, pass_invocation
from vosd.cli.office import in_office, outcome_of, principal
from vosd.control.peers import ListLockedOut, Unblock

_SITE: Final = "/64"


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

    host = _host_in(address)
    who, order = principal(), Unblock(host)
    outcome = outcome_of(in_office(invocation, lambda office: unblock_source(office, who, order), with_database=False))
    if as_json:
        output.document(outcome)
    else:
        output.line(f"{host} is unblocked")


def _host_in(text: str) -> str:
    """Return an address of the given source: one address, or the /64 of an IPv6 one."""
    try:
        if text.endswith(_SITE):
            return str(IPv6Network(text, strict=False).network_address)
        return str(ip_address(text.removeprefix("[").removesuffix("]")))
    except ValueError:
        expected = f"expected an IP address or an IPv6 network of {_SITE}, as --list shows them"
        raise click.BadParameter(f"{text!r}: {expected}", param_hint="ADDRESS") from None


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
