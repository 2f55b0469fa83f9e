"""Sources that an agent gives to mapping gateways: they are no other customer's, so that its calls stay its own."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final, NamedTuple

from vosd.catalogue.problems import ProblemList, SourceLine
from vosd.catalogue.users import SITE_BITS, wide_networks
from vosd.routing.other_sources import OtherSources
from vosd.trunks.gateways import HostPattern

if TYPE_CHECKING:
    from vosd.catalogue.catalogue import Catalogue  # these import much
    from vosd.trunks.gateways import MappingGateway

_IN_THE_DATABASE: Final = SourceLine("", 0)


class AgentSources(NamedTuple):
    """Mapping gateways that get other sources by the order of an agent."""

    agent: str
    gateways: Mapping[str, bool]
    """Names of the gateways, each with whether the agent gives it other hosts, and not only others their meaning."""
    addresses: Mapping[str, Sequence[str]] | None = None
    """Present addresses of gateways with names, by gateway; None = no switch runs that would know them."""
    unproven: frozenset[str] = frozenset()
    """Names of those whose credentials the agent changes: without any, their addresses are the only proof."""


def check_sources(catalogue: "Catalogue", wanted: AgentSources, problems: ProblemList) -> None:
    """Report sources that an agent may not give to its gateways, in a catalogue in which these have them.

    Names are none for agents: they may stand for the address of another customer later. Those that customers outside
    of its tree have count with all addresses that they stand for now, also with those that other gateways take.
    Wide networks are none without credentials: phones and trunks of others that prove who they are may be there, and
    their first INVITE would be the agent's. Those of a preset are the vendor's.
    """
    if not wanted.gateways:
        return
    addresses = wanted.addresses or {}
    is_below = cache(lambda account: _is_below(catalogue, account, wanted.agent))
    others = [
        each
        for name, each in catalogue.mapping_gateways.items()
        if name not in catalogue.phones and name not in wanted.gateways and not is_below(each.account)
    ]
    is_known = wanted.addresses is not None or not any(each.named_hosts for each in others)
    sources = OtherSources((pattern, each) for each in others for pattern in _patterns(each, addresses))
    for name, has_other_hosts in sorted(wanted.gateways.items()):
        gateway = catalogue.mapping_gateways[name]
        key = f"mapping_gateways[{name}].hosts"
        for host in gateway.named_hosts if has_other_hosts else ():
            problems.error(_IN_THE_DATABASE, key, "addresses and networks, no names", str(host))
        if gateway.hosts and not is_known:
            expected = "a running switch, which knows the addresses of names of other customers"
            problems.error(_IN_THE_DATABASE, key, expected)
        for network in wide_networks(gateway) if has_other_hosts or name in wanted.unproven else ():
            expected = f"networks with {SITE_BITS[4]} bits (IPv6: {SITE_BITS[6]}) or more, or auth"
            problems.error(_IN_THE_DATABASE, key, expected, str(network))
        for pattern in _patterns(gateway, addresses):
            if sources.met_by(pattern, proves=gateway.credentials is not None) is not None:
                expected = "an address from which no other customer calls"
                problems.error(_IN_THE_DATABASE, key, expected, str(pattern.network))


def _patterns(gateway: "MappingGateway", addresses: Mapping[str, Iterable[str]]) -> Iterator[HostPattern]:
    """Yield the sources of a gateway, those of its names by their present addresses."""
    yield from gateway.hosts
    for name in gateway.named_hosts:
        for address in addresses.get(gateway.name, ()):
            yield HostPattern(ip_network(address), name.port)


def _is_below(catalogue: "Catalogue", account: str, agent: str) -> bool:
    return account == agent or any(each.id == agent for each in catalogue.agents.get(account, ()))
