"""Accounts that a principal sees: all, those of an agent by ``billing.authority``, or the one of a customer."""

from collections.abc import Mapping
from functools import cached_property
from typing import Final

from vosd.admin.agents import MayNotActError, authority_of, authority_of_customer, recorded_as
from vosd.admin.office.principal import Means, Principal, Role
from vosd.base.errors import VosError
from vosd.billing.accounts import Account
from vosd.billing.authority import Authority
from vosd.billing.rights import Right

OTHERS: Final = "operator"
"""Name in place of operators that an agent or a customer does not see."""


class OperatorsOnlyError(VosError):
    """The order is for operators of the installation."""


class Scope:
    """Accounts that a principal sees, and its rights."""

    def __init__(self, authority: Authority | None) -> None:
        """``authority`` of None: everything."""
        self._authority = authority
        self.visible: Final = None if authority is None else authority.visible
        """The accounts that are visible; None = all."""

    @property
    def agent(self) -> str | None:
        """The account of the agent or customer that acts; None for an operator."""
        return None if self._authority is None else self._authority.agent

    def sees(self, account: str) -> bool:
        """Return whether an account is visible."""
        return self.visible is None or account in self.visible

    @cached_property
    def _operators(self) -> frozenset[str]:
        """Operators of the tree, as records name them; most requests need none."""
        return frozenset(map(recorded_as, self.visible or ()))

    def sees_operator(self, name: str) -> bool:
        """Return whether the name of an operator is shown: agents and customers see those of their tree alone."""
        return self._authority is None or name in self._operators

    def shown_operator(self, name: str) -> str:
        """Return the name of an operator as the principal sees it."""
        return name if self.sees_operator(name) else OTHERS

    def require_operator(self) -> None:
        """Check that an operator acts; raises OperatorsOnlyError where an agent or a customer does."""
        if self._authority is not None:
            message = f"{self._authority.called} {self._authority.agent} may not do this: it is for operators"
            raise OperatorsOnlyError(message)

    def require_visible(self, account: str) -> None:
        """Check that an account is visible; raises OutOfScopeError."""
        if self._authority is not None:
            self._authority.require_visible(account)

    def require_below(self, account: str, right: Right) -> None:
        """Check that an account may be changed by a right; raises OutOfScopeError or RightLackingError."""
        if self._authority is not None:
            self._authority.require_below(account, right)

    def require_right(self, right: Right) -> None:
        """Check that the principal has a right; raises RightLackingError."""
        if self._authority is not None:
            self._authority.require(right)

    def has_right(self, right: Right) -> bool:
        """Return whether the principal has a right."""
        return self._authority is None or right in self._authority.rights

    def require_ledger(self, account: str) -> None:
        """Check that entries of an account may be read and made; raises OutOfScopeError or RightLackingError."""
        if self._authority is not None:
            self._authority.require_ledger(account)


def scope_of(
    principal: Principal, accounts: Mapping[str, Account], agents: Mapping[str, str], *, was_agent: bool = False
) -> Scope:
    """Return what a principal sees and may do; ``agents`` has the agent of each account that names one.

    ``was_agent``: an agent may have no account below it any more.

    Raises:
        UnknownAccountError, NoAgentError, MayNotActError: an account that does not exist, is no agent, or is disabled.
        MayNotActError: an agent or a customer without an account, or an operator with one; the account of a person or
            a token is gone.
    """
    if principal.role in {Role.OPERATOR, Role.PROGRAM} and principal.account is None:
        return Scope(None)
    if principal.account not in accounts and principal.means in {Means.PAGE, Means.TOKEN}:
        raise MayNotActError(
            f"{principal.name}, {principal.role.value}, may not act: account {principal.account} is not configured"
        )
    if principal.role is Role.AGENT and principal.account is not None:
        return Scope(authority_of(accounts, agents, principal.account, was_agent=was_agent))
    if principal.role is Role.CUSTOMER and principal.account is not None:
        return Scope(authority_of_customer(accounts, agents, principal.account))
    raise MayNotActError(f"{principal.name}, {principal.role.value}, may not act for account {principal.account}")
