"""Locate the servers of a domain from DNS records that the caller fetches (RFC 3263, RFC 2782).

Owns which question comes next, how the answers combine, and the order of attempts of one call. Does not query, cache or
draw random numbers itself.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from itertools import groupby
from typing import Final, NamedTuple

from vosd.base.errors import VosError
from vosd.base.host import domain
from vosd.sip.flows import Hop
from vosd.sip.wire.uri import DEFAULT_PORTS

SERVICES_MAX: Final = 4
"""Most NAPTR records used, by preference."""
SERVERS_MAX: Final = 10
"""Most SRV records used, by priority: no call tries more."""
ADDRESSES_MAX: Final = 8
"""Most addresses used of one server and address family."""

Draw = Callable[[int], int]
"""Return a random whole number from 0 to below the argument, evenly distributed."""


class RecordType(Enum):
    """Types of records that lead to a SIP server."""

    NAPTR = "NAPTR"
    SRV = "SRV"
    A = "A"
    AAAA = "AAAA"


class DnsQuestion(NamedTuple):
    """A question to a name server."""

    kind: RecordType
    name: str


class Naptr(NamedTuple):
    """A service of a domain and the name under which it is found (RFC 3403)."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


class Srv(NamedTuple):
    """A server of one service (RFC 2782); target "." = the service is not offered."""

    priority: int
    weight: int
    port: int
    target: str


Record = Naptr | Srv | str
"""An address record is its address as text."""


class DnsAnswer(NamedTuple):
    """Records of an answer, perhaps none, and its time to live in seconds."""

    records: tuple[Record, ...]
    ttl_s: int


class NoAnswerError(VosError):
    """No name server gave a usable answer; the message lists each failure."""


Known = Mapping[DnsQuestion, DnsAnswer | None]
"""Answers so far; None where a question failed."""


class UsableTransports(NamedTuple):
    """Transports of the switch, each with the address families that it has sockets of, preferred first."""

    families: Mapping[str, tuple[RecordType, ...]]
    """``RecordType.A`` and ``RecordType.AAAA`` by transport."""

    def families_of(self, transport: str | None) -> tuple[RecordType, ...]:
        """Return the families that a transport reaches, None = any transport."""
        chosen = self.families.values() if transport is None else (self.families.get(transport, ()),)
        return tuple(dict.fromkeys(family for families in chosen for family in families))


class SipServer(NamedTuple):
    """One server of a domain, with the addresses of each family in order of preference."""

    priority: int
    weight: int
    families: tuple[tuple[Hop, ...], ...]


class Survey(NamedTuple):
    """Result of the answers so far."""

    servers: tuple[SipServer, ...] = ()
    """Sorted by priority, then weight, the heaviest last; empty while an answer is missing."""
    missing: tuple[DnsQuestion, ...] = ()
    """Questions to ask before the result is complete."""
    ttl_s: int | None = None
    """Time to live of the result in seconds; None if no answer was used."""


_SERVICES: Final = {"udp": "_sip._udp", "tcp": "_sip._tcp", "tls": "_sips._tcp"}
_TRANSPORTS: Final = {"sip+d2u": "udp", "sip+d2t": "tcp", "sips+d2t": "tls"}
_SIP_SERVICES: Final = ("sip+d2", "sips+d2")


def survey(sought: Hop, means: UsableTransports, known: Known) -> Survey:
    """Return the servers of ``sought.host``, a domain, or the next questions (RFC 3263 section 4)."""
    return _Survey(sought, means, known).result()


class _Services(NamedTuple):
    """Services of a domain, preferred first."""

    srv_names: tuple[tuple[str, str], ...]
    """Transport, and the name of its SRV records."""
    settled: str | None
    """Transport of a domain without SRV records, if known."""


