"""Answers that end early: the database goes away, or their sender may not have them any more.

The client sees that they are not whole, and the log says why.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest
from doubles.api import ADMINISTRATOR, AGENT, identify
from doubles.unasked import UnaskedJobs, UnaskedOffice, UnaskedOffices
from structlog.testing import capture_logs

from vosd.admin.agents import MayNotActError
from vosd.admin.office.principal import ALL, Means, Permission, Principal, Role
from vosd.admin.office.tokens import UnauthorizedError
from vosd.api import streams
from vosd.api.access_log import AccessLog
from vosd.api.application import Application
from vosd.api.listing import CSV, NDJSON, READ_AT_ONCE, READ_BY_ONE_ACCOUNT, XLSX, ReadingTurns
from vosd.api.operation import Operation
from vosd.api.operations.session import COOKIE
from vosd.api.operations.traces import PCAP, TEXT, Trace
from vosd.api.routes import Routes
from vosd.api.server import ApiServer
from vosd.api.table import OPERATIONS
from vosd.cdr.ports import StoreUnavailable
from vosd.control.traces import TraceUpdate
from vosd.engine.settings import AccessLogLines, ApiSettings, HttpListener

READ = 100
"""Items that are read before the database goes away: more than the first part of an answer has."""
NOTHING = TraceUpdate([], 0, is_over=False)


async def interrupted(*_: object) -> AsyncIterator[Any]:
    for number in range(READ):
        yield {"id": number, "subject": "acme"}
    raise StoreUnavailable("the database is away")


def interrupted_in(operation: Operation) -> Operation:
    return msgspec.structs.replace(operation, run=interrupted) if operation.path == "/audit" else operation


async def answers(
    application: Application,
    path: str,
    headers: dict[str, str],
    count: int = 1,
    *,
    at_once: bool = False,
    version: str = "1.1",
) -> list[bytes]:
    """Return what clients get that ask one after another, or all at once, up to the end of their connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    access_log = AccessLog(AccessLogLines.NONE, asyncio.get_running_loop().call_later)
    settings = ApiSettings(HttpListener("127.0.0.1", 0))
    server = ApiServer(application, settings, lambda: None, access_log, takes_signals=False)
    ending = asyncio.Event()
    serving = asyncio.ensure_future(server.run(listener, ending.wait()))
    head = "".join(f"{name}: {value}\r\n" for name, value in {"Host": "x", **headers}.items())

    async def asked() -> bytes:
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(f"GET /api/v1{path} HTTP/{version}\r\n{head}\r\n".encode())
        found = await reader.read()
        writer.close()
        return found

    try:
        async with asyncio.timeout(60):
            if at_once:
                return await asyncio.gather(*(asked() for _ in range(count)))
            return [await asked() for _ in range(count)]
    finally:
        ending.set()
        await serving


def expect_cut_off(answer: bytes) -> None:
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert not answer.endswith(b"0\r\n\r\n"), "its end would say that it is whole"


@pytest.mark.parametrize("form", ["text/csv", "application/x-ndjson"])
async def test_an_answer_that_cannot_be_sent_whole_has_no_end_and_one_line_a_minute(
    form: str, caplog: pytest.LogCaptureFixture
) -> None:
    application = Application(UnaskedOffices(), identify, Routes(map(interrupted_in, OPERATIONS)), UnaskedJobs())
    headers = {"Authorization": f"Bearer {ADMINISTRATOR}", "Accept": form}
    with capture_logs() as log, caplog.at_level(logging.WARNING):
        for each in await answers(application, "/audit", headers, count=3):
            expect_cut_off(each)
            assert b"acme" in each
    lines = [each for each in log if each["event"] == "answer_cut_off"]
    assert [(each["log_level"], each["path"], each["why"], each["count"]) for each in lines] == [
        ("warning", "/api/v1/audit", "store_unavailable", 1)
    ]
    assert caplog.records == [], "the server has a line of its own for each"


