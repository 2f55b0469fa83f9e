"""``vosd rate cdr-file``: the calls of another switch by our rates."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from vosd.base.money import format_amount
from vosd.cli import output
from vosd.cli.arguments import Count
from vosd.cli.command import Invocation, OperationError, Verb, json_verb
from vosd.cli.csv_form import csv_option, csv_writer
from vosd.cli.office import in_office, principal
from vosd.cli.price_tables import show_differences, show_prices
from vosd.cli.progress import meter

if TYPE_CHECKING:
    from vosd.admin.office.foreign_calls import RateForeignCalls
    from vosd.admin.shadow_rating import RatedRow

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_COLUMNS: Final = (
    "line", "account", "callee", "started_at", "duration_ms", "rate_group", "rate_prefix", "billed_seconds",
    "fee", "tax", "theirs", "difference",
)  # fmt: skip


@click.command("cdr-file", cls=Verb)
@click.argument("file", type=_FILE)
@click.option(
    "--map", "map_file", type=_FILE, required=True, metavar="MAP", help="Which column is what (docs/billing.md)."
)
@click.option("--diff", metavar="COLUMN", help="Column with what was charged; default: the map's.")
@click.option("--top", type=Count(1), default=20, show_default=True, metavar="N", help="Rows of each list.")
@csv_option
@json_verb
def cdr_file(
    invocation: Invocation, /, file: Path, map_file: Path, diff: str | None, top: int, as_csv: str | None
) -> None:
    """Rate a call record file of another switch with our rates, and show the differences by account, prefix and call.

    Nothing is booked and the running switch is not asked. A file that ends in .gz is decompressed.
    With --csv every call is printed instead of the sums.
    """
    if as_csv and output.wants_json():
        raise click.UsageError("--csv or --json, not both")
    from vosd.admin.office.foreign_calls import RateForeignCalls

    order = RateForeignCalls(file=str(file), map=str(map_file), price=diff, top=top)
    answer = _rated(invocation, order, as_csv)
    if output.wants_json():
        output.document(answer)
    elif not as_csv:
        _show(answer)
    _check_rows(answer)


def _rated(invocation: Invocation, order: "RateForeignCalls", as_csv: str | None) -> dict[str, Any]:
    from vosd.admin.office.foreign_calls import rate_foreign_calls

    each = _row_writer(as_csv) if as_csv else None
    with meter("rows") as shown:
        found = in_office(
            invocation,
            lambda office: rate_foreign_calls(office, principal(), order, shown.show, each),
            with_database=False,
        )
    answer: dict[str, Any] = msgspec.to_builtins(found)
    return answer


def _check_rows(answer: dict[str, Any]) -> None:
    """Print the first rows that could not be read; where that is all of them it is an error."""
    if answer["bad_rows"]:
        output.remark(f"{answer['bad_rows']} of {answer['rows']} rows could not be read:")
        for bad in answer["first_bad_rows"]:
            output.remark(output.printable(f"  line {bad['line']}: {bad['reason']}"))
    if answer["rows"] and answer["bad_rows"] == answer["rows"]:
        raise OperationError("no row could be read: does the map fit the file?")


def _row_writer(as_csv: str) -> "Callable[[RatedRow], None]":
    """Print the header, and return what prints a row."""
    from vosd.cdr.columns import iso_utc

    writer = csv_writer(as_csv)
    writer.row(_COLUMNS)

    def write(row: "RatedRow") -> None:
        line, call, account, rate, charge, difference = row
        ours: tuple[object, ...] = ("", "", "", "", "")
        if rate is not None and charge is not None:
            amounts = format_amount(charge.fee), format_amount(charge.tax)
            ours = (rate.group, rate.rate.prefix, charge.billed_seconds, *amounts)
        theirs = "" if call.price is None else format_amount(call.price)
        differs = "" if difference is None else format_amount(difference)
        started = iso_utc(call.started_at)
        writer.row((line, account, call.callee, started, call.duration_ms, *ours, theirs, differs))

    return write


def _show(answer: dict[str, Any]) -> None:
    without_rate = sum(each["without_rate"] for each in answer["accounts"])
    said = f"{output.rows(answer['rows'])}, {answer['differ']} differ, {without_rate} without rate"
    if answer["unpaid_rows"]:
        said += f", {answer['unpaid_rows']} left out: neither account nor charge (test calls)"
    output.line(said)
    if answer["compares"]:
        show_differences(answer, "theirs", "ours")
    else:
        show_prices(answer)
