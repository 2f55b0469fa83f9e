"""``vosd events``: what happens at the running switch, as it happens."""

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import click

from vosd.cli import output
from vosd.cli.arguments import WholeNumber
from vosd.cli.command import Invocation, Verb, json_verb
from vosd.cli.office import principal
from vosd.processes import loops
from vosd.wiring.office import office_of

if TYPE_CHECKING:
    from vosd.admin.office.events import WatchEvents


@click.command(cls=Verb)
@click.option("--types", metavar="TYPES", help="Types or subjects, with commas: call.ended,balance.")
@click.option("--account", metavar="ACCOUNT", help="Events about this account alone.")
@click.option("--gateway", metavar="NAME", help="Events about this gateway or phone alone.")
@click.option(
    "--seconds", type=WholeNumber(1, 86_400), default=600, show_default=True, metavar="S", help="Then it is over."
)
@json_verb
def events(invocation: Invocation, types: str | None, account: str | None, gateway: str | None, seconds: int) -> None:
    """Print the live events of calls, gateways, alarms, balances, overrides and definitions; Ctrl-C ends it.

    With --json, each is one line of JSON.
    """
    from vosd.admin.office.events import WatchEvents

    order = WatchEvents(types=types, account=account, gateway=gateway, seconds=seconds)
    try:
        loops.run(_follow(invocation, order))
    except KeyboardInterrupt:
        output.remark("interrupted")


async def _follow(invocation: Invocation, order: "WatchEvents") -> None:
    from msgspec import to_builtins

    from vosd.admin.office.events import follow_events
    from vosd.control.events import document_of

    number = 0
    async with (
        office_of(invocation, with_database=False) as office,
        aclosing(follow_events(office, principal(), order)) as found,
    ):
        try:
            async with asyncio.timeout(order.seconds):
                async for event, seen in found:
                    number += 1
                    if output.wants_json():
                        output.line(document_of(event, str(number), seen).decode())
                        continue
                    named = to_builtins(event.data) if seen is None else seen
                    facts = " ".join(f"{name}={value}" for name, value in named.items() if value is not None)
                    output.line(f"{event.at}  {event.type.value:20} {facts}")
        except TimeoutError:
            output.remark(f"{number} events in {order.seconds} s")
