"""UDP listeners."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

import structlog

from vosd.net.marking import Marker
from vosd.net.sockets import bound

BUFFER_BYTES: Final = 4 * 1024 * 1024
"""Asked of the kernel both ways, so that a burst of calls waits instead of being lost."""

Receive = Callable[[int, bytes, str, int], None]

_log = structlog.get_logger()


class UdpListener(asyncio.DatagramProtocol):
    """One socket; ``flow`` is its place among the listeners."""

    def __init__(self, flow: int, receive: Receive) -> None:
        self._flow = flow
        self._receive = receive
        self.closed = asyncio.Event()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Pass a datagram on."""
        self._receive(self._flow, data, addr[0], addr[1])

    def connection_lost(self, _error: Exception | None) -> None:
        """Let go of the socket."""
        self.closed.set()

    def error_received(self, exc: Exception) -> None:
        """A peer's port is closed, a network is gone: the transactions' timers deal with it."""
        _log.debug("datagram came back", error=str(exc))


class UdpFlow:
    """One socket, marked and open."""

    def __init__(self, sock: socket.socket, transport: asyncio.DatagramTransport, listener: UdpListener) -> None:
        self.send = transport.sendto
        """Send one datagram to (host, port)."""
        self._socket = sock
        self._transport = transport
        self._listener = listener

    @classmethod
    async def open(cls, flow: int, host: str, port: int, receive: Receive, marker: Marker) -> "UdpFlow":
        """Open one listener.

        Raises:
            ListenerUnusableError: the address is not ours, taken, or not allowed.
        """
        sock = bound(socket.SOCK_DGRAM, host, port, marker)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
        loop = asyncio.get_running_loop()
        transport, listener = await loop.create_datagram_endpoint(lambda: UdpListener(flow, receive), sock=sock)
        return cls(sock, transport, listener)

    @property
    def local_address(self) -> tuple[str, int]:
        """Host and port of our end."""
        host, port, *_ = self._socket.getsockname()
        return host, port

    def remark(self, marker: Marker) -> None:
        """Mark what is sent from now on otherwise."""
        marker.mark(self._socket)

    def hang_up(self, on: tuple[str, int], why: str) -> None:
        """Do nothing: there is no connection."""

    async def close(self) -> None:
        """Close the socket."""
        self._transport.close()
        await self._listener.closed.wait()
