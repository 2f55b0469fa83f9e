"""Find the mapping gateway of a request by its source address and tech prefix (docs/routing.md).

A disabled gateway is identified like any other, so that its calls never fall to one with a wider pattern. Whether a
gateway with credentials has proven them is checked elsewhere.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_network
from itertools import chain
from typing import Final, NamedTuple

from vosd.base.edited import edited
from vosd.base.errors import VosError
from vosd.base.nat import Nat
from vosd.base.networks import NetworkBits, address_of, bits_of
from vosd.base.number import without_separators
from vosd.routing.host_claims import FEW, HostClaims, Identified, SourceClaim, without_prefix
from vosd.trunks.dialect import CalleeSource
from vosd.trunks.gateways import HostName, HostPattern, MappingGateway

_REMEMBERED_HOSTS: Final = 4_096
"""Known hosts whose claims are cached: the limit against a flood with forged sources inside a wide network."""


def identified_by_proof(gateway: MappingGateway, called: Callable[[CalleeSource], str]) -> Identified:
    """Return the identity of a call that was authenticated as a gateway; without its tech prefix ``callee`` is empty.

    ``called`` is as for ``SourceIndex.identify``.
    """
    dialled = called(gateway.dialect.callee_from)
    callee = without_separators(dialled)
    return Identified(gateway, without_prefix(callee, gateway.tech_prefix) or "", dialled)


class SourceConflict(VosError):  # noqa: N818 - it names the finding
    """Two mapping gateways claim the same packets: equal pattern, port and tech prefix."""

    def __init__(self, first: str, second: str, claim: str) -> None:
        super().__init__(
            f"mapping gateways {first!r} and {second!r} both claim {claim}: "
            "give one of them another host, port or tech_prefix"
        )
        self.first = first
        self.second = second


class NameConflict(NamedTuple):
    """An address of a name that stays with another mapping gateway."""

    gateway: str
    name: HostName
    address: str
    holder: str
    """The gateway that its calls belong to."""


class SourceIndex:
    """Every source pattern of the catalogue, most specific first for each host.

    The order in which claims are compared with a packet: a pattern with a port before one without, then the longest
    mask, then the longest tech prefix. A gateway without tech prefix gets the calls that fit no other of its pattern.
    """

    def __init__(
        self, gateways: Iterable[MappingGateway], report: Callable[[SourceConflict], object] | None = None
    ) -> None:
        """``report`` receives each conflict, and of that gateway no further source is in the index.

        Raises:
            SourceConflict: two gateways claim the same packets, and there is no ``report``.
        """
        claims: dict[NetworkBits, list[SourceClaim]] = {}
        claimants: dict[HostName, list[MappingGateway]] = {}
        named: dict[str, MappingGateway] = {}
        taken = _TakenPlaces()
        for gateway in gateways:
            try:
                _add_sources(claims, claimants, taken, gateway)
            except SourceConflict as conflict:
                if report is None:
                    raise
                report(conflict)
            if gateway.named_hosts:
                named[gateway.name] = gateway
        self.named: Mapping[str, MappingGateway] = named
        """Gateways with names; their addresses are those of ``located``."""
        self.conflicts: Sequence[NameConflict] = ()
        self._claims_by_name: Mapping[NetworkBits, Sequence[SourceClaim]] = {}
        self._addresses_by_name: Mapping[str, Sequence[str]] = {}
        """The addresses that gateways have by their names, by name of the gateway."""
        self._claims: Mapping[NetworkBits, Sequence[SourceClaim]] = claims
        self._claimants: Mapping[HostName, Sequence[MappingGateway]] = claimants
        """Gateways by the names that they have."""
        self._masks = sorted({(network.version, network.host_bits) for network in self._claims})
        self._remembered: dict[str, HostClaims] = {}
        """By host."""
        self._of_networks: dict[tuple[NetworkBits, ...], HostClaims] = {}

    def changed(self, without: Sequence[MappingGateway], added: Iterable[MappingGateway]) -> "SourceIndex":
        """Return an index without some of its gateways, and with others.

        Raises:
            SourceConflict: two of its gateways claim the same packets.
        """
        gone, added = {each.name for each in without}, [*added]
        names = {name for each in chain(without, added) for name in each.named_hosts}
        networks = {bits_of(pattern.network) for each in chain(without, added) for pattern in each.hosts}
        claimants = {name: [each for each in self._claimants.get(name, ()) if each.name not in gone] for name in names}
        claims = {
            network: [claim for claim in self._claims.get(network, ()) if claim.gateway.name not in gone]
            for network in networks
        }
        taken = _TakenPlaces()
        for network, kept in claims.items():
            for claim in kept:
                taken.note((network, claim.port), claim.gateway)
        for name, gateways in claimants.items():
            for gateway in gateways:
                taken.note(name, gateway)
        for gateway in added:
            _add_sources(claims, claimants, taken, gateway)
        twin = SourceIndex(())
        has_name = {name: found for name, found in claimants.items() if found}
        twin._claimants = edited(self._claimants, names - has_name.keys(), has_name)
        claimed = {network: found for network, found in claims.items() if found}
        twin._claims = edited(self._claims, networks - claimed.keys(), claimed)
        # A mask that no network has any more finds nothing.
        twin._masks = sorted({*self._masks, *((network.version, network.host_bits) for network in networks)})
        still_named = {name: each for name, each in self.named.items() if name not in gone}
        twin.named = {**still_named, **{each.name: each for each in added if each.named_hosts}}
        return twin

    def located(self, addresses: Callable[[HostName], Iterable[str]], before: "SourceIndex") -> "SourceIndex":
        """Return an index in which the gateways of names have their addresses; ``conflicts`` has those they do not get.

        An address stays with the gateway that is configured with it, or with a network around it. Of several names it
        stays with the one that had it ``before``; else it goes to the first gateway by name.
        """
        twin = SourceIndex(())
        twin._claims, twin.named, twin._claimants = self._claims, self.named, self._claimants
        wanted = [
            (gateway, name, address)
            for gateway in self.named.values()
            for name in gateway.named_hosts
            for address in addresses(name)
        ]
        had = before._addresses_by_name
        wanted.sort(key=lambda each: (each[2] not in had.get(each[0].name, ()), each[0].name))
        claims: dict[NetworkBits, list[SourceClaim]] = {}
        held: dict[str, list[str]] = defaultdict(list)
        conflicts, taken = [], _TakenPlaces()
        for gateway, name, address in wanted:
            pattern = HostPattern(ip_network(address), name.port)
            holder = self._holder(address, pattern, gateway)
            if holder is None:
                try:
                    _add(claims, taken, pattern, gateway)
                except SourceConflict as conflict:
                    holder = conflict.first
            if holder is not None:
                conflicts.append(NameConflict(gateway.name, name, address, holder))
            elif address not in held[gateway.name]:
                held[gateway.name].append(address)
        twin._claims_by_name, twin._addresses_by_name, twin.conflicts = claims, held, conflicts
        twin._masks = sorted({*self._masks, *((each.version, each.host_bits) for each in claims)})
        return twin

    def _holder(self, address: str, pattern: HostPattern, gateway: MappingGateway) -> str | None:
        """Return the gateway that an address belongs to by the configuration, and not to this one; None = to none."""
        for claim in self._claims_on(address).claims:
            if claim.tech_prefix == gateway.tech_prefix and _meets(claim, pattern, gateway):
                return claim.gateway.name
        return None

    def addresses_by_name(self, gateway: str) -> list[str]:
        """Return the addresses that a gateway has by its names now."""
        return sorted(self._addresses_by_name.get(gateway, ()))

    def may_send(self, gateway: MappingGateway, host: str, port: int | None) -> bool:
        """Return whether a gateway with credentials may send from ``host``:``port``; None = from any port there.

        Raises:
            ValueError: ``host`` is not an IP address.
        """
        if gateway.may_be_anywhere:
            return True
        address = address_of(host)
        if any(
            (port is None or pattern.port in {None, port}) and _holds(pattern, address) for pattern in gateway.hosts
        ):
            return True
        return bool(gateway.named_hosts) and self.is_from(gateway.name, host, port)

    def identify(self, host: str, port: int, called: Callable[[CalleeSource], str]) -> Identified | None:
        """Return the gateway that a request from ``host``:``port`` belongs to, or None.

        ``called`` reads the called number from the part of the message that a gateway uses; what it raises is passed
        on. A tech prefix is compared with the number as dialled, and without its leading ``+``; visual separators are
        removed before. Of several gateways with equal patterns and credentials any one is returned: authentication
        decides which of them calls.

        Raises:
            ValueError: ``host`` is not an IP address.
        """
        known = self._remembered.get(host) or self._claims_on(host)
        if len(known.claims) > FEW:
            return known.identify(port, called)
        read_from, dialled, callee = None, "", ""
        for wanted_port, _, tech_prefix, callee_from, gateway in known.claims:
            if wanted_port is not None and wanted_port != port:
                continue
            if callee_from is not read_from:
                read_from = callee_from
                dialled = called(read_from)
                callee = dialled if dialled.isdigit() else without_separators(dialled)
            wanted = without_prefix(callee, tech_prefix) if tech_prefix else callee
            if wanted is not None:
                return Identified(gateway, wanted, dialled)
        return None

    def knows(self, host: str, port: int) -> bool:
        """Return whether any gateway sends from ``host``:``port``, whatever tech prefix it dials."""
        first = (self._remembered.get(host) or self._claims_on(host)).first
        return None in first or port in first

    def is_trusted(self, host: str, port: int) -> bool:
        """Return whether all requests from ``host``:``port`` belong to one gateway whose address is proof enough.

        False where the called number decides which gateway it is.
        """
        first = (self._remembered.get(host) or self._claims_on(host)).first
        claim = first.get(port) or first.get(None)
        return claim is not None and not claim.tech_prefix and claim.gateway.credentials is None

    def nat_at(self, host: str, port: int) -> Nat:
        """Return the ``nat`` of the gateway that sends from ``host``:``port``; the first one's where there are more."""
        first = self._claims_on(host).first
        claim = first.get(port) or first.get(None)
        return Nat.AUTO if claim is None else claim.gateway.dialect.nat

    def is_of_one_trunk(self, host: str, port: int, other_host: str, other: int) -> bool:
        """Return whether what comes from two places belongs to one gateway.

        That is of two ports of a host where no gateway has one of them alone, and of two hosts where one has both.
        """
        if host == other_host:
            return port == other or self._claims_on(host).first.keys().isdisjoint((port, other))
        there = {each.name for each in self.gateways_at(other_host)}
        shared = [each.name for each in self.gateways_at(host) if each.name in there]
        return any(self.is_from(each, host, port) and self.is_from(each, other_host, other) for each in shared)

    def is_from(self, name: str, host: str, port: int | None) -> bool:
        """Return whether the gateway of that name may send from ``host``:``port``; None = from any port there."""
        ports = self._claims_on(host).ports_by_name.get(name, ())
        return bool(ports) if port is None else port in ports or None in ports

    def knows_host(self, host: str) -> bool:
        """Return whether any gateway sends from ``host``, whatever the port."""
        return bool(self._claims_on(host).claims)

    def gateways_at(self, host: str) -> tuple[MappingGateway, ...]:
        """Return all gateways that a request from ``host`` may belong to, whatever its port, tech prefix or proof.

        Raises:
            ValueError: ``host`` is not an IP address.
        """
        return self._claims_on(host).gateways

    def _claims_on(self, host: str) -> HostClaims:
        """Return the claims on a host, and remember those of a known one."""
        claims = self._remembered.get(host)
        if claims is None:
            claims = self._gather(host)
            if claims.claims:
                if len(self._remembered) >= _REMEMBERED_HOSTS:
                    self._remembered.clear()
                self._remembered[host] = claims
        return claims

    def _gather(self, host: str) -> HostClaims:
        """Return the claims on a host: hosts within the same networks share them."""
        address = address_of(host)
        networks = tuple(
            network
            for version, host_bits in self._masks
            if version == address.version
            and (
                (network := NetworkBits(version, host_bits, int(address) >> host_bits << host_bits)) in self._claims
                or network in self._claims_by_name
            )
        )
        found = self._of_networks.get(networks)
        if found is None:
            found = HostClaims(
                [
                    claim
                    for network in networks
                    for claim in chain(self._claims.get(network, ()), self._claims_by_name.get(network, ()))
                ]
            )
            if len(self._of_networks) >= _REMEMBERED_HOSTS:
                self._of_networks.clear()
            self._of_networks[networks] = found
        return found


