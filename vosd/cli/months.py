"""``vosd month``: the end of a month."""

from typing import TYPE_CHECKING, Any, Final

import click

from vosd.cli import output
from vosd.cli.arguments import MONTH, ask, operator_verb, yes_option
from vosd.cli.command import Family, Invocation, OperationError
from vosd.cli.office import in_office, principal, warn_root
from vosd.cli.progress import meter
from vosd.processes.life import give_way

if TYPE_CHECKING:
    from vosd.admin.ledger import Month
    from vosd.admin.office.months import ClosedMonthSheet

_MAY_PASS: Final = ("quarantined", "vendor_unmatched", "dispute_open", "invoices_missing")


@click.group(cls=Family)
def month() -> None:
    """The end of a month."""
    give_way()


@month.command()
@click.argument("month", type=MONTH, metavar="YYYY-MM")
@click.option("--dry-run", "is_trial", is_flag=True, help="Only say what is missing; exit code 1 if anything is.")
@click.option("--despite", type=click.Choice(_MAY_PASS), multiple=True, help="Pass over this; may be repeated.")
@click.option("--reason", metavar="TEXT", help="Why that is passed over; it stands on the page.")
@yes_option
@operator_verb
def close(invocation: Invocation, /, month: "Month", yes: bool, **given: Any) -> None:
    """Close a month: check the books, book minimums, close the ledger, make invoices, files and a page for the auditor.

    It begins and ends in the zone of `invoices.timezone`. It asks before. Nothing is closed while work is missing.
    After a failure say the same again; once the month is closed, that shows the page of then.
    """
    from vosd.admin.month_page import MonthObstacle
    from vosd.admin.office.months import CloseMonth, close_month

    given["despite"] = tuple(map(MonthObstacle, given["despite"]))
    order = CloseMonth(month=month, **given)
    if not order.is_trial:
        warn_root(invocation)
        ask(f"Entries of {month} and before cannot be changed or opened again. Close the month?", yes=yes)
    with meter("calls") as shown:
        found = in_office(invocation, lambda office: close_month(office, principal(), order, shown.show))
    _show(found)


def _show(found: "ClosedMonthSheet") -> None:
    if output.wants_json():
        output.document(found)
    elif found.page is not None:
        from vosd.admin.month_page import page_as_text

        output.line(page_as_text(found.page))
        output.remark(f"{'closed before' if found.repeated else 'closed'}: {found.directory}")
    else:
        rows = [(each.obstacle.value, each.detail, each.do) for each in found.missing]
        output.table(("missing", "detail", "do"), rows, empty="nothing is missing")
    if found.missing and found.page is None:
        raise OperationError(f"work is missing before {found.month} can be closed")
