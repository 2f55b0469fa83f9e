"""``vosd cdr correct`` and ``vosd cdr corrections``: what a booked call has cost, set right afterwards."""

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import click

from vosd.base.money import parse_amount
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR
from vosd.cli import output
from vosd.cli.arguments import CALL_ID, Count, WholeNumber, operator_verb
from vosd.cli.command import Invocation, Verb, json_verb
from vosd.cli.office import ordered

if TYPE_CHECKING:
    from vosd.admin.office.corrections import CorrectionSheet, WantedCharge

_SHOWN: Final = (
    "account", "role", "level", "fee_before", "fee_after", "tax_before", "tax_after", "billed_seconds_before",
    "billed_seconds_after", "amount", "currency",
)  # fmt: skip
_OF_ALL: Final = ("corrected_at", "operator", "memo", "reference")


class _Charge(click.ParamType[Decimal]):
    """An amount that a call may cost."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """Read an amount of zero or more."""
        try:
            amount = parse_amount(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if amount < 0:
            self.fail(f"{value!r}: a charge is zero or more", param, ctx)
        return amount


_CHARGE: Final = _Charge()
_SECONDS: Final = WholeNumber(0, 2**31 - 1)
_LEVEL: Final = Count(1)


@click.command("correct", cls=Verb)
@click.argument("call_id", type=CALL_ID)
@click.option("--fee", type=_CHARGE, metavar="X", help="The customer's charge without tax.")
@click.option("--tax", type=_CHARGE, metavar="X", help="Tax on it; default: by the rate of the call.")
@click.option("--billed-seconds", type=_SECONDS, metavar="N", help="Seconds that the customer pays.")
@click.option("--cost", type=_CHARGE, metavar="X", help="The vendor's charge without tax.")
@click.option("--cost-tax", type=_CHARGE, metavar="X", help="Tax on it; default: by the rate of the call.")
@click.option("--vendor-billed-seconds", type=_SECONDS, metavar="N", help="Seconds that the vendor is paid.")
@click.option("--agent-fee", type=(_LEVEL, _CHARGE), multiple=True, metavar="LEVEL X", help="An agent's charge.")
@click.option("--agent-tax", type=(_LEVEL, _CHARGE), multiple=True, metavar="LEVEL X", help="Tax on it.")
@click.option("--memo", required=True, metavar="TEXT", help="Why; it stands in the ledger.")
@click.option("--reference", metavar="TEXT", help="Name: the same one corrects a call once.")
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@operator_verb
def correct(
    invocation: Invocation, /, call_id: str, memo: str, reference: str | None, dry_run: bool, **amounts: Any
) -> None:
    """Set right what a call has cost; the ledger gets entries of the difference.

    Numbers and times of a call are not changed, and neither are the steps of its charges. The first digits of CALL_ID
    are enough.
    """
    from vosd.admin.office.corrections import CorrectCall, correct_call

    order = CorrectCall(call_id=call_id, charges=_wanted(**amounts), memo=memo, reference=reference, is_trial=dry_run)
    corrected = ordered(invocation, correct_call, order)
    changes = corrected.changes
    if corrected.untold:
        output.remark(f"booked, but the running switch has not taken the new balance yet: {corrected.untold}")
    _print(changes, empty="nothing to correct: the call costs that already")
    if changes and not output.wants_json():
        _say_how(changes, dry_run=dry_run)


def _say_how(changes: "list[CorrectionSheet]", *, dry_run: bool) -> None:
    if changes[0].repeated:
        output.line(f"reference {changes[0].reference} was booked before; nothing was booked now")
    elif dry_run:
        output.line("nothing was booked (--dry-run)")


@click.command("corrections", cls=Verb)
@click.argument("call_id", type=CALL_ID)
@json_verb
def corrections(invocation: Invocation, call_id: str) -> None:
    """List what was corrected of a call: who, when, before, after and why."""
    from vosd.admin.office.corrections import ListCorrections, list_corrections

    changes = ordered(invocation, list_corrections, ListCorrections(call_id))
    _print(changes, empty="nothing was corrected", more=_OF_ALL)


def _print(changes: "list[CorrectionSheet]", *, empty: str, more: tuple[str, ...] = ()) -> None:
    output.records((*more, *_SHOWN), changes, empty=empty)


def _wanted(
    *,
    fee: Decimal | None,
    tax: Decimal | None,
    billed_seconds: int | None,
    cost: Decimal | None,
    cost_tax: Decimal | None,
    vendor_billed_seconds: int | None,
    agent_fee: Iterable[tuple[int, Decimal]],
    agent_tax: Iterable[tuple[int, Decimal]],
) -> "tuple[WantedCharge, ...]":
    """Return what is wanted of each charge that is named."""
    from vosd.admin.office.corrections import WantedCharge

    fees, taxes = dict(agent_fee), dict(agent_tax)
    wanted = (
        WantedCharge(role=CUSTOMER, fee=fee, tax=tax, billed_seconds=billed_seconds),
        WantedCharge(role=VENDOR, fee=cost, tax=cost_tax, billed_seconds=vendor_billed_seconds),
        *(
            WantedCharge(role=AGENT, level=level, fee=fees.get(level), tax=taxes.get(level))
            for level in sorted({*fees, *taxes})
        ),
    )
    return tuple(each for each in wanted if each != WantedCharge(role=each.role, level=each.level))
