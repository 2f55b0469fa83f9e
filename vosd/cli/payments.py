"""``vosd payment``: money that does not come from calls."""

from contextlib import aclosing
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from vosd.base.csv_text import CsvWriter
from vosd.base.money import format_amount
from vosd.cli import output
from vosd.cli.arguments import AMOUNT, MOMENT, Count, as_option, ask, operator_option, operator_verb, yes_option
from vosd.cli.command import Family, Invocation, OperationError, Verb, json_option, json_verb, pass_invocation
from vosd.cli.csv_form import csv_option, csv_writer
from vosd.cli.office import in_office, ordered, principal
from vosd.cli.written_file import write_file
from vosd.processes import loops
from vosd.wiring.office import office_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vosd.admin.ledger import PaymentSheet
    from vosd.admin.office.bookings import PaymentReceipt
    from vosd.admin.office.ledger import ListEntries
    from vosd.admin.office.payment_file import FilePayment
    from vosd.admin.office.payments import Receipts, WaitingSheet

ZERO_TYPE: Final = "zero"
REFUND_TYPE: Final = "refund"
_TYPES: Final = ("payment", "adjustment", REFUND_TYPE, ZERO_TYPE, "transfer")
_LISTED: Final = (
    "created_at", "account", "account_name", "kind", "amount", "balance_before", "balance_after", "operator",
    "reference", "memo",
)  # fmt: skip
_NUMBERS: Final = frozenset({"id", "seq", "amount", "balance_before", "balance_after", "tax", "net", "taken_back_by"})
"""Columns that are numbers in a spreadsheet."""
_SHEET_MAX: Final = 1_000_000
"""Most rows of a spreadsheet."""


@click.command("import", cls=Verb)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE")
@click.option("--dry-run", "is_trial", is_flag=True, help="Check everything, show what would be booked, book nothing.")
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="NAME=TITLE",
    help="Title of account, amount, reference, memo or currency in the header; default: that name.",
)
@click.option("--decimal-comma", is_flag=True, help="Amounts are written 1.234,50.")
@click.option("--encoding", default="utf-8", show_default=True, metavar="NAME", help="Such as cp1252.")
@operator_verb
def import_file(
    invocation: Invocation, file: Path, is_trial: bool, columns: tuple[str, ...], decimal_comma: bool, encoding: str
) -> None:
    """Book the payments of a CSV file with a header: account, amount, reference; memo and currency if there are any.

    The whole file is checked first: one line that cannot be booked, and nothing is. A reference books once for its
    account, so a file may be imported again, and one with old and new payments as well.
    """
    wanted = _payments_in(file, columns, encoding, has_decimal_comma=decimal_comma)
    from vosd.admin.office.payment_file import ImportPayments, import_payments, sums_of
    from vosd.cli.progress import meter

    order, who = ImportPayments(tuple(wanted), is_trial), principal()
    with meter("payments") as shown:
        found = in_office(invocation, lambda office: import_payments(office, who, order, shown.show))
    if output.printed_as_json(found):
        return
    rows = [[each.line, each.account, each.amount, each.currency, each.reference, each.outcome] for each in found]
    output.table(("line", "account", "amount", "currency", "reference", "outcome"), rows, empty="no payments")
    for outcome, currency, count, total in sums_of(found):
        output.line(f"{outcome}: {count}, {total} {currency or ''}".rstrip())


def _payments_in(
    file: Path, columns: tuple[str, ...], encoding: str, *, has_decimal_comma: bool
) -> "list[FilePayment]":
    from vosd.admin.office.payment_file import PaymentColumns, read_payment_file

    titles = dict(each.partition("=")[::2] for each in columns)
    unknown = sorted(titles.keys() - set(PaymentColumns._fields))
    if unknown or not all(titles.values()):
        raise click.UsageError(
            f"--column is one of {', '.join(PaymentColumns._fields)}, =, and its title in the header"
        )
    try:
        with file.open(encoding=encoding, newline="") as lines:
            return read_payment_file(lines, PaymentColumns(**titles), has_decimal_comma=has_decimal_comma)
    except (LookupError, UnicodeError) as error:
        remedy = "say --encoding, such as cp1252, or save a workbook as CSV UTF-8"
        raise click.UsageError(f"{file} is not {encoding}: {error}; {remedy}") from error


def _booking_options(command: Any) -> Any:
    """Add ``--reference``, ``--memo``, ``--force``, ``--dry-run`` and those of all bookings to a verb."""
    dry = click.option("--dry-run", "is_trial", is_flag=True, help="Show what would be booked, book nothing.")
    command = dry(pass_invocation(command))
    command = yes_option(json_option(operator_option(as_option(command))))
    help_text = "Take what running calls hold, too; without it no more than is available."
    command = click.option("--force", is_flag=True, help=help_text)(command)
    command = click.option("--memo", metavar="TEXT", help="Why; it stands in the ledger.")(command)
    help_text = "Unique name: the same one is booked once."
    return click.option("--reference", metavar="TEXT", help=help_text)(command)


