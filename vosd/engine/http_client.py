"""One HTTP server that we ask: connecting, one question after the other, and bounds on what it answers (by h11).

A server may send anything. The time is bounded by who asks; head and body are bounded here. No redirect is followed.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import h11

from vosd import __version__
from vosd.base.host import bracketed, is_address, is_public
from vosd.engine.daemon_threads import DaemonThreads
from vosd.engine.host_names import HostNames
from vosd.processes.handshake_limits import limit_handshakes
from vosd.processes.key_exchange import leave_out_slow_ones
from vosd.processes.server_trust import trust_in_servers

HEAD_BYTES_MAX: Final = 16_384
BODY_BYTES_MAX: Final = 65_536
PARTS_MAX: Final = 100
"""Most parts of an answer, which are responses of 1xx and chunks: each takes processor time of the event loop."""
PART_BYTES: Final = 64
"""For each so many bytes of its body an answer may have one part more."""
RECEIVE_BYTES: Final = 8 * 1024
"""Receive buffer of a connection: all that it holds is read in one turn, also records of TLS with one byte each."""

NEXT_ADDRESS_S: Final = 0.25
"""Time after which the next address of a host is tried beside those before it (RFC 8305 section 5)."""

NO_ANSWER: Final = (OSError, EOFError, ValueError, h11.ProtocolError)
"""Errors that a request raises; ``TimeoutError`` is an OSError."""

_AGENT: Final = ("User-Agent", f"vosd/{__version__}")
_TRUST: Final = DaemonThreads(1, "trust in servers")
"""Threads of the loop write the journal, and those of names may all wait for name servers."""


class PrivateAddressError(ValueError):
    """A host has addresses of private networks alone."""


class LongBodyError(ValueError):
    """The body of an answer is longer than its reader takes."""


class HttpAnswer(NamedTuple):
    """The end of an answer."""

    status: int
    body: bytes
    """Empty where only the status was wanted."""
    headers: Sequence[tuple[bytes, bytes]] = ()
    """Names in lower case."""


class HttpConnection:
    """A connection to the server, for one question after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._state = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES_MAX - 1)

    async def is_idle(self) -> bool:
        """Return whether another question may be asked; the server may close the connection all the same.

        A response that came without a question answers none that follows (RFC 9112 section 9.2).
        """
        if self._writer.is_closing() or self._state.trailing_data[0]:
            return False
        try:
            async with asyncio.timeout(0):
                await self._reader.read(1)
        except TimeoutError:
            return True
        except OSError:
            pass
        return False

    async def ask(
        self, request: h11.Request, body: bytes, *, status_only: bool, body_max: int = BODY_BYTES_MAX
    ) -> HttpAnswer:
        """Send a request and read the answer; ``status_only`` leaves a body unread of which the end is not known.

        Raises:
            OSError, EOFError: the connection was lost.
            LongBodyError: the body is too long.
            ValueError: the answer has too many parts.
            h11.ProtocolError: the answer is no HTTP.
        """
        for event in (request, h11.Data(data=body), h11.EndOfMessage()):
            self._writer.write(self._state.send(event) or b"")
        await self._writer.drain()
        response, parts = await self._next(), 0
        while isinstance(response, h11.InformationalResponse):  # the answer will come (RFC 9110 section 15.2)
            parts += 1
            _check_parts(parts, 0)
            response = await self._next()
        assert isinstance(response, h11.Response)
        if status_only and not _ends_soon(response):
            self.close()
            return HttpAnswer(response.status_code, b"")
        content = bytearray()
        while isinstance(part := await self._next(), h11.Data):
            content += part.data
            if len(content) > body_max:
                raise LongBodyError(f"a body of more than {body_max} bytes")
            parts += 1
            _check_parts(parts, len(content))
        if self._state.our_state is self._state.their_state is h11.DONE:
            self._state.start_next_cycle()
        else:
            self.close()
        return HttpAnswer(response.status_code, bytes(content), list(response.headers))

    async def _next(self) -> object:
        while (event := self._state.next_event()) is h11.NEED_DATA:
            data = await self._reader.read(HEAD_BYTES_MAX)
            if not data and self._state.their_state is h11.SEND_RESPONSE:
                raise EOFError("the server has closed the connection without an answer")
            self._state.receive_data(data)
        return event

    def close(self) -> None:
        """Close the connection at once: nothing more is wanted of it, and the peer might not end it."""
        self._writer.transport.abort()


def _ends_soon(response: h11.Response) -> bool:
    """Return whether a body has a small length, or there is none, as with 204 (RFC 9110 section 8.6)."""
    length = dict(response.headers).get(b"content-length", b"")
    return response.status_code == 204 or (length.isdigit() and int(length) <= BODY_BYTES_MAX)


def _check_parts(parts: int, content_bytes: int) -> None:
    """Refuse an answer that takes more time than its content: servers of certificates are chosen by callers."""
    if parts > PARTS_MAX + content_bytes // PART_BYTES:
        raise ValueError(f"an answer in more than {parts - 1} parts")


