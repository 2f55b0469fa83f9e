"""``vosd audit``: who has changed what."""

from typing import Any

import click

from vosd.cli import output
from vosd.cli.arguments import MOMENT, Count
from vosd.cli.command import Invocation, Verb, json_verb
from vosd.cli.office import ordered


@click.command(cls=Verb)
@click.option("--limit", type=Count(1), default=100, show_default=True, metavar="N", help="The newest N.")
@click.option("--operator", metavar="NAME", help="By this person, or agent.")
@click.option("--subject", metavar="NAME", help="About this account or object.")
@click.option("--action", metavar="NAME", help="Orders of this kind, such as BookPayment.")
@click.option("--since", type=MOMENT, help="Lines from then on.")
@click.option("--until", type=MOMENT, help="Lines before.")
@json_verb
def audit(invocation: Invocation, /, operator: str | None, **wanted: Any) -> None:
    """List who has booked, confirmed or closed what, by which login, the newest first."""
    from vosd.admin.office.audit import ListAudit, list_audit

    found = ordered(invocation, list_audit, ListAudit(principal=operator, **wanted))
    output.records(("at", "principal", "login", "action", "subject"), found, empty="nothing was changed yet")
