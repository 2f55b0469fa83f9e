"""``vosd rerate``: what the calls of a span would cost by the rates of now, or by others."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

import click

from vosd.cli import output
from vosd.cli.arguments import MOMENT
from vosd.cli.command import Invocation, OperationError, Verb, json_option, pass_invocation
from vosd.cli.price_tables import show_differences
from vosd.cli.progress import SpanMeter, meter
from vosd.cli.simulate import ALL_CALLS

if TYPE_CHECKING:
    from vosd.billing.ports import Rates
    from vosd.catalogue.catalogue import Catalogue

_NOT_BUILT: Final = "--book is not built yet: nothing was booked; without it the differences are shown"


@click.command("rerate", cls=Verb)
@click.option("--since", type=MOMENT, required=True, help="Calls whose INVITE came then or later.")
@click.option("--until", type=MOMENT, required=True, help="Calls whose INVITE came before.")
@click.option("--account", metavar="ID", help="Only what this customer, agent or vendor pays or is paid.")
@click.option("--with", "deck", metavar="DECK", help="Rate its calls by this rate group instead; needs --account.")
@click.option("--steps", "compares_steps", is_flag=True, help="Compare the stored steps of each fee, too.")
@click.option("--limit", type=click.IntRange(1), default=ALL_CALLS, metavar="N", help="At most so many, the newest.")
@click.option(
    "--top", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="Calls, prefixes listed."
)
@click.option("--book", is_flag=True, help="Not built yet.")
@json_option
@pass_invocation
def rerate(
    invocation: Invocation,
    /,
    deck: str | None,
    compares_steps: bool,
    top: int,
    book: bool,
    as_json: bool,
    **criteria: Any,
) -> None:
    """Rate the booked calls of a span again, and show by account, prefix and call what differs from the books.

    With unchanged rates nothing does. Nothing is booked.
    """
    if book:
        raise OperationError(_NOT_BUILT)
    if deck is not None and criteria["account"] is None:
        raise click.UsageError("--with says by which rates the calls of one account are rated: add --account")
    answer = asyncio.run(_rerate(invocation, criteria, deck, compares_steps=compares_steps, top=top))
    if as_json:
        output.document(answer)
        return
    output.line(f"{answer['calls']} calls, {answer['charges']} charges, {answer['differ']} differ")
    if answer.get("steps_differ"):
        output.line(f"{answer['steps_differ']} calls cost the same by other steps, or by another version of the rates")
    show_differences(answer, "booked", "rated")


async def _rerate(
    invocation: Invocation, criteria: Mapping[str, Any], deck: str | None, *, compares_steps: bool, top: int
) -> dict[str, Any]:
    from vosd.admin.names import check_names
    from vosd.admin.rerate import Rerating
    from vosd.cli.database import database_of
    from vosd.storage.books import SqlBooks
    from vosd.storage.ports import CallFilter
    from vosd.storage.queries import SqlQueries
    from vosd.storage.spans import SqlSpans

    wanted = CallFilter(**criteria)
    catalogue = invocation.load().catalogue
    instead = None if deck is None else _rates_of(catalogue, deck)
    rerating = Rerating(catalogue, account=wanted.account, instead=instead, compares_steps=compares_steps, most=top)
    async with database_of(invocation.settings) as database:
        with meter("calls") as shown:
            passed = SpanMeter(shown, criteria["since"], criteria["until"])
            pages = SqlSpans(database).pages(wanted, with_breakdown=compares_steps, with_agents=True)
            async with aclosing(pages):
                async for calls in pages:
                    for call in calls:
                        rerating.add(call)
                    passed.passed(len(calls), calls[-1].started_at)
        if not rerating.calls:
            await check_names(wanted, invocation.excerpt, SqlQueries(database), SqlBooks(database))
    return rerating.to_json(top)


def _rates_of(catalogue: "Catalogue", deck: str) -> "Rates":
    from vosd.admin.names import unknown

    rates = catalogue.rate_groups.get(deck)
    if rates is None:
        raise unknown("rate group", deck, catalogue.rate_groups, f"there are {', '.join(catalogue.rate_groups)}")
    return rates
