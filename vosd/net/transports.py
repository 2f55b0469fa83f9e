"""Every listener of a node, whatever its transport, as the flows that the core sends through.

A flow is the place of a listener in ``sip.listen``.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from vosd.net.connection import Address
from vosd.net.entrance import Core, Entrance
from vosd.net.marking import Marker
from vosd.net.settings import TransportSettings
from vosd.net.slots import ConnectionSlots
from vosd.net.sockets import ListenerUnusableError
from vosd.net.tcp import StreamFlow
from vosd.net.tls import TlsContexts
from vosd.net.udp import UdpFlow
from vosd.sip.settings import Limits


class Transports:
    """The listeners, opened together and closed together."""

    def __init__(
        self,
        listen: Sequence[tuple[str, str, int]],
        settings: TransportSettings,
        tls: TlsContexts | None,
        limits: Limits,
        core: Core,
    ) -> None:
        """Prepare; ``listen`` holds transport, host and port of each, ``tls`` what the settings' files say."""
        self._listen = tuple(listen)
        self._tls = tls
        self._limits = limits
        self._core = core
        self._marker = Marker(settings.marking)
        self._slots = ConnectionSlots(settings.connections)
        self._entrance = Entrance(core, settings.shield, self._keep_out)
        self._release: asyncio.TimerHandle | None = None
        self._flows: list[UdpFlow | StreamFlow] = []

    async def open(self) -> None:
        """Open every listener.

        Raises:
            ListenerUnusableError: one cannot be opened; none is left open.
        """
        try:
            for flow, each in enumerate(self._listen):
                self._flows.append(self._opened(flow, *each))
        except ListenerUnusableError:
            await self.close()
            raise

    @property
    def transmit(self) -> list[Callable[[bytes, tuple[str, int]], None]]:
        """One sender a flow."""
        return [flow.send for flow in self._flows]

    @property
    def connections(self) -> int:
        """How many connections there are."""
        return len(self._slots)

    def local_address(self, flow: int) -> tuple[str, int]:
        """Return host and port of a listener as the kernel has them: with a port where 0 was asked for."""
        return self._flows[flow].local_address

    def hang_up(self, flow: int, host: str, port: int, why: str) -> None:
        """Close the connection with a peer, where there is one."""
        self._flows[flow].hang_up((host, port), why)

    def blocked(self) -> Mapping[str, float]:
        """Return until when each address is blocked for its flood, in seconds of the monotonic clock."""
        return self._entrance.blocked

    def release(self, host: str) -> bool:
        """Take messages of a blocked source again; False where it was not blocked.

        Raises:
            ValueError: ``host`` is no IP address.
        """
        return self._entrance.release(host)

    def adjust(self, settings: TransportSettings, tls: TlsContexts | None) -> None:
        """Let new connections, and all that is sent over UDP, follow other settings; open connections stay."""
        self._tls = tls
        self._slots.limits = settings.connections
        self._entrance.adjust(settings.shield)
        if settings.marking != self._marker.traffic_class:
            self._marker = Marker(settings.marking)
            for flow in self._flows:
                flow.remark(self._marker)
        for (transport, _, _), flow in zip(self._listen, self._flows, strict=True):
            if transport == "tls" and tls is not None and isinstance(flow, StreamFlow):
                flow.tls = tls

    async def close(self) -> None:
        """Close what is open."""
        if self._release is not None:
            self._release.cancel()
        while self._flows:
            await self._flows.pop().close()

    def _opened(self, flow: int, transport: str, host: str, port: int) -> UdpFlow | StreamFlow:
        if transport == "udp":
            return UdpFlow(flow, host, port, self._entrance, self._marker)
        tls = self._tls if transport == "tls" else None
        if transport == "tls" and tls is None:
            raise ListenerUnusableError(f"cannot listen on tls:{host}:{port}: sip.tls has no certificate")
        local = Address(host, port)
        return StreamFlow(flow, local, self._core, self._entrance, self._limits, self._slots, self._marker, tls)

    def _keep_out(self) -> None:
        """Have the kernel keep out who is blocked now, and see to it that they are let in again."""
        blocked = self._entrance.blocked
        for flow in self._flows:
            if isinstance(flow, UdpFlow):
                flow.keep_out(blocked)
        if self._release is not None:
            self._release.cancel()
            self._release = None
        if blocked:
            wait_s = max(0.0, next(iter(blocked.values())) - time.monotonic())
            self._release = asyncio.get_running_loop().call_later(wait_s, self._entrance.release_due)
