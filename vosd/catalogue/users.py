"""Names and user names of trunks and phones: which must be unique, and index of those that prove who they are."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Final

from vosd.base.networks import Network, NetworkTable
from vosd.base.number import for_matching
from vosd.catalogue.problems import ProblemList
from vosd.catalogue.source import Definition, Definitions
from vosd.routing.special_numbers import SpecialNumbers
from vosd.trunks.gateways import HostPattern, MappingGateway, RoutingGateway
from vosd.trunks.phone import Phone

SITE_BITS: Final = {4: 24, 6: 64}
"""By version of IP: a network with a shorter prefix probably belongs to more than one customer."""


def check_names(phones: Definitions[Phone], gateways: Iterable[Definitions[Any]], problems: ProblemList) -> None:
    """Report each phone whose number is the name of a gateway: limits and CDRs identify both by that name."""
    for others in gateways:
        for number, phone in phones.sound.items():
            namesake = others.sound.get(number)
            if namesake is not None:
                expected = f"another number, or another name for the {others.kind} at {namesake.origin.place}"
                problems.error(*phone.at("number"), expected, number)


def check_dynamic_names(
    vendors: Definitions[RoutingGateway], customers: Definitions[MappingGateway], problems: ProblemList
) -> None:
    """Report each vendor that registers under the name of a customer: registrations identify both by that name."""
    for name, vendor in vendors.sound.items():
        namesake = customers.sound.get(name)
        if namesake is not None and vendor.value.credentials is not None:
            expected = f"another name than that of the mapping gateway at {namesake.origin.place}, as it registers"
            problems.error(*vendor.at("name"), expected, name)


def check_numbers(phones: Definitions[Phone], special: SpecialNumbers, problems: ProblemList) -> None:
    """Report each phone with an emergency number, or one that differs from an earlier one by a plus sign only."""
    by_dialled: dict[str, Definition[Phone]] = {}
    for number, phone in phones.sound.items():
        first = by_dialled.setdefault(for_matching(number), phone)
        if first is not phone:
            place = first.origin.place_of("number")
            expected = f"another number than that of {first.label} at {place}: a leading + is dropped"
            problems.error(*phone.at("number"), expected, number)
        bare = for_matching(number)
        if special.is_emergency(special.billed(bare, special.strip_digits)):
            expected = "no emergency number, for calls to it would ring here alone (routing.emergency_numbers has all)"
            problems.error(*phone.at("number"), expected, number)


def check_networks(
    gateways: Iterable[MappingGateway],
    users: Iterable[MappingGateway],
    definitions: Mapping[str, Definition[object]],
    problems: ProblemList,
) -> None:
    """Warn of wide networks of trunks that may contain users: an unregistered phone there counts as the trunk."""
    wide = [(gateway, network) for gateway in gateways for network in wide_networks(gateway)]
    if not wide:
        return
    hosts_of_users = [user.hosts for user in users]
    is_anywhere = not all(hosts_of_users)
    of_users = NetworkTable((pattern.network, None) for hosts in hosts_of_users for pattern in hosts)
    for gateway, network in wide:
        if is_anywhere or of_users.meeting(network) is not None:
            expected = "narrower hosts, or auth: a phone that calls from there unregistered counts as this trunk"
            problems.warning(*definitions[gateway.name].at("hosts"), expected, str(network))


def wide_networks(gateway: MappingGateway) -> list[IPv4Network | IPv6Network]:
    """Return the networks of a trunk without credentials that probably belong to more than one customer."""
    if gateway.credentials is not None:
        return []
    return [pattern.network for pattern in gateway.hosts if _is_wide(pattern)]


def _is_wide(pattern: HostPattern) -> bool:
    return pattern.port is None and pattern.network.prefixlen < SITE_BITS[pattern.network.version]


class UserSources:
    """The networks and ports that phones send from, each once: the phones of an office have the same."""

    def __init__(self, phones: Iterable[MappingGateway]) -> None:
        networks: dict[int | None, list[tuple[Network, None]]] = defaultdict(list)
        for network, port in {pattern for phone in phones for pattern in phone.hosts}:
            networks[port].append((network, None))
        self._by_port = {port: NetworkTable(each) for port, each in networks.items()}
        """By port; None = any."""

    def knows(self, host: str, port: int) -> bool:
        """Return whether any phone may send from ``host``:``port``.

        Raises:
            ValueError: ``host`` is not an IP address.
        """
        tables = [self._by_port[each] for each in (None, port) if each in self._by_port]
        return any(table.longest(host) is not None for table in tables)


def user_sources(users: Iterable[MappingGateway], phones: Iterable[MappingGateway]) -> UserSources | None:
    """Return the addresses of phones; None where one of the ``users``, all that have credentials, may be anywhere."""
    return None if any(each.may_be_anywhere for each in users) else UserSources(phones)


def by_username(
    gateways: Iterable[MappingGateway], definitions: Mapping[str, Definition[object]], problems: ProblemList
) -> dict[str, dict[str, MappingGateway]]:
    """Index gateways with credentials by domain and user name; of two with the same the later is reported and left out.

    Those without a domain of their own are under the empty domain, which is always present.
    """
    domains: dict[str, dict[str, MappingGateway]] = {"": {}}
    for gateway in gateways:
        if gateway.credentials is None:
            continue
        username = gateway.credentials.username
        users = domains.setdefault(gateway.credentials.domain, {})
        first = users.setdefault(username, gateway)
        if first is not gateway:
            second = definitions[gateway.name]
            place = definitions[first.name].origin.place
            expected = f"another domain, or a username that differs from that of {first.name!r} at {place}"
            problems.error(second.origin.place, f"{second.label}.username", expected, username)
    return domains
