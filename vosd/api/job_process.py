"""Process of one job: ``vosd.processes.entry vosd.api.job_process CHANNEL``.

It gives way to calls, has a limit of memory, and ends when the process of the API does.
"""

import asyncio
import resource
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Final

import msgspec

from vosd.admin.office.principal import Principal
from vosd.api.http import Answer, RequestError, document_of
from vosd.api.job import JobOpening, JobOutcome, KeptOrder, Long, Progress, Work
from vosd.api.jobs import DISK_FULL
from vosd.api.operation import Given, Operation
from vosd.api.problems import problem, problem_for, problem_of, problem_of_request
from vosd.api.table import OPERATIONS
from vosd.base.errors import VosError
from vosd.cdr.ports import StoreUnavailable
from vosd.obs import log
from vosd.obs.events import log as _log
from vosd.processes.channel import first_message, message, send
from vosd.processes.life import give_way, live_as_long_as_the_switch
from vosd.storage.audit_line import JobRun
from vosd.wiring.last_good import in_force
from vosd.wiring.office import office_of

MEMORY_MAX: Final = 2 << 30
"""Bytes of address space."""
_PROGRESS_S: Final = 0.5


def main() -> None:
    """Carry out one job."""
    live_as_long_as_the_switch()
    give_way()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    log.configure("warning")  # structlog's own form goes to standard output, which is nowhere
    asyncio.run(_serve(int(sys.argv[1])))


async def _serve(channel: int) -> None:
    plain = socket.socket(fileno=channel)
    reader, writer = await asyncio.open_connection(sock=plain)
    content = await first_message(reader)
    if content is None:
        return
    outcome = await _outcome(msgspec.msgpack.decode(content, type=JobOpening), _reporter(plain))
    send(writer, msgspec.msgpack.encode(outcome))
    await writer.drain()
    writer.close()


def _reporter(channel: socket.socket) -> Callable[[float], None]:
    """Return a function that says now and then how far the job is, whether the loop runs meanwhile or not."""
    last = 0.0

    def report(part: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _PROGRESS_S:
            last = now
            progress = Progress(round(1_000 * min(max(part, 0.0), 1.0)))
            with suppress(BlockingIOError):
                channel.send(message(msgspec.msgpack.encode(progress)))

    return report


async def _outcome(opening: JobOpening, progress: Callable[[float], None]) -> JobOutcome:
    may_be_made = False
    try:
        result = await _carried_out(opening, progress)
    except RequestError as error:
        answer = _for_orderer(opening, problem_of_request(error))
    except VosError as error:
        answer = _for_orderer(opening, problem_of(error))
        may_be_made = isinstance(error, StoreUnavailable) and not opening.kind.is_repeatable
    except MemoryError:
        said = f"it needs more than the {MEMORY_MAX >> 20} MiB of memory that a job may have"
        answer = problem(HTTPStatus.INSUFFICIENT_STORAGE, "memory_short", said)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        answer = problem(HTTPStatus.INSUFFICIENT_STORAGE, "disk_full", "the disk of state_dir is full: free some of it")
    except Exception:  # noqa: BLE001  the boundary of a job: nothing else would report it
        _log.exception("job_failed", job=opening.id, kind=opening.kind.value)
        said = "an error of the switch; its log has it"
        answer = problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", said)
    else:
        return JobOutcome(result=result)
    return JobOutcome(problem=answer.content.decode(), may_be_made=may_be_made)


def _for_orderer(opening: JobOpening, answer: Answer) -> Answer:
    return problem_for(msgspec.json.decode(opening.who, type=Principal), answer)


async def _carried_out(opening: JobOpening, progress: Callable[[float], None]) -> str | None:
    operation, long = _of_kind(opening)
    kept = msgspec.json.decode(opening.order, type=KeptOrder)
    upload = None if opening.upload is None else Path(opening.upload)
    body = kept.body
    if upload is not None and operation.has_body:
        body = document_of(upload.read_bytes())
    order = operation.order(Given(kept.path, kept.query, kept.header, body, {}))
    who = msgspec.json.decode(opening.who, type=Principal)
    who = msgspec.structs.replace(who, job=JobRun(opening.id, opening.attempt))
    switch = in_force(Path(opening.config))
    try:
        api = switch.settings.api
        replica = None if api is None or api.replica is None else api.replica.reveal()
        async with office_of(switch, replica=replica) as office:
            result = await long.run(office, who, order, Work(switch, upload, Path(opening.out), progress))
    finally:
        switch.close()
    return None if result is None else msgspec.json.encode(result).decode()


def _of_kind(opening: JobOpening) -> tuple[Operation, Long]:
    for each in OPERATIONS:
        if each.long is not None and each.long.kind is opening.kind:
            return each, each.long
    raise AssertionError("each kind of job is an operation: a test holds it")
