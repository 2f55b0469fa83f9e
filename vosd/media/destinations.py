"""Addresses to which no media is sent, whatever a session description says."""

from collections.abc import Iterable
from ipaddress import IPv4Network, ip_address
from typing import Final

from vosd.base.host import UNSPECIFIED
from vosd.trunks.media import PortRange

_THIS_NETWORK: Final = IPv4Network("0.0.0.0/8")
"""Addresses that name no other host (RFC 1122 section 3.2.1.3)."""


def may_send(
    own_host: str, host: str, port: int, own_ranges: Iterable[tuple[str, PortRange]], *, is_here: bool = False
) -> bool:
    """Return whether media may be sent from ``own_host`` to an address; ``is_here``: this machine has it.

    Not to several receivers (multicast, broadcast), to no address, to another family, to this machine unless the port
    is one of this machine, too, and not to our own ports, of media and of SIP, by whatever address: packets would go
    round, for each of which we pay.
    """
    try:
        ours, theirs = ip_address(own_host.partition("%")[0]), ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if ours.version != theirs.version or not port:
        return False
    if theirs.is_multicast or theirs.is_unspecified or theirs in _THIS_NETWORK or host == "255.255.255.255":
        return False
    if theirs.is_loopback and not ours.is_loopback:
        return False
    names = {str(theirs), *(UNSPECIFIED if is_here else ())}
    return not any(each in names and ports.first <= port <= ports.last for each, ports in own_ranges)
