"""Hosts in URIs and in the configuration: an IP address as text, or a domain name."""

import re
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

_LABEL: Final = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_DOMAIN: Final = re.compile(rf"(?!.{{254}})(?:{_LABEL}\.)*(?![0-9]+\Z){_LABEL}\Z", re.ASCII)
_PRIVATE: Final = tuple(
    ip_network(network)
    for network in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",  # RFC 1918
        "100.64.0.0/10",  # RFC 6598
        "192.0.0.0/24",  # RFC 6890: of telephones in mobile networks without IPv4 (RFC 7335)
        "198.18.0.0/15",  # RFC 2544: of test networks
        "169.254.0.0/16", "fe80::/10",  # link-local: RFC 3927, RFC 4291
        "fc00::/7",  # RFC 4193
        "127.0.0.0/8", "::1/128",
    )
)  # fmt: skip
"""Networks whose addresses are not reachable, or ambiguous, from outside."""
_LINK_LOCAL: Final = ip_network("fe80::/10")
_NAT64: Final = ip_network("64:ff9b::/96")
"""Addresses of IPv4 hosts behind a translator (RFC 6052)."""
_UNICAST: Final = ip_network("2000::/3")
"""The IPv6 addresses that are given out for the internet (RFC 4291 section 2.4)."""
UNSPECIFIED: Final = frozenset({"0.0.0.0", "::"})
"""Addresses of no host: of sockets bound to all addresses, and in descriptions of calls on hold (RFC 3264 8.4)."""
SITE_BITS: Final = 64
"""Prefix length that identifies the site of an IPv6 address: its owner can use the whole /64 (RFC 6177)."""
NETWORK_BITS: Final = 48
"""Prefix length of the largest IPv6 network that a single customer gets (RFC 6177)."""
IPV4_NETWORK_BITS: Final = 24
"""Prefix length of the smallest IPv4 network with a route of its own on the internet."""


def is_address(host: str) -> bool:
    """Return whether a valid host (an address without brackets, or a domain name) is an IP address.

    A domain's last label is never all digits (RFC 3696 section 2), so parsing is not needed.
    """
    return ":" in host or host.replace(".", "").isdigit()


def is_valid_address(text: str) -> bool:
    """Return whether a text is a valid IP address; that of a peer may only look like one."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_public(host: str) -> bool:
    """Return whether an IP address is one of the internet, also of the IPv4 address that an IPv6 address contains."""
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv6Address):
        inside = _ipv4_inside(address)
        if inside is not None:
            return is_public(str(inside))
        if address not in _UNICAST:  # such as those that contained IPv4 addresses once, ::10.0.0.1
            return False
    return address.is_global and not address.is_multicast


def _ipv4_inside(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


@lru_cache(maxsize=1_024)
def reached_at(host: str) -> str:
    """Return the IPv4 address that packets to an IPv6 address are for; any other address and a name as they are."""
    if ":" not in host:
        return host
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    inside = _ipv4_inside(address) if isinstance(address, IPv6Address) else None
    return host if inside is None else str(inside)


def may_be_source(host: str) -> bool:
    """Return whether an IP address is one that packets of a single host can come from."""
    address = ip_address(host)
    return not (address.is_unspecified or address.is_multicast or host == "255.255.255.255")


def domain(text: str) -> str | None:
    """Return a domain name in canonical form, lower case and without the final dot; None for anything else.

    Underscores are accepted: DNS allows them, and they occur in names of machines.
    """
    name = text.lower().removesuffix(".")
    return name if _DOMAIN.match(name) else None


@lru_cache(maxsize=1_024)
def is_private(host: str) -> bool:
    """Return whether a host is an address reachable only from its own network; False for a name."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in _PRIVATE if network.version == address.version)


def is_loopback(host: str) -> bool:
    """Return whether a host is an address of its own machine; False for a name."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_within_private(network: IPv4Network | IPv6Network) -> bool | None:
    """Return whether the addresses of a network are private ones (``is_private``); None = some are."""
    alike = [each for each in _PRIVATE if each.version == network.version and each.overlaps(network)]
    return None if alike and not any(network.prefixlen >= each.prefixlen for each in alike) else bool(alike)


@lru_cache(maxsize=1_024)
def is_no_host(host: str) -> bool:
    """Return whether a host is an address of no single host, such as 0.0.0.0, by which Linux means itself.

    So are link-local IPv6 addresses: each link has its own, and no URI names the link (RFC 4007 section 6). False for
    a name.
    """
    try:
        return not may_be_source(host) or is_link_local(host)
    except ValueError:
        return False


def is_link_local(host: str) -> bool:
    """Return whether a host is an IPv6 address of one link; False for a name."""
    return host[:2].lower() == "fe" and is_valid_address(host) and ip_address(host) in _LINK_LOCAL


class Realm(Enum):
    """The networks from which an address can be reached."""

    MACHINE = "this machine"
    PRIVATE = "its own network"
    PUBLIC = "everywhere"


@lru_cache(maxsize=1_024)
def realm_of(host: str) -> Realm:
    """Return where a host can be reached from; a name counts as public."""
    if host.startswith("127.") or host == "::1":
        return Realm.MACHINE
    return Realm.PRIVATE if is_private(host) else Realm.PUBLIC


@lru_cache(maxsize=1_024)
def plain_host(host: str) -> str:
    """Return a host in canonical form: without brackets, IPv6 as in RFC 5952, an IPv4-mapped address as IPv4."""
    host = host.strip("[]")
    if ":" not in host:
        return host.lower()
    try:
        address = ip_address(host)
    except ValueError:
        return host
    return str((isinstance(address, IPv6Address) and address.ipv4_mapped) or address)


@lru_cache(maxsize=1_024)
def bracketed(host: str) -> str:
    """Return an address with brackets if it is IPv6, so that a port can follow (RFC 5952 section 6)."""
    return f"[{host}]" if ":" in host else host


# Called for every message over IPv6, and for every INVITE and REGISTER while any source is locked out.
@lru_cache(maxsize=4_096)
def source_of(host: str) -> str:
    """Return the key of a source address: itself, or its /64; an IPv4-mapped address is itself.

    Raises:
        ValueError: ``host`` is no IP address.
    """
    address = ip_address(host)
    if not isinstance(address, IPv6Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    base = int(address) >> SITE_BITS << SITE_BITS
    return f"{IPv6Address(base)}/{SITE_BITS}"


@lru_cache(maxsize=1_024)
def owner_network_of(host: str) -> str:
    """Return the network of a source address that may have one owner: its /48, of IPv4 its /24.

    Raises:
        ValueError: ``host`` is no IP address.
    """
    source = source_of(host)
    address = ip_address(source.partition("/")[0])
    bits = NETWORK_BITS if isinstance(address, IPv6Address) else IPV4_NETWORK_BITS
    return str(ip_network(f"{address}/{bits}", strict=False))
