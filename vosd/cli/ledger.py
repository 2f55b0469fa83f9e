"""``vosd ledger``: entries, statements, and verification of the books."""

import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import click
from msgspec.structs import asdict

from vosd.base.money import format_amount
from vosd.cdr.columns import iso_utc
from vosd.cli import output
from vosd.cli.arguments import (
    BOOK_DATE,
    MOMENT,
    MONTH,
    ZONE,
    Count,
    as_option,
    ask,
    beginning_of_day,
    operator_verb,
    yes_option,
)
from vosd.cli.command import Family, Invocation, OperationError, json_verb
from vosd.cli.csv_form import csv_option, csv_writer
from vosd.cli.office import in_office, principal
from vosd.cli.statements import balances, profit, statement
from vosd.processes import loops
from vosd.wiring.office import office_of

if TYPE_CHECKING:
    from datetime import date

    from vosd.admin.ledger import ListedEntry, Month
    from vosd.admin.office.ledger import ListEntries, VerifiedLedger
    from vosd.storage.faults import BookDifference

_LINE: Final = "{created_at:24} {account:12} {kind:10} {amount:>15} {balance_after:>15}  {reference}"
"""An entry for people; lines are printed as they are read, so that widths are fixed."""
_ON_SCREEN: Final = "{created_at:19} {account:12} {kind:10} {amount:>13} {balance_after:>13} {reference}"
"""Columns on a screen, which is cut at its width."""
_SECONDS: Final = len("2026-11-22T20:45:25")
_AMOUNTS_END: Final = 71
"""Columns of such a line up to the balance."""
_TITLES: Final = {
    "created_at": "date, UTC",
    "account": "account",
    "kind": "kind",
    "amount": "amount",
    "balance_after": "balance after",
    "reference": "reference",
}


KINDS: Final = ("call", "payment", "adjustment", "zero", "refund", "transfer", "minimum", "correction", "earned")
"""The kinds of entries (``vosd.storage.ports.EntryKind``), and ``earned``, entries of calls that a partner has carried.

Written here so that only commands that need the database load it."""


@click.group(cls=Family)
def ledger() -> None:
    """The ledger."""


ledger.add_command(statement)
ledger.add_command(balances)
ledger.add_command(profit)


@ledger.command("list")
@click.option("--account", metavar="ID", help="Of this account; default: of all, in the order of booking.")
@click.option("--since", type=MOMENT, help="Entries dated then or later: calls by their end.")
@click.option("--until", type=MOMENT, help="Entries dated before.")
@click.option("--type", "kinds", type=click.Choice(KINDS), multiple=True, help="Of this kind; may be repeated.")
@click.option("--operator", metavar="NAME", help="Booked by this person.")
@click.option("--limit", "newest", type=Count(1), metavar="N", help="The newest N of them.")
@click.option("--newest-first", is_flag=True, help="From the entry that was booked last.")
@as_option
@csv_option
@json_verb
def list_entries(invocation: Invocation, /, as_csv: str | None, **criteria: Any) -> None:
    """List entries as they were booked, with the balance after each; with --as those of the agent unless --account."""
    from vosd.admin.office.ledger import ListEntries

    if as_csv and output.wants_json():
        raise click.UsageError("--csv or --json, not both")
    form = _Csv(as_csv) if as_csv else _Json() if output.wants_json() else _Lines()
    loops.run(_list(invocation, ListEntries(**criteria), form))


class _Csv:
    def __init__(self, as_csv: str) -> None:
        self._writer = csv_writer(as_csv)
        self._has_header = False

    def add(self, entry: "ListedEntry") -> None:
        self.finish()
        self._writer.row(asdict(entry).values())

    def finish(self) -> None:
        from vosd.admin.ledger import ListedEntry

        if not self._has_header:
            self._writer.row(ListedEntry.__struct_fields__)
            self._has_header = True


class _Json:
    def __init__(self) -> None:
        self._array = output.Documents()

    def add(self, entry: "ListedEntry") -> None:
        self._array.add(entry)

    def finish(self) -> None:
        self._array.close()


class _Lines:
    def __init__(self) -> None:
        self._is_empty = True
        self._width = output.columns_of_screen()

    def add(self, entry: "ListedEntry") -> None:
        if self._is_empty:
            self._print(_TITLES)
            self._is_empty = False
        self._print(asdict(entry), f" ({entry.memo})" if entry.memo else "")

    def _print(self, entry: dict[str, Any], memo: str = "") -> None:
        if self._width is None:
            output.line(output.printable(_LINE.format(**entry) + memo))
            return
        shown = output.printable(_ON_SCREEN.format(**entry | {"created_at": entry["created_at"][:_SECONDS]}) + memo)
        # Amounts are never cut; what is behind them is.
        output.line(shown if len(shown) <= self._width else f"{shown[: max(self._width - 1, _AMOUNTS_END)].rstrip()}…")

    def finish(self) -> None:
        if self._is_empty:
            output.line("no entries")


