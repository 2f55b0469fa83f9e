"""Acting as an agent: whose accounts it sees and changes, and under which name that is recorded.

What it may do is decided by ``billing.authority``.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from vosd.admin.accounts import configured
from vosd.base.errors import VosError
from vosd.billing.accounts import Account
from vosd.billing.agents import Hierarchy
from vosd.billing.authority import Authority, OutOfScopeError
from vosd.billing.rights import Right
from vosd.catalogue.overrides import Key, Overrides, Setting
from vosd.cdr.kinds import NAME_LENGTH

_CALLED: Final = "agent "


class SetByOthersError(VosError):
    """An override was set by an operator, or by an agent above: another agent neither replaces nor clears it."""


def authority_of(accounts: Mapping[str, Account], agents: Mapping[str, str], agent: str) -> Authority:
    """Return what an agent sees and may do; ``agents`` has the agent of each account that names one.

    Raises:
        UnknownAccountError: it is not configured.
        NoAgentError: it is none.
    """
    configured(accounts, agent)
    hierarchy = Hierarchy({name: agents.get(name) for name in accounts})
    chain = (agent, *hierarchy.above(agent))
    return Authority.of(agent, hierarchy, {name: accounts[name].rights for name in chain})


def recorded_as(agent: str) -> str:
    """Return the operator that the ledger and overrides name for an agent."""
    return f"{_CALLED}{agent}"[:NAME_LENGTH]


def visible_above(
    accounts: Mapping[str, Account], agents: Mapping[str, str], authority: Authority, account: str
) -> dict[str, Account]:
    """Return an account and the agents above it that an agent sees: those up to itself."""
    names = [account]
    while names[-1] != authority.agent and names[-1] in agents:
        names.append(agents[names[-1]])
    return {name: accounts[name] for name in names}


def require_trunk(
    name: str, account: str | None, settings: Iterable[Setting], authority: Authority, *, is_phone: bool
) -> None:
    """Check that an agent may set values of a mapping gateway or phone; ``account`` is the one that it is of.

    Raises:
        OutOfScopeError: it is not of an account below the agent, or does not exist.
        RightLackingError: the agent lacks the right for phones, or for gateways or their capacity.
    """
    if account is None or account not in authority.below:
        message = f"agent {authority.agent} has no gateway or phone {name} below it"
        raise OutOfScopeError(message)
    for setting in settings:
        of_gateway = Right.GATEWAYS if setting is Setting.BLOCKED else Right.GATEWAY_CAPACITY
        authority.require(Right.PHONES if is_phone else of_gateway)


def require_own(overrides: Overrides, wanted: Iterable[Key], authority: Authority) -> None:
    """Check that an agent may set or clear overrides: those in force are its own, or of agents below it.

    Raises:
        SetByOthersError: one is not.
    """
    own = {recorded_as(name) for name in authority.visible}
    for key in wanted:
        found = overrides.by_key.get(key)
        if found is not None and found.operator not in own:
            message = f"{key.setting.value} of {key.name} was not set by agent {authority.agent}, nor by one below it"
            raise SetByOthersError(message)
