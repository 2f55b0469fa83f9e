"""One thread that serves many sockets, over UDP and TCP, and what is to be done later."""

import heapq
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Final, NamedTuple, Protocol, Self

from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import Message

_LOOK_S: Final = 0.05
_CONNECT_S: Final = 2.0

Take = Callable[[Message], None]


class Bench:
    """Runs everything in one thread; a context manager."""

    def __init__(self) -> None:
        self.failed: list[BaseException] = []
        self._readers: dict[socket.socket, Callable[[], None]] = {}
        self._poll = select.poll()
        self._sockets: dict[int, socket.socket] = {}
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._orders: deque[Callable[[], None]] = deque()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._is_over.set()
        self._thread.join()
        for each in [*self._sockets.values()]:
            self.forget(each)

    def order(self, act: Callable[[], None]) -> None:
        """Have something done in the thread of the sockets, from any thread."""
        self._orders.append(act)

    def after(self, delay_s: float, act: Callable[[], None]) -> None:
        """Do something later."""
        heapq.heappush(self._due, (time.monotonic() + delay_s, next(self._order), act))

    def read(self, sock: socket.socket, act: Callable[[], None]) -> None:
        """Do something whenever a socket is readable."""
        self._readers[sock] = act
        self._sockets[sock.fileno()] = sock
        self._poll.register(sock, select.POLLIN)

    def forget(self, sock: socket.socket) -> None:
        """Close a socket."""
        if self._readers.pop(sock, None) is not None:
            self._poll.unregister(sock)
            del self._sockets[sock.fileno()]
        sock.close()

    def _run(self) -> None:
        try:
            while not self._is_over.is_set():
                self._turn()
        except BaseException as error:  # noqa: BLE001 - told in the thread of the test
            self.failed.append(error)

    def _turn(self) -> None:
        wait_s = _LOOK_S
        if self._due:
            wait_s = min(wait_s, max(0.0, self._due[0][0] - time.monotonic()))
        for descriptor, _ in self._poll.poll(0 if self._orders else 1_000 * wait_s):
            sock = self._sockets.get(descriptor)
            if sock is not None:
                self._readers[sock]()
        while self._orders:
            self._orders.popleft()()
        while self._due and self._due[0][0] <= time.monotonic():
            heapq.heappop(self._due)[2]()


class Port(Protocol):
    """Where a party sends and receives."""

    transport: str
    address: Endpoint

    def send(self, raw: bytes, to: Endpoint) -> int:
        """Send a message, which may be lost; return the way that it took."""

    def is_kept(self, way: int) -> bool:
        """Return whether what was sent that way has arrived, or will, and need not be sent again."""


class UdpPort:
    """A UDP socket."""

    transport = "UDP"

    def __init__(self, bench: Bench, address: Endpoint, take: Take) -> None:
        self.address = address
        self._take = take
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.bind(address)
        self._socket.setblocking(False)
        bench.read(self._socket, self._read)

    def send(self, raw: bytes, to: Endpoint) -> int:
        self._socket.sendto(raw, to)
        return 0

    def is_kept(self, _way: int) -> bool:
        return False  # it may be lost, and so it is repeated

    def _read(self) -> None:
        while True:
            try:
                data, source = self._socket.recvfrom(65_535)
            except BlockingIOError:
                return
            except ConnectionRefusedError:  # the switch is away
                continue
            self._take(Message(data, Endpoint(*source)))


class Line(NamedTuple):
    """A connection, and what has come on it that is no whole message yet."""

    sock: socket.socket
    number: int
    came: bytearray


class TcpPort:
    """Connections to and from one address; a phone behind NAT accepts none."""

    transport = "TCP"

    def __init__(self, bench: Bench, address: Endpoint, take: Take, *, is_reachable: bool = True) -> None:
        self.address = address
        self.on_closed: Callable[[Endpoint], None] = lambda _remote: None
        """Called with the other end of a connection that it has closed."""
        self._bench = bench
        self._take = take
        self._lines: dict[Endpoint, Line] = {}
        self._numbers = count(1)
        self.opened = 0
        """How many connections the other side has opened."""
        if is_reachable:
            self._listening = socket.create_server(address, backlog=256)
            self._listening.setblocking(False)
            bench.read(self._listening, self._accept)

    def send(self, raw: bytes, to: Endpoint) -> int:
        try:
            if to not in self._lines:
                self._connect(to)
            line = self._lines[to]
            line.sock.sendall(raw)
        except OSError:
            self._close(to)
            return 0
        return line.number

    def is_kept(self, way: int) -> bool:
        return any(line.number == way for line in self._lines.values())

    def is_connected(self, to: Endpoint) -> bool:
        """Return whether there is a connection."""
        return to in self._lines

    def connect(self, to: Endpoint) -> bool:
        """Open a connection; return whether there is one."""
        try:
            if to not in self._lines:
                self._connect(to)
        except OSError:
            return False
        return True

    def _connect(self, to: Endpoint) -> None:
        self._keep(socket.create_connection(to, _CONNECT_S, source_address=(self.address.host, 0)), to)

    def _accept(self) -> None:
        sock, remote = self._listening.accept()
        self.opened += 1
        self._keep(sock, Endpoint(*remote))

    def _keep(self, sock: socket.socket, remote: Endpoint) -> None:
        sock.settimeout(_CONNECT_S)
        line = self._lines[remote] = Line(sock, next(self._numbers), bytearray())
        self._bench.read(sock, lambda: self._read(remote, line))

    def _close(self, remote: Endpoint) -> None:
        line = self._lines.pop(remote, None)
        if line is not None:
            self._bench.forget(line.sock)
            self.on_closed(remote)

    def _read(self, remote: Endpoint, line: "Line") -> None:
        try:
            data = line.sock.recv(65_535)
        except OSError:
            data = b""
        if not data:
            self._close(remote)
            return
        line.came.extend(data)
        while (raw := _first_of(line.came)) is not None:
            self._take(Message(raw, remote))


def _first_of(came: bytearray) -> bytes | None:
    """Cut the first whole message off a stream."""
    while came.startswith(b"\r\n"):
        del came[:2]
    end = came.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(came[: end + 4])
    (length,) = (line[15:] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    whole = len(head) + int(length)
    if len(came) < whole:
        return None
    raw = bytes(came[:whole])
    del came[:whole]
    return raw
