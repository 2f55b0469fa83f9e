"""UDP listeners.

Each turn reads the waiting datagrams, at most 2,048, before any is served, so that the switch, not the kernel, chooses
what to drop, and messages of running calls are found behind a thousand new ones. Where one system call has read all of
them they need not be queued.

ICMP errors are read as soon as they come, since one that waits fails the next system call. The event loop watches the
socket through an epoll of its own: libuv, which uvloop is made of, stops watching a file that reports an error.
"""

import asyncio
import errno
import select
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from math import inf
from typing import Final, NamedTuple

from vosd.base.host import bracketed
from vosd.net import icmp_errors
from vosd.net.datagrams import BATCH, DATAGRAM_MAX, FIRST_SECONDS, Datagrams
from vosd.net.entrance import LATE_S, Entrance
from vosd.net.kernel_filter import drop_in_kernel
from vosd.net.sockets import Marker, bound
from vosd.obs.events import log as _log
from vosd.obs.log import LogLimiter
from vosd.sip.wire.outgoing import Peer

BUFFER_BYTES: Final = 16 * 1024 * 1024
"""Receive and send buffer requested from the kernel, so that a burst of calls waits instead of being lost."""
BATCHES_AT_ONCE: Final = 64
"""Batches read in one turn: messages in our queue have priorities, those in the kernel's buffer do not."""
WAITING_MAX: Final = 65_536
"""Most datagrams read at once by a start: more than fit into the buffer."""

SENDS_MAX: Final = 3
"""Most attempts to send a datagram while errors about others arrive."""
PAUSE_OF_ERRORS_S: Final = 10.0
"""For how long ICMP errors are ignored after too many of them."""

_SO_SNDBUFFORCE: Final = 32
_SO_RCVBUFFORCE: Final = 33
_SO_TIMESTAMP: Final = 29
_TIMEVAL: Final = struct.Struct("@ll")
_BUFFERS: Final = (
    (socket.SO_RCVBUF, _SO_RCVBUFFORCE, "net.core.rmem_max"),
    (socket.SO_SNDBUF, _SO_SNDBUFFORCE, "net.core.wmem_max"),
)

_NO_BUFFER_SPACE: Final = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.EINTR})
"""Errors after which the same datagram could be sent a moment later."""


class WaitingDatagram(NamedTuple):
    """A datagram that has waited for the start of this process."""

    flow: int
    data: bytes
    host: str
    port: int
    came: float
    """Time of arrival in seconds of the monotonic clock."""


