"""A SIP user agent on connections: TCP, or TLS over the standard library's ssl, as caller and as vendor at once.

Cuts the stream into messages by itself, on purpose: a fault of ``vosd.sip.wire.stream`` must not hide behind the same
fault in its tester.
"""

import socket
import ssl
import time
from collections import deque
from typing import Final

from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import Message, Peer
from doubles.sockets.waiting import readable

_PATIENCE_S: Final = 60.0
_BACKLOG: Final = 16


class Line:
    """One connection and what came on it."""

    def __init__(self, sock: socket.socket, remote: Endpoint) -> None:
        self.sock = sock
        self.remote = remote
        self.is_closed = False
        """Whether the other side has ended it."""
        self._came = b""
        self._blank = 0

    def read(self) -> list[Message]:
        """Take what has come; return the messages that it completes."""
        try:
            while data := self.sock.recv(65_535):
                self._came += data
            self.is_closed = True
        except (ssl.SSLWantReadError, BlockingIOError):
            pass
        except OSError:
            self.is_closed = True
        return list(self._cut())

    def take_blank(self) -> int:
        """Return how many blank lines came where a message would begin, and forget them."""
        count, self._blank = self._blank, 0
        return count

    def _skip_blank(self) -> None:
        while self._came.startswith(b"\r\n"):
            self._came = self._came[2:]
            self._blank += 1

    def _cut(self) -> list[Message]:
        messages = []
        self._skip_blank()
        while (end := self._came.find(b"\r\n\r\n")) > 0:
            head = self._came[: end + 4]
            (length,) = (line[15:] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
            whole = len(head) + int(length)
            if len(self._came) < whole:
                break
            messages.append(Message(self._came[:whole], self.remote))
            self._came = self._came[whole:]
            self._skip_blank()
        return messages


class StreamPeer(Peer):
    """A peer that listens at ``address`` and connects to the destinations it sends to; with contexts over TLS."""

    def __init__(
        self, address: Endpoint, server: ssl.SSLContext | None = None, client: ssl.SSLContext | None = None
    ) -> None:
        super().__init__(address)
        self.transport = "TCP" if server is None and client is None else "TLS"
        self._server = server
        self._client = client
        self._listening = socket.create_server(address, backlog=_BACKLOG)
        self._lines: dict[Endpoint, Line] = {}
        self._waiting: deque[Message] = deque()

    def __exit__(self, *_exception: object) -> None:
        super().__exit__()
        self._listening.close()
        for line in self._lines.values():
            line.sock.close()

    def line_to(self, remote: Endpoint) -> Line:
        """Return the connection with ``remote``, opened where there is none."""
        line = self._lines.get(remote)
        if line is None:
            sock = socket.create_connection(remote, _PATIENCE_S, source_address=(self.address.host, 0))
            if self._client is not None:
                sock = self._client.wrap_socket(sock, server_hostname=remote.host)
            line = self._keep(sock, remote)
        return line

    def hang_up_on(self, remote: Endpoint) -> None:
        """Close the connection with ``remote``."""
        self._lines.pop(remote).sock.close()

    def is_left_by(self, remote: Endpoint) -> bool:
        """Wait until the other side has closed its connection."""
        line = self._lines[remote]
        deadline = time.monotonic() + _PATIENCE_S
        while not line.is_closed and (left := deadline - time.monotonic()) > 0:
            self._take_in(left)
        return line.is_closed

    @property
    def connections(self) -> int:
        """Number of connections, opened by either side."""
        return len(self._lines)

    def _bind(self) -> None:
        """Leave the UDP port of the address to another peer."""

    def _keep(self, sock: socket.socket, remote: Endpoint) -> Line:
        sock.setblocking(False)
        line = self._lines[remote] = Line(sock, remote)
        return line

    def _send(self, raw: bytes, to: Endpoint) -> None:
        line = self.line_to(to)
        line.sock.settimeout(_PATIENCE_S)
        line.sock.sendall(raw)
        line.sock.setblocking(False)

    def _receive(self, within_s: float) -> Message | None:
        deadline = time.monotonic() + within_s
        while not self._waiting and (left := deadline - time.monotonic()) > 0:
            self._take_in(left)
        return self._waiting.popleft() if self._waiting else None

    def _take_in(self, within_s: float) -> None:
        """Wait for the next connection or bytes."""
        lines = {line.sock: line for line in self._lines.values() if not line.is_closed}
        for sock in readable([self._listening, *lines], within_s):
            if sock is self._listening:
                self._accept()
            else:
                self._waiting += lines[sock].read()

    def _accept(self) -> None:
        sock, remote = self._listening.accept()
        if self._server is not None:
            sock.settimeout(_PATIENCE_S)
            try:
                sock = self._server.wrap_socket(sock, server_side=True)
            except ssl.SSLError:  # the switch does not accept the certificate
                sock.close()
                return
        line = self._keep(sock, Endpoint(*remote))
        self._waiting += line.read()  # TLS may have read ahead what select will not show
