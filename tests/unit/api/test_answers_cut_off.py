"""Lists whose database goes away while they are sent: the client sees that they are not whole, and the log says it."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from doubles.api import ADMINISTRATOR, identify
from doubles.unasked import UnaskedJobs, UnaskedOffices
from structlog.testing import capture_logs

from vosd.api.access_log import AccessLog
from vosd.api.application import Application
from vosd.api.operation import Operation
from vosd.api.routes import Routes
from vosd.api.server import ApiServer
from vosd.api.table import OPERATIONS
from vosd.cdr.ports import StoreUnavailable
from vosd.engine.settings import AccessLogLines, ApiSettings, HttpListener

READ = 100
"""Items that are read before the database goes away: more than the first part of an answer has."""


async def interrupted(*_: object) -> AsyncIterator[Any]:
    for number in range(READ):
        yield {"id": number, "subject": "acme"}
    raise StoreUnavailable("the database is away")


def interrupted_in(operation: Operation) -> Operation:
    return msgspec.structs.replace(operation, run=interrupted) if operation.path == "/audit" else operation


async def answers(form: str, count: int) -> list[bytes]:
    """Return what clients get that ask one after another, up to the end of their connection."""
    application = Application(UnaskedOffices(), identify, Routes(map(interrupted_in, OPERATIONS)), UnaskedJobs())
    listener = socket.create_server(("127.0.0.1", 0))
    access_log = AccessLog(AccessLogLines.NONE, asyncio.get_running_loop().call_later)
    settings = ApiSettings(HttpListener("127.0.0.1", 0))
    server = ApiServer(application, settings, lambda: None, access_log, takes_signals=False)
    ending = asyncio.Event()
    serving = asyncio.ensure_future(server.run(listener, ending.wait()))
    head = f"GET /api/v1/audit HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMINISTRATOR}\r\nAccept: {form}\r\n\r\n"
    found = []
    async with asyncio.timeout(60):
        for _ in range(count):
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(head.encode())
            found.append(await reader.read())
            writer.close()
    ending.set()
    await serving
    return found


@pytest.mark.parametrize("form", ["text/csv", "application/x-ndjson"])
async def test_an_answer_that_cannot_be_sent_whole_has_no_end_and_one_line_a_minute(
    form: str, caplog: pytest.LogCaptureFixture
) -> None:
    with capture_logs() as log, caplog.at_level(logging.WARNING):
        found = await answers(form, 3)
    for each in found:
        assert each.startswith(b"HTTP/1.1 200 ")
        assert b"acme" in each
        assert not each.endswith(b"0\r\n\r\n"), "its end would say that it is whole"
    lines = [each for each in log if each["event"] == "answer_cut_off"]
    assert [(each["log_level"], each["path"], each["why"], each["count"]) for each in lines] == [
        ("warning", "/api/v1/audit", "store_unavailable", 1)
    ]
    assert caplog.records == [], "the server has a line of its own for each"
