"""Sockets of the telephones: one UDP socket, or a TCP port with its connections."""

import socket
from collections.abc import Iterator
from typing import Final, Protocol

from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import Message, compose, response_lines
from doubles.stream_peer import Line as Stream

_CONNECT_S: Final = 0.2


class Line(Protocol):
    """Where one side of calls sends and receives."""

    address: Endpoint
    contact: str
    """Host, port and parameters of its URI."""
    transport: str

    def sockets(self) -> list[socket.socket]:
        """Return the sockets to be read."""

    def send(self, text: str, to: Endpoint) -> None:
        """Send a message; what cannot be sent is lost."""

    def take(self, ready: socket.socket) -> Iterator[Message]:
        """Read a socket that has something."""

    def close(self) -> None:
        """Close all sockets."""


class UdpLine:
    """One UDP socket."""

    transport = "UDP"

    def __init__(self, address: Endpoint) -> None:
        self.address = address
        self.contact = str(address)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.bind(address)

    def sockets(self) -> list[socket.socket]:
        return [self._socket]

    def send(self, text: str, to: Endpoint) -> None:
        self._socket.sendto(text.encode(), to)

    def take(self, ready: socket.socket) -> Iterator[Message]:
        data, source = ready.recvfrom(65_535)
        yield Message(data, Endpoint(*source))

    def close(self) -> None:
        self._socket.close()


class TcpLine:
    """A port that takes connections, and connections of its own, opened again when the switch has closed them."""

    transport = "TCP"

    def __init__(self, address: Endpoint) -> None:
        self.address = address
        self.contact = f"{address};transport=tcp"
        self._listening = socket.create_server(address)
        self._streams: dict[socket.socket, Stream] = {}
        self._to: dict[Endpoint, Stream] = {}

    def sockets(self) -> list[socket.socket]:
        return [self._listening, *self._streams]

    def send(self, text: str, to: Endpoint) -> None:
        try:
            stream = self._to.get(to) or self._connected(to)
            stream.sock.settimeout(_CONNECT_S)
            stream.sock.sendall(text.encode())
            stream.sock.setblocking(False)
        except OSError:  # the switch is down, or it hangs; the message is sent again
            self._forget(to)

    def take(self, ready: socket.socket) -> Iterator[Message]:
        if ready is self._listening:
            taken, source = ready.accept()
            self._keep(taken, Endpoint(*source))
            return
        stream = self._streams.get(ready)
        if stream is None:
            return
        yield from stream.read()
        if stream.is_closed:
            self._forget(stream.remote)

    def close(self) -> None:
        for remote in [*self._to]:
            self._forget(remote)
        self._listening.close()

    def _connected(self, to: Endpoint) -> Stream:
        return self._keep(socket.create_connection(to, _CONNECT_S, source_address=(self.address.host, 0)), to)

    def _keep(self, connected: socket.socket, remote: Endpoint) -> Stream:
        connected.setblocking(False)
        stream = self._streams[connected] = self._to[remote] = Stream(connected, remote)
        return stream

    def _forget(self, remote: Endpoint) -> None:
        stream = self._to.pop(remote, None)
        if stream is not None:
            del self._streams[stream.sock]
            stream.sock.close()


def respond(line: Line, request: Message, status: int, tag: str = "", body: str = "") -> None:
    """Answer a request."""
    line.send(compose(response_lines(request, status, tag, line.contact), body), request.source)
