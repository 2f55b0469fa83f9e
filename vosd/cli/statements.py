"""``vosd ledger statement`` and ``vosd ledger balances``: months of accounts, and all balances at a moment."""

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

import click
from msgspec.structs import astuple

from vosd.cdr.columns import iso_utc
from vosd.cli import output
from vosd.cli.arguments import MOMENT, MONTH, ZONE, as_option
from vosd.cli.command import Invocation, Verb, json_verb
from vosd.cli.csv_form import csv_option, csv_writer
from vosd.cli.office import ordered, principal
from vosd.processes import loops
from vosd.wiring.office import office_of

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from vosd.admin.ledger import Month, StatementSheet

_LINE: Final = ("line", "count", "amount", "net", "tax")
_PROFIT: Final = ("currency", "calls", "income", "cost", "profit", "margin_percent", "in_two_currencies")
_BALANCE: Final = ("account", "currency", "balance")


@click.command("statement", cls=Verb)
@click.option("--account", "account_ids", multiple=True, metavar="ID", help="May be repeated.")
@click.option("--group", metavar="NAME", help="All configured accounts of this group.")
@click.option("--all", "of_all", is_flag=True, help="All accounts, configured or in the ledger.")
@click.option("--month", type=MONTH, required=True, metavar="YYYY-MM", help="Month of the entries.")
@click.option("--zone", type=ZONE, help="Zone in which the month begins and ends. Default: that of invoices.")
@as_option
@csv_option
@json_verb
def statement(
    invocation: Invocation,
    account_ids: tuple[str, ...],
    group: str | None,
    of_all: bool,
    month: "Month",
    zone: "ZoneInfo | None",
    as_csv: str | None,
) -> None:
    """Show a month of accounts: balance at its beginning, movements by kind with net and tax, balance at its end.

    Of one --account one document or table; of several, of a --group or of --all an array, or CSV with the account in
    each row. With --as the agent may name one account.
    """
    if as_csv and output.wants_json():
        raise click.UsageError("--csv or --json, not both")
    is_one = len(account_ids) == 1
    form = _Csv(as_csv, is_one=is_one) if as_csv else _Json(is_one=is_one) if output.wants_json() else _Tables()
    span = {"month": month, "zone": "" if zone is None else zone.key}
    wanted = {**span, "accounts": account_ids, "group": group, "of_all": of_all}
    loops.run(_print(invocation, wanted, form))


class _Csv:
    def __init__(self, as_csv: str, *, is_one: bool) -> None:
        self._is_one = is_one
        self._writer = csv_writer(as_csv)
        self._writer.row(_LINE if is_one else ("account", "currency", *_LINE))

    def add(self, sheet: "StatementSheet") -> None:
        before = () if self._is_one else (sheet.account, sheet.currency)
        self._writer.rows([(*before, *row) for row in _rows(sheet)])

    def finish(self) -> None:
        """Nothing follows the rows."""


class _Json:
    def __init__(self, *, is_one: bool) -> None:
        self._array = None if is_one else output.Documents()

    def add(self, sheet: "StatementSheet") -> None:
        if self._array is None:
            output.document(sheet)
        else:
            self._array.add(sheet)

    def finish(self) -> None:
        if self._array is not None:
            self._array.close()


class _Tables:
    def __init__(self) -> None:
        self._is_empty = True

    def add(self, sheet: "StatementSheet") -> None:
        if not self._is_empty:
            output.line("")
        self._is_empty = False
        output.line(f"{sheet.account} {sheet.month} ({sheet.zone}), {sheet.currency or 'no currency yet'}")
        output.table(_LINE, _rows(sheet), empty="")

    def finish(self) -> None:
        if self._is_empty:
            output.line("no accounts")


def _rows(sheet: "StatementSheet") -> "list[tuple[object, ...]]":
    return [
        ("opening", "", sheet.opening, "", ""),
        *((each.kind, each.count, each.amount, each.net, each.tax) for each in sheet.movements),
        ("closing", "", sheet.closing, "", ""),
    ]


async def _print(invocation: Invocation, wanted: dict[str, Any], form: "_Csv | _Json | _Tables") -> None:
    from vosd.admin.office.ledger import ShowStatements, show_statements

    async with (
        office_of(invocation) as office,
        aclosing(show_statements(office, principal(), ShowStatements(**wanted))) as found,
    ):
        async for sheet in found:
            form.add(sheet)
    form.finish()


@click.command("balances", cls=Verb)
@click.option("--at", "moment", type=MOMENT, required=True, metavar="TIME", help="Entries dated before count.")
@csv_option
@json_verb
def balances(invocation: Invocation, moment: int, as_csv: str | None) -> None:
    """Show the balance of every account at a moment, as its statement opens that begins then.

    Calls are dated by their end: one that ran then counts later. An account that was opened later has 0.00.
    """
    if as_csv and output.wants_json():
        raise click.UsageError("--csv or --json, not both")
    from vosd.admin.office.ledger import ListBalances, list_balances

    found = ordered(invocation, list_balances, ListBalances(moment))
    if output.wants_json():
        output.document({"at": iso_utc(moment), "accounts": found})
    elif as_csv:
        csv_writer(as_csv).rows([_BALANCE, *map(astuple, found)])
    else:
        output.records(_BALANCE, found, empty="no accounts")


@click.command("profit", cls=Verb)
@click.option("--since", type=MOMENT, required=True, metavar="TIME", help="Calls that ended then or later.")
@click.option("--until", type=MOMENT, required=True, metavar="TIME", help="Calls that ended before.")
@json_verb
def profit(invocation: Invocation, since: int, until: int) -> None:
    """Show what the calls of a time have brought and cost, without tax, in each currency.

    A call is paid for by the highest account above it: its last agent, else the customer. Minimums, and calls without
    CDR, are not in it.
    """
    from vosd.admin.office.ledger import ShowProfit, show_profit

    found = ordered(invocation, show_profit, ShowProfit(since, until))
    output.records(_PROFIT, found, empty="no calls")