class ClientTls:
    """The trust in servers that the system has, read when it is first needed: that takes 50 ms of processor."""

    def __init__(self) -> None:
        self._read: Future[ssl.SSLContext] | None = None

    async def context(self) -> ssl.SSLContext:
        """Return the context of connections; raises OSError."""
        if self._read is None or (self._read.done() and self._read.exception() is not None):
            self._read = _TRUST.submit(_trust)
        return await asyncio.shield(asyncio.wrap_future(self._read))  # others may wait for it, too


def _trust() -> ssl.SSLContext:
    context = trust_in_servers()
    leave_out_slow_ones(context)
    limit_handshakes(context, until_end=True)
    return context


class HttpServer:
    """Server of requests; made of an http or https URL."""

    def __init__(
        self,
        url: str,
        names: HostNames,
        *,
        allow_private: bool = True,
        tls: ClientTls | None = None,
        receive_bytes: int | None = RECEIVE_BYTES,
    ) -> None:
        """``names`` look up the host; while that goes on the latest addresses are connected to.

        Without ``allow_private`` only addresses of the internet are connected to, whatever a name resolves to. ``tls``
        may be shared with other servers. ``receive_bytes``: None = as many as the kernel takes, for long answers: no
        more than the buffer comes in each round trip.
        """
        self._receive_bytes = receive_bytes
        self._allow_private = allow_private
        parts = urlsplit(url)
        self._is_secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._is_secure else 80)
        self.target: Final = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        """Path and query."""
        self._tls = tls or ClientTls()
        self._names = names
        self._latest: Sequence[str] = ()
        """Addresses that ``names`` has found last."""

    def request(self, method: str, target: str, headers: Sequence[tuple[str, str]]) -> h11.Request:
        """Return a request to this server, which may refuse one that does not say what sends it."""
        host = ("Host", f"{bracketed(self._host)}:{self._port}")
        return h11.Request(method=method, target=target, headers=[host, _AGENT, *headers])

    @property
    def has_addresses(self) -> bool:
        """Whether no connection waits for the first look-up of the host."""
        return bool(self._latest) or is_address(self._host)

    async def connect(self) -> HttpConnection:
        """Connect to the first address of the host that accepts it; raises OSError and ValueError."""
        hosts: Sequence[str] = [self._host]
        if not is_address(self._host):
            hosts = await self._addresses()
        if not self._allow_private and not (hosts := [host for host in hosts if is_public(host)]):
            message = f"{self._host} is no address of the internet: set allow_private where that is meant"
            raise PrivateAddressError(message)
        tls = await self._tls.context() if self._is_secure else None
        return await self._open(hosts[0], tls) if len(hosts) == 1 else await self._open_first(hosts, tls)

    async def ask_once(
        self,
        method: str,
        target: str,
        headers: Sequence[tuple[str, str]],
        body: bytes = b"",
        *,
        body_max: int = BODY_BYTES_MAX,
    ) -> HttpAnswer:
        """Ask one question on a connection of its own; raises what is in ``NO_ANSWER``."""
        request = self.request(method, target, headers)
        connection = await self.connect()
        try:
            return await connection.ask(request, body, status_only=False, body_max=body_max)
        finally:
            connection.close()

    async def _addresses(self) -> Sequence[str]:
        """Return the addresses of the host, each once."""
        if not self._latest or not self._names.is_open(self._host):
            self._latest = await self._names.addresses(self._host)
        return self._latest

    async def _open_first(self, hosts: Sequence[str], tls: ssl.SSLContext | None) -> HttpConnection:
        """Return the first connection that is accepted; an address is tried when those before it fail, or are slow."""
        waiting, tasks = [*hosts], list[asyncio.Task[HttpConnection]]()
        found: HttpConnection | None = None
        try:
            while found is None:
                if waiting:
                    tasks.append(asyncio.get_running_loop().create_task(self._open(waiting.pop(0), tls)))
                elif all(each.done() for each in tasks):
                    break
                open_ = [each for each in tasks if not each.done()]
                timeout = NEXT_ADDRESS_S if waiting else None
                await asyncio.wait(open_, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
                accepted = (each for each in tasks if each.done() and each.exception() is None)
                found = next((each.result() for each in accepted), None)
            return found or tasks[-1].result()
        finally:
            for each in tasks:
                each.cancel()
            for other in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(other, HttpConnection) and other is not found:
                    other.close()

    async def _open(self, host: str, tls: ssl.SSLContext | None) -> HttpConnection:
        name = None if tls is None else self._host
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        try:
            sock.setblocking(False)
            if self._receive_bytes is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_bytes)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                await asyncio.get_running_loop().sock_connect(sock, (host, self._port))
            except OSError as error:  # "Connect call failed": the reason is in its number alone
                raise OSError(error.errno, os.strerror(error.errno or 0)) from error
            return HttpConnection(*await asyncio.open_connection(sock=sock, ssl=tls, server_hostname=name))
        except BaseException:
            sock.close()
            raise
