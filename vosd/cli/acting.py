"""``--as AGENT``: a verb acts as an agent would, on its accounts only and with its rights only."""

from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from vosd.cli.command import Invocation

if TYPE_CHECKING:
    from vosd.billing.authority import Authority


def as_option(command: Any) -> Any:
    """Add ``--as`` to a verb; the verb gets the id of the agent, None for an operator."""
    help_text = "Act as this agent: with its rights, on its account and those below it."
    return click.option("--as", "acting", metavar="AGENT", help=help_text)(command)


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


def recorded_operator(operator: str, acting: str | None) -> str:
    """Return who is recorded: the agent, where one acts.

    Raises:
        UsageError: ``--operator`` and ``--as`` name two.
    """
    if acting is None:
        return operator
    if click.get_current_context().get_parameter_source("operator") is not ParameterSource.DEFAULT:
        raise click.UsageError("--as says who does it: leave out --operator")
    from vosd.admin.agents import recorded_as

    return recorded_as(acting)


def refuse(acting: str | None, **given: object) -> None:
    """Refuse options that agents have not; raises UsageError."""
    for option, value in given.items() if acting is not None else ():
        if value:
            raise click.UsageError(f"--{option.replace('_', '-')} is not for agents")
