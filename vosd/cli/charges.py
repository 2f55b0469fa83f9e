"""``vosd cdr charges``: what everyone pays or is paid for a call, with its steps, whether it has a CDR or not."""

import asyncio
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from vosd.cdr.columns import CHARGE_KEYS, charge_object
from vosd.cli import output
from vosd.cli.arguments import CALL_ID
from vosd.cli.command import Invocation, OperationError, Verb, json_option, pass_invocation

if TYPE_CHECKING:
    from vosd.cdr.record import ChargeRow

_SHOWN: Final = tuple(key for key in CHARGE_KEYS if key != "breakdown")
"""Columns of a charge in a table; its steps stand below."""


@click.command("charges", cls=Verb)
@click.argument("call_id", type=CALL_ID)
@json_option
@pass_invocation
def charges(invocation: Invocation, call_id: str, as_json: bool) -> None:
    """Show what everyone pays or is paid for a call, with the steps; the first digits of CALL_ID are enough.

    Calls that leave ledger entries and no CDR have their charges, too.
    """
    found = asyncio.run(_charges(invocation, call_id))
    shown = [charge_object(each) for each in found]
    for each in shown:
        each["breakdown"] = _steps(each["breakdown"])
    if as_json:
        output.document(shown)
        return
    charge_table(shown)
    for each in shown:
        if each["breakdown"]:
            output.line("")
            output.table((f"{each['role']} {each['account']}", "figures"), output.figures(each["breakdown"]), empty="")


def charge_table(rows: list[dict[str, Any]]) -> None:
    """Print charges, without their steps."""
    output.table(_SHOWN, [[row[key] for key in _SHOWN] for row in rows], empty="no charges")


def _steps(breakdown: Any) -> Any:
    return msgspec.json.decode(breakdown) if isinstance(breakdown, str) else breakdown


async def _charges(invocation: Invocation, beginning: str) -> "tuple[ChargeRow, ...]":
    """Return the charges of the one call whose id begins so.

    Raises:
        OperationError: there is none, or several begin so.
    """
    from vosd.cdr.charges import with_breakdowns
    from vosd.cli.cdr import the_one
    from vosd.cli.database import database_of
    from vosd.storage.charges import charges_beginning
    from vosd.storage.queries import SqlQueries

    async with database_of(invocation.database_url) as database:
        call = await the_one(SqlQueries(database), beginning)
        if call is not None:
            return with_breakdowns(call.record)
        found = await charges_beginning(database, beginning, limit=2)
    if not found:
        raise OperationError(f"no call {beginning} in the database has charges")
    if len(found) > 1:
        message = "\n".join(
            [f"several calls begin with {beginning}, say more of the id:", *(f"  {each}" for each in found)]
        )
        raise OperationError(message)
    return tuple(next(iter(found.values())))
