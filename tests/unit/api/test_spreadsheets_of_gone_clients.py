"""A spreadsheet is made before its answer begins: the work ends where its client goes meanwhile."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from doubles.api import ADMINISTRATOR, identify
from doubles.unasked import UnaskedJobs, UnaskedOffices

from vosd.api.application import Application
from vosd.api.operation import Operation
from vosd.api.routes import Routes
from vosd.api.table import OPERATIONS
from vosd.api.workbook import XLSX

ROWS = 2_000


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


async def test_a_client_that_stays_gets_its_spreadsheet(directory: Path) -> None:
    reading = Reading()
    await reading.ask(goes=False)
    assert (reading.sent[0]["status"], reading.read) == (200, ROWS)
    assert b"".join(each.get("body", b"") for each in reading.sent).startswith(b"PK")
    assert_no_file_is_left(directory)
