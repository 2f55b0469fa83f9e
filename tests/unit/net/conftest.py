"""Listeners on loopback with a core that only listens."""

import asyncio
import socket
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import suppress
from typing import Any

import pytest
from doubles.certificates import Authority
from doubles.turns import turns, until

from vosd.base.clock import Instant
from vosd.net import udp
from vosd.net.connection import PeerEnd
from vosd.net.entrance import Core
from vosd.net.settings import ConnectionLimits, TransportSettings
from vosd.net.tls import TlsContexts
from vosd.net.transports import Transports
from vosd.sip.endpoint import Endpoint
from vosd.sip.settings import Limits
from vosd.sip.wire.classify import MessageKind, Rank
from vosd.sip.wire.outgoing import Peer as Source

UNKNOWN_SOURCE = "127.0.0.66"
PATIENCE_S = 30.0


class Ear:
    """The core: records what it receives, in order."""

    def __init__(self) -> None:
        self._received: asyncio.Queue[tuple[int, bytes, PeerEnd]] = asyncio.Queue()
        self._failures: asyncio.Queue[tuple[int, PeerEnd]] = asyncio.Queue()
        self.failed_names: list[tuple[PeerEnd, frozenset[str]]] = []
        """Failures of one of several connections, with the names that it was used for."""
        self._closed: asyncio.Queue[tuple[int, PeerEnd]] = asyncio.Queue()
        self.dropped: Counter[str] = Counter()
        self.refused: list[tuple[int, PeerEnd]] = []
        self.unsent: list[bytes] = []
        self.undelivered: list[tuple[bytes, Source]] = []
        self.certified: list[tuple[int, PeerEnd, frozenset[str]]] = []
        self.gateways: set[str] = set()
        self.elsewhere: set[str] = set()
        """Hosts without a place of a routing gateway."""
        self.no_places: set[PeerEnd] = set()
        """Other places that no routing gateway is configured at."""
        self.identities: dict[str, str] = {}
        """TLS identities by host."""
        self.names: dict[str, str] = {}
        self.directory: Callable[[str], str | None] = self.names.get
        """Returns the name that led to an address."""
        self.server_names: dict[bytes, str] = {}
        """Names that the certificate must bear, by message."""
        self.patience_s = 60.0
        """What a connection may take."""
        self.unknown_sources = {UNKNOWN_SOURCE}
        """Addresses without an authentication."""
        self.on_receive: Callable[[int, bytes, PeerEnd], None] = lambda *_: None
        self.on_closed: Callable[[int, PeerEnd], None] = lambda *_: None
        self.is_idle = True
        self.is_event = True
        self.belongs: Callable[[MessageKind, bytes], bool] = lambda *_: False
        """Returns whether responses and requests with a To tag belong to a call."""
        self.has_dialog: Callable[[str], bool] = lambda _tag: False
        self.dialog_of: Callable[[bytes], str] = lambda _data: ""
        self.last_responses: set[bytes] = set()
        """Failures by which calls have ended."""
        self.processed: list[bytes] = []
        """Messages that were not queued."""
        self.came: list[float] = []
        """Time of arrival of each message, in seconds of the monotonic clock."""
        self.flushes = 0
        self.serves = 0
        self.core = Core(
            begin=lambda: Instant(int(time.monotonic() * 1000), 0) if self.is_idle else None,
            process=self._process,
            flush=self._flush,
            take=self._take,
            refuse=lambda flow, _data, host, port: self.refused.append((flow, PeerEnd(host, port))),
            serve=self._serve,
            belongs=self._belongs,
            has_dialog=self._has_dialog,
            dialog_of=self._dialog_of,
            dropped=self.dropped,
            failed=self._fail,
            unsent=self.unsent.append,
            undelivered=lambda quoted, peer: self.undelivered.append((quoted, peer)),
            closed=self._part,
            certified=lambda flow, host, port, names: self.certified.append((flow, PeerEnd(host, port), names)),
            identity_at=lambda host, _port: self.identities.get(host, ""),
            is_vendor_at=lambda *place: place[0] not in self.elsewhere and place not in self.no_places,
            is_gateway=lambda host: host in self.gateways,
            is_known_source=lambda host: host not in self.unknown_sources,
            allowance_at=lambda _host: None,
            name_of=self._name_of,
            connects_within=lambda _host: self.patience_s,
            server_name_of=lambda data: self.server_names.get(data, ""),
            ends_call=lambda data: data in self.last_responses,
        )

    def _fail(self, flow: int, host: str, port: int, names: Collection[str] | None) -> None:
        if names is None:
            self._failures.put_nowait((flow, PeerEnd(host, port)))
        else:
            self.failed_names.append((PeerEnd(host, port), frozenset(names)))

    def _part(self, flow: int, host: str, port: int) -> None:
        self._closed.put_nowait((flow, PeerEnd(host, port)))
        self.on_closed(flow, PeerEnd(host, port))

    def _belongs(self, kind: MessageKind, data: bytes) -> bool:
        return self.belongs(kind, data)

    def _has_dialog(self, tag: str) -> bool:
        return self.has_dialog(tag)

    def _dialog_of(self, data: bytes) -> str:
        return self.dialog_of(data)

    def use(self, endpoint: Endpoint) -> None:
        """Ask a real core which messages belong to calls."""
        self.belongs = endpoint.belongs
        self.has_dialog = endpoint.dialogs.owners.__contains__
        self.dialog_of = endpoint.dialog_of

    def _name_of(self, host: str, _port: int) -> str | None:
        return self.directory(host)

    def _take(self, _rank: Rank, flow: int, data: bytes, host: str, port: int, came: float) -> None:
        self.came.append(came)
        self._received.put_nowait((flow, data, PeerEnd(host, port)))
        self.on_receive(flow, data, PeerEnd(host, port))

    def _process(self, data: bytes, peer: Source, now: Instant) -> bool:
        self.processed.append(data)
        self._take(Rank.RUNNING, peer.flow, data, peer.host, peer.port, now.mono / 1000)
        return self.is_event

    def _serve(self) -> None:
        self.serves += 1

    def _flush(self, _now: Instant) -> None:
        self.flushes += 1

    async def message(self) -> tuple[int, bytes, PeerEnd]:
        return await asyncio.wait_for(self._received.get(), PATIENCE_S)

    async def failure(self) -> tuple[int, PeerEnd]:
        return await asyncio.wait_for(self._failures.get(), PATIENCE_S)

    async def parting(self) -> tuple[int, PeerEnd]:
        return await asyncio.wait_for(self._closed.get(), PATIENCE_S)

    @property
    def messages(self) -> int:
        return self._received.qsize()

    @property
    def failures(self) -> int:
        return self._failures.qsize()


