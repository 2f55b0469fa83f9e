"""``vosd registrations``: who is registered with the running switch, and where it is registered itself."""

import asyncio
from typing import Any, Final

import click

from vosd.cli import output
from vosd.cli.command import Invocation, Verb, json_option, pass_invocation

_COLUMNS: Final = (
    "direction", "name", "kind", "state", "server", "contact", "received", "transport", "user_agent", "expires_at",
    "next_attempt_at", "last_status",
)  # fmt: skip


@click.command(cls=Verb)
@json_option
@pass_invocation
def registrations(invocation: Invocation, as_json: bool) -> None:
    """List phones and gateways that are registered with us, and our own registrations at vendors."""
    rows: list[dict[str, Any]] = asyncio.run(invocation.running_switch().ask("registrations"))
    if as_json:
        output.document(rows)
        return
    output.table(_COLUMNS, [[row.get(column) for column in _COLUMNS] for row in rows], empty="no registrations")
