"""Networks with values: the longest one that holds an address, and one that has addresses in common with another."""

from bisect import bisect_left
from collections.abc import Iterable
from ipaddress import IPV4LENGTH, IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, Generic, NamedTuple, TypeVar

Network = IPv4Network | IPv6Network
Value = TypeVar("Value")

_MAPPED_BITS: Final = 96
"""Bits of ``::ffff:0:0/96``, before the IPv4 address of an IPv4-mapped one (RFC 4291 section 2.5.5.2)."""


class NetworkBits(NamedTuple):
    """A network as tables key it; an IPv4-mapped one counts as IPv4."""

    version: int
    host_bits: int
    """Bits behind the prefix: the fewer, the more specific is the network."""
    base: int
    """First address, as a number."""


class NetworkTable(Generic[Value]):
    """Values by network; a look-up costs one dictionary probe for each distinct prefix length of the family.

    An IPv4-mapped network or address counts as the IPv4 one that it contains. Of equal networks the last one holds.
    """

    __slots__ = ("_families", "_sorted")

    def __init__(self, entries: Iterable[tuple[Network, Value]] = ()) -> None:
        self._families: dict[int, dict[int, dict[int, tuple[Network, Value]]]] = {4: {}, 6: {}}
        """By version of IP and number of host bits, the fewest first: networks as they were given, by their bits."""
        for network, value in entries:
            version, host_bits, base = bits_of(network)
            self._families[version].setdefault(host_bits, {})[base] = network, value
        self._families = {version: dict(sorted(found.items())) for version, found in self._families.items()}
        self._sorted: dict[int, list[tuple[int, int]]] = {}
        """By version of IP: base and host bits of all networks; sorted when the first look-up needs them."""

    def __len__(self) -> int:
        return sum(len(each) for family in self._families.values() for each in family.values())

    def longest(self, host: str) -> tuple[Network, Value] | None:
        """Return the longest network that holds an address, as it was given, and its value; None if none does.

        Raises:
            ValueError: ``host`` is no IP address.
        """
        address = address_of(host)
        number = int(address)
        for host_bits, networks in self._families[address.version].items():
            found = networks.get(number >> host_bits << host_bits)
            if found is not None:
                return found
        return None

    def meeting(self, network: Network) -> tuple[Network, Value] | None:
        """Return a network that has addresses in common with another one, as it was given, and its value.

        None if none has. The cost does not grow with the number of networks once they are sorted.
        """
        version, host_bits, base = bits_of(network)
        family = self._families[version]
        for bits, networks in family.items():
            found = networks.get(base >> bits << bits) if bits >= host_bits else None
            if found is not None:
                return found
        if host_bits <= next(iter(family), host_bits):
            return None  # no network is narrower
        in_order = self._sorted.get(version)
        if in_order is None:
            in_order = sorted((each, bits) for bits, networks in family.items() for each in networks)
            self._sorted[version] = in_order
        at = bisect_left(in_order, (base, 0))
        if at == len(in_order) or in_order[at][0] >= base + (1 << host_bits):
            return None
        first, bits = in_order[at]
        return family[bits][first]


def bits_of(network: Network) -> NetworkBits:
    """Return a network as tables key it."""
    if isinstance(network, IPv4Network):
        return NetworkBits(4, IPV4LENGTH - network.prefixlen, int(network.network_address))
    if network.prefixlen >= _MAPPED_BITS:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return NetworkBits(4, network.max_prefixlen - network.prefixlen, int(mapped))
    return NetworkBits(6, network.max_prefixlen - network.prefixlen, int(network.network_address))


def address_of(host: str) -> IPv4Address | IPv6Address:
    """Return an address without its zone; an IPv4-mapped one as IPv4.

    Raises:
        ValueError: ``host`` is no IP address.
    """
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
