"""Agents of accounts: that they exist, stand in no loop; the chain above each account."""

from collections.abc import Iterable, Mapping
from typing import Any

from vosd.billing.accounts import ANY_GROUP, Account, AccountType
from vosd.billing.agents import LEVELS_MAX, Hierarchy
from vosd.billing.rights import lacking
from vosd.catalogue.problems import ProblemList
from vosd.catalogue.source import Definition, Definitions


def agents_by_account(
    definitions: Definitions[Account],
    accounts: Mapping[str, Account],
    problems: ProblemList,
    names: Iterable[str] | None = None,
) -> dict[str, tuple[Account, ...]]:
    """Return the agents above each account that has any, its own first; what is wrong with one is reported.

    ``accounts`` are the settled ones, and ``names`` those that are looked at; None = all.
    """
    looked_at = definitions.sound if names is None else {name: definitions.sound[name] for name in names}
    below = [name for name, definition in looked_at.items() if definition.value.agent is not None]
    if not below:
        return {}
    hierarchy = Hierarchy(_upwards(below, accounts))
    found: dict[str, tuple[Account, ...]] = {}
    for name in below:
        definition = looked_at[name]
        if _is_sound(definition, definitions, accounts, hierarchy, problems):
            found[name] = tuple(accounts[agent] for agent in hierarchy.above(name))
    return found


def check_rate_groups(
    named: Mapping[str, str | None],
    account: Account,
    accounts: Mapping[str, Account],
    definition: Definition[Any],
    problems: ProblemList,
) -> None:
    """Report the rate groups, by the keys that name them, that an agent above an account may not give.

    ``account`` is the one that ``definition`` is of, or that pays for the calls of that gateway or phone.
    """
    above, left = accounts.get(account.agent or ""), LEVELS_MAX
    while above is not None and left:
        may = above.sub_rate_groups
        for key, group in named.items():
            if group is not None and may and not {group, ANY_GROUP} & {*may}:
                expected = f"a rate group that agent {above.id!r} may give: {', '.join(may)}"
                problems.error(*definition.at(key), expected, group)
        above, left = accounts.get(above.agent or ""), left - 1


def _upwards(names: Iterable[str], accounts: Mapping[str, Account]) -> dict[str, str | None]:
    """Return the agent of each account from some upwards."""
    agents: dict[str, str | None] = {}
    for name in names:
        account: str | None = name
        while account is not None and account in accounts and account not in agents:
            agent = agents[account] = accounts[account].agent
            account = agent
    return agents


def _is_sound(
    definition: Definition[Account],
    definitions: Definitions[Account],
    accounts: Mapping[str, Account],
    hierarchy: Hierarchy,
    problems: ProblemList,
) -> bool:
    """Return whether an account may have the agent that it names; report why not."""
    account = accounts[definition.value.id]
    agent = accounts.get(account.agent or "")
    definitions.find(account.agent or "", definition, "agent", problems)
    if agent is None:
        return False
    expected = ""
    above = hierarchy.above(account.id)
    if account.type is not AccountType.DIRECT:
        expected = "no agent: only customers have one"
    elif agent.type is not AccountType.DIRECT:
        expected = f"an account of type direct, which {agent.id!r} is not"
    elif len({account.id, *above}) <= len(above):
        expected = f"an account that is not below this one: {' is below '.join((account.id, *above))}"
    elif len(above) > LEVELS_MAX:
        expected = f"an account with at most {LEVELS_MAX - 1} agents above it; {agent.id!r} has {len(above) - 1}"
    if expected:
        problems.error(*definition.at("agent"), expected, agent.id)
        return False
    if extra := lacking(agent.rights, account.rights):
        names = ", ".join(right.value for right in extra)
        granted = definitions.sound[agent.id].origin.place_of("rights")
        expected = f"only rights that its agent {agent.id!r} has at {granted}"
        problems.error(*definition.at("rights"), expected, names)
        return False
    for group in account.sub_rate_groups:
        given = None if group == ANY_GROUP else group
        check_rate_groups({"sub_rate_groups": given}, account, accounts, definition, problems)
    named = {"rate_group": account.rate_group, "private_rate_group": account.private_rate_group}
    check_rate_groups(named, account, accounts, definition, problems)
    if not agent.names_rates:
        expected = f"a rate_group on account {agent.id!r}: without one every call of the accounts below it is refused"
        problems.warning(definition.origin.place_of("agent"), definition.label, expected)
    return True
