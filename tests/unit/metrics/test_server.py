"""HTTP of the metrics with clients of every kind, over real sockets."""

import asyncio
import gzip
import socket
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from ipaddress import ip_network

import pytest
from doubles.turns import until

from vosd.metrics import server, slots
from vosd.metrics.server import MetricsPage, MetricsServer
from vosd.metrics.slots import Slots

LARGE = b"figure 1\n" * 200_000
"""More than the kernel takes for a client that does not read."""


GET = b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n"


async def small(_accept: str) -> MetricsPage:
    return MetricsPage(HTTPStatus.OK, b"fine\n")


async def large(_accept: str) -> MetricsPage:
    return MetricsPage(HTTPStatus.OK, LARGE)


async def told(accept: str) -> MetricsPage:
    return MetricsPage(HTTPStatus.OK, accept.encode())


@asynccontextmanager
async def serving(allow: str = "127.0.0.0/8"):
    """Yield a server, and a function that connects to it."""
    pages = MetricsServer({"/small": small, "/large": large, "/told": told}, (ip_network(allow),))
    async with await asyncio.start_server(pages.accept, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        yield pages, partial(asyncio.open_connection, "127.0.0.1", port)


async def answer(connect, request: bytes) -> bytes:
    reader, writer = await connect()
    writer.write(request)
    try:
        async with asyncio.timeout(30):
            return await reader.read()
    finally:
        writer.close()


async def test_a_page_is_returned_and_the_connection_closed():
    async with serving() as (_, connect):
        found = await answer(connect, b"GET /small?from=prometheus HTTP/1.1\r\nHost: x\r\n\r\n")
    head, _, body = found.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close" in head.lower()
    assert body == b"fine\n"


async def test_the_accept_header_is_passed_on_and_a_large_page_is_compressed_for_those_that_can():
    async with serving() as (_, connect):
        found = await answer(connect, b"GET /told HTTP/1.1\r\nHost: x\r\nAccept: text/plain;version=0.0.4\r\n\r\n")
        assert found.endswith(b"\r\n\r\ntext/plain;version=0.0.4")
        found = await answer(connect, b"GET /large HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")
    head, _, body = found.partition(b"\r\n\r\n")
    assert b"content-encoding: gzip" in head.lower()
    assert gzip.decompress(body) == LARGE


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", b"405"),
        (b"HEAD /small HTTP/1.1\r\nHost: x\r\n\r\n", b"405"),
        (b"GET /other HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"GET /small HTTP/1.1\r\n\r\n", b"400"),
        (b"INVITE sip:44@x SIP/2.0\r\n\r\n", b"400"),
        (b"GET /small HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 9_000, b"431"),
    ],
)
async def test_anything_but_get_of_a_page_is_refused(request_bytes, status):
    async with serving() as (_, connect):
        assert (await answer(connect, request_bytes)).startswith(b"HTTP/1.1 " + status + b" ")


async def test_a_source_that_is_not_allowed_is_refused_and_told_why():
    async with serving("192.0.2.0/24") as (_, connect):
        found = await answer(connect, b"GET /small HTTP/1.1\r\nHost: x\r\n\r\n")
    assert found.startswith(b"HTTP/1.1 403 ")
    assert found.endswith(b"127.0.0.1 is not in metrics.allow\n")


async def test_a_source_of_ipv4_at_a_socket_of_both_families_is_the_ipv4_one():
    pages = MetricsServer({"/small": small}, (ip_network("127.0.0.0/8"),))
    listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    async with await asyncio.start_server(pages.accept, sock=listener):
        found = await answer(partial(asyncio.open_connection, "127.0.0.1", listener.getsockname()[1]), GET)
    assert found.startswith(b"HTTP/1.1 200 ")


async def test_a_client_that_sends_no_request_is_told_so_and_closed(monkeypatch):
    monkeypatch.setattr(server, "REQUEST_S", 0.05)
    async with serving() as (_, connect):
        assert (await answer(connect, b"GET /small HTTP/1.1\r\n")).startswith(b"HTTP/1.1 408 ")


async def test_a_client_that_does_not_read_is_closed(monkeypatch):
    monkeypatch.setattr(server, "CONNECTION_S", 0.2)
    async with serving() as (pages, connect):
        monkeypatch.setattr(server, "CHUNK_BYTES", len(LARGE))
        _, writer = await connect()
        writer.transport.pause_reading()
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: len(pages.slots) == 1)
        await until(lambda: len(pages.slots) == 0)
        assert not writer.is_closing(), "it was the server that closed"
        writer.transport.abort()


async def test_a_source_with_half_requests_shuts_neither_itself_nor_others_out():
    async with serving() as (pages, connect):
        silent = [await connect() for _ in range(101)]
        assert b" 200 OK" in await answer(connect, GET)
        assert len(pages.slots) <= slots.PER_SOURCE_MAX
        elsewhere = partial(connect, local_addr=("127.0.0.2", 0))
        assert b" 200 OK" in await answer(elsewhere, GET)
        for _, writer in silent:
            writer.close()


async def test_many_sources_with_half_requests_shut_no_other_out():
    async with serving() as (pages, connect):
        silent = [await connect(local_addr=(f"127.0.0.{10 + number // 5}", 0)) for number in range(60)]
        for _ in range(3):
            assert b" 200 OK" in await answer(connect, GET)
        assert len(pages.slots) <= slots.CONNECTIONS_MAX
        for _, writer in silent:
            writer.close()


async def test_connections_that_are_not_allowed_take_no_slot_of_those_that_are():
    async with serving("127.0.0.1/32") as (pages, connect):
        others = [await connect(local_addr=("127.0.0.2", 0)) for _ in range(200)]
        for _ in range(10):
            assert b" 200 OK" in await answer(connect, GET)
        assert pages.refused <= slots.REFUSED_MAX
        for _, writer in others:
            writer.close()
        await until(lambda: pages.refused == 0)
        assert b" 403 " in await answer(partial(connect, local_addr=("127.0.0.2", 0)), GET)


def test_a_slot_is_taken_from_a_silent_connection_first_then_from_a_slow_one():
    taken, gone = Slots(), []

    def take(name: int, now_s: float):
        return taken.take("a", partial(gone.append, name), now_s, 5)

    for name in range(slots.PER_SOURCE_MAX):
        take(name, 0).has_asked = name != 3
    take(100, 1)
    take(101, 1).has_asked = True
    assert gone == [3, 100], "those that have not asked"
    assert take(102, 5) is None
    take(103, 5.1)
    assert gone == [3, 100, 0], "the oldest of those that are answered for more than 5 s"


def test_where_all_are_being_answered_a_further_one_is_refused():
    taken = Slots()
    for number in range(slots.CONNECTIONS_MAX):
        taken.take(str(number // slots.PER_SOURCE_MAX), lambda: None, 0, 5).has_asked = True
    assert taken.take("other", lambda: None, 5, 5) is None
    assert taken.take("other", lambda: None, 5.1, 5) is not None
    assert len(taken) == slots.CONNECTIONS_MAX
