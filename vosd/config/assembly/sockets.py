"""Routing gateways and servers against the sockets of ``sip.listen``: each needs one that reaches its addresses."""

from collections.abc import Sequence
from ipaddress import ip_address

from vosd.base.host import is_address
from vosd.catalogue.problems import Place, ProblemList
from vosd.catalogue.source import Origin
from vosd.config.assembly.inventory import Inventory, Written
from vosd.config.keys.installation import InstallationKeys
from vosd.config.keys.routing_gateways import RoutingGatewayKeys
from vosd.engine.settings import Listener
from vosd.trunks.gateways import Address


def check_interfaces(
    gateways: Inventory[RoutingGatewayKeys], listen: Sequence[Listener], problems: ProblemList
) -> None:
    """Report each gateway whose ``interface`` is no socket of ours, or cannot reach its address."""
    for written in gateways.written.values():
        interface = written.thing.interface
        if interface is None:
            continue
        if interface not in listen:
            _refuse(written, f"one of sip.listen: {', '.join(map(str, listen))}", interface, problems)
        server = written.thing.registration.server
        for address in (*written.thing.address, *(() if server is None else (server,))):
            if not _reaches(interface, address):
                wanted = f"a socket that can reach {address.host} by {address.transport or interface.transport}"
                _refuse(written, wanted, interface, problems)


def check_destinations(
    gateways: Inventory[RoutingGatewayKeys], listen: Sequence[Listener], problems: ProblemList
) -> None:
    """Report each gateway that no socket of ``sip.listen`` can send to."""
    for written in gateways.written.values():
        for address in written.thing.address:
            _check(address, *_at(written, "address"), listen, problems)
        if written.thing.registration.server is not None:
            _check(written.thing.registration.server, *_at(written, "register"), listen, problems)


def check_servers(keys: InstallationKeys, origin: Origin, problems: ProblemList) -> None:
    """Report each server that is asked about numbers by SIP and that no socket of ``sip.listen`` can send to."""
    servers = {
        "number_portability.server": keys.number_portability.server,
        "redirect_server.address": keys.redirect_server.address,
    }
    for key, address in servers.items():
        if address is not None:
            _check(address, origin.place_of(key), key, keys.sip.listen, problems)


def _at(written: Written[RoutingGatewayKeys], key: str) -> tuple[Place, str]:
    return written.section.place_of(key), f"{written.label}.{key}"


def _refuse(written: Written[RoutingGatewayKeys], expected: str, interface: Listener, problems: ProblemList) -> None:
    place = written.section.place_of("interface")
    problems.error(place, f"{written.label}.interface", expected, str(interface))


def _reaches(interface: Listener, address: Address) -> bool:
    """Return whether transport and address family fit; a name may have addresses of either family."""
    if address.transport not in {None, interface.transport}:
        return False
    try:
        return ip_address(address.host).version == ip_address(interface.host).version
    except ValueError:
        return True


def _check(address: Address, place: Place, key: str, listen: Sequence[Listener], problems: ProblemList) -> None:
    fitting = [each for each in listen if address.transport in {None, each.transport}]
    if not fitting:
        expected = f"a {address.transport} socket in sip.listen: packets to that place are sent from there"
        problems.error(place, key, expected, f"{address.host};transport={address.transport}")
    elif is_address(address.host) and not any((":" in each.host) is (":" in address.host) for each in fitting):
        family = "IPv6" if ":" in address.host else "IPv4"
        problems.warning(place, key, f"a socket with an {family} address in sip.listen", address.host)
