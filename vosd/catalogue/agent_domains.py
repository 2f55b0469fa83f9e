"""Domains that an agent gives to users: those that an operator has given to its tree, so that no other user is in them.

A request whose address of record names a domain is of the users of that domain alone. Telephones without a domain name
the switch by any name that leads to it: a host name, an address, that of a NAT. An agent that made such a name a
domain would lock all of these out, with right passwords.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Final, NamedTuple

from vosd.catalogue.problems import ProblemList, SourceLine

if TYPE_CHECKING:
    from vosd.catalogue.catalogue import Catalogue  # it imports much

_IN_THE_DATABASE: Final = SourceLine("", 0)
_EXPECTED: Final = (
    "a domain that an operator has given to a phone or gateway of your accounts, or none: all that name it in their"
    " addresses would have to be its users"
)


class AgentDomains(NamedTuple):
    """Users that get another domain by an order of an agent."""

    agent: str
    phones: Collection[str]
    gateways: Collection[str]
    """Mapping gateways with ``auth``."""


def check_domains_of_agent(catalogue: "Catalogue", wanted: AgentDomains, problems: ProblemList) -> None:
    """Report domains that an agent may not give, in a catalogue in which its phones and gateways have them."""
    if not (wanted.phones or wanted.gateways):
        return
    tree = {
        wanted.agent,
        *(name for name, above in catalogue.agents.items() if any(each.id == wanted.agent for each in above)),
    }
    given = {
        user.credentials.domain
        for name, user in catalogue.mapping_gateways.items()
        if user.credentials is not None
        and user.account in tree
        and name not in wanted.phones
        and name not in wanted.gateways
    }
    for kind, key, names in (("phones", "domain", wanted.phones), ("mapping_gateways", "auth.domain", wanted.gateways)):
        for name in sorted(names):
            credentials = catalogue.mapping_gateways[name].credentials
            domain = "" if credentials is None else credentials.domain
            if domain and domain not in given:
                problems.error(_IN_THE_DATABASE, f"{kind}[{name}].{key}", _EXPECTED, domain)
