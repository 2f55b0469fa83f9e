"""``vosd rate cdr-file``: the calls of another switch by our rates."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from vosd.base.money import format_amount
from vosd.cli import output
from vosd.cli.command import Invocation, OperationError, Verb, json_option, pass_invocation
from vosd.cli.csv_form import csv_option, csv_writer
from vosd.cli.price_tables import show_differences, show_prices
from vosd.cli.progress import meter

if TYPE_CHECKING:
    from vosd.admin.shadow_rating import RatedRow

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_COLUMNS: Final = (
    "line", "account", "callee", "started_at", "duration_ms", "rate_group", "rate_prefix", "billed_seconds",
    "fee", "tax", "theirs", "difference",
)  # fmt: skip
_SHOWN_EVERY: Final = 1_000


@click.command("cdr-file", cls=Verb)
@click.argument("file", type=_FILE)
@click.option(
    "--map", "map_file", type=_FILE, required=True, metavar="MAP", help="Which column is what (docs/billing.md)."
)
@click.option("--diff", metavar="COLUMN", help="Column with what was charged; default: the map's.")
@click.option("--top", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="Rows of each list.")
@csv_option
@json_option
@pass_invocation
def cdr_file(
    invocation: Invocation, /, file: Path, map_file: Path, diff: str | None, top: int, as_csv: str | None, as_json: bool
) -> None:
    """Rate a call record file of another switch with our rates, and show the differences by account, prefix and call.

    Nothing is booked and the running switch is not asked. A file that ends in .gz is decompressed.
    With --csv every call is printed instead of the sums.
    """
    if as_csv and as_json:
        raise click.UsageError("--csv or --json, not both")
    answer = _rate(invocation, file, map_file, diff, top, _row_writer(as_csv) if as_csv else None)
    if as_json:
        output.document(answer)
    elif not as_csv:
        _show(answer)
    if answer["bad_rows"]:
        output.remark(f"{answer['bad_rows']} of {answer['rows']} rows could not be read:")
        for bad in answer["first_bad_rows"]:
            output.remark(output.printable(f"  line {bad['line']}: {bad['reason']}"))
    if answer["rows"] and answer["bad_rows"] == answer["rows"]:
        raise OperationError("no row could be read: does the map fit the file?")


def _rate(
    invocation: Invocation,
    file: Path,
    map_file: Path,
    diff: str | None,
    top: int,
    each: "Callable[[RatedRow], None] | None",
) -> dict[str, Any]:
    from vosd.admin.foreign_calls import BadRowError, opened
    from vosd.admin.shadow_rating import ShadowRating
    from vosd.config.cdr_map import read_cdr_map

    wanted = read_cdr_map(map_file, os.environ, diff)
    compares = wanted.layout.price is not None
    rating = ShadowRating(
        invocation.load().catalogue, wanted.side, includes_tax=wanted.includes_tax, compares=compares, most=top
    )
    with opened(file, wanted.layout) as calls, meter("rows") as shown:
        for line, call in calls.rows():
            if isinstance(call, BadRowError):
                rating.add_bad(line, call)
            elif each is None:
                rating.add(line, call)
            else:
                each(rating.add(line, call))
            if rating.rows % _SHOWN_EVERY == 0:
                shown.show(calls.part, rating.rows)
    return rating.to_json(top)


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
    output.line(f"{answer['rows']} rows, {answer['differ']} differ or have no rate")
    if answer["compares"]:
        show_differences(answer, "theirs", "ours")
    else:
        show_prices(answer)
