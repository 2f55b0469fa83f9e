"""Our sockets as SIP describes them: addresses in Via and Contact, and the choice of a socket (RFC 3261 18, 19).

A flow is the index of a socket among the listeners. Owns no socket.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from vosd.base.host import UNSPECIFIED, Realm, bracketed, is_no_host, is_valid_address, plain_host, realm_of
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.grammar import HOST, QUOTED
from vosd.sip.wire.outgoing import Peer
from vosd.sip.wire.uri import DEFAULT_PORTS, WEBSOCKETS, Uri

MAGIC: Final = "z9hG4bK"
"""Prefix of every branch of an RFC 3261 element (section 8.1.1.7)."""
LARGEST_DATAGRAM: Final = 1_300
"""A request of more bytes is sent over TCP instead of UDP, unless something forbids it (section 18.1.1)."""
_REMEMBERED: Final = 1_024
_MADDR: Final = re.compile(rf"(?:{HOST}|[0-9A-Fa-f:.]+)\Z", re.ASCII)
"""A host, also an IPv6 address without brackets: a zone may hold any bytes, and means nothing to another machine."""
_DISPLAY_NAME: Final = re.compile(rf"\s*{QUOTED}")
_is_address: Final = lru_cache(maxsize=1024)(is_valid_address)


class Listener(NamedTuple):
    """A socket of ours as it is announced to peers."""

    host: str
    port: int
    transport: str = "udp"
    """In lower case."""
    name: str = ""
    """As the operator wrote it: ``transport:host:port``."""
    asks_for_reuse: bool = False
    """Whether its Via has ``alias``: peers may use our connections for requests to us (RFC 5923)."""
    bound: str = ""
    """IP address that it is bound to; empty = ``host``."""

    @property
    def sent_by(self) -> str:
        """``host:port`` for Via and Contact."""
        return f"{bracketed(self.host)}:{self.port}"

    @property
    def address(self) -> str:
        """The part after ``sip:`` of a URI for this socket."""
        return self.sent_by if self.transport == "udp" else f"{self.sent_by};transport={self.uri_transport}"

    @property
    def uri_transport(self) -> str:
        """The transport as URIs name it: ``ws`` stands for WebSocket with TLS, too (RFC 7118 section 5.5)."""
        return "ws" if self.transport == "wss" else self.transport

    def address_as(self, host: str) -> str:
        """Return ``address`` with another host, which may have a port."""
        has_port = ":" in host.rpartition("]")[2]
        place = host if has_port else f"{host}:{self.port}"
        return place if self.transport == "udp" else f"{place};transport={self.uri_transport}"


class Hop(NamedTuple):
    """Next hop of a URI: host (address or name, in canonical form), port and transport as far as it gives them."""

    host: str
    port: int | None
    transport: str | None


IsHere = Callable[[str], bool]
"""Return whether this machine has an IP address."""


def is_on_loopback(host: str) -> bool:
    """Return whether an IP address is one that every machine has (``IsHere``)."""
    return realm_of(host) is Realm.MACHINE


class Locator(Protocol):
    """Finds an address for a name, from its cache only."""

    def __call__(self, hop: Hop, seen_at: Peer | None, /) -> Hop | None:
        """Return the address, port and transport to use; None if the name is not resolved (yet).

        ``seen_at`` is the peer that uses the name, where it was seen; None if it was not.
        """


def resolve_no_name(_hop: Hop, _seen_at: Peer | None) -> Hop | None:
    """``Locator`` that resolves no names."""
    return None


class Flows:
    """The listeners, and the choice of one for each destination."""

    def __init__(
        self,
        listeners: Sequence[Listener],
        token: Callable[[], str],
        locate: Locator = resolve_no_name,
        is_here: IsHere = is_on_loopback,
    ) -> None:
        self.listeners = tuple(listeners)
        self._token = token
        self._locate = locate
        self.is_here = is_here
        self.mark = f"{MAGIC}{token()}"
        """Prefix of every branch of ours; random, so that no other element uses it."""
        self.refusal_tag = token()
        """Our To tag in stateless refusals (RFC 3261 section 8.2.7), by which their ACK is recognised.

        No other tag of ours can be guessed from it.
        """
        self.sent_by = frozenset(each.sent_by for each in listeners)
        self.reliable = tuple(each.transport != "udp" for each in listeners)
        self._is_web = tuple(each.transport in WEBSOCKETS for each in listeners)
        self.contacts = tuple(f"Contact: <sip:{each.address}>\r\n" for each in listeners)
        """Whole Contact lines, one for each flow."""
        self.vias = self._begun_vias()
        """Via values up to the token that ends the branch, one for each flow."""
        self._names = tuple(each.name or f"{each.transport}:{each.sent_by}" for each in listeners)
        self._hops: dict[tuple[str, Peer], Peer] = {}
        """Cache of the next hops of Contacts: the peers of a trunk send the same ones in every call."""
        self._first: dict[tuple[str | None, bool, Realm], int] = {}
        """First choice by transport (None = any), family, and the realm of the peer's address."""
        for realm in Realm:
            for flow, each in sorted(enumerate(listeners), key=lambda pair: _distance(pair[1], realm)):
                any_of = () if each.transport in WEBSOCKETS else (None,)  # nothing can be sent there but answers
                for transport in (each.transport, *any_of):
                    self._first.setdefault((transport, ":" in each.host, realm), flow)

    def go_on_as(self, mark: str, refusal_tag: str) -> None:
        """Continue with the branch prefix and the tag of an earlier process, whose transactions are still open."""
        self.mark, self.refusal_tag = mark, refusal_tag
        self.vias = self._begun_vias()

    def _begun_vias(self) -> tuple[str, ...]:
        """Return Via values up to the variable part of the branch, one for each flow."""
        return tuple(
            f"SIP/2.0/{each.transport.upper()} {each.sent_by};rport{';alias' if each.asks_for_reuse else ''}"
            f";branch={self.mark}"
            for each in self.listeners
        )

    def new_via(self, flow: int) -> str:
        """Return a Via value with a new branch, which is its end."""
        return self.vias[flow] + self._token()

    def same_branch(self, via: str, flow: int) -> str:
        """Return the Via value of another flow with the branch of ``via``."""
        return self.vias[flow] + via.rpartition(self.mark)[2]

    def by_udp(self, peer: Peer, seen_at: Peer) -> Peer | None:
        """Return where a peer was seen over UDP whose Contact or route leads to a connection, which it may not take."""
        return seen_at if self.reliable[peer.flow] and not self.reliable[seen_at.flow] else None

    def by_datagrams(self, target: str, peer: Peer) -> Peer | None:
        """Return where a peer over TCP takes datagrams: at its Contact without transport (RFC 3263 section 4.1)."""
        hop, flow = hop_of(target), self.towards(peer.host, "udp")
        if hop is None or hop.transport is not None or hop.host != peer.host or self.reliable[flow]:
            return None
        is_tcp = self.listeners[peer.flow].transport == "tcp"
        return Peer(flow, hop.host, hop.port or DEFAULT_PORTS["udp"]) if is_tcp else None

    def through(self, request: bytes, old: int, flow: int) -> bytes:
        """Return a request with the Via of another flow and the same branch."""
        return request.replace(f"\r\nVia: {self.vias[old]}".encode(), f"\r\nVia: {self.vias[flow]}".encode(), 1)

    def towards(self, host: str, transport: str | None = None, interface: str | None = None) -> int:
        """Return the flow for packets to an address: the configured interface, else the first suitable listener.

        A listener that announces a private address suits a private peer, one that announces a public address a public
        peer; without one, any other except loopback. If no listener of the transport has the family, one of the
        other family is returned, which cannot send there and reports an error: what is to go over TLS must not leave in
        clear, not by the interface of its gateway either. A transport without a listener was refused before
        (``located``).
        """
        if interface is not None:
            for flow, each in enumerate(self.listeners):
                if each.name == interface and (transport != "tls" or each.transport == "tls"):
                    return flow
        family, realm = ":" in host, realm_of(host)
        found = self._first.get((transport or "udp", family, realm))
        if found is None and transport is not None:
            found = self._first.get((transport, not family, realm))
        return self._first.get((None, family, realm), 0) if found is None else found

    def for_large(self, flow: int) -> int | None:
        """Return the TCP flow to use instead of a UDP one, or None."""
        listener = self.listeners[flow]
        if listener.transport != "udp":
            return None
        beside = [index for index, each in enumerate(self.listeners)
                  if each.transport == "tcp" and (":" in each.host) is (":" in listener.host)]  # fmt: skip
        same_host = [index for index in beside if self.listeners[index].host == listener.host]
        return next(iter([*same_host, *beside]), None)

    def next_hop(self, target: str, fallback: Peer) -> Peer:
        """Return where a request for ``target`` (a URI, or a Route value) goes; ``fallback`` is the peer as last seen.

        The fallback is used for an unresolved name, another address family, an invalid URI, a place where the peer
        cannot be (``is_ours``, ``is_beside_us``), and TLS without a socket for it where the peer was seen at that host.
        It is also used for a peer on a connection whose URI has the same host: the connection is open, and may be the
        only way to reach it. A peer over WebSocket is reached over its connection alone, and no other peer at a URI for
        WebSocket.
        """
        if self._is_web[fallback.flow]:
            return fallback
        known = self._hops.get((target, fallback))
        if known is not None:
            return known
        hop = hop_of(target)
        if hop is not None and (hop.transport in WEBSOCKETS or hop.host.endswith(".invalid")):
            hop = None
        if hop is not None and not _is_address(hop.host):
            hop = self._locate(hop, fallback)  # not cached here: the servers of a name may change
            return fallback if hop is None else self._reach(hop, fallback)
        found = fallback if hop is None else self._reach(hop, fallback)
        if len(self._hops) >= _REMEMBERED:
            self._hops.clear()
        self._hops[target, fallback] = found
        return found

    def is_ours(self, host: str, port: int) -> bool:
        """Return whether an IP address is one of no host, or with this port a socket of ours."""
        if is_no_host(host) or f"{bracketed(host)}:{port}" in self.sent_by:
            return True
        bound = {each.bound for each in self.listeners if each.port == port}
        is_for_all = any((":" in each) is (":" in host) for each in bound & UNSPECIFIED)
        return host in bound or (is_for_all and self.is_here(host))

    def is_beside_us(self, host: str, seen_at: str) -> bool:
        """Return whether an IP address is one of this machine, and not that of a peer seen at the other address.

        A vendor would choose by it which program beside the switch gets our requests.
        """
        return self.is_here(host) and not self.is_here(seen_at)

    def located(self, hop: Hop) -> Hop | None:
        """Return a hop with its name resolved; None if it is not resolved (yet), or no socket has its transport.

        None also if it wants a WebSocket, which we do not open.
        """
        if hop.transport in WEBSOCKETS:
            return None
        found = hop if _is_address(hop.host) else self._locate(hop, None)
        return found if found is not None and self._reaches(found) else None

    def beside(self, target: str, peer: Peer, *, has_started: bool = False) -> Peer | None:
        """Return where to connect to the owner of a URI or Route value when its connection is closed; None if unknown.

        It is the end of that connection itself where we had opened it. ``has_started``: the switch has just started and
        has resolved no names, so a name that is not resolved stands for the host at which the peer was seen.
        """
        if not self.reliable[peer.flow] or self._is_web[peer.flow]:
            return None
        hop = hop_of(target)
        if hop is not None and not _is_address(hop.host):
            hop = self._locate(hop, peer) or (hop._replace(host=peer.host) if has_started else None)
        return self._accepting(hop, peer)

    def elsewhere(self, target: str, peer: Peer) -> Peer | None:
        """Return where the owner of a Contact accepts connections, unless that is the end of this one."""
        other = self.listening(target, peer)
        return None if other == peer else other

    def listening(self, target: str, peer: Peer) -> Peer | None:
        """Return where the owner of a Contact accepts connections, if that is the host it was seen at."""
        return self._accepting(hop_of(target), peer)

    def name_of(self, flow: int) -> str:
        """Return the configured name of a socket, which is stable across restarts."""
        return self._names[flow]

    def named(self, name: str) -> int | None:
        """Return the flow with that name, or None."""
        return self._names.index(name) if name in self._names else None

    def _reaches(self, hop: Hop) -> bool:
        """Return whether a socket of ours has the transport that an address wants, and its family."""
        return hop.transport is None or (hop.transport, ":" in hop.host, realm_of(hop.host)) in self._first

    def _accepting(self, hop: Hop | None, peer: Peer) -> Peer | None:
        if hop is None or hop.host != peer.host or self._is_web[peer.flow]:
            return None
        return Peer(peer.flow, hop.host, hop.port or DEFAULT_PORTS[self.listeners[peer.flow].transport])

    def _reach(self, hop: Hop, fallback: Peer) -> Peer:
        host, port, transport = hop
        if (":" in host) is not (":" in fallback.host):
            return fallback
        if host != fallback.host and (
            self.is_ours(host, port or DEFAULT_PORTS[transport or "udp"]) or self.is_beside_us(host, fallback.host)
        ):
            return fallback
        here = self.listeners[fallback.flow].transport
        wanted = transport or (here if host == fallback.host else "udp")
        # The port of a Contact over TCP is where the peer listens, often behind NAT: keep the connection that works.
        if wanted != "udp" and wanted == here and host == fallback.host:
            return fallback
        # a dialog must end at the peer: where there is no such socket, its requests go over what there is
        is_possible = self._reaches(hop._replace(transport=wanted))
        flow = fallback.flow if wanted == here else self.towards(host, wanted if is_possible else None)
        if wanted == "tls" and self.listeners[flow].transport != "tls":  # its port takes no other transport
            if host == fallback.host:
                return fallback
            port = None
        return Peer(flow, host, port or DEFAULT_PORTS[self.listeners[flow].transport])


