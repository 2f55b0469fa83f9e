"""Find gateways that nearly match an unknown source, for the log.

Compares a refused INVITE with the whole catalogue, so it is called only for logged refusals, and less often the more
gateways there are: calls wait meanwhile.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from itertools import islice
from typing import Final

from vosd.base.bucket import Bucket
from vosd.base.clock import Instant
from vosd.base.number import for_matching
from vosd.callcontrol.invite_numbers import InviteNumbers
from vosd.catalogue.catalogue import Catalogue
from vosd.sip.wire.message import Request
from vosd.sip.wire.outgoing import Peer
from vosd.trunks.gateways import MappingGateway

NEAR_MAX: Final = 3
"""Most gateways named in one line."""
BURST: Final = 10_000
RATE: Final = 1_000
"""Gateways compared at once, and a second after that: many sources may scan, and forge more."""
LOOKED_AT_MAX: Final = 5_000
"""Mapping gateways that are compared by name and network, the last ones, to which a reload adds new ones: 100,000 would
keep calls waiting for 0.1 s."""
COST_MIN: Final = 500
"""Smallest cost of a comparison: 20 at once, two a second."""

_NEIGHBOURS: Final = {4: 24, 6: 64}
"""Prefix length of networks whose addresses count as one site."""


class NearMatches:
    """Finds near matches within the rate limit."""

    def __init__(self) -> None:
        self._bucket = Bucket(BURST, 0.0)
        self.catalogue: Catalogue | None = None
        """The catalogue in force; None: nothing is compared."""

    def of(self, source: Peer, request: Request | None, at: Instant) -> list[str]:
        """Return sentences about gateways that nearly match, the nearest first; empty above the rate limit."""
        if self.catalogue is None:
            return []
        cost = len(self.catalogue.mapping_gateways) + len(self.catalogue.routing_gateways)
        if not self._bucket.take(min(max(cost, COST_MIN), BURST), RATE, BURST, at.mono / 1_000):
            return []
        return list(islice(_near(self.catalogue, source, request), NEAR_MAX))


def _near(catalogue: Catalogue, source: Peer, request: Request | None) -> Iterator[str]:
    address = ip_address(source.host)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    yield from _same_address(catalogue, source)
    yield from _vendors(catalogue, source)
    if request is not None:
        yield from _same_name(catalogue, for_matching(InviteNumbers(request).calling()))
    yield from _same_site(catalogue, address)


def _same_address(catalogue: Catalogue, source: Peer) -> Iterator[str]:
    for gateway in catalogue.sources.gateways_at(source.host):
        wrong_port = [pattern.port for pattern in gateway.hosts if pattern.port not in {None, source.port}]
        if not catalogue.sources.is_from(gateway.name, source.host, source.port) and wrong_port:
            yield f"{gateway.name}: its hosts have port {wrong_port[0]}, not {source.port}"
        elif gateway.tech_prefix:
            yield f"{gateway.name}: the number does not begin with its tech_prefix {gateway.tech_prefix}"


def _vendors(catalogue: Catalogue, source: Peer) -> Iterator[str]:
    for gateway in catalogue.routing_gateways.values():
        if any(address.host == source.host for address in gateway.places):
            yield f"{gateway.name}: a routing gateway; to call us it needs a mapping gateway, too"


def _same_name(catalogue: Catalogue, caller: str) -> Iterator[str]:
    if not caller:
        return
    for gateway in _last(catalogue):
        if caller in _names_of(gateway):
            needs = "it must prove who it is" if gateway.credentials is not None else "its hosts are others"
            yield f"{gateway.name}: the caller {caller!r} is its own; {needs}"


def _last(catalogue: Catalogue) -> Iterator[MappingGateway]:
    gateways = catalogue.mapping_gateways.values()
    return islice(gateways, max(0, len(gateways) - LOOKED_AT_MAX), None)


def _names_of(gateway: MappingGateway) -> set[str]:
    numbers, credentials = gateway.caller_numbers, gateway.credentials
    return {
        gateway.name,
        *(() if numbers is None else (numbers.own, *numbers.others)),
        *(() if credentials is None else (credentials.username,)),
    }


def _same_site(catalogue: Catalogue, address: IPv4Address | IPv6Address) -> Iterator[str]:
    length = _NEIGHBOURS[address.version]
    site = ip_network((address, length), strict=False)
    for gateway in _last(catalogue):
        for pattern in gateway.hosts:
            network = pattern.network
            is_near = network.version == address.version and network.network_address in site and address not in network
            if is_near:
                yield f"{gateway.name}: has {network}, in the same /{length}"
                break