@click.group(cls=Family)
def payment() -> None:
    """Money that does not come from calls."""


payment.add_command(import_file)


@payment.command("add")
@click.option("--account", "account_id", required=True, metavar="ID", help="Account that is credited.")
@click.option("--amount", type=AMOUNT, metavar="DECIMAL", help="Zero takes none; negative ones are adjustments.")
@click.option(
    "--type",
    "kind",
    type=click.Choice(["payment", "adjustment", REFUND_TYPE, ZERO_TYPE]),
    default="payment",
    show_default=True,
    help="refund pays money back and lowers the balance; zero brings the balance to zero.",
)
@_booking_options
def add(invocation: Invocation, /, account_id: str, amount: Decimal | None, kind: str, yes: bool, **terms: Any) -> None:
    """Book money on an account and print its balance before and after.

    On a vendor's account a payment is what you have paid to the vendor. With --as an account below the agent gets it
    from the agent's own.
    """
    from vosd.admin.office.payments import BookPayment, PaymentType, book_payment

    who = principal()
    order = BookPayment(account=account_id, amount=amount, type=PaymentType(kind), **terms)
    if amount is not None and not order.is_trial:
        if amount < 0 and order.type is PaymentType.PAYMENT:
            output.remark("a payment below zero takes money: say why by --type adjustment or refund (without a sign)")
        _ask_above(invocation, amount, f"a {kind} of {format_amount(amount)} on {account_id}", yes=yes)
    done = ordered(invocation, book_payment, order, who)
    show_booked(done, is_trial=order.is_trial)


def show_booked(done: "Receipts | WaitingSheet", *, is_trial: bool = False) -> None:
    """Print a payment that was booked, or would be; end with exit code 1 where it waits for a second person."""
    receipt = _booked(done, is_trial=is_trial)[-1]
    _remark(receipt)
    if output.printed_as_json(receipt):
        return
    _say_repeated(receipt)
    shown = {"balance before": receipt.before, "amount": receipt.amount, "balance after": receipt.after}
    output.sheet(shown if receipt.expires_at is msgspec.UNSET else shown | {"expires at": receipt.expires_at})


@payment.command("list")
@click.option("--account", metavar="ID", help="Of this account; default: of all.")
@click.option("--since", type=MOMENT, help="Booked then or later.")
@click.option("--until", type=MOMENT, help="Booked before.")
@click.option("--type", "kinds", type=click.Choice(_TYPES), multiple=True, help="Of this type; may be repeated.")
@click.option("--operator", metavar="NAME", help="Booked by this person.")
@click.option("--limit", "newest", type=Count(1), metavar="N", help="The newest N of them.")
@click.option("--newest-first", is_flag=True, help="From the one that was booked last.")
@click.option("--xlsx", type=click.Path(path_type=Path, dir_okay=False), help="Write a spreadsheet.")
@as_option
@csv_option
@json_verb
def list_all(invocation: Invocation, /, as_csv: str | None, xlsx: Path | None, **criteria: Any) -> None:
    """List payments, refunds, adjustments, zeroings and transfers with the balance before and after each.

    With --as those of the agent unless --account.
    """
    from vosd.admin.office.ledger import ListEntries

    if sum((bool(as_csv), output.wants_json(), xlsx is not None)) > 1:
        raise click.UsageError("--csv, --xlsx or --json: one of them")
    found = loops.run(_list(invocation, ListEntries(**criteria)))
    if xlsx is not None:
        _write_sheet(xlsx, found)
    elif output.wants_json():
        output.document(found)
    elif as_csv:
        _print_csv(found, csv_writer(as_csv))
    else:
        rows = [[getattr(each, name) for name in _LISTED] for each in found]
        output.table([name.replace("_", " ") for name in _LISTED], rows, empty="no payments")


def _write_sheet(path: Path, found: "Sequence[PaymentSheet]") -> None:
    from vosd.admin.ledger import PaymentSheet
    from vosd.admin.spreadsheet import workbook

    if len(found) > _SHEET_MAX:
        message = f"{len(found):,} payments are too many for a spreadsheet: ask for a shorter time, or for --csv"
        raise OperationError(message)
    columns = {name: name in _NUMBERS for name in PaymentSheet.__struct_fields__}
    write_file(path, workbook("payments", columns, map(msgspec.structs.asdict, found)))
    output.remark(f"{output.rows(len(found))}: {path}")


def _print_csv(found: "Sequence[PaymentSheet]", writer: CsvWriter) -> None:
    from vosd.admin.ledger import PaymentSheet

    writer.row(PaymentSheet.__struct_fields__)
    writer.rows(msgspec.structs.astuple(each) for each in found)


async def _list(invocation: Invocation, order: "ListEntries") -> "list[PaymentSheet]":
    from vosd.admin.office.ledger import list_payments

    async with office_of(invocation) as office, aclosing(list_payments(office, principal(), order)) as found:
        return [each async for each in found]


