"""A job's change and its row: both or neither, whatever is killed, cancelled or begun again meanwhile."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from doubles.dying import Steps, is_killed
from doubles.migrated import migrate_on_server, migrated
from doubles.office import operator
from sqlalchemy import event, update

from vosd.admin.office.jobs import JobFailed, JobKind, JobSheet
from vosd.api import job_process
from vosd.api.job import JobOpening, JobOutcome
from vosd.api.jobs import BEGINNINGS_MAX, Jobs, _finish, _settle
from vosd.api.problems import problem_of
from vosd.billing.deck_content import Chunk
from vosd.cdr.ports import OutcomeUnknown
from vosd.control.events import LiveEvent
from vosd.storage import schema
from vosd.storage.audit import SqlAudit, note
from vosd.storage.audit_line import AuditLine, JobRun
from vosd.storage.database import Database
from vosd.storage.deck_values import StoredDeck, Way
from vosd.storage.decks import SqlDecks
from vosd.storage.job_commit import JobNotRunningError
from vosd.storage.jobs import JobState, SqlJobs, StoredJob, TooManyJobsError

NOW = 1_790_000_000_000


def queued(login: str = "t", kind: str = "deck_import") -> StoredJob:
    return StoredJob(
        id=0, kind=kind, subject="buy", login=login, means="token", who="{}", order='{"path": {}}', queued_at=NOW
    )  # fmt: skip


def deck(group: str) -> StoredDeck:
    return StoredDeck(
        rate_group=group, version=1, content=1, replaced=None, made_at=NOW, operator="ann", way=Way.FULL,
        effective=None, rates=1, digest="d", changes={"new": 1}, memo=None,
    )  # fmt: skip


def line(run: JobRun) -> AuditLine:
    return AuditLine(NOW + 5, "ann", "program", "t", "token", "", "ImportDeck", "buy", "{}", job=run)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)])
def url(request, tmp_path_factory) -> str:
    if request.param == "sqlite":
        return migrated(tmp_path_factory.mktemp("jobs") / "vosd.db")
    made = request.getfixturevalue("mariadb_server").create_database("vosd_jobs")
    migrate_on_server(made)
    return made


def on(url: str, act: Callable[[Database], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with Database(url) as database:
            return await act(database)

    return asyncio.run(run())


async def begun(database: Database, login: str = "t", kind: str = "deck_import") -> JobRun:
    store = SqlJobs(database)
    number = await store.add(queued(login, kind), None, open_max=200, open_max_each=20)
    job = await store.job(number)
    assert job is not None
    run = await store.begin(job, NOW + 1)
    assert run == JobRun(number, 1)
    assert await store.begin(job, NOW + 2) is None, "another process was faster"
    return run


async def settled(database: Database, run: JobRun, group: str) -> bool:
    """Return whether the change of a job is made, which its row must know, and end the job."""
    store = SqlJobs(database)
    job, versions = await store.job(run.id), await SqlDecks(database).versions(group)
    assert job is not None
    assert (job.committed_at is not None) == bool(versions)
    if await store.requeue(run, even_if_committed=False):
        assert not versions, "it must not be made twice"
        await store.cancel(run.id, line(run)._replace(job=None))
    else:
        assert await store.end(run, JobState.DONE, NOW)
    return bool(versions)


def test_a_job_that_is_killed_in_its_change_has_made_it_as_a_whole_if_its_row_says_so(url: str) -> None:
    number, groups, is_dead = 0, [], True
    while is_dead:
        number += 1
        group = f"killed{number}"
        run = on(url, begun)

        def work(run: JobRun = run, group: str = group, number: int = number) -> int:
            steps = Steps(number)

            async def change(database: Database) -> None:
                event.listen(database.engine.sync_engine, "after_cursor_execute", lambda *_arguments: steps.step())
                await SqlDecks(database).add(deck(group), [Chunk("44", b"rates")], line(run))
                steps.step()  # the change is made, and the job has not said so

            on(url, change)
            return 0

        is_dead = is_killed(work)
        is_made = on(url, lambda database, run=run, group=group: settled(database, run, group))
        groups.append(is_made)
    assert groups.count(True) >= 2
    assert groups.count(False) >= 4, "killed behind each statement"


def test_a_job_that_was_cancelled_or_begun_again_changes_nothing_any_more(url: str) -> None:
    async def act(database: Database) -> None:
        store, decks = SqlJobs(database), SqlDecks(database)
        run = await begun(database)
        assert await store.requeue(run, even_if_committed=False)
        again = await store.job(run.id)
        assert again is not None
        second = await store.begin(again, NOW + 3)
        assert second == JobRun(run.id, 2)
        assert not await store.at(run, 500)
        with pytest.raises(JobNotRunningError):
            await decks.add(deck("late"), [Chunk("44", b"rates")], line(run))
        assert await store.cancel(run.id, line(run)._replace(job=None, action="CancelJob"))
        with pytest.raises(JobNotRunningError):
            await decks.add(deck("late"), [Chunk("44", b"rates")], line(second))
        assert not await decks.versions("late")
        assert not await store.end(second, JobState.DONE, NOW)
        ended = await store.job(run.id)
        assert ended is not None
        assert (ended.state, ended.order, ended.committed_at) == (JobState.CANCELLED, "", None)
        assert (await SqlAudit(database).newest(1))[0].action == "CancelJob"

    on(url, act)


def test_a_job_that_has_made_its_change_is_cancelled_no_longer(url: str) -> None:
    async def act(database: Database) -> None:
        run = await begun(database)
        await SqlDecks(database).add(deck("made"), [Chunk("44", b"rates")], line(run))
        store = SqlJobs(database)
        assert not await store.cancel(run.id, line(run)._replace(job=None))
        assert await store.end(run, JobState.DONE, NOW + 9, result="[1]")
        done = await store.job(run.id)
        assert done is not None
        assert (done.state, done.committed_at, done.result, done.progress) == (JobState.DONE, NOW + 5, "[1]", 1_000)

    on(url, act)


def test_so_many_jobs_of_one_and_of_all_are_open_and_old_ones_are_forgotten(url: str) -> None:
    async def act(database: Database) -> None:
        store = SqlJobs(database)
        for login in ("a", "a"):
            await store.add(queued(login), None, open_max=200, open_max_each=2)
        with pytest.raises(TooManyJobsError, match=r"^a has 2 jobs that have not ended"):
            await store.add(queued("a"), None, open_max=200, open_max_each=2)
        with pytest.raises(TooManyJobsError, match=r"^there are 2 jobs"):
            await store.add(queued("b"), None, open_max=2, open_max_each=2)
        mine = await store.jobs("a", "token")
        assert [each.login for each in mine] == ["a", "a"]
        assert not await store.jobs("a", "page")
        for each in mine:
            await store.cancel(each.id, line(JobRun(0, 0))._replace(job=None))
        await store.forget(NOW + 5)
        assert len(await store.jobs("a", "token")) == 2
        await store.forget(NOW + 6)
        assert not await store.jobs("a", "token")
        kept = msgspec.structs.replace(queued("f"), upload="upload-1")
        number = await store.add(kept, None, open_max=200, open_max_each=2)
        assert "upload-1" in await store.files()
        await store.cancel(number, line(JobRun(0, 0))._replace(job=None))
        assert "upload-1" not in await store.files()

    on(url, act)


class Unanswered(SqlJobs):
    """A database that goes away when it has committed the beginning of a job."""

    async def begin(self, job: StoredJob, at: int) -> JobRun | None:
        await super().begin(job, at)
        raise OutcomeUnknown("the connection was cut")


def test_a_job_whose_beginning_was_committed_without_an_answer_is_queued_again(url: str, tmp_path: Path) -> None:
    async def act(database: Database) -> None:
        store = Unanswered(database)
        number = await store.add(queued(), None, open_max=200, open_max_each=20)
        settings = SimpleNamespace(state_dir=tmp_path)
        office = SimpleNamespace(stores=SimpleNamespace(jobs=store), definitions=SimpleNamespace(settings=settings))

        async def opened(*, needs_database: bool) -> Any:
            return office

        async def states() -> list[tuple[JobState, int]]:
            return [(each.state, each.attempt) for each in await store.open() if each.id == number]

        events: list[LiveEvent[JobSheet]] = []
        jobs = Jobs(tmp_path, SimpleNamespace(open=opened), events.append)  # type: ignore[arg-type]
        found = []
        for _ in range(6):
            await jobs._look()
            await asyncio.gather(*jobs._running.values(), return_exceptions=True)
            found += await states()
        os.close(jobs._lock)
        running, waiting = JobState.RUNNING, JobState.QUEUED
        assert found == [(running, 1), (waiting, 1), (running, 2), (waiting, 2), (running, 3)]
        assert [type(each) for each in events if each.data.id == number] == [JobFailed]

    on(url, act)


def test_a_job_whose_change_was_committed_without_an_answer_is_done(url: str, tmp_path: Path) -> None:
    async def act(database: Database) -> None:
        store, found = SqlJobs(database), []
        failed = partial(JobOutcome, problem=problem_of(OutcomeUnknown("the connection was cut")).content.decode())
        for is_made, may_be_made in ((True, True), (True, False), (False, True)):
            run, unknown = await begun(database), failed(may_be_made=may_be_made)
            if is_made:
                await SqlDecks(database).add(deck(f"unanswered{run.id}"), [Chunk("44", b"rates")], line(run))
            assert await _finish(store, run, unknown, tmp_path / "result")
            left = await store.job(run.id)
            assert left is not None
            found.append((left.state, left.problem is not None))
        assert found == [(JobState.DONE, False), (JobState.FAILED, True), (JobState.FAILED, True)]

    on(url, act)


class Asked(SqlJobs):
    """Says when a row of a job is about to be written."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.begins = asyncio.Event()

    async def _update(self, which: Any, values: dict[str, Any]) -> bool:
        self.begins.set()
        return await super()._update(which, values)


