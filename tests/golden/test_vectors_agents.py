"""The worked examples of tests/vectors/billing.json about agents."""

import json
from pathlib import Path

import pytest

from vosd.billing.agents import Hierarchy
from vosd.billing.rights import Right, lacking

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "billing.json").read_text())["vectors"]


def of(rule: str) -> pytest.MarkDecorator:
    """Run a test once for each vector of ``rule``."""
    chosen = [vector for vector in VECTORS if vector["rule"] == rule]
    assert chosen, f"no vector has the rule {rule}"
    cases = [pytest.param(vector["given"], vector["expect"], id=vector["id"]) for vector in chosen]
    return pytest.mark.parametrize(("given", "expect"), cases)


@of("agent_filter")
def test_what_is_directly_below_an_agent_and_all_that_is(given, expect):
    agent_of = {each: agent for agent, below in given["tree"].items() for each in below}
    hierarchy = Hierarchy({**dict.fromkeys([*given["tree"], "Standalone Customer"]), **agent_of})
    assert list(hierarchy.directly_below(given["agent"])) == expect["direct"]
    everything = set(hierarchy.all_below(given["agent"]))
    assert len(everything) == expect["all_count"]
    assert everything.isdisjoint(expect["all_excludes"])
    assert sorted(hierarchy.agents) == sorted(expect["agents"])


@of("agent_category")
def test_an_account_becomes_an_agent_when_another_one_names_it(given, expect):
    def category(sub_accounts):
        agent_of = {given["account"]: None, **{f"sub-{number}": given["account"] for number in range(sub_accounts)}}
        return "Agent" if Hierarchy(agent_of).is_agent(given["account"]) else "Account"

    assert category(given["sub_accounts_before"]) == expect["category_before"]
    assert category(given["sub_accounts_after"]) == expect["category_after"]


NAMES_IN_VOS3000 = {
    "Add/delete/modify account": Right.ACCOUNTS,
    "Add/delete/modify phone": Right.PHONES,
    "Add/delete/modify phone card": Right.PHONE_CARDS,
    "Add/delete gateway": Right.GATEWAYS,
    "Modify gateway information": Right.GATEWAY_INFORMATION,
    "Modify gateway capacity": Right.GATEWAY_CAPACITY,
    "Payment for this account": Right.OWN_PAYMENTS,
    "Payment for sub accounts": Right.SUB_PAYMENTS,
}


@of("agent_authorisation")
def test_an_agent_gives_no_right_that_it_lacks(given, expect):
    assert {*NAMES_IN_VOS3000.values()} == {*Right}
    names = {right: name for name, right in NAMES_IN_VOS3000.items()}
    parent = frozenset(NAMES_IN_VOS3000[name] for name in given["parent_authorisations"])
    requested = frozenset(NAMES_IN_VOS3000[name] for name in given["requested_for_sub_agent"])
    offending = lacking(parent, requested)
    assert (not offending) is expect["accepted"]
    assert [names[right] for right in offending] == expect["offending"]