async def test_a_client_of_http_1_0_takes_no_answer_that_is_cut_off_for_a_whole_one() -> None:
    application = Application(UnaskedOffices(), identify, Routes(map(interrupted_in, OPERATIONS)), UnaskedJobs())
    headers = {"Authorization": f"Bearer {ADMINISTRATOR}", "Accept": CSV}
    with capture_logs(), pytest.raises(ConnectionResetError):
        await answers(application, "/audit", headers, version="1.0")


async def endless(*_: object) -> AsyncIterator[Any]:
    yield {"id": 1, "subject": "acme"}
    await asyncio.Future()


async def followed(*_: object) -> Trace:
    async def updates() -> AsyncGenerator[TraceUpdate, None]:
        await asyncio.Future()
        yield NOTHING

    return Trace(NOTHING, updates())


def endless_in(operation: Operation) -> Operation:
    run = {"/audit": endless, "/cdrs": endless, "/calls/trace": followed}.get(operation.path)
    return operation if run is None else msgspec.structs.replace(operation, run=run)


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (UnauthorizedError("token t was revoked"), "unauthorized"),
        (MayNotActError("person t is disabled"), "may_not_act"),
        (frozenset[Permission](), "permission_lacking"),
    ],
    ids=["revoked", "disabled", "without its permission"],
)
@pytest.mark.parametrize("proof", [{"Authorization": "Bearer t"}, {"Cookie": f"{COOKIE}=t"}], ids=["token", "session"])
@pytest.mark.parametrize(
    ("path", "form"),
    [("/audit", NDJSON), ("/audit", CSV), ("/calls/trace", NDJSON), ("/calls/trace", TEXT), ("/calls/trace", PCAP)],
)
async def test_an_answer_ends_when_its_sender_may_not_have_it_any_more_and_not_while_the_database_is_away(
    path: str, form: str, proof: dict[str, str], state: object, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    states: list[object] = [ALL, ALL, StoreUnavailable("away"), ALL, state]

    async def look_up(*_: object, **__: object) -> Principal:
        found = states.pop(0)
        if isinstance(found, Exception):
            raise found
        assert isinstance(found, frozenset)
        return Principal(role=Role.OPERATOR, name="t", login="t", means=Means.TOKEN, permissions=found)

    monkeypatch.setattr(streams, "CHECK_S", 0.01)
    monkeypatch.setattr("vosd.api.application.sender_of", look_up)
    application = Application(UnaskedOffices(), look_up, Routes(map(endless_in, OPERATIONS)), UnaskedJobs())
    with capture_logs() as log:
        (answer,) = await answers(application, path, {**proof, "Accept": form})
    expect_cut_off(answer)
    assert states == []
    assert [(each["event"], each["path"], each["why"]) for each in log] == [("answer_cut_off", f"/api/v1{path}", why)]


class OfficeOfEndedAccount(UnaskedOffice):
    """An office in which the account of the sender was disabled."""

    def scope_of(self, _who: Principal, **_: object) -> None:
        raise MayNotActError("account acme is disabled")


class OfficesOfEndedAccount(UnaskedOffices):
    """Opens that office."""

    async def open(self, *_: object, **__: object) -> UnaskedOffice:
        return OfficeOfEndedAccount()


@pytest.mark.parametrize("form", [NDJSON, CSV])
async def test_an_answer_ends_when_the_account_of_its_sender_is_disabled(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "CHECK_S", 0.01)
    application = Application(OfficesOfEndedAccount(), identify, Routes(map(endless_in, OPERATIONS)), UnaskedJobs())
    headers = {"Authorization": f"Bearer {AGENT}acme", "Accept": form}
    with capture_logs() as log:
        (answer,) = await answers(application, "/cdrs", headers)
    expect_cut_off(answer)
    assert [(each["event"], each["why"]) for each in log] == [("answer_cut_off", "may_not_act")]


async def test_the_streams_of_one_sender_share_its_look_ups(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0

    async def look_up(*_: object, is_use: bool, **__: object) -> Principal:
        nonlocal looks
        looks += not is_use
        if looks > 2 and not is_use:  # a stream may begin late on a busy machine
            raise UnauthorizedError("the session has ended")
        return Principal(role=Role.OPERATOR, name="t", login="t", means=Means.PAGE, permissions=ALL)

    monkeypatch.setattr(streams, "CHECK_S", 0.2)
    monkeypatch.setattr("vosd.api.application.sender_of", look_up)
    application = Application(UnaskedOffices(), look_up, Routes(map(endless_in, OPERATIONS)), UnaskedJobs())
    headers = {"Cookie": f"{COOKIE}=t", "Accept": NDJSON}
    for each in await answers(application, "/audit", headers, count=30, at_once=True):
        expect_cut_off(each)
    assert looks < 30, "each stream has looked its sender up by itself"  # 3 on a machine that does nothing else


@pytest.mark.parametrize("form", [CSV, XLSX])
@pytest.mark.parametrize(
    ("token", "at_once"), [(ADMINISTRATOR, READ_AT_ONCE), (f"{AGENT}acme", READ_BY_ONE_ACCOUNT)], ids=["all", "account"]
)
async def test_streams_of_lists_take_turns_at_reading(form: str, token: str, at_once: int) -> None:
    reading = most = 0

    async def read(*_: object) -> AsyncIterator[Any]:
        nonlocal reading, most
        for number in range(2):
            reading += 1
            most = max(most, reading)
            for _step in range(500):
                await asyncio.sleep(0)
            reading -= 1
            yield {"id": number, "subject": "acme"}

    def read_in(operation: Operation) -> Operation:
        return msgspec.structs.replace(operation, run=read) if operation.path == "/audit" else operation

    application = Application(UnaskedOffices(), identify, Routes(map(read_in, OPERATIONS)), UnaskedJobs())
    headers = {"Authorization": f"Bearer {token}", "Accept": form, "Connection": "close"}
    found = await answers(application, "/audit", headers, count=3 * READ_AT_ONCE, at_once=True)
    assert {b" 200 OK" in each and (form == XLSX or each.count(b"acme") == 2) for each in found} == {True}
    assert most == at_once


async def test_a_stream_that_gives_up_waiting_leaves_the_turns_of_its_account() -> None:
    turns = ReadingTurns()
    async with turns.of("acme"), turns.of("acme"):
        assert turns.of("acme") is turns.of("acme")
        async with turns.of("other"):
            pass
        async with AsyncExitStack() as others:
            for _ in range(READ_AT_ONCE - READ_BY_ONE_ACCOUNT):
                await others.enter_async_context(turns.of(None))
            waiting = asyncio.ensure_future(turns.of("other").__aenter__())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
        async with turns.of("other"), turns.of("other"):
            pass


async def test_a_spreadsheet_is_read_as_fast_as_the_tables_beside_it() -> None:
    is_begun = asyncio.Event()
    ended: list[bool] = []
    """Whether each stream was the spreadsheet, which begins first, in the order of their ends."""

    async def read(*_: object) -> AsyncIterator[Any]:
        is_first = not is_begun.is_set()
        is_begun.set()
        for number in range(1_000):
            await asyncio.sleep(0)
            yield {"id": number, "subject": "acme"}
        ended.append(is_first)

    def read_in(operation: Operation) -> Operation:
        return msgspec.structs.replace(operation, run=read) if operation.path == "/audit" else operation

    application = Application(UnaskedOffices(), identify, Routes(map(read_in, OPERATIONS)), UnaskedJobs())
    headers = {"Authorization": f"Bearer {ADMINISTRATOR}", "Connection": "close"}
    spreadsheet = asyncio.ensure_future(answers(application, "/audit", headers | {"Accept": XLSX}))
    await is_begun.wait()
    await answers(application, "/audit", headers | {"Accept": CSV}, count=2 * READ_AT_ONCE, at_once=True)
    await spreadsheet
    assert ended.index(True) < READ_AT_ONCE, "most tables were read before it"
