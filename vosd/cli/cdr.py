"""``vosd cdr``: calls from the database; ``show`` also draws a running one."""

from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from vosd.cdr.columns import ATTEMPT_KEYS, CHARGE_KEYS, KEYS, KEYS_FOR_AGENTS, charge_object, json_object
from vosd.cli import output
from vosd.cli.arguments import ANSWERED, CALL_ID, MOMENT, REASON, Count, acts_as_agent, as_option
from vosd.cli.call_listing import CsvForm, JsonForm, TableForm
from vosd.cli.command import Family, Invocation, OperationError, Verb, json_verb
from vosd.cli.corrections import correct, corrections
from vosd.cli.csv_form import csv_option, csv_writer
from vosd.cli.office import ordered, outcome_of, principal
from vosd.cli.trace import CAPTURE, capture, ladder
from vosd.processes import loops
from vosd.wiring.office import office_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from vosd.admin.export_files import ExportManifest
    from vosd.admin.office.records import RecordSheet
    from vosd.cdr.record import CallRecord


_TABLES: Final = ("candidates", "left", "is_kept", "more_left", "chosen")
_NOT_KEPT: Final = "of answered calls only some keep why gateways were left out: routing.verdicts_one_in says how many"


_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_DIRECTORY: Final = click.Path(file_okay=False, path_type=Path)


@click.command("export", cls=Verb)
@click.option("--after", type=Count(0), metavar="SEQ", help="Calls booked after that export_seq; default 0, all.")
@click.option(
    "--profile", "profile_file", type=_FILE, metavar="FILE", help="Columns and format (docs/operations/exports.md)."
)
@click.option("--out", type=_DIRECTORY, metavar="DIR", help="Write files there, each call once; go on at the next run.")
@json_verb
def export(invocation: Invocation, /, after: int | None, profile_file: Path | None, out: Path | None) -> None:
    """Write calls in the order in which they were booked, each after the ones before it.

    Without --out they are printed. With --out each run writes what was booked since the run before to new files, each
    with a manifest; --after says where the first run begins. A call that is corrected afterwards comes again.
    """
    from vosd.admin.office.export import WriteExport, write_export

    profile = None if profile_file is None else str(profile_file)
    if out is None:
        loops.run(_print_calls(invocation, after or 0, profile))
        return
    order = WriteExport(out=str(out), after=after, profile=profile)
    with _said_of(out):
        written = outcome_of(ordered(invocation, write_export, order))
    if after is not None and written.goes_on:
        output.remark(f"{out} goes on where its last run ended: --after {after} is for the first run only")
    if not output.printed_as_json(written.files):
        _print_files(written.files)


@contextmanager
def _said_of(out: Path) -> "Iterator[None]":
    """Say of an error of the disk where the next run goes on."""
    try:
        yield
    except OSError as error:
        advice = "the next run goes on where this one ended"
        if isinstance(error, PermissionError):
            advice = f"give all of {out} to the user that exports (chown -R)"
        raise OperationError(f"{error.filename or out} cannot be written: {error.strerror}; {advice}") from error


def _print_files(files: "Iterable[ExportManifest]") -> None:
    rows = [[each.file, each.first, each.last, each.rows, each.corrected_rows] for each in files]
    output.table(("file", "first", "last", "calls", "corrected"), rows, empty="nothing new")


async def _print_calls(invocation: Invocation, after: int, profile: str | None) -> None:
    from vosd.admin.office.export import ReadExport, read_export

    order, array = ReadExport(after=after, profile=profile, as_json=output.wants_json()), output.Documents()
    async with office_of(invocation) as office, aclosing(read_export(office, principal(), order)) as parts:
        async for part in parts:
            if not output.wants_json():
                output.output_of_files().write(part.decode())
                continue
            for line in part.splitlines():
                array.add(msgspec.Raw(line))
    if output.wants_json():
        array.close()


@click.group(cls=Family)
def cdr() -> None:
    """Call detail records."""


cdr.add_command(export)
cdr.add_command(correct)
cdr.add_command(corrections)


