"""The worked examples of tests/vectors about agents."""

import re
from pathlib import Path

from golden.worked import of
from vosd.admin.office.agent_objects import right_needed
from vosd.billing.agents import Hierarchy
from vosd.billing.rights import Right, lacking


@of("agent_filter")
def test_what_is_directly_below_an_agent_and_all_that_is(given, expect):
    agent_of = {each: agent for agent, below in given["tree"].items() for each in below}
    accounts = {**dict.fromkeys([*given["tree"], "Standalone Customer"]), **agent_of}
    hierarchy = Hierarchy(accounts)
    assert list(hierarchy.directly_below(given["agent"])) == expect["direct"]
    everything = set(hierarchy.all_below(given["agent"]))
    assert len(everything) == expect["all_count"]
    assert everything.isdisjoint(expect["all_excludes"])
    assert sorted(filter(hierarchy.is_agent, accounts)) == sorted(expect["agents"])


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


CHANGES_OF_GATEWAYS = {
    "Add/delete gateway": ("hosts", True),
    "Modify gateway information": ("codecs", False),
    "Modify gateway capacity": ("max_concurrent", False),
}
"""A key of a gateway that takes the right, and whether the gateway is new."""


def usual_rights() -> dict[str, set[str]]:
    """Return the rights that docs/billing.md recommends, by kind of agent in small letters."""
    page = (Path(__file__).parents[2] / "docs/billing.md").read_text()
    rows = re.findall(r"^\| ([\w ]+) \| `\[([a-z_, ]+)\]` \|$", page, re.MULTILINE)
    return {kind.lower(): set(rights.split(", ")) for kind, rights in rows}


@of("agent_rights")
def test_agents_with_the_usual_rights_of_their_kind_may_change_gateways_or_not(given, expect):
    key, is_new = CHANGES_OF_GATEWAYS[given["right"]]
    needed = right_needed("mapping_gateways", key, is_new=is_new)
    assert needed is NAMES_IN_VOS3000[given["right"]]
    usual = usual_rights()
    assert [needed in usual[profile.lower()] for profile in given["profiles"]] == expect["granted"]
    assert set.union(*usual.values()) == set(Right)
