"""Rights of an agent, and the accounts for which they hold: its rights, and its own account with all those below it.

Pure: who asks is known already. An operator of the installation is no agent and is asked nothing here.
"""

from collections.abc import Iterable, Mapping

from vosd.base.errors import VosError
from vosd.billing.agents import Hierarchy
from vosd.billing.rights import Right, Rights


class NoAgentError(VosError):
    """No account names this one as its agent."""


class OutOfScopeError(VosError):
    """The account is neither the agent nor below it; whether it exists is not said."""


class RightLackingError(VosError):
    """The agent, or one above it, lacks a right."""


class Authority:
    """Accounts that one agent or customer sees, and its rights."""

    def __init__(self, agent: str, rights: Rights, below: Iterable[str] = (), called: str = "agent") -> None:
        """``below`` are all accounts below the agent, those of its sub-agents included; ``called`` is for messages."""
        self.agent = agent
        self.called = called
        self.rights = rights
        self.below = frozenset(below)

    @classmethod
    def of(
        cls, agent: str, hierarchy: Hierarchy, rights_of: Mapping[str, Rights], *, was_agent: bool = False
    ) -> "Authority":
        """Return the authority of an agent.

        A right that an agent above it lacks is suspended for it as well. ``rights_of`` has those of the agent and of
        all agents above it. ``was_agent``: it may have no account below it any more.

        Raises:
            NoAgentError: it is none.
        """
        if not was_agent and not hierarchy.is_agent(agent):
            raise NoAgentError(f"account {agent} is no agent: no account names it as its agent")
        rights = rights_of[agent]
        for above in hierarchy.above(agent):
            rights &= rights_of[above]
        return cls(agent, rights, hierarchy.all_below(agent))

    @property
    def visible(self) -> frozenset[str]:
        """The accounts that the agent sees: its own and those below it."""
        return self.below | {self.agent}

    def require_visible(self, account: str) -> None:
        """Raise OutOfScopeError for an account that the agent does not see."""
        if account != self.agent and account not in self.below:
            raise OutOfScopeError(f"{self.called} {self.agent} has no account {account}")

    def require_below(self, account: str, right: Right) -> None:
        """Check that the agent may change an account by a right; its own account is not its to change.

        Raises:
            OutOfScopeError: the account is not below it.
            RightLackingError: it has not the right.
        """
        if account == self.agent:
            raise OutOfScopeError(f"{self.called} {self.agent} changes accounts below it, not its own")
        self.require_visible(account)
        self.require(right)

    def require_ledger(self, account: str) -> None:
        """Check that the agent may pay for an account and see its entries: its own, and those below, by a right each.

        Raises:
            OutOfScopeError: it does not see the account.
            RightLackingError: it has not the right.
        """
        self.require_visible(account)
        self.require(Right.OWN_PAYMENTS if account == self.agent else Right.SUB_PAYMENTS)

    def require(self, *rights: Right) -> None:
        """Raise RightLackingError where the agent has none of these rights."""
        if self.rights.isdisjoint(rights):
            names = " and ".join(each.value for each in rights)
            raise RightLackingError(f"{self.called} {self.agent} lacks the right {names}, or an agent above it does")
