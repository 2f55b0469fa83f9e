"""``vosd account``: balances, limits, blocks, what happened to its money, and the end of it."""

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from vosd.cli import output
from vosd.cli.arguments import EXPIRY, FOR_PEOPLE, WholeNumber, as_option, limit_option, operator_option, operator_verb
from vosd.cli.command import Family, Invocation, OperationError, json_verb, pass_invocation
from vosd.cli.office import in_office, ordered, principal
from vosd.cli.output import ScreenColumn
from vosd.cli.overrides import order_options, show_set, show_unblocked
from vosd.cli.price_tables import say_other_rates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vosd.admin.account_rates import PriceSheet
    from vosd.admin.office.accounts import AccountSheet
    from vosd.admin.office.office import Office
    from vosd.admin.office.principal import Principal
    from vosd.admin.office.rates import ListPrices
    from vosd.cli.arguments import Expiry

_ON_SCREEN: Final = {
    "id": ScreenColumn("id", narrowest=12),
    "type": ScreenColumn("type", rank=3),
    "balance": ScreenColumn("balance", is_figure=True),
    "overdraft_limit": ScreenColumn("overdraft", rank=1, is_figure=True),
    "reserved": ScreenColumn("reserved", rank=2, is_figure=True),
    "available": ScreenColumn("available", is_figure=True),
    "currency": ScreenColumn("currency"),
    "blocked": ScreenColumn("blocked"),
}
"""The listing on a terminal: one line for each account, also at 80 columns; amounts are never cut."""
_COUNTS: Final = {
    "gateways": ScreenColumn("gateways", is_figure=True),
    "phones": ScreenColumn("phones", is_figure=True),
}
_CONSUMPTION: Final = {"charged_today": ScreenColumn("charged today", is_figure=True)}
AGENT_COLUMNS: Final = ("account", "name", "agent", "rights", "suspended", "accounts", "people", "tokens")
"""Columns of the listing of agents: the fields of ``AgentSheet``, so that only that verb loads the office."""
_PRICES: Final = {
    "prefix": ScreenColumn("prefix"),
    "area": ScreenColumn("area", narrowest=10),
    "price_per_minute": ScreenColumn("a minute", is_figure=True),
    "currency": ScreenColumn("currency"),
    "billing_cycle": ScreenColumn("cycle s", is_figure=True, rank=1),
    "first_duration": ScreenColumn("first s", is_figure=True, rank=3),
    "first_rate": ScreenColumn("first", is_figure=True, rank=3),
    "connection_fee": ScreenColumn("connection", is_figure=True, rank=4),
    "minimum_charge": ScreenColumn("minimum", is_figure=True, rank=5),
    "tax_rate": ScreenColumn("tax %", is_figure=True, rank=2),
}
_HISTORY: Final = {
    "at": ScreenColumn("at, UTC"),
    "action": ScreenColumn("action", rank=3),
    "what": ScreenColumn("what"),
    "before": ScreenColumn("before", is_figure=True),
    "after": ScreenColumn("after", is_figure=True),
    "by": ScreenColumn("by", rank=2),
    "reference": ScreenColumn("reference", rank=1, narrowest=10),
    "memo": ScreenColumn("memo", narrowest=10),
}


@click.group(cls=Family)
def account() -> None:
    """Accounts and their balances."""


@account.command("add")
@click.argument("account_id", metavar="ID")
@pass_invocation
def add(invocation: Invocation, account_id: str) -> None:
    """Say where account ID is to be defined, or where it is."""
    from vosd.config.stored_text import named_place

    path = invocation.config_path()
    place = invocation.excerpt.accounts().place_of(account_id)
    if place is not None:
        raise OperationError(f"account {account_id} is defined at {named_place(place, path)}")
    raise OperationError(
        "accounts are defined in the database (vosd definitions set accounts) or in the configuration: add these lines "
        f"to {path}, or to a file that it includes, then say vosd check and vosd reload\n\naccounts:\n"
        f"  - id: {account_id}\n    rate_group: NAME      # one of rate_groups\n"
        "    overdraft_limit: 0    # how far below zero its calls may go"
    )


@account.command("show")
@click.argument("account_id", metavar="ID")
@click.option("--consumption", is_flag=True, help="Also what its calls cost today and this month, without tax.")
@click.option("--counts", is_flag=True, help="Also how many gateways and phones it has.")
@as_option
@json_verb
def show(invocation: Invocation, account_id: str, consumption: bool, counts: bool) -> None:
    """Show one account: balance, overdraft limit, amount reserved by running calls, available amount."""
    from vosd.admin.office.accounts import ShowAccount, show_account

    shown = ordered(invocation, show_account, ShowAccount(account_id, consumption, counts=counts))
    if not output.printed_as_json(shown):
        output.sheet({key: value for key, value in msgspec.structs.asdict(shown).items() if value is not msgspec.UNSET})
    if shown.configured_currency is not msgspec.UNSET:
        output.remark(f"the configuration says {shown.configured_currency}, which is not in force")
    if shown.close_unfinished is not msgspec.UNSET:
        output.remark(
            f"account {account_id} is closed, but not at its end: vosd account close {account_id} --pay-out completes"
            f" it, vosd overrides clear {account_id} --setting closed opens it again"
        )