@cdr.command("list")
@click.option("--limit", type=Count(1), default=100, show_default=True, metavar="N", help="Most calls listed.")
@click.option("--since", type=MOMENT, help="Calls whose INVITE came then or later.")
@click.option("--until", type=MOMENT, help="Calls whose INVITE came before.")
@click.option("--ended-since", type=MOMENT, help="Calls that ended then or later, as the ledger dates them.")
@click.option("--ended-until", type=MOMENT, help="Calls that ended before.")
@click.option("--account", metavar="ID", help="The customer's or the vendor's.")
@click.option("--customer", metavar="ID", help="The customer's account.")
@click.option("--agent", metavar="ID", help="Calls that accounts directly below this agent pay for.")
@click.option("--all", is_flag=True, help="With --agent: those of accounts below its sub-agents, too.")
@click.option("--vendor", metavar="ID", help="The vendor's account.")
@click.option("--gateway", metavar="NAME", help="The mapping or the routing one.")
@click.option("--mapping-gateway", metavar="NAME", help="Gateway or phone of the caller.")
@click.option("--routing-gateway", metavar="NAME", help="Gateway or phone that was called last.")
@click.option("--area", metavar="NAME", help="Area of the customer's rate, else its prefix; say --since, too.")
@click.option("--rate-type", metavar="TYPE", help="Type of the customer's rate, or none; say --since, too.")
@click.option("--currency", metavar="CODES", help="Currency of the fee, or several (USD,none); say --since, too.")
@click.option("--vendor-currency", metavar="CODES", help="Likewise of the cost.")
@click.option("--caller", metavar="NUMBER", help="Beginning of the calling number.")
@click.option("--callee", metavar="NUMBER", help="Beginning of the called number.")
@click.option("--reason", type=REASON, metavar="R", help="Why the call ended, such as Busy.")
@click.option(
    "--sip-code",
    type=Count(0, 699),
    metavar="CODE",
    help="Final code as the caller saw it, 0 = none; say --since, too.",
)
@click.option("--hangup-source", type=click.Choice(["caller", "callee", "switch"]), help="Side that ended the call.")
@click.option("--answered/--unanswered", default=None, help=ANSWERED)
@click.option("--loss", is_flag=True, help="Calls that cost more than they were sold for; say --since, too.")
@click.option("--sip-call-id", metavar="ID", help="Call-ID of the caller's leg, or of the last vendor's.")
@click.option("--before", "after", type=CALL_ID, metavar="CALL_ID", help="Continue after this call: older calls only.")
@csv_option
@as_option
@json_verb
def list_calls(invocation: Invocation, /, as_csv: str | None, **criteria: Any) -> None:
    """List calls, newest first.

    On a terminal the columns that fit are shown, with the beginning of each call id, which other verbs accept.
    Longer listings: page by page with --before, or at once with --csv or --json and a high --limit. With --as the
    calls of the agent's account and of those below it, without the vendor's side.
    """
    if as_csv and output.wants_json():
        raise click.UsageError("--csv or --json, not both")
    keys = KEYS_FOR_AGENTS if acts_as_agent() else KEYS
    form = (
        CsvForm(keys, csv_writer(as_csv))
        if as_csv
        else JsonForm(keys)
        if output.wants_json()
        else TableForm(criteria["limit"], keys)
    )
    loops.run(_list(invocation, criteria, form))


async def _list(invocation: Invocation, criteria: dict[str, Any], form: CsvForm | JsonForm | TableForm) -> None:
    from vosd.admin.office.records import ListRecords, ShortenIds, list_records, shorten_ids

    who, order = principal(), ListRecords(**criteria)
    async with office_of(invocation) as office:
        async with aclosing(list_records(office, who, order)) as calls:
            async for call in calls:
                form.add(call)
        form.finish(await shorten_ids(office, who, ShortenIds(form.call_ids)) if form.call_ids else {})


@cdr.command("show")
@click.argument("call_id", type=CALL_ID)
@click.option("--ladder", "as_ladder", is_flag=True, help="Draw what was said instead, if the switch still has it.")
@click.option("--pcap", type=CAPTURE, metavar="FILE", help="Write what was said to a capture for Wireshark.")
@click.option("--why", "as_why", is_flag=True, help="Say why it went where it did, and which gateways were left out.")
@as_option
@json_verb
def show(invocation: Invocation, call_id: str, as_ladder: bool, pcap: Path | None, as_why: bool) -> None:
    """Show everything about one call; the first digits of CALL_ID are enough.

    In ladder, capture and the messages of --ladder --json, digest credentials and media keys are blanked. With
    --ladder or --pcap the call may still run. With --as the vendor's side is left out.
    """
    from vosd.admin.office.records import ExplainRecord, ShowRecord, explain_record, show_record

    wanted = [name for name, is_wanted in (("why", as_why), ("ladder", as_ladder), ("pcap", pcap)) if is_wanted]
    _check_forms(wanted)
    if as_ladder or pcap is not None:
        _draw(invocation, call_id, pcap, as_ladder=as_ladder)
    elif as_why:
        reasons = ordered(invocation, explain_record, ExplainRecord(call_id=call_id))
        _show_why(reasons)
    else:
        found = ordered(invocation, show_record, ShowRecord(call_id=call_id))
        _show_record(found, KEYS_FOR_AGENTS if acts_as_agent() else None)