@pytest.mark.parametrize("is_killed_often", [False, True])
def test_a_change_that_is_committed_while_the_end_of_its_job_is_written_is_known(
    is_killed_often: bool, url: str, tmp_path: Path
) -> None:
    async def act(database: Database) -> None:
        store, run = Asked(database), await begun(database)
        running = await store.job(run.id)
        assert running is not None
        if is_killed_often:
            ended = _settle(store, msgspec.structs.replace(running, attempt=BEGINNINGS_MAX), "it was killed")
            run = JobRun(run.id, BEGINNINGS_MAX)
            await database.write(update(schema.job).where(schema.job.c.id == run.id).values(attempt=run.attempt))
        else:
            ended = _finish(store, run, JobOutcome(problem="{}", may_be_made=True), tmp_path / "result")
        async with database.writing() as connection:
            await note(connection, line(run))
            ending = asyncio.ensure_future(ended)
            await store.begins.wait()
        assert await ending
        left = await store.job(run.id)
        assert left is not None
        assert (left.state, left.committed_at, left.problem) == (JobState.DONE, NOW + 5, None)

    on(url, act)


@pytest.mark.parametrize(
    ("kind", "state"), [(JobKind.DECK_IMPORT, JobState.DONE), (JobKind.INVOICE_RUN, JobState.FAILED)]
)
def test_a_job_of_many_changes_that_was_killed_too_often_has_failed_whatever_it_has_made(
    kind: JobKind, state: JobState, url: str
) -> None:
    async def act(database: Database) -> None:
        store, run = SqlJobs(database), await begun(database, kind=kind.value)
        await SqlDecks(database).add(deck(f"killed-{kind.value}"), [Chunk("44", b"rates")], line(run))
        run = JobRun(run.id, BEGINNINGS_MAX)
        await database.write(update(schema.job).where(schema.job.c.id == run.id).values(attempt=run.attempt))
        running = await store.job(run.id)
        assert running is not None
        assert await _settle(store, running, "it was killed")
        left = await store.job(run.id)
        assert left is not None
        assert left.state is state
        assert ("it was interrupted 3 times" in (left.problem or "")) is (state is JobState.FAILED)

    on(url, act)


@pytest.mark.parametrize(("kind", "may_be_made"), [(JobKind.DECK_IMPORT, True), (JobKind.INVOICE_RUN, False)])
async def test_a_job_that_makes_one_change_may_have_made_it_when_the_database_went_away(
    kind: JobKind, may_be_made: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cut(*_arguments: object) -> str | None:
        raise OutcomeUnknown("the connection was cut")

    monkeypatch.setattr(job_process, "_carried_out", cut)
    who = msgspec.json.encode(operator()).decode()
    outcome = await job_process._outcome(JobOpening("", 1, 1, kind, who, "", None, ""), lambda _part: None)
    assert outcome.problem is not None
    assert outcome.may_be_made is may_be_made
