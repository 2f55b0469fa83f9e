"""``vosd did``: the inventory of numbers, who has each, and who had it when."""

from typing import TYPE_CHECKING, Any, Final

import click

from vosd.cli import output
from vosd.cli.arguments import TextFile
from vosd.cli.command import Family, Invocation, json_verb
from vosd.cli.definitions import change_objects, change_options
from vosd.cli.office import ordered
from vosd.cli.output import ScreenColumn

if TYPE_CHECKING:
    from vosd.admin.office.dids import DidRow

_COLUMNS: Final = (
    ScreenColumn("number", narrowest=12),
    ScreenColumn("account"),
    ScreenColumn("rings", narrowest=8),
    ScreenColumn("since", rank=1),
    ScreenColumn("by", rank=3),
    ScreenColumn("memo", rank=2, narrowest=10),
)
_NUMBER: Final = click.argument("number")


@click.group(cls=Family)
def did() -> None:
    """Numbers that were given to customers: import, list, assign, free."""


@did.command("list")
@click.argument("number", required=False)
@click.option("--account", metavar="ID", help="Only those of this account.")
@click.option("--free", is_flag=True, help="Only those that no account has.")
@json_verb
def list_(invocation: Invocation, number: str | None, account: str | None, free: bool) -> None:
    """List the numbers with their accounts and what they ring; of NUMBER who had it when, the latest first."""
    from vosd.admin.office.dids import ListDids, list_dids

    found = ordered(invocation, list_dids, ListDids(account=account, free=free, number=number))
    if output.printed_as_json(found):
        return
    rows = [
        (each.number, each.account or "free", _rings(each), each.since or "in files", each.by or "", each.memo or "")
        for each in found
    ]
    output.listing(_COLUMNS, rows, output.columns_of_screen() or 80, empty="there is no such number")


def _rings(row: "DidRow") -> str:
    return f"{row.rings} {row.ring.value}" if " " in row.rings and row.ring is not row.ring.IN_TURN else row.rings


@did.command()
@_NUMBER
@click.argument("account")
@click.option("--trunk", metavar="NAME", help="Its calls go to this gateway.")
@click.option("--phone", "phones", multiple=True, metavar="NUMBER", help="It rings this phone; several ring in turn.")
@click.option("--together", is_flag=True, help="Several phones ring at the same time.")
@change_options
def assign(
    invocation: Invocation,
    /,
    number: str,
    account: str,
    trunk: str | None,
    phones: tuple[str, ...],
    together: bool,
    **terms: Any,
) -> None:
    """Give NUMBER, or a range such as 4930100-4930199, to ACCOUNT; "vosd did import" adds numbers first."""
    from vosd.admin.office.dids import AssignDid, assign_did
    from vosd.trunks.ringing import RingOrder

    ring = RingOrder.TOGETHER if together else None
    change_objects(
        invocation,
        assign_did,
        lambda **order: AssignDid(number=number, account=account, trunk=trunk, phones=phones, ring=ring, **order),
        **terms,
    )


@did.command()
@_NUMBER
@change_options
def free(invocation: Invocation, /, number: str, **terms: Any) -> None:
    """Take NUMBER back from its account; it stays in the inventory, and calls to it get 404."""
    from vosd.admin.office.dids import FreeDid, free_did

    change_objects(invocation, free_did, lambda **order: FreeDid(number=number, **order), **terms)


@did.command("import")
@click.argument("text", type=TextFile(), metavar="FILE")
@change_options
def import_(invocation: Invocation, /, text: str, **terms: Any) -> None:
    """Set the numbers of a CSV FILE, all of them or none; others stay as they are.

    Its first line names the columns: number, account, trunk, phones, ring, ring_timeout, calendar, otherwise. A number
    without account is free; several phones stand in one cell with blanks between.
    """
    from vosd.admin.office.dids import ImportDids, import_dids

    change_objects(invocation, import_dids, lambda **order: ImportDids(text=text, **order), **terms)
