"""``vosd rates groups`` and ``areas``: what rate groups there are, and what stands in one."""

import time
from typing import Final

import click

from vosd.cli import output
from vosd.cli.acting import authority
from vosd.cli.arguments import as_option
from vosd.cli.command import Invocation, OperationError, json_option, pass_invocation
from vosd.cli.output import Column

_GROUPS: Final = (
    Column("group"),
    Column("currency"),
    Column("price per", rank=4),
    Column("rates", is_figure=True),
    Column("from", rank=3),
    Column("base", rank=5),
    Column("accounts", rank=1, is_figure=True),
    Column("gateways", rank=2, is_figure=True),
    Column("memo", rank=1, narrowest=10),
)
_AREAS: Final = (
    Column("area", narrowest=12),
    Column("rates", is_figure=True),
    Column("closed", is_figure=True),
    Column("lowest", is_figure=True),
    Column("highest", is_figure=True),
    Column("prefixes", narrowest=8),
)


@click.command("groups")
@as_option
@json_option
@pass_invocation
def groups(invocation: Invocation, acting: str | None, as_json: bool) -> None:
    """List the rate groups: how many rates each has and from where, who names it, and its memo.

    Accounts and gateways, which include phones, are those that name it as rate_group or private_rate_group. With --as
    only the groups are listed that the agent may give.
    """
    from vosd.admin.agents import rate_groups_of
    from vosd.cli.priority import give_way
    from vosd.config.reader.lists import ACCOUNTS, GATEWAYS

    give_way()  # rates that are not compiled yet are read for it
    excerpt = invocation.excerpt
    given = rate_groups_of(excerpt.accounts(), acting) if authority(invocation, acting) is not None else None
    accounts, gateways = excerpt.users_of_groups(ACCOUNTS), excerpt.users_of_groups(*GATEWAYS)
    documents = [
        {
            "name": each.keys.name,
            "currency": each.keys.currency,
            "price_per": each.keys.price_per.value,
            "rates": each.read.group.table.size,
            "rates_from": each.source,
            "base": each.base,
            "accounts": accounts[each.keys.name],
            "gateways": gateways[each.keys.name],
            "memo": each.keys.memo,
        }
        for each in excerpt.rate_groups()
        if given is None or each.keys.name in given
    ]
    if as_json:
        output.document(documents)
        return
    rows = [[*each.values()] for each in documents]
    output.listing(_GROUPS, rows, output.columns_of_screen() or output.UNFOLDED, empty="no rate groups")


@click.command("areas")
@click.argument("rate_group", metavar="GROUP")
@json_option
@pass_invocation
def areas(invocation: Invocation, rate_group: str, as_json: bool) -> None:
    """List the areas of rate group GROUP: their prefixes, and the lowest and highest price of a minute.

    Of the rates in force now, without tax; a first period and other additions are not in the price.
    """
    from vosd.admin.rate_areas import areas_of
    from vosd.cli.priority import give_way

    give_way()
    group = invocation.excerpt.rate_group(rate_group)
    if group is None:
        message = f"no rate group {rate_group!r} is configured; vosd rates groups lists them"
        raise OperationError(message)
    found = areas_of(group, time.time_ns() // 1_000_000)
    if as_json:
        output.document({"rate_group": group.name, "currency": group.currency, "areas": found})
        return
    rows = [
        (each.area or "(none)", each.rates, each.closed, each.lowest, each.highest, ", ".join(each.prefixes))
        for each in found
    ]
    width = output.columns_of_screen() or output.UNFOLDED
    output.listing(_AREAS, rows, width, empty=f"rate group {rate_group} has no rates in force")
    output.remark(f"prices are of a minute, in {group.currency}")
