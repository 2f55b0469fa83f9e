"""Clients that do not read an answer, over real sockets: the connection is cut, and the answer's work ends."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from vosd.api import server as servers
from vosd.api.access_log import AccessLog
from vosd.api.http import Answer, send_answer
from vosd.api.server import ApiServer
from vosd.engine.settings import AccessLogLines, ApiSettings, HttpListener


async def endless(ended: asyncio.Event) -> AsyncGenerator[bytes, None]:
    try:
        while True:
            yield 65_536 * b"x"
            await asyncio.sleep(0)
    finally:
        ended.set()


async def hello(_scope: Any, receive: Any, send: Any) -> None:
    """Be an application that answers each request."""
    await send_answer(send, receive, Answer(content=b"hello", content_type="text/plain"), {})


def server_of(application: Any, proxies: tuple[str, ...] = ()) -> ApiServer:
    settings = ApiSettings(HttpListener("127.0.0.1", 0), trusted_proxies=proxies)
    access_log = AccessLog(AccessLogLines.ALL, asyncio.get_running_loop().call_later)
    return ApiServer(application, settings, lambda: None, access_log, takes_signals=False)


async def served(
    application: Any, proxies: tuple[str, ...] = ()
) -> tuple[socket.socket, asyncio.Task[None], asyncio.Event]:
    listener = socket.create_server(("127.0.0.1", 0))
    ending = asyncio.Event()
    task = asyncio.ensure_future(server_of(application, proxies).run(listener, ending.wait()))
    return listener, task, ending


async def test_a_client_that_does_not_read_is_disconnected_and_the_work_for_it_ends(monkeypatch):
    monkeypatch.setattr(servers, "SLOW_S", 0.2)
    ended = asyncio.Event()

    async def application(_scope: Any, receive: Any, send: Any) -> None:
        await send_answer(send, receive, Answer(stream=endless(ended)), {})

    listener, task, ending = await served(application)
    reader, writer = await asyncio.open_connection(*listener.getsockname(), limit=1_024)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(30):
        await ended.wait()
    assert b"200 OK" in await reader.readline()
    writer.close()
    ending.set()
    await task


@pytest.mark.parametrize("is_forced", [False, True], ids=["one signal", "a second one"])
async def test_a_process_that_ends_waits_for_a_request_that_is_not_interrupted(monkeypatch, is_forced):
    monkeypatch.setattr(servers, "GRACE_S", 0.01)
    begun, interrupted, go_on, ended = (asyncio.Event() for _ in range(4))

    async def application(*_: Any) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            interrupted.set()
            await go_on.wait()
            ended.set()

    listener, ending, server = socket.create_server(("127.0.0.1", 0)), asyncio.Event(), server_of(application)
    task = asyncio.ensure_future(server.run(listener, ending.wait()))
    _, writer = await asyncio.open_connection(*listener.getsockname())
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(30):
        await begun.wait()
        ending.set()
        await interrupted.wait()
        if is_forced:
            server.force_exit = True  # as uvicorn does
        else:
            asyncio.get_running_loop().call_later(0.1, go_on.set)
        await task
        assert ended.is_set() is not is_forced
        go_on.set()
        await ended.wait()
    writer.close()


async def asked(port: int, own: str = "127.0.0.1") -> tuple[bytes, asyncio.StreamWriter]:
    """Ask for something; return the answer, and the connection, which stays open where the answer ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(own, 0))
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    return head + await reader.read(5), writer


@pytest.mark.parametrize(
    ("proxies", "last"),
    [((), [b"429 Too Many Requests"]), (("127.0.0.1/32",), [b"200 OK", b"503 Service Unavailable"])],
    ids=["one client", "a proxy"],
)
async def test_one_address_does_not_take_all_connections_unless_it_is_a_proxy(monkeypatch, proxies, last):
    monkeypatch.setattr(servers, "PER_SOURCE_MAX", 2)
    monkeypatch.setattr(servers, "CONNECTIONS_MAX", 3)

    listener, task, ending = await served(hello, proxies)
    async with asyncio.timeout(30):
        answers = [await asked(listener.getsockname()[1]) for _ in range(2 + len(last))]
    for _, writer in answers:
        writer.close()
    ending.set()
    await task
    for (text, _), status in zip(answers, [b"200 OK", b"200 OK", *last], strict=True):
        assert status in text
        assert (b"application/problem+json" in text) is (status != b"200 OK")


