"""Addresses as operators write them: sockets to listen on, sources of customers, destinations of vendors.

Only a destination and a source may be a host name, which the running switch looks up. ``localhost`` is 127.0.0.1.
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from socket import AF_INET, inet_pton
from typing import Final, NamedTuple

from vosd.base.host import domain, is_address, is_link_local, is_valid_address, plain_host
from vosd.config.reader.fields import ExpectedError, FromText
from vosd.engine.settings import HepServer, HttpListener, NameServer, SipListener
from vosd.sip.wire.uri import ADDRESSABLE, DEFAULT_PORTS
from vosd.trunks.gateways import Address, HostName, HostPattern

DNS_PORT: Final = 53
HEP_PORT: Final = 9060

_BRACKETED: Final = re.compile(r"\[([0-9A-Fa-f:.]+(?:%[\w.-]+)?)\](?::(\d{1,5}))?\Z", re.ASCII)
_PLAIN: Final = re.compile(r"([^:\[\]]+)(?::(\d{1,5}))?\Z", re.ASCII)
_TRANSPORTS: Final = frozenset(ADDRESSABLE)
_NO_NAME: Final = "an IP address: a name can only stand where packets of a trunk come from or go"
_NO_LINK: Final = "another address of the host: no SIP URI can say which link a link-local one (fe80::) is of"
_LISTENED_ON: Final = "an IP address of this machine in place of the name, or 0.0.0.0 for all of them"


class _HostPort(NamedTuple):
    host: IPv4Address | IPv6Address
    port: int | None


def listener() -> FromText:
    """Read ``transport:host:port``."""
    return FromText("udp, tcp, tls, ws or wss:address:port, such as udp:127.0.0.1:5060 or tls:[::1]:5061", listener_in)


def listener_in(text: str) -> SipListener:
    """Return the socket that a text describes, as ``str`` of it does; raises ValueError."""
    word, _, rest = text.partition(":")
    transport = word.lower()
    if transport not in DEFAULT_PORTS:
        raise ValueError
    host, port = _host_port(rest, is_ours=True)
    return SipListener(transport, plain_host(str(host)), port or DEFAULT_PORTS[transport])


def dns_name() -> FromText:
    """Read a host name, as certificates bear it."""

    def read(text: str) -> str:
        name = domain(text)
        if name is None:
            raise ValueError
        return name

    return FromText("a host name, such as sip.example.net", read)


def host_as_written(text: str) -> str:
    """Return a name, or an IP address as it is written, without port; raises ValueError."""
    if is_address(text):
        return text
    name = domain(text)
    if name is None:
        raise ValueError
    return name


def hep_server() -> FromText:
    """Read ``transport:host:port`` of a capture server; the host may be a name."""

    def read(text: str) -> HepServer:
        transport, _, rest = text.partition(":")
        found = _BRACKETED.match(rest) or _PLAIN.match(rest)
        if transport not in _TRANSPORTS or found is None:
            raise ValueError
        host, port = found[1], int(found[2] or HEP_PORT)
        name = host if is_valid_address(host) else domain(host)
        if name is None or not 0 < port < 65_536:
            raise ValueError
        return HepServer(transport, name, port)

    return FromText("udp, tcp or tls:host:port, such as udp:192.0.2.5:9060", read)


def ip() -> FromText:
    """Read one IP address without port; IPv6 with or without brackets."""

    def read(text: str) -> str:
        host, port = _host_port(text)
        if port is not None or host.is_unspecified:
            raise ValueError
        return str(host)

    return FromText("an IP address without port", read)


def ip_or_name() -> FromText:
    """Read one IP address, or the name of a host, without port; IPv6 with or without brackets."""

    def read(text: str) -> str:
        name = domain(text)
        if name is not None and name != "localhost":
            return name
        host, port = _host_port(text)
        if port is not None or host.is_unspecified:
            raise ValueError
        return str(host)

    return FromText("an IP address or a name, without port", read)


def http_listener(usual: int) -> FromText:
    """Read ``address:port`` of a socket to listen on; ``usual`` is the port of the example."""

    def read(text: str) -> HttpListener:
        host, port = _host_port(text, is_ours=True)
        if port is None:
            raise ValueError
        return HttpListener(str(host), port)

    return FromText(f"address:port, such as 127.0.0.1:{usual} or [::1]:{usual}", read)


def network() -> FromText:
    """Read a network, or an address alone."""

    def read(text: str) -> IPv4Network | IPv6Network:
        return _network(text) if "/" in text else ip_network(_ip(text))

    return FromText("an address or a network, such as 192.0.2.0/24", read)


def name_server() -> FromText:
    """Read the address of a name server, with optional port."""

    def read(text: str) -> NameServer:
        host, port = _host_port(text)
        if host.is_unspecified:
            raise ValueError
        return NameServer(str(host), port or DNS_PORT)

    return FromText("an IP address or address:port, such as 192.0.2.53 or [2001:db8::53]:53", read)


def destination() -> FromText:
    """Read the destination of a vendor's packets: address or name, optional port, optional ``;transport=``."""

    def read(text: str) -> Address:
        place, *parameters = text.split(";")
        transport = None
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.lower() != "transport" or transport is not None:
                raise ValueError
            transport = _transport(value)
        written, port = _split_port(place)
        name = domain(written)
        if name is not None and name != "localhost":
            return Address(name, port, transport)
        host = _ip(written)
        if host.is_unspecified:
            raise ValueError
        if is_link_local(str(host)):
            raise ExpectedError(_NO_LINK)
        return Address(plain_host(str(host)), port or DEFAULT_PORTS[transport or "udp"], transport)

    return FromText(
        "an address or name, with a port or without, such as 192.0.2.7:5060, [2001:db8::7] or sip.example.net, "
        "and ;transport=udp, tcp or tls after it where that is fixed",
        read,
    )


