"""``vosd spool``: call records that the database refused, and the files of the journal."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from vosd.cdr.columns import iso_utc, json_object
from vosd.cli import output
from vosd.cli.arguments import CallId
from vosd.cli.command import Family, Invocation, OperationError, json_option, json_verb
from vosd.cli.office import ordered, outcome_of
from vosd.cli.written_file import write_file

if TYPE_CHECKING:
    from vosd.admin.office.office import Done
    from vosd.control.money import BookingOutcome
    from vosd.engine.journal.quarantine import Refused

_LISTED: Final = ("refused_at", "call_id", "customer_account", "vendor_account", "started_at", "why")
_FILE: Final = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group(cls=Family)
def spool() -> None:
    """Call records that the database refused, and the files of the journal."""


@spool.command("list")
@json_verb
def list_refused(invocation: Invocation) -> None:
    """List the records that the database refused, with the reason."""
    from vosd.admin.office.spool import ListRefused, list_refused

    found = ordered(invocation, list_refused, ListRefused())
    rows = [_summary(each) for each in found.records]
    if not output.printed_as_json(rows):
        output.table(_LISTED, [[row[key] for key in _LISTED] for row in rows], empty="nothing was refused")
    for why in found.unreadable:
        output.remark(why)


@spool.command("show")
@click.argument("call_id", type=CallId())
@json_verb
def show(invocation: Invocation, call_id: str) -> None:
    """Show everything about a refused record."""
    from vosd.admin.office.spool import ShowRefused, show_refused

    shown = _whole(ordered(invocation, show_refused, ShowRefused(call_id)))
    if not output.printed_as_json(shown):
        output.sheet({key: value for key, value in shown.items() if key != "record"})
        output.line("")
        output.sheet(shown["record"])


@spool.command("retry")
@click.argument("call_ids", nargs=-1, type=CallId(), metavar="[CALL_ID]...")
@json_verb
def retry(invocation: Invocation, call_ids: Sequence[str]) -> None:
    """Book refused records again: those named, or all. Exit code 1 if the database refuses any."""
    from vosd.admin.office.spool import BookRefused, book_refused

    _report(ordered(invocation, book_refused, BookRefused(tuple(call_ids))))


@spool.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@json_verb
def export(invocation: Invocation, file: Path | None) -> None:
    """Write all refused records to FILE or standard output: a JSON array of records, reasons and postings."""
    from vosd.admin.office.spool import ListRefused, list_refused

    found = ordered(invocation, list_refused, ListRefused())
    _deliver([*map(_whole, found.records)], "records", file)
    for why in found.unreadable:
        output.remark(why)


@spool.command("check")
@click.argument("files", nargs=-1, required=True, type=_FILE, metavar="FILE...")
@json_option
def check(files: Sequence[Path]) -> None:
    """Read journal files and print what they contain; exit code 1 if a part is damaged."""
    from vosd.engine.journal.salvage import examine

    found = [_examined(examine, path) for path in files]
    if not output.printed_as_json(found):
        for each in found:
            counts = ", ".join(f"{count} {kind}" for kind, count in each.records.items() if count)
            output.line(f"{each.file}: {counts or 'no records'}; {each.damages or 'no'} damaged parts")
            for part in each.damaged:
                about = f", call {part.call_id}" if part.call_id else ""
                output.line(f"  at byte {part.at}: {part.fault}{about}")
    if any(each.damages for each in found):
        sys.exit(OperationError.exit_code)


@spool.command("salvage")
@click.argument("file", type=_FILE)
@click.option(
    "--output",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Default: standard output.",
)
@click.option("--book", is_flag=True, help="Book the records instead of writing them.")
@json_verb
def salvage(invocation: Invocation, file: Path, target: Path | None, book: bool) -> None:
    """Read the ended calls of a journal file, also of a damaged one; write them as a JSON array, or book them.

    Calls that are booked already are not booked again. A record that the database refuses goes to the quarantine.
    Exit code 1 if the file has no record that can be read.
    """
    from vosd.engine.journal.salvage import ended_in, has_records

    if book and target is not None:
        raise click.UsageError("--book or --output, not both")
    if not _examined(has_records, file):
        raise OperationError(f"{file} has no record that can be read: vosd spool check says what it holds")
    if book:
        _book(invocation, file)
    else:
        records = [_with_postings(record) for record in _examined(ended_in, file)]
        _deliver(records, "ended calls", target)


def _book(invocation: Invocation, file: Path) -> None:
    from vosd.admin.office.spool import BookJournalFile, book_journal_file

    booked = ordered(invocation, book_journal_file, BookJournalFile(str(file.absolute())))
    _report(booked)


def _examined(read: Any, path: Path) -> Any:
    try:
        return read(path)
    except OSError as error:
        raise OperationError(f"{path} cannot be read: {error.strerror or error}") from error


def _deliver(records: list[dict[str, Any]], what: str, file: Path | None) -> None:
    """Write a JSON array to a file, or print it if no file is given.

    Raises:
        OperationError: the file cannot be written.
    """
    import msgspec

    if file is None:
        output.document(records)
        return
    write_file(file, msgspec.json.encode(records) + b"\n")
    output.outcome({"file": str(file), "records": len(records)}, f"{len(records)} {what} written to {file}")


def _summary(refused: "Refused") -> dict[str, Any]:
    record = refused.record
    return {
        "call_id": record.call_id,
        "refused_at": iso_utc(refused.refused_at),
        "why": refused.why,
        "customer_account": record.customer_account,
        "vendor_account": record.vendor_account,
        "started_at": iso_utc(record.started_at),
        "ended_at": iso_utc(record.ended_at),
    }


def _whole(refused: "Refused") -> dict[str, Any]:
    return {
        "call_id": refused.record.call_id,
        "refused_at": iso_utc(refused.refused_at),
        "why": refused.why,
        "record": _with_postings(refused.record),
    }


def _with_postings(record: Any) -> dict[str, Any]:
    from vosd.base.money import format_amount

    postings = [
        {
            "account": each.account,
            "amount": format_amount(each.amount),
            "currency": each.currency,
            "reference": each.reference,
        }
        for each in record.postings
    ]
    return {**json_object(record, None), "postings": postings}


def _report(done: "Done[BookingOutcome]") -> None:
    outcome = outcome_of(done)
    booked, refused = outcome.booked, outcome.refused
    if not output.printed_as_json(outcome):
        for call_id, why in refused.items():
            output.line(f"{call_id}: {why}")
        output.line(f"{len(booked)} booked, {len(refused)} refused")
    if refused:
        sys.exit(OperationError.exit_code)
