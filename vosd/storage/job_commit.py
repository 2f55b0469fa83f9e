"""The mark of a job's change, written in the transaction of the change.

A job that was cancelled, or begun again after a crash, changes nothing any more; a change that was made is known to be.
"""

from typing import Any, Final

from sqlalchemy import update

from vosd.base.errors import VosError
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.audit_line import JobRun

_job: Final = schema.job
RUNNING: Final = "running"


class JobNotRunningError(VosError):
    """The job was cancelled or begun again: this beginning of it may change nothing."""


async def keep_commit(connection: AsyncConnection, run: JobRun, at: int) -> None:
    """Mark in the open transaction that the change of a job is made.

    Raises:
        JobNotRunningError: the beginning of the job does not hold any more; the transaction must not be committed.
    """
    marked = await connection.execute(update(_job).where(holds(run)).values(committed_at=at))
    if marked.rowcount != 1:
        message = f"job {run.id} was cancelled or begun again: nothing was changed by this beginning of it"
        raise JobNotRunningError(message)


def holds(run: JobRun) -> Any:
    """Return the condition that a beginning of a job still holds."""
    return (_job.c.id == run.id) & (_job.c.state == RUNNING) & (_job.c.attempt == run.attempt)
