"""A name server of a test's own on loopback: UDP and TCP, records as zone files have them, and moods."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from threading import Thread
from typing import Final

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
from dns.rdatatype import RdataType

from doubles.sockets.loopback import HOST
from vosd.sip.locate import DnsQuestion, RecordType

_NEGATIVE_TTL_S: Final = 120
_SOA: Final = f"ns.example. admin.example. 1 3600 600 86400 {_NEGATIVE_TTL_S}"
_MESSAGE_BYTES_MAX: Final = 65_535


class Mood(Enum):
    """How a name server treats those who ask."""

    HELPFUL = "helpful"
    SILENT = "silent"
    FAILING = "failing"
    """Answers SERVFAIL."""
    OLD = "old"
    """Takes queries with EDNS for broken ones."""
    CURT = "curt"
    """Cuts every answer off on UDP."""
    ABRUPT = "abrupt"
    """Does so, and hangs up in the middle of it on TCP."""


class NameServer:
    """Serves ``zone``, one record a line: name, TTL, type, data. An async context manager."""

    def __init__(self, zone: str = "", host: str = HOST) -> None:
        self.mood = Mood.HELPFUL
        self.failing: set[RecordType] = set()
        """Kinds of records that it answers SERVFAIL to, whatever its mood."""
        self.lame: set[str] = set()
        """Names for which it answers SERVFAIL, whatever its mood."""
        self.asked: list[DnsQuestion] = []
        """By datagram, in order."""
        self.asked_by_stream: list[DnsQuestion] = []
        self.forge: Callable[[bytes], bytes] | None = None
        """Makes the whole response from the query, where a test wants one that no server would give."""
        self._heard = asyncio.Event()
        self._host = host
        self._records: dict[tuple[dns.name.Name, RdataType], dns.rrset.RRset] = {}
        self._stream: asyncio.Server | None = None
        self._datagrams: asyncio.DatagramTransport | None = None
        self.address = (host, 0)
        for line in zone.strip().splitlines():
            self.put(line)

    def put(self, line: str) -> None:
        """Add a record."""
        name, ttl, kind, data = line.split(maxsplit=3)
        added = dns.rrset.from_text(dns.name.from_text(name), int(ttl), "IN", kind, data)
        self._records.setdefault((added.name, added.rdtype), added).add(added[0])

    def remove(self, name: str) -> None:
        """Remove all records of a name."""
        gone = dns.name.from_text(name)
        self._records = {key: rrset for key, rrset in self._records.items() if key[0] != gone}

    async def until_asked(self, times: int) -> None:
        """Wait until so many questions have come by UDP."""
        while len(self.asked) < times:
            self._heard.clear()
            await self._heard.wait()

    async def __aenter__(self) -> "NameServer":
        while self._stream is None:
            await self._open()
        return self

    async def _open(self) -> None:
        """Take a port that is free on UDP; release it if it is taken on TCP."""
        loop = asyncio.get_running_loop()
        datagrams, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), (self._host, 0))
        address = self._host, datagrams.get_extra_info("sockname")[1]
        try:
            self._stream = await asyncio.start_server(self._serve_stream, *address)
        except OSError:
            datagrams.close()
        else:
            self._datagrams, self.address = datagrams, address

    async def __aexit__(self, *_: object) -> None:
        if self._datagrams is not None:
            self._datagrams.close()
        if self._stream is not None:
            self._stream.close()

    def serve_datagram(self, query: bytes, asker: tuple[str, int]) -> None:
        """Answer a query that came by UDP."""
        response = self.answer(query, self.asked)
        if response is not None and self._datagrams is not None:
            self._datagrams.sendto(response, asker)

    def answer(self, wire: bytes, log: list[DnsQuestion]) -> bytes | None:
        """Return the response to a query, None where there is none."""
        query = dns.message.from_wire(wire)
        asked = query.question[0]
        log.append(DnsQuestion(RecordType(asked.rdtype.name), asked.name.to_text(omit_final_dot=True)))
        self._heard.set()
        if self.mood is Mood.SILENT:
            return None
        if self.forge is not None:
            return self.forge(wire)
        response = dns.message.make_response(query)
        if self.mood is Mood.FAILING or log[-1].kind in self.failing or log[-1].name in self.lame:
            response.set_rcode(dns.rcode.SERVFAIL)
            return response.to_wire()
        if self.mood is Mood.OLD and query.edns >= 0:
            response = dns.message.make_response(query.__class__(query.id))
            response.set_rcode(dns.rcode.FORMERR)
            return response.to_wire()
        if self.mood in {Mood.CURT, Mood.ABRUPT} and log is self.asked:
            response.flags |= dns.flags.TC
            return response.to_wire()
        self._fill(response, asked)
        return response.to_wire(max_size=_MESSAGE_BYTES_MAX)

    def _fill(self, response: dns.message.Message, asked: dns.rrset.RRset) -> None:
        name = asked.name
        while (alias := self._records.get((name, RdataType.CNAME))) and alias not in response.answer:
            response.answer.append(alias)
            name = alias[0].target
        found = self._records.get((name, asked.rdtype))
        if found is not None:
            response.answer.append(found)
            return
        response.authority.append(dns.rrset.from_text(dns.name.root, 3600, "IN", "SOA", _SOA))
        if not any(known == name for known, _ in self._records):
            response.set_rcode(dns.rcode.NXDOMAIN)

    async def _serve_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            size = int.from_bytes(await reader.readexactly(2))
            response = self.answer(await reader.readexactly(size), self.asked_by_stream)
            if response is not None:
                sent = response[:20] if self.mood is Mood.ABRUPT else response
                writer.write(len(response).to_bytes(2) + sent)
        writer.close()


@contextmanager
def in_background(server: NameServer) -> Iterator[NameServer]:
    """Let a server serve from a thread of its own, for tests that block."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="name server")
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
        yield server
        asyncio.run_coroutine_threadsafe(server.__aexit__(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _Datagrams(asyncio.DatagramProtocol):
    """The UDP side of a name server."""

    def __init__(self, server: NameServer) -> None:
        self._server = server

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer a query."""
        self._server.serve_datagram(data, addr)
