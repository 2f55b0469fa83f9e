"""``vosd call test``: a test call through one routing gateway."""

from contextlib import aclosing
from typing import Final

import click
import msgspec

from vosd.cli import output
from vosd.cli.arguments import WholeNumber
from vosd.cli.calls import show_call
from vosd.cli.command import Family, Invocation, OperationError, json_verb
from vosd.cli.office import principal
from vosd.control.calls import TALK_S_MAX, MakeTestCall, TrialReport, TrialResult
from vosd.processes import loops
from vosd.wiring.office import office_of

_WELL: Final = frozenset({TrialResult.ANSWERED, TrialResult.RANG})
_LONGEST: Final = 64
"""Characters of a number, as in ``MakeTestCall``."""


class _Number(click.ParamType[str]):
    """A number of a test call."""

    name = "number"

    def __init__(self, shortest: int) -> None:
        self._shortest = shortest

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Accept the number; one that is empty or too long is wrong usage."""
        if not self._shortest <= len(value) <= _LONGEST:
            self.fail(f"{value!r} has {len(value)} characters: {self._shortest} to {_LONGEST} are taken", param, ctx)
        return value


@click.group(cls=Family)
def call() -> None:
    """One call, running or over; test calls."""


call.add_command(show_call)


@call.command("test")
@click.option("--via", required=True, metavar="GATEWAY", help="Routing gateway to call; it may be disabled or blocked.")
@click.option(
    "--callee", type=_Number(1), required=True, metavar="NUMBER", help="Called number, as a customer's call has it."
)
@click.option("--caller", type=_Number(0), default="", metavar="NUMBER", help="Calling number; default none.")
@click.option("--ring-only", is_flag=True, help="Cancel as soon as it rings.")
@click.option(
    "--seconds",
    type=WholeNumber(1, TALK_S_MAX),
    default=5,
    show_default=True,
    metavar="S",
    help="Hang up so long after the answer.",
)
@json_verb
def test(invocation: Invocation, /, via: str, callee: str, caller: str, ring_only: bool, seconds: int) -> None:
    """Have the running switch call a number through one gateway, without a customer, and show each step.

    The session is on hold: no media is sent. The vendor charges an answered call like any other, so it is booked on the
    vendor's account and leaves a CDR without customer. Exit code 1 unless it was answered, or rang with --ring-only.
    """
    wanted = MakeTestCall(via=via, callee=callee, caller=caller, is_ring_only=ring_only, talk_s=seconds)
    report = loops.run(_call(invocation, wanted))
    if not output.printed_as_json(report):
        _show(report)
    if report.result not in _WELL:
        raise OperationError(f"the test call has ended: {report.result.value}")


async def _call(invocation: Invocation, wanted: MakeTestCall) -> TrialReport:
    """Print the steps as they come, and return the outcome."""
    from vosd.admin.office.calls import make_test_call

    report: TrialReport | None = None
    async with (
        office_of(invocation, with_database=False) as office,
        aclosing(make_test_call(office, principal(), wanted)) as updates,
    ):
        async for update in updates:
            if not output.wants_json():
                for step in update.steps:
                    output.line(output.printable(f"{step.ms / 1_000:8.3f} s  {step.what}"))
            report = update.report or report
    assert report is not None, "else it was an error"
    return report


def _show(report: TrialReport) -> None:
    builtins = msgspec.to_builtins(report)
    shown = {name: value for name, value in builtins.items() if name != "steps" and value is not None}
    if report.call_id is None:
        shown = {name: value for name, value in shown.items() if not name.startswith(("cost", "vendor_"))}
    output.line("")
    output.sheet(shown)
    if report.call_id is not None:
        output.remark(f"the cost is booked on {report.vendor_account}: vosd cdr show {report.call_id}")
