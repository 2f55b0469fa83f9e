"""Addresses to which no media is sent, whatever a session description says."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, ip_address
from typing import Final

from vosd.base.host import UNSPECIFIED
from vosd.trunks.media import PortRange

_THIS_NETWORK: Final = IPv4Network("0.0.0.0/8")
"""Addresses that name no other host (RFC 1122 section 3.2.1.3)."""


def open_ports(
    own_host: str,
    host: str,
    ports: Iterable[int],
    own_ranges: Iterable[tuple[str, PortRange]],
    *,
    is_here: bool = False,
) -> list[int]:
    """Return the ports of a host to which media may be sent from ``own_host``; ``is_here``: this machine has the host.

    Not to several receivers (multicast, broadcast), to no address, to another family, to this machine unless the port
    is one of this machine, too, and not to our own ports, of media and of SIP, by whatever address: packets would go
    round, for each of which we pay.
    """
    name = _receiver(own_host, host)
    if name is None:
        return []
    names = {name, *(UNSPECIFIED if is_here else ())}
    spared = [range_ for spared_host, range_ in own_ranges if spared_host in names]
    found = [port for port in ports if port]
    if not spared:  # as for nearly all
        return found
    return [port for port in found if not any(each.first <= port <= each.last for each in spared)]


# Most descriptions have one of a few addresses: those of the trunks and of their media gateways.
@lru_cache(maxsize=4_096)
def _receiver(own_host: str, host: str) -> str | None:
    """Return a host in canonical form; None = it is no single one that media may be sent to from ``own_host``."""
    try:
        ours, theirs = ip_address(own_host.partition("%")[0]), ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if ours.version != theirs.version:
        return None
    if theirs.is_multicast or theirs.is_unspecified or theirs in _THIS_NETWORK or host == "255.255.255.255":
        return None
    return None if theirs.is_loopback and not ours.is_loopback else str(theirs)
