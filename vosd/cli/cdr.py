"""``vosd cdr``: the calls that were, from the database."""

import asyncio
import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from vosd.base.cause import EndReason
from vosd.cdr.columns import KEYS, csv_row, json_object
from vosd.cli import output
from vosd.cli.arguments import MOMENT
from vosd.cli.command import Family, Invocation, OperationError, json_option, pass_invocation
from vosd.cli.later import not_built_yet
from vosd.cli.trace import CAPTURE, capture, ladder

if TYPE_CHECKING:
    from vosd.cdr.record import CallRecord
    from vosd.obs.traced import TracedCall
    from vosd.storage.ports import CallFilter, StoredCall

_SHOWN: Final = (
    "started_at", "mapping_gateway", "caller_in", "callee_in", "routing_gateway",
    "end_reason", "sip_code", "hold_time_s", "fee", "call_id",
)  # fmt: skip
"""What fits on a line for people; everything is in --json and --csv."""


@click.group(cls=Family)
def cdr() -> None:
    """Call detail records."""


cdr.add_command(not_built_yet("export"))


@cdr.command("list")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, metavar="N")
@click.option("--since", type=MOMENT, help="Calls whose INVITE came then or later.")
@click.option("--until", type=MOMENT, help="Calls whose INVITE came before.")
@click.option("--account", metavar="ID", help="The customer's or the vendor's.")
@click.option("--gateway", metavar="NAME", help="The mapping or the routing one.")
@click.option("--caller", metavar="NUMBER", help="Beginning of the calling number.")
@click.option("--callee", metavar="NUMBER", help="Beginning of the called number.")
@click.option("--reason", type=click.Choice([reason.text for reason in EndReason], case_sensitive=False), metavar="R")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a header.")
@json_option
@pass_invocation
def list_calls(
    invocation: Invocation, /, limit: int, as_csv: bool, as_json: bool, **criteria: str | int | None
) -> None:
    """List calls, newest first."""
    if as_csv and as_json:
        raise click.UsageError("--csv or --json, not both")
    from vosd.storage.ports import CallFilter

    calls = asyncio.run(_list(invocation, CallFilter(limit=limit, **criteria)))  # type: ignore[arg-type]
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(KEYS)
        writer.writerows(csv_row(call.record, call.export_seq) for call in calls)
        return
    objects = [json_object(call.record, call.export_seq) for call in calls]
    if as_json:
        output.document(objects)
    else:
        output.table(_SHOWN, [[call[key] for key in _SHOWN] for call in objects], empty="no calls")


async def _list(invocation: Invocation, wanted: "CallFilter") -> "list[StoredCall]":
    from vosd.cli.database import database_of
    from vosd.storage.queries import SqlQueries

    async with database_of(invocation.load().settings) as database:
        return list(await SqlQueries(database).calls(wanted))


@cdr.command("show")
@click.argument("call_id", type=click.UUID)
@click.option("--ladder", "as_ladder", is_flag=True, help="Draw what was said instead, if the switch still has it.")
@click.option("--pcap", type=CAPTURE, metavar="FILE", help="Write what was said to a capture for Wireshark.")
@json_option
@pass_invocation
def show(invocation: Invocation, call_id: object, as_ladder: bool, pcap: Path | None, as_json: bool) -> None:
    """Show everything that is known of one call.

    In ladder, capture and the messages of --ladder --json, digest credentials and media keys are blanked.
    """
    call = asyncio.run(_find(invocation, str(call_id)))
    if call is None:
        message = f"no call {call_id} in the database; a call is booked a moment after it ends"
        raise OperationError(message)
    shown = json_object(call.record, call.export_seq)
    if as_ladder or pcap is not None:
        traced = _traced(invocation, call.record)
        with capture(pcap) as file:
            file.add(traced.messages)
        if as_ladder and not as_json:
            ladder(traced)
            return
        if as_ladder:
            shown["messages"] = _messages(traced)
    if as_json:
        output.document(shown)
    else:
        _show_sheets(shown)


def _show_sheets(shown: dict[str, Any]) -> None:
    attempts, breakdown = shown.pop("attempts"), shown.pop("fee_breakdown")
    output.sheet(shown)
    output.line("")
    columns = ("gateway", "code", "ms", "pdd_ms", "reason")
    output.table(columns, [[attempt[key] for key in columns] for attempt in attempts], empty="no gateway was tried")
    parts = breakdown if isinstance(breakdown, dict) else {}
    said = {name: value for name, value in parts.items() if not isinstance(value, list)}
    if said:  # of a call whose peer vanished
        output.line("")
        output.sheet(said)
    for party, steps in parts.items():
        if party in said:
            continue
        output.line("")
        output.table((party, "figures"), output.figures(steps), empty="no steps")


def _traced(invocation: Invocation, record: "CallRecord") -> "TracedCall":
    from vosd.admin.tracing import messages_of, traced_call

    found = asyncio.run(messages_of(invocation.running_switch(), record))
    if found.left_out:
        output.remark(f"{found.left_out} later messages are left out: there is a bound to an answer")
    return traced_call(record, found.messages)


def _messages(call: "TracedCall") -> list[dict[str, Any]]:
    from vosd.admin.tracing import messages_json

    return messages_json(call.messages)


async def _find(invocation: Invocation, call_id: str) -> "StoredCall | None":
    from vosd.cli.database import database_of
    from vosd.storage.queries import SqlQueries

    async with database_of(invocation.load().settings) as database:
        return await SqlQueries(database).call(call_id)
