"""Trunks that are known by the certificate of their connection (``certificate_names``), and such connections.

A connection counts while it is open, and only if its peer has connected to us with a certificate of ``sip.tls.ca``.
"""

from collections.abc import Callable, Iterable

from vosd.catalogue.catalogue import Catalogue
from vosd.routing.identify import identified_by_proof
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.outgoing import Peer
from vosd.trunks.dialect import CalleeSource
from vosd.trunks.gateways import MappingGateway


class TrunkCertificates:
    """Connections with certificates, and the trunks that those name."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._trunks: dict[str, dict[str, None]] = {}
        """Names of trunks by each name of a certificate."""
        self.shown: dict[Peer, frozenset[str]] = {}
        """Names in the certificate of each connection that has shown one."""
        self._by_host: dict[str, dict[Peer, None]] = {}
        self._enter(catalogue.mapping_gateways.values())

    @property
    def has_trunks(self) -> bool:
        """Return whether any trunk is known by its certificate."""
        return bool(self._trunks)

    def adopt(self, catalogue: Catalogue, changed: Iterable[str]) -> None:
        """Apply another catalogue, in which these trunks have other names of certificates."""
        before, self.catalogue = self.catalogue, catalogue
        for name in changed:
            gone, come = before.mapping_gateways.get(name), catalogue.mapping_gateways.get(name)
            for each in () if gone is None else gone.certificate_names:
                trunks = self._trunks.get(each, {})
                trunks.pop(name, None)
                if not trunks:
                    self._trunks.pop(each, None)
            self._enter(() if come is None else (come,))

    def opened(self, peer: Peer, names: frozenset[str]) -> None:
        """Note the names in the certificate of a connection; the one before from its port may not have ended yet."""
        self.closed(peer)
        if names:
            self.shown[peer] = names
            self._by_host.setdefault(peer.host, {})[peer] = None

    def closed(self, peer: Peer) -> None:
        """Forget a connection."""
        if self.shown.pop(peer, None) is not None:
            beside = self._by_host[peer.host]
            del beside[peer]
            if not beside:
                del self._by_host[peer.host]

    def knows_host(self, host: str) -> bool:
        """Return whether a trunk has a connection from an address."""
        return any(self._named(self.shown[peer]) for peer in self._by_host.get(host, ()))

    def knows(self, host: str, port: int) -> bool:
        """Return whether a connection from an address and port is that of a trunk."""
        connections = self._by_host.get(host, ())
        return any(peer.port == port and self._named(self.shown[peer]) for peer in connections)

    def bears(self, gateway: MappingGateway, peer: Peer) -> bool:
        """Return whether the connection of a request has shown a certificate of a trunk, or needs none."""
        return not gateway.certificate_names or not gateway.certificate_names.isdisjoint(self.shown.get(peer, ()))

    def name_of(self, gateway: MappingGateway, peer: Peer) -> str:
        """Return the first name of a trunk that its connection has shown; empty = none."""
        return min(gateway.certificate_names & self.shown.get(peer, frozenset()), default="")

    def trunk_at(self, peer: Peer, called: Callable[[CalleeSource], str]) -> str:
        """Return the trunk whose certificate a connection has shown, which needs no other proof; empty = none.

        Of several the tech prefix decides, as with addresses. ``called`` is as for ``SourceIndex.identify``.
        """
        found = [
            gateway
            for gateway in self._named(self.shown.get(peer, frozenset()))
            if gateway.credentials is None and self.catalogue.sources.may_send(gateway, peer.host, peer.port)
        ]
        found.sort(key=lambda each: (-len(each.tech_prefix), each.name))
        try:
            fitting = [each for each in found if identified_by_proof(each, called).callee]
        except ParseError:
            fitting = []
        return next((each.name for each in (*fitting, *found)), "")

    def _named(self, names: frozenset[str]) -> list[MappingGateway]:
        gateways = self.catalogue.mapping_gateways
        trunks = dict.fromkeys(trunk for name in names for trunk in self._trunks.get(name, ()))
        return [gateways[name] for name in trunks if name in gateways]

    def _enter(self, gateways: Iterable[MappingGateway]) -> None:
        for gateway in gateways:
            for name in gateway.certificate_names:
                self._trunks.setdefault(name, {})[gateway.name] = None
