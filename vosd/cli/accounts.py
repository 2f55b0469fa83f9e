"""``vosd account``: balances, limits and blocks."""

import asyncio
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from vosd.cli import output
from vosd.cli.account_changes import close, history
from vosd.cli.acting import as_option, authority, recorded_operator
from vosd.cli.arguments import EXPIRY, OVERDRAFT, operator_option
from vosd.cli.command import Family, Invocation, OperationError, json_option, pass_invocation
from vosd.cli.office import now_ms
from vosd.cli.output import Column
from vosd.cli.overrides import clear, order_of, order_options, put, show_set, show_unblocked

if TYPE_CHECKING:
    from vosd.admin.accounts import AccountSheet
    from vosd.admin.overrides import Outcome, OverrideOrder
    from vosd.admin.validity import ExpirySheet
    from vosd.billing.authority import Authority
    from vosd.cli.arguments import Expiry

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


account.add_command(history)
account.add_command(close)


@account.command("add")
@click.argument("account_id", metavar="ID")
@pass_invocation
def add(invocation: Invocation, account_id: str) -> None:
    """Say where account ID is to be defined: accounts are in the configuration files."""
    path = invocation.config_path()
    place = invocation.excerpt.accounts().place_of(account_id)
    if place is not None:
        message = f"account {account_id} is defined at {place}"
        raise OperationError(message)
    message = (
        f"accounts are defined in the configuration: add these lines to {path}, or to a file that it includes, then "
        f"say vosd check and vosd reload\n\naccounts:\n  - id: {account_id}\n    rate_group: NAME      # one of"
        " rate_groups\n    overdraft_limit: 0    # how far below zero its calls may go"
    )
    raise OperationError(message)


@account.command("show")
@click.argument("account_id", metavar="ID")
@click.option("--consumption", is_flag=True, help="Also what its calls cost today and this month, without tax.")
@as_option
@json_option
@pass_invocation
def show(invocation: Invocation, account_id: str, consumption: bool, acting: str | None, as_json: bool) -> None:
    """Show one account: balance, overdraft limit, amount reserved by running calls, available amount."""
    may = authority(invocation, acting)
    if may is not None:
        may.require_visible(account_id)
    shown = asyncio.run(_show(invocation, account_id, with_consumption=consumption))
    if may is not None:
        shown = _as_seen(shown, may)
    if as_json:
        output.document(shown)
    else:
        output.sheet({key: value for key, value in msgspec.structs.asdict(shown).items() if value is not msgspec.UNSET})


async def _show(invocation: Invocation, account_id: str, *, with_consumption: bool) -> "AccountSheet":
    from vosd.admin.accounts import WorkTimes, show_account
    from vosd.cli.database import database_of
    from vosd.storage.books import SqlBooks
    from vosd.storage.overrides import SqlOverrides
    from vosd.storage.queries import SqlQueries
    from vosd.storage.validity import SqlValidity

    accounts = invocation.excerpt.accounts()
    async with database_of(invocation.database_url) as database:
        books, queries = SqlBooks(database), SqlQueries(database)
        now = now_ms()
        overrides, work_times = (
            (await SqlOverrides(database).load()).at(now),
            WorkTimes(invocation.excerpt.calendars, now),
        )
        expires_at = await SqlValidity(database).expiry(account_id)
        agents = frozenset(accounts.agents().values())
        switch = invocation.running_switch()
        sheet = await show_account(
            accounts, books, queries, switch, account_id, overrides, work_times, expires_at, agents
        )
        if not with_consumption or account_id not in accounts:
            return sheet
        from vosd.admin.consumption import consumption_of
        from vosd.storage.consumption import SqlConsumption

        today, month = await consumption_of(SqlConsumption(database), accounts[account_id], now)
        return msgspec.structs.replace(sheet, consumed_today=today, consumed_month=month)


