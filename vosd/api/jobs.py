"""Carry out jobs beside the requests: some at a time, each in a process of its own, whatever happens to this one.

One process of an installation does it: the one that holds the lock of ``state_dir/jobs``. A job that is running in the
database and not in this process was left by a process that was killed, or by a database that went away as it began.
"""

import asyncio
import errno
import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import IO, Final, NamedTuple, TypeVar

import msgspec

from vosd.admin.office.jobs import KEPT_MS, JobKind, JobSheet, job_event
from vosd.api.http import HttpRequest, RequestError
from vosd.api.job import DIRECTORY, JobOpening, JobOutcome, Long, Progress, check_disk
from vosd.api.offices import Offices
from vosd.api.problems import problem
from vosd.base.clock import Clock
from vosd.base.errors import VosError
from vosd.control.events import LiveEvent
from vosd.engine.clock import SystemClock
from vosd.engine.steady_clock import SteadyClock
from vosd.obs.events import log as _log
from vosd.processes.channel import received, send
from vosd.processes.child import Child, ended, started
from vosd.storage.audit_line import JobRun
from vosd.storage.jobs import JobState, SqlJobs, StoredJob
from vosd.wiring.office import now_ms

AT_ONCE: Final = 2
"""Jobs that run at the same time."""
BEGINNINGS_MAX: Final = 3
"""A job that was interrupted so often is not begun again: it may be what ends the process."""
LOOK_S: Final = 2.0
"""Interval at which new jobs of other processes, and cancelled ones, are looked for."""
LONG_BODY: Final = 65_536
"""Bytes of a body that may be a file from which on it is one."""
DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_PURGE_S: Final = 3_600.0
_RESULT_KEPT_S: Final = 3_600.0
"""A result whose job is not known: the process of the job may be writing it."""
_UPLOAD: Final = "upload-"
"""Beginning of the names of bodies that are kept as files."""
_PROCESS: Final = "vosd.api.job_process"
_MESSAGE: Final = msgspec.msgpack.Decoder(Progress | JobOutcome)

Answered = TypeVar("Answered")


