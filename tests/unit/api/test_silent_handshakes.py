"""Clients that open connections to the API over TLS and begin no handshake, or a long one, over real sockets."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from doubles.certificates import Authority
from doubles.changed_keys import send_behind_changes
from doubles.turns import until

from vosd.api import handshakes
from vosd.api.access_log import AccessLog
from vosd.api.http import Answer, send_answer
from vosd.api.server import ApiServer
from vosd.engine.settings import AccessLogLines, ApiSettings, HttpListener
from vosd.processes.handshake_limits import MESSAGES_BEHIND_MAX
from vosd.processes.key_exchange import use_groups


class Secured(NamedTuple):
    """A server over TLS, how its clients trust it, and the clients that go at the end of the test."""

    port: int
    context: ssl.SSLContext
    writers: list[asyncio.StreamWriter]
    ending: asyncio.Event
    task: asyncio.Task[None]

    async def silent(self, source: str) -> asyncio.StreamReader:
        """Open a connection on which nothing is sent, and return what comes on it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(source, 0))
        self.writers.append(writer)
        return reader

    async def asked(self, source: str) -> bytes:
        """Return the answer to a request, up to the end of the connection."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, local_addr=(source, 0), ssl=self.context, server_hostname="127.0.0.1"
        )
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.writers.append(writer)
        return await reader.read()


greeted: list[str] = []
"""Paths of the requests that were answered."""


async def greet(scope: Any, receive: Any, send: Any) -> None:
    """Answer every request."""
    greeted.append(scope["path"])
    await send_answer(send, receive, Answer(content=b"hello", content_type="text/plain"), {})


@pytest.fixture
async def secured(tmp_path: Path) -> AsyncIterator[Secured]:
    authority = Authority(tmp_path)
    shown = authority.issue("console", "127.0.0.1")
    settings = ApiSettings(HttpListener("127.0.0.1", 0), certificate=str(shown.file), key=str(shown.key))
    access_log = AccessLog(AccessLogLines.NONE, asyncio.get_running_loop().call_later)
    server = ApiServer(greet, settings, lambda: None, access_log, takes_signals=False)
    listener, ending = socket.create_server(("127.0.0.1", 0)), asyncio.Event()
    task = asyncio.create_task(server.run(listener, ending.wait()))
    async with asyncio.timeout(60):
        clients = Secured(listener.getsockname()[1], authority.client_context(), [], ending, task)
        yield clients
        ending.set()
        await task
        for each in clients.writers:
            each.close()
            with suppress(OSError):
                await each.wait_closed()


async def test_handshakes_of_one_network_take_no_places_of_others(monkeypatch, secured):
    monkeypatch.setattr(handshakes, "HANDSHAKES_MAX", 3)

    other = await secured.silent("127.0.3.3")
    silent = [await secured.silent(f"127.0.0.{each}") for each in range(2, 6)]

    for each in silent[:2]:
        assert not await each.read()  # it was ended for a later one
    assert b"200 OK" in await secured.asked("127.0.4.4")
    assert not await silent[2].read()
    assert not any(each.at_eof() for each in (other, silent[3]))


async def test_a_handshake_has_a_time(monkeypatch, secured):
    monkeypatch.setattr(handshakes, "HANDSHAKE_S", 0.1)

    assert not await (await secured.silent("127.0.0.2")).read()


async def test_what_is_no_handshake_ends_its_connection_alone(secured):
    reader = await secured.silent("127.0.0.2")
    secured.writers[0].write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    await reader.read()  # an alert, and the end

    assert b"hello" in await secured.asked("127.0.0.2")


async def test_a_server_that_ends_waits_for_no_handshake(secured):
    reader = await secured.silent("127.0.0.2")

    secured.ending.set()
    await secured.task

    assert not await reader.read()


async def test_a_handshake_over_a_finite_field_is_refused(secured):
    assert use_groups(secured.context, "ffdhe8192")
    with pytest.raises(OSError):
        await secured.asked("127.0.4.4")


async def test_a_long_greeting_is_refused(secured):
    secured.context.set_alpn_protocols(["x" * 250] * 70)
    with pytest.raises(OSError):
        await secured.asked("127.0.4.5")


async def test_a_client_that_changes_its_keys_without_end_is_read_no_more(secured, tmp_path):
    """It takes no log-in, and all clients would wait."""
    greeted.clear()
    for changes in (MESSAGES_BEHIND_MAX, MESSAGES_BEHIND_MAX + 1):
        secured.context.keylog_filename = str(tmp_path / f"keys-{changes}")
        reader, writer = await asyncio.open_connection("127.0.0.1", secured.port)
        secured.writers.append(writer)
        request = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % changes
        await send_behind_changes(reader, writer, secured.context, request, changes)
        if changes == MESSAGES_BEHIND_MAX:
            await until(lambda: bool(greeted))
        else:
            await reader.read()
    assert greeted == [f"/{MESSAGES_BEHIND_MAX}"]