@account.command("list")
@click.option("--group", metavar="NAME", help="Accounts of this group only.")
@click.option("--agent", metavar="ID", help="Only the accounts that name this one as their agent.")
@click.option("--all", "is_whole", is_flag=True, help="With --agent: those below its sub-agents, too.")
@as_option
@json_option
@pass_invocation
def list_all(
    invocation: Invocation, group: str | None, agent: str | None, is_whole: bool, acting: str | None, as_json: bool
) -> None:
    """List all accounts, those of a group, or those below an agent."""
    may = authority(invocation, acting)
    if may is not None and agent is not None:
        may.require_visible(agent)
    if is_whole and agent is None:
        message = "--all says how many accounts below an agent are listed: give --agent as well"
        raise click.UsageError(message)
    sheets = asyncio.run(_list(invocation, agent, is_whole=is_whole))
    sheets = [each for each in sheets if group in {None, each.group}]
    if may is not None:
        sheets = [_as_seen(each, may) for each in sheets if each.id in may.visible]
    if group is not None and agent is None and not sheets:
        message = f"no account has the group {group!r}; vosd account groups lists them"
        raise OperationError(message)
    if as_json:
        output.document(sheets)
        return
    rows = [[getattr(sheet, key) for key in _ON_SCREEN] for sheet in sheets]
    width = output.columns_of_screen()
    if width is None:
        output.table([*_ON_SCREEN], rows, empty="no accounts")
    else:
        output.listing([*_ON_SCREEN.values()], rows, width, empty="no accounts")


def _as_seen(sheet: "AccountSheet", may: "Authority") -> "AccountSheet":
    from vosd.admin.agents import as_seen

    return as_seen(sheet, may)


@account.command("groups")
@json_option
@pass_invocation
def groups(invocation: Invocation, as_json: bool) -> None:
    """Add up balances and reserved amounts of each group of accounts, in each currency."""
    from vosd.admin.accounts import groups_of

    sums = groups_of(asyncio.run(_list(invocation)))
    if as_json:
        output.document(sums)
        return
    rows = [[each.group or "(none)", each.currency, each.accounts, each.balance, each.reserved] for each in sums]
    output.table(("group", "currency", "accounts", "balance", "reserved"), rows, empty="no accounts")


async def _list(invocation: Invocation, agent: str | None = None, *, is_whole: bool = False) -> "list[AccountSheet]":
    from vosd.admin.accounts import WorkTimes, configured, list_accounts
    from vosd.billing.agents import Hierarchy
    from vosd.cli.database import database_of
    from vosd.storage.books import SqlBooks
    from vosd.storage.overrides import SqlOverrides

    accounts = invocation.excerpt.accounts()
    async with database_of(invocation.database_url) as database:
        now = now_ms()
        overrides, work_times = (
            (await SqlOverrides(database).load()).at(now),
            WorkTimes(invocation.excerpt.calendars, now),
        )
        agents, switch = frozenset(accounts.agents().values()), invocation.running_switch()
        sheets = await list_accounts(accounts, SqlBooks(database), switch, overrides, work_times, agents)
    if agent is None:
        return sheets
    configured(accounts, agent)
    above = {name: accounts.agents().get(name) for name in accounts}
    hierarchy = Hierarchy(above)
    wanted = frozenset(hierarchy.all_below(agent) if is_whole else hierarchy.directly_below(agent))
    return [sheet for sheet in sheets if sheet.id in wanted]


@account.command("set")
@click.argument("account_id", metavar="ID")
@click.option("--overdraft-limit", type=OVERDRAFT, metavar="X", help="An amount, or unlimited.")
@click.option("--expires-at", type=EXPIRY, metavar="TIME", help="A time, never, or configured.")
@order_options
@pass_invocation
def set_values(
    invocation: Invocation,
    /,
    account_id: str,
    overdraft_limit: str | None,
    expires_at: "Expiry | None",
    acting: str | None,
    as_json: bool,
    **terms: Any,
) -> None:
    """Override values of an account: how far below zero calls may take its balance, until when it may be used.

    --expires-at wins over the configuration until payments or this verb change it.
    """
    from vosd.billing.rights import Right
    from vosd.catalogue.overrides import Setting

    if (overdraft_limit is None) == (expires_at is None):
        raise click.UsageError("say --overdraft-limit or --expires-at, one at a time")
    if overdraft_limit is not None:
        order = order_of({Setting.OVERDRAFT_LIMIT: overdraft_limit}, acting, **terms)
        show_set(asyncio.run(_set(invocation, account_id, order, acting)), as_json=as_json)
        return
    if terms["until"] is not None:
        raise click.UsageError("--until is not for --expires-at, which is a time itself")
    assert expires_at is not None, "one of the two was given"
    may = authority(invocation, acting)
    if may is not None:
        may.require_below(account_id, Right.ACCOUNTS)
    operator = recorded_operator(terms["operator"], acting)
    changed = asyncio.run(_set_expiry(invocation, account_id, expires_at, operator, terms["memo"]))
    if changed.untold:
        output.remark(f"stored, but the running switch has not taken it yet: {changed.untold}")
    if as_json:
        output.document(changed)
    else:
        output.line(f"account {account_id}: expires {changed.expires_at or 'never'}")


