"""``vosd ledger``: are the books right?"""

import asyncio
import sys
from typing import TYPE_CHECKING

import click

from vosd.base.money import format_amount
from vosd.cli import output
from vosd.cli.command import Family, Invocation, OperationError, json_option, pass_invocation

if TYPE_CHECKING:
    from vosd.storage.verify import Verification


@click.group(cls=Family)
def ledger() -> None:
    """The ledger."""


@ledger.command("verify")
@json_option
@pass_invocation
def verify(invocation: Invocation, as_json: bool) -> None:
    """Recompute balances from entries and entries from call records; exit code 1 where they differ."""
    result = asyncio.run(_verify(invocation))
    if as_json:
        output.document(_document(result))
    else:
        for difference in result.differences:
            output.line(str(difference))
        output.line(
            f"{result.accounts} accounts, {result.entries} entries, {result.calls} calls"
            f" ({result.calls_without_cdr} without record): {len(result.differences) or 'no'} differences"
        )
    if result.differences:
        sys.exit(OperationError.exit_code)


def _document(result: "Verification") -> dict[str, object]:
    differences = [
        {
            **each._asdict(),
            "fault": each.fault.value,
            "expected": format_amount(each.expected),
            "found": format_amount(each.found),
        }
        for each in result.differences
    ]
    return {**result._asdict(), "differences": differences}


async def _verify(invocation: Invocation) -> "Verification":
    from vosd.cli.database import database_of
    from vosd.storage.verify import verify_ledger

    async with database_of(invocation.load().settings) as database:
        return await verify_ledger(database)
