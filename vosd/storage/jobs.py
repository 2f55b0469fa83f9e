"""Jobs in MySQL and SQLite: long work, from its order to its outcome.

Each beginning of a job has a number; ``job_commit`` marks its row in the transaction of what it changes.
"""

from collections.abc import Collection, Sequence
from enum import Enum
from typing import Any, Final

import msgspec
from sqlalchemy import delete, func, insert, select, update

from vosd.base.errors import VosError
from vosd.cdr.kinds import NAME_LENGTH
from vosd.storage import schema
from vosd.storage.audit import note
from vosd.storage.audit_line import AuditLine, JobRun, RequestKey
from vosd.storage.database import SqlStore, repeated
from vosd.storage.job_commit import RUNNING, holds
from vosd.storage.requests import keep_request
from vosd.storage.types import descriptive

_job: Final = schema.job
_LISTED_AT_MOST: Final = 1_000


class JobState(Enum):
    """State of a job; the first two are followed by one of the others."""

    QUEUED = "queued"
    RUNNING = RUNNING
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN: Final = (JobState.QUEUED.value, JobState.RUNNING.value)


class StoredJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job; times are UTC milliseconds."""

    id: int
    kind: str
    subject: str
    login: str
    means: str
    who: str
    """The principal as JSON."""
    order: str
    """The order as JSON; empty once the job has ended."""
    upload: str | None = None
    """File of the order."""
    state: JobState = JobState.QUEUED
    attempt: int = 0
    progress: int = 0
    """Thousandths."""
    queued_at: int
    begun_at: int | None = None
    committed_at: int | None = None
    ended_at: int | None = None
    result: str | None = None
    result_file: str | None = None
    problem: str | None = None
    has_result: bool = False


class TooManyJobsError(VosError):
    """So many jobs wait that no further one is taken; nothing was changed."""

    retry_after_s = 30


class SqlJobs(SqlStore):
    """All jobs of the installation."""

    @repeated
    async def add(self, job: StoredJob, request: RequestKey | None, *, open_max: int, open_max_each: int) -> int:
        """Queue a job, and return its number; ``open_max_each`` bounds those of one principal.

        Raises:
            TooManyJobsError: so many have not ended.
            StoreUnavailable: probably none was queued.
        """
        is_open = _job.c.state.in_(OPEN)
        count = select(func.count()).select_from(_job).where(is_open)
        own = count.where(_job.c.login == job.login, _job.c.means == job.means)
        values = msgspec.structs.asdict(job) | {"state": job.state.value, "job_order": job.order}
        values |= {"subject": descriptive(job.subject, NAME_LENGTH)}
        del values["id"], values["order"], values["has_result"]
        async with self._database.writing() as connection:
            for query, most, whose in ((own, open_max_each, f"{job.login} has"), (count, open_max, "there are")):
                if (found := (await connection.execute(query)).scalar_one()) >= most:
                    message = f"{whose} {found} jobs that have not ended, the most there may be: wait, or cancel one"
                    raise TooManyJobsError(message)
            made = (await connection.execute(insert(_job).values(values))).inserted_primary_key
            if request is not None:
                await keep_request(connection, request, job.queued_at)
        assert made is not None
        return int(made[0])

    async def job(self, number: int) -> StoredJob | None:
        """Return a job; None = there is none."""
        found = await self._select(_job.c.id == number)
        return found[0] if found else None

    async def jobs(self, login: str | None, means: str | None) -> Sequence[StoredJob]:
        """Return the newest jobs, the newest first, without their results; None = those of all."""
        own = [] if login is None else [_job.c.login == login, _job.c.means == means]
        return await self._select(*own, is_brief=True)

    async def open(self) -> Sequence[StoredJob]:
        """Return the jobs that have not ended, in the order in which they were queued."""
        return (await self._select(_job.c.state.in_(OPEN)))[::-1]

    async def begin(self, job: StoredJob, at: int) -> JobRun | None:
        """Begin a queued job; None = it is queued no longer."""
        attempt = job.attempt + 1
        is_queued = (_job.c.id == job.id) & (_job.c.state == JobState.QUEUED.value) & (_job.c.attempt == job.attempt)
        values = {"state": JobState.RUNNING.value, "attempt": attempt, "begun_at": at, "progress": 0}
        return JobRun(job.id, attempt) if await self._update(is_queued, values) else None

    async def at(self, run: JobRun, progress: int) -> bool:
        """Note how far a job is (thousandths); False = it may run no longer."""
        return await self._update(holds(run), {"progress": progress})

    async def requeue(self, run: JobRun, *, even_if_committed: bool) -> bool:
        """Have an interrupted job begin again; False = it has made its change, or is running no longer."""
        which = holds(run) if even_if_committed else holds(run) & _job.c.committed_at.is_(None)
        return await self._update(which, {"state": JobState.QUEUED.value, "progress": 0})

    async def end(
        self,
        run: JobRun,
        state: JobState,
        at: int,
        *,
        result: str | None = None,
        result_file: str | None = None,
        problem: str | None = None,
    ) -> bool:
        """Note how a running job has ended; False = it was running no longer."""
        values = {"result": result, "result_file": result_file, "problem": problem}
        return await self._update(holds(run), _ended(state, at) | values)

    async def end_unchanged(self, run: JobRun, at: int, problem: str) -> bool:
        """Note that a running job has failed, unless it has made a change; False = it has, or was running no longer.

        Its last transaction may be committed meanwhile: the row is locked until that is known.
        """
        which = holds(run) & _job.c.committed_at.is_(None)
        return await self._update(which, _ended(JobState.FAILED, at) | {"problem": problem})

    @repeated
    async def cancel(self, number: int, line: AuditLine) -> bool:
        """Cancel a job that has changed nothing yet; False = there is none to cancel."""
        which = (_job.c.id == number) & _job.c.state.in_(OPEN) & _job.c.committed_at.is_(None)
        async with self._database.writing() as connection:
            ended = update(_job).where(which).values(_ended(JobState.CANCELLED, line.at))
            if (await connection.execute(ended)).rowcount != 1:
                return False
            await note(connection, line)
        return True

    async def forget(self, before: int) -> None:
        """Remove jobs that had ended before a moment (UTC milliseconds)."""
        await self._database.write(delete(_job).where(_job.c.ended_at < before))

    async def files(self) -> Collection[str]:
        """Return the names of the files that jobs need."""
        rows = await self._database.rows(select(_job.c.upload, _job.c.result_file, _job.c.state))
        return {name for row in rows for name in (row.upload if row.state in OPEN else None, row.result_file) if name}

    async def _update(self, which: Any, values: dict[str, Any]) -> bool:
        return await self._database.write(update(_job).where(which).values(values)) == 1

    async def _select(self, *which: Any, is_brief: bool = False) -> list[StoredJob]:
        left_out = {"result", "job_order"} if is_brief else set()
        has_result = (_job.c.result.is_not(None) | _job.c.result_file.is_not(None)).label("has_result")
        query = (
            select(*(each for each in _job.c if each.name not in left_out), has_result)
            .where(*which)
            .order_by(_job.c.id.desc())
            .limit(_LISTED_AT_MOST)
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [_job_of(dict(row)) for row in rows]


def _ended(state: JobState, at: int) -> dict[str, Any]:
    whole = {"progress": 1_000} if state is JobState.DONE else {}
    return {"state": state.value, "ended_at": at, "job_order": "", **whole}


def _job_of(row: dict[str, Any]) -> StoredJob:
    order, state, has_result = row.pop("job_order", ""), JobState(row.pop("state")), bool(row.pop("has_result"))
    return StoredJob(**row, order=order, state=state, has_result=has_result)
