"""``vosd trunk``: what a trunk would be sent."""

import click

from vosd.cli import output
from vosd.cli.arguments import TextFile
from vosd.cli.command import Family, Invocation, json_verb
from vosd.cli.office import ordered


@click.group(cls=Family)
def trunk() -> None:
    """Trunks: what one would be sent for a message, and by which rule."""


@trunk.command()
@click.option("--gateway", required=True, metavar="NAME", help="A routing gateway; for a response a mapping gateway.")
@click.option("--message", required=True, type=TextFile(), metavar="FILE", help="An INVITE, or a response.")
@click.option("--from", "source", metavar="NAME", help="Mapping gateway that the INVITE came from.")
@json_verb
def explain(invocation: Invocation, gateway: str, message: str, source: str | None) -> None:
    """Show the message that would leave for the one in FILE, and the rules that change its headers; nothing is sent."""
    from vosd.admin.office.trunks import ExplainTrunk, explain_trunk

    order = ExplainTrunk(gateway=gateway, message=message, source=source)
    found = ordered(invocation, explain_trunk, order)
    if output.printed_as_json(found):
        return
    click.echo(found.message.replace("\r\n", "\n").rstrip("\n"))
    for each in found.rules:
        output.remark(f"{each.rule}: {each.line}")
