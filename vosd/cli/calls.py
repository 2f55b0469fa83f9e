"""``vosd calls`` and ``vosd hangup``: the calls of the running switch."""

import asyncio
from typing import Any

import click

from vosd.cli import output
from vosd.cli.command import Invocation, OperationError, Verb, json_option, pass_invocation


@click.command(cls=Verb)
@json_option
@pass_invocation
def calls(invocation: Invocation, as_json: bool) -> None:
    """List the running calls, the oldest first."""
    running: list[dict[str, Any]] = asyncio.run(invocation.running_switch().ask("calls"))
    if as_json:
        output.document(running)
        return
    columns = list(running[0]) if running else []
    output.table(columns, [list(call.values()) for call in running], empty="no calls")


@click.command(cls=Verb)
@click.argument("call_id", required=False)
@click.option("--account", metavar="ID", help="Calls of this customer or vendor account.")
@click.option("--gateway", metavar="NAME", help="Calls through this mapping or routing gateway.")
@click.option("--prefix", metavar="DIGITS", help="Calls to numbers that begin so.")
@click.option("--older-than", "older_than_s", type=click.IntRange(0), metavar="SECONDS", help="Long calls.")
@click.option("--yes", is_flag=True, help="End them even where they are many.")
@json_option
@pass_invocation
def hangup(invocation: Invocation, /, yes: bool, as_json: bool, **selection: str | int | None) -> None:
    """End calls: the one with CALL_ID, or all that fit every option given."""
    given = {name: value for name, value in selection.items() if value is not None}
    if not given:
        raise click.UsageError("say which calls: CALL_ID, --account, --gateway, --prefix or --older-than")
    if "" in given.values():  # an empty prefix would fit every call
        raise click.UsageError("an empty value chooses no calls")
    at_most = None if yes else 1
    answer = asyncio.run(invocation.running_switch().ask("hangup", selection=given, at_most=at_most))
    if answer["fitting"] > answer["ended"]:
        message = f"{answer['fitting']} calls fit and none was ended; say --yes to end them all"
        raise OperationError(message)
    if not answer["ended"] and "call_id" in given:
        message = f"call {given['call_id']} is not running; vosd calls lists those that are"
        raise OperationError(message)
    if as_json:
        output.document(answer)
    else:
        output.line(f"ended {answer['ended']} call{'' if answer['ended'] == 1 else 's'}")
