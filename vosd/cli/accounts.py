"""``vosd account`` and ``vosd payment``: whose money there is, and new money."""

import asyncio
import os
import pwd
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import click
import msgspec

from vosd.cli import output
from vosd.cli.arguments import AMOUNT
from vosd.cli.command import Family, Invocation, json_option, pass_invocation
from vosd.cli.later import not_built_yet

if TYPE_CHECKING:
    from vosd.admin.accounts import AccountSheet
    from vosd.admin.payments import PaymentReceipt

ZERO_TYPE: Final = "zero"


@click.group(cls=Family)
def account() -> None:
    """Accounts and their balances."""


account.add_command(not_built_yet("set"))
account.add_command(not_built_yet("block"))
account.add_command(not_built_yet("unblock"))


@account.command("show")
@click.argument("account_id", metavar="ID")
@json_option
@pass_invocation
def show(invocation: Invocation, account_id: str, as_json: bool) -> None:
    """Show one account: balance, overdraft limit, what running calls reserve, what is available."""
    shown = asyncio.run(_show(invocation, account_id))
    if as_json:
        output.document(shown)
    else:
        output.sheet(msgspec.structs.asdict(shown))


async def _show(invocation: Invocation, account_id: str) -> "AccountSheet":
    from vosd.admin.accounts import show_account
    from vosd.cli.database import database_of
    from vosd.storage.books import SqlBooks

    loaded = invocation.load()
    async with database_of(loaded.settings) as database:
        return await show_account(loaded.catalogue, SqlBooks(database), invocation.running_switch(), account_id)


@account.command("list")
@json_option
@pass_invocation
def list_all(invocation: Invocation, as_json: bool) -> None:
    """List all accounts."""
    sheets = asyncio.run(_list(invocation))
    if as_json:
        output.document(sheets)
        return
    columns = ("id", "type", "balance", "overdraft_limit", "reserved", "available", "currency", "blocked")
    rows = [[getattr(sheet, column) for column in columns] for sheet in sheets]
    output.table(columns, rows, empty="no accounts")


async def _list(invocation: Invocation) -> "list[AccountSheet]":
    from vosd.admin.accounts import list_accounts
    from vosd.cli.database import database_of
    from vosd.storage.books import SqlBooks

    loaded = invocation.load()
    async with database_of(loaded.settings) as database:
        return await list_accounts(loaded.catalogue, SqlBooks(database), invocation.running_switch())


@click.group(cls=Family)
def payment() -> None:
    """Money that does not come from calls."""


@payment.command("add")
@click.option("--account", "account_id", required=True, metavar="ID")
@click.option("--amount", type=AMOUNT, metavar="DECIMAL", help="May be negative; zero takes none.")
@click.option(
    "--type",
    "kind",
    type=click.Choice(["payment", "adjustment", ZERO_TYPE]),
    default="payment",
    show_default=True,
    help="zero brings the balance to zero.",
)
@click.option("--reference", metavar="TEXT", help="Unique name: the same one is booked once.")
@click.option("--memo", metavar="TEXT")
@json_option
@pass_invocation
def add(
    invocation: Invocation,
    account_id: str,
    amount: Decimal | None,
    kind: str,
    reference: str | None,
    memo: str | None,
    as_json: bool,
) -> None:
    """Book money on an account and print its balance before and after."""
    if (amount is None) != (kind == ZERO_TYPE):
        raise click.UsageError("--amount is needed, except with --type zero, which takes none")
    if amount is not None and not amount:
        raise click.UsageError("--amount 0 books nothing")
    if reference == "":  # a script's variable that is not set would book again each time it runs
        raise click.UsageError("--reference is empty; leave it out for a payment that need not be repeatable")
    receipt = asyncio.run(_add(invocation, account_id, amount or Decimal(0), kind, reference, memo))
    if receipt.untold:
        output.remark(f"booked, but the running switch has not taken the new balance yet: {receipt.untold}")
    if as_json:
        output.document(receipt)
        return
    if receipt.repeated:
        output.line(f"reference {receipt.reference} was booked before; nothing was booked now")
    output.sheet({"balance before": receipt.before, "amount": receipt.amount, "balance after": receipt.after})


async def _add(
    invocation: Invocation, account_id: str, amount: Decimal, kind: str, reference: str | None, memo: str | None
) -> "PaymentReceipt":
    from vosd.admin.payments import add_payment
    from vosd.cli.database import database_of
    from vosd.storage.payments import SqlPayments
    from vosd.storage.ports import EntryKind, Payment

    loaded = invocation.load()
    wanted = Payment(
        account=account_id,
        kind=EntryKind(kind),
        reference=reference or str(uuid4()),
        made_at=time.time_ns() // 1_000_000,
        amount=amount,
        operator=pwd.getpwuid(os.getuid()).pw_name,
        memo=memo,
    )
    async with database_of(loaded.settings) as database:
        payments = SqlPayments(database)
        return await add_payment(loaded.catalogue, payments, invocation.running_switch(), wanted)
