"""``vosd cdr correct`` and ``vosd cdr corrections``: what a booked call has cost, set right afterwards."""

import asyncio
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import click

from vosd.admin.rerate_runs import OF_RUNS
from vosd.base.money import parse_amount
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR
from vosd.cli import output
from vosd.cli.arguments import CALL_ID, operator_option
from vosd.cli.command import Invocation, OperationError, Verb, json_option, pass_invocation
from vosd.cli.office import now_ms

if TYPE_CHECKING:
    from vosd.admin.corrections import Wanted
    from vosd.cdr.corrections import CorrectedCharge

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
_SECONDS: Final = click.IntRange(0, 2**31 - 1)
_LEVEL: Final = click.IntRange(1)


@click.command("correct", cls=Verb)
@click.argument("call_id", type=CALL_ID)
@click.option("--fee", type=_CHARGE, metavar="X", help="The customer's charge without tax.")
@click.option("--tax", type=_CHARGE, metavar="X", help="Tax on it; default: by the rate of the call.")
@click.option("--billed-seconds", type=_SECONDS, metavar="N")
@click.option("--cost", type=_CHARGE, metavar="X", help="The vendor's charge without tax.")
@click.option("--cost-tax", type=_CHARGE, metavar="X", help="Tax on it; default: by the rate of the call.")
@click.option("--vendor-billed-seconds", type=_SECONDS, metavar="N")
@click.option("--agent-fee", type=(_LEVEL, _CHARGE), multiple=True, metavar="LEVEL X", help="An agent's charge.")
@click.option("--agent-tax", type=(_LEVEL, _CHARGE), multiple=True, metavar="LEVEL X", help="Tax on it.")
@click.option("--memo", required=True, metavar="TEXT", help="Why; it stands in the ledger.")
@click.option("--reference", metavar="TEXT", help="Name: the same one corrects a call once.")
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@operator_option
@json_option
@pass_invocation
def correct(
    invocation: Invocation,
    /,
    call_id: str,
    memo: str,
    reference: str | None,
    operator: str,
    dry_run: bool,
    as_json: bool,
    **amounts: Any,
) -> None:
    """Set right what a call has cost; the ledger gets entries of the difference.

    Numbers and times of a call are not changed, and neither are the steps of its charges. The first digits of CALL_ID
    are enough.
    """
    if not memo.strip():
        raise click.UsageError("--memo is empty: say why")
    if reference == "":
        raise click.UsageError("--reference is empty; leave it out for a correction that need not be repeatable")
    if reference is not None and reference.startswith(OF_RUNS):
        raise click.UsageError("--reference begins as those of vosd rerate, which rates again what it has booked")
    wanted = _wanted(**amounts)
    if not wanted:
        raise click.UsageError("say what is to be corrected: --fee, --cost, --agent-fee ...")
    changes, untold = asyncio.run(_correct(invocation, call_id, wanted, reference, operator, memo, dry_run=dry_run))
    if untold:
        output.remark(f"booked, but the running switch has not taken the new balance yet: {untold}")
    _print(changes, as_json=as_json, empty="nothing to correct: the call costs that already")
    if changes and not as_json:
        _say_how(changes, dry_run=dry_run)


def _say_how(changes: "Sequence[CorrectedCharge]", *, dry_run: bool) -> None:
    if changes[0].is_repeated:
        output.line(f"reference {changes[0].reference} was booked before; nothing was booked now")
    elif dry_run:
        output.line("nothing was booked (--dry-run)")


@click.command("corrections", cls=Verb)
@click.argument("call_id", type=CALL_ID)
@json_option
@pass_invocation
def corrections(invocation: Invocation, call_id: str, as_json: bool) -> None:
    """List what was corrected of a call: who, when, before, after and why."""
    changes = asyncio.run(_history(invocation, call_id))
    _print(changes, as_json=as_json, empty="nothing was corrected", more=_OF_ALL)


def _print(changes: "Iterable[CorrectedCharge]", *, as_json: bool, empty: str, more: tuple[str, ...] = ()) -> None:
    from vosd.admin.corrections import correction_json

    shown = [correction_json(each) for each in changes]
    if as_json:
        output.document(shown)
        return
    keys = (*more, *_SHOWN)
    output.table(keys, [[each[key] for key in keys] for each in shown], empty=empty)


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
) -> "dict[tuple[str, int], Wanted]":
    """Return what is wanted of each charge, by role and level."""
    from vosd.admin.corrections import Wanted

    fees, taxes = dict(agent_fee), dict(agent_tax)
    wanted = {
        (CUSTOMER, 0): Wanted(fee, tax, billed_seconds),
        (VENDOR, 0): Wanted(cost, cost_tax, vendor_billed_seconds),
        **{(AGENT, level): Wanted(fees.get(level), taxes.get(level)) for level in sorted({*fees, *taxes})},
    }
    return {party: what for party, what in wanted.items() if what != Wanted()}


async def _correct(
    invocation: Invocation,
    beginning: str,
    wanted: "dict[tuple[str, int], Wanted]",
    reference: str | None,
    operator: str,
    memo: str,
    *,
    dry_run: bool,
) -> "tuple[list[CorrectedCharge], str]":
    from vosd.admin.corrections import changes_of
    from vosd.admin.office.records import the_one
    from vosd.admin.payments import refresh_balances
    from vosd.cdr.corrections import Correction
    from vosd.cli.database import database_of
    from vosd.storage.corrections import SqlCorrections
    from vosd.storage.queries import SqlQueries

    async with database_of(invocation.database_url) as database:
        call = await the_one(SqlQueries(database), beginning)
        if call is None:
            message = f"no call {beginning} in the database: only a call with a CDR can be corrected"
            raise OperationError(message)
        record = call.record
        changes = changes_of(record, wanted)
        correction = Correction(record.call_id, changes, reference or str(uuid4()), operator, memo, now_ms())
        store = SqlCorrections(database)
        if dry_run:
            return await store.preview([correction]), ""
        booked = await store.book([correction])
    untold = await refresh_balances(invocation.running_switch()) if any(not each.is_repeated for each in booked) else ""
    return booked, untold


async def _history(invocation: Invocation, beginning: str) -> "list[CorrectedCharge]":
    from vosd.admin.office.records import the_one
    from vosd.cli.database import database_of
    from vosd.storage.corrections import SqlCorrections
    from vosd.storage.queries import SqlQueries

    async with database_of(invocation.database_url) as database:
        call = await the_one(SqlQueries(database), beginning)
        if call is None:
            raise OperationError(f"no call {beginning} in the database")
        return await SqlCorrections(database).history(call.record.call_id)
