"""``vosd rerate``: what the calls of a span would cost by the rates of now, or by others."""

from collections.abc import Mapping
from typing import Any

import click
import msgspec

from vosd.cli import output
from vosd.cli.arguments import MOMENT, Count, operator_verb
from vosd.cli.command import Invocation, OperationError, Verb
from vosd.cli.office import in_office, principal
from vosd.cli.price_tables import show_differences
from vosd.cli.progress import SpanMeter, meter


@click.command("rerate", cls=Verb)
@click.option("--since", type=MOMENT, required=True, help="Calls whose INVITE came then or later.")
@click.option("--until", type=MOMENT, required=True, help="Calls whose INVITE came before.")
@click.option("--account", metavar="ID", help="Only what this customer, agent or vendor pays or is paid.")
@click.option(
    "--prefix", default="", metavar="DIGITS", help="Only calls whose number, as it was rated, begins with these digits."
)
@click.option("--with", "deck", metavar="DECK", help="Rate its calls by this rate group instead; needs --account.")
@click.option("--steps", "compares_steps", is_flag=True, help="Compare the stored steps of each fee, too.")
@click.option("--limit", type=Count(1), metavar="N", help="At most so many, the newest.")
@click.option("--top", type=Count(1), default=20, show_default=True, metavar="N", help="Calls, prefixes listed.")
@click.option("--corrected-too", is_flag=True, help="Also charges that were corrected by hand.")
@click.option("--book", is_flag=True, help="Book the differences as corrections; needs --memo.")
@click.option("--memo", metavar="TEXT", help="Why; it stands in the ledger.")
@click.option(
    "--reference", metavar="TEXT", help="Name of the run: it corrects a call once. Default: by span and rates."
)
@operator_verb
def rerate(invocation: Invocation, /, **wanted: Any) -> None:
    """Rate the booked calls of a span again, and show by account, prefix and call what differs from the books.

    With unchanged rates nothing does; charges that were corrected by hand stay as they are, and are counted. Only with
    --book anything is booked: a ledger entry of the difference for each charge that differs, and the new amounts in
    its call. Say the same without --book first. Exit code 1 where some differ and their correction was booked before,
    or were corrected while the run went on.
    """
    from vosd.admin.office.rerating import RerateCalls, rerate_calls

    who, order = principal(), RerateCalls(**wanted)
    with meter("calls") as shown:
        passed = SpanMeter(shown, order.since, order.until)
        found = in_office(invocation, lambda office: rerate_calls(office, who, order, passed.passed))
    if found.untold:
        output.remark(f"booked, but the running switch has not taken the new balances yet: {found.untold}")
    answer: dict[str, Any] = msgspec.to_builtins(found)
    answer.pop("untold", None)
    if not output.printed_as_json(answer):
        _print_rerated(answer, is_booked=order.book)
    _check_all_booked(answer)


def _check_all_booked(answer: Mapping[str, Any]) -> None:
    if "booked" in answer and (repeated := answer["booked"]["repeated"]):
        raise OperationError(f"{repeated} were corrected under this reference before and differ: give another one")
    if "booked" in answer and (overtaken := answer["booked"]["overtaken"]):
        raise OperationError(f"{overtaken} calls were corrected while the run went on, and stay so: say it again")


def _print_rerated(answer: dict[str, Any], *, is_booked: bool) -> None:
    output.line(f"{answer['calls']} calls, {answer['charges']} charges, {answer['differ']} differ")
    if answer.get("steps_differ"):
        output.line(f"{answer['steps_differ']} calls cost the same by other steps, or by another version of the rates")
    if answer["corrected_by_hand"]:
        output.line(
            f"{answer['corrected_by_hand']} charges were corrected by hand and stay: --corrected-too takes them, too"
        )
    show_differences(answer, "booked", "rated")
    if is_booked:
        _show_booked(answer)


def _show_booked(answer: Mapping[str, Any]) -> None:
    booked = answer["booked"]
    output.line("")
    output.line(f"{booked['charges']} charges were corrected under reference {booked['reference']}")
    if booked["accounts"]:
        columns = ("account", "currency", "amount")
        output.table(columns, [[row[name] for name in columns] for row in booked["accounts"]], empty="")
    if answer["uncorrected"]:
        output.remark(f"{answer['uncorrected']} charges differ and have no rate, or had none: vosd cdr correct")
