"""Operations about long work, and those that are such work."""

import asyncio
import csv
import io
from collections.abc import AsyncGenerator
from contextlib import aclosing
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from vosd.admin.office.bulk import change_objects
from vosd.admin.office.export import ReadExport, read_export
from vosd.admin.office.jobs import (
    JobKind,
    JobResult,
    JobSheet,
    NoResultError,
    cancel_job,
    list_jobs,
    read_result,
    show_job,
)
from vosd.admin.office.office import Office
from vosd.admin.office.principal import Principal
from vosd.admin.office.rerating import RerateCalls, RerateReport, rerate_calls
from vosd.api.http import JSON, Answer, HttpRequest, preferred
from vosd.api.job import DIRECTORY, Long, Work, check_disk
from vosd.api.listing import CSV, NDJSON
from vosd.api.operation import Listing, Operation
from vosd.base.csv_text import unneutralised

BULK_BYTES_MAX: Final = 32 << 20
_READ_BYTES: Final = 1 << 18


class ExportCalls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Calls in the order in which they were booked, with all columns."""

    after: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Calls booked after that ``export_seq``."""
    as_json: bool = False
    """As JSON lines; else as CSV."""


async def rerate(office: Office, who: Principal, order: RerateCalls, work: Work) -> RerateReport:
    """Rate the calls of a span again."""
    span = max(order.until - order.since, 1)
    if order.book and order.reference is None and who.job is not None:  # the same however often it begins
        order = msgspec.structs.replace(order, reference=f"job-{who.job.id}")
    return await rerate_calls(office, who, order, lambda _calls, at: work.progress((order.until - at) / span))


async def export(office: Office, who: Principal, order: ExportCalls, work: Work) -> None:
    """Write all calls to the file of the result; raises RequestError where it would fill the disk of the journal."""
    parts = read_export(office, who, ReadExport(after=order.after, as_json=order.as_json))
    with work.out.open("wb") as file:
        async with aclosing(parts):
            async for part in parts:
                check_disk(work.out.parent)
                file.write(part)


async def never(_office: Office, _who: Principal, _order: Any) -> JobSheet:
    """Stand for the use case of an operation that is always a job."""
    raise AssertionError("the application queues it")


async def answer_of(office: Office, request: HttpRequest, result: JobResult) -> Answer:
    """Return a result: its document, unless a file is asked for or is all there is."""
    wanted = preferred(request.headers.get("accept", ""), (NDJSON, CSV), "" if result.document is None else JSON)
    if result.document is not None and (result.file is None or not wanted):
        return Answer(content=result.document.encode(), content_type=JSON)
    assert result.file is not None
    path = office.definitions.settings.state_dir / DIRECTORY / result.file
    if not await asyncio.to_thread(path.exists):
        raise NoResultError("the file of the result is gone: order the job again")
    is_json = (await asyncio.to_thread(_beginning, path)) == b"{"
    if is_json or wanted != NDJSON:
        return Answer(stream=_content(path), content_type=NDJSON if is_json else f"{CSV}; charset=utf-8")
    return Answer(stream=_as_lines(path), content_type=NDJSON)


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(1)


async def _content(path: Path) -> AsyncGenerator[bytes, None]:
    file = await asyncio.to_thread(path.open, "rb")
    with file:
        while part := await asyncio.to_thread(file.read, _READ_BYTES):
            yield part


async def _as_lines(path: Path) -> AsyncGenerator[bytes, None]:
    """Yield the rows of a CSV file as JSON lines."""
    file = await asyncio.to_thread(path.open, "r", encoding="utf-8", newline="")
    with file:
        rows = csv.DictReader(file)
        while part := await asyncio.to_thread(_lines, rows):
            yield part


def _lines(rows: "csv.DictReader[str]") -> bytes:
    written = io.BytesIO()
    for row in rows:
        plain = {name: unneutralised(cell) for name, cell in row.items()}
        written.write(msgspec.json.encode(plain) + b"\n")
        if written.tell() >= _READ_BYTES:
            break
    return written.getvalue()


_OF_BULK: Final = (
    "already_defined", "accounts_below", "busy", "check_ended", "check_too_slow", "defined_in_files",
    "no_such_object", "not_taken", "objects_moved", "socket_not_open", "stale_version", "unconfirmed",
)  # fmt: skip

OPERATIONS: Final = (
    Operation(
        "GET /jobs",
        "Long work that was ordered with this token or by this person; administrators see all.",
        list_jobs,
        listing=Listing(
            "id", filters=("id", "kind", "state", "subject", "ordered_by"), sorts=("id", "queued", "state")
        ),
    ),
    Operation(
        "GET /jobs/{id}",
        "State and progress of a job; for one's own the permission of the order is enough.",
        show_job,
        problems=("no_such_job",),
    ),
    Operation(
        "DELETE /jobs/{id}",
        "Cancel a job that has made no change yet.",
        cancel_job,
        problems=("job_ended", "no_such_job"),
    ),
    Operation(
        "GET /jobs/{id}/result",
        "Result of a job that is done: JSON, or a file; of a deck the report, or by Accept every change; it "
        "needs the permission of the order.",
        read_result,
        result=Any,
        problems=("no_result", "no_such_job"),
        answer=answer_of,
        forms={CSV: bytes, NDJSON: bytes},
    ),
    Operation(
        "POST /bulk",
        "Create, replace, merge and delete up to 10,000 objects: all or none. A body above 64 KiB is a job.",
        change_objects,
        problems=_OF_BULK,
        long=Long(
            JobKind.BULK,
            lambda office, who, order, _work: change_objects(office, who, order),
            uploads={JSON: ".json"},
            upload_max=BULK_BYTES_MAX,
        ),
        patience_s=600.0,
    ),
    Operation(
        "POST /calls/rerate",
        "Job: rate the calls of a span again, and book the differences if that is said.",
        never,
        use_case=rerate_calls,
        takes=RerateCalls,
        status=HTTPStatus.ACCEPTED,
        long=Long(JobKind.RERATE, rerate, is_always=True),
    ),
    Operation(
        "POST /cdrs/export",
        "Job: write all calls to a file, which is the result.",
        never,
        use_case=read_export,
        takes=ExportCalls,
        status=HTTPStatus.ACCEPTED,
        long=Long(JobKind.CDR_EXPORT, export, is_always=True),
    ),
)
