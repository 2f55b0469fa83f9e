"""Numbers looked up by HTTP, at a server that answers well, wrongly, slowly, endlessly or never."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from threading import Event, current_thread
from typing import Any

import pytest
from doubles.certificates import Authority
from doubles.changed_keys import send_behind_changes
from doubles.silent_names import SilentNames
from doubles.turns import until

from vosd import __version__
from vosd.base.secret import Secret
from vosd.engine.host_names import HostNames
from vosd.engine.http_client import BODY_BYTES_MAX, PART_BYTES, PARTS_MAX, RECEIVE_BYTES, HttpServer
from vosd.engine.lookups.portability import HttpLookup, LookupFailedError, NumberRefusedError
from vosd.engine.settings import PortabilitySettings
from vosd.processes.handshake_limits import MESSAGES_BEHIND_MAX

OK = b"HTTP/1.1 200 OK\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"


def with_length(body: bytes, head: bytes = OK) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(*parts: bytes) -> bytes:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (*parts, b""))
    return OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks


class Server:
    """Sends the same bytes to everyone who asks."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.answer: bytes | Callable[[asyncio.StreamWriter], Coroutine[Any, Any, None]] = b""
        self.stays_open = False
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self, tls: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
            if isinstance(self.answer, bytes):
                writer.write(self.answer)
            else:
                await self.answer(writer)
            if self.stays_open:
                await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def look_up(self, number: str = "442012345678", **terms: Any) -> str:
        scheme, host = terms.pop("scheme", "http"), terms.pop("host", "127.0.0.1")
        url = f"{scheme}://{host}:{self.port}{terms.pop('path', '/lrn/{number}')}"
        settings = PortabilitySettings(url, **{"timeout_ms": 10_000, **terms})
        return await HttpLookup(settings).look_up(number)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    await server.listen()
    yield server
    server.close()


@pytest.mark.parametrize(
    ("answer", "field", "number"),
    [
        (with_length(b"14045550000\n"), "", "14045550000"),
        (with_length(b"+1-404-555-0000"), "", "+14045550000"),
        (OK + b"\r\n" + b"14045550000", "", "14045550000"),
        (b"HTTP/1.0 200 OK\r\n\r\n14045550000", "", "14045550000"),
        (chunked(b"1404", b"5550000"), "", "14045550000"),
        (PROCESSING * (PARTS_MAX - 1) + with_length(b"14045550000"), "", "14045550000"),
        (chunked(*[PART_BYTES * b" "] * (5 * PARTS_MAX), b"14045550000"), "", "14045550000"),
        (with_length(b""), "", ""),
        (with_length(b"no such number", b"HTTP/1.1 404 Not Found\r\n"), "", ""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "", ""),
        (with_length(b'{"lrn": "14045550000"}'), "lrn", "14045550000"),
        (with_length(b'{"lrn": 14045550000}'), "lrn", "14045550000"),
        (with_length(b'{"result": {"lrn": "D061"}}'), "result.lrn", "D061"),
        (with_length(b'{"lrn": null}'), "lrn", ""),
        (with_length(b'{"lrn": ""}'), "lrn", ""),
        (with_length(b"{}"), "result.lrn", ""),
        (with_length(b"[]"), "lrn", ""),
        (with_length(b"1404"), "lrn", ""),
    ],
)
async def test_answers_that_are_understood(server: Server, answer: bytes, field: str, number: str) -> None:
    server.answer = answer
    assert await server.look_up(field=field) == number