class _TakenPlaces:
    """The gateways that claim each place by each tech prefix, while an index is made.

    A place is a name, or a network with a port. Gateways are added one after the other, so that of one that claims a
    place twice the last entry says so, however many share that place.
    """

    def __init__(self) -> None:
        self._claimants: dict[tuple[Hashable, str], list[MappingGateway]] = {}

    def note(self, place: Hashable, gateway: MappingGateway) -> None:
        """Add a gateway that is known to claim a place without conflict."""
        self._claimants.setdefault((place, gateway.tech_prefix), []).append(gateway)

    def has(self, place: Hashable, gateway: MappingGateway, described: HostPattern | HostName) -> bool:
        """Return whether a gateway claims a place already.

        Raises:
            SourceConflict: another one takes the same packets.
        """
        claimants = self._claimants.get((place, gateway.tech_prefix))
        if claimants is None:
            return False
        if claimants[-1].name == gateway.name:
            return True
        rival = claimants[0]
        if rival.credentials is None or gateway.credentials is None:
            raise SourceConflict(rival.name, gateway.name, _describe(described, gateway.tech_prefix))
        return False  # all of them authenticate, so they may share an address, such as that of a NAT


def _add_sources(
    claims: dict[NetworkBits, list[SourceClaim]],
    claimants: dict[HostName, list[MappingGateway]],
    taken: _TakenPlaces,
    gateway: MappingGateway,
) -> None:
    for pattern in gateway.hosts:
        _add(claims, taken, pattern, gateway)
    for name in gateway.named_hosts:
        if not taken.has(name, gateway, name):
            claimants.setdefault(name, []).append(gateway)
            taken.note(name, gateway)


