"""UDP listeners.

The socket is read by a reader of our own, which takes what lies ready before any of it is served: so the kernel
need not choose blindly what to drop, and what belongs to a running call is found behind a thousand new ones.
"""

import asyncio
import errno
import socket
from collections.abc import Iterable
from typing import Final

import structlog

from vosd.net.datagrams import BATCH, Datagrams
from vosd.net.entrance import Entrance
from vosd.net.kernel_filter import keep_out
from vosd.net.marking import Marker
from vosd.net.sockets import bound
from vosd.obs.log import LogLimiter

BUFFER_BYTES: Final = 16 * 1024 * 1024
"""Asked of the kernel both ways, so that a burst of calls waits instead of being lost."""
BATCHES_AT_ONCE: Final = 64
"""Batches taken in before some of it is served: what waits here can be told apart, what waits in the kernel cannot."""

_SO_SNDBUFFORCE: Final = 32
_SO_RCVBUFFORCE: Final = 33
_BUFFERS: Final = (
    (socket.SO_RCVBUF, _SO_RCVBUFFORCE, "net.core.rmem_max"),
    (socket.SO_SNDBUF, _SO_SNDBUFFORCE, "net.core.wmem_max"),
)

_NO_BUFFER_SPACE: Final = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.EINTR})
"""Why a datagram is lost that would have been sent a moment later."""

_log = structlog.get_logger()


class UdpFlow:
    """One socket, marked and open; ``flow`` is its place among the listeners."""

    def __init__(self, flow: int, host: str, port: int, entrance: Entrance, marker: Marker) -> None:
        """Open it.

        Raises:
            ListenerUnusableError: the address is not ours, taken, or not allowed.
        """
        self._flow = flow
        self._entrance = entrance
        self._socket = bound(socket.SOCK_DGRAM, host, port, marker)
        _widen(self._socket)
        self._datagrams = Datagrams(self._socket)
        self._log_limiter = LogLimiter()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._take)

    @property
    def local_address(self) -> tuple[str, int]:
        """Host and port of our end."""
        host, port, *_ = self._socket.getsockname()
        return host, port

    def send(self, data: bytes, to: tuple[str, int]) -> None:
        """Send one datagram; one that the kernel has no room for is lost, as any may be: timers repeat it."""
        if not self._datagrams.send(data, to):
            self._send_again(data, to)

    def _send_again(self, data: bytes, to: tuple[str, int]) -> None:
        """Send once more, and learn why it cannot be: no route, another family, no permission."""
        host, port = to
        try:
            socket.inet_pton(self._socket.family, host)  # or the next line would ask a name server
            self._socket.sendto(data, to)
        except OSError as error:
            if error.errno in _NO_BUFFER_SPACE:
                _log.debug("datagram not sent", to=to)
                return
            why = error.strerror or "not an address of the listener's family"
            if self._log_limiter.admits(f"{host} {error.errno}", int(1_000 * self._loop.time())):
                here = "udp:{}:{}".format(*self.local_address)
                _log.error("datagram not sent", host=host, port=port, listener=here, error=why)
            self._loop.call_soon(self._entrance.unsent, data)

    def remark(self, marker: Marker) -> None:
        """Mark what is sent from now on otherwise."""
        marker.mark(self._socket)

    def hang_up(self, on: tuple[str, int], why: str) -> None:
        """Do nothing: there is no connection."""

    def keep_out(self, hosts: Iterable[str]) -> None:
        """Have the kernel drop what comes from these addresses, and from no others."""
        keep_out(self._socket, hosts)

    async def close(self) -> None:
        """Close the socket."""
        self._loop.remove_reader(self._socket)
        self._datagrams.close()
        self._socket.close()

    def _take(self) -> None:
        """Take what lies ready, then have it served."""
        flow, receive, read = self._flow, self._entrance.receive, self._datagrams.read
        for _ in range(BATCHES_AT_ONCE):
            taken = 0
            for data, (host, port) in read():
                receive(flow, data, host, port)
                taken += 1
            if taken < BATCH:
                break
        self._entrance.serve()


def _widen(sock: socket.socket) -> None:
    """Give the socket large buffers: what we ask for where we may, what the operator allows (rmem_max) elsewhere."""
    for option, forced, limit in _BUFFERS:
        try:
            sock.setsockopt(socket.SOL_SOCKET, forced, BUFFER_BYTES)
        except PermissionError:
            sock.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
            granted = sock.getsockopt(socket.SOL_SOCKET, option) // 2  # the kernel counts its own needs, too
            if granted < BUFFER_BYTES // 2:
                _log.warning("small socket buffer: bursts may be lost", bytes=granted, set=f"{limit}={BUFFER_BYTES}")
