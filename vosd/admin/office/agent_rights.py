"""Use case of the review of agents: the rights that each has, and the people and programs that use them."""

import asyncio
from collections import defaultdict
from typing import Final

import msgspec

from vosd.admin.office.office import Office, needs
from vosd.admin.office.principal import ActsFor, Permission, Principal
from vosd.admin.office.roles import ListRoles, list_roles
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
    accounts, hierarchy = office.definitions.accounts(), office.definitions.hierarchy()
    roles = {each.name for each in await list_roles(office, who, ListRoles()) if each.acts_for is ActsFor.AGENT}
    people: dict[str | None, list[str]] = defaultdict(list)
    for person in await office.stores.people.all():
        if person.role in roles and not person.disabled_at:
            people[person.account].append(person.name)
    tokens: dict[str | None, list[str]] = defaultdict(list)
    for token in await office.stores.access.tokens():
        has_ended = token.expires_at is not None and token.expires_at <= office.now()
        if token.role in roles and token.revoked_at is None and not has_ended:
            tokens[token.account].append(f"{token.name} ({token.id})")
    found = []
    for number, name in enumerate(sorted(accounts), start=1):
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)  # else the API would answer nothing else until all of many accounts are read
        account = accounts[name]
        if not (hierarchy.is_agent(name) or account.rights or name in people or name in tokens):
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
                people=tuple(people.get(name, ())),
                tokens=tuple(tokens.get(name, ())),
            )
        )
    return found


def _in_order(rights: Rights) -> tuple[Right, ...]:
    return tuple(each for each in Right if each in rights)