class _Survey:
    """One pass over the answers; it stops at the first one that is missing."""

    def __init__(self, sought: Hop, means: UsableTransports, known: Known) -> None:
        self._sought = sought
        self._means = means
        self._known = known
        self._missing: list[DnsQuestion] = []
        self._ttls: list[int] = []

    def result(self) -> Survey:
        servers = self._servers()
        if self._missing:
            servers = ()
        return Survey(servers, tuple(self._missing), min(self._ttls, default=None))

    def _servers(self) -> tuple[SipServer, ...]:
        host, port, transport = self._sought
        if transport is not None and transport not in self._means.families:
            return ()
        if port is not None:
            return self._server(host, port, transport)
        services = self._services()
        published = False
        for srv_transport, name in services.srv_names:
            records = [each for each in self._ask(DnsQuestion(RecordType.SRV, name)) if isinstance(each, Srv)]
            published = published or bool(records)
            servers = self._servers_of(records, srv_transport)
            if servers or self._missing:
                return servers
        if published or self._missing or not services.srv_names:
            return ()
        # Without SRV records the name itself is the one server (section 4.2).
        return self._server(host, DEFAULT_PORTS[services.settled or "udp"], services.settled)

    def _services(self) -> _Services:
        """Choose the transport (section 4.1): the one asked for, by NAPTR, or each that has SRV records."""
        host, _, transport = self._sought
        if transport is not None:
            return _Services(((transport, f"{_SERVICES[transport]}.{host}"),), transport)
        records = [each for each in self._ask(DnsQuestion(RecordType.NAPTR, host)) if isinstance(each, Naptr)]
        if self._missing:
            return _Services((), None)
        published = self._published(records)
        if published:
            return _Services(published, published[0][0])
        if any(each.service.lower().startswith(_SIP_SERVICES) for each in records):
            return _Services((), None)  # the domain names its transports, and none is ours
        return _Services(tuple((each, f"{_SERVICES[each]}.{host}") for each in self._means.families), None)

    def _published(self, records: Sequence[Naptr]) -> tuple[tuple[str, str], ...]:
        """Return transport and SRV name of the NAPTR records that we support, by preference.

        A higher order is ignored once a lower one matches; preferences are alternatives (RFC 3403 section 4.1).
        """
        fitting = [
            (each.order, each.preference, transport, name)
            for each in records
            if (transport := _TRANSPORTS.get(each.service.lower(), "")) in self._means.families
            and each.flags.lower() == "s"
            and (name := domain(each.replacement))
        ]
        fitting.sort(key=lambda each: each[:2])
        lowest = [(transport, name) for order, _, transport, name in fitting if order == fitting[0][0]]
        return tuple(lowest[:SERVICES_MAX])

    def _servers_of(self, records: Sequence[Srv], transport: str) -> tuple[SipServer, ...]:
        usable = [each for each in records if each.port and domain(each.target)]
        usable.sort(key=lambda each: (each.priority, -each.weight))
        servers = [
            server._replace(priority=each.priority, weight=each.weight)
            for each in sorted(usable[:SERVERS_MAX])
            for server in self._server(domain(each.target) or "", each.port, transport)
        ]
        return tuple(servers)

    def _server(self, host: str, port: int, transport: str | None) -> tuple[SipServer, ...]:
        """Return the server of that name, or nothing if it has no address that a socket for the transport reaches."""
        families = []
        for kind in self._means.families_of(transport):
            addresses = [each for each in self._ask(DnsQuestion(kind, host)) if isinstance(each, str)]
            if addresses:
                families.append(tuple(Hop(each, port, transport) for each in addresses[:ADDRESSES_MAX]))
        return (SipServer(0, 0, tuple(families)),) if families else ()

    def _ask(self, question: DnsQuestion) -> tuple[Record, ...]:
        """Return the known records, and note a missing answer."""
        if question not in self._known:
            self._missing.append(question)
            return ()
        answer = self._known[question]
        if answer is None:
            return ()
        self._ttls.append(answer.ttl_s)
        return answer.records


def in_order(servers: Sequence[SipServer], draw: Draw) -> list[Hop]:
    """Return all addresses in the order in which one call tries them (RFC 2782, "Weight").

    Lower priority values come first; among equal ones each next server is drawn by weight, where weight 0 leaves a
    small chance. The addresses of one server and family share its calls.
    """
    hops: list[Hop] = []
    for _, group in groupby(servers, key=lambda server: server.priority):
        waiting = list(group)
        while waiting:
            server = waiting.pop(_drawn(waiting, draw) if len(waiting) > 1 else 0)
            for family in server.families:
                first = draw(len(family)) if len(family) > 1 else 0
                hops += family[first:] + family[:first]
    return hops


def _drawn(servers: Sequence[SipServer], draw: Draw) -> int:
    """Return the index of the server whose share of the running sum contains a drawn number."""
    number = draw(sum(server.weight for server in servers) + 1)
    for place, server in enumerate(servers[:-1]):  # ascending: weight 0 first, as RFC 2782 wants
        number -= server.weight
        if number <= 0:
            return place
    return len(servers) - 1
