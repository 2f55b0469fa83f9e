"""Look a number up by HTTP: one GET on a connection of its own, read within bounds, parsed by the standard library.

A server may send anything, as slowly as it likes: time, head and body are limited.
"""

import asyncio
import http.client
import socket
import ssl
from functools import partial
from io import BytesIO
from typing import Final, cast
from urllib.parse import quote, urlsplit

import msgspec

from vosd.base.errors import VosError
from vosd.engine.daemon_threads import DaemonThreads
from vosd.engine.settings import PortabilitySettings
from vosd.sip.headers.portability import routing_number_in
from vosd.sip.wire.compose import host_text

HEAD_BYTES_MAX: Final = 16_384
BODY_BYTES_MAX: Final = 65_536
NUMBER: Final = "{number}"
"""What stands for the number in the URL."""
NOT_PORTED: Final = frozenset({204, 404})
"""Statuses that say that nothing is known of the number, which is routed as dialled."""
NOT_WELL: Final = frozenset({401, 403, 407, 408, 429})
"""Statuses of 4xx that are about the server or our rights; the others are about the number that was asked for."""

_NAMES: Final = DaemonThreads(2, "names of lookups")
"""Resolves the host. A silent DNS server holds a thread for long, and the loop's own ones write the journal."""


class LookupFailedError(VosError):
    """There is no usable answer; the message says why."""


class NumberRefusedError(LookupFailedError):
    """The server answers, and refuses this number."""


class HttpLookup:
    """Asks one server."""

    def __init__(self, settings: PortabilitySettings) -> None:
        """Take the URL apart."""
        self._settings = settings
        url = urlsplit(settings.url)
        self._is_secure = url.scheme == "https"
        self._host = url.hostname or ""
        self._port = url.port or (443 if self._is_secure else 80)
        self._target = f"{url.path or '/'}{'?' + url.query if url.query else ''}"
        self._fields = tuple(settings.field.split(".")) if settings.field else ()
        self._tls: ssl.SSLContext | None = None

    async def look_up(self, number: str) -> str:
        """Return the routing number, as it was sent; empty = the number is not ported.

        Raises:
            LookupFailedError: there was no usable answer in time.
        """
        try:
            async with asyncio.timeout(self._settings.timeout_ms / 1_000):
                raw = await self._fetch(number)
            status, body = _read(raw)
        except TimeoutError:
            raise LookupFailedError("no answer in time") from None
        except (OSError, EOFError, asyncio.LimitOverrunError, http.client.HTTPException, ValueError) as error:
            raise LookupFailedError(str(error)[:200] or type(error).__name__) from error
        if status in NOT_PORTED:
            return ""
        if 400 <= status < 500 and status not in NOT_WELL:
            raise NumberRefusedError(f"status {status}")
        if status != 200:
            raise LookupFailedError(f"status {status}")
        return self._number_in(body)

    async def _fetch(self, number: str) -> bytes:
        """Return the whole answer; raises OSError, EOFError, LimitOverrunError and ValueError."""
        if self._is_secure and self._tls is None:
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        reader, writer = await self._connect()
        try:
            writer.write(self._request(number))
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            lines = BytesIO(head.partition(b"\r\n")[2])
            length = http.client.parse_headers(lines).get("content-length", "")
            if length.isdecimal():
                if int(length) > BODY_BYTES_MAX:
                    raise ValueError(f"a body of {length[:20]} bytes")
                return head + await reader.readexactly(int(length))
            return head + await _read_to_the_end(reader)
        finally:
            writer.transport.abort()  # nothing more is wanted of it, and a close may wait for the peer

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the first address of the host that accepts it; raises OSError and ValueError."""
        resolve = partial(socket.getaddrinfo, self._host, self._port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(_NAMES, resolve)
        hosts = list(dict.fromkeys(str(each[4][0]) for each in found))
        name = self._host if self._is_secure else None
        for host in hosts[:-1]:
            try:
                return await self._open(host, name)
            except OSError:
                continue  # the next address may accept it
        return await self._open(hosts[-1], name)

    async def _open(self, host: str, name: str | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(
            host, self._port, ssl=self._tls, server_hostname=name, limit=HEAD_BYTES_MAX
        )

    def _request(self, number: str) -> bytes:
        settings = self._settings
        authorization = "" if settings.authorization is None else settings.authorization.reveal()
        proof = f"Authorization: {authorization}\r\n" if authorization else ""
        return (
            f"GET {self._target.replace(NUMBER, quote(number, safe=''))} HTTP/1.1\r\n"
            f"Host: {host_text(self._host)}:{self._port}\r\n"
            f"Accept: application/json, text/plain\r\nConnection: close\r\n{proof}\r\n"
        ).encode()

    def _number_in(self, body: bytes) -> str:
        """Return the routing number of a body; raises LookupFailedError where it has something else."""
        text = self._field_in(body) if self._fields else body.decode("latin-1").strip()
        number = routing_number_in(text)
        if text and not number:
            raise LookupFailedError(f"no number in the answer: {text[:40]!r}")
        return number

    def _field_in(self, body: bytes) -> str:
        """Return a field of a JSON document as text; empty where it is missing or null."""
        try:
            found = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise LookupFailedError(f"no JSON in the answer: {str(error)[:100]}") from error
        for name in self._fields:
            found = found.get(name) if isinstance(found, dict) else None
        if found is None:
            return ""
        if isinstance(found, bool) or not isinstance(found, str | int):
            raise LookupFailedError(f"field {self._settings.field} is no number")
        return str(found)


async def _read_to_the_end(reader: asyncio.StreamReader) -> bytes:
    """Read until the server closes the connection; raises ValueError where it sends too much."""
    parts, size = [], 0
    while part := await reader.read(BODY_BYTES_MAX):
        parts.append(part)
        size += len(part)
        if size > BODY_BYTES_MAX:
            raise ValueError(f"a body of more than {BODY_BYTES_MAX} bytes")
    return b"".join(parts)


class _Received:
    """Bytes in the place of the socket that the standard library reads an answer from."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> BytesIO:
        return BytesIO(self._data)


def _read(raw: bytes) -> tuple[int, bytes]:
    """Return status and body; raises HTTPException and ValueError."""
    response = http.client.HTTPResponse(cast("ssl.SSLSocket", _Received(raw)), method="GET")
    response.begin()
    return response.status, response.read()
