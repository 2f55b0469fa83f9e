"""``vosd rerate``: what the calls of a span would cost by the rates of now, or by others."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from vosd.cli import output
from vosd.cli.arguments import MOMENT, operator_option
from vosd.cli.command import Invocation, Verb, json_option, pass_invocation
from vosd.cli.office import now_ms
from vosd.cli.price_tables import show_differences
from vosd.cli.progress import SpanMeter, meter
from vosd.cli.simulate import ALL_CALLS

if TYPE_CHECKING:
    from vosd.billing.rate_group import RateGroup
    from vosd.catalogue.catalogue import Catalogue


class _Booking(NamedTuple):
    """What is said of a run that books."""

    operator: str
    memo: str
    reference: str | None


@click.command("rerate", cls=Verb)
@click.option("--since", type=MOMENT, required=True, help="Calls whose INVITE came then or later.")
@click.option("--until", type=MOMENT, required=True, help="Calls whose INVITE came before.")
@click.option("--account", metavar="ID", help="Only what this customer, agent or vendor pays or is paid.")
@click.option("--prefix", metavar="DIGITS", help="Only calls whose number, as it was rated, begins with these digits.")
@click.option("--with", "deck", metavar="DECK", help="Rate its calls by this rate group instead; needs --account.")
@click.option("--steps", "compares_steps", is_flag=True, help="Compare the stored steps of each fee, too.")
@click.option("--limit", type=click.IntRange(1), default=ALL_CALLS, metavar="N", help="At most so many, the newest.")
@click.option(
    "--top", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="Calls, prefixes listed."
)
@click.option("--corrected-too", is_flag=True, help="Also charges that were corrected by hand.")
@click.option("--book", is_flag=True, help="Book the differences as corrections; needs --memo.")
@click.option("--memo", metavar="TEXT", help="Why; it stands in the ledger.")
@click.option(
    "--reference", metavar="TEXT", help="Name of the run: it corrects a call once. Default: by span and rates."
)
@operator_option
@json_option
@pass_invocation
def rerate(
    invocation: Invocation,
    /,
    prefix: str | None,
    deck: str | None,
    compares_steps: bool,
    top: int,
    corrected_too: bool,
    book: bool,
    memo: str | None,
    reference: str | None,
    operator: str,
    as_json: bool,
    **criteria: Any,
) -> None:
    """Rate the booked calls of a span again, and show by account, prefix and call what differs from the books.

    With unchanged rates nothing does; charges that were corrected by hand stay as they are, and are counted. Only with
    --book anything is booked: a ledger entry of the difference for each charge that differs, and the new amounts in
    its call. Say the same without --book first.
    """
    if book is not bool(memo and memo.strip()):
        raise click.UsageError("--book and --memo go together: say why")
    if prefix is not None and not (prefix.isascii() and prefix.isdigit()):
        raise click.UsageError("--prefix is digits without + and *")
    if reference is not None and not (book and reference.strip()):
        raise click.UsageError("--reference names a run with --book, and is not empty")
    if reference is not None:
        _check_reference(reference, has_deck=deck is not None)
    if deck is not None and criteria["account"] is None:
        raise click.UsageError("--with says by which rates the calls of one account are rated: add --account")
    booking = _Booking(operator, memo, reference) if book and memo is not None else None
    answer = asyncio.run(
        _rerate(
            invocation,
            criteria,
            prefix or "",
            deck,
            booking,
            compares_steps=compares_steps,
            corrected_too=corrected_too,
            top=top,
        )
    )
    untold = asyncio.run(_refresh(invocation)) if booking is not None and answer["booked"]["charges"] else ""
    if untold:
        output.remark(f"booked, but the running switch has not taken the new balances yet: {untold}")
    if as_json:
        output.document(answer)
        return
    output.line(f"{answer['calls']} calls, {answer['charges']} charges, {answer['differ']} differ")
    if answer.get("steps_differ"):
        output.line(f"{answer['steps_differ']} calls cost the same by other steps, or by another version of the rates")
    if answer["corrected_by_hand"]:
        output.line(
            f"{answer['corrected_by_hand']} charges were corrected by hand and stay: --corrected-too takes them, too"
        )
    show_differences(answer, "booked", "rated")
    if booking is not None:
        _show_booked(answer)


def _show_booked(answer: Mapping[str, Any]) -> None:
    booked = answer["booked"]
    output.line("")
    output.line(f"{booked['charges']} charges were corrected under reference {booked['reference']}")
    if booked["accounts"]:
        columns = ("account", "currency", "amount")
        output.table(columns, [[row[name] for name in columns] for row in booked["accounts"]], empty="")
    if booked["repeated"]:
        output.remark(f"{booked['repeated']} were corrected under this reference before and differ: give another one")
    if answer["uncorrected"]:
        output.remark(f"{answer['uncorrected']} charges differ and have no rate, or had none: vosd cdr correct")


async def _refresh(invocation: Invocation) -> str:
    from vosd.admin.payments import refresh_balances

    return await refresh_balances(invocation.running_switch())


def _check_reference(reference: str, *, has_deck: bool) -> None:
    """Refuse the name of a run that is too long for the ledger, before calls are rated.

    Raises:
        click.UsageError: it is; the message has the longest length.
    """
    from vosd.admin.rerate_runs import reference_of_run
    from vosd.storage.corrections import REFERENCE_MAX

    whole = reference_of_run(reference, has_deck=has_deck)
    if len(whole) > REFERENCE_MAX:
        most = REFERENCE_MAX - (len(whole) - len(reference))
        message = f"--reference has at most {most} characters here: the ledger has it as {whole}"
        raise click.UsageError(message)


async def _rerate(
    invocation: Invocation,
    criteria: Mapping[str, Any],
    prefix: str,
    deck: str | None,
    booking: _Booking | None,
    *,
    compares_steps: bool,
    corrected_too: bool,
    top: int,
) -> dict[str, Any]:
    from vosd.admin.names import check_names
    from vosd.admin.rerate import Rerating
    from vosd.admin.rerate_booking import Bookings, Run
    from vosd.admin.rerate_runs import digest_of, reference_of_run
    from vosd.cli.database import database_of
    from vosd.storage.books import SqlBooks
    from vosd.storage.corrections import SqlCorrections
    from vosd.storage.ports import CallFilter
    from vosd.storage.queries import SqlQueries
    from vosd.storage.spans import SqlSpans

    wanted = CallFilter(**criteria)
    catalogue = invocation.load().catalogue
    instead = None if deck is None else _rates_of(catalogue, deck)
    rerating = Rerating(
        catalogue,
        account=wanted.account,
        instead=instead,
        compares_steps=compares_steps,
        corrects=booking is not None,
        corrected_too=corrected_too,
        most=top,
    )
    async with database_of(invocation.database_url) as database:
        bookings = None
        if booking is not None:
            same = digest_of(
                wanted.since,
                wanted.until,
                wanted.account,
                deck,
                catalogue.version,
                corrected_too,
                *filter(None, [prefix]),
            )
            reference = reference_of_run(booking.reference or same, has_deck=deck is not None)
            run = Run(reference, booking.operator, booking.memo, now_ms())
            bookings = Bookings(SqlCorrections(database), run)
        with meter("calls") as shown:
            passed = SpanMeter(shown, criteria["since"], criteria["until"])
            pages = SqlSpans(database).pages(wanted, with_breakdown=compares_steps, with_charges=True)
            async with aclosing(pages):
                async for calls in pages:
                    for call in calls:
                        if not (call.callee_billing or "").startswith(prefix):
                            continue
                        changes = rerating.add(call)
                        if changes and bookings is not None:
                            await bookings.add(call.call_id, changes)
                    passed.passed(len(calls), calls[-1].started_at)
        if bookings is not None:
            await bookings.finish()
        if not rerating.calls:
            await check_names(wanted, invocation.excerpt, SqlQueries(database), SqlBooks(database))
    booked = {} if bookings is None else {"booked": bookings.to_json()}
    return {**rerating.to_json(top), **booked}


def _rates_of(catalogue: "Catalogue", deck: str) -> "RateGroup":
    from vosd.admin.names import unknown

    rates = catalogue.rate_groups.get(deck)
    if rates is None:
        raise unknown("rate group", deck, catalogue.rate_groups, f"there are {', '.join(catalogue.rate_groups)}")
    return rates
