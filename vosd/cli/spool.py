"""``vosd spool``: call records that the database refused, and the files of the journal."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from vosd.cdr.columns import iso_utc, json_object
from vosd.cli import output
from vosd.cli.arguments import CallId
from vosd.cli.command import Family, Invocation, OperationError, json_option, pass_invocation
from vosd.control.money import BookingOutcome, RetryRefused, SalvageJournal
from vosd.control.order import Order

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from vosd.engine.booking.spool import Spool
    from vosd.engine.journal.quarantine import Quarantine, Refused
    from vosd.engine.settings import Settings

BOOKING_S: Final = 600.0
"""Longest time for an order: there may be thousands of records. That the database is away is said in seconds."""
_LISTED: Final = ("refused_at", "call_id", "customer_account", "vendor_account", "started_at", "why")
_FILE: Final = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group(cls=Family)
def spool() -> None:
    """Call records that the database refused, and the files of the journal."""


@spool.command("list")
@json_option
@pass_invocation
def list_refused(invocation: Invocation, as_json: bool) -> None:
    """List the records that the database refused, with the reason."""
    content = _quarantine(invocation.settings).read()
    rows = [_summary(each) for each in content.records]
    if as_json:
        output.document(rows)
    else:
        output.table(_LISTED, [[row[key] for key in _LISTED] for row in rows], empty="nothing was refused")
    for each in content.unreadable:
        output.remark(f"{each.path} cannot be read: {each.why}")


@spool.command("show")
@click.argument("call_id", type=CallId())
@json_option
@pass_invocation
def show(invocation: Invocation, call_id: str, as_json: bool) -> None:
    """Show everything about a refused record."""
    quarantine = _quarantine(invocation.settings)
    refused = quarantine.get(_refused_id(quarantine, call_id))
    if refused is None:
        raise _not_refused(call_id)
    shown = _whole(refused)
    if as_json:
        output.document(shown)
    else:
        output.sheet({key: value for key, value in shown.items() if key != "record"})
        output.line("")
        output.sheet(shown["record"])


@spool.command("retry")
@click.argument("call_ids", nargs=-1, type=CallId(), metavar="[CALL_ID]...")
@json_option
@pass_invocation
def retry(invocation: Invocation, call_ids: Sequence[str], as_json: bool) -> None:
    """Book refused records again: those named, or all. Exit code 1 if the database refuses any."""
    quarantine = _quarantine(invocation.settings)
    wanted = [_refused_id(quarantine, call_id) for call_id in call_ids]
    asked = _ask_switch_or_do(invocation, RetryRefused(tuple(wanted)), lambda spool: spool.retry(wanted))
    _report(asyncio.run(asked), as_json)


@spool.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@json_option
@pass_invocation
def export(invocation: Invocation, file: Path | None, as_json: bool) -> None:
    """Write all refused records to FILE or standard output: a JSON array of records, reasons and postings."""
    whole = [_whole(each) for each in _quarantine(invocation.settings).read().records]
    _deliver(whole, "records", file, as_json=as_json)


@spool.command("check")
@click.argument("files", nargs=-1, required=True, type=_FILE, metavar="FILE...")
@json_option
def check(files: Sequence[Path], as_json: bool) -> None:
    """Read journal files and print what they contain; exit code 1 if a part is damaged."""
    from vosd.engine.journal.salvage import examine

    found = [_examined(examine, path) for path in files]
    if as_json:
        output.document(found)
    else:
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
@click.option("--output", "target", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@click.option("--book", is_flag=True, help="Book the records instead of writing them.")
@json_option
@pass_invocation
def salvage(invocation: Invocation, file: Path, target: Path | None, book: bool, as_json: bool) -> None:
    """Read the ended calls of a journal file, also of a damaged one; write them as a JSON array, or book them.

    Calls that are booked already are not booked again. A record that the database refuses goes to the quarantine.
    Exit code 1 if the file has no record that can be read.
    """
    from vosd.engine.journal.salvage import ended_in, has_records

    if book and target is not None:
        raise click.UsageError("--book or --output, not both")
    if not _examined(has_records, file):
        message = f"{file} has no record that can be read: vosd spool check says what it holds"
        raise OperationError(message)
    if book:
        path = file.absolute()
        asked = _ask_switch_or_do(invocation, SalvageJournal(str(path)), lambda spool: spool.salvage(path))
        _report(asyncio.run(asked), as_json)
        return
    records = [_with_postings(record) for record in _examined(ended_in, file)]
    _deliver(records, "ended calls", target, as_json=as_json)


def _examined(read: Any, path: Path) -> Any:
    try:
        return read(path)
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or error}"
        raise OperationError(message) from error


def _deliver(records: list[dict[str, Any]], what: str, file: Path | None, *, as_json: bool) -> None:
    """Write a JSON array to a file, or print it if no file is given.

    Raises:
        OperationError: the file cannot be written.
    """
    import msgspec

    if file is None:
        output.document(records)
        return
    try:
        file.write_bytes(msgspec.json.encode(records) + b"\n")
    except OSError as error:
        message = f"{file} cannot be written: {error.strerror or error}"
        raise OperationError(message) from error
    if as_json:
        output.document({"file": str(file), "records": len(records)})
    else:
        output.line(f"{len(records)} {what} written to {file}")


def _quarantine(settings: "Settings") -> "Quarantine":
    from vosd.engine.journal.quarantine import DIRECTORY, Quarantine

    return Quarantine(settings.state_dir / DIRECTORY)


def _refused_id(quarantine: "Quarantine", beginning: str) -> str:
    found = [call_id for call_id in sorted(quarantine.ids()) if call_id.startswith(beginning)]
    if not found:
        raise _not_refused(beginning)
    if len(found) > 1:
        message = f"{len(found)} refused records begin with {beginning}: {', '.join(found[:10])}"
        raise OperationError(message)
    return found[0]


def _not_refused(call_id: str) -> OperationError:
    return OperationError(f"no record of call {call_id} was refused; vosd spool list shows those that were")


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


def _report(outcome: BookingOutcome, as_json: bool) -> None:
    booked, refused = outcome.booked, outcome.refused
    if as_json:
        output.document(outcome)
    else:
        for call_id, why in refused.items():
            output.line(f"{call_id}: {why}")
        output.line(f"{len(booked)} booked, {len(refused)} refused")
    if refused:
        sys.exit(OperationError.exit_code)


async def _ask_switch_or_do(
    invocation: Invocation, order: Order[BookingOutcome], work: "Callable[[Spool], Awaitable[BookingOutcome]]"
) -> BookingOutcome:
    """Send the order to the running switch; do the work here if none runs."""
    asked = await invocation.running_switch().patient(BOOKING_S).ask_if_running(order)
    return await _without_switch(invocation.settings, work) if asked is None else asked


async def _without_switch(settings: "Settings", work: "Callable[[Spool], Awaitable[BookingOutcome]]") -> BookingOutcome:
    """Book without a running switch, and prevent one from starting meanwhile: it would not know of the bookings."""
    from vosd.cli.database import database_of
    from vosd.daemon.claim import StateDirectory
    from vosd.engine.booking.spool import Spool
    from vosd.storage.books import SqlBooks

    state_directory = StateDirectory(settings.state_dir)
    state_directory.claim()
    try:
        async with database_of(settings.database_url.reveal()) as database:
            return await work(Spool(SqlBooks(database), _quarantine(settings), {}))
    finally:
        state_directory.release()