class Node:
    """Opened listeners."""

    def __init__(self, transports: Transports, ear: Ear) -> None:
        self.transports = transports
        self.ear = ear

    def address(self, flow: int = 0) -> tuple[str, int]:
        return self.transports.local_address(flow)

    def send(self, data: bytes, to: tuple[str, int], flow: int = 0) -> None:
        self.transports.transmit[flow](data, to)

    async def flood(self, to: tuple[str, int]) -> None:
        """Send until the connection is given up; the sockets' own buffers take some megabytes."""
        for _ in range(1_000):
            self.send(b"x" * 65_000, to)
            await asyncio.sleep(0)
            if self.ear.failures:
                return


def _kernel_stamps_what_comes() -> bool:
    """Return whether datagrams have the time of their arrival, and not that of the reading.

    The kernel begins with that some time after the first socket has asked for it.
    """
    with socket.socket(type=socket.SOCK_DGRAM) as own:
        own.bind(("127.0.0.1", 0))
        own.setsockopt(socket.SOL_SOCKET, udp._SO_TIMESTAMP, 1)
        own.sendto(b"?", own.getsockname())
        sent, began = time.time(), time.perf_counter()  # noqa: TID251 - the clock of the kernel's stamps
        while time.perf_counter() < began + 0.001:  # a clock that no test sets
            pass
        _, [(_, _, stamp)], _, _ = own.recvmsg(1, 100)
        seconds, microseconds = udp._TIMEVAL.unpack(stamp)
        return bool(seconds + microseconds / 1_000_000 < sent + 0.001)