class Jobs:
    """The jobs of one installation."""

    def __init__(
        self,
        config: Path,
        offices: Offices,
        report: Callable[[LiveEvent[JobSheet]], None] = lambda _event: None,
        clock: Clock | None = None,
    ) -> None:
        """``report`` takes the live events of jobs; ``clock`` says when results are old, None = the machine's."""
        self._report = report
        self._steady = SteadyClock(clock or SystemClock())
        self._config = config
        self._offices = offices
        self._wake = asyncio.Event()
        self._running: dict[int, asyncio.Task[None]] = {}
        self._lock = -1
        self._purged_s = -_PURGE_S

    def wake(self) -> None:
        """Look for jobs at once."""
        self._wake.set()

    async def run(self) -> None:
        """Carry out jobs until cancelled."""
        is_down = False
        try:
            while True:
                try:
                    await self._look()
                    is_down = False
                except (VosError, OSError) as error:
                    if not is_down:
                        _log.warning("jobs_wait", error=str(error), means="jobs are begun when this is mended")
                    is_down = True
                except Exception:  # noqa: BLE001  nothing else would report it, and later jobs shall run
                    _log.exception("jobs_failed", means="they are looked for again")
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), LOOK_S)
                self._wake.clear()
        finally:
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)
            if self._lock >= 0:
                os.close(self._lock)

    async def directory(self) -> Path:
        """Return the directory of files, which is made where it is missing; raises OSError, ConfigError."""
        office = await self._offices.open(needs_database=False)
        path = office.definitions.settings.state_dir / DIRECTORY
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    async def _look(self) -> None:
        office = await self._offices.open(needs_database=True)
        store = office.stores.jobs
        if self._lock < 0 and not await self._take_over():
            return
        if time.monotonic() - self._purged_s > _PURGE_S:
            await self._purge(store)
        for job in await store.open():
            if job.id in self._running:
                continue
            if job.state is JobState.RUNNING:
                if await _settle(store, job, "the process of the API ended meanwhile, or the database was away"):
                    self._note(await store.job(job.id))
                self.wake()
            elif len(self._running) < AT_ONCE:
                task = asyncio.create_task(self._carry_out(job), name=f"job {job.id}")
                self._running[job.id] = task
                task.add_done_callback(partial(self._ended, job.id))

    def _ended(self, number: int, task: asyncio.Task[None]) -> None:
        del self._running[number]
        if not task.cancelled() and task.exception() is not None:
            _log.error("job_lost", job=number, error=repr(task.exception()), means="it is begun again or settled")
        self.wake()

    async def _take_over(self) -> bool:
        """Take the lock; return whether this process has it."""
        directory = await self.directory()
        lock = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        except BaseException:
            os.close(lock)
            raise
        self._lock = lock
        return True

    async def _purge(self, store: SqlJobs) -> None:
        """Remove what is old, and files that no job needs; later, where the clock was just set."""
        now = self._steady.now()
        if now is None:
            return
        await store.forget(now - KEPT_MS)
        directory, before = await self.directory(), now / 1_000 - _RESULT_KEPT_S
        with ExitStack() as locked:
            files = [each for each in directory.iterdir() if not each.name.startswith(_UPLOAD) or _lock(each, locked)]
            needed = {*await store.files(), ".lock"}  # asked while they are locked: no job is queued meanwhile
            for file in files:
                with suppress(FileNotFoundError):  # the process of a job may remove its own meanwhile
                    if file.name not in needed and (file.name.startswith(_UPLOAD) or file.stat().st_mtime < before):
                        file.unlink()
        self._purged_s = time.monotonic()

    async def _carry_out(self, job: StoredJob) -> None:
        office = await self._offices.open(needs_database=True)
        store, directory = office.stores.jobs, await self.directory()
        run = await store.begin(job, now_ms())
        if run is None:
            return
        begun = msgspec.structs.replace(job, state=JobState.RUNNING, attempt=run.attempt, begun_at=now_ms())
        self._note(begun)
        out = directory / f"{job.id}-{run.attempt}.result"
        try:
            child = await started(_PROCESS)
        except OSError as error:
            said = f"its process cannot be started: {error}"
            not_started = _problem("not_started", said)
            await _repeated(lambda: store.end(run, JobState.FAILED, now_ms(), problem=not_started))
            self._note(await _repeated(lambda: store.job(job.id)))
            return
        outcome = None
        try:
            outcome = await self._outcome(store, child, run, job, directory, out)
        finally:
            await ended(child, is_asked=False)
        if outcome is not None:
            await _repeated(lambda: _finish(store, run, outcome, out))
        else:
            why = "its process was killed, perhaps for lack of memory"
            await _repeated(lambda: _settle(store, begun, why))
        left = await _repeated(lambda: store.job(job.id))
        self._note(left)
        if left is None or left.result_file != out.name:
            out.unlink(missing_ok=True)
        if job.upload is not None and (left is None or left.ended_at is not None):
            (directory / job.upload).unlink(missing_ok=True)

    def _note(self, job: StoredJob | None) -> None:
        event = None if job is None else job_event(job, now_ms())
        if event is not None:
            self._report(event)

    async def _outcome(
        self, store: SqlJobs, child: Child, run: JobRun, job: StoredJob, directory: Path, out: Path
    ) -> JobOutcome | None:
        """Return what the process says; None = it has ended without a word, or the job was cancelled."""
        upload = None if job.upload is None else str(directory / job.upload)
        opening = JobOpening(
            str(self._config.absolute()), run.id, run.attempt, JobKind(job.kind), job.who, job.order, upload, str(out)
        )
        reading: asyncio.Task[bytes] | None = None
        done = 0
        try:
            send(child.writer, msgspec.msgpack.encode(opening))
            while True:
                reading = reading or asyncio.create_task(received(child.reader))
                found, _ = await asyncio.wait({reading}, timeout=LOOK_S)
                if found:
                    message = _MESSAGE.decode(reading.result())
                    reading = None
                    if isinstance(message, JobOutcome):
                        return message
                    done = message.done
                with suppress(VosError):  # the job goes on while the database is away
                    if not await store.at(run, done):
                        return None
        except (EOFError, ConnectionError):
            return None
        finally:
            if reading is not None:
                reading.cancel()