class UdpFlow:
    """One open and marked UDP socket; ``flow`` is its index among the listeners."""

    def __init__(
        self,
        flow: int,
        host: str,
        port: int,
        entrance: Entrance,
        marker: Marker,
        handed: socket.socket | None = None,
        served_mono: float = 0.0,
    ) -> None:
        """Open the socket, or go on with that of an earlier process, ``handed`` over with what waits in it.

        All of that came after ``served_mono``, in seconds of the monotonic clock.

        Raises:
            ListenerUnusableError: the address is not local, already in use, or not permitted.
        """
        self._entrance = entrance
        self._socket = bound(socket.SOCK_DGRAM, host, port, marker) if handed is None else handed
        if handed is not None:
            marker.mark(handed)
            drop_in_kernel(handed, ())  # the addresses that it has blocked are not known any more
        _widen(self._socket)
        # Never off again: the kernel stamps a datagram when it comes, for the process that finds it in the socket.
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMP, 1)
        icmp_errors.enable(self._socket, wanted=True)
        self._flow = flow
        self._datagrams = Datagrams(self._socket, flow)
        self._log_limiter = LogLimiter()
        self._errors = 0
        """ICMP errors of the second that began at ``_errors_since``."""
        self._errors_since = 0.0
        self._pause_of_errors: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._readiness = select.epoll(1)
        self._readiness.register(self._socket, select.EPOLLIN)
        self._waited_since = None if handed is None else served_mono
        self._opened_mono = time.monotonic()
        self._looked_mono = self._opened_mono
        """Time at which the socket was read before: what waits in it came later."""
        self._loop.add_reader(self._readiness, self._take)

    @property
    def listening(self) -> socket.socket:
        """The socket, which a service manager may keep."""
        return self._socket

    def pause(self) -> None:
        """Read nothing more; the socket goes to the next process as one that reports no ICMP errors."""
        self._stop_reading()
        icmp_errors.enable(self._socket, wanted=False)

    @property
    def local_address(self) -> tuple[str, int]:
        """Local host and port."""
        host, port, *_ = self._socket.getsockname()
        return host, port

    @property
    def _here(self) -> str:
        host, port = self.local_address
        return f"udp:{bracketed(host)}:{port}"

    def send(self, data: bytes, to: tuple[str, int]) -> None:
        """Send one datagram; without buffer space it is lost, and SIP timers retransmit it."""
        if not self._datagrams.send(data, to):
            self._send_again(data, to)

    def _send_again(self, data: bytes, to: tuple[str, int]) -> None:
        """Send once more through Python's socket to learn the error: no route, another family, no permission.

        A send fails, too, by the ICMP error of an earlier datagram to any address, once for each.
        """
        if self._socket.fileno() < 0:
            return  # closed by a stop, before the last timers of the calls have fired
        host, port = to
        error, sends = self._refusal(data, to), 1
        while error is not None and sends < SENDS_MAX and self._take_errors():
            error, sends = self._refusal(data, to), sends + 1
        if error is None:
            return
        if error.errno in _NO_BUFFER_SPACE:
            _log.debug("datagram_not_sent", to=to)
            return
        why = error.strerror or "not an address of the listener's family"
        if self._log_limiter.admits(f"{host} {error.errno}", int(1_000 * self._loop.time())):
            _log.error("datagram_not_sent", host=host, port=port, listener=self._here, error=why)
        self._loop.call_soon(self._entrance.unsent, data)

    def _refusal(self, data: bytes, to: tuple[str, int]) -> OSError | None:
        """Send one datagram, and return why the kernel did not accept it."""
        try:
            socket.inet_pton(self._socket.family, to[0])  # or the next line would ask a name server
            self._socket.sendto(data, to)
        except OSError as error:
            return error
        except ValueError:  # the host has bytes that no address has
            return OSError()
        return None

    def _take_errors(self) -> int:
        """Read the waiting ICMP errors, and report them in a turn of their own; return how many there were."""
        count = 0
        for error in icmp_errors.queued(self._socket):
            count += 1
            if error is not None:
                quoted, host, port = error
                self._loop.call_soon(self._entrance.undelivered, quoted, Peer(self._flow, host, port))
        if count:
            self._count_errors(count)
        return count

    def _count_errors(self, count: int) -> None:
        """Ignore all ICMP errors for a while if there are too many: forged ones would fill the buffer of the socket."""
        now_s = self._loop.time()
        if now_s - self._errors_since >= 1:
            self._errors, self._errors_since = 0, now_s
        self._errors += count
        if self._errors > icmp_errors.ERRORS_A_SECOND:
            icmp_errors.enable(self._socket, wanted=False)
            self._pause_of_errors = self._loop.call_later(PAUSE_OF_ERRORS_S, self._read_errors_again)
            if self._log_limiter.admits("icmp", int(1_000 * now_s)):
                _log.warning("icmp_errors_ignored", listener=self._here, seconds=PAUSE_OF_ERRORS_S)

    def _read_errors_again(self) -> None:
        icmp_errors.enable(self._socket, wanted=True)

    def _stop_reading(self) -> None:
        self._loop.remove_reader(self._readiness)
        if self._pause_of_errors is not None:
            self._pause_of_errors.cancel()

    def remark(self, marker: Marker) -> None:
        """Mark packets with another class from now on."""
        marker.mark(self._socket)

    def hang_up(self, on: tuple[str, int], why: str) -> None:
        """Do nothing: UDP has no connection."""

    def drop_in_kernel(self, hosts: Iterable[str]) -> None:
        """Have the kernel drop datagrams from exactly these addresses."""
        drop_in_kernel(self._socket, hosts)

    async def close(self) -> None:
        """Close the socket."""
        self._stop_reading()
        self._readiness.close()
        self._datagrams.close()
        self._socket.close()

    def _take(self) -> None:
        """Read the waiting datagrams, at most ``BATCHES_AT_ONCE`` batches, then serve them."""
        entrance, read = self._entrance, self._datagrams.read
        batch = read()
        if not batch:  # an error was reported instead of what waits
            self._take_errors()
            batch = read()
        since, self._looked_mono = self._looked_mono, time.monotonic()
        wall = time.time()  # noqa: TID251 - the clock of the kernel's stamps
        if 0 < self._datagrams.stamps[FIRST_SECONDS] < wall - LATE_S and batch:
            self._take_late(batch, since, wall - self._looked_mono)
            return
        if len(batch) < BATCH:
            entrance.take(batch)
            return
        for later in reversed(range(BATCHES_AT_ONCE)):
            for data, peer in batch:
                entrance.receive(peer.flow, data, peer.host, peer.port)
            # What is read must be handed on: the kernel keeps the rest, and reports the socket as readable again.
            if len(batch) < BATCH:
                break
            if not later:
                self._looked_mono = since  # the rest may have waited as long
                break
            batch = read()
        entrance.serve()

    def _take_late(self, batch: Sequence[tuple[bytes, Peer]], since: float, wall_ahead_s: float) -> None:
        """Serve what has waited in the socket while nothing was read, as a start does; none came before ``since``."""
        entrance = self._entrance
        for later in reversed(range(BATCHES_AT_ONCE)):
            for (data, peer), came in zip(batch, self._datagrams.came(), strict=False):
                entrance.receive_late(peer.flow, data, peer.host, peer.port, max(came - wall_ahead_s, since))
            if len(batch) < BATCH:
                break
            if not later:
                self._looked_mono = since  # the rest may have waited as long
                break
            batch = self._datagrams.read()
        entrance.serve()

    def waiting(self, wall_ahead_s: float) -> list[WaitingDatagram]:
        """Read what has waited in the socket of an earlier process; call it once, before anything is served.

        The wall clock, by which the kernel stamps, is ``wall_ahead_s`` ahead of the monotonic one.
        """
        if self._waited_since is None:
            return []
        found: list[WaitingDatagram] = []
        for _ in range(WAITING_MAX):
            try:
                data, stamps, _, sender = self._socket.recvmsg(DATAGRAM_MAX, socket.CMSG_SPACE(_TIMEVAL.size))
            except BlockingIOError:
                break
            except OSError:  # an error about a datagram that was sent is reported instead of what waits
                self._take_errors()
                continue
            host, port, *_ = sender
            came = _wall_of(stamps) - wall_ahead_s
            found.append(WaitingDatagram(self._flow, data, host.partition("%")[0], port, came))
        latest = self._opened_mono
        for index in reversed(range(len(found))):  # the clock may have been set back: none came after its next
            latest = max(min(found[index].came, latest), self._waited_since)
            found[index] = found[index]._replace(came=latest)
        return found


def _wall_of(stamps: Iterable[tuple[int, int, bytes]]) -> float:
    """Return when a datagram came by the wall clock, in seconds; of one without a stamp infinite."""
    for level, kind, stamp in stamps:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMP):
            seconds, microseconds = _TIMEVAL.unpack(stamp)
            return float(seconds + microseconds / 1_000_000)
    return inf


def _widen(sock: socket.socket) -> None:
    """Enlarge the buffers: to ``BUFFER_BYTES`` with privilege, else to the operator's limit (rmem_max)."""
    for option, forced, limit in _BUFFERS:
        try:
            sock.setsockopt(socket.SOL_SOCKET, forced, BUFFER_BYTES)
        except PermissionError:
            sock.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
            granted = sock.getsockopt(socket.SOL_SOCKET, option) // 2  # the kernel reports twice the usable size
            if granted < BUFFER_BYTES // 2:
                host, port, *_ = sock.getsockname()
                _log.warning(
                    "socket_buffer_small",
                    address=f"{bracketed(host)}:{port}",
                    means="bursts may be lost",
                    bytes=granted,
                    set=f"{limit}={BUFFER_BYTES}",
                )