def _distance(listener: Listener, realm: Realm) -> int:
    """Return how badly a listener suits peers of a realm: 0 is best."""
    announced = realm_of(listener.host)
    if announced is realm:
        return 0
    return 2 if announced is Realm.MACHINE else 1


# The legs to one gateway share its peer: to find it takes a tenth of the time of making it, and it takes no memory.
@lru_cache(maxsize=_REMEMBERED)
def peer_of(flow: int, host: str, port: int) -> Peer:
    """Return the peer at an address."""
    return Peer(flow, host, port)


# The peers of a trunk send the same Contact in every call.
@lru_cache(maxsize=1024)
def hop_of(target: str) -> Hop | None:
    """Read the next hop from a URI or a Route value; None if it has none."""
    text = target
    if '"' in text and (name := _DISPLAY_NAME.match(text)) is not None:
        text = text[name.end() :]  # it may hold a "<" itself
    if "<" in text:
        text = text[text.index("<") + 1 :].partition(">")[0]
    try:
        uri = Uri.parse(text)
    except ParseError:
        return None
    if not uri.host:  # a number
        return None
    transport = "tls" if uri.scheme == "sips" else uri.param("transport")
    maddr = uri.param("maddr")
    if maddr and not _MADDR.match(maddr):
        return None
    return Hop(plain_host(maddr or uri.host), uri.port, transport if transport in DEFAULT_PORTS else None)


def whole_hop_of(target: str) -> Hop | None:
    """Read the same with the port and the transport that it leaves out: one place may be written in several ways."""
    hop = hop_of(target)
    if hop is None:
        return None
    transport = hop.transport or "udp"
    return Hop(hop.host, hop.port or DEFAULT_PORTS[transport], transport)
