"""``vosd jobs``: long work that the management API was ordered to do."""

from typing import TYPE_CHECKING, Final

import click

from vosd.cli import output
from vosd.cli.arguments import Count, operator_verb
from vosd.cli.command import Family, Invocation, json_verb
from vosd.cli.office import ordered

if TYPE_CHECKING:
    from vosd.admin.office.jobs import JobSheet

_COLUMNS: Final = ("id", "kind", "subject", "state", "progress", "ordered_by", "queued", "ended")
_NUMBER: Final = click.argument("number", type=Count(1), metavar="ID")


@click.group(cls=Family)
def jobs() -> None:
    """Long work of the management API: list, show, cancel."""


@jobs.command("list")
@json_verb
def list_all(invocation: Invocation) -> None:
    """List the newest jobs of all, the newest first."""
    from vosd.admin.office.jobs import ListJobs, list_jobs

    found = ordered(invocation, list_jobs, ListJobs())
    output.records(_COLUMNS, found, empty="there are no jobs")


@jobs.command()
@_NUMBER
@json_verb
def show(invocation: Invocation, number: int) -> None:
    """Show the state of job ID, and why it has failed."""
    from vosd.admin.office.jobs import ShowJob, show_job

    _show(ordered(invocation, show_job, ShowJob(number)))


@jobs.command()
@_NUMBER
@operator_verb
def cancel(invocation: Invocation, number: int) -> None:
    """Cancel job ID, which has made no change yet."""
    from vosd.admin.office.jobs import CancelJob, cancel_job

    _show(ordered(invocation, cancel_job, CancelJob(number)))


def _show(job: "JobSheet") -> None:
    import msgspec

    if output.printed_as_json(job):
        return
    found = msgspec.to_builtins(job)
    problem = found.pop("problem")
    output.sheet(found)
    if problem is not None:
        output.line(problem["detail"])
