"""``vosd reconcile``: vendors' bills compared with our calls."""

import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from vosd.cli import output
from vosd.cli.arguments import AMOUNT, COMING, MOMENT, Count, operator_verb
from vosd.cli.command import Family, Invocation, OperationError, json_verb
from vosd.cli.office import in_office, ordered, principal
from vosd.cli.progress import meter
from vosd.cli.written_file import TEXT_FILE, written_text
from vosd.processes.life import give_way

if TYPE_CHECKING:
    from vosd.admin.office.office import Office
    from vosd.admin.office.reconciliations import ReconciliationSheet
    from vosd.admin.partner_totals import PartnerOutcome

_FILE: Final = click.Path(exists=True, dir_okay=False)
_CLASSES: Final = (
    "matched", "missing_here", "missing_there", "duration_differs", "unit_differs", "rate_differs", "rounding_differs",
)  # fmt: skip
_STATES: Final = ("open", "sent", "accepted", "rejected", "settled")
_NUMBER: Final = click.argument("number", type=Count(1), metavar="ID")
_CALLS: Final = click.option("--calls", type=TEXT_FILE, metavar="FILE", help="Write the calls that differ: CSV.")


@click.group(cls=Family)
def reconcile() -> None:
    """Vendors' bills: compare a vendor's file with our calls, show what differs, dispute it."""
    give_way()


@reconcile.command("import")
@click.argument("account")
@click.argument("file", type=_FILE)
@click.option("--map", type=_FILE, required=True, metavar="MAP", help="Which column is what (docs/books.md).")
@click.option("--since", type=MOMENT, help="Begin of the period of the bill; default: the first call of the file.")
@click.option("--until", type=COMING, help="End of that period; default: the last call of the file.")
@click.option("--tolerance", type=float, default=3.0, show_default=True, help="Seconds by which starts may differ.")
@click.option(
    "--duration-tolerance", type=float, default=2.0, show_default=True, help="Seconds by which durations may differ."
)
@click.option("--again", is_flag=True, help="Compare a file once more that was imported before.")
@operator_verb
def import_file(invocation: Invocation, /, **wanted: Any) -> None:
    """Compare the calls that a vendor's FILE has with those that we have sent to ACCOUNT; nothing is booked.

    A file is compared once: the same file again shows the comparison of then. One that ends in .gz is decompressed.
    """
    from vosd.admin.office.bill_import import ImportBill, import_bill

    who, order = principal(), ImportBill(**wanted)
    with meter("calls") as shown:
        found = in_office(invocation, lambda office: import_bill(office, who, order, shown.show))
    if found.repeated:
        output.remark(f"this file was imported before, as reconciliation {found.id}; --again compares it once more")
    _show(found)


@reconcile.command("list")
@click.option("--account", metavar="ID", help="Of this vendor alone.")
@json_verb
def list_all(invocation: Invocation, account: str | None) -> None:
    """List comparisons, the newest first."""
    from vosd.admin.office.reconciliations import ListReconciliations, list_reconciliations

    found = ordered(invocation, list_reconciliations, ListReconciliations(account=account))
    if output.printed_as_json(found):
        return
    columns = ("id", "account", "file", "since", "until", "theirs", "ours", "difference", "currency")
    rows = [[*(getattr(each, name) for name in columns), each.dispute and each.dispute.state] for each in found]
    output.table((*columns, "dispute"), rows, empty="no vendor's bill was imported")


@reconcile.command()
@_NUMBER
@click.option("--class", "result", type=click.Choice(_CLASSES), help="Calls of this class alone, with --calls.")
@_CALLS
@json_verb
def show(invocation: Invocation, number: int, result: str | None, calls: Path | None) -> None:
    """Show comparison ID: calls and money by class and explanation, and its dispute."""
    from vosd.admin.office.reconciliations import ShowReconciliation, show_reconciliation

    found = ordered(invocation, show_reconciliation, ShowReconciliation(id=number))
    if calls is not None:
        in_office(invocation, lambda office: _write_calls(office, number, result, calls))
    _show(found)


