"""``vosd invoice``: make, issue, show, print, pay and take back invoices."""

from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from vosd.cli import output
from vosd.cli.arguments import AMOUNT, PERIOD, as_option, operator_verb
from vosd.cli.command import Family, Invocation, OperationError, json_verb, pass_invocation
from vosd.cli.csv_form import csv_option, csv_writer
from vosd.cli.office import Result, in_office, ordered, principal
from vosd.cli.payments import show_booked
from vosd.cli.progress import meter
from vosd.cli.written_file import TEXT_FILE, make_directory, write_file, written_text
from vosd.processes.life import give_way

if TYPE_CHECKING:
    from vosd.admin.office.invoice_run import InvoiceRunSheet
    from vosd.admin.office.invoices import InvoiceDetail, InvoiceSheet
    from vosd.admin.office.office import Office
    from vosd.admin.office.principal import Principal

_NUMBER: Final = click.argument("number", metavar="NUMBER")
_STATES: Final = ("draft", "open", "part_paid", "paid", "overdue", "issued", "cancelled")
_COLUMNS: Final = (
    "id", "number", "kind", "state", "account", "period", "net", "tax", "gross", "paid", "currency", "due_on",
)  # fmt: skip
_CSV_COLUMNS: Final = (*_COLUMNS[:-1], "due_at", _COLUMNS[-1])


@click.group(cls=Family)
def invoice() -> None:
    """Invoices: make those of a period, show what is paid, print them, take them back.

    NUMBER is the number of an invoice, or # and its id, which drafts have, too.
    """
    give_way()


@invoice.command("run")
@click.option(
    "--period", type=PERIOD, required=True, metavar="PERIOD", help="2026-10, 2026-10-H1, 2026-W41 or 2026-10-05."
)
@click.option("--account", "accounts", multiple=True, metavar="ID", help="Of this account alone; may be repeated.")
@click.option("--draft", is_flag=True, help="Make drafts, which the next run replaces or `issue` makes final.")
@click.option("--anew", is_flag=True, help="Begin with this period where there is no invoice yet, drafts aside.")
@operator_verb
def run(invocation: Invocation, /, **wanted: Any) -> None:
    """Make and issue the invoices of a PERIOD; a second run makes none again, and completes one that was killed."""
    from vosd.admin.office.invoice_run import RunInvoices, run_invoices

    who, order = principal(), RunInvoices(**wanted)
    with meter("accounts") as shown:
        found = in_office(invocation, lambda office: run_invoices(office, who, order, shown.show))
    _show_run(found)


@invoice.command("list")
@click.option("--account", metavar="ID", help="Of this account alone.")
@click.option("--state", type=click.Choice(_STATES), help="In this state alone.")
@click.option("--period", type=PERIOD, metavar="PERIOD", help="Of this period alone.")
@as_option
@csv_option
@json_verb
def list_all(invocation: Invocation, /, as_csv: str | None, **wanted: Any) -> None:
    """List invoices and credit notes, the newest first, with what is paid."""
    if as_csv and output.wants_json():
        raise click.UsageError("--csv or --json, not both")
    from vosd.admin.office.invoices import ListInvoices, list_invoices
    from vosd.invoicing.settlement import InvoiceState

    state = wanted.pop("state")
    order = ListInvoices(state=None if state is None else InvoiceState(state), **wanted)
    found = ordered(invocation, list_invoices, order)
    if as_csv:
        names = _CSV_COLUMNS
        rows = [[each.state.value if name == "state" else getattr(each, name) for name in names] for each in found]
        csv_writer(as_csv).rows([names, *rows])
    else:
        output.records(_COLUMNS, found, empty="no invoices")


@invoice.command()
@_NUMBER
@click.option("--calls", type=TEXT_FILE, metavar="FILE", help="Write its calls: CSV.")
@as_option
@json_verb
def show(invocation: Invocation, number: str, calls: Path | None) -> None:
    """Show an invoice: lines, taxes, payments and balances."""
    from vosd.admin.office.invoices import ShowInvoice, show_invoice

    async def shown(office: "Office", who: "Principal", found: int) -> "InvoiceDetail":
        if calls is not None:
            await _write_calls(office, who, found, calls)
        return await show_invoice(office, who, ShowInvoice(id=found))

    _show(_of(invocation, number, shown))


