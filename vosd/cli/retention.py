"""``vosd retention``: drop old records, and what was dropped."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from vosd.base.money import format_amount
from vosd.cli import output
from vosd.cli.arguments import operator_verb
from vosd.cli.command import Family, Invocation, OperationError, json_verb
from vosd.cli.office import in_office, ordered, principal, warn_root

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vosd.admin.retention import KindSheet, RetentionRun
    from vosd.storage.daily_totals import TotalsLine

LINE_S: Final = 10.0
"""Seconds between two lines of progress."""
_DAY: Final = click.DateTime(["%Y-%m-%d"])


@click.group(cls=Family)
def retention() -> None:
    """Records whose time is over."""


@retention.command("run")
@click.option("--dry-run", is_flag=True, help="Show what would go, and drop nothing.")
@operator_verb
def run(invocation: Invocation, dry_run: bool) -> None:
    """Drop the records whose time is over, and mask numbers, as `retention` in the configuration says, in small steps.

    The switch may run meanwhile. Exit code 1 if a guard keeps records although their time is over, or if `retention`
    names no time at all.
    """
    from vosd.processes.life import give_way

    give_way()
    from vosd.admin.office.retention import RunRetention, run_retention

    who, order = principal(), RunRetention(dry_run)
    if not dry_run:
        warn_root(invocation)
    done = in_office(invocation, lambda office: run_retention(office, who, order, _Progress().show))
    if not output.printed_as_json(done):
        _print_run(done, is_trial=dry_run)
    if any(sheet.held for sheet in done.kinds):
        sys.exit(OperationError.exit_code)


class _Progress:
    """Says every few seconds how many records were looked at."""

    def __init__(self) -> None:
        self._said_at = time.monotonic()

    def show(self, looked_at: int) -> None:
        if time.monotonic() - self._said_at >= LINE_S:
            self._said_at = time.monotonic()
            output.remark(f"{looked_at:,} records")


def _print_run(done: "RetentionRun", *, is_trial: bool) -> None:
    for sheet in done.kinds:
        _show(sheet, is_trial=is_trial)
    if done.daily_totals_dropped or not done.kinds:
        verb = "that would be dropped" if is_trial else "dropped"
        output.line(f"daily totals {verb}: {done.daily_totals_dropped:,}")
    if done.partitions_dropped:
        output.line(f"empty months dropped: {', '.join(done.partitions_dropped)}")
    if done.partitions_left:
        output.remark(f"empty months that were not dropped: {done.partitions_left}")


def _show(sheet: "KindSheet", *, is_trial: bool) -> None:
    from vosd.cdr.retention import RecordKind

    done = "masked" if sheet.kind == RecordKind.NUMBERS.value else "dropped"
    verb = f"would be {done}" if is_trial else done
    before = f"before {sheet.dropped_before[:10]}" if sheet.dropped_before else "none"
    output.line(f"{sheet.kind}, kept {sheet.age}: {before} {verb}")
    rows = [(each.month, each.records, _amounts(each.amounts)) for each in sheet.months]
    output.table(("month", "records", "amounts"), rows, empty="no records")
    if sheet.late:
        output.line(f"stay one by one, as they were booked or corrected late: {sheet.late:,}")
    for hold in sheet.held:
        since = f"from {hold.kept_from[:10]} on" if hold.kept_from else "all"
        output.line(f"kept {since}, although older than {sheet.older_than[:10]}: {hold.why}")


def _amounts(amounts: "Mapping[str, Mapping[str, str]]") -> str:
    return "; ".join(
        ", ".join(f"{name} {amount}" for name, amount in sums.items()) + f" {currency}"
        for currency, sums in amounts.items()
    )


@retention.command("history")
@json_verb
def history(invocation: Invocation) -> None:
    """List what was dropped or masked, the latest first: records and sums of each run and month."""
    from vosd.admin.office.retention import ListDrops, list_drops
    from vosd.cdr.columns import iso_utc

    found = ordered(invocation, list_drops, ListDrops())
    times = ("dropped_before", "begun_at", "ended_at")
    shown = [{**each._asdict(), **{name: iso_utc(getattr(each, name)) for name in times}} for each in found]
    if output.printed_as_json(shown):
        return
    columns = ("ended_at", "operator", "kind", "month", "records", "amounts", "dropped_before")
    rows = [[_amounts(row[name]) if name == "amounts" else row[name] for name in columns] for row in shown]
    output.table(columns, rows, empty="nothing was ever dropped")


@retention.command("archive")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_verb
def archive(invocation: Invocation, file: Path) -> None:
    """Check an archive of dropped payments, and show how many it has with their sums; zcat FILE shows them."""
    from vosd.admin.office.retention import CheckArchive, check_archive

    found = ordered(invocation, check_archive, CheckArchive(str(file)))
    if output.printed_as_json(found):
        return
    amounts = ", ".join(f"{amount} {currency}" for currency, amount in found.amounts.items())
    output.line(f"{found.file}: complete, {found.entries} entries closed before {found.dropped_before}, {amounts}")


@retention.command("totals")
@click.option("--since", default="0001-01-01", type=_DAY, help="First day, UTC.")
@click.option("--until", default="9999-12-31", type=_DAY, help="Last day.")
@click.option("--by-month", is_flag=True, help="Months instead of days.")
@json_verb
def totals(invocation: Invocation, since: object, until: object, by_month: bool) -> None:
    """Show totals of dropped calls by day, accounts, gateways and currencies; calls that are there do not count."""
    from vosd.admin.office.retention import ShowDroppedTotals, show_dropped_totals

    order = ShowDroppedTotals(first=str(since)[:10], last=str(until)[:10], by_month=by_month)
    found = ordered(invocation, show_dropped_totals, order)
    shown = [_line(each) for each in found]
    if output.printed_as_json(shown):
        return
    columns = tuple(shown[0]) if shown else ()
    output.table(columns, [list(row.values()) for row in shown], empty="no calls were dropped")


def _line(line: "TotalsLine") -> dict[str, object]:
    names = ("customer_account", "vendor_account", "mapping_gateway", "routing_gateway", "currency", "vendor_currency")
    money = ("fee", "tax", "cost", "cost_tax")
    return {
        **line._asdict(),
        **{name: getattr(line, name) or None for name in names},
        **{name: format_amount(getattr(line, name)) for name in money},
    }
