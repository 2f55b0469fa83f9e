"""``vosd account history`` and ``vosd account close``: what happened to an account's money, and the end of it."""

import asyncio
from typing import TYPE_CHECKING, Final

import click

from vosd.cli import output
from vosd.cli.arguments import operator_option
from vosd.cli.command import Invocation, Verb, json_option, pass_invocation
from vosd.cli.office import now_ms
from vosd.cli.output import Column

if TYPE_CHECKING:
    from vosd.admin.account_history import AccountChange
    from vosd.admin.closing import ClosedSheet

_HISTORY: Final = {
    "at": Column("at, UTC"),
    "action": Column("action", rank=3),
    "what": Column("what"),
    "before": Column("before", is_figure=True),
    "after": Column("after", is_figure=True),
    "by": Column("by", rank=2),
    "reference": Column("reference", rank=1, narrowest=10),
    "memo": Column("memo", narrowest=10),
}


@click.command("history", cls=Verb)
@click.argument("account_id", metavar="ID")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="Most changes listed.")
@json_option
@pass_invocation
def history(invocation: Invocation, account_id: str, limit: int, as_json: bool) -> None:
    """List what changed the money and the limits of an account, beside its calls: who, when, before, after.

    The newest first; changes of the configuration file are not in it.
    """
    changes = asyncio.run(_history(invocation, account_id, limit))
    if as_json:
        output.document(changes)
        return
    rows = [[getattr(change, key) for key in _HISTORY] for change in changes]
    width = output.columns_of_screen() or output.UNFOLDED
    output.listing([*_HISTORY.values()], rows, width, empty="nothing was changed")


async def _history(invocation: Invocation, account_id: str, limit: int) -> "list[AccountChange]":
    from vosd.admin.account_history import account_history
    from vosd.admin.ledger import known_standing
    from vosd.catalogue.overrides import Target
    from vosd.cli.database import database_of
    from vosd.storage.ledger import SqlLedger
    from vosd.storage.overrides import SqlOverrides
    from vosd.storage.queries import SqlQueries

    async with database_of(invocation.database_url) as database:
        await known_standing(invocation.excerpt.accounts(), SqlQueries(database), account_id)
        entries = await SqlLedger(database).by_hand(account_id, limit)
        changes = await SqlOverrides(database).changes(limit, account_id, Target.ACCOUNT)
        return account_history(entries, changes, limit)


@click.command("close", cls=Verb)
@click.argument("account_id", metavar="ID")
@click.option("--pay-out", is_flag=True, help="Book what is left as a refund.")
@click.option("--memo", metavar="TEXT")
@operator_option
@json_option
@pass_invocation
def close(
    invocation: Invocation, account_id: str, pay_out: bool, memo: str | None, operator: str, as_json: bool
) -> None:
    """Close an account: it has no more calls, and no money.

    Refused while its calls run or wait to be booked, and where its balance is not zero, unless --pay-out.
    vosd overrides clear ID --setting closed opens it again.
    """
    closed = asyncio.run(_close(invocation, account_id, memo, operator, pay_out=pay_out))
    if closed.untold:
        output.remark(f"stored, but the running switch has not taken it yet: {closed.untold}")
    if as_json:
        output.document(closed)
    else:
        output.line(f"account {account_id} is closed, {closed.paid_out} paid out, balance {closed.balance}")


async def _close(
    invocation: Invocation, account_id: str, memo: str | None, operator: str, *, pay_out: bool
) -> "ClosedSheet":
    from vosd.admin.closing import close_account
    from vosd.cli.database import database_of
    from vosd.storage.overrides import SqlOverrides
    from vosd.storage.payments import SqlPayments
    from vosd.storage.queries import SqlQueries

    accounts, switch = invocation.excerpt.accounts(), invocation.running_switch()
    async with database_of(invocation.database_url) as database:
        return await close_account(
            accounts,
            SqlQueries(database),
            SqlPayments(database),
            SqlOverrides(database),
            switch,
            account_id,
            pay_out=pay_out,
            confirm_above=invocation.excerpt.confirm_above,
            operator=operator,
            memo=memo,
            now=now_ms(),
        )
