"""Ask name servers without blocking the event loop: over UDP, and over TCP after a truncated response.

Owns the order of servers, retries and time-outs. Does not cache (see ``engine.peers.directory``) and does not interpret
records (see ``sip.locate``).
"""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import closing
from typing import Final

import dns.message
import dns.resolver
from dns.exception import DNSException

from vosd.net.dns_answer import (
    MESSAGE_BYTES_MAX,
    UnusableAnswerError,
    answers,
    is_truncated,
    knows_no_edns,
    read_answer,
)
from vosd.sip.locate import DnsAnswer, DnsQuestion, NoAnswerError

DNS_PORT: Final = 53
_DATAGRAM_BYTES: Final = 1_232
"""Largest response asked for over UDP: no path fragments it (DNS flag day 2020)."""

NameServer = tuple[str, int]
"""IP address as text, and port."""


def system_name_servers() -> list[NameServer]:
    """Return the servers of /etc/resolv.conf as it is now; 127.0.0.1 where it names none."""
    try:
        configured = dns.resolver.Resolver().nameservers
    except dns.resolver.NoResolverConfiguration:
        configured = []
    return [(str(each), DNS_PORT) for each in configured] or [("127.0.0.1", DNS_PORT)]


class NameServerResolver:
    """Asks one server after another, ``attempts`` times around, each for ``timeout_ms``.

    The server that answered last is asked first. Without ``servers``, /etc/resolv.conf is read at each question: a
    machine may change its network.
    """

    def __init__(self, servers: Sequence[NameServer], timeout_ms: int, attempts: int) -> None:
        self._servers = tuple(servers)
        self._timeout_s = timeout_ms / 1000
        self._attempts = attempts
        self._answered_last: NameServer | None = None

    async def ask(self, question: DnsQuestion) -> DnsAnswer:
        """Return the records, perhaps none; raises NoAnswerError where no server gave a usable response."""
        failures: dict[NameServer, str] = {}
        for server in self._in_turn():
            try:
                async with asyncio.timeout(self._timeout_s):
                    answer = await _exchange(server, question)
            except TimeoutError:
                failures[server] = f"silent for {self._timeout_s:g} s"
            except (OSError, DNSException, UnusableAnswerError) as error:
                failures[server] = str(error)
            else:
                self._answered_last = server
                return answer
        summary = "; ".join(f"{host} port {port}: {failure}" for (host, port), failure in failures.items())
        raise NoAnswerError(f"{question.kind.value} {question.name}: {summary}")

    def _in_turn(self) -> list[NameServer]:
        servers = self._servers or system_name_servers()
        return sorted(servers, key=lambda server: server != self._answered_last) * self._attempts


async def _exchange(server: NameServer, question: DnsQuestion) -> DnsAnswer:
    query = dns.message.make_query(question.name, question.kind.value, use_edns=0, payload=_DATAGRAM_BYTES).to_wire()
    wire = await _ask_by_datagram(server, query)
    if knows_no_edns(wire):
        query = dns.message.make_query(question.name, question.kind.value).to_wire()
        wire = await _ask_by_datagram(server, query)
    if is_truncated(wire):
        wire = await _ask_by_stream(server, query)
    return read_answer(wire, question)


async def _ask_by_datagram(server: NameServer, query: bytes) -> bytes:
    """Return the first datagram that can be the response; others may be forged.

    A socket of its own gives each query a random source port (against forged responses, RFC 5452 section 9.2);
    connected, it receives from that server only, and that its port is closed (ICMP).
    """
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    loop = asyncio.get_running_loop()
    # No datagram endpoint: uvloop keeps its socket for ever if the lookup is given up while it is being opened.
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as sock:
        host, port = server
        # Of a pair Python takes no zone (fe80::1%eth0), as resolv.conf has it.
        ((*_, address),) = socket.getaddrinfo(host, port, family, socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
        sock.connect(address)
        await loop.sock_sendall(sock, query)
        while not answers(response := await loop.sock_recv(sock, MESSAGE_BYTES_MAX + 1), query):
            pass
        return response


async def _ask_by_stream(server: NameServer, query: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*server)
    with closing(writer):
        writer.write(len(query).to_bytes(2) + query)
        try:
            size = int.from_bytes(await reader.readexactly(2))
            if size > MESSAGE_BYTES_MAX:
                raise UnusableAnswerError(f"more than {MESSAGE_BYTES_MAX} bytes")
            wire = await reader.readexactly(size)
        except asyncio.IncompleteReadError as error:
            raise UnusableAnswerError("cut off") from error
    if not answers(wire, query):
        raise UnusableAnswerError("the answer to another question")
    return wire
