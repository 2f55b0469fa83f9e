"""Sources that an agent gives to mapping gateways: they are no other customer's, so that its calls stay its own."""

from collections.abc import Set
from typing import TYPE_CHECKING, Final, NamedTuple

from vosd.catalogue.problems import ProblemList, SourceLine

if TYPE_CHECKING:
    from vosd.catalogue.catalogue import Catalogue  # these import much
    from vosd.trunks.gateways import MappingGateway

_IN_THE_DATABASE: Final = SourceLine("", 0)


class AgentSources(NamedTuple):
    """Mapping gateways that get other sources by the order of an agent."""

    agent: str
    gateways: Set[str]


def check_sources(catalogue: "Catalogue", wanted: AgentSources, problems: ProblemList) -> None:
    """Report sources that an agent may not give to its gateways, in a catalogue in which these have them.

    Names are none for agents: they may stand for the address of another customer later.
    """
    for name in sorted(wanted.gateways):
        gateway = catalogue.mapping_gateways[name]
        key = f"mapping_gateways[{name}].hosts"
        for host in gateway.named_hosts:
            problems.error(_IN_THE_DATABASE, key, "addresses and networks, no names", str(host))
        for pattern, other in catalogue.sources.met_by(gateway):
            if not _is_below(catalogue, other, wanted.agent):
                expected = "an address from which no other customer calls"
                problems.error(_IN_THE_DATABASE, key, expected, str(pattern.network))


def _is_below(catalogue: "Catalogue", gateway: "MappingGateway", agent: str) -> bool:
    above = catalogue.agents.get(gateway.account, ())
    return gateway.account == agent or any(each.id == agent for each in above)