@reconcile.command()
@_NUMBER
@click.option(
    "--state", type=click.Choice(_STATES), help="State that the dispute comes to; default of a new one: open."
)
@click.option("--amount", type=AMOUNT, help="What the vendor is asked to credit; default: all that it asks too much.")
@click.option("--reference", metavar="TEXT", help="Reference of the vendor's credit note; '' = none.")
@click.option("--memo", metavar="TEXT", help="A sentence for the letter; '' = none.")
@click.option("--book", is_flag=True, help="With --state settled: book the amount; you had booked the overcharge.")
@_CALLS
@click.option("--letter", type=TEXT_FILE, metavar="FILE", help="Write the letter to the vendor: Markdown.")
@operator_verb
def dispute(
    invocation: Invocation, /, number: int, calls: Path | None, letter: Path | None,
    **wanted: Any,
) -> None:  # fmt: skip
    """Open a dispute about comparison ID, or change its state and amount.

    Nothing is booked unless --book is given: the ledger has the calls at your own cost, without the overcharge.
    """
    from vosd.admin.office.bill_disputes import DisputeBill, dispute_bill
    from vosd.admin.office.reconciliations import WriteLetter, write_letter
    from vosd.storage.disputes import DisputeState

    state = wanted.pop("state")
    order = DisputeBill(id=number, state=None if state is None else DisputeState(state), **wanted)
    found = ordered(invocation, dispute_bill, order)
    if calls is not None:
        in_office(invocation, lambda office: _write_calls(office, number, None, calls))
    if letter is not None:
        written = ordered(invocation, write_letter, WriteLetter(id=number))
        with written_text(letter) as write:
            write(written.text)
    _show(found)


@reconcile.command()
@click.argument("account")
@click.option("--until", type=MOMENT, help="End of the hour that is compared; default: five minutes ago, or less.")
@json_verb
def partner(invocation: Invocation, account: str, until: int | None) -> None:
    """Compare an hour of calls with the switch of partner ACCOUNT now; exit code 1 if they differ.

    The running switch does it every five minutes by itself, for partners that `bilateral` names.
    """
    from vosd.admin.office.bilateral import ComparePartner, compare_partner

    found = ordered(invocation, compare_partner, ComparePartner(account=account, until=until))
    _show_partner(found)


def _show_partner(found: "PartnerOutcome") -> None:
    if not output.printed_as_json(found):
        for each in found.deviations:
            output.line(f"{each.since} to {each.until}: {each.what}")
            output.line(f"  prefixes {', '.join(each.prefixes)}; gateways {', '.join(each.gateways)}")
    if found.failed:
        raise OperationError(f"nothing was compared: {found.failed}")
    if found.deviations:
        sys.exit(OperationError.exit_code)
    if not output.wants_json():
        output.line("both switches agree")


async def _write_calls(office: "Office", number: int, result: str | None, file: Path) -> None:
    from vosd.admin.office.reconciliations import ReadDifferences, read_differences
    from vosd.clearing.calls import BillClass

    order = ReadDifferences(id=number, result=None if result is None else BillClass(result))
    with written_text(file) as write:
        async for part in read_differences(office, principal(), order):
            write(part)


def _show(found: "ReconciliationSheet") -> None:
    from vosd.admin.office.bill_disputes import creditable
    from vosd.base.money import format_amount

    if output.printed_as_json(found):
        return
    compared, disputed = found.comparison, found.dispute
    names = ("id", "account", "file", "since", "until", "currency", "theirs", "ours", "difference", "disputable")
    output.sheet({name: getattr(found, name) for name in names} | {"rows": compared.rows})
    columns = ("result", "explanation", "calls", "theirs", "ours", "difference")
    output.records(columns, compared.classes, empty="no calls")
    if disputed is not None:
        output.line(f"dispute: {disputed.state.value}, {disputed.amount} {found.currency or ''}".rstrip())
        most = creditable(Decimal(found.disputable), found.currency)
        if Decimal(disputed.amount) > most:
            output.remark(f"the amount of the dispute is more than is disputable: {format_amount(most)}")
        if disputed.booked is not None:
            output.line(f"booked: {disputed.booked}, reference {disputed.booked_as}")
    if found.waiting is not None:
        output.remark(
            f"the amount waits for a second person: vosd payment confirm {found.waiting}, then order this once more"
        )
    if compared.unbooked:
        output.remark(
            f"{compared.unbooked} calls of this time were not booked yet (vosd status): import the file --again later"
        )
    if found.corrected:
        output.remark(f"the cost of {found.corrected} calls was corrected since: import the file --again")
    if compared.time_shift is not None:
        output.remark(
            f"the times of the file seem to be {compared.time_shift / 3600:+g} h from ours: see start in the map"
        )
    if compared.lacks_seconds:
        output.remark("the times of the file have no seconds: import it --again with --tolerance 60")
    if compared.bad_rows:
        output.remark(f"{compared.bad_rows} of {compared.rows} rows could not be read:")
        for bad in compared.first_bad_rows:
            output.remark(output.printable(f"  line {bad.line}: {bad.reason}"))
