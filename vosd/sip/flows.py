"""Our sockets as SIP knows them: what peers are told of each, and which one a packet leaves from (RFC 3261 18, 19).

A flow is the place of a socket among the listeners. Owns no socket.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import ip_address
from typing import Final, NamedTuple, Protocol

from vosd.base.host import Realm, realm_of
from vosd.sip.wire.compose import Peer, host_text
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.uri import DEFAULT_PORTS, Uri

MAGIC: Final = "z9hG4bK"
"""What every branch made by an RFC 3261 element begins with (section 8.1.1.7)."""
LARGEST_DATAGRAM: Final = 1_300
"""Bytes of a request above which UDP is left for TCP, where nothing forbids it (section 18.1.1)."""
_REMEMBERED: Final = 1_024


class Listener(NamedTuple):
    """A socket of ours as peers are told of it."""

    host: str
    port: int
    transport: str = "udp"
    """In lower case."""
    name: str = ""
    """As the operator wrote it: ``transport:host:port``."""

    @property
    def sent_by(self) -> str:
        """``host:port`` for Via and Contact."""
        return f"{host_text(self.host)}:{self.port}"

    @property
    def address(self) -> str:
        """What follows ``sip:`` where somebody is to reach this socket."""
        return self.sent_by if self.transport == "udp" else f"{self.sent_by};transport={self.transport}"


class Hop(NamedTuple):
    """Where a URI wants its packets: host (address or name), port and transport as far as it says them."""

    host: str
    port: int | None
    transport: str | None


class Locator(Protocol):
    """Finds an address for a name, from memory alone."""

    def __call__(self, hop: Hop, /) -> Hop | None:
        """Return the address, port and transport to use; None where nothing is known (yet)."""
        ...


def knows_no_names(_hop: Hop) -> Hop | None:
    """Find nothing: a ``Locator`` for those who meet addresses only."""
    return None


class Flows:
    """The listeners, and the way out through them."""

    def __init__(
        self, listeners: Sequence[Listener], token: Callable[[], str], locate: Locator = knows_no_names
    ) -> None:
        self.listeners = tuple(listeners)
        self._token = token
        self._locate = locate
        self.mark = f"{MAGIC}{token()}"
        """How every branch of ours begins, and nobody else's."""
        self.refusal_tag = token()
        """Our tag in every refusal that leaves nothing behind (RFC 3261 section 8.2.7): its ACK is known by it.

        Nothing else of ours can be told from it.
        """
        self.sent_by = frozenset(each.sent_by for each in listeners)
        self.reliable = tuple(each.transport != "udp" for each in listeners)
        self.contacts = tuple(f"Contact: <sip:{each.address}>\r\n" for each in listeners)
        """Whole Contact lines, one a flow."""
        self._via = self._begun_vias()
        self._names = tuple(each.name or f"{each.transport}:{each.sent_by}" for each in listeners)
        self._hops: dict[tuple[str, Peer], Peer] = {}
        """What the Contacts of trunks mean: peers say the same in every call."""
        self._first: dict[tuple[str | None, bool, Realm], int] = {}
        """By transport (None = any), family, and from where the peer can be reached."""
        for realm in Realm:
            for flow, each in sorted(enumerate(listeners), key=lambda pair: _distance(pair[1], realm)):
                for transport in (each.transport, None):
                    self._first.setdefault((transport, ":" in each.host, realm), flow)

    def go_on_as(self, mark: str, refusal_tag: str) -> None:
        """Take over the mark and the tag of an earlier process, whose requests and responses are under way."""
        self.mark, self.refusal_tag = mark, refusal_tag
        self._via = self._begun_vias()

    def _begun_vias(self) -> tuple[str, ...]:
        """Return Via values up to the part of the branch that differs from request to request, one a flow."""
        return tuple(
            f"SIP/2.0/{each.transport.upper()} {each.sent_by};rport;branch={self.mark}" for each in self.listeners
        )

    def new_via(self, flow: int) -> str:
        """Return a Via value with a fresh branch."""
        return self._via[flow] + self._token()

    def same_branch(self, via: str, flow: int) -> str:
        """Return the Via value of another flow with the branch of ``via``."""
        return self._via[flow] + via.rpartition(self.mark)[2]

    def towards(self, host: str, transport: str | None = None, interface: str | None = None) -> int:
        """Return the flow for packets to an address: the interface that was chosen, else the first that fits.

        A listener that announces a private address fits a private peer, one that announces a public address a public
        peer; where there is none, any other fits but one on loopback. A transport that no listener has is answered by
        a listener of the address family: then the peer hears us on what there is. A family that no listener has gets
        the first listener of all, which cannot send there and says so.
        """
        if interface is not None:
            for flow, each in enumerate(self.listeners):
                if each.name == interface:
                    return flow
        family, realm = ":" in host, realm_of(host)
        found = self._first.get((transport or "udp", family, realm))
        return self._first.get((None, family, realm), 0) if found is None else found

    def for_large(self, flow: int) -> int | None:
        """Return the TCP flow beside a UDP one, or None."""
        listener = self.listeners[flow]
        if listener.transport != "udp":
            return None
        beside = [index for index, each in enumerate(self.listeners)
                  if each.transport == "tcp" and (":" in each.host) is (":" in listener.host)]  # fmt: skip
        same_host = [index for index in beside if self.listeners[index].host == listener.host]
        return next(iter([*same_host, *beside]), None)

    def next_hop(self, target: str, fallback: Peer) -> Peer:
        """Return where a request for ``target`` (a URI, or a Route value) goes; ``fallback`` is the peer as last seen.

        A name that is not known yet, another address family, what is no URI: the peer as last seen. So is a peer on
        a connection that names itself by the same host: the connection is there, and may be its only way in.
        """
        known = self._hops.get((target, fallback))
        if known is not None:
            return known
        hop = hop_of(target)
        if hop is not None and not _is_address(hop.host):
            hop = self._locate(hop)  # where a name leads may change with every call
            return fallback if hop is None else self._reach(hop, fallback)
        found = fallback if hop is None else self._reach(hop, fallback)
        if len(self._hops) >= _REMEMBERED:
            self._hops.clear()
        self._hops[target, fallback] = found
        return found

    def located(self, hop: Hop) -> Hop | None:
        """Return a place with its name found; None where it is not known (yet)."""
        return hop if _is_address(hop.host) else self._locate(hop)

    def beside(self, target: str, peer: Peer) -> Peer | None:
        """Return where the owner of a Contact can be called when the connection it was seen on is gone."""
        other = self.listening(target, peer) if self.reliable[peer.flow] else None
        return None if other == peer else other

    def listening(self, target: str, peer: Peer) -> Peer | None:
        """Return where the owner of a Contact takes connections, if that is the host it was seen at."""
        hop = hop_of(target)
        if hop is None or hop.host != peer.host:
            return None
        return Peer(peer.flow, hop.host, hop.port or DEFAULT_PORTS[self.listeners[peer.flow].transport])

    def name_of(self, flow: int) -> str:
        """Return how a socket is called beyond one life of the switch."""
        return self._names[flow]

    def named(self, name: str) -> int | None:
        """Return the flow of that name, or None."""
        return self._names.index(name) if name in self._names else None

    def _reach(self, hop: Hop, fallback: Peer) -> Peer:
        host, port, transport = hop
        if (":" in host) is not (":" in fallback.host):
            return fallback
        here = self.listeners[fallback.flow].transport
        wanted = transport or (here if host == fallback.host else "udp")
        if wanted != "udp" and wanted == here and host == fallback.host:
            return fallback
        flow = fallback.flow if wanted == here else self.towards(host, wanted)
        return Peer(flow, host, port or DEFAULT_PORTS[self.listeners[flow].transport])


def _distance(listener: Listener, realm: Realm) -> int:
    """Return how badly a listener fits peers of a realm: 0 is best."""
    announced = realm_of(listener.host)
    if announced is realm:
        return 0
    return 2 if announced is Realm.MACHINE else 1


# Peers say the same Contact in every call of a trunk, so what it means is worth remembering.
@lru_cache(maxsize=1024)
def hop_of(target: str) -> Hop | None:
    """Read where a URI or a Route value points to; None where it points nowhere."""
    text = target
    if "<" in text:
        text = text[text.index("<") + 1 :].partition(">")[0]
    try:
        uri = Uri.parse(text)
    except ParseError:
        return None
    if uri.scheme == "tel":
        return None
    transport = "tls" if uri.scheme == "sips" else uri.param("transport")
    maddr = uri.param("maddr")
    return Hop((maddr or uri.host).strip("[]"), uri.port, transport if transport in DEFAULT_PORTS else None)


@lru_cache(maxsize=1024)
def _is_address(host: str) -> bool:
    """Say whether packets can be sent to a host as it is; a peer may write what only looks like an address."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