async def test_silent_connections_of_one_address_take_no_places_of_others(monkeypatch):
    monkeypatch.setattr(servers, "PER_SOURCE_MAX", 2)
    monkeypatch.setattr(servers, "CONNECTIONS_MAX", 3)
    monkeypatch.setattr(servers, "HEAD_S", 3_600)  # else this bound ends them, too

    listener, task, ending = await served(hello)
    port = listener.getsockname()[1]
    silent = [await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0)) for _ in range(6)]
    async with asyncio.timeout(30):
        for reader, _ in silent[4:]:
            assert not await reader.read()  # its end
        text, writer = await asked(port, "127.0.0.3")
    assert b"200 OK" in text
    for each in (writer, *(writer for _, writer in silent)):
        each.close()
    ending.set()
    await task


async def test_silent_connections_of_one_network_take_no_places_of_others(monkeypatch):
    monkeypatch.setattr(servers, "PER_SOURCE_MAX", 1)
    monkeypatch.setattr(servers, "CONNECTIONS_MAX", 3)
    monkeypatch.setattr(servers, "HEAD_S", 3_600)  # else this bound ends them, too
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/slow":
            begun.set()
            await go_on.wait()
        await send_answer(send, receive, Answer(content=b"hello", content_type="text/plain"), {})

    listener, task, ending = await served(application)
    port = listener.getsockname()[1]
    slow, writer_of_slow = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.1.2", 0))
    writer_of_slow.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(30):
        await begun.wait()
        silent = [
            await asyncio.open_connection("127.0.0.1", port, local_addr=(f"127.0.1.{each}", 0)) for each in (3, 4, 5)
        ]
        assert not await silent[0][0].read()  # it was ended for the last one of its network
        text, writer = await asked(port, "127.0.2.2")
        assert not await silent[1][0].read()
        go_on.set()
        assert b"200 OK" in await slow.readline()
    assert b"200 OK" in text
    for each in (writer, writer_of_slow, *(writer for _, writer in silent)):
        each.close()
    ending.set()
    await task


async def test_connections_that_come_at_once_end_each_another_one_that_was_idle_for_longest(monkeypatch):
    monkeypatch.setattr(servers, "PER_SOURCE_MAX", 15)
    monkeypatch.setattr(servers, "CONNECTIONS_MAX", 20)
    monkeypatch.setattr(servers, "HEAD_S", 3_600)  # else this bound ends them, too

    listener, task, ending = await served(hello)
    port = listener.getsockname()[1]
    silent = [
        await asyncio.open_connection("127.0.0.1", port, local_addr=(f"127.0.1.{each}", 0)) for each in range(2, 22)
    ]
    others = [
        socket.create_connection(("127.0.0.1", port), source_address=(f"127.0.{each}.2", 0)) for each in range(2, 22)
    ]  # all before the loop goes on
    async with asyncio.timeout(30):
        ended = [await reader.read() for reader, _ in silent]
    assert ended == [b""] * 20
    text, writer = await asked(port, "127.0.30.2")
    assert b"200 OK" in text
    ending.set()
    await task
    for each in (writer, *(writer for _, writer in silent), *others):
        each.close()


async def test_a_request_that_came_before_the_answer_to_another_has_its_time(monkeypatch):
    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/slow":
            over = asyncio.Event()
            asyncio.get_running_loop().call_later(2 * servers.HEAD_S, over.set)
            await over.wait()
        else:
            monkeypatch.setattr(servers, "HEAD_S", 0.05)
        await send_answer(send, receive, Answer(content=scope["raw_path"], content_type="text/plain"), {})

    listener, task, ending = await served(application)
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    writer.write(b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\nGET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(30):
        answers = await reader.read()
    writer.close()
    ending.set()
    await task
    assert [each in answers for each in (b"/quick", b"/slow")] == [True, True]


async def test_a_client_that_goes_away_ends_the_work_for_it():
    ended = asyncio.Event()

    async def silent() -> AsyncGenerator[bytes, None]:
        try:
            yield b"begins"
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def application(_scope: Any, receive: Any, send: Any) -> None:
        await send_answer(send, receive, Answer(stream=silent()), {})

    listener, task, ending = await served(application)
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(30):
        await reader.readuntil(b"begins")
        writer.close()
        assert await ended.wait()
    ending.set()
    await task
