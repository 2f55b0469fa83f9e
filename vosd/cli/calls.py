"""``vosd calls`` and ``vosd hangup``: the calls of the running switch."""

import asyncio
from typing import Final

import click
import msgspec
from msgspec.structs import replace

from vosd.base.ids import all_shortened
from vosd.cli import output
from vosd.cli.arguments import CALL_ID, DURATION
from vosd.cli.command import Invocation, OperationError, Verb, json_option, pass_invocation
from vosd.cli.output import Column
from vosd.cli.trace import ladder
from vosd.control.calls import CallSelection, CallSnapshot, Hangup, ListCalls

_ON_SCREEN: Final = {
    "call_id": Column("id"),
    "state": Column("state", rank=1),
    "mapping_gateway": Column("from", narrowest=8),
    "caller": Column("caller", narrowest=13),
    "callee": Column("callee", narrowest=13),
    "routing_gateway": Column("to", narrowest=8),
    "age_s": Column("age s", rank=2, is_figure=True),
    "talk_s": Column("talk s", is_figure=True),
}
"""The listing on a terminal: one line for each call."""


@click.command(cls=Verb)
@click.option(
    "--ladder", "ladder_of", type=CALL_ID, metavar="CALL_ID", help="Draw what was said in one of them so far."
)
@click.option("--account", metavar="ID", help="Calls of this customer or vendor account.")
@click.option("--gateway", metavar="NAME", help="Calls through this mapping or routing gateway.")
@click.option("--longer", "longer_ms", type=DURATION, metavar="30m", help="Calls that began longer ago.")
@json_option
@pass_invocation
def calls(
    invocation: Invocation,
    /,
    ladder_of: str | None,
    account: str | None,
    gateway: str | None,
    longer_ms: int | None,
    as_json: bool,
) -> None:
    """List the running calls, oldest first; in ladders digest credentials and media keys are blanked."""
    if ladder_of is not None:
        _draw(invocation, ladder_of, as_json=as_json)
        return
    running = [
        call
        for call in asyncio.run(invocation.running_switch().ask(ListCalls()))
        if account in {None, call.customer_account, call.vendor_account}
        and gateway in {None, call.mapping_gateway, call.routing_gateway}
        and (longer_ms is None or 1_000 * call.age_s > longer_ms)
    ]
    if as_json:
        output.document(running)
        return
    width = output.columns_of_screen()
    if width is None:
        output.records(CallSnapshot.__struct_fields__, running, empty="no calls")
        return
    ids = all_shortened([call.call_id for call in running])
    shown = [replace(call, call_id=short) for call, short in zip(running, ids, strict=True)]
    rows = [[getattr(call, key) for key in _ON_SCREEN] for call in shown]
    output.listing([*_ON_SCREEN.values()], rows, width, empty="no calls")


def _draw(invocation: Invocation, call_id: str, *, as_json: bool) -> None:
    from vosd.admin.tracing import call_json, running_call

    found = asyncio.run(running_call(invocation.running_switch(), call_id))
    if found is None:
        message = f"call {call_id} does not run; vosd cdr show CALL_ID --ladder draws one that is over"
        raise OperationError(message)
    if as_json:
        output.document(call_json(found))
    else:
        ladder(found)


@click.command(cls=Verb)
@click.argument("call_id", type=CALL_ID, required=False)
@click.option("--account", metavar="ID", help="Calls of this customer or vendor account.")
@click.option("--gateway", metavar="NAME", help="Calls through this mapping or routing gateway.")
@click.option("--prefix", metavar="DIGITS", help="Calls to numbers that begin so.")
@click.option("--older-than", "older_than_s", type=click.IntRange(0), metavar="SECONDS", help="Long calls.")
@click.option("--yes", is_flag=True, help="End them even where they are many.")
@json_option
@pass_invocation
def hangup(invocation: Invocation, /, yes: bool, as_json: bool, **selection: str | int | None) -> None:
    """End calls: the one whose id is or begins with CALL_ID, or all that match every option given."""
    given = {name: value for name, value in selection.items() if value is not None}
    if not given:
        raise click.UsageError("say which calls: CALL_ID, --account, --gateway, --prefix or --older-than")
    if "" in given.values():  # an empty prefix would match every call
        raise click.UsageError("an empty value chooses no calls")
    names_one = "call_id" in given
    at_most = 1 if names_one or not yes else None
    order = Hangup(msgspec.convert(given, CallSelection), at_most)
    answer = asyncio.run(invocation.running_switch().ask(order))
    if answer.fitting > answer.ended and names_one:
        message = f"{answer.fitting} calls begin with {given['call_id']} and none was ended; say more of the id"
        raise OperationError(message)
    if answer.fitting > answer.ended:
        message = f"{answer.fitting} calls fit and none was ended; say --yes to end them all"
        raise OperationError(message)
    if not answer.ended and names_one:
        message = f"call {given['call_id']} is not running; vosd calls lists those that are"
        raise OperationError(message)
    if as_json:
        output.document(answer)
    else:
        output.line(f"ended {answer.ended} call{'' if answer.ended == 1 else 's'}")
