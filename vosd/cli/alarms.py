"""``vosd alarms``: what an operator should know of the running switch."""

from functools import partial
from typing import Final

import click

from vosd.cli import output
from vosd.cli.command import Invocation, Verb, json_verb
from vosd.cli.office import in_office_or_kept, ordered, outcome_of, principal
from vosd.control.installation import AlarmList, ListAlarms

_ACTIVE: Final = ("level", "alarm", "subject", "since", "count", "text")
_CLEARED: Final = ("level", "alarm", "subject", "since", "cleared_at", "count", "text")


@click.command(cls=Verb)
@click.option("--history", is_flag=True, help="List those that were cleared, the latest first.")
@click.option("--confirm", metavar="ALARM", help="Note that you have seen an alarm that holds.")
@click.option("--subject", metavar="SUBJECT", help="With --confirm: subject of the alarm, where several hold.")
@click.option("--note", metavar="TEXT", help="With --confirm: a note for the other operators.")
@json_verb
def alarms(invocation: Invocation, history: bool, confirm: str | None, subject: str | None, note: str | None) -> None:
    """List the alarms that hold, the most urgent first.

    What held before a restart holds on; it is cleared after five minutes unless its cause reports it again. While no
    switch runs, these are the alarms that it left. An alarm about lost payments holds until --confirm.
    """
    if confirm is not None:
        _confirm(invocation, confirm, subject, note)
        return
    if subject is not None or note is not None:
        raise click.UsageError("--subject and --note are of --confirm")
    _list(invocation, history=history)


def _list(invocation: Invocation, *, history: bool) -> None:
    from vosd.admin.office.alarms import list_alarms
    from vosd.wiring.kept_state import kept_alarms

    who, order = principal(), ListAlarms(history)
    kept = partial(kept_alarms, history=history)
    answer = in_office_or_kept(invocation, lambda office: list_alarms(office, who, order), kept)
    if not output.printed_as_json(answer.alarms):
        _show(answer, history=history)
    _say_left_out(answer.left_out)


def _confirm(invocation: Invocation, alarm: str, subject: str | None, note: str | None) -> None:
    from vosd.admin.office.alarms import NoteAlarm, confirm_alarm

    done = ordered(invocation, confirm_alarm, NoteAlarm(alarm=alarm, subject=subject, note=note))
    found = outcome_of(done)
    if not output.printed_as_json(found):
        over = "" if found.cleared_at is None else ", and is over"
        output.line(f"{f'{alarm} {found.subject}'.strip()} is confirmed{over}")


def _show(answer: AlarmList, *, history: bool) -> None:
    empty = "no alarm was cleared yet" if history else "there is no alarm"
    output.records(_CLEARED if history else _ACTIVE, answer.alarms, empty=empty)
    if not history:
        for name, do in dict.fromkeys((row.alarm, row.do) for row in answer.alarms):
            if do:
                output.line(f"{name}: {do}")


def _say_left_out(number: int) -> None:
    if number:
        output.remark(f"{number} reports were not kept: too many alarms of their kind; the log has them")
