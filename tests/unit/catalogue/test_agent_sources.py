"""Sources that agents give to gateways of their customers: which ones are another customer's."""

import sys
from ipaddress import ip_network
from typing import Any

import pytest
from doubles.data.builders import account, credentials, mapping_gateway, phone
from doubles.data.sources import source

from vosd.catalogue.agent_sources import AgentSources, check_sources
from vosd.catalogue.assemble import assemble
from vosd.catalogue.problems import ProblemList
from vosd.trunks.gateways import HostName

NAMED = mapping_gateway("named", account="foreign", named_hosts=(HostName("pbx.foreign.example", None),))
OTHERS = (
    mapping_gateway("other", "10.0.0.0/24", account="foreign"),
    mapping_gateway("port", "10.0.1.0/24@5062", account="foreign", tech_prefix="9"),
    mapping_gateway("proves", "10.0.2.0/24", account="foreign", credentials=credentials("other", "secret")),
    phone("7001", "10.0.5.0/24", account="foreign"),
)
RESOLVED = {"named": ["203.0.113.9"]}
NAME = (HostName("pbx.leaf.example", None),)


def problems_of(wanted: AgentSources, *hosts: str, named_hosts: tuple[HostName, ...] = ()) -> list[str]:
    mine = mapping_gateway("mine", *hosts, account="leaf", named_hosts=named_hosts)
    accounts = account("south"), account("leaf", agent="south"), account("foreign")
    catalogue = assemble(source("database", *accounts, NAMED, mine), ProblemList())
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


@pytest.mark.parametrize(
    ("hosts", "refused"),
    [
        (["128.0.0.0/2", "198.51.100.0/24"], ["128.0.0.0/2"]),
        (["198.51.100.0/23"], ["198.51.100.0/23"]),
        (["2001:db8::/63", "2001:db8:1::/64"], ["2001:db8::/63"]),
        (["198.51.100.0/24", "198.51.101.7@5062"], []),
    ],
)
def test_an_agent_gives_no_wide_networks_in_which_users_of_others_may_be(hosts: list[str], refused: list[str]) -> None:
    """Phones and trunks with credentials may be anywhere: their first INVITE, without them, was the agent's call."""

    def found(wanted: AgentSources, **more: Any) -> list[str]:
        mine = mapping_gateway("mine", *hosts, account="leaf", **more)
        catalogue = assemble(source("database", account("south"), account("leaf", agent="south"), mine), ProblemList())
        problems = ProblemList()
        check_sources(catalogue, wanted, problems)
        return [each.value for each in problems.in_order()]

    assert found(AgentSources("south", {"mine": True})) == refused
    assert found(AgentSources("south", {"mine": True}), tech_prefix="7") == refused
    assert found(AgentSources("south", {"mine": False}, unproven=frozenset({"mine"}))) == refused
    assert found(AgentSources("south", {"mine": False})) == []  # of a preset, or an operator's
    assert found(AgentSources("south", {"mine": True}), credentials=credentials("one", "secret")) == []


@pytest.mark.parametrize("has_other_hosts", [True, False])
def test_a_name_that_an_operator_gave_stays_where_the_agent_sets_no_hosts(*, has_other_hosts: bool) -> None:
    found = problems_of(AgentSources("south", {"mine": has_other_hosts}, RESOLVED), named_hosts=NAME)
    assert found == (["addresses and networks, no names"] if has_other_hosts else [])


@pytest.mark.parametrize(
    ("hosts", "more", "met"),
    [
        (["10.0.0.1"], {}, ["10.0.0.1/32"]),
        (["10.0.0.1"], {"tech_prefix": "7"}, ["10.0.0.1/32"]),
        (["10.0.0.1@5062"], {}, ["10.0.0.1/32"]),
        (["::/0", "::ffff:10.0.0.0/121"], {}, [str(ip_network("::ffff:a00:0/121"))]),
        (["10.0.0.0/23@5060"], {}, ["10.0.0.0/23"]),
        (["10.0.1.1@5060"], {}, []),
        (["10.0.1.1"], {}, ["10.0.1.1/32"]),
        (["10.0.1.1", "10.0.1.2@5062"], {"credentials": credentials("one", "secret")}, ["10.0.1.1/32", "10.0.1.2/32"]),
        (["10.0.2.1"], {"credentials": credentials("one", "secret")}, []),
        (["10.0.2.1"], {}, ["10.0.2.1/32"]),
        (["10.0.3.1", "2001:db8::1"], {}, []),
        (["203.0.113.0/24"], {}, ["203.0.113.0/24"]),
        (["203.0.113.9@5062"], {"tech_prefix": "7"}, ["203.0.113.9/32"]),
        (["203.0.113.10", "10.0.5.1"], {}, []),
        ([], {"named_hosts": NAME, "tech_prefix": "7"}, ["10.0.0.9/32"]),
        (["0.0.0.0/0"], {}, ["0.0.0.0/0"]),
    ],
)
def test_a_source_meets_those_of_others_whatever_port_and_prefix_it_has(
    hosts: list[str], more: dict[str, Any], met: list[str]
) -> None:
    mine = mapping_gateway("mine", *hosts, account="leaf", **more)
    accounts = account("south"), account("leaf", agent="south"), account("foreign")
    below = mapping_gateway("below", "10.0.3.0/24", account="south")
    catalogue = assemble(source("database", *accounts, NAMED, *OTHERS, mine, below), ProblemList())
    problems = ProblemList()
    addresses = {**RESOLVED, "mine": ["10.0.0.9"]}
    check_sources(catalogue, AgentSources("south", {"mine": False}, addresses), problems)
    assert [each.value for each in problems.in_order()] == met


def test_the_check_of_many_sources_costs_as_much_as_there_are_and_not_their_square() -> None:
    """One request with 12,000 hosts kept all other changes away for 25 seconds."""

    def calls(number: int) -> int:
        hosts = [f"10.{at // 250}.{at % 250}.1" for at in range(number)]
        mine = mapping_gateway("mine", *hosts, account="leaf")
        other = mapping_gateway("other", *(each[:-1] + "2@5060" for each in hosts), account="foreign")
        accounts = account("south"), account("leaf", agent="south"), account("foreign")
        catalogue, counted = assemble(source("database", *accounts, mine, other), ProblemList()), 0

        def count(_frame: object, event: str, _argument: object) -> None:
            nonlocal counted
            counted += event == "call"

        sys.setprofile(count)
        try:
            check_sources(catalogue, AgentSources("south", {"mine": True}, {}), ProblemList())
        finally:
            sys.setprofile(None)
        return counted

    assert calls(2_000) < 3 * calls(1_000)
