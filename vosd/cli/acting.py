"""``--as AGENT``: a verb acts as an agent would, on its accounts only and with its rights only."""

from typing import TYPE_CHECKING

import click

from vosd.cli.command import Invocation

if TYPE_CHECKING:
    from vosd.billing.authority import Authority


def authority(invocation: Invocation, acting: str | None) -> "Authority | None":
    """Return what the agent sees and may do; None for an operator, who may do everything.

    Raises:
        VosError: it is not configured, or no agent.
    """
    if acting is None:
        return None
    from vosd.admin.agents import authority_of

    accounts = invocation.excerpt.accounts()
    return authority_of(accounts, accounts.agents(), acting)


def refuse(acting: str | None, **given: object) -> None:
    """Refuse options that agents have not; raises UsageError."""
    for option, value in given.items() if acting is not None else ():
        if value:
            raise click.UsageError(f"--{option.replace('_', '-')} is not for agents")