async def _set_expiry(
    invocation: Invocation, account_id: str, expires_at: "Expiry", operator: str, memo: str | None
) -> "ExpirySheet":
    from vosd.admin.validity import set_expiry
    from vosd.cli.database import database_of
    from vosd.storage.validity import SqlValidity

    accounts = invocation.excerpt.accounts()
    async with database_of(invocation.database_url) as database:
        return await set_expiry(
            accounts,
            SqlValidity(database),
            invocation.running_switch(),
            account_id,
            expires_at.wall_ms,
            operator=operator,
            memo=memo,
            now=now_ms(),
        )


def _destination_option(command: Any) -> Any:
    help_text = "Only its calls to this class of destination_classes."
    return click.option("--destination", metavar="CLASS", help=help_text)(command)


@account.command("block")
@click.argument("account_id", metavar="ID")
@_destination_option
@order_options
@pass_invocation
def block(
    invocation: Invocation,
    /,
    account_id: str,
    destination: str | None,
    acting: str | None,
    as_json: bool,
    **terms: Any,
) -> None:
    """Refuse new calls of an account, and use no gateway of it; running calls go on."""
    from vosd.catalogue.overrides import Setting

    order = order_of({Setting.BLOCKED: ""}, acting, **terms)
    if destination is None:
        outcome = asyncio.run(_set(invocation, account_id, order, acting))
    else:
        outcome = asyncio.run(_block_destination(invocation, account_id, destination, order, acting))
    show_set(outcome, as_json=as_json)


@account.command("unblock")
@click.argument("account_id", metavar="ID")
@_destination_option
@operator_option
@as_option
@json_option
@pass_invocation
def unblock(
    invocation: Invocation,
    /,
    account_id: str,
    destination: str | None,
    operator: str,
    acting: str | None,
    as_json: bool,
) -> None:
    """End the block of an account; exit code 1 if there was none."""
    from vosd.admin.overrides import Selection
    from vosd.billing.rights import Right
    from vosd.catalogue.overrides import Setting, Target, destination_name

    may = authority(invocation, acting)
    if may is not None:
        may.require_below(account_id, Right.ACCOUNTS)
    fitting, what = Selection((Target.ACCOUNT,), account_id, Setting.BLOCKED), f"account {account_id}"
    if destination is not None:
        name = destination_name(account_id, destination)
        fitting, what = Selection((Target.DESTINATION,), name, Setting.BLOCKED), f"destination {name}"
    outcome = asyncio.run(clear(invocation, fitting, recorded_operator(operator, acting), may=may))
    show_unblocked(outcome, what, as_json=as_json)


async def _block_destination(
    invocation: Invocation, account_id: str, destination: str, order: "OverrideOrder", acting: str | None
) -> "Outcome":
    from vosd.admin.overrides import Configured, destination_targets
    from vosd.billing.rights import Right
    from vosd.catalogue.overrides import destination_name

    may = authority(invocation, acting)
    if may is not None:
        may.require_below(account_id, Right.ACCOUNTS)
    known = Configured(invocation.excerpt.accounts(), (), (), invocation.excerpt.destination_classes())
    targets = destination_targets(account_id, destination, known)
    return await put(invocation, destination_name(account_id, destination), targets, order, may)


async def _set(invocation: Invocation, account_id: str, order: "OverrideOrder", acting: str | None) -> "Outcome":
    from vosd.admin.accounts import shown_limit
    from vosd.admin.overrides import account_targets
    from vosd.billing.rights import Right
    from vosd.catalogue.overrides import Setting

    accounts = invocation.excerpt.accounts()
    may = authority(invocation, acting)
    if may is not None:  # an overdraft limit is credit, which is given as money is
        is_credit = Setting.OVERDRAFT_LIMIT in order.values
        may.require_below(account_id, Right.SUB_PAYMENTS if is_credit else Right.ACCOUNTS)
    targets = account_targets(account_id, accounts)
    if Setting.OVERDRAFT_LIMIT in order.values:
        limit = accounts[account_id].overdraft_limit
        order = order._replace(configured={Setting.OVERDRAFT_LIMIT: shown_limit(limit)})
    return await put(invocation, account_id, targets, order, may)
