"""Clients that do not read an answer, over real sockets: the connection is cut, and the answer's work ends."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from typing import Any

from vosd.api import server as servers
from vosd.api.http import Answer, send_answer
from vosd.api.server import ApiServer
from vosd.engine.settings import ApiSettings, HttpListener


async def endless(ended: asyncio.Event) -> AsyncGenerator[bytes, None]:
    try:
        while True:
            yield 65_536 * b"x"
            await asyncio.sleep(0)
    finally:
        ended.set()


async def served(application: Any) -> tuple[socket.socket, asyncio.Task[None], asyncio.Event]:
    listener = socket.create_server(("127.0.0.1", 0))
    settings = ApiSettings(HttpListener("127.0.0.1", 0))
    ending = asyncio.Event()
    server = ApiServer(application, settings, lambda: None, takes_signals=False)
    task = asyncio.ensure_future(server.run(listener, ending.wait()))
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
