"""Domains that agents give to users: those that operators gave to their tree, and none that others name."""

from typing import Final

from doubles.data.builders import account, credentials, mapping_gateway, phone
from doubles.data.sources import source

from vosd.catalogue.agent_domains import AgentDomains, check_domains_of_agent
from vosd.catalogue.assemble import assemble
from vosd.catalogue.problems import ProblemList

TREE: Final = {"top": None, "south": "top", "leaf": "south", "foreign": None}
USERS: Final = {
    "7001": ("leaf", "leaf.example"),
    "7002": ("leaf", "leaf.example"),
    "7003": ("south", "switch.example"),
    "7004": ("foreign", "foreign.example"),
    "7005": ("leaf", ""),
    "7006": ("leaf", "foreign.example"),
    "pbx": ("leaf", "leaf.example"),
    "office": ("leaf", "switch.example"),
    "north": ("top", "top.example"),
}
"""Account and domain of phones and gateways."""


def refused(*names: str, agent: str = "south") -> list[str]:
    """Return the keys of users that may not have their domain by an order of an agent."""
    accounts = [account(name, agent=above, rate_group=None) for name, above in TREE.items()]
    users = [
        (phone if name.isdigit() else mapping_gateway)(
            name, account=owner, credentials=credentials(name, "secret", domain=domain)
        )
        for name, (owner, domain) in USERS.items()
    ]
    found, problems = ProblemList(), ProblemList()
    catalogue = assemble(source("database", *accounts, *users), found)
    assert not found.has_errors, [*map(str, found.in_order())]
    phones = [each for each in names if each.isdigit()]
    wanted = AgentDomains(agent, phones, [each for each in names if not each.isdigit()])
    check_domains_of_agent(catalogue, wanted, problems)
    return [each.key for each in problems.in_order()]


def test_a_domain_that_a_user_of_the_tree_has_is_given_to_others() -> None:
    assert refused() == []
    assert refused("7001", "pbx") == []
    assert refused("7001", agent="top") == []
    assert refused("7005") == [], "none"


def test_a_domain_that_no_other_user_of_the_tree_has_is_not_given() -> None:
    """It may be the name by which the phones of all others call the switch, or the domain of another customer."""
    assert refused("7003", "office") == ["phones[7003].domain", "mapping_gateways[office].auth.domain"]
    assert refused("7006") == ["phones[7006].domain"]
    assert refused("7001", "7002", "pbx") == [
        "phones[7001].domain",
        "phones[7002].domain",
        "mapping_gateways[pbx].auth.domain",
    ], "one of these does not give it to the others"
    assert refused("north", agent="south") == ["mapping_gateways[north].auth.domain"]