def _print_accounts(sheets: "Sequence[AccountSheet]", columns: dict[str, ScreenColumn]) -> None:
    rows = [[getattr(sheet, key) for key in columns] for sheet in sheets]
    width = output.columns_of_screen()
    if width is None:
        output.table([*columns], rows, empty="no accounts")
    else:
        output.listing([*columns.values()], rows, width, empty="no accounts")


@account.command("list")
@click.option("--group", metavar="NAME", help="Accounts of this group only.")
@click.option("--agent", metavar="ID", help="Only the accounts that name this one as their agent.")
@click.option("--all", "is_whole", is_flag=True, help="With --agent: those below its sub-agents, too.")
@click.option("--consumption", is_flag=True, help="Also what each was charged today, with tax.")
@click.option("--counts", is_flag=True, help="Also how many gateways and phones each has.")
@limit_option
@as_option
@json_verb
def list_all(invocation: Invocation, /, is_whole: bool, limit: int | None, **wanted: Any) -> None:
    """List accounts in the order of the configuration: all, those of a group, or those below an agent."""
    from vosd.admin.office.accounts import ListAccounts, list_accounts

    most = limit or (None if output.wants_json() else FOR_PEOPLE)
    some = None if most is None else most + 1
    order = ListAccounts(all=is_whole, limit=some, **wanted)
    found = ordered(invocation, list_accounts, order)
    sheets = output.first(found, most, "accounts")
    if not output.printed_as_json(sheets):
        more = (_CONSUMPTION if order.consumption else {}) | (_COUNTS if order.counts else {})
        _print_accounts(sheets, _ON_SCREEN | more)


@account.command("rates")
@click.argument("account_id", metavar="ID")
@click.option("--prefix", default="", metavar="DIGITS", help="Only prefixes that begin so.")
@limit_option
@as_option
@json_verb
def rates(invocation: Invocation, account_id: str, prefix: str, limit: int | None) -> None:
    """List what calls of an account cost now, by prefix: without tax, in its currency."""
    from vosd.admin.office.rates import ListPrices

    most = limit or (None if output.wants_json() else FOR_PEOPLE)
    order = ListPrices(account=account_id, prefix=prefix, limit=None if most is None else most + 1)
    found, of_trunks = in_office(invocation, partial(_prices, principal(), order), with_database=False)
    sheets = output.first(found, most, "prefixes")
    if output.printed_as_json(sheets):
        return
    rows = [[*(getattr(sheet, key) for key in _PRICES), "closed" if sheet.closed else ""] for sheet in sheets]
    columns = [*_PRICES.values(), ScreenColumn("", rank=1)]
    output.listing(columns, rows, empty="no rates")
    say_other_rates(of_trunks)


async def _prices(
    who: "Principal", order: "ListPrices", office: "Office"
) -> "tuple[Sequence[PriceSheet], Sequence[str]]":
    """Return the prices and, for people, the rate groups of trunks of the account, for which all phones are read."""
    from vosd.admin.office.rates import groups_of_trunks, list_prices

    prices = await list_prices(office, who, order)
    if output.wants_json():
        return prices, ()
    return prices, await groups_of_trunks(office, office.definitions.accounts()[order.account])


@account.command("groups")
@json_verb
def groups(invocation: Invocation) -> None:
    """Add up balances and reserved amounts of each group of accounts, in each currency."""
    from vosd.admin.office.accounts import ListAccountGroups, list_account_groups

    sums = ordered(invocation, list_account_groups, ListAccountGroups())
    if output.printed_as_json(sums):
        return
    rows = [[each.group or "(none)", each.currency, each.accounts, each.balance, each.reserved] for each in sums]
    output.table(("group", "currency", "accounts", "balance", "reserved"), rows, empty="no accounts")


@account.command("set")
@click.argument("account_id", metavar="ID")
@click.option("--overdraft-limit", metavar="X", help="An amount, or unlimited.")
@click.option("--expires-at", type=EXPIRY, metavar="TIME", help="A time, never, or configured.")
@order_options
def set_values(
    invocation: Invocation, /, account_id: str, overdraft_limit: str | None, expires_at: "Expiry | None", **terms: Any
) -> None:
    """Override values of an account: how far below zero calls may take its balance, until when it may be used.

    --expires-at wins over the configuration until payments or this verb change it.
    """
    if (overdraft_limit is None) == (expires_at is None):
        raise click.UsageError("say --overdraft-limit or --expires-at, one at a time")
    if overdraft_limit is not None:
        from vosd.admin.office.overrides import SetOverdraftLimit, set_overdraft_limit

        limit = SetOverdraftLimit(account=account_id, overdraft_limit=overdraft_limit, **terms)
        show_set(ordered(invocation, set_overdraft_limit, limit))
    elif terms["until"] is not None:
        raise click.UsageError("--until is not for --expires-at, which is a time itself")
    elif expires_at is not None:
        _set_expiry(invocation, account_id, expires_at, terms["memo"])


