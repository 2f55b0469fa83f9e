"""``vosd registrations``: users registered with the running switch, and its own registrations."""

from collections.abc import Sequence
from typing import Any, Final

import click
from msgspec.structs import asdict

from vosd.cli import output
from vosd.cli.command import Invocation, Verb, json_verb
from vosd.cli.office import ordered, outcome_of
from vosd.cli.output import ScreenColumn
from vosd.control.order import tag_of
from vosd.control.peers import ForgetRegistration, InboundRow, ListRegistrations, OutboundRow, RetryRegistration

_COLUMNS: Final = (
    "direction", "name", "kind", "state", "server", "contact", "received", "transport", "user_agent", "expires_at",
    "next_attempt_at", "last_status",
)  # fmt: skip

_ON_SCREEN: Final = {
    "name": ScreenColumn("name", narrowest=12),
    "direction": ScreenColumn("direction"),
    "kind": ScreenColumn("kind", rank=3),
    "state": ScreenColumn("state"),
    "peer": ScreenColumn("peer", narrowest=15),
    "last_status": ScreenColumn("last", rank=1, is_figure=True),
    "agent": ScreenColumn("user agent", rank=2, narrowest=10),
    "expires_at": ScreenColumn("expires, UTC"),
}
"""The listing on a terminal: one line for each registration."""


@click.command(cls=Verb)
@click.option("--forget", metavar="NAME", help="Remove what this phone or gateway has registered instead.")
@click.option("--retry", metavar="NAME", help="Ask the vendor of this gateway for our registration at once instead.")
@json_verb
def registrations(invocation: Invocation, forget: str | None, retry: str | None) -> None:
    """List phones and gateways that are registered with us, and our own registrations at vendors."""
    from vosd.admin.office.trunks import list_registrations

    if forget is not None and retry is not None:
        raise click.UsageError("--forget or --retry, not both")
    if retry is not None:
        _retry(invocation, retry)
        return
    if forget is not None:
        _forget(invocation, forget)
        return
    rows = ordered(invocation, list_registrations, ListRegistrations())
    if not output.printed_as_json(rows):
        _print_rows(rows)


def _print_rows(rows: Sequence[InboundRow | OutboundRow]) -> None:
    width = output.columns_of_screen()
    if width is None:
        shown = [{"direction": tag_of(type(row)), **asdict(row)} for row in rows]
        output.table(_COLUMNS, [[row.get(column) for column in _COLUMNS] for row in shown], empty="no registrations")
        return
    cells = [[row.get(key) for key in _ON_SCREEN] for row in map(_on_screen, rows)]
    output.listing([*_ON_SCREEN.values()], cells, width, empty="no registrations")


def _forget(invocation: Invocation, name: str) -> None:
    """Remove the bindings of a phone or gateway; exit code 1 if it has none."""
    from vosd.admin.office.trunks import forget_registration

    done = ordered(invocation, forget_registration, ForgetRegistration(name))
    outcome = outcome_of(done)
    output.outcome(outcome, f"{name} is no longer registered; it may register again")


def _retry(invocation: Invocation, name: str) -> None:
    """Have our registration for a gateway asked for; exit code 1 if the switch does not register for it."""
    from vosd.admin.office.trunks import retry_registration

    row = outcome_of(ordered(invocation, retry_registration, RetryRegistration(name)))
    when = "is asked now" if row.next_attempt_at is None else f"is asked at {row.next_attempt_at}"
    output.outcome(row, f"{row.server} {when} for the registration of {name}")


def _on_screen(row: InboundRow | OutboundRow) -> dict[str, Any]:
    """Return the row for one line: the peer is where the user was seen, or the vendor's server."""
    more = {"peer": row.received, "agent": row.user_agent} if isinstance(row, InboundRow) else {"peer": row.server}
    return {**asdict(row), "direction": tag_of(type(row)), "expires_at": (row.expires_at or "")[11:19], **more}