@pytest.fixture
async def opened() -> AsyncIterator[Callable[..., Awaitable[Node]]]:
    """Open listeners on ports that the kernel chooses."""
    nodes: list[Node] = []

    async def open_listeners(
        *listen: tuple[str, str] | tuple[str, str, int],
        settings: TransportSettings = TransportSettings(),  # noqa: B008 - frozen
        tls: TlsContexts | None = None,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        handed: dict[str, socket.socket] | None = None,
        served_mono: float = 0.0,
    ) -> Node:
        ear = Ear()
        sockets = [(*each, 0)[:3] for each in listen or [("tcp", "127.0.0.1")]]
        node = Node(Transports(sockets, settings, tls, limits, ear.core, handed), ear)
        await node.transports.open(served_mono)
        if any(transport == "udp" for transport, *_ in sockets):
            await until(_kernel_stamps_what_comes)
        node.transports.take_waiting()
        nodes.append(node)
        return node

    yield open_listeners
    for node in nodes:
        await node.transports.close()


class Peer:
    """The other end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.address = PeerEnd(*writer.get_extra_info("sockname")[:2])

    async def read(self, count: int) -> bytes:
        return await asyncio.wait_for(self.reader.readexactly(count), PATIENCE_S)

    async def is_closed(self) -> bool:
        """Wait for the end of the connection; what comes before it is thrown away."""
        try:
            await asyncio.wait_for(self.reader.read(-1), PATIENCE_S)
        except ConnectionError:
            return True
        return self.reader.at_eof()

    async def is_closed_despite(self, blank: bytes) -> bool:
        """Send blank lines until the connection is closed; raise TimeoutError if it never is."""
        with suppress(ConnectionError):
            async with asyncio.timeout(PATIENCE_S):
                # The transport may know of the end before the reader does, and then takes nothing more.
                while not self.reader.at_eof() and not self.writer.is_closing():
                    self.writer.write(blank)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self.reader.read(1_000), 0.02)
        return True

    async def is_broken(self) -> bool:
        """Wait for the end of a connection that the other side refuses, with or without an alert."""
        try:
            return await asyncio.wait_for(self.reader.read(-1), PATIENCE_S) == b""
        except (ConnectionError, ssl.SSLError):
            return True

    async def close(self) -> None:
        self.writer.close()
        with suppress(OSError):
            await asyncio.wait_for(self.writer.wait_closed(), PATIENCE_S)


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Awaitable[Peer]]]:
    """Connect to a listener, from an address of choice."""
    peers: list[Peer] = []

    async def connect_to(address: tuple[str, int], source: str = "127.0.0.1", **options: Any) -> Peer:
        peers.append(Peer(*await asyncio.open_connection(*address, local_addr=(source, 0), **options)))
        return peers[-1]

    yield connect_to
    await asyncio.gather(*(peer.close() for peer in peers))


class Vendor:
    """A peer that listens."""

    def __init__(self) -> None:
        self._arrivals: asyncio.Queue[Peer] = asyncio.Queue()
        self._peers: list[Peer] = []
        self._server: asyncio.Server | None = None
        self.address = PeerEnd("", 0)

    async def listen(self, context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self._server = await asyncio.start_server(self._start, host, 0, ssl=context)
        self.address = PeerEnd(*self._server.sockets[0].getsockname()[:2])

    def _start(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._peers.append(Peer(reader, writer))
        self._arrivals.put_nowait(self._peers[-1])

    async def arrival(self) -> Peer:
        return await asyncio.wait_for(self._arrivals.get(), PATIENCE_S)

    @property
    def waiting(self) -> int:
        return self._arrivals.qsize()

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        await turns(3)  # a connection that was accepted in this turn has no peer yet
        await asyncio.gather(*(peer.close() for peer in self._peers))


@pytest.fixture
async def silent_vendor() -> AsyncIterator[Vendor]:
    """Give a vendor that does not listen yet."""
    vendor = Vendor()
    yield vendor
    await vendor.close()


@pytest.fixture
async def vendor(silent_vendor: Vendor) -> Vendor:
    """Give a vendor that listens on TCP."""
    await silent_vendor.listen()
    return silent_vendor


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def connections(
    most: int = 100, per_source: int = 100, unknown: int = 100, idle_ms: int = 60_000, unknown_per_source: int = 100
) -> TransportSettings:
    limits = ConnectionLimits(
        most, per_source, unknown, idle_ms, unknown_rate_per_source=0, most_unknown_per_source=unknown_per_source
    )
    return TransportSettings(connections=limits)
