"""A telephone in a browser: a strict client of SIP over WebSocket (RFC 7118) on the standard library alone.

Reads and writes frames (RFC 6455) by itself, on purpose: a fault of the library that the switch uses must not hide
behind the same fault in its tester. What a browser would refuse, it refuses, too.
"""

import base64
import hashlib
import os
import socket
import ssl
from enum import IntEnum
from typing import Final, NamedTuple

from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import Message
from doubles.stream_peer import Line, StreamPeer
from vosd.base.errors import VosError

_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_PATIENCE_S: Final = 60.0
ORIGIN: Final = "https://phone.example.org"


class WebSocketFaultError(VosError):
    """The other side has broken a rule of RFC 6455 or RFC 7118."""


class OpCode(IntEnum):
    """Kinds of frames."""

    CONT = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class ReceivedFrame(NamedTuple):
    """One frame of the server."""

    code: OpCode
    payload: bytes


def request_of(host: str, key: str, **changes: str | None) -> bytes:
    """Write the HTTP request of a browser; ``changes`` are headers by name with underscores, None leaves one out."""
    headers: dict[str, str | None] = {
        "Host": host,
        "Upgrade": "websocket",
        "Connection": "keep-alive, Upgrade",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "sip",
        "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits",
        "Origin": ORIGIN,
    }
    headers |= {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join(["GET /sip HTTP/1.1", *lines, "", ""]).encode()


def check_response(head: bytes, key: str) -> None:
    """Check the answer to a handshake as a browser does (RFC 6455 section 4.1).

    Raises:
        WebSocketFaultError: it is none that a browser takes.
    """
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    accepted = base64.b64encode(hashlib.sha1(f"{key}{_GUID}".encode(), usedforsecurity=False).digest()).decode()
    wanted = {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-accept": accepted,
              "sec-websocket-protocol": "sip"}  # fmt: skip
    if not status.startswith("HTTP/1.1 101 ") or any(headers.get(name) != value for name, value in wanted.items()):
        raise WebSocketFaultError(head.decode())
    if "sec-websocket-extensions" in headers:
        raise WebSocketFaultError(f"an extension was negotiated: {headers['sec-websocket-extensions']}")


def frame(code: OpCode, payload: bytes = b"", *, fin: bool = True, mask: bytes | None = None, first: int = 0) -> bytes:
    """Write a frame of a client, masked; ``first`` are further bits of its first byte, which no one may set."""
    mask = os.urandom(4) if mask is None else mask
    length = len(payload)
    if length < 126:
        size = bytes([0x80 | length])
    elif length < 65_536:
        size = bytes([0x80 | 126]) + length.to_bytes(2, "big")
    else:
        size = bytes([0x80 | 127]) + length.to_bytes(8, "big")
    covered = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
    return bytes([(0x80 if fin else 0) | first | code]) + size + mask + covered


class FrameReader:
    """Reads the frames of a server, strictly."""

    def __init__(self) -> None:
        self._came = b""

    def feed(self, data: bytes) -> list[ReceivedFrame]:
        """Add bytes; return the frames that are complete.

        Raises:
            WebSocketFaultError: a frame is masked, has bits of an extension, is fragmented, or is longer than needed.
        """
        self._came += data
        frames = []
        while (found := self._one()) is not None:
            frames.append(found)
        return frames

    def _one(self) -> ReceivedFrame | None:
        came = self._came
        if len(came) < 2:
            return None
        first, second = came[0], came[1]
        if not first & 0x80 or first & 0x70 or second & 0x80:
            raise WebSocketFaultError(f"a frame began with {came[:2].hex()}")
        code, length, begin = OpCode(first & 0x0F), second & 0x7F, 2
        if length > 125:
            begin = 4 if length == 126 else 10
            if len(came) < begin:
                return None
            length = int.from_bytes(came[2:begin], "big")
            if code >= OpCode.CLOSE or length < (126 if begin == 4 else 65_536):
                raise WebSocketFaultError(f"a frame of {length} bytes with a length of {begin - 2}")
        if len(came) < begin + length:
            return None
        self._came = came[begin + length :]
        payload = came[begin : begin + length]
        if code is OpCode.TEXT:
            payload.decode()  # a browser closes the connection on anything else
        return ReceivedFrame(code, payload)


class WebSocketLine(Line):
    """One WebSocket; pings are answered at once, as browsers do without their scripts."""

    def __init__(self, sock: socket.socket, remote: Endpoint) -> None:
        super().__init__(sock, remote)
        self._reader = FrameReader()
        self.pings = 0
        self.pongs = 0
        self.texts: list[bytes] = []
        """Messages that are no SIP: answers to keep-alives of blank lines."""

    def write(self, data: bytes) -> None:
        self.sock.settimeout(_PATIENCE_S)
        self.sock.sendall(data)
        self.sock.setblocking(False)

    def _cut(self) -> list[Message]:
        messages, came = [], self._came
        self._came = b""
        for code, payload in self._reader.feed(came):
            if code is OpCode.PING:
                self.pings += 1
                self.write(frame(OpCode.PONG, payload))
            elif code is OpCode.PONG:
                self.pongs += 1
            elif code is OpCode.CLOSE:
                self.is_closed = True
            elif payload.strip():
                messages.append(Message(payload, self.remote))
            else:
                self.texts.append(payload)
        return messages


class WebSocketPeer(StreamPeer):
    """A peer that connects to the switch by WebSocket, and that takes no connections."""

    def __init__(self, address: Endpoint, client: ssl.SSLContext | None = None, origin: str = ORIGIN) -> None:
        super().__init__(address, client=client)
        self.transport = "WS" if client is None else "WSS"
        self._origin = origin
        self._name = f"{os.urandom(6).hex()}.invalid"

    @property
    def server(self) -> Endpoint:
        """The one switch that it is connected with."""
        (server,) = self._lines
        return server

    @property
    def contact(self) -> str:
        """A name that leads nowhere: a script does not know its address (RFC 7118 section 5.2.1)."""
        return f"{self._name};transport=ws"

    @property
    def sent_by(self) -> str:
        """The invalid name that a browser writes into its Via."""
        return self._name

    def line_to(self, remote: Endpoint) -> WebSocketLine:
        """Return the WebSocket with ``remote``, opened where there is none."""
        line = self._lines.get(remote)
        if line is None:
            sock = socket.create_connection(remote, _PATIENCE_S, source_address=(self.address.host, 0))
            if self._client is not None:
                sock = self._client.wrap_socket(sock, server_hostname=remote.host)
            try:
                self._shake_hands(sock, str(remote))
            except WebSocketFaultError:
                sock.close()
                raise
            sock.setblocking(False)
            line = self._lines[remote] = WebSocketLine(sock, remote)
        assert isinstance(line, WebSocketLine)
        return line

    def _shake_hands(self, sock: socket.socket, host: str) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        sock.sendall(request_of(host, key, Origin=self._origin))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = sock.recv(1)
            if not byte:
                raise WebSocketFaultError(f"closed after {head!r}")
            head += byte
        check_response(head[:-4], key)

    def _send(self, raw: bytes, to: Endpoint) -> None:
        self.line_to(to).write(frame(OpCode.TEXT, raw))
