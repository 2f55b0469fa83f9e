"""HTTP of the metrics: a request a connection, within limits of time, size and number; GET alone (by h11).

Refuses to know what the pages say.
"""

import asyncio
import gzip
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final, NamedTuple

import h11

CONNECTIONS_MAX: Final = 32
"""A further connection is closed at once."""
REQUEST_BYTES_MAX: Final = 8_192
REQUEST_S: Final = 5.0
"""Time for a client to send its request."""
CONNECTION_S: Final = 30.0
"""Time for all of it, the response included."""
CHUNK_BYTES: Final = 65_536
COMPRESSED_FROM: Final = 2_048
"""Shorter pages are not compressed."""

PLAIN: Final = "text/plain; charset=utf-8"

Network = IPv4Network | IPv6Network


class Page(NamedTuple):
    """A response."""

    status: HTTPStatus
    content: bytes
    content_type: str = PLAIN
    headers: tuple[tuple[str, str], ...] = ()


Answering = Callable[[str], Awaitable[Page]]
"""Makes a page; it is given the Accept header of the request."""


class Server:
    """Answers on the sockets that it is given."""

    def __init__(self, pages: Mapping[str, Answering], allow: Sequence[Network]) -> None:
        """``pages`` by path; sources outside ``allow`` get 403."""
        self._pages = pages
        self._allow = allow
        self.connections = 0
        """How many are open."""

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection; whatever the client does, it is closed in the end."""
        if self.connections >= CONNECTIONS_MAX:
            writer.transport.abort()
            return
        self.connections += 1
        try:
            async with asyncio.timeout(CONNECTION_S):
                await self._converse(reader, writer)
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError, h11.LocalProtocolError):
            pass  # the client has gone, is too slow, or was answered while it still sent: nothing is owed to it
        finally:
            writer.transport.abort()
            self.connections -= 1

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=REQUEST_BYTES_MAX)
        accepts_gzip = False
        try:
            async with asyncio.timeout(REQUEST_S):
                request = await _request(connection, reader)
        except h11.RemoteProtocolError as error:
            page = _page(HTTPStatus(error.error_status_hint))
        except TimeoutError:
            page = _page(HTTPStatus.REQUEST_TIMEOUT)
        else:
            if request is None:
                return
            headers = {name: value.decode("latin-1") for name, value in request.headers}
            accepts_gzip = "gzip" in headers.get(b"accept-encoding", "")
            source = writer.get_extra_info("peername")[0]
            page = await self._page(request, headers.get(b"accept", ""), source)
        await _send(connection, writer, page, accepts_gzip=accepts_gzip)

    async def _page(self, request: h11.Request, accept: str, source: str) -> Page:
        address = ip_address(source.partition("%")[0])
        if not any(address in network for network in self._allow):
            return _page(HTTPStatus.FORBIDDEN, f"{address} is not in metrics.allow")
        path = request.target.partition(b"?")[0].decode("latin-1")
        answering = self._pages.get(path)
        if answering is None:
            return _page(HTTPStatus.NOT_FOUND, f"there are {', '.join(self._pages)}")
        if request.method != b"GET":
            page = _page(HTTPStatus.METHOD_NOT_ALLOWED)._replace(headers=(("Allow", "GET"),))
            return page._replace(content=b"") if request.method == b"HEAD" else page
        return await answering(accept)


async def _request(connection: h11.Connection, reader: asyncio.StreamReader) -> h11.Request | None:
    """Return the head of the request; None = the client has closed. A body is not read.

    Raises:
        h11.RemoteProtocolError: it is no request, or too large.
    """
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            return event
        if event is not h11.NEED_DATA:
            return None
        connection.receive_data(await reader.read(REQUEST_BYTES_MAX))


async def _send(connection: h11.Connection, writer: asyncio.StreamWriter, page: Page, *, accepts_gzip: bool) -> None:
    content, more = page.content, page.headers
    if accepts_gzip and len(content) >= COMPRESSED_FROM:
        content, more = gzip.compress(content, compresslevel=1, mtime=0), (*more, ("Content-Encoding", "gzip"))
    head = h11.Response(
        status_code=page.status,
        reason=page.status.phrase,
        headers=[
            ("Content-Type", page.content_type),
            ("Content-Length", str(len(content))),
            ("Cache-Control", "no-store"),
            ("Connection", "close"),
            *more,
        ],
    )
    writer.write(connection.send(head))
    for start in range(0, len(content), CHUNK_BYTES):
        writer.write(connection.send(h11.Data(data=content[start : start + CHUNK_BYTES])))
        await writer.drain()
    writer.write(connection.send(h11.EndOfMessage()))
    await writer.drain()


def _page(status: HTTPStatus, more: str = "") -> Page:
    return Page(status, f"{status.value} {status.phrase}{more and ': '}{more}\n".encode())
