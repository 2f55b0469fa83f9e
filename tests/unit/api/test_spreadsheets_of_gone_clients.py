"""A spreadsheet is made before its answer begins: the work ends where its client goes or its time is over meanwhile."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from doubles.api import ADMINISTRATOR, identify
from doubles.asgi import answered
from doubles.unasked import UnaskedJobs, UnaskedOffices

from vosd.api.application import Application
from vosd.api.listing import CSV
from vosd.api.operation import Operation
from vosd.api.routes import Routes
from vosd.api.table import OPERATIONS
from vosd.api.workbook import XLSX

ROWS = 2_000
PATIENCE_S = 2.0
"""Time of a request that is over before its list: a busy machine has begun to read that by then."""


class Reading:
    """A list of the office, and one request for it."""

    def __init__(self) -> None:
        self.read = 0
        self.half = asyncio.Event()
        """Set when half of the rows are read."""
        self.sent: list[Any] = []
        self._is_asked = False

    async def rows(self, *_: object) -> AsyncIterator[Any]:
        for number in range(ROWS):
            self.read += 1
            if self.read == ROWS // 2:
                self.half.set()
            yield {"id": number, "subject": "acme"}

    async def ask(self, *, goes: bool) -> None:
        """Send the request; its client goes, or not, when half of the rows are read."""

        def read_here(operation: Operation) -> Operation:
            return msgspec.structs.replace(operation, run=self.rows) if operation.path == "/audit" else operation

        application = Application(UnaskedOffices(), identify, Routes(map(read_here, OPERATIONS)), UnaskedJobs())

        async def receive() -> Any:
            if not self._is_asked:
                self._is_asked = True
                return {"type": "http.request", "body": b""}
            await self.half.wait()
            if not goes:
                await asyncio.Future()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            self.sent.append(message)

        headers = (("authorization", f"Bearer {ADMINISTRATOR}"), ("accept", XLSX))
        scope = {
            "type": "http", "method": "GET", "path": "/audit", "raw_path": b"/api/v1/audit", "query_string": b"",
            "client": ("192.0.2.1", 5000), "headers": [(name.encode(), each.encode()) for name, each in headers],
        }  # fmt: skip
        await application(scope, receive, send)


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory of files that are being made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def assert_no_file_is_left(directory: Path) -> None:
    assert [*directory.iterdir()] == []


async def test_a_list_is_read_no_more_when_its_client_has_gone(directory: Path) -> None:
    reading = Reading()
    await reading.ask(goes=True)
    assert ROWS // 2 <= reading.read < ROWS
    assert reading.sent == []
    assert_no_file_is_left(directory)


@pytest.mark.parametrize(("form", "remedy"), [(XLSX, "ask for a shorter time, or for CSV"), (CSV, None)])
async def test_a_spreadsheet_that_is_not_made_in_time_says_how_to_ask_for_less(
    directory: Path, form: str, remedy: str | None
) -> None:
    async def hang(*_: object) -> AsyncIterator[Any]:
        await asyncio.Future()
        yield

    def hanging(operation: Operation) -> Operation:
        if operation.path != "/audit":
            return operation
        return msgspec.structs.replace(operation, run=hang, patience_s=PATIENCE_S)

    application = Application(UnaskedOffices(), identify, Routes(map(hanging, OPERATIONS)), UnaskedJobs())
    head = {"authorization": f"Bearer {ADMINISTRATOR}", "accept": form}
    found = await answered(application, "GET", "/audit", headers=head)
    assert (found.status, found.json["code"], found.json.get("remedy")) == (503, "too_slow", remedy)
    assert_no_file_is_left(directory)


async def test_a_client_that_stays_gets_its_spreadsheet(directory: Path) -> None:
    reading = Reading()
    await reading.ask(goes=False)
    assert (reading.sent[0]["status"], reading.read) == (200, ROWS)
    assert b"".join(each.get("body", b"") for each in reading.sent).startswith(b"PK")
    assert_no_file_is_left(directory)
