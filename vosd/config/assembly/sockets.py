"""Routing gateways and servers against the sockets of ``sip.listen``: each needs one that reaches its addresses."""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address
from typing import Final, NamedTuple

from vosd.base.host import bracketed, is_address
from vosd.catalogue.problems import ProblemList, SourceLine
from vosd.catalogue.source import Origin
from vosd.config.assembly.inventory import Written
from vosd.config.assembly.trunk_tls import identity_name, own_identity
from vosd.config.keys.installation import InstallationKeys
from vosd.config.keys.trunks import RoutingGatewayKeys
from vosd.engine.settings import SipListener
from vosd.net.settings import TlsIdentity
from vosd.trunks.gateways import Address

_AFTER_RESTART: Final = "a socket that is open: vosd restart opens one that was added to sip.listen; do this again then"


class Reach(NamedTuple):
    """Addresses of a routing gateway, and the socket that it is called from."""

    label: str
    origin: Origin
    interface: SipListener | None
    addresses: tuple[Address, ...]
    server: Address | None
    """Address of the server at which we register."""
    tls: str = ""
    """Name of the identity that it is connected with."""
    own_tls: TlsIdentity | None = None
    """That identity, where its own ``tls`` has it."""

    def at(self, key: str) -> tuple[SourceLine, str]:
        """Return the place of a key, and what messages call it."""
        return self.origin.place_of(key), f"{self.label}.{key}" if self.label else key


def reach_of(written: Written[RoutingGatewayKeys]) -> Reach:
    """Return where a routing gateway is."""
    keys = written.thing
    return Reach(
        written.label,
        written.section,
        keys.interface,
        keys.address,
        keys.registration.server,
        identity_name(written),
        own_identity(written),
    )


def check_sockets(gateways: Sequence[Reach], keys: InstallationKeys, origin: Origin, problems: ProblemList) -> None:
    """Report each gateway and server that the sockets of ``sip.listen`` cannot reach, and vendors that are one."""
    check_interfaces(gateways, keys.sip.listen, problems)
    check_destinations(gateways, keys.sip.listen, problems)
    check_identities(gateways, [each.name for each in keys.sip.tls.identities], problems)
    check_servers(keys, origin, problems)


def check_open_sockets(
    gateways: Iterable[Reach],
    keys: InstallationKeys,
    opened: Sequence[SipListener] | None,
    origin: Origin,
    problems: ProblemList,
) -> None:
    """Report what needs a socket of ``sip.listen`` that is not open: another one would send in clear what wants TLS.

    ``opened`` are the sockets of the running switch; None = those of ``sip.listen`` will be opened.
    """
    if opened is None:
        return
    for gateway in gateways:
        if gateway.interface is not None and gateway.interface not in opened:
            problems.error(*gateway.at("interface"), _AFTER_RESTART, str(gateway.interface))
        servers = () if gateway.server is None else (gateway.server,)
        for key, addresses in (("address", gateway.addresses), ("register", servers)):
            for address in addresses:
                _check_open(address, gateway, key, opened, problems)
    for key, server in _servers(keys):
        _check_open(server, Reach("", origin, None, (), None), key, opened, problems)


def _check_open(address: Address, at: Reach, key: str, opened: Sequence[SipListener], problems: ProblemList) -> None:
    if address.transport is not None and not any(_reaches(each, address) for each in opened):
        problems.error(*at.at(key), _AFTER_RESTART, f"{address.host};transport={address.transport}")


def check_interfaces(gateways: Iterable[Reach], listen: Sequence[SipListener], problems: ProblemList) -> None:
    """Report each gateway whose ``interface`` is no socket of ours, or cannot reach its address."""
    for gateway in gateways:
        interface = gateway.interface
        if interface is None:
            continue
        if interface not in listen:
            _refuse(gateway, f"one of sip.listen: {', '.join(map(str, listen))}", interface, problems)
        for address in (*gateway.addresses, *(() if gateway.server is None else (gateway.server,))):
            if not _reaches(interface, address):
                wanted = f"a socket that can reach {address.host} by {address.transport or interface.transport}"
                _refuse(gateway, wanted, interface, problems)


