"""Accounts as orders name several: below an agent, directly or at any depth, or of a group."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

from vosd.admin.names import configured
from vosd.admin.office.office import Office
from vosd.admin.office.principal import OrderError, Scope
from vosd.base.parts import in_parts
from vosd.billing.accounts import Account

_AT_ONCE: Final = 200


async def names_of_group(accounts: Mapping[str, Account], group: str, names: Iterable[str]) -> list[str]:
    """Return those of some names that are accounts of a group; other requests are answered meanwhile."""
    found: list[str] = []
    for part in in_parts(names, _AT_ONCE):
        found += (name for name in part if group and name in accounts and accounts[name].group == group)
        await asyncio.sleep(0)
    return found


def require_agent(agent: str | None, *, is_whole: bool) -> None:
    """Raise OrderError where an order asks for accounts at any depth and names no agent above them."""
    if is_whole and agent is None:
        raise OrderError("all", "says how many accounts below an agent are listed", "give `agent` as well")


def accounts_below(office: Office, scope: Scope, agent: str, *, is_whole: bool) -> frozenset[str]:
    """Return the accounts directly below an agent; ``is_whole``: those of its sub-agents, too."""
    scope.require_visible(agent)
    configured(office.definitions.accounts(), agent)
    hierarchy = office.definitions.hierarchy()
    return frozenset(hierarchy.all_below(agent) if is_whole else hierarchy.directly_below(agent))