@invoice.command()
@_NUMBER
@operator_verb
def issue(invocation: Invocation, number: str) -> None:
    """Issue a draft: it gets its number, and never changes any more."""
    from vosd.admin.office.invoice_changes import IssueInvoice, issue_invoice

    made = _of(invocation, number, lambda office, who, found: issue_invoice(office, who, IssueInvoice(id=found)))
    output.outcome(made, f"invoice {made.number} over {made.gross} {made.currency} is issued")


@invoice.command()
@_NUMBER
@click.option("--amount", type=AMOUNT, help="Default: all that is not paid of it.")
@click.option("--reference", metavar="TEXT", help="A reference that was used before books nothing again.")
@click.option("--memo", metavar="TEXT", help="Why; it stands in the ledger.")
@operator_verb
def pay(invocation: Invocation, /, number: str, **wanted: Any) -> None:
    """Book a payment for an invoice."""
    from vosd.admin.office.invoice_changes import PayInvoice, pay_invoice

    done = _of(invocation, number, lambda office, who, found: pay_invoice(office, who, PayInvoice(id=found, **wanted)))
    show_booked(done)


@invoice.command()
@_NUMBER
@click.option("--memo", metavar="TEXT", help="Why.")
@operator_verb
def cancel(invocation: Invocation, number: str, memo: str | None) -> None:
    """Take the last invoice of an account back by a credit note; its charges are on the next invoice."""
    from vosd.admin.office.invoice_changes import CancelInvoice, cancel_invoice

    made = _of(
        invocation, number, lambda office, who, found: cancel_invoice(office, who, CancelInvoice(id=found, memo=memo))
    )
    output.outcome(made, f"credit note {made.number} over {made.gross} {made.currency} takes it back")


@invoice.command()
@click.argument("number", metavar="[NUMBER]", required=False)
@click.option(
    "--period", type=PERIOD, metavar="PERIOD", help="All of this period that were not sent yet and are not cancelled."
)
@click.option("--to", multiple=True, metavar="ADDRESS", help="Default: accounts[].invoice.mail; may be repeated.")
@click.option("--calls", is_flag=True, help="Attach the calls, too: CSV in a ZIP file.")
@operator_verb
def send(invocation: Invocation, /, number: str | None, period: str | None, **how: Any) -> None:
    """Mail an invoice as PDF, or all of a PERIOD that were not sent yet, by the server of alarms.mail."""
    from vosd.admin.office.mailed_invoices import SendInvoice, send_invoice

    if (number is None) == (period is None):
        raise click.UsageError("say either NUMBER or --period")
    if number is None:
        sent_ones, failed = in_office(invocation, lambda office: _send_all(office, principal(), str(period), how))
        _show_sent(sent_ones, failed)
        return
    sent = _of(invocation, number, lambda office, who, id_: send_invoice(office, who, SendInvoice(id=id_, **how)))
    output.outcome(sent, f"invoice {sent.number} is sent")


_IN_VAIN_MAX: Final = 3
"""Invoices one behind the other that the mail server itself has not taken, behind which no further one is tried."""


async def _send_all(
    office: "Office", who: "Principal", period: str, how: dict[str, Any]
) -> "tuple[list[InvoiceSheet], dict[str, str]]":
    """Send the invoices of a period; return those that were sent, and why others were not, by number.

    It ends where the server takes none: each would wait for it as long.
    """
    from vosd.admin.office.mailed_invoices import (
        InvoiceNotSentError,
        ListUnsent,
        SendInvoice,
        list_unsent,
        send_invoice,
    )
    from vosd.base.errors import VosError

    sent, failed = [], {}
    unsent = await list_unsent(office, who, ListUnsent(period=period))
    in_vain = untried = 0
    with meter("invoices") as shown:
        for done, (id_, number) in enumerate(unsent.items(), start=1):
            try:
                sent.append(await send_invoice(office, who, SendInvoice(id=id_, **how), is_repeated=False))
                in_vain = 0
            except VosError as error:
                failed[number] = str(error)
                in_vain = in_vain + 1 if isinstance(error, InvoiceNotSentError) and error.is_of_the_server else 0
            shown.show(done / len(unsent), done)
            untried = len(unsent) - done
            if in_vain == _IN_VAIN_MAX:
                break
    if untried:
        output.remark(f"the mail server takes none: {untried} further invoices were not tried")
    return sent, failed


def _show_sent(sent: "list[InvoiceSheet]", failed: dict[str, str]) -> None:
    if not output.printed_as_json(sent):
        for each in sent:
            output.line(f"invoice {each.number} is sent")
        if not sent and not failed:
            output.line("no issued invoice is left to send")
    for number, why in failed.items():
        output.remark(output.printable(f"invoice {number} is not sent: {why}"))
    if failed:
        raise OperationError(
            f"{len(failed)} invoices are not sent to all: the same again tries those that no address has"
        )


