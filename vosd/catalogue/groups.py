"""Groups of addresses and of routing gateways: their members must exist, and take the place of the group's name."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import msgspec

from vosd.catalogue.problems import ProblemList
from vosd.catalogue.source import CatalogueSource, Definition, row_key
from vosd.routing.plan import RouteRow, RoutingPlan
from vosd.trunks.gateways import MappingGateway, RoutingGateway
from vosd.trunks.scope import SharedLimit


def with_named_groups(source: CatalogueSource) -> CatalogueSource:
    """Return the definitions with gateway groups that have the routing gateways which name them."""
    named = [each.value for each in source.routing_gateways.sound.values() if each.value.groups]
    if not named:
        return source
    joined = dict(source.gateway_groups.sound)
    for name, group in joined.items():
        gateways = group.value.gateways | {each.name for each in named if name in each.groups}
        joined[name] = msgspec.structs.replace(group, value=msgspec.structs.replace(group.value, gateways=gateways))
    return replace(source, gateway_groups=replace(source.gateway_groups, sound=joined))


def check_groups(source: CatalogueSource, problems: ProblemList) -> None:
    """Check that gateway groups have members which exist, and that none has the name of a routing gateway."""
    is_whole = not (source.routing_gateways.broken or source.mapping_gateways.broken)  # which may be those that name it
    for name, group in source.gateway_groups.sound.items():
        if is_whole and not (group.value.gateways or _has_customers(name, source)):
            problems.error(*group.at("gateways"), "at least one gateway, which may name the group in its groups")
        for member in sorted(group.value.gateways):
            source.routing_gateways.find(member, group, "gateways", problems)
        namesake = source.routing_gateways.sound.get(name)
        if namesake is not None:
            expected = f"another name than that of the routing gateway at {namesake.origin.place}"
            problems.error(*group.at("name"), expected, name)


def _has_customers(group: str, source: CatalogueSource) -> bool:
    return any(group in each.value.groups for each in source.mapping_gateways.sound.values())


def check_gateways_named(
    names: Iterable[str], named_by: Definition[object], key: str, source: CatalogueSource, problems: ProblemList
) -> None:
    """Report each name that is neither one of a routing gateway nor one of a group with routing gateways."""
    groups, vendors = source.gateway_groups, source.routing_gateways
    for name in sorted(names):
        group = groups.sound.get(name)
        if group is not None and not (group.value.gateways or vendors.broken):
            problems.error(*named_by.at(key), "a gateway group with routing gateways", name)
        elif group is None and name not in groups.broken:
            vendors.find(name, named_by, key, problems)


def check_rows_of_groups(plan: Definition[RoutingPlan], source: CatalogueSource, problems: ProblemList) -> None:
    """Report lines of a plan's routes that name a group and say what only a single gateway can have."""
    for index, row in enumerate(plan.value.routes or ()):
        for key, value in (("percent", row.percent), ("max_calls", row.max_calls)):
            if value is not None and row.gateway in source.gateway_groups.sound:
                expected = f"a routing gateway beside {key}: {row.gateway!r} is a group, which has limits of its own"
                problems.error(*plan.at(f"{row_key(index)}.{key}"), expected, str(value))


def check_own_groups(
    gateway: Definition[RoutingGateway] | Definition[MappingGateway], source: CatalogueSource, problems: ProblemList
) -> None:
    """Report groups that a gateway names and that do not exist."""
    for name in sorted(gateway.value.groups):
        source.gateway_groups.find(name, gateway, "groups", problems)


def members(name: str, source: CatalogueSource) -> frozenset[str]:
    """Return the routing gateways of a group; of a gateway its own name."""
    group = source.gateway_groups.sound.get(name)
    return frozenset({name}) if group is None else group.value.gateways


def with_members(plan: RoutingPlan, source: CatalogueSource) -> RoutingPlan:
    """Return a plan that names the gateways of its groups; a line with a group becomes one for each of its gateways."""
    if not source.gateway_groups.sound:
        return plan
    gateways = plan.gateways
    if gateways is not None:
        gateways = frozenset(member for name in gateways for member in members(name, source))
    routes = None if plan.routes is None else tuple(_by_member(plan.routes, source))
    return msgspec.structs.replace(plan, gateways=gateways, routes=routes)


def _by_member(routes: Iterable[RouteRow], source: CatalogueSource) -> Iterator[RouteRow]:
    for row in routes:
        if row.gateway in source.gateway_groups.sound:
            for member in sorted(members(row.gateway, source)):
                yield msgspec.structs.replace(row, gateway=member)
        else:
            yield row


def groups_of(gateway: str, source: CatalogueSource) -> tuple[frozenset[str], tuple[SharedLimit, ...]]:
    """Return the groups that a routing gateway is in, and their limits."""
    found = [each.value for each in source.gateway_groups.sound.values() if gateway in each.value.gateways]
    return frozenset(each.name for each in found), tuple(each.limit for each in found if each.limit is not None)


def with_groups(gateway: MappingGateway, source: CatalogueSource) -> MappingGateway:
    """Return a mapping gateway with the sources of the address groups that it names, and the limits of its groups."""
    if gateway.groups:
        found = source.gateway_groups.sound
        limits = (found[name].value.limit for name in sorted(gateway.groups) if name in found)
        gateway = msgspec.structs.replace(gateway, shared_limits=tuple(each for each in limits if each is not None))
    if not gateway.address_groups:
        return gateway
    groups = [
        source.address_groups.sound[name].value
        for name in gateway.address_groups
        if name in source.address_groups.sound
    ]
    hosts = dict.fromkeys([*gateway.hosts, *(each for group in groups for each in group.hosts)])
    named = dict.fromkeys([*gateway.named_hosts, *(each for group in groups for each in group.named_hosts)])
    return msgspec.structs.replace(gateway, hosts=tuple(hosts), named_hosts=tuple(named))