def check_identities(gateways: Iterable[Reach], names: Sequence[str], problems: ProblemList) -> None:
    """Report each gateway whose ``tls`` is no identity, or that shares its address with one of another identity."""
    by_address: dict[Address, str] = {}
    for gateway in gateways:
        if gateway.tls and gateway.own_tls is None and gateway.tls not in names:
            known = ", ".join(names) or "there is none"
            problems.error(*gateway.at("tls"), f"one of sip.tls.identities: {known}", gateway.tls)
        for address in gateway.addresses:
            if address.transport == "tls" and by_address.setdefault(address, gateway.tls) != gateway.tls:
                expected = "the tls of the other gateway with this address: both share its connection"
                problems.error(*gateway.at("tls"), expected, gateway.tls)


def check_destinations(gateways: Iterable[Reach], listen: Sequence[SipListener], problems: ProblemList) -> None:
    """Report each gateway that no socket of ``sip.listen`` can send to."""
    for gateway in gateways:
        for address in gateway.addresses:
            _check(address, gateway, "address", listen, problems)
            _refuse_own(address, gateway, listen, problems)
        if gateway.server is not None:
            _check(gateway.server, gateway, "register", listen, problems)


def check_servers(keys: InstallationKeys, origin: Origin, problems: ProblemList) -> None:
    """Report each server that is asked about numbers by SIP and that no socket of ``sip.listen`` can send to."""
    for key, address in _servers(keys):
        _check(address, Reach("", origin, None, (), None), key, keys.sip.listen, problems)


def _servers(keys: InstallationKeys) -> Iterator[tuple[str, Address]]:
    if keys.number_portability.server is not None:
        yield "number_portability.server", keys.number_portability.server
    if keys.redirect_server.address is not None:
        yield "redirect_server.address", keys.redirect_server.address


def _refuse_own(address: Address, gateway: Reach, listen: Sequence[SipListener], problems: ProblemList) -> None:
    """Refuse a vendor at a socket of ours: its calls would come back to us."""
    if not is_address(address.host):
        return
    host = ip_address(address.host)
    for own in listen:
        is_here = ip_address(own.host) == host or (ip_address(own.host).is_unspecified and host.is_loopback)
        if is_here and address.port == own.port and address.transport in {None, own.transport}:
            expected = f"the address of the vendor: {own} is a socket of sip.listen, and its calls would come back"
            problems.error(*gateway.at("address"), expected, f"{bracketed(address.host)}:{address.port}")
            return


def _refuse(gateway: Reach, expected: str, interface: SipListener, problems: ProblemList) -> None:
    problems.error(*gateway.at("interface"), expected, str(interface))


def _reaches(interface: SipListener, address: Address) -> bool:
    """Return whether transport and address family fit; a name may have addresses of either family."""
    if address.transport not in {None, interface.transport}:
        return False
    try:
        return ip_address(address.host).version == ip_address(interface.host).version
    except ValueError:
        return True


def _check(address: Address, at: Reach, key: str, listen: Sequence[SipListener], problems: ProblemList) -> None:
    transport, family = address.transport, "IPv6" if ":" in address.host else "IPv4"
    if all(transport not in {None, each.transport} for each in listen):
        expected = f"a {transport} socket in sip.listen: packets to that place are sent from there"
        problems.error(*at.at(key), expected, f"{address.host};transport={transport}")
    elif any(_reaches(each, address) for each in listen):
        return
    elif transport in {None, "udp"}:
        problems.warning(*at.at(key), f"a socket with an {family} address in sip.listen", address.host)
    else:
        expected = f"a {transport} socket with an {family} address in sip.listen: no other one can send there"
        problems.error(*at.at(key), expected, f"{address.host};transport={transport}")
