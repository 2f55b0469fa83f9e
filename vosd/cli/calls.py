"""``vosd calls`` and ``vosd hangup``: the calls of the running switch."""

from collections.abc import Sequence
from typing import Any, Final

import click
import msgspec
from msgspec.structs import astuple, replace

from vosd.base.ids import all_shortened
from vosd.cli import output
from vosd.cli.arguments import CALL_ID, DURATION, Count, acts_as_agent, as_option
from vosd.cli.command import Invocation, Verb, json_verb
from vosd.cli.office import ordered, outcome_of
from vosd.cli.output import ScreenColumn
from vosd.cli.trace import ladder
from vosd.control.calls import CallSelection, CallSnapshot, LegRow

_ON_SCREEN: Final = {
    "call_id": ScreenColumn("id"),
    "state": ScreenColumn("state", rank=1),
    "mapping_gateway": ScreenColumn("from", narrowest=8),
    "caller": ScreenColumn("caller", narrowest=13),
    "callee": ScreenColumn("callee", narrowest=13),
    "routing_gateway": ScreenColumn("to", narrowest=8),
    "age_s": ScreenColumn("age s", rank=2, is_figure=True),
    "talk_s": ScreenColumn("talk s", is_figure=True),
}
"""The listing on a terminal: one line for each call."""


@click.command(cls=Verb)
@click.option(
    "--ladder", "ladder_of", type=CALL_ID, metavar="CALL_ID", help="Draw what was said in one of them so far."
)
@click.option("--account", metavar="ID", help="Calls of this customer or vendor account.")
@click.option("--agent", metavar="ID", help="Calls that accounts directly below this agent pay for.")
@click.option("--all", "is_whole", is_flag=True, help="With --agent: those of accounts below its sub-agents, too.")
@click.option("--gateway", metavar="NAME", help="Calls through this mapping or routing gateway.")
@click.option("--longer", "longer_ms", type=DURATION, metavar="30m", help="Calls that began longer ago.")
@json_verb
def calls(
    invocation: Invocation,
    /,
    ladder_of: str | None,
    account: str | None,
    agent: str | None,
    is_whole: bool,
    gateway: str | None,
    longer_ms: int | None,
) -> None:
    """List the running calls, oldest first; in ladders digest credentials and media keys are blanked."""
    if ladder_of is not None:
        _draw(invocation, ladder_of)
        return
    from vosd.admin.office.calls import ListRunningCalls, list_running_calls

    order = ListRunningCalls(account=account, agent=agent, all=is_whole, gateway=gateway, longer_ms=longer_ms)
    running = ordered(invocation, list_running_calls, order)
    if not output.printed_as_json(running):
        _print_running(running)


def _print_running(running: Sequence[CallSnapshot]) -> None:
    width = output.columns_of_screen()
    if width is None:
        every = [[*astuple(replace(call, rings_beside=" ".join(call.rings_beside)))] for call in running]
        output.table(CallSnapshot.__struct_fields__, every, empty="no calls")
        return
    ids = all_shortened([call.call_id for call in running])
    shown = [replace(call, call_id=short, routing_gateway=_to(call)) for call, short in zip(running, ids, strict=True)]
    rows = [[getattr(call, key) for key in _ON_SCREEN] for call in shown]
    output.listing([*_ON_SCREEN.values()], rows, width, empty="no calls")


def _to(call: CallSnapshot) -> str | None:
    """Return where a call goes, and how many telephones ring beside."""
    return f"{call.routing_gateway} +{len(call.rings_beside)}" if call.rings_beside else call.routing_gateway


def _draw(invocation: Invocation, call_id: str) -> None:
    from vosd.admin.office.calls import DrawRunningCall, draw_running_call
    from vosd.admin.tracing import call_json

    done = ordered(invocation, draw_running_call, DrawRunningCall(call_id))
    found = outcome_of(done)
    if not output.printed_as_json(call_json(found)):
        ladder(found)


@click.command("show", cls=Verb)
@click.argument("call_id", type=CALL_ID)
@as_option
@json_verb
def show_call(invocation: Invocation, /, call_id: str) -> None:
    """Show a call as it runs, with legs, timers, attempts and charges so far; one that is over as it is recorded."""
    from vosd.admin.office.records import ShowCall, show_call
    from vosd.cdr.columns import KEYS, KEYS_FOR_AGENTS

    found = ordered(invocation, show_call, ShowCall(call_id=call_id))
    document = found.document(KEYS_FOR_AGENTS if acts_as_agent() else KEYS)
    if not output.printed_as_json(document):
        _print_call(document)


def _print_call(document: dict[str, Any]) -> None:
    record, legs, call = document.pop("record"), document.pop("legs"), document.pop("call")
    if call is not None:
        shown = msgspec.to_builtins(call)
        output.sheet({**shown, "rings_beside": " ".join(shown["rings_beside"]), **document})
        output.line("")
        output.records(LegRow.__struct_fields__, legs, empty="no legs")
        output.line("")
    output.sheet(
        {key: value for key, value in record.items() if value is not None and not isinstance(value, list | dict)}
    )


@click.command(cls=Verb)
@click.argument("call_id", type=CALL_ID, required=False)
@click.option("--account", metavar="ID", help="Calls of this customer or vendor account.")
@click.option("--gateway", metavar="NAME", help="Calls through this mapping or routing gateway.")
@click.option("--prefix", metavar="DIGITS", help="Calls to numbers that begin so.")
@click.option("--older-than", "older_than_s", type=Count(0), metavar="SECONDS", help="Long calls.")
@click.option("--yes", is_flag=True, help="End them even where they are many.")
@json_verb
def hangup(invocation: Invocation, /, yes: bool, **selection: Any) -> None:
    """End calls: the one whose id is or begins with CALL_ID, or all that match every option given."""
    from vosd.admin.office.calls import HangUp, hang_up

    order = HangUp(CallSelection(**selection), ends_many=yes)
    outcome = outcome_of(ordered(invocation, hang_up, order))
    output.outcome(outcome, f"ended {outcome.ended} call{'' if outcome.ended == 1 else 's'}")