async def _finish(store: SqlJobs, run: JobRun, outcome: JobOutcome, out: Path) -> bool:
    if outcome.problem is not None and not outcome.may_be_made:
        return await store.end(run, JobState.FAILED, now_ms(), problem=outcome.problem)
    if outcome.problem is not None and await store.end_unchanged(run, now_ms(), outcome.problem):
        return True
    file = out.name if await asyncio.to_thread(out.exists) else None
    return await store.end(run, JobState.DONE, now_ms(), result=outcome.result, result_file=file)


async def _settle(store: SqlJobs, job: StoredJob, why: str) -> bool:
    """End or queue again a running job whose process is gone."""
    run, is_repeatable = JobRun(job.id, job.attempt), JobKind(job.kind).is_repeatable
    if job.attempt < BEGINNINGS_MAX and await store.requeue(run, even_if_committed=is_repeatable):
        return True
    said = f"it was interrupted {job.attempt} times; the last time {why}"
    interrupted = _problem("interrupted", said)
    if is_repeatable:  # of its changes some may be missing
        return await store.end(run, JobState.FAILED, now_ms(), problem=interrupted)
    if await store.end_unchanged(run, now_ms(), interrupted):
        return True
    return await store.end(run, JobState.DONE, now_ms())


def _problem(code: str, said: str) -> str:
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, code, said).content.decode()


async def _repeated(act: Callable[[], Awaitable[Answered]]) -> Answered:
    """Ask the database until it answers: what has become of a job must be written."""
    while True:
        try:
            return await act()
        except VosError as error:
            _log.warning("jobs_wait", error=str(error), means="the outcome of a job is written when this is mended")
            await asyncio.sleep(LOOK_S)


def is_long(long: Long, request: HttpRequest) -> bool:
    """Return whether a request is carried out as a job."""
    length = request.headers.get("content-length", "")
    return (
        long.is_always
        or "respond-async" in request.preferences()
        or (bool(long.uploads) and not (length.isascii() and length.isdigit() and int(length[:9]) <= LONG_BODY))
    )


class KeptUpload(NamedTuple):
    """A body that is kept as a file."""

    path: Path
    digest: str
    file: IO[bytes]
    """Open and locked: no process removes it as left behind before this is closed."""


async def kept_upload(request: HttpRequest, long: Long, directory: Path) -> KeptUpload:
    """Write the body of a request to a file; there is none where anything fails.

    Raises:
        RequestError: the body is of another type, too long, comes too slowly, or the disk is nearly full.
    """
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in long.uploads:
        said = f"the content type is {given or 'missing'}"
        raise RequestError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "content_type", said, remedy=f"send {' or '.join(long.uploads)}"
        )
    digest = hashlib.sha256()
    with ExitStack() as opened:
        try:
            path, file = _new_file(directory, long.uploads[given])
            opened.enter_context(file)
            opened.callback(path.unlink, missing_ok=True)
            async for part in request.parts(long.upload_max):
                digest.update(part)
                check_disk(directory)
                await asyncio.to_thread(_write, file, part)
            await asyncio.to_thread(os.fsync, file.fileno())
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            said = "the disk of state_dir is full: free some of it"
            raise RequestError(HTTPStatus.INSUFFICIENT_STORAGE, "disk_full", said) from error
        opened.pop_all()
    return KeptUpload(path, digest.hexdigest(), file)


def _new_file(directory: Path, suffix: str) -> tuple[Path, IO[bytes]]:
    """Create and lock a file; another process may take it for one that was left behind before it is locked."""
    while True:
        path = directory / f"{_UPLOAD}{secrets.token_hex(12)}{suffix}"
        with ExitStack() as opened:
            file = opened.enter_context(path.open("xb", buffering=0))
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(file.fileno()).st_nlink:
                    opened.pop_all()
                    return path, file


def _lock(path: Path, locked: ExitStack) -> bool:
    """Lock a file; return False where a process is writing it, or has removed it."""
    try:
        file = locked.enter_context(path.open("r+b"))
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError):
        return False
    return True


def _write(file: IO[bytes], part: bytes) -> None:
    left = memoryview(part)
    while left:
        left = left[file.write(left) :]
