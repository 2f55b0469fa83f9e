"""Sources that agents give to gateways of their customers: which ones are another customer's."""

import pytest
from doubles.data.builders import account, mapping_gateway
from doubles.data.sources import source

from vosd.catalogue.agent_sources import AgentSources, check_sources
from vosd.catalogue.assemble import assemble
from vosd.catalogue.problems import ProblemList
from vosd.trunks.gateways import HostName

NAMED = mapping_gateway("named", account="foreign", named_hosts=(HostName("pbx.foreign.example", None),))
RESOLVED = {"named": ["203.0.113.9"]}
NAME = (HostName("pbx.leaf.example", None),)


def problems_of(wanted: AgentSources, *hosts: str, named_hosts: tuple[HostName, ...] = ()) -> list[str]:
    mine = mapping_gateway("mine", *hosts, account="leaf", named_hosts=named_hosts)
    accounts = account("south"), account("leaf", agent="south"), account("foreign")
    catalogue = assemble([source("database", *accounts, NAMED, mine)], ProblemList())
    problems = ProblemList()
    check_sources(catalogue, wanted, problems)
    return [each.expected for each in problems.in_order()]


def test_an_address_that_a_name_of_another_customer_has_now_is_none_for_an_agent() -> None:
    taken = ["an address from which no other customer calls"]
    south = AgentSources("south", {"mine": True}, RESOLVED)
    assert problems_of(south, "203.0.113.0/24") == taken
    assert problems_of(south, "203.0.113.10") == []
    assert problems_of(south._replace(agent="foreign"), "203.0.113.9") == []


def test_without_a_switch_that_knows_the_addresses_of_names_an_agent_gives_none_beside_them() -> None:
    unknown = AgentSources("south", {"mine": True})
    assert problems_of(unknown, "203.0.113.10") == [
        "a running switch, which knows the addresses of names of other customers"
    ]
    assert problems_of(unknown._replace(agent="foreign"), "203.0.113.10") == []


@pytest.mark.parametrize("has_other_hosts", [True, False])
def test_a_name_that_an_operator_gave_stays_where_the_agent_sets_no_hosts(*, has_other_hosts: bool) -> None:
    found = problems_of(AgentSources("south", {"mine": has_other_hosts}, RESOLVED), named_hosts=NAME)
    assert found == (["addresses and networks, no names"] if has_other_hosts else [])
