"""``vosd rates groups`` and ``areas``: what rate groups there are, and what stands in one."""

from typing import TYPE_CHECKING, Final

import click
from msgspec.structs import astuple

from vosd.cli import output
from vosd.cli.arguments import as_option
from vosd.cli.command import Invocation, Verb, json_verb
from vosd.cli.office import ordered
from vosd.cli.output import ScreenColumn

if TYPE_CHECKING:
    from vosd.admin.office.rates import AreasSheet

_GROUPS: Final = (
    ScreenColumn("group"),
    ScreenColumn("currency"),
    ScreenColumn("price per", rank=4),
    ScreenColumn("rates", is_figure=True),
    ScreenColumn("from", rank=3),
    ScreenColumn("base", rank=5),
    ScreenColumn("accounts", rank=1, is_figure=True),
    ScreenColumn("gateways", rank=2, is_figure=True),
    ScreenColumn("memo", rank=1, narrowest=10),
)
_AREAS: Final = (
    ScreenColumn("area", narrowest=12),
    ScreenColumn("rates", is_figure=True),
    ScreenColumn("closed", is_figure=True),
    ScreenColumn("lowest", is_figure=True),
    ScreenColumn("highest", is_figure=True),
    ScreenColumn("prefixes", narrowest=8),
)


@click.command("groups", cls=Verb)
@as_option
@json_verb
def groups(invocation: Invocation) -> None:
    """List the rate groups: how many rates each has and from where, who names it, and its memo.

    Accounts and gateways, which include phones, are those that name it as rate_group or private_rate_group. With --as
    only the groups are listed that the agent may give.
    """
    from vosd.admin.office.rates import ListRateGroups, list_rate_groups
    from vosd.processes.life import give_way

    give_way()  # rates that are not compiled yet are read for it
    found = ordered(invocation, list_rate_groups, ListRateGroups(), with_database=False)
    if output.printed_as_json(found):
        return
    output.listing(_GROUPS, map(astuple, found), empty="no rate groups")


@click.command("areas", cls=Verb)
@click.argument("rate_group", metavar="GROUP")
@json_verb
def areas(invocation: Invocation, rate_group: str) -> None:
    """List the areas of rate group GROUP: their prefixes, and the lowest and highest price of a minute.

    Of the rates in force now, without tax; a first period and other additions are not in the price.
    """
    from vosd.admin.office.rates import ListAreas, list_areas
    from vosd.processes.life import give_way

    give_way()
    found = ordered(invocation, list_areas, ListAreas(rate_group), with_database=False)
    if not output.printed_as_json(found):
        _print_areas(found)


def _print_areas(found: "AreasSheet") -> None:
    rows = [
        (each.area or "(none)", each.rates, each.closed, each.lowest, each.highest, ", ".join(each.prefixes))
        for each in found.areas
    ]
    output.listing(_AREAS, rows, empty=f"rate group {found.rate_group} has no rates in force")
    output.remark(f"prices are of a minute, in {found.currency}")
