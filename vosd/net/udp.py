"""UDP listeners."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

import structlog

from vosd.base.errors import VosError

BUFFER_BYTES: Final = 4 * 1024 * 1024
"""Asked of the kernel both ways, so that a burst of calls waits instead of being lost."""

Receive = Callable[[int, bytes, str, int], None]

_log = structlog.get_logger()


class ListenerUnusableError(VosError):
    """An address of ``sip.listen`` cannot be opened."""


class UdpListener(asyncio.DatagramProtocol):
    """One socket; ``flow`` is its place among the listeners."""

    def __init__(self, flow: int, receive: Receive) -> None:
        self._flow = flow
        self._receive = receive

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Pass a datagram on."""
        self._receive(self._flow, data, addr[0], addr[1])

    def error_received(self, exc: Exception) -> None:
        """A peer's port is closed, a network is gone: the transactions' timers deal with it."""
        _log.debug("datagram came back", error=str(exc))


async def open_udp(host: str, port: int, flow: int, receive: Receive) -> asyncio.DatagramTransport:
    """Open one listener.

    Raises:
        ListenerUnusableError: the address is not ours, taken, or not allowed.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            listener.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
        listener.setblocking(False)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        message = f"cannot listen on udp:{host}:{port}: {error.strerror or error}; change sip.listen or free the port"
        raise ListenerUnusableError(message) from error
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: UdpListener(flow, receive), sock=listener)
    return transport


def reachable_address(host: str) -> str:
    """Return the address that peers can use for a socket bound to ``host``: for a wildcard, that of the default route.

    Asks the kernel which address it would send from; nothing is sent.
    """
    wildcard = {"0.0.0.0": "192.0.2.1", "::": "2001:db8::1"}  # documentation addresses, RFC 5737 and RFC 3849
    if host not in wildcard:
        return host
    family = socket.AF_INET6 if host == "::" else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((wildcard[host], 9))
        except OSError:
            return "::1" if host == "::" else "127.0.0.1"
        return str(probe.getsockname()[0])
