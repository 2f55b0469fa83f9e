"""HTTP of the metrics: a request a connection, within limits of time, size and number; GET alone (by h11).

It does not know what the pages say.
"""

import asyncio
import gzip
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, NamedTuple

import h11

from vosd.base.networks import address_of
from vosd.metrics.slots import REFUSED_MAX, Slot, Slots

REQUEST_BYTES_MAX: Final = 8_192
REQUEST_S: Final = 5.0
"""Time for a client to send its request."""
REFUSAL_S: Final = 1.0
"""Time limit for a client that is not allowed."""
CONNECTION_S: Final = 30.0
"""Time for all of it, the response included."""
CHUNK_BYTES: Final = 65_536
COMPRESSED_FROM: Final = 2_048
"""Shorter pages are not compressed."""

PLAIN: Final = "text/plain; charset=utf-8"

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


class MetricsPage(NamedTuple):
    """A response."""

    status: HTTPStatus
    content: bytes
    content_type: str = PLAIN
    headers: tuple[tuple[str, str], ...] = ()


Answering = Callable[[str], Awaitable[MetricsPage]]
"""Makes a page; it is given the Accept header of the request."""


class MetricsServer:
    """Answers on the sockets that it is given."""

    def __init__(self, pages: Mapping[str, Answering], allow: Sequence[Network]) -> None:
        """``pages`` by path; sources outside ``allow`` get 403."""
        self._pages = pages
        self._allow = allow
        self.slots: Final = Slots()
        """Connections of allowed sources."""
        self.refused = 0
        """Number of open connections of other sources."""

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection; whatever the client does, it is closed in the end.

        Sources that are not allowed take no slots of those that are, and further ones of them are closed at once.
        """
        peer = writer.get_extra_info("peername")
        address = None if peer is None else address_of(peer[0])  # None: it is closed already
        is_allowed = address is not None and any(address in network for network in self._allow)
        slot = None
        if is_allowed:
            now_s = asyncio.get_running_loop().time()
            slot = self.slots.take(str(address), writer.transport.abort, now_s, REQUEST_S)
        if address is None or (slot is None if is_allowed else self.refused >= REFUSED_MAX):
            writer.transport.abort()
            return
        self.refused += slot is None
        try:
            async with asyncio.timeout(CONNECTION_S):
                await self._converse(reader, writer, address, slot)
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError, h11.LocalProtocolError):
            pass  # the client has gone, is too slow, or was answered while it still sent: nothing is owed to it
        finally:
            writer.transport.abort()
            if slot is not None:
                self.slots.leave(slot)
            self.refused -= slot is None

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: Address, slot: Slot | None
    ) -> None:
        """Answer one request; without a ``slot`` the source is not allowed."""
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=REQUEST_BYTES_MAX)
        accepts_gzip = False
        try:
            async with asyncio.timeout(REQUEST_S if slot is not None else REFUSAL_S):
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
            if slot is not None:
                slot.has_asked = True
                page = await self._page(request, headers.get(b"accept", ""))
            else:
                page = _page(HTTPStatus.FORBIDDEN, f"{address} is not in metrics.allow")
        await _send(connection, writer, page, accepts_gzip=accepts_gzip)

    async def _page(self, request: h11.Request, accept: str) -> MetricsPage:
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


async def _send(
    connection: h11.Connection, writer: asyncio.StreamWriter, page: MetricsPage, *, accepts_gzip: bool
) -> None:
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


def _page(status: HTTPStatus, more: str = "") -> MetricsPage:
    return MetricsPage(status, f"{status.value} {status.phrase}{more and ': '}{more}\n".encode())
