"""Use case of the review of agents: the rights that each has, and the people and programs that use them."""

import asyncio
from typing import Final

import msgspec

from vosd.admin.office.office import Office, needs
from vosd.admin.office.principal import ActsFor, Permission, Principal
from vosd.admin.office.roles import ListRoles, list_roles
from vosd.billing.agents import Hierarchy
from vosd.billing.rights import Right, Rights

_AT_ONCE: Final = 200


class AgentSheet(msgspec.Struct, frozen=True, kw_only=True):
    """Rights of one agent."""

    account: str
    name: str | None
    """The owner of the account, in words; None = none is configured."""
    agent: str | None
    """The agent above it; None = it is at the top."""
    rights: tuple[Right, ...]
    """Rights that it has."""
    suspended: tuple[Right, ...]
    """Rights that it was given and an agent above it lacks."""
    accounts: int
    """Number of accounts below it, those of its sub-agents included; 0 = its rights have no effect."""
    people: tuple[str, ...]
    """People that may log in for it with a role of agents; those who are disabled are left out."""
    tokens: tuple[str, ...]
    """Programs with a token of a role of agents that holds, by their names and the ids of the tokens."""


class ListAgents(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All agents, and all accounts that were given rights of agents or that people or programs act for as agents."""


@needs(Permission.PEOPLE_SEE)
async def list_agents(office: Office, who: Principal, _order: ListAgents) -> list[AgentSheet]:
    """Return the agents by the names of their accounts."""
    accounts, agents = office.definitions.accounts(), office.definitions.agents()
    hierarchy = Hierarchy({name: agents.get(name) for name in accounts})
    roles = {each.name for each in await list_roles(office, who, ListRoles()) if each.acts_for is ActsFor.AGENT}
    people = [each for each in await office.stores.people.all() if each.role in roles and not each.disabled_at]
    tokens = [
        each
        for each in await office.stores.access.tokens()
        if each.role in roles
        and each.revoked_at is None
        and (each.expires_at is None or each.expires_at > office.now())
    ]
    acting = {each.account for each in people} | {each.account for each in tokens}
    found = []
    for number, name in enumerate(sorted(accounts), start=1):
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)  # else the API would answer nothing else until all of many accounts are read
        account = accounts[name]
        if not (hierarchy.is_agent(name) or account.rights or name in acting):
            continue
        rights = account.rights.intersection(*(accounts[above].rights for above in hierarchy.above(name)))
        found.append(
            AgentSheet(
                account=name,
                name=account.name,
                agent=account.agent,
                rights=_in_order(rights),
                suspended=_in_order(account.rights - rights),
                accounts=sum(1 for _ in hierarchy.all_below(name)),
                people=tuple(each.name for each in people if each.account == name),
                tokens=tuple(f"{each.name} ({each.id})" for each in tokens if each.account == name),
            )
        )
    return found


def _in_order(rights: Rights) -> tuple[Right, ...]:
    return tuple(each for each in Right if each in rights)
