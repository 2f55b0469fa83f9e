"""``vosd unblock``: sources that are locked out for wrong passwords or blocked for a flood."""

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from vosd.cli import output
from vosd.cli.command import Family, Invocation, Verb, json_verb
from vosd.cli.office import from_memory, in_office, in_office_or_kept, ordered, outcome_of, principal
from vosd.control.peers import ClearBlacklist, ClearedCallers, ListBlacklist, ListLockedOut, Unblock

if TYPE_CHECKING:
    from vosd.admin.office.office import Done
    from vosd.admin.office.principal import Principal
    from vosd.wiring.kept_state import LeftState


@click.command(cls=Verb)
@click.argument("address", required=False)
@click.option("--list", "lists", is_flag=True, help="List who is locked out instead.")
@json_verb
def unblock(invocation: Invocation, /, address: str | None, lists: bool) -> None:
    """Unblock ADDRESS, which was locked out or blocked for a flood; exit code 1 if it was not.

    Of IPv6 the /64 is locked out: give it, or any address of it.
    """
    if lists == (address is not None):
        raise click.UsageError("say either ADDRESS or --list")
    if address is None:
        _list(invocation)
        return
    from vosd.admin.office.alarms import unblock_source

    outcome = outcome_of(ordered(invocation, unblock_source, Unblock(address)))
    output.outcome(outcome, f"{outcome.address} is unblocked")


def _list(invocation: Invocation) -> None:
    from vosd.admin.office.alarms import list_locked_out

    who = principal()
    locked_out = from_memory(invocation, lambda office: list_locked_out(office, who, ListLockedOut()))
    if output.printed_as_json(locked_out):
        return
    rows = [(each.source, each.cause, f"{each.remaining_s} s", each.until, each.username or "-") for each in locked_out]
    output.table(("source", "cause", "remaining", "until", "user tried"), rows, empty="no source is locked out")


_COLUMNS: Final = ("caller", "mapping_gateway", "cause", "limit", "since", "until", "remaining_s")


@click.group(cls=Family)
def blacklist() -> None:
    """Callers that are refused because they exceeded a limit of ``dynamic_blacklist``."""


@blacklist.command("list")
@json_verb
def list_callers(invocation: Invocation) -> None:
    """List the callers on the list, the one that was put there first at the top.

    While no switch runs, these are the callers that its next start will find there.
    """
    from vosd.admin.office.alarms import list_blacklist
    from vosd.wiring.kept_state import kept_blacklist

    who, kept = principal(), partial(kept_blacklist, now_ms=time.time_ns() // 1_000_000)
    rows = in_office_or_kept(invocation, lambda office: list_blacklist(office, who, ListBlacklist()), kept)
    output.records(_COLUMNS, rows, empty="no caller is on the list")


@blacklist.command("clear")
@click.argument("number", required=False)
@json_verb
def clear(invocation: Invocation, /, number: str | None) -> None:
    """Take NUMBER off the list, or all callers; exit code 1 if NUMBER is not on it.

    A leading + makes no difference. While no switch runs, the list is meant that its next start will find.
    """
    from vosd.admin.office.alarms import clear_blacklist

    who, order = principal(), ClearBlacklist(number)
    kept = partial(_clear_kept, invocation, who, order)
    outcome = outcome_of(in_office_or_kept(invocation, lambda office: clear_blacklist(office, who, order), kept))
    output.outcome(outcome, f"{outcome.cleared} taken off the list")


def _clear_kept(
    invocation: Invocation, who: "Principal", order: ClearBlacklist, state_dir: Path
) -> "LeftState[Done[ClearedCallers]]":
    """Clear the list that the next start will find, and write the line of the audit."""
    from vosd.admin.office.alarms import CallerNotRefusedError
    from vosd.wiring.kept_state import LeftState, clear_kept_blacklist, kept_blacklist

    now_ms = time.time_ns() // 1_000_000
    written = kept_blacklist(state_dir, now_ms).at
    outcome = clear_kept_blacklist(state_dir, order.number, now_ms)
    if order.number is not None and not outcome.cleared:
        raise CallerNotRefusedError(f"{order.number} is not on the list; vosd blacklist list shows who is")
    subject = order.number or "blacklist"
    noted = in_office(invocation, lambda office: office.noted(outcome, who, order, subject), with_database=False)
    return LeftState(noted, written)
