"""Use cases of jobs: long work of the management API, by those who have ordered it and by administrators."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

import msgspec

from vosd.admin.office.office import Office, needs, require
from vosd.admin.office.principal import Permission, Principal
from vosd.base.errors import VosError
from vosd.cdr.columns import iso_utc
from vosd.control.events import EventType, LiveEvent
from vosd.storage.jobs import JobState, StoredJob

OPEN_AT_MOST: Final = 200
"""Jobs of the installation that have not ended; further ones are refused."""
OPEN_AT_MOST_EACH: Final = 20
"""Open jobs of one person or token; further ones are refused."""
KEPT_MS: Final = 7 * 86_400_000
"""Time for which a job that has ended can be seen, and its result be read."""


class JobKind(Enum):
    """Kind of long work."""

    BULK = "bulk"
    DECK_IMPORT = "deck_import"
    RERATE = "rerate"
    SIMULATE = "simulate"
    CDR_EXPORT = "cdr_export"
    BILL_IMPORT = "bill_import"
    INVOICE_RUN = "invoice_run"
    MONTH_CLOSE = "month_close"

    @property
    def is_repeatable(self) -> bool:
        """Whether a job goes on where one stopped that had changed something already."""
        # Of repeated rating an entry is named by its run and its call; an account has one invoice of a period, and a
        # month is closed once.
        return self in {JobKind.RERATE, JobKind.INVOICE_RUN, JobKind.MONTH_CLOSE}


RESULT_NEEDS: Final = {
    JobKind.BULK: Permission.DEFINITIONS_CHANGE,
    JobKind.DECK_IMPORT: Permission.RATES_CHANGE,
    JobKind.RERATE: Permission.BOOKS_CHANGE,
    JobKind.SIMULATE: Permission.CALLS_SEE,
    JobKind.CDR_EXPORT: Permission.CALLS_EXPORT,
    JobKind.BILL_IMPORT: Permission.BOOKS_CHANGE,
    JobKind.INVOICE_RUN: Permission.BOOKS_CHANGE,
    JobKind.MONTH_CLOSE: Permission.BOOKS_CHANGE,
}
"""Permission of the operation that each kind is ordered by: who lacks it sees the job, and not its result.

It is enough for the state and the result of a job of one's own: an order shall not seem refused that is carried out.
"""


class NoSuchJobError(VosError):
    """There is no such job, or none that the principal may see."""


class JobEndedError(VosError):
    """The job has ended, or its change is made: it can be cancelled no longer."""


class NoResultError(VosError):
    """The job has no result: it has not ended, or it has failed, or its result was lost."""


class JobSheet(msgspec.Struct, frozen=True, kw_only=True):
    """A job; times are RFC 3339."""

    id: int
    """Number of the job."""
    kind: JobKind
    """Kind of the work."""
    subject: str
    """The object that it is about, such as a rate group; empty where there are many."""
    state: JobState
    """State of the job."""
    progress: float
    """Part that is done, 0 to 1."""
    ordered_by: str
    """Name of the principal who has ordered it."""
    queued: str
    """Time of the order, RFC 3339."""
    begun: str | None
    """Time of the last beginning: one that was interrupted begins again."""
    beginnings: int
    """Number of times that it was begun."""
    committed: str | None
    """Time at which its change was made, in the same transaction; null = it has changed nothing."""
    ended: str | None
    """Time of the end, RFC 3339; null = it has not ended."""
    has_result: bool
    """Whether there is a result to be read."""
    problem: dict[str, Any] | None
    """Why it has failed: the problem that the request would have got."""


class JobBegun(LiveEvent[JobSheet], frozen=True, omit_defaults=True, gc=False, tag="job.begun"):
    """A job is carried out."""

    type = EventType.JOB_BEGUN


class JobDone(LiveEvent[JobSheet], frozen=True, omit_defaults=True, gc=False, tag="job.done"):
    """A job has ended well."""

    type = EventType.JOB_DONE


class JobFailed(LiveEvent[JobSheet], frozen=True, omit_defaults=True, gc=False, tag="job.failed"):
    """A job has failed."""

    type = EventType.JOB_FAILED


class JobCancelled(LiveEvent[JobSheet], frozen=True, omit_defaults=True, gc=False, tag="job.cancelled"):
    """A job was cancelled while it ran."""

    type = EventType.JOB_CANCELLED


_EVENTS: Final[Mapping[JobState, type[LiveEvent[JobSheet]]]] = {
    JobState.RUNNING: JobBegun,
    JobState.DONE: JobDone,
    JobState.FAILED: JobFailed,
    JobState.CANCELLED: JobCancelled,
}


class ListJobs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Jobs of the one who asks; administrators see all."""


class JobOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One job."""

    id: int


class ShowJob(JobOrder, frozen=True):
    """State of a job."""


class CancelJob(JobOrder, frozen=True):
    """The end of a job that has changed nothing yet."""


class ReadResult(JobOrder, frozen=True):
    """Result of a job that is done."""


class JobResult(msgspec.Struct, frozen=True):
    """A result: JSON, or a file."""

    document: str | None
    """JSON."""
    file: str | None
    """Name of a file in ``state_dir/jobs``."""


async def queue_job(
    office: Office, who: Principal, kind: JobKind, subject: str, order: str, upload: str | None = None
) -> JobSheet:
    """Queue an order that the principal may give: the caller has checked that.

    Raises:
        TooManyJobsError: so many have not ended that no further one is taken.
        StoreUnavailable: probably nothing was queued.
    """
    job = StoredJob(
        id=0,
        kind=kind.value,
        subject=subject,
        login=who.login,
        means=who.means.value,
        who=msgspec.json.encode(msgspec.structs.replace(who, request=None)).decode(),
        order=order,
        upload=upload,
        queued_at=office.now(),
    )
    number = await office.stores.jobs.add(job, who.request, open_max=OPEN_AT_MOST, open_max_each=OPEN_AT_MOST_EACH)
    return _sheet(msgspec.structs.replace(job, id=number))


@needs(Permission.JOBS)
async def list_jobs(office: Office, who: Principal, order: ListJobs) -> list[JobSheet]:
    """Return the newest jobs, the newest first."""
    login, means = (None, None) if sees_all_jobs(who) else (who.login, who.means.value)
    return [_sheet(each) for each in await office.stores.jobs.jobs(login, means)]


@needs(Permission.JOBS, instead=RESULT_NEEDS.values())
async def show_job(office: Office, who: Principal, order: ShowJob) -> JobSheet:
    """Return a job.

    Raises:
        NoSuchJobError: there is none that the principal may see.
        PermissionLackingError: the principal has neither the permission of jobs nor, any more, that of the order.
    """
    job = await _job(office, who, order.id)
    if RESULT_NEEDS[JobKind(job.kind)] not in who.permissions:
        require(who, Permission.JOBS)
    return _sheet(job)


@needs(Permission.JOBS)
async def cancel_job(office: Office, who: Principal, order: CancelJob) -> JobSheet:
    """Cancel a job; what it was doing is undone.

    Raises:
        NoSuchJobError: there is none that the principal may see.
        JobEndedError: it has ended, or its change is made.
    """
    await _job(office, who, order.id)
    line = office.audit_line(who, order, f"job {order.id}")
    if not await office.stores.jobs.cancel(order.id, line):
        job = await _job(office, who, order.id)
        done = "has made its change" if job.state is JobState.RUNNING else f"is {job.state.value}"
        raise JobEndedError(f"job {order.id} {done}, and cannot be cancelled any more")
    return _sheet(await _job(office, who, order.id))


@needs(Permission.JOBS, instead=RESULT_NEEDS.values())
async def read_result(office: Office, who: Principal, order: ReadResult) -> JobResult:
    """Return the result of a job.

    Raises:
        NoSuchJobError: there is none that the principal may see.
        PermissionLackingError: the principal may not order what it is the result of, or may not see its money.
        NoResultError: it has none.
    """
    job = await _job(office, who, order.id)
    kind = JobKind(job.kind)
    require(who, RESULT_NEEDS[kind])
    if kind is JobKind.SIMULATE and Permission.BOOKS_SEE in msgspec.json.decode(job.who, type=Principal).permissions:
        require(who, Permission.BOOKS_SEE)  # the result has the money that the one who ordered it might see then
    if job.result is None and job.result_file is None:
        why = f"is {job.state.value}"
        if job.state is JobState.DONE:
            why = "has made its change and was interrupted then: its result was lost"
        raise NoResultError(f"job {job.id} {why}")
    return JobResult(job.result, job.result_file)


async def _job(office: Office, who: Principal, number: int) -> StoredJob:
    job = await office.stores.jobs.job(number)
    if job is None or not (sees_all_jobs(who) or (job.login, job.means) == (who.login, who.means.value)):
        message = f"there is no job {number}: jobs are kept for {KEPT_MS // 86_400_000} days after their end"
        raise NoSuchJobError(message)
    return job


def sees_all_jobs(who: Principal) -> bool:
    """Return whether a principal sees the jobs of others, too."""
    return who.permissions >= {Permission.JOBS, Permission.INSTALLATION_RUN}


def job_event(job: StoredJob, at: int) -> LiveEvent[JobSheet] | None:
    """Return the live event of a job that has come to another state; None = it waits for its turn again."""
    if job.state not in _EVENTS:
        return None
    return _EVENTS[job.state](iso_utc(at), _sheet(job), ordered_by=orderer_of(job.means, job.login))


def orderer_of(means: str, login: str) -> str:
    """Return the name of one who orders jobs: a person and a token may have the same login."""
    return f"{means} {login}"


def _sheet(job: StoredJob) -> JobSheet:
    def moment(at: int | None) -> str | None:
        return None if at is None else iso_utc(at)

    return JobSheet(
        id=job.id,
        kind=JobKind(job.kind),
        subject=job.subject,
        state=job.state,
        progress=job.progress / 1_000,
        ordered_by=job.login,
        queued=iso_utc(job.queued_at),
        begun=moment(job.begun_at),
        beginnings=job.attempt,
        committed=moment(job.committed_at),
        ended=moment(job.ended_at),
        has_result=job.has_result,
        problem=None if job.problem is None else msgspec.json.decode(job.problem),
    )
