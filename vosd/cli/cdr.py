"""``vosd cdr``: calls from the database; ``show`` also draws a running one."""

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from vosd.cdr.columns import ATTEMPT_KEYS, KEYS, json_object
from vosd.cdr.for_agents import KEYS_FOR_AGENTS, record_for_agent
from vosd.cli import output
from vosd.cli.acting import as_option, authority, refuse
from vosd.cli.arguments import CALL_ID, MOMENT, REASON
from vosd.cli.call_listing import CsvForm, Form, JsonForm, TableForm
from vosd.cli.cdr_export import export
from vosd.cli.charges import charge_table, charges
from vosd.cli.command import Family, Invocation, OperationError, json_option, pass_invocation
from vosd.cli.corrections import correct, corrections
from vosd.cli.csv_form import csv_option, csv_writer
from vosd.cli.trace import CAPTURE, capture, ladder
from vosd.cli.why import show_why

if TYPE_CHECKING:
    from vosd.billing.authority import Authority
    from vosd.cdr.record import CallRecord
    from vosd.obs.traced import TracedCall
    from vosd.storage.ports import Queries, StoredCall

_CANDIDATES_SHOWN: Final = 5


@click.group(cls=Family)
def cdr() -> None:
    """Call detail records."""


cdr.add_command(export)
cdr.add_command(charges)
cdr.add_command(correct)
cdr.add_command(corrections)


@cdr.command("list")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, metavar="N")
@click.option("--since", type=MOMENT, help="Calls whose INVITE came then or later.")
@click.option("--until", type=MOMENT, help="Calls whose INVITE came before.")
@click.option("--ended-since", type=MOMENT, help="Calls that ended then or later, as the ledger dates them.")
@click.option("--ended-until", type=MOMENT, help="Calls that ended before.")
@click.option("--account", metavar="ID", help="The customer's or the vendor's.")
@click.option("--gateway", metavar="NAME", help="The mapping or the routing one.")
@click.option("--caller", metavar="NUMBER", help="Beginning of the calling number.")
@click.option("--callee", metavar="NUMBER", help="Beginning of the called number.")
@click.option("--reason", type=REASON, metavar="R", help="Why the call ended, such as Busy.")
@click.option("--loss", is_flag=True, help="Calls that cost more than they were sold for; say --since, too.")
@click.option("--sip-call-id", metavar="ID", help="Call-ID of the caller's leg, or of the last vendor's.")
@click.option("--before", type=CALL_ID, metavar="CALL_ID", help="Continue after this call: older calls only.")
@csv_option
@as_option
@json_option
@pass_invocation
def list_calls(
    invocation: Invocation,
    /,
    as_csv: str | None,
    acting: str | None,
    as_json: bool,
    before: str | None,
    **criteria: str | int | bool | None,
) -> None:
    """List calls, newest first.

    On a terminal the columns that fit are shown, with the beginning of each call id, which other verbs accept.
    Longer listings: page by page with --before, or at once with --csv or --json and a high --limit. With --as the
    calls of the agent's account and of those below it, without the vendor's side.
    """
    if as_csv and as_json:
        raise click.UsageError("--csv or --json, not both")
    refuse(acting, gateway=criteria["gateway"], sip_call_id=criteria["sip_call_id"], loss=criteria["loss"])
    may = authority(invocation, acting)
    keys = KEYS if may is None else KEYS_FOR_AGENTS
    form = (
        CsvForm(keys, csv_writer(as_csv))
        if as_csv
        else JsonForm(keys)
        if as_json
        else TableForm(criteria["limit"], keys)
    )
    asyncio.run(_list(invocation, before, criteria, form, may))


async def _list(
    invocation: Invocation, before: str | None, criteria: dict[str, Any], form: Form, may: "Authority | None"
) -> None:
    """Print the calls that fit, as they are read from the database; ``may``: those that an agent sees.

    Raises:
        VosError: a name in the filter is unknown or not seen, or the database is away.
    """
    from dataclasses import replace

    from vosd.admin.names import check_names
    from vosd.cli.database import database_of
    from vosd.storage.books import SqlBooks
    from vosd.storage.ports import CallFilter
    from vosd.storage.queries import SqlQueries

    async with database_of(invocation.database_url) as database:
        queries = SqlQueries(database)
        position = None if before is None else (await _booked(queries, before, may)).position
        wanted = CallFilter(**criteria, before=position)
        if may is not None:
            if wanted.account is not None:
                may.require_visible(wanted.account)
            wanted = replace(wanted, customers=may.visible)
        is_empty = True
        async with aclosing(queries.stream(wanted)) as calls:
            async for call in calls:
                is_empty = False
                form.add(call if may is None else _seen(call, may))
        if is_empty and may is None:
            await check_names(wanted, invocation.excerpt, queries, SqlBooks(database))
        await form.finish(queries)


