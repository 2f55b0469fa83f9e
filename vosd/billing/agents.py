"""Agents: accounts that stand above others and pay for the calls of all below them, each by its own rates.

An account is an agent as soon as another one names it; how deep the tree is, and that it has no loop, is checked here.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final

from vosd.billing.accounts import Account

LEVELS_MAX: Final = 10
"""Most agents above one account."""


RECORDED_AS: Final = "agent "
"""Beginning of the operator that the ledger and overrides name for an agent, before its account."""


class Hierarchy:
    """The agents above each account, and the accounts below each agent."""

    def __init__(self, agent_of: Mapping[str, str | None]) -> None:
        """``agent_of`` has the agent of each account, None for one at the top; an unknown agent counts as none.

        An account that neither has an agent nor is one may be left out.
        """
        self._agent_of = agent_of
        self._below: dict[str, list[str]] = {}
        for account, agent in agent_of.items():
            if agent is not None and agent in agent_of:
                self._below.setdefault(agent, []).append(account)

    @classmethod
    def of(cls, accounts: Mapping[str, Account]) -> "Hierarchy":
        """Return the hierarchy of configured accounts."""
        return cls({name: account.agent for name, account in accounts.items()})

    def is_agent(self, account: str) -> bool:
        """Return whether an account stands above another one."""
        return account in self._below

    def above(self, account: str) -> tuple[str, ...]:
        """Return the agents above an account, its own first.

        In a loop the last one is the first that comes again: a name that is there twice, or its own, means a loop.
        """
        found: list[str] = []
        agent = self._agent_of.get(account)
        while agent is not None and agent in self._agent_of:
            found.append(agent)
            if agent == account or agent in found[:-1]:
                break
            agent = self._agent_of[agent]
        return tuple(found)

    def directly_below(self, agent: str) -> tuple[str, ...]:
        """Return the accounts that name an agent."""
        return tuple(self._below.get(agent, ()))

    def all_below(self, agent: str) -> Iterator[str]:
        """Yield every account below an agent, those of its sub-agents included."""
        seen = {agent}
        waiting = deque(self._below.get(agent, ()))
        while waiting:
            account = waiting.popleft()
            if account not in seen:
                seen.add(account)
                yield account
                waiting += self._below.get(account, ())