def source(*, may_be_name: bool) -> FromText:
    """Read the source of a customer's packets: address, network or name, with a port but for a network."""

    def read(text: str) -> HostPattern | HostName:
        if "/" in text:
            return HostPattern(_network(text), None)
        written, port = _split_port(text)
        name = domain(written) if may_be_name else None
        if name is not None and name != "localhost":
            return HostName(name, port)
        return HostPattern(ip_network(_ip(written)), port)

    if not may_be_name:
        return FromText("an address, a network or address:port, such as 192.0.2.0/24, and no name", read)
    return FromText("an address, a network, a name, address:port or name:port, such as 192.0.2.0/24", read)


def _host_port(text: str, *, is_ours: bool = False) -> _HostPort:
    written, port = _split_port(text)
    return _HostPort(_ip(written, is_ours=is_ours), port)


def _split_port(text: str) -> tuple[str, int | None]:
    """Return the host, without brackets, and the port behind it."""
    if text.count(":") > 1 and not text.startswith("["):
        return text, None
    match = _BRACKETED.match(text) or _PLAIN.match(text)
    if not match:
        raise ValueError
    port = None if match[2] is None else int(match[2])
    if port is not None and not 1 <= port <= 65_535:
        raise ExpectedError("a port from 1 to 65535")
    return match[1], port


def _ip(text: str, *, is_ours: bool = False) -> IPv4Address | IPv6Address:
    """Return an address; ``is_ours``: of a socket to listen on."""
    if text.lower() == "localhost":
        return IPv4Address("127.0.0.1")
    try:
        address = ip_address(text)
    except ValueError:
        if domain(text) is not None:
            raise ExpectedError(_LISTENED_ON if is_ours else _NO_NAME) from None
        raise
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise ExpectedError(_NO_LINK)
    return address


def _network(text: str) -> IPv4Network | IPv6Network:
    address, _, length = text.partition("/")
    if not (length.isascii() and length.isdigit()):
        return _any_network(text)
    try:  # several times as fast, and nearly all have this form
        return IPv4Network((inet_pton(AF_INET, address), int(length)))
    except (ValueError, OSError):
        return _any_network(text)


def _any_network(text: str) -> IPv4Network | IPv6Network:
    network = ip_network(text, strict=False)
    if network.network_address != ip_address(text.partition("/")[0]):
        raise ExpectedError(f"a network without host bits: did you mean {network}?")
    return network


def _transport(written: str) -> str:
    transport = written.lower()
    if transport not in _TRANSPORTS:
        raise ValueError
    return transport
