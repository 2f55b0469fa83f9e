"""What phones and trunks share and must not share: names in the records, and user names."""

from collections.abc import Collection, Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Final

from vosd.base.number import for_matching
from vosd.config.assembly.inventory import Inventory, Written, place_of
from vosd.config.keys.objects import MappingGatewayKeys, RoutingGatewayKeys
from vosd.config.keys.phones import PhoneKeys
from vosd.config.reader.problems import Place, ProblemList, suggestion
from vosd.trunks.gateways import HostPattern, MappingGateway

_SITE_BITS: Final = {4: 24, 6: 64}
"""By version of IP: a network with a shorter prefix is hardly one customer's."""


def check_names(phones: Inventory[PhoneKeys], gateways: Iterable[Inventory[Any]], problems: ProblemList) -> None:
    """Note each phone whose number is the name of a gateway: limits and records know both by that name."""
    for inventory in gateways:
        for number, written in phones.written.items():
            namesake = inventory.written.get(number)
            if namesake is not None:
                expected = f"another number, or another name for the {inventory.kind} at {namesake.section.place}"
                problems.error(place_of(written.section, "number"), f"{written.label}.number", expected, number)


def check_dynamic_names(
    vendors: Inventory[RoutingGatewayKeys], customers: Inventory[MappingGatewayKeys], problems: ProblemList
) -> None:
    """Note each vendor that registers under the name of a customer: registrations know both by that name."""
    for name, written in vendors.written.items():
        namesake = customers.written.get(name)
        if namesake is not None and written.thing.dynamic.is_given:
            expected = f"another name than that of the mapping gateway at {namesake.section.place}, as it registers"
            problems.error(place_of(written.section, "name"), f"{written.label}.name", expected, name)


def check_numbers(phones: Inventory[PhoneKeys], problems: ProblemList) -> None:
    """Note each phone that is dialled like an earlier one: a leading plus sign makes no other number."""
    by_dialled: dict[str, Written[PhoneKeys]] = {}
    for number, written in phones.written.items():
        first = by_dialled.setdefault(for_matching(number), written)
        if first is not written:
            place = place_of(first.section, "number")
            expected = f"another number than that of {first.label} at {place}: a leading + is dropped"
            problems.error(place_of(written.section, "number"), f"{written.label}.number", expected, number)


def check_offline_gateway(name: str | None, gateways: Inventory[Any], place: Place, problems: ProblemList) -> None:
    """Note an ``offline_gateway`` of all phones that is no routing gateway."""
    if name is not None and name not in gateways.written and name not in gateways.broken:
        names = [*gateways.written, *gateways.broken]
        near = suggestion(name, names) if names else "there is none yet"
        problems.error(place, "offline_gateway", f"the name of a routing gateway; {near}", name)


def check_neighbours(
    gateways: Iterable[MappingGateway],
    users: Iterable[MappingGateway],
    written: Mapping[str, Written[object]],
    problems: ProblemList,
) -> None:
    """Warn of trunks that whoever calls from a wide network is taken for, where phones may be in it."""
    places = [user.hosts for user in users]
    for gateway in gateways:
        wide = (
            [pattern.network for pattern in gateway.hosts if _is_wide(pattern)] if gateway.credentials is None else []
        )
        for network in wide:
            if any(_may_be_in(network, hosts) for hosts in places):
                section, label = written[gateway.name].section, written[gateway.name].label
                expected = "narrower hosts, or auth: a phone that calls from there unregistered counts as this trunk"
                problems.warning(place_of(section, "hosts"), f"{label}.hosts", expected, str(network))


def _is_wide(pattern: HostPattern) -> bool:
    return pattern.port is None and pattern.network.prefixlen < _SITE_BITS[pattern.network.version]


def _may_be_in(network: IPv4Network | IPv6Network, hosts: Collection[HostPattern]) -> bool:
    """Say whether somebody with these hosts may be in a network; without any it may be anywhere."""
    return not hosts or any(_overlap(network, pattern.network) for pattern in hosts)


def _overlap(one: IPv4Network | IPv6Network, other: IPv4Network | IPv6Network) -> bool:
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.overlaps(other)
    return isinstance(other, IPv6Network) and one.overlaps(other)


def by_username(
    gateways: Iterable[MappingGateway], written: Mapping[str, Written[object]], problems: ProblemList
) -> dict[str, dict[str, MappingGateway]]:
    """Index who proves who it is by domain and user name; of two with the same the later is noted and left out.

    Without a domain of its own it is under the empty one, which is always there.
    """
    domains: dict[str, dict[str, MappingGateway]] = {"": {}}
    for gateway in gateways:
        if gateway.credentials is None:
            continue
        username = gateway.credentials.username
        users = domains.setdefault(gateway.credentials.domain, {})
        first = users.setdefault(username, gateway)
        if first is not gateway:
            second = written[gateway.name]
            place = written[first.name].section.place
            expected = f"another domain, or a username that differs from that of {first.name!r} at {place}"
            problems.error(second.section.place, f"{second.label}.username", expected, username)
    return domains