def _check_forms(wanted: list[str]) -> None:
    """Check that the forms of one call go together, and that an agent asks for none."""
    from vosd.admin.office.principal import OrderError

    if wanted[:1] == ["why"] and len(wanted) > 1:
        raise click.UsageError("--why or --ladder with --pcap, not both")
    if acts_as_agent() and wanted:
        raise OrderError(wanted[0], "is not for agents")


def _draw(invocation: Invocation, call_id: str, pcap: Path | None, *, as_ladder: bool) -> None:
    """Draw what was said, or write it to a capture file; without a ladder the record is shown, too."""
    from vosd.admin.office.records import DrawRecord, draw_record
    from vosd.admin.tracing import call_json, messages_json

    drawn = outcome_of(ordered(invocation, draw_record, DrawRecord(call_id=call_id)))
    if drawn.left_out:
        output.remark(f"{drawn.left_out} later messages are left out: there is a bound to an answer")
    with capture(pcap) as file:
        file.add(drawn.traced.messages)
    if as_ladder and not output.wants_json():
        ladder(drawn.traced)
    elif drawn.sheet is not None:
        messages = messages_json(drawn.traced.messages) if as_ladder else None
        _show_record(drawn.sheet, None, messages)
    elif output.wants_json():
        output.document(call_json(drawn.traced))


def _show_record(
    found: "RecordSheet", keys: "Sequence[str] | None", messages: list[dict[str, Any]] | None = None
) -> None:
    """Print a record; ``keys`` of None: all, and for people the profit."""
    shown = json_object(found.record, found.export_seq)
    if keys is not None:
        shown = {key: shown[key] for key in keys}
    if messages is not None:
        shown["messages"] = messages
    if not output.printed_as_json(shown):
        _show_sheets(_with_profit(shown, found.record) if keys is None else shown)


def _with_profit(shown: dict[str, Any], record: "CallRecord") -> dict[str, Any]:
    """Return what is shown of a call with its profit behind its cost."""
    from vosd.base.money import format_amount
    from vosd.cdr.charges import profit_of

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


def _show_why(found: dict[str, Any]) -> None:
    """Print why a call went where it did."""
    if output.printed_as_json(found):
        return
    output.sheet({name: value for name, value in found.items() if name not in _TABLES and value is not None})
    if found["chosen"] is not None:
        output.line("")
        output.sheet({f"chosen: {name}": value for name, value in found["chosen"].items() if value is not None})
    output.line("")
    tried = [[*each.values()] for each in found["candidates"]]
    output.table(("routing_gateway", "position", "reason"), tried, empty="no gateway was tried")
    output.line("")
    left = [[*each.values()] for each in found["left"]]
    output.table(("left out", "reason"), left, empty="no gateway is noted as left out")
    if found["more_left"]:
        output.remark(f"{found['more_left']} more gateways were left out")
    if not found["is_kept"]:
        output.remark(_NOT_KEPT)


_SHOWN: Final = tuple(key for key in CHARGE_KEYS if key != "breakdown")
"""Columns of a charge in a table; its steps stand below."""


@cdr.command("charges")
@click.argument("call_id", type=CALL_ID)
@json_verb
def charges(invocation: Invocation, call_id: str) -> None:
    """Show what everyone pays or is paid for a call, with the steps; the first digits of CALL_ID are enough.

    Calls that leave ledger entries and no CDR have their charges, too.
    """
    from vosd.admin.office.records import ShowCharges, show_charges

    found = ordered(invocation, show_charges, ShowCharges(call_id))
    shown = [charge_object(each) for each in found]
    for each in shown:
        each["breakdown"] = _steps(each["breakdown"])
    if output.printed_as_json(shown):
        return
    charge_table(shown)
    for each in shown:
        if each["breakdown"]:
            output.line("")
            output.table((f"{each['role']} {each['account']}", "figures"), output.figures(each["breakdown"]), empty="")


def charge_table(rows: list[dict[str, Any]]) -> None:
    """Print charges, without their steps."""
    output.table(_SHOWN, [[row[key] for key in _SHOWN] for row in rows], empty="no charges")


def _steps(breakdown: Any) -> Any:
    return msgspec.json.decode(breakdown) if isinstance(breakdown, str) else breakdown
