"""The connection to a capture server on loopback: over UDP and TCP, gone and back."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import current_thread

import pytest
from doubles.certificates import Authority
from doubles.silent_names import SilentNames
from structlog.testing import capture_logs

from vosd.engine.settings import HepServer
from vosd.engine.trace import hep_sender
from vosd.engine.trace.hep_sender import HepSender
from vosd.obs.figures import Figure

PATIENCE_S = 20.0


def received_by(sock: socket.socket) -> Callable[[], bool]:
    sock.setblocking(False)

    def look() -> bool:
        try:
            return sock.recv(100) == b"HEP3"
        except BlockingIOError:
            return False

    return look


async def sent_until(sender: HepSender, condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            sender.send(b"HEP3")
            await asyncio.sleep(0)


async def test_packets_reach_a_server_over_udp_also_after_it_was_away():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    server = HepServer("udp", "localhost", sock.getsockname()[1])
    sender = HepSender()
    sender.send(b"HEP3")
    assert sender.totals()[Figure.HEP_DROPPED] == 1
    sender.begin(server)
    await sent_until(sender, received_by(sock))
    sock.close()
    await sent_until(sender, lambda: sender.totals()[Figure.HEP_DROPPED] > 1)  # the port is closed: ICMP
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(("127.0.0.1", server.port))
        await sent_until(sender, received_by(again))
    await sender.end()


async def test_a_server_over_udp_that_has_moved_is_found_by_its_name_and_no_packet_is_lost(monkeypatch):
    monkeypatch.setattr(hep_sender, "LOOK_UP_S", 0)
    monkeypatch.setattr(hep_sender, "RETRY_S", 2 * PATIENCE_S)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as before,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as after,
    ):
        before.bind(("127.0.0.1", 0))
        after.bind(("127.0.0.2", before.getsockname()[1]))
        places = ["127.0.0.1"]

        asked = set()

        def look_up(host, *_terms, **_options):
            asked.add(host)
            if not places:
                raise socket.gaierror
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (places[0], 0))]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        sender = HepSender()
        sender.begin(HepServer("udp", "hep.example.net", before.getsockname()[1]))
        await sent_until(sender, received_by(before))
        dropped = sender.totals()
        places.clear()
        await sent_until(sender, received_by(before))  # it is used as long as no other one is known
        places.append("127.0.0.2")
        await sent_until(sender, received_by(after))
        places[:] = ["127.0.0.1"]
        while received_by(before)():
            pass
        await sent_until(sender, received_by(before))  # a name that gives another address each time
        assert sender.totals() == dropped
        await sender.end()
        assert asked == {"hep.example.net"}


NO_WAY = "255.255.255.255"
"""An address that the kernel sends nothing to, as one without a route."""


@pytest.mark.parametrize(
    "addresses", [("127.0.0.1", "127.0.0.2"), ("127.0.0.1", NO_WAY, "127.0.0.2"), (NO_WAY, "127.0.0.2")]
)
async def test_the_next_address_of_a_server_over_udp_is_taken_where_one_refuses(monkeypatch, addresses):
    monkeypatch.setattr(hep_sender, "LOOK_UP_S", 0)
    monkeypatch.setattr(hep_sender, "RETRY_S", 0.01)

    def look_up(_host, *_terms, **_options):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 0)) for each in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    sender = HepSender()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.2", 0))
        sender.begin(HepServer("udp", "hep.example.net", listening.getsockname()[1]))
        await sent_until(sender, received_by(listening))
        dropped = sender.totals()
        await sent_until(sender, received_by(listening))
        assert sender.totals() == dropped, "it stays there"
        await sender.end()


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_a_name_that_is_not_found_occupies_no_thread_of_the_loop(monkeypatch, transport):
    monkeypatch.setattr(hep_sender, "CONNECT_S", 0.01)
    monkeypatch.setattr(hep_sender, "RETRY_S", 0.01)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    resolver = SilentNames(monkeypatch)
    resolver.dead = {"hep.example.net"}
    sender = HepSender()
    try:
        with capture_logs() as log:
            sender.begin(HepServer(transport, "hep.example.net", 9))
            # on a busy machine the thread that asks begins after the time of a connection
            await sent_until(sender, lambda: bool(log) and bool(resolver.asked))
            await asyncio.wait_for(asyncio.to_thread(int), PATIENCE_S)
        await sender.end()
        assert [line["event"] for line in log] == ["hep_server_unreachable"]
        assert resolver.asked == {"hep.example.net": 1}
    finally:
        resolver.released.set()


@pytest.mark.parametrize("is_believed", [True, False])
@pytest.mark.parametrize("named", ["127.0.0.1", "127.0.0.9"])
async def test_copies_over_tls_go_to_the_server_that_its_certificate_names_alone(
    monkeypatch, tmp_path, is_believed, named
):
    monkeypatch.setattr(hep_sender, "RETRY_S", 0.01)
    authority = Authority(tmp_path)
    if is_believed:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.root.file))
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read(4))
        writer.close()

    context = authority.server_context(authority.issue("homer", named))
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    sender = HepSender()
    is_right = is_believed and named == "127.0.0.1"
    readers, default = set(), ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", lambda **_: readers.add(current_thread().name) or default())
    try:
        with capture_logs() as log:
            sender.begin(HepServer("tls", "127.0.0.1", server.sockets[0].getsockname()[1]))
            await sent_until(sender, lambda: bool(received if is_right else log))
    finally:
        await sender.end()
        server.close()
    assert received == ([b"HEP3"] if is_right else [])
    event = "hep_server_connected" if is_right else "hep_server_unreachable"
    assert [line["event"] for line in log] == [event]
    assert all(each.startswith("trust in servers") for each in readers), (
        "reading takes 30 ms, which calls would wait for"
    )


async def test_the_next_address_of_a_server_over_tcp_is_tried_where_one_refuses(monkeypatch):
    def look_up(_host, *_terms, **_options):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 0)) for each in ("127.0.0.1", "127.0.0.2")]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    sender = HepSender()
    with socket.create_server(("127.0.0.2", 0)) as listening:
        sender.begin(HepServer("tcp", "hep.example.net", listening.getsockname()[1]))
        await sent_until(sender, lambda: sender._way is not None)
        sender.send(b"HEP3")
        await sender.end()
        taken, _ = listening.accept()
        with taken:
            assert taken.recv(4) == b"HEP3"


async def test_a_connection_over_tcp_is_made_again_and_nothing_waits_for_it(monkeypatch):
    monkeypatch.setattr(hep_sender, "RETRY_S", 0.01)
    chunks: list[bytes] = []
    writers: list[asyncio.StreamWriter] = []

    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(ConnectionError):
            while data := await reader.read(100):
                chunks.append(data)
        writer.close()
        if len(writers) == 2:
            ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sender = HepSender()
    sender.begin(HepServer("tcp", "127.0.0.1", port))
    await sent_until(sender, lambda: bool(chunks))
    writers[0].transport.abort()
    chunks.clear()
    await sent_until(sender, lambda: bool(chunks) and len(writers) == 2)
    assert sender.totals()[Figure.HEP_DROPPED] > 0  # while there was no connection
    await sender.end()
    await ended.wait()
    server.close()
    await server.wait_closed()


async def test_pauses_grow_where_a_server_ends_each_connection_at_once(monkeypatch):
    monkeypatch.setattr(hep_sender, "RETRY_S", 0.001)
    connections = 0

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.close()
        await writer.wait_closed()

    loop = asyncio.get_running_loop()
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        sender, begun_at = HepSender(), loop.time()
        sender.begin(HepServer("tcp", "127.0.0.1", server.sockets[0].getsockname()[1]))
        await sent_until(sender, lambda: connections == 8)
        lasted_s = loop.time() - begun_at
        await sender.end()
    assert lasted_s >= sum(0.001 * 2**number for number in range(7)) - 0.001  # timers round to a millisecond


async def test_packets_beyond_the_bound_are_dropped_where_a_server_does_not_read():
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    sender = HepSender()
    sender.begin(HepServer("tcp", "127.0.0.1", listening.getsockname()[1]))
    await sent_until(sender, lambda: sender.totals()[Figure.HEP_DROPPED] == 0 or sender._way is not None)
    dropped = sender.totals()[Figure.HEP_DROPPED]
    for _ in range(400):
        sender.send(b"x" * 60_000)
    assert sender.totals()[Figure.HEP_DROPPED] > dropped + 100
    await sender.end()
    listening.close()
