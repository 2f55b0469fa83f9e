"""Addresses to which no media is sent, whatever a session description says."""

from collections.abc import Iterable
from ipaddress import ip_address

from vosd.trunks.media import PortRange


def may_send(own_host: str, host: str, port: int, own_ranges: Iterable[tuple[str, PortRange]]) -> bool:
    """Return whether media may be sent from ``own_host`` to an address.

    Not to several receivers (multicast, broadcast), to no address, to another family, to this machine unless the port
    is one of this machine, too, and not to our own media ports: packets would go round, for each of which we pay.
    """
    try:
        ours, theirs = ip_address(own_host.partition("%")[0]), ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if ours.version != theirs.version or not port:
        return False
    if theirs.is_multicast or theirs.is_unspecified or host == "255.255.255.255":
        return False
    if theirs.is_loopback and not ours.is_loopback:
        return False
    return not any(str(theirs) == each and ports.first <= port <= ports.last for each, ports in own_ranges)