async def _list(invocation: Invocation, order: "ListEntries", form: "_Csv | _Json | _Lines") -> None:
    from vosd.admin.office.ledger import list_entries

    async with office_of(invocation) as office, aclosing(list_entries(office, principal(), order)) as found:
        async for entry in found:
            form.add(entry)
        form.finish()


@ledger.command("minimum")
@click.option("--month", type=MONTH, required=True, metavar="YYYY-MM", help="A month that is over.")
@click.option("--zone", type=ZONE, help="Zone in which the month begins and ends. Default: that of invoices.")
@operator_verb
def minimum(invocation: Invocation, month: "Month", zone: "ZoneInfo | None") -> None:
    """Book what a month lacks of the minimum consumption of each account; a repeat books nothing more.

    An account with calls that the running switch has not booked yet is left out: exit code 1, say the same again.
    """
    from vosd.admin.office.minimum import BookMinimums, book_minimums
    from vosd.cli.progress import meter

    order = BookMinimums(month, "" if zone is None else zone.key)
    who = principal()
    with meter("accounts") as shown:
        sheets = in_office(invocation, lambda office: book_minimums(office, who, order, shown.show))
    if not output.printed_as_json(sheets):
        rows = [[each.account, each.minimum, each.consumed, each.charged, each.outcome] for each in sheets]
        empty = "no account has a minimum_consumption"
        output.table(("account", "minimum", "consumed", "charged", "outcome"), rows, empty=empty)
    waiting = [f"{each.unbooked} of {each.account}" for each in sheets if each.unbooked]
    if waiting:
        message = f"{', '.join(waiting)} is not booked yet: try again when it is (vosd status, vosd spool list)"
        raise OperationError(message)


@ledger.command("close")
@click.option("--until", type=BOOK_DATE, required=True, metavar="DATE", help="Entries dated before are closed.")
@click.option("--memo", metavar="TEXT", help="Why; kept with the close.")
@click.option("--force", is_flag=True, help="Close although vosd ledger verify finds differences.")
@yes_option
@operator_verb
def close(invocation: Invocation, until: "int | date", memo: str | None, force: bool, yes: bool) -> None:
    """Close a period: note the balance of every account at a date, from where vosd ledger verify starts from then on.

    A date begins in the zone of `invoices.timezone`. It asks before. The ledger is verified first. What is booked later
    counts for the next period, whatever its date.
    """
    if not isinstance(until, int):
        until = beginning_of_day(until, ZoneInfo(invocation.excerpt.settings.invoices.zone))
    ask(f"Entries before {iso_utc(until)} cannot be changed or opened again. Close the period?", yes=yes)
    from vosd.admin.office.ledger import ClosePeriod, close_period
    from vosd.cli.progress import meter

    order, who = ClosePeriod(until, memo, force), principal()
    with meter("calls") as shown:
        closing = in_office(invocation, lambda office: close_period(office, who, order, shown.show))
    output.outcome(
        closing, f"closed until {closing.closed_until}: {closing.accounts} accounts, {closing.entries} entries"
    )


@ledger.command("verify")
@click.option("--whole", is_flag=True, help="From the first entry, not from the latest close.")
@json_verb
def verify(invocation: Invocation, whole: bool) -> None:
    """Recompute balances from entries and entries from call records, and compare them with the journal.

    Calls on their way to the database are no difference. Exit code 1 if anything differs.
    """
    from vosd.admin.office.ledger import VerifyLedger, verify_ledger
    from vosd.cli.progress import meter

    differences = _Differences(is_printed=not output.wants_json())
    order, who = VerifyLedger(whole), principal()
    with meter("calls") as shown:
        result = in_office(invocation, lambda office: verify_ledger(office, who, order, differences.add, shown.show))
    output.outcome(
        asdict(result) | {"differences": [_difference(each) for each in differences.kept]},
        f"{_verified(result)}: {differences.count or 'no'} differences",
    )
    if differences.count:
        sys.exit(OperationError.exit_code)


class _Differences:
    """Prints differences as they are found, or keeps them for one document."""

    def __init__(self, *, is_printed: bool) -> None:
        self._is_printed = is_printed
        self.count = 0
        self.kept: list[BookDifference] = []

    def add(self, difference: "BookDifference") -> None:
        self.count += 1
        if self._is_printed:
            # click by itself would write behind the bar that is drawn meanwhile
            click.echo(str(difference), file=sys.stdout)
        else:
            self.kept.append(difference)


def _verified(result: "VerifiedLedger") -> str:
    calls = f"{result.calls} calls with a record, {result.calls_without_cdr} without"
    waiting = f"{result.journal_records} records in the journal ({result.waiting} calls not booked yet)"
    journal = "no journal here" if result.journal_records is None else waiting
    return f"{result.accounts} accounts, {result.entries} entries, {calls}, {journal}"


def _difference(difference: "BookDifference") -> dict[str, object]:
    amounts = {"expected": format_amount(difference.expected), "found": format_amount(difference.found)}
    return difference._asdict() | {"fault": difference.fault.value} | amounts
