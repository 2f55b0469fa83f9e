"""``vosd payment import``: payments from a file of the bank."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vosd.cli import output
from vosd.cli.arguments import operator_option
from vosd.cli.command import Invocation, Verb, json_verb
from vosd.cli.office import ordered

if TYPE_CHECKING:
    from vosd.admin.office.payment_file import FilePayment


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
@operator_option
@json_verb
def import_file(
    invocation: Invocation, file: Path, is_trial: bool, columns: tuple[str, ...], decimal_comma: bool, encoding: str
) -> None:
    """Book the payments of a CSV file with a header: account, amount, reference; memo and currency if there are any.

    The whole file is checked first: one line that cannot be booked, and nothing is. A reference books once for its
    account, so a file may be imported again, and one with old and new payments as well.
    """
    wanted = _read(file, columns, encoding, has_decimal_comma=decimal_comma)
    from vosd.admin.office.payment_file import ImportPayments, import_payments, sums_of

    found = ordered(invocation, import_payments, ImportPayments(tuple(wanted), is_trial))
    if output.printed_as_json(found):
        return
    rows = [[each.line, each.account, each.amount, each.currency, each.reference, each.outcome] for each in found]
    output.table(("line", "account", "amount", "currency", "reference", "outcome"), rows, empty="no payments")
    for outcome, currency, count, total in sums_of(found):
        output.line(f"{outcome}: {count}, {total} {currency or ''}".rstrip())


def _read(file: Path, columns: tuple[str, ...], encoding: str, *, has_decimal_comma: bool) -> "list[FilePayment]":
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
    except (LookupError, UnicodeDecodeError) as error:
        remedy = "say --encoding, such as cp1252, or save a workbook as CSV UTF-8"
        raise click.UsageError(f"{file} is not {encoding}: {error}; {remedy}") from error
