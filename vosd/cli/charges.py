"""``vosd cdr charges``: what everyone pays or is paid for a call, with its steps, whether it has a CDR or not."""

from typing import Any, Final

import click
import msgspec

from vosd.cdr.columns import CHARGE_KEYS, charge_object
from vosd.cli import output
from vosd.cli.arguments import CALL_ID
from vosd.cli.command import Invocation, Verb, json_option, pass_invocation
from vosd.cli.office import in_office, principal

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
    from vosd.admin.office.records import ShowCharges, show_charges

    found = in_office(invocation, lambda office: show_charges(office, principal(), ShowCharges(call_id)))
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