@cdr.command("show")
@click.argument("call_id", type=CALL_ID)
@click.option("--ladder", "as_ladder", is_flag=True, help="Draw what was said instead, if the switch still has it.")
@click.option("--pcap", type=CAPTURE, metavar="FILE", help="Write what was said to a capture for Wireshark.")
@click.option("--why", "as_why", is_flag=True, help="Say why it went where it did, and which gateways were left out.")
@as_option
@json_option
@pass_invocation
def show(
    invocation: Invocation,
    call_id: str,
    as_ladder: bool,
    pcap: Path | None,
    as_why: bool,
    acting: str | None,
    as_json: bool,
) -> None:
    """Show everything about one call; the first digits of CALL_ID are enough.

    In ladder, capture and the messages of --ladder --json, digest credentials and media keys are blanked. With
    --ladder or --pcap the call may still run. With --as the vendor's side is left out.
    """
    refuse(acting, ladder=as_ladder, pcap=pcap, why=as_why)
    if acting is not None:
        _show_to_agent(invocation, call_id, acting, as_json=as_json)
        return
    if as_why and (as_ladder or pcap is not None):
        raise click.UsageError("--why or --ladder with --pcap, not both")
    call = asyncio.run(_find(invocation, call_id))
    if call is not None and as_why:
        show_why(call.record, as_json=as_json)
        return
    if call is None:
        _show_running(invocation, call_id, pcap, as_ladder=as_ladder, as_json=as_json)
        return
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
        _show_sheets(_with_profit(shown, call.record))


def _show_to_agent(invocation: Invocation, call_id: str, acting: str, *, as_json: bool) -> None:
    may = authority(invocation, acting)
    call = asyncio.run(_find(invocation, call_id, may))
    if call is None:
        message = f"no call {call_id} of agent {acting} in the database; a call is booked a moment after it ends"
        raise OperationError(message)
    values = json_object(call.record, call.export_seq)
    shown = {key: values[key] for key in KEYS_FOR_AGENTS}
    if as_json:
        output.document(shown)
    else:
        _show_sheets(shown)


def _show_running(invocation: Invocation, call_id: str, pcap: Path | None, *, as_ladder: bool, as_json: bool) -> None:
    """Draw a call that is not booked yet.

    Raises:
        OperationError: the running switch does not have it either, or neither a ladder nor a capture is wanted.
    """
    from vosd.admin.tracing import call_json, running_call
    from vosd.control.client import NoDaemonError

    try:
        found = asyncio.run(running_call(invocation.running_switch(), call_id))
    except NoDaemonError:
        found = None
    if found is None:
        message = f"no call {call_id} in the database, and none runs; a call is booked a moment after it ends"
        raise OperationError(message)
    if not as_ladder and pcap is None:
        hint = "--ladder draws what was said so far, vosd calls lists it"
        message = f"call {found.call_id} still runs and has no CDR yet: {hint}"
        raise OperationError(message)
    with capture(pcap) as file:
        file.add(found.messages)
    if as_json:
        output.document(call_json(found))
    elif as_ladder:
        ladder(found)


def _with_profit(shown: dict[str, Any], record: "CallRecord") -> dict[str, Any]:
    """Return what is shown of a call with its profit behind its cost."""
    from vosd.base.money import format_amount
    from vosd.cdr.profit import profit_of

    found = profit_of(record)
    if found is None:
        return shown
    profit, currency = found
    lines: dict[str, Any] = {}
    for key, value in shown.items():
        lines[key] = value
        if key == "cost_tax":
            lines["profit"] = f"{format_amount(profit)} {currency or ''}".rstrip()
    return lines


def _show_sheets(shown: dict[str, Any]) -> None:
    attempts, paid, breakdown = (shown.pop(key, None) for key in ("attempts", "charges", "fee_breakdown"))
    shown.pop("verdicts", None)  # --why shows them
    output.sheet(shown)
    if attempts is not None:  # agents do not see them
        output.line("")
        output.table(ATTEMPT_KEYS, [[*attempt.values()] for attempt in attempts], empty="no gateway was tried")
    if paid:
        output.line("")
        charge_table(paid)
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


async def _find(invocation: Invocation, beginning: str, may: "Authority | None" = None) -> "StoredCall | None":
    from vosd.cli.database import database_of
    from vosd.storage.queries import SqlQueries

    async with database_of(invocation.database_url) as database:
        return await the_one(SqlQueries(database), beginning, may)


def _seen(call: "StoredCall", may: "Authority") -> "StoredCall":
    return call._replace(record=record_for_agent(call.record, may.visible))


async def _booked(queries: "Queries", beginning: str, may: "Authority | None") -> "StoredCall":
    call = await the_one(queries, beginning, may)
    if call is None:
        message = f"no call {beginning} in the database: say the id of a call that was listed"
        raise OperationError(message)
    return call


async def the_one(queries: "Queries", beginning: str, may: "Authority | None" = None) -> "StoredCall | None":
    """Return the call whose id begins with ``beginning``, or None; ``may``: of those that an agent sees, as it sees it.

    Raises:
        OperationError: several do; the message lists them.
    """
    found = await queries.calls_beginning(beginning, _CANDIDATES_SHOWN + 1)
    if may is not None:
        found = [_seen(call, may) for call in found if call.record.customer_account in may.visible]
    if len(found) <= 1:
        return found[0] if found else None
    listed = [
        f"  {call.record.call_id}  {output.printable(f'{call.record.caller_in} -> {call.record.callee_in}')}"
        for call in found[:_CANDIDATES_SHOWN]
    ]
    more = ["  ..."] if len(found) > _CANDIDATES_SHOWN else []
    message = "\n".join([f"several calls begin with {beginning}, say more of the id:", *listed, *more])
    raise OperationError(message)
