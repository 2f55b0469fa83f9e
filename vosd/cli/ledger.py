"""``vosd ledger``: verification of the books."""

import asyncio
import sys
from typing import TYPE_CHECKING

import click

from vosd.base.money import format_amount
from vosd.cli import output
from vosd.cli.command import Family, Invocation, OperationError, json_option, pass_invocation
from vosd.cli.later import not_built_yet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vosd.admin.reconcile import Reconciliation
    from vosd.storage.verify import Difference, Verification


@click.group(cls=Family)
def ledger() -> None:
    """The ledger."""


for _verb in ("list", "statement", "close"):
    ledger.add_command(not_built_yet(_verb))


@ledger.command("verify")
@json_option
@pass_invocation
def verify(invocation: Invocation, as_json: bool) -> None:
    """Recompute balances from entries and entries from call records, and compare them with the journal.

    Calls on their way to the database are no difference. Exit code 1 if anything differs.
    """
    result, journal = asyncio.run(_verify(invocation))
    differences = [*result.differences, *(journal.differences if journal is not None else ())]
    if as_json:
        output.document(_document(result, journal, differences))
    else:
        for difference in differences:
            output.line(str(difference))
        compared = (
            "no journal here"
            if journal is None
            else f"{journal.journal_records} records in the journal ({journal.waiting} calls not booked yet)"
        )
        output.line(
            f"{result.accounts} accounts, {result.entries} entries, {result.calls} calls"
            f" ({result.calls_without_cdr} without record), {compared}: {len(differences) or 'no'} differences"
        )
    if differences:
        sys.exit(OperationError.exit_code)


def _document(
    result: "Verification", journal: "Reconciliation | None", differences: "Sequence[Difference]"
) -> dict[str, object]:
    shown = [
        {
            **each._asdict(),
            "fault": each.fault.value,
            "expected": format_amount(each.expected),
            "found": format_amount(each.found),
        }
        for each in differences
    ]
    return {
        **result._asdict(),
        "journal_records": None if journal is None else journal.journal_records,
        "waiting": None if journal is None else journal.waiting,
        "differences": shown,
    }


async def _verify(invocation: Invocation) -> "tuple[Verification, Reconciliation | None]":
    from vosd.admin.reconcile import reconcile
    from vosd.cli.database import database_of
    from vosd.storage.verify import verify_ledger

    settings = invocation.settings
    async with database_of(settings) as database:
        return await verify_ledger(database), await reconcile(database, settings.state_dir)
