"""``vosd webhooks``: events that receivers did not get."""

from functools import partial
from typing import TYPE_CHECKING, Final

import click

from vosd.cli import output
from vosd.cli.arguments import Count
from vosd.cli.command import Family, Invocation, OperationError, json_verb
from vosd.cli.office import in_office_or_kept, ordered, outcome_of, principal

if TYPE_CHECKING:
    from pathlib import Path

    from vosd.control.events import DeadLetter
    from vosd.wiring.kept_state import LeftState

_COLUMNS: Final = ("receiver", "number", "made", "why", "document")


@click.group(cls=Family)
def webhooks() -> None:
    """Events that receivers of ``webhooks`` did not get."""


@webhooks.command("list")
@click.argument("receiver", required=False)
@json_verb
def list_letters(invocation: Invocation, receiver: str | None) -> None:
    """List the events that RECEIVER, or all, did not get and will not get, unless they are replayed."""
    from vosd.admin.office.webhooks import list_dead_letters
    from vosd.control.events import ListDeadLetters

    who, order = principal(), ListDeadLetters(receiver)
    kept = partial(_kept_letters, invocation, receiver)
    letters = in_office_or_kept(invocation, lambda office: list_dead_letters(office, who, order), kept)
    output.records(_COLUMNS, letters, empty="there is none")


def _kept_letters(invocation: Invocation, receiver: str | None, state_dir: "Path") -> "LeftState[list[DeadLetter]]":
    from vosd.wiring.kept_state import kept_dead_letters

    receivers = [each.name for each in invocation.settings.webhooks]
    if receiver is not None and receiver not in receivers:
        message = f"webhooks has no receiver {receiver!r}; there are {', '.join(sorted(receivers)) or 'none'}"
        raise OperationError(message)
    return kept_dead_letters(state_dir, [receiver] if receiver else receivers)


@webhooks.command()
@click.argument("receiver")
@click.argument("number", required=False, type=Count(1))
@json_verb
def replay(invocation: Invocation, receiver: str, number: int | None) -> None:
    """Deliver the dead letter NUMBER of RECEIVER again, or all."""
    from vosd.admin.office.webhooks import replay_dead_letters
    from vosd.control.events import ReplayDeadLetters

    outcome = outcome_of(ordered(invocation, replay_dead_letters, ReplayDeadLetters(receiver, number)))
    output.outcome(outcome, f"{outcome.replayed} events wait for {receiver} again")
