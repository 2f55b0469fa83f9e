"""``vosd route``: the route of a call, explained."""

import asyncio
import time
from typing import TYPE_CHECKING, Final

import click
import msgspec

from vosd.cli import output
from vosd.cli.arguments import MOMENT
from vosd.cli.command import Family, Invocation, json_option, pass_invocation
from vosd.cli.simulate import simulate

if TYPE_CHECKING:
    from vosd.control.routes import RouteSheet

_BY_COST: Final = {"cost", "price", "blend"}
"""Criteria of a plan for which prices are shown."""


_UNKNOWN_OF_THE_PAST: Final = ("balances", "calls", "gateways_down", "quality", "registrations")
_NOT_KEPT: Final = (
    "Not kept, hence not considered: quality, registrations, gateways that were down or full, balances. The "
    "configuration is that of now; vosd why CALL_ID says how a call of then was routed"
)


@click.group(cls=Family)
def route() -> None:
    """Routes."""


route.add_command(simulate)


@route.command("explain")
@click.option("--gateway", required=True, metavar="NAME", help="Mapping gateway that the call comes from.")
@click.option("--caller", required=True, metavar="NUMBER", help="Calling number.")
@click.option(
    "--callee",
    required=True,
    metavar="NUMBER",
    help="Called number, as it is dialled; a context is written behind it: 1234;phone-context=+49.",
)
@click.option("--at", type=MOMENT, help="When; default now.")
@click.option("--forwarded", is_flag=True, help="Its INVITE has a Diversion header.")
@click.option("--live", is_flag=True, help="Ask the running switch, with the calls that it has now.")
@json_option
@pass_invocation
def explain(
    invocation: Invocation,
    gateway: str,
    caller: str,
    callee: str,
    at: int | None,
    forwarded: bool,
    live: bool,
    as_json: bool,
) -> None:
    """Show the outcome of a call: accepted or refused, which gateways are tried, why others are not."""
    question = {"gateway": gateway, "caller": caller, "callee": callee}
    now_ms = time.time_ns() // 1_000_000
    if live and at is not None and at < now_ms:
        raise click.UsageError("--live knows the calls of now: leave it out for a moment of the past")
    if live:
        from vosd.control.routes import ExplainRoute

        order = ExplainRoute(gateway=gateway, caller=caller, callee=callee, at_ms=at, is_forwarded=forwarded)
        answer = asyncio.run(invocation.running_switch().ask(order))
    else:
        wall_ms = now_ms if at is None else at
        answer = asyncio.run(_from_configuration(invocation, question, wall_ms, forwarded, is_past=wall_ms < now_ms))
    if as_json:
        output.document(answer)
    else:
        _show(answer)


async def _from_configuration(
    invocation: Invocation, question: dict[str, str], wall_ms: int, is_forwarded: bool, *, is_past: bool
) -> "RouteSheet":
    """Answer without running calls, with the balances of the database if it can be reached.

    Of a moment of the past the overrides of then are known, and no balances.
    """
    from vosd.admin.routing import explain_route, idle_state
    from vosd.base.clock import Instant
    from vosd.catalogue.overrides import NO_OVERRIDES, overlaid
    from vosd.cdr.ports import StoreUnavailable
    from vosd.cli.database import database_of
    from vosd.storage.books import SqlBooks
    from vosd.storage.overrides import SqlOverrides

    loaded = invocation.load()
    changes, overrides = None, NO_OVERRIDES
    try:
        async with database_of(invocation.database_url) as database:
            if is_past:
                overrides = await SqlOverrides(database).at(wall_ms)
            else:
                changes = await SqlBooks(database).standings()
                overrides = (await SqlOverrides(database).load()).at(wall_ms)
    except StoreUnavailable as error:
        output.remark(f"balances are not judged: {error}")
        output.remark("overrides are not considered")
    if is_past:
        output.remark(f"as at that moment: overrides, calendars, validity, rates by their dates. {_NOT_KEPT}")
    catalogue = overlaid(loaded.catalogue, overrides)
    if changes is None:
        state = idle_state(catalogue, None, overrides)
    else:
        state = idle_state(catalogue, changes.standings, overrides, changes.expiries)
    explanation = explain_route(
        catalogue,
        state,
        gateway=question["gateway"],
        caller=question["caller"],
        callee=question["callee"],
        at=Instant(0, wall_ms),
        is_live=False,
        is_forwarded=is_forwarded,
    )
    answer = explanation.sheet()
    return msgspec.structs.replace(answer, not_known=[*_UNKNOWN_OF_THE_PAST]) if is_past else answer


def _show_comparison(answer: "RouteSheet") -> None:
    """Say by which call the costs of gateways are compared, and what the customer pays."""
    measured = "as long as such calls lately" if answer.typical_seconds_measured else "routing.typical_seconds"
    output.line(f"plan {answer.plan}: {', '.join(answer.order or ())}; costs of a minute in a call of")
    output.line(f"{answer.typical_seconds} s ({measured})")
    rate = answer.rate
    if rate:
        output.line(f"sold for {rate.effective_price} {rate.currency} (price {rate.price_per_minute})")


def _show(answer: "RouteSheet") -> None:
    detail = f": {answer.detail}" if answer.detail else ""
    output.line(f"{answer.result}{detail} (number billed: {answer.callee_billed})")
    rate = answer.rate
    if rate is not None and rate.candidates:
        rates = ["source", "rate_group", "rate_prefix", "price_per_minute"]
        output.line("may be priced by, the first line at admission:")
        rows = [rate, *(each for each in rate.candidates if each.source != rate.source)]
        output.records(rates, rows, empty="no rates")
    columns = ["position", "routing_gateway", "callee_out", "caller_out", "reason"]
    if _BY_COST & {*(answer.order or ())}:
        _show_comparison(answer)
        columns[2:4] = ["cost", "effective_cost", "currency", "margin"]
    cells = [[getattr(candidate, column) for column in columns] for candidate in answer.candidates]
    if answer.addresses:  # only the running switch resolves names
        columns.append("addresses")
        for row, candidate in zip(cells, answer.candidates, strict=True):
            row.append(" ".join(answer.addresses[candidate.routing_gateway]))
    output.table(columns, cells, empty="no gateway would be tried")
    if answer.agents:
        output.line("charged to its agents as well:")
        levels = ["level", "account", "rate_group", "rate_prefix", "price_per_minute"]
        output.records(levels, answer.agents, empty="no agents")
    if answer.left:
        output.line("")
        output.table(("left out", "reason"), [(each.routing_gateway, each.reason) for each in answer.left], empty="")
    if answer.unfit:
        has = "gateway has" if answer.unfit == 1 else "gateways have"
        output.line(f"{answer.unfit} more {has} no prefix for the number")