def _set_expiry(invocation: Invocation, account_id: str, expires_at: "Expiry", memo: str | None) -> None:
    from vosd.admin.office.accounts import SetExpiry, set_expiry

    order = SetExpiry(account=account_id, expires_at=expires_at.wall_ms, memo=memo)
    changed = ordered(invocation, set_expiry, order)
    if changed.untold:
        output.remark(f"stored, but the running switch has not taken it yet: {changed.untold}")
    output.outcome(changed, f"account {account_id}: expires {changed.expires_at or 'never'}")


def _destination_option(command: Any) -> Any:
    help_text = "Only its calls to this class of destination_classes."
    return click.option("--destination", metavar="CLASS", help=help_text)(command)


@account.command("block")
@click.argument("account_id", metavar="ID")
@_destination_option
@click.option("--incoming", is_flag=True, help="Also calls and texts to its phones and numbers: nothing in or out.")
@order_options
def block(invocation: Invocation, /, account_id: str, **terms: Any) -> None:
    """Refuse new calls of an account, and use no gateway of it; running calls go on."""
    from vosd.admin.office.overrides import BlockAccount, block_account

    order = BlockAccount(account=account_id, **terms)
    show_set(ordered(invocation, block_account, order))


@account.command("unblock")
@click.argument("account_id", metavar="ID")
@_destination_option
@operator_option
@as_option
@json_verb
def unblock(invocation: Invocation, /, account_id: str, destination: str | None) -> None:
    """End the block of an account; exit code 1 if there was none."""
    from vosd.admin.office.overrides import UnblockAccount, unblock_account

    outcome = ordered(invocation, unblock_account, UnblockAccount(account_id, destination))
    what = f"account {account_id}" if destination is None else f"destination {account_id}/{destination}"
    show_unblocked(outcome, what)


@account.command("rights")
@json_verb
def rights(invocation: Invocation) -> None:
    """List the agents with their rights, and the people and programs that act for each.

    Accounts that were given rights and have no account below are listed, too: their rights have no effect until then.
    """
    from vosd.admin.office.agent_rights import ListAgents, list_agents

    found = ordered(invocation, list_agents, ListAgents())
    if output.printed_as_json(found):
        return
    sheets = [msgspec.structs.asdict(each) for each in found]
    rows = [[" ".join(cell) if isinstance(cell, tuple) else cell for cell in each.values()] for each in sheets]
    output.table(AGENT_COLUMNS, rows, empty="no agents")


@account.command("history")
@click.argument("account_id", metavar="ID")
@click.option(
    "--limit", type=WholeNumber(1, 100_000), default=100, show_default=True, metavar="N", help="Most changes listed."
)
@json_verb
def history(invocation: Invocation, account_id: str, limit: int) -> None:
    """List what changed the money and the limits of an account, beside its calls: who, when, before, after.

    The newest first; changes of the configuration file are not in it.
    """
    from vosd.admin.office.account_history import ShowAccountHistory, show_account_history

    changes = ordered(invocation, show_account_history, ShowAccountHistory(account_id, limit))
    if output.printed_as_json(changes):
        return
    rows = [[getattr(change, key) for key in _HISTORY] for change in changes]
    output.listing([*_HISTORY.values()], rows, empty="nothing was changed")


@account.command("close")
@click.argument("account_id", metavar="ID")
@click.option("--pay-out", is_flag=True, help="Book what is left as a refund.")
@click.option("--without-minimum", is_flag=True, help="Also where the calls that its minimum depends on were dropped.")
@click.option("--memo", metavar="TEXT", help="Why; it stands with the account and in the ledger.")
@operator_verb
def close(invocation: Invocation, /, account_id: str, **terms: Any) -> None:
    """Close an account: it has no more calls, and no money.

    Refused while its calls run or wait to be booked, while money of it waits for a second person, and where its
    balance is not zero, unless --pay-out.
    vosd overrides clear ID --setting closed opens it again.
    """
    from vosd.admin.office.closing import CloseAccount, close_account

    closed = ordered(invocation, close_account, CloseAccount(account=account_id, **terms))
    if closed.untold:
        output.remark(f"stored, but the running switch has not taken it yet: {closed.untold}")
    output.outcome(closed, f"account {account_id} is closed, {closed.paid_out} paid out, balance {closed.balance}")