def _add(
    on: dict[NetworkBits, list[SourceClaim]], taken: _TakenPlaces, pattern: HostPattern, gateway: MappingGateway
) -> None:
    network = bits_of(pattern.network)
    place = network, pattern.port
    if not taken.has(place, gateway, pattern):
        on.setdefault(network, []).append(_claim(pattern, network, gateway))
        taken.note(place, gateway)


def _claim(pattern: HostPattern, network: NetworkBits, gateway: MappingGateway) -> SourceClaim:
    return SourceClaim(pattern.port, network.host_bits, gateway.tech_prefix, gateway.dialect.callee_from, gateway)


def _meets(claim: SourceClaim, pattern: HostPattern, gateway: MappingGateway) -> bool:
    """Return whether packets of another gateway's claim may be taken for those of a pattern on the same addresses."""
    other = claim.gateway
    both_prove = other.credentials is not None and gateway.credentials is not None
    same_port = claim.port is None or pattern.port is None or claim.port == pattern.port
    return same_port and other.name != gateway.name and not both_prove


def _holds(pattern: HostPattern, address: IPv4Address | IPv6Address) -> bool:
    network = bits_of(pattern.network)
    return address.version == network.version and int(address) >> network.host_bits << network.host_bits == network.base


def _describe(place: HostPattern | HostName, tech_prefix: str) -> str:
    host = place.name if isinstance(place, HostName) else str(place.network)
    where = host if place.port is None else f"{host} port {place.port}"
    return f"{where} with tech_prefix {tech_prefix!r}" if tech_prefix else where
