"""Accounts and rights that the changes of one order of an agent take, asked for again where the order has waited.

An operator may take a right from the agent, or an account out of its tree, while the order waits for its turn.
"""

from collections.abc import Collection, Mapping
from typing import Final

from vosd.admin.office.ports import ConfiguredObjects
from vosd.admin.office.principal import Principal, scope_of
from vosd.billing.accounts import Account
from vosd.billing.agents import Hierarchy
from vosd.billing.rights import Right
from vosd.catalogue.stored_objects import DefinitionsMoved


class AgentReach:
    """Accounts and rights of the changes of one order."""

    def __init__(self) -> None:
        self._accounts: Final[set[str]] = set()
        """Accounts that they are about; of those that the order makes only those that become agents of others."""
        self._rights: Final[set[Right]] = set()

    def note(self, account: str | None, rights: Collection[Right] = ()) -> None:
        """Note the account that a change is about, and the rights that it takes; None = the order makes the account."""
        if account is not None:
            self._accounts.add(account)
        self._rights.update(rights)

    def accounts_to_read(self, definitions: ConfiguredObjects, agent: str) -> Collection[str]:
        """Return the accounts by which it is known whether an agent has all of it: its own, these, and all above."""
        hierarchy, named = definitions.hierarchy(), {agent, *self._accounts}
        return named.union(*map(hierarchy.above, named))

    def require(self, who: Principal, accounts: Mapping[str, Account], ended: Collection[str]) -> None:
        """Check that an agent or a customer still has all of it, by ``accounts_to_read`` as they are now.

        ``ended`` are accounts that the order ends.

        Raises:
            UnknownAccountError, MayNotActError: the agent has ended, or is disabled.
            OutOfScopeError: an account is not below the agent any more.
            RightLackingError: the agent has lost a right.
            DefinitionsMoved: an account has another agent since, of which nothing was read.
        """
        if not {each.agent for each in accounts.values() if each.agent is not None} <= accounts.keys():
            raise DefinitionsMoved("an object was changed meanwhile, and nothing was done: do the same again")
        scope = scope_of(who, accounts, Hierarchy.of(accounts), was_agent=True)
        for right in sorted(self._rights):
            scope.require_right(right)
        for name in sorted(self._accounts.difference(ended)):
            scope.require_visible(name)
