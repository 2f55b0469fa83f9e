"""Accounts below an agent, as orders about them name these: directly below it, or at any depth."""

from vosd.admin.names import configured
from vosd.admin.office.errors import OrderError
from vosd.admin.office.office import Office
from vosd.admin.office.scope import Scope
from vosd.billing.agents import Hierarchy


def require_agent(agent: str | None, *, is_whole: bool) -> None:
    """Raise OrderError where an order asks for accounts at any depth and names no agent above them."""
    if is_whole and agent is None:
        raise OrderError("all", "says how many accounts below an agent are listed", "give `agent` as well")


def accounts_below(office: Office, scope: Scope, agent: str, *, is_whole: bool) -> frozenset[str]:
    """Return the accounts directly below an agent; ``is_whole``: those of its sub-agents, too."""
    scope.require_visible(agent)
    accounts = office.definitions.accounts()
    configured(accounts, agent)
    agents = office.definitions.agents()
    hierarchy = Hierarchy({name: agents.get(name) for name in accounts})
    return frozenset(hierarchy.all_below(agent) if is_whole else hierarchy.directly_below(agent))