@invoice.command()
@_NUMBER
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Default: NUMBER.pdf, behind the issuer where that is an agent.",
)
@as_option
@pass_invocation
def pdf(invocation: Invocation, number: str, out: Path | None) -> None:
    """Print an invoice: PDF. It looks the same for ever, whatever is configured later."""
    from vosd.admin.office.invoices import FindInvoice, PrintInvoice, find_invoice, print_invoice

    async def printed(office: "Office") -> "tuple[InvoiceSheet, bytes]":
        who = principal()
        found = await find_invoice(office, who, FindInvoice(number))
        return found, await print_invoice(office, who, PrintInvoice(id=found.id))

    found, content = in_office(invocation, printed)
    file = out or Path(f"{_file_name(found)}.pdf")
    write_file(file, content)
    output.line(str(file))


def _file_name(found: "InvoiceSheet") -> str:
    """Return a name that no other invoice has: each issuer counts by itself."""
    words = (found.issuer, found.number or f"draft-{found.id}")
    return "-".join(word for word in words if word).replace("/", "-")


@invoice.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@pass_invocation
def template(_invocation: Invocation, directory: Path) -> None:
    """Copy the template and the words of the printed form to DIRECTORY, to change them."""
    from vosd.admin.invoice_pdf import FORM, LABELS
    from vosd.admin.typesetting import TEMPLATE

    make_directory(directory)
    for name in (TEMPLATE, LABELS):
        if (directory / name).exists():
            raise OperationError(f"{directory / name} is there already")
        write_file(directory / name, (FORM / name).read_bytes())
        output.line(str(directory / name))


_RUN_COLUMNS: Final = ("account", "outcome", "number", "id", "net", "tax", "gross", "currency", "detail")


def _show_run(found: "list[InvoiceRunSheet]") -> None:
    from vosd.admin.office.invoice_run import UNFINISHED, InvoiceOutcome

    output.records(_RUN_COLUMNS, found, empty="no account has charges of that period")
    missing = Counter(each.outcome for each in found if each.outcome in UNFINISHED)
    if missing:
        why = ", ".join(f"{count} {outcome.value}" for outcome, count in missing.items())
        shorter = ", in shorter periods where the agent changed" if InvoiceOutcome.AGENT_CHANGED in missing else ""
        again = f"see the detail, then run the period again{shorter}"
        raise OperationError(f"{missing.total()} accounts have no invoice yet ({why}): {again}")


_SHOWN: Final = (
    "id", "number", "kind", "state", "account", "issuer", "period", "currency", "opening", "net", "tax", "gross",
    "closing", "paid", "issued_at", "due_on", "cancels", "digest",
)  # fmt: skip


def _show(found: "InvoiceDetail") -> None:
    if output.printed_as_json(found):
        return
    values = {name: getattr(found, name) for name in _SHOWN} | {"state": found.state.value}
    values["credit_note"] = found.credit_note.number if found.credit_note else None
    output.sheet({name: value for name, value in values.items() if value not in {None, ""}})
    columns = ("section", "area", "prefix", "calls", "seconds", "price", "per", "tax_rate", "net")
    output.records(columns, found.document.lines, empty="no lines")
    for tax in found.document.taxes:
        output.line(f"tax {'not known' if tax.rate is None else f'{tax.rate} %'}: {tax.tax} on {tax.net}")
    for each in found.document.movements:
        output.line(output.printable(f"{each.date} {each.kind} {each.amount} {each.reference} {each.memo}".strip()))


def _of(invocation: Invocation, number: str, order: "Callable[[Office, Principal, int], Awaitable[Result]]") -> Result:
    """Carry out an order about the invoice of a number."""
    from vosd.admin.office.invoices import FindInvoice, find_invoice

    async def carried_out(office: "Office") -> Result:
        who = principal()
        found = await find_invoice(office, who, FindInvoice(number))
        return await order(office, who, found.id)

    return in_office(invocation, carried_out)


async def _write_calls(office: "Office", who: "Principal", number: int, file: Path) -> None:
    from vosd.admin.office.invoices import ReadInvoicedCalls, read_invoiced_calls

    parts = read_invoiced_calls(office, who, ReadInvoicedCalls(id=number))
    async with aclosing(parts):
        with written_text(file) as write:
            async for part in parts:
                write(part)
