"""Sources that an agent gives to mapping gateways: they are no other customer's, so that its calls stay its own."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from vosd.catalogue.problems import ProblemList, SourceLine

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


def check_sources(catalogue: "Catalogue", wanted: AgentSources, problems: ProblemList) -> None:
    """Report sources that an agent may not give to its gateways, in a catalogue in which these have them.

    Names are none for agents: they may stand for the address of another customer later.
    """
    named = catalogue.sources.named.values()
    is_known = wanted.addresses is not None or all(_is_below(catalogue, each, wanted.agent) for each in named)
    for name, has_other_hosts in sorted(wanted.gateways.items()):
        gateway = catalogue.mapping_gateways[name]
        key = f"mapping_gateways[{name}].hosts"
        for host in gateway.named_hosts if has_other_hosts else ():
            problems.error(_IN_THE_DATABASE, key, "addresses and networks, no names", str(host))
        if gateway.hosts and not is_known:
            expected = "a running switch, which knows the addresses of names of other customers"
            problems.error(_IN_THE_DATABASE, key, expected)
        for pattern, other in catalogue.sources.met_by(gateway, wanted.addresses or {}):
            if not _is_below(catalogue, other, wanted.agent):
                expected = "an address from which no other customer calls"
                problems.error(_IN_THE_DATABASE, key, expected, str(pattern.network))


def _is_below(catalogue: "Catalogue", gateway: "MappingGateway", agent: str) -> bool:
    above = catalogue.agents.get(gateway.account, ())
    return gateway.account == agent or any(each.id == agent for each in above)
