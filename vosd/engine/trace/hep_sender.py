"""Connection to a capture server: packets are sent at once or dropped, and no call waits for them."""

import asyncio
import socket
from collections.abc import Mapping, Sequence
from typing import Final, cast

from vosd.base.host import is_address
from vosd.engine.background import kept_going
from vosd.engine.counting import Counting
from vosd.engine.host_names import HostNames
from vosd.engine.http_client import ClientTls
from vosd.engine.settings import HepServer
from vosd.obs.events import log as _log
from vosd.obs.figures import Figure

WAITING_MAX: Final = 4 * 1024 * 1024
"""Bytes that may wait for a slow server over TCP or TLS; further packets are dropped."""
RETRY_S: Final = 1.0
"""Pause before the next connection; it doubles up to ``RETRY_MAX_S`` until one has lasted for as long as that."""
RETRY_MAX_S: Final = 30.0
CONNECT_S: Final = 10.0
LOOK_UP_S: Final = 60.0
"""The name of a server over UDP is looked up so often: no connection ends when it has moved."""

_NAMES: Final = HostNames(2, "name of the capture server")
"""A silent name server occupies one thread of its own, and none of the loop."""


class _Datagrams:
    """A socket for UDP: a packet that the kernel does not take at once is dropped."""

    def __init__(self, addresses: Sequence[str], server: HepServer) -> None:
        """Use the first address that packets can be sent to; raises OSError if there is none."""
        self._address, self._sock = _connected(addresses, server.port)
        self._server = server
        self._is_refused = False
        """Whether the address has refused packets since the name was looked up."""

    @classmethod
    async def to(cls, server: HepServer) -> "_Datagrams":
        return cls(await _addresses(server), server)

    async def closed(self) -> None:
        """Send to where the name of the server leads; return if no packet can be sent there.

        The last address stays while it is one of several and refuses nothing, and while the name leads nowhere.
        """
        while True:
            await asyncio.sleep(LOOK_UP_S)
            try:
                found = await _addresses(self._server)
            except OSError:
                continue
            at = found.index(self._address) if self._address in found else -1
            refused, self._is_refused = self._is_refused, False
            if at >= 0 and not (refused and len(found) > 1):
                continue
            before = self._sock
            following = [*found[at + 1 :], *found[: at + 1]]  # the present one comes last
            try:
                self._address, self._sock = _connected(following, self._server.port)  # perhaps from another source
            except OSError:
                return
            before.close()

    def send(self, packet: bytes) -> bool:
        """Send a packet; False = it is dropped."""
        try:
            self._sock.send(packet)
        except BlockingIOError:  # its buffer is full
            return False
        except OSError:  # the address has refused an earlier packet
            self._is_refused = True
            return False
        return True

    def hang_up(self) -> None:
        self._sock.close()


def _connected(addresses: Sequence[str], port: int) -> tuple[str, socket.socket]:
    """Return the first address that packets can be sent to, and a socket for them.

    Raises:
        OSError: there is none.
    """
    failed: OSError | None = None
    for address in addresses:
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        try:
            sock.connect((address, port))
        except OSError as error:
            sock.close()
            failed = error
        else:
            return address, sock
    raise failed or OSError("the name of the server has no address")


async def _addresses(server: HepServer) -> Sequence[str]:
    """Return the addresses that a server is at; raises OSError where its name leads nowhere."""
    return [server.host] if is_address(server.host) else await _NAMES.addresses(server.host)


class _Stream(asyncio.Protocol):
    """A connection over TCP or TLS; what the server sends is ignored."""

    def __init__(self) -> None:
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.WriteTransport | None = None

    @classmethod
    async def to(cls, server: HepServer) -> "_Stream":
        addresses = await _addresses(server)
        context = await ClientTls().context() if server.transport == "tls" else None
        name = None if context is None else server.host
        loop = asyncio.get_running_loop()
        refused: OSError | None = None
        for address in addresses:
            try:
                return (await loop.create_connection(cls, address, server.port, ssl=context, server_hostname=name))[1]
            except OSError as error:
                refused = error
        raise refused or OSError("the name of the server has no address")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's are of no class of asyncio

    def connection_lost(self, _error: Exception | None) -> None:
        if not self._closed.done():
            self._closed.set_result(None)

    async def closed(self) -> None:
        await self._closed

    def send(self, packet: bytes) -> bool:
        transport = self._transport
        if transport is None or transport.is_closing() or transport.get_write_buffer_size() > WAITING_MAX:
            return False
        transport.write(packet)
        return True

    def hang_up(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class HepSender(Counting):
    """Sends packets to one server, over UDP, TCP or TLS; connects again where the connection ends."""

    def __init__(self) -> None:
        self._dropped = 0
        self._way: _Datagrams | _Stream | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self, server: HepServer) -> None:
        """Connect to a server, and stay connected."""
        self._task = asyncio.create_task(kept_going("hep", lambda: self._keep(server)), name="hep")

    async def end(self) -> None:
        """Close the connection."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    def send(self, packet: bytes) -> None:
        """Send a packet, or drop it where there is no connection or too much waits."""
        if self._way is None or not self._way.send(packet):
            self._dropped += 1

    def totals(self) -> Mapping[Figure, int]:
        """Return how many packets were dropped."""
        return {Figure.HEP_DROPPED: self._dropped}

    async def _keep(self, server: HepServer) -> None:
        loop = asyncio.get_running_loop()
        pause_s, is_known = RETRY_S, False
        while True:
            begun_at = loop.time()
            try:
                async with asyncio.timeout(CONNECT_S):
                    way = await (_Datagrams if server.transport == "udp" else _Stream).to(server)
            except (OSError, TimeoutError) as error:
                if not is_known:
                    _log.warning("hep_server_unreachable", server=str(server), error=str(error) or "no answer")
                    is_known = True
            else:
                _log.info("hep_server_connected", server=str(server))
                self._way, is_known = way, False
                try:
                    await way.closed()
                finally:
                    self._way = None
                    way.hang_up()
                if loop.time() - begun_at >= RETRY_MAX_S:  # shorter ones are those of a proxy without its server
                    pause_s = RETRY_S
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, RETRY_MAX_S)
