"""``vosd rate``: the price of a call, explained."""

from typing import TYPE_CHECKING

import click

from vosd.cli import output
from vosd.cli.arguments import MOMENT, SECONDS, as_option
from vosd.cli.cdr_file import cdr_file
from vosd.cli.command import Family, Invocation, json_verb
from vosd.cli.office import ordered
from vosd.cli.price_tables import say_other_rates

if TYPE_CHECKING:
    from vosd.admin.rating import RateExplanation


@click.group(cls=Family)
def rate() -> None:
    """Prices."""


rate.add_command(cdr_file)


@rate.command("explain")
@click.option("--account", "account_id", required=True, metavar="ID", help="Whose rate group.")
@click.option("--callee", required=True, metavar="NUMBER", help="Called number, as it is rated.")
@click.option("--duration", "duration_ms", required=True, type=SECONDS, help="Answer to end.")
@click.option("--caller", metavar="NUMBER", default="", help="Calling number.")
@click.option("--at", type=MOMENT, help="When the call is made; default: now.")
@click.option("--buy", is_flag=True, help="What the calls of a vendor cost; a clearing account is one without it.")
@as_option
@json_verb
def explain(
    invocation: Invocation, /, account_id: str, callee: str, duration_ms: int, caller: str, at: int | None, buy: bool
) -> None:
    """Rate an imaginary call: which rate, which seconds, which roundings."""
    from vosd.admin.office.rates import ExplainRate, explain_rate

    order = ExplainRate(account=account_id, callee=callee, duration_ms=duration_ms, caller=caller, at=at, buy=buy)
    explanation = ordered(invocation, explain_rate, order)
    if not output.printed_as_json(explanation):
        _show(explanation)


def _show(explanation: "RateExplanation") -> None:
    output.sheet(
        {
            "rate": f"{explanation.rate_group} {explanation.rate_prefix} {explanation.rate_area or ''}".rstrip(),
            "billed seconds": explanation.billed_seconds,
            "fee": f"{explanation.fee} {explanation.currency}".rstrip(),
            "tax": explanation.tax,
        }
    )
    if explanation.candidates:
        rows = (
            (each.source, each.rate_group, each.rate_prefix, each.total, each.chosen) for each in explanation.candidates
        )
        output.table(("candidate", "group", "prefix", "total", "chosen"), rows, empty="no candidates")
    if explanation.agents:
        agents = (
            (
                each.level,
                each.account,
                each.rate_group,
                each.rate_prefix,
                each.billed_seconds,
                f"{each.fee} {each.currency}",
                each.tax,
            )
            for each in explanation.agents
        )
        columns = ("level", "agent", "group", "prefix", "billed seconds", "fee", "tax")
        output.table(columns, agents, empty="no agents")
    output.table(("step", "figures"), output.figures(explanation.steps), empty="no steps")
    say_other_rates(explanation.trunk_groups)