@payment.command("undo")
@click.argument("number", type=Count(1), metavar="ID")
@click.option("--memo", metavar="TEXT", help="Why.")
@operator_verb
def undo(invocation: Invocation, number: int, memo: str | None) -> None:
    """Take back the payment, adjustment, refund, zeroing or transfer whose entry has the number ID, once.

    It books the reverse, whatever is left on the account, of a transfer on both accounts. The validity that a payment
    has extended is as before, unless it was changed since.
    """
    from vosd.admin.office.payments import UndoPayment, undo_payment

    done = ordered(invocation, undo_payment, UndoPayment(id=number, memo=memo))
    if isinstance(done, tuple) and len(done) > 1:
        _show_receipts(done)
    else:
        show_booked(done)


@payment.command("transfer")
@click.option("--from", "source", required=True, metavar="ID", help="Account that pays.")
@click.option("--to", "target", required=True, metavar="ID", help="Account that receives.")
@click.option("--amount", type=AMOUNT, required=True, metavar="DECIMAL", help="Above zero.")
@_booking_options
def transfer(invocation: Invocation, /, source: str, target: str, amount: Decimal, yes: bool, **terms: Any) -> None:
    """Move money between two accounts of one currency: both entries or none.

    Refused where more would be moved than the first account has available.
    """
    from vosd.admin.office.payments import MoveMoney, move_money

    who = principal()
    order = MoveMoney(source=source, target=target, amount=amount, **terms)
    if not order.is_trial:
        _ask_above(invocation, amount, f"a transfer of {format_amount(amount)} from {source} to {target}", yes=yes)
    done = ordered(invocation, move_money, order, who)
    _show_receipts(_booked(done, is_trial=order.is_trial))


def _ask_above(invocation: Invocation, amount: Decimal, what: str, *, yes: bool) -> None:
    """Ask before a booking that is larger than ``billing.ask_above``."""
    limit = invocation.excerpt.ask_above
    if limit is not None and abs(amount) > limit:
        ask(f"This books {what}, more than billing.ask_above of {limit:f}. Book it?", yes=yes)


def _show_receipts(receipts: "Receipts") -> None:
    _remark(receipts[0])
    if output.printed_as_json(receipts):
        return
    _say_repeated(receipts[0])
    rows = [[each.account, each.before, each.amount, each.after] for each in receipts]
    output.table(("account", "balance before", "amount", "balance after"), rows, empty="")


def _remark(receipt: "PaymentReceipt") -> None:
    if receipt.untold:
        output.remark(f"booked, but the running switch has not taken the new balance yet: {receipt.untold}")


def _say_repeated(receipt: "PaymentReceipt") -> None:
    if receipt.repeated:
        output.line(f"reference {receipt.reference} was booked before; nothing was booked now")


def _booked(done: "Receipts | WaitingSheet", *, is_trial: bool) -> "Receipts":
    """Return what was booked, or would be; end with exit code 1 where the order waits for a second person."""
    if isinstance(done, tuple):
        if is_trial and not output.wants_json():
            output.line("nothing was booked (--dry-run)")
        return done
    output.printed_as_json(done)
    if is_trial:
        raise OperationError("nothing was booked (--dry-run): it would wait for a second person")
    raise OperationError(f"not booked yet: it waits for a second person, who says vosd payment confirm {done.id}")


@payment.command("waiting")
@json_verb
def waiting(invocation: Invocation) -> None:
    """List the payments that wait for a second person, the oldest first (`billing.confirm_above`)."""
    from vosd.admin.office.payments import ListWaitingPayments, list_waiting_payments

    found = ordered(invocation, list_waiting_payments, ListWaitingPayments())
    if output.printed_as_json(found):
        return
    names = ("id", "type", "account", "target", "amount", "currency", "asked_by", "asked_at", "memo")
    rows = [[getattr(each, name) for name in names] for each in found]
    columns = ("id", "type", "account", "to", "amount", "currency", "asked by", "asked at", "memo")
    output.table(columns, rows, empty="no payment waits")


@payment.command("confirm")
@click.argument("number", type=Count(1), metavar="ID")
@operator_verb
def confirm(invocation: Invocation, number: int) -> None:
    """Book a payment that waits; another person than the one who has asked for it.

    The entry has who asked as operator, and who confirmed in its memo.
    """
    from vosd.admin.office.payments import ConfirmPayment, confirm_payment

    receipts = ordered(invocation, confirm_payment, ConfirmPayment(number))
    _show_receipts(receipts)


@payment.command("refuse")
@click.argument("number", type=Count(1), metavar="ID")
@click.option("--memo", metavar="TEXT", help="Why; who asks again under the reference reads it.")
@operator_verb
def refuse_waiting(invocation: Invocation, number: int, memo: str | None) -> None:
    """Refuse a payment that waits, or take back one's own."""
    from vosd.admin.office.payments import RefusePayment, refuse_payment

    found = ordered(invocation, refuse_payment, RefusePayment(number, memo))
    output.outcome(found, f"refused: {found.type} of {found.amount} on {found.account}, reference {found.reference}")
