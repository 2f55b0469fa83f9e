"""Addresses as operators write them: sockets to listen on, sources of customers, destinations of vendors.

Only IP addresses: a name would need the resolver, which is not built yet. ``localhost`` is 127.0.0.1.
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, NamedTuple

from vosd.config.fields import ExpectedError, FromText, NotBuiltYetError
from vosd.engine.settings import Listener
from vosd.routing.tables import Address, HostPattern

SIP_PORT: Final = 5060

_BRACKETED: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::(\d{1,5}))?\Z", re.ASCII)
_PLAIN: Final = re.compile(r"([^:\[\]]+)(?::(\d{1,5}))?\Z", re.ASCII)
_HOST_NAME: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?\.?\Z")
_LATER_TRANSPORTS: Final = frozenset({"tcp", "tls", "ws", "wss"})


class _HostPort(NamedTuple):
    host: IPv4Address | IPv6Address
    port: int | None


def listener() -> FromText:
    """Read ``transport:host:port``."""

    def read(text: str) -> Listener:
        transport, _, rest = text.partition(":")
        _require_udp(transport)
        host, port = _host_port(rest)
        return Listener("udp", str(host), SIP_PORT if port is None else port)

    return FromText("transport:address:port, such as udp:127.0.0.1:5060 or udp:[::1]:5060", read)


def ip() -> FromText:
    """Read one IP address without port; IPv6 with or without brackets."""

    def read(text: str) -> str:
        host, port = _host_port(text)
        if port is not None or host.is_unspecified:
            raise ValueError
        return str(host)

    return FromText("an IP address without port", read)


def destination() -> FromText:
    """Read where a vendor's packets go: address, optional port, optional ``;transport=udp``."""

    def read(text: str) -> Address:
        place, *parameters = text.split(";")
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.lower() != "transport":
                raise ValueError
            _require_udp(value)
        host, port = _host_port(place)
        if host.is_unspecified:
            raise ValueError
        return Address(str(host), SIP_PORT if port is None else port)

    return FromText("address or address:port, such as 192.0.2.7:5060 or [2001:db8::7]:5060", read)


def source() -> FromText:
    """Read where a customer's packets come from: address, network, or address:port."""

    def read(text: str) -> HostPattern:
        if "/" in text:
            return HostPattern(_network(text), None)
        host, port = _host_port(text)
        return HostPattern(ip_network(host), port)

    return FromText("an address, a network or address:port, such as 192.0.2.0/24", read)


def _host_port(text: str) -> _HostPort:
    if text.count(":") > 1 and not text.startswith("["):
        return _HostPort(_ip(text), None)
    match = _BRACKETED.match(text) or _PLAIN.match(text)
    if not match:
        raise ValueError
    port = None if match[2] is None else int(match[2])
    if port is not None and not 1 <= port <= 65_535:
        raise ExpectedError("a port from 1 to 65535")
    return _HostPort(_ip(match[1]), port)


def _ip(text: str) -> IPv4Address | IPv6Address:
    if text.lower() == "localhost":
        return IPv4Address("127.0.0.1")
    try:
        address = ip_address(text)
    except ValueError:
        if _HOST_NAME.match(text):
            raise NotBuiltYetError("finding addresses of host names") from None
        raise
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise ValueError
    return address


def _network(text: str) -> IPv4Network | IPv6Network:
    network = ip_network(text, strict=False)
    if network.network_address != ip_address(text.partition("/")[0]):
        raise ExpectedError(f"a network without host bits: did you mean {network}?")
    return network


def _require_udp(transport: str) -> None:
    if transport.lower() in _LATER_TRANSPORTS:
        raise NotBuiltYetError(f"transport {transport.lower()}")
    if transport.lower() != "udp":
        raise ValueError
