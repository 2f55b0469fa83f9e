"""Whether the switch has a socket for what each vendor's packets need: transport, and kind of address."""

from collections.abc import Sequence

from vosd.base.host import is_address
from vosd.config.assembly.inventory import Inventory, Written, place_of
from vosd.config.keys.objects import RoutingGatewayKeys
from vosd.config.reader.problems import ProblemList
from vosd.engine.settings import Listener
from vosd.trunks.gateways import Address


def check_destinations(
    gateways: Inventory[RoutingGatewayKeys], listen: Sequence[Listener], problems: ProblemList
) -> None:
    """Note each gateway that no socket of ``sip.listen`` can send to."""
    for written in gateways.written.values():
        for address in written.thing.address:
            _check(written, address, "address", listen, problems)
        if written.thing.registration.server is not None:
            _check(written, written.thing.registration.server, "register", listen, problems)


def _check(
    written: Written[RoutingGatewayKeys],
    address: Address,
    named: str,
    listen: Sequence[Listener],
    problems: ProblemList,
) -> None:
    place, key = place_of(written.section, named), f"{written.label}.{named}"
    fitting = [each for each in listen if address.transport in {None, each.transport}]
    if not fitting:
        expected = f"a {address.transport} socket in sip.listen beside it: what goes to a vendor leaves from there"
        problems.error(place, key, expected, f"{address.host};transport={address.transport}")
    elif is_address(address.host) and not any((":" in each.host) is (":" in address.host) for each in fitting):
        family = "IPv6" if ":" in address.host else "IPv4"
        problems.warning(place, key, f"a socket with an {family} address in sip.listen beside it", address.host)
