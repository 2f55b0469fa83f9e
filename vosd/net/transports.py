"""All listeners of a node, of every transport, as the flows through which the core sends.

A flow is the index of a listener in ``sip.listen``.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter

from vosd.base.host import bracketed
from vosd.net.connection import Framer, PeerEnd
from vosd.net.entrance import Core, Entrance
from vosd.net.far_ends import FarEnds
from vosd.net.settings import TransportSettings
from vosd.net.slots import ConnectionSlots
from vosd.net.sockets import ListenerUnusableError, Marker, named
from vosd.net.stream_pings import StreamPings
from vosd.net.stream_turns import StreamTurns
from vosd.net.tcp import StreamFlow
from vosd.net.tls import TlsContexts
from vosd.net.udp import UdpFlow
from vosd.net.websocket import WebSocketFramer
from vosd.sip.settings import Limits
from vosd.sip.wire.uri import SECURE, WEBSOCKETS


class WebSocketFlow(StreamFlow):
    """One listening socket, with TLS contexts (``wss``) or without (``ws``)."""

    origins: Sequence[str] = ()
    """Origins of pages whose scripts may connect from now on."""

    def send(self, data: bytes, to: tuple[str, int]) -> None:
        """Send one message on the connection with that peer; without one it has failed: a browser takes none."""
        peer = PeerEnd(*to)
        connection = self._open.get(peer)
        if connection is not None and connection.is_open:
            connection.send(data)
        else:
            self._loop.call_soon(self._core.failed, self._flow, *peer, None)

    def _server_context(self) -> ssl.SSLContext | None:
        return None if self.tls is None else self.tls.browsers or self.tls.server

    def _framer(self) -> Framer:
        return WebSocketFramer(self._limits, self.origins)


class Transports:
    """The listeners, opened and closed together."""

    def __init__(
        self,
        listen: Sequence[tuple[str, str, int]],
        settings: TransportSettings,
        tls: TlsContexts | None,
        limits: Limits,
        core: Core,
        handed: Mapping[str, socket.socket] | None = None,
    ) -> None:
        """Prepare; ``listen`` holds transport, host and port of each, ``tls`` the loaded files.

        ``handed`` are open sockets of an earlier process, by ``sockets.named``.
        """
        self._handed = dict(handed or {})
        self._listen = tuple(listen)
        self._tls = tls
        self._origins = settings.websocket_origins
        self._limits = limits
        self._core = core
        self._marker = Marker(settings.marking)
        self._slots = ConnectionSlots(settings.connections)
        self._far_ends = FarEnds()
        self._keep_alives = StreamPings(settings.connections)
        self._turns = StreamTurns()
        self._entrance = Entrance(core, settings.shield, self._keep_out)
        self._release: asyncio.TimerHandle | None = None
        self._flows: list[UdpFlow | StreamFlow] = []

    def inherit(self, sockets: Mapping[str, socket.socket]) -> None:
        """Take open sockets of an earlier process, by ``sockets.named``, for the listeners that are not open yet."""
        self._handed.update(sockets)

    async def open(self, served_mono: float = 0.0) -> None:
        """Open every listener.

        What waits in the sockets of an earlier process came after ``served_mono``, when that one was last known to
        read them, in seconds of the monotonic clock.

        Raises:
            ListenerUnusableError: one cannot be opened; none is left open.
        """
        try:
            for flow, each in enumerate(self._listen):
                self._flows.append(self._opened(flow, *each, served_mono))
        except ListenerUnusableError:
            await self.close()
            raise
        finally:
            for left in self._handed.values():  # of listeners that are not configured any more
                left.close()
            self._handed.clear()

    def take_waiting(self) -> None:
        """Serve what has waited in the sockets of an earlier process, in the order in which it came to any of them.

        Call it once, when the core serves, and before any timer of a call may fire.
        """
        wall_ahead_s = time.time() - time.monotonic()  # noqa: TID251 - the clock of the kernel's stamps
        waiting = [each for flow in self._flows if isinstance(flow, UdpFlow) for each in flow.waiting(wall_ahead_s)]
        waiting.sort(key=attrgetter("came"))
        for each in waiting:
            self._entrance.receive_late(*each)
        if waiting:
            self._entrance.serve()

    @property
    def transmit(self) -> list[Callable[[bytes, tuple[str, int]], None]]:
        """One send function for each flow."""
        return [flow.send for flow in self._flows]

    @property
    def connections(self) -> int:
        """Number of open connections."""
        return len(self._slots)

    def local_address(self, flow: int) -> tuple[str, int]:
        """Return host and port of a listener as bound: with the port that the kernel chose for 0."""
        return self._flows[flow].local_address

    def hang_up(self, flow: int, host: str, port: int, why: str) -> None:
        """Close the connection with a peer, if there is one."""
        self._flows[flow].hang_up((host, port), why)

    def has_connection(self, flow: int, host: str, port: int) -> bool:
        """Return whether there is a connection with a peer; over UDP there is none."""
        opened = self._flows[flow]
        return isinstance(opened, StreamFlow) and opened.has_connection((host, port))

    def has_accepted(self, flow: int, host: str, port: int) -> bool:
        """Return whether there is a connection which a peer has opened."""
        opened = self._flows[flow]
        return isinstance(opened, StreamFlow) and opened.has_accepted((host, port))

    def blocked(self) -> Mapping[str, float]:
        """Return the release time of each blocked address, in seconds of the monotonic clock."""
        return self._entrance.blocked

    def release(self, host: str) -> bool:
        """Unblock a source; return False if it was not blocked.

        Raises:
            ValueError: ``host`` is no IP address.
        """
        return self._entrance.release(host)

    def adjust(self, settings: TransportSettings, tls: TlsContexts | None) -> None:
        """Apply other settings to UDP and to new connections; open connections keep theirs.

        Listeners that are not open yet will have them.
        """
        self._tls = tls
        self._slots.limits = settings.connections
        self._keep_alives.adjust(settings.connections)
        self._entrance.adjust(settings.shield)
        if settings.marking != self._marker.traffic_class:
            self._marker = Marker(settings.marking)
            for flow in self._flows:
                flow.remark(self._marker)
        self._origins = settings.websocket_origins
        for (transport, _, _), flow in zip(self._listen, self._flows, strict=False):
            if transport in SECURE and tls is not None and isinstance(flow, StreamFlow):
                flow.tls = tls
            if isinstance(flow, WebSocketFlow):
                flow.origins = self._origins

    def sockets(self) -> dict[str, socket.socket]:
        """Return the listening sockets by the names under which a service manager keeps them."""
        return {named(*each): flow.listening for each, flow in zip(self._listen, self._flows, strict=False)}

    def pause(self) -> None:
        """Read and accept nothing more: it waits in the sockets for the next process."""
        for flow in self._flows:
            flow.pause()

    async def close(self) -> None:
        """Close all listeners."""
        if self._release is not None:
            self._release.cancel()
        for flow in reversed(self._flows):
            await flow.close()
        self._flows.clear()  # behind the ends of all connections, which the core asks about
        self._keep_alives.stop()

    def _opened(self, flow: int, transport: str, host: str, port: int, served_mono: float) -> UdpFlow | StreamFlow:
        handed = self._handed.pop(named(transport, host, port), None)
        if transport == "udp":
            return UdpFlow(flow, host, port, self._entrance, self._marker, handed, served_mono)
        tls = self._tls if transport in SECURE else None
        if transport in SECURE and tls is None:
            raise ListenerUnusableError(
                f"cannot listen on {transport}:{bracketed(host)}:{port}: sip.tls has no certificate"
            )
        local = PeerEnd(host, port)
        kind = WebSocketFlow if transport in WEBSOCKETS else StreamFlow
        opened = kind(
            flow,
            local,
            self._core,
            self._entrance,
            self._limits,
            self._slots,
            self._far_ends,
            self._keep_alives,
            self._turns,
            self._marker,
            tls,
            handed,
        )
        if isinstance(opened, WebSocketFlow):
            opened.origins = self._origins
        return opened

    def _keep_out(self) -> None:
        """Block the current set of addresses in the kernel, and schedule their release."""
        blocked = self._entrance.blocked
        for flow in self._flows:
            if isinstance(flow, UdpFlow):
                flow.drop_in_kernel(blocked)
        if self._release is not None:
            self._release.cancel()
            self._release = None
        if blocked:
            wait_s = max(0.0, next(iter(blocked.values())) - time.monotonic())
            self._release = asyncio.get_running_loop().call_later(wait_s, self._entrance.release_due)
