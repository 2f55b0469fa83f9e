"""``vosd account``: balances, limits and blocks."""

import asyncio
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from vosd.cli import output
from vosd.cli.arguments import OVERDRAFT, operator_option
from vosd.cli.command import Family, Invocation, json_option, pass_invocation
from vosd.cli.output import Column
from vosd.cli.overrides import clear, now_ms, order_of, order_options, put, show_set, show_unblocked

if TYPE_CHECKING:
    from vosd.admin.accounts import AccountSheet
    from vosd.admin.overrides import Order, Outcome

_ON_SCREEN: Final = {
    "id": Column("id", narrowest=12),
    "type": Column("type", rank=3),
    "balance": Column("balance", is_figure=True),
    "overdraft_limit": Column("overdraft", rank=1, is_figure=True),
    "reserved": Column("reserved", rank=2, is_figure=True),
    "available": Column("available", is_figure=True),
    "currency": Column("currency"),
    "blocked": Column("blocked"),
}
"""The listing on a terminal: one line for each account, also at 80 columns; amounts are never cut."""


@click.group(cls=Family)
def account() -> None:
    """Accounts and their balances."""


@account.command("show")
@click.argument("account_id", metavar="ID")
@json_option
@pass_invocation
def show(invocation: Invocation, account_id: str, as_json: bool) -> None:
    """Show one account: balance, overdraft limit, amount reserved by running calls, available amount."""
    shown = asyncio.run(_show(invocation, account_id))
    if as_json:
        output.document(shown)
    else:
        output.sheet({key: value for key, value in msgspec.structs.asdict(shown).items() if value is not msgspec.UNSET})


async def _show(invocation: Invocation, account_id: str) -> "AccountSheet":
    from vosd.admin.accounts import WorkTimes, show_account
    from vosd.cli.database import database_of
    from vosd.storage.books import SqlBooks
    from vosd.storage.overrides import SqlOverrides
    from vosd.storage.queries import SqlQueries

    accounts = invocation.excerpt.accounts()
    async with database_of(invocation.settings) as database:
        books, queries = SqlBooks(database), SqlQueries(database)
        now = now_ms()
        overrides, work_times = (
            (await SqlOverrides(database).load()).at(now),
            WorkTimes(invocation.excerpt.calendars, now),
        )
        return await show_account(
            accounts, books, queries, invocation.running_switch(), account_id, overrides, work_times
        )


@account.command("list")
@json_option
@pass_invocation
def list_all(invocation: Invocation, as_json: bool) -> None:
    """List all accounts."""
    sheets = asyncio.run(_list(invocation))
    if as_json:
        output.document(sheets)
        return
    rows = [[getattr(sheet, key) for key in _ON_SCREEN] for sheet in sheets]
    width = output.columns_of_screen()
    if width is None:
        output.table([*_ON_SCREEN], rows, empty="no accounts")
    else:
        output.listing([*_ON_SCREEN.values()], rows, width, empty="no accounts")


async def _list(invocation: Invocation) -> "list[AccountSheet]":
    from vosd.admin.accounts import WorkTimes, list_accounts
    from vosd.cli.database import database_of
    from vosd.storage.books import SqlBooks
    from vosd.storage.overrides import SqlOverrides

    accounts = invocation.excerpt.accounts()
    async with database_of(invocation.settings) as database:
        now = now_ms()
        overrides, work_times = (
            (await SqlOverrides(database).load()).at(now),
            WorkTimes(invocation.excerpt.calendars, now),
        )
        return await list_accounts(accounts, SqlBooks(database), invocation.running_switch(), overrides, work_times)


@account.command("set")
@click.argument("account_id", metavar="ID")
@click.option("--overdraft-limit", type=OVERDRAFT, required=True, metavar="X", help="An amount, or unlimited.")
@order_options
@pass_invocation
def set_values(invocation: Invocation, /, account_id: str, overdraft_limit: str, as_json: bool, **terms: Any) -> None:
    """Override values of an account: how far below zero calls may take its balance."""
    from vosd.catalogue.overrides import Setting

    order = order_of({Setting.OVERDRAFT_LIMIT: overdraft_limit}, **terms)
    show_set(asyncio.run(_set(invocation, account_id, order)), as_json=as_json)


@account.command("block")
@click.argument("account_id", metavar="ID")
@order_options
@pass_invocation
def block(invocation: Invocation, /, account_id: str, as_json: bool, **terms: Any) -> None:
    """Refuse new calls of an account, and use no gateway of it; running calls go on."""
    from vosd.catalogue.overrides import Setting

    order = order_of({Setting.BLOCKED: ""}, **terms)
    show_set(asyncio.run(_set(invocation, account_id, order)), as_json=as_json)


@account.command("unblock")
@click.argument("account_id", metavar="ID")
@operator_option
@json_option
@pass_invocation
def unblock(invocation: Invocation, /, account_id: str, operator: str, as_json: bool) -> None:
    """End the block of an account; exit code 1 if there was none."""
    from vosd.admin.overrides import Selection
    from vosd.catalogue.overrides import Setting, Target

    fitting = Selection((Target.ACCOUNT,), account_id, Setting.BLOCKED)
    outcome = asyncio.run(clear(invocation, fitting, operator))
    show_unblocked(outcome, f"account {account_id}", as_json=as_json)


async def _set(invocation: Invocation, account_id: str, order: "Order") -> "Outcome":
    from vosd.admin.overrides import account_targets

    return await put(invocation, account_id, account_targets(account_id, invocation.excerpt.accounts()), order)