@pytest.mark.parametrize(
    ("answer", "field", "why"),
    [
        (b"", "", "closed the connection without an answer"),
        (b"SIP/2.0 200 OK\r\n\r\n", "", "SIP/2.0 200 OK"),
        (b"\r\n\r\n", "", "."),
        (with_length(b"<html>busy</html>"), "", "no number in the answer: '<html>busy</html>'"),
        (with_length(b"\x00\xff" * 20), "", "no number in the answer"),
        (with_length(b"1" * 40), "", "no number in the answer"),
        (with_length(b"14045550000", b"HTTP/1.1 500 Oops\r\n"), "", "status 500"),
        (with_length(b"", b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n"), "", "status 302"),
        (with_length(b"not json"), "lrn", "no JSON in the answer"),
        (with_length(b'{"lrn": true}'), "lrn", "field lrn is no number"),
        (with_length(b'{"lrn": {"a": 1}}'), "lrn", "field lrn is no number"),
        (PROCESSING * (PARTS_MAX + 1) + with_length(b"1"), "", f"in more than {PARTS_MAX} parts"),
        (chunked(*[b" "] * (3 * PARTS_MAX)), "", f"in more than {PARTS_MAX + 1} parts"),
        (with_length(b'{"lrn": "+evil"}'), "lrn", "no number in the answer"),
        (with_length(b"[" * 30_000), "lrn", "no JSON in the answer"),
        (OK + b"Content-Length: 20\r\n\r\nshort", "", "received 5 bytes, expected 20"),
        (OK + b"Content-Length: 10485760\r\n\r\n" + b"1" * 100_000, "", f"a body of more than {BODY_BYTES_MAX} bytes"),
        (OK + b"\r\n" + b"1" * (10 * 1024 * 1024), "", f"a body of more than {BODY_BYTES_MAX} bytes"),
        (OK + b"X: " + b"x" * 40_000 + b"\r\n\r\n", "", "too long"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "", "."),
    ],
)  # fmt: skip
async def test_answers_that_cannot_be_used(server: Server, answer: bytes, field: str, why: str) -> None:
    server.answer = answer
    with pytest.raises(LookupFailedError, match=why):
        await server.look_up(field=field)


@pytest.mark.parametrize(("status", "is_about_number"), [(400, True), (422, True), (401, False), (429, False)])
async def test_a_refused_number_says_nothing_about_the_server(
    server: Server, status: int, is_about_number: bool
) -> None:
    server.answer = with_length(b"", b"HTTP/1.1 %d No\r\n" % status)
    with pytest.raises(LookupFailedError, match=f"status {status}") as failed:
        await server.look_up()
    assert isinstance(failed.value, NumberRefusedError) is is_about_number


async def test_an_answer_with_its_length_is_complete_although_the_connection_stays_open(server: Server) -> None:
    server.answer, server.stays_open = with_length(b"4420"), True
    assert await server.look_up() == "4420"


async def drip(writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"\r\n")
    while True:
        writer.write(b"1")
        await writer.drain()
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.01)


async def say_nothing(_writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("answer", [drip, say_nothing])
async def test_the_time_limit_holds_for_the_whole_answer(server: Server, answer: Any) -> None:
    server.answer = answer
    with pytest.raises(LookupFailedError, match="no answer in time"):
        await server.look_up(timeout_ms=100)


async def test_a_slow_dns_server_does_not_hold_the_threads_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, released = [], Event()

    def slow(*_arguments: object, **_more: object) -> list[object]:
        threads.append(current_thread().name)
        released.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    lookup = HttpLookup(PortabilitySettings(url="http://lookups.example/{number}", timeout_ms=50))
    try:
        with pytest.raises(LookupFailedError, match="no answer in time"):
            await lookup.look_up("4420")
    finally:
        released.set()
    assert [each.startswith("names of lookups") for each in threads] == [True]


async def test_names_of_other_servers_that_are_not_found_hold_up_no_lookup(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each reload may name another server."""
    resolver = SilentNames(monkeypatch)
    resolver.dead = {f"dead{number}.example" for number in range(3)}
    server.answer = with_length(b"4420")
    try:
        for host in 3 * sorted(resolver.dead):
            with pytest.raises(LookupFailedError, match="no answer in time"):
                await server.look_up(host=host, timeout_ms=20)
        assert await server.look_up(host="good.example") == "4420"
        assert set(resolver.asked.values()) == {1}
    finally:
        resolver.released.set()


async def test_a_lookup_connects_to_the_latest_address_while_the_name_server_is_silent(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = SilentNames(monkeypatch)
    server.answer = with_length(b"4420")
    settings = PortabilitySettings(f"http://numbers.example:{server.port}/{{number}}", timeout_ms=10_000)
    lookup = HttpLookup(settings)
    assert await lookup.look_up("1") == "4420"
    resolver.dead = {"numbers.example"}
    waiting = asyncio.create_task(lookup.look_up("2"))
    try:
        await until(lambda: resolver.asked["numbers.example"] >= 2)
        assert [await lookup.look_up(number) for number in "345"] == ["4420"] * 3
        assert not waiting.done()
    finally:
        resolver.released.set()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_a_server_that_is_not_there_is_a_failure(server: Server) -> None:
    server.close()
    with pytest.raises(LookupFailedError):
        await server.look_up()


async def test_the_request_has_the_number_the_host_and_the_authorization(server: Server) -> None:
    server.answer = with_length(b"")
    await server.look_up("44#2*/?", path="/lrn?n={number}&k=1", authorization=Secret("Bearer token"))
    (request,) = server.requests
    assert request.split("\r\n") == [
        "GET /lrn?n=44%232%2A%2F%3F&k=1 HTTP/1.1", f"Host: 127.0.0.1:{server.port}",
        f"User-Agent: vosd/{__version__}",
        "Accept: application/json, text/plain", "Connection: close", "Authorization: Bearer token", "", "",
    ]  # fmt: skip


async def test_a_number_cannot_add_lines_to_the_request(server: Server) -> None:
    server.answer = with_length(json.dumps({}).encode())
    await server.look_up("1\r\nX: y", field="a")
    assert server.requests[0].startswith("GET /lrn/1%0D%0AX%3A%20y HTTP/1.1\r\nHost: ")


async def test_a_server_over_tls_must_prove_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    server = Server()
    server.answer = with_length(b"4420")
    await server.listen(authority.server_context(authority.issue("numbers", "127.0.0.1")))
    try:
        with pytest.raises(LookupFailedError, match="certificate verify failed"):
            await server.look_up(scheme="https")
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.root.file))
        assert await server.look_up(scheme="https") == "4420"
        with pytest.raises(LookupFailedError, match="certificate"):
            await server.look_up(scheme="https", host="localhost")
    finally:
        server.close()
    assert len(server.requests) == 1


async def test_a_server_that_changes_its_keys_without_end_is_read_no_more(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each change takes 16 µs of all calls, and callers name the servers of their certificates."""
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.root.file))

    def changing(changes: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]:
        context = authority.server_context(authority.issue(f"after-{changes}", "127.0.0.1"))
        context.keylog_filename = str(tmp_path / f"keys-{changes}")

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError):
                await send_behind_changes(reader, writer, context, with_length(b"4420"), changes)
                await reader.read()
            writer.close()

        return serve

    for changes in (MESSAGES_BEHIND_MAX, MESSAGES_BEHIND_MAX + 1):
        async with await asyncio.start_server(changing(changes), "127.0.0.1", 0) as changer:
            server.port = changer.sockets[0].getsockname()[1]
            if changes == MESSAGES_BEHIND_MAX:
                assert await server.look_up(scheme="https") == "4420"
            else:
                with pytest.raises(LookupFailedError, match="closed the connection"):
                    await server.look_up(scheme="https")


async def test_a_server_that_cannot_be_connected_to_is_told_with_the_reason(server: Server) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        server.port = deaf.getsockname()[1]
        with pytest.raises(LookupFailedError, match="Connection refused"):
            await server.look_up()


async def test_the_kernel_holds_little_of_what_a_server_sends(server: Server) -> None:
    connection = await HttpServer(f"http://127.0.0.1:{server.port}", HostNames(1, "none")).connect()
    try:
        held = connection._writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        assert held == 2 * RECEIVE_BYTES  # the kernel counts its own needs, too
    finally:
        connection.close()
