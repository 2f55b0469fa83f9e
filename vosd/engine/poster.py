"""POST to one HTTP server, over a connection that is kept open, with limits on time and on what is read.

For reports that no call waits for. Knows nothing of retries.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from functools import partial
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from vosd.base.host import is_address
from vosd.engine.daemon_threads import DaemonThreads
from vosd.sip.wire.compose import host_text

TIMEOUT_S: Final = 5.0
"""Time limit of one report, including its connection."""
HEAD_BYTES_MAX: Final = 16_384
"""Most bytes of the head of an answer; a longer one is a failure."""
BODY_BYTES_MAX: Final = 65_536
"""Most bytes of the body of an answer on a connection that is used again."""
_NOT_NOW: Final = frozenset({408, 425, 429})
"""Statuses that are retried, in addition to all 5xx."""
_NAMES: Final = DaemonThreads(2, "names of reports")
"""Resolves hosts. A silent DNS server holds a thread for long, and the loop's own ones write the journal."""

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class UndeliveredError(Exception):
    """The server cannot be reached, or is not well; the message says why. The report may be sent again."""


class Target(NamedTuple):
    """Where reports go."""

    is_secure: bool
    host: str
    """Without brackets."""
    port: int
    path: str

    @classmethod
    def of_url(cls, text: str) -> "Target":
        """Take an http or https URL apart."""
        url = urlsplit(text)
        is_secure = url.scheme == "https"
        path = f"{url.path or '/'}{'?' + url.query if url.query else ''}"
        return cls(is_secure, url.hostname or "", url.port or (443 if is_secure else 80), path)


class Poster:
    """Sends reports to one server, one after the other."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._connection: Connection | None = None
        """Kept open from an earlier report."""
        self._tls: ssl.SSLContext | None = None

    async def post(self, body: bytes, headers: Mapping[str, str]) -> int:
        """Send a JSON document and return the status of the answer, below 500.

        Raises:
            UndeliveredError: there was no answer in time, or one that asks to try again.
        """
        try:
            async with asyncio.timeout(TIMEOUT_S):
                status = await self._post(body, headers)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:  # TimeoutError is an OSError
            self.hang_up()
            raise UndeliveredError(str(error) or type(error).__name__) from error
        if status >= 500 or status in _NOT_NOW:
            self.hang_up()
            raise UndeliveredError(f"status {status}")
        return status

    def hang_up(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection[1].close()
            self._connection = None

    # -- inside -------------------------------------------------------------------------------------------------

    async def _post(self, body: bytes, headers: Mapping[str, str]) -> int:
        """Send one request; a connection closed meanwhile is opened again."""
        if self._connection is not None and self._connection[1].is_closing():
            self._connection = None  # the other side has reset it
        if self._connection is not None:
            try:
                return await self._ask(self._connection, body, headers)
            except (ConnectionError, EOFError):
                self.hang_up()
        self._connection = await self._connect()
        return await self._ask(self._connection, body, headers)

    async def _connect(self) -> Connection:
        target = self._target
        if target.is_secure and self._tls is None:
            self._tls = await asyncio.get_running_loop().run_in_executor(_NAMES, ssl.create_default_context)
        hosts = [target.host]
        if not is_address(target.host):
            resolve = partial(socket.getaddrinfo, target.host, target.port, type=socket.SOCK_STREAM)
            found = await asyncio.get_running_loop().run_in_executor(_NAMES, resolve)
            hosts = list(dict.fromkeys(str(each[4][0]) for each in found))
        for host in hosts[:-1]:
            try:
                return await self._open(host)
            except OSError:
                continue  # the next address may accept it
        return await self._open(hosts[-1])

    async def _open(self, host: str) -> Connection:
        target = self._target
        name = target.host if target.is_secure else None
        return await asyncio.open_connection(
            host, target.port, ssl=self._tls, server_hostname=name, limit=HEAD_BYTES_MAX
        )

    async def _ask(self, connection: Connection, body: bytes, headers: Mapping[str, str]) -> int:
        reader, writer = connection
        target = self._target
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = (
            f"POST {target.path} HTTP/1.1\r\nHost: {host_text(target.host)}:{target.port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{more}\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()
        status, answered = _head(await reader.readuntil(b"\r\n\r\n"))
        while 100 <= status < 200:  # it says that the answer will come (RFC 9110 section 15.2)
            status, answered = _head(await reader.readuntil(b"\r\n\r\n"))
        length = answered.get("content-length", "")
        is_last = answered.get("connection", "").lower() == "close"
        if status == 204 and not is_last:
            return status  # it has no body, and need not say so (RFC 9110 section 8.6)
        if is_last or not length.isdecimal() or int(length) > BODY_BYTES_MAX:
            self.hang_up()  # its body is not read to the end
        else:
            await reader.readexactly(int(length))
        return status


def _head(data: bytes) -> tuple[int, dict[str, str]]:
    """Return status and headers, names in lower case, of an answer.

    Raises:
        ValueError: it is not HTTP.
    """
    first, *lines = data.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    if not version.startswith("HTTP/1.") or not rest[:3].isdecimal():
        raise ValueError(f"no HTTP: {first[:80]!r}")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return int(rest[:3]), headers
