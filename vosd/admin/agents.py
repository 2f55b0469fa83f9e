"""Acting as an agent: whose accounts it sees and changes, and under which name that is recorded.

What it may do is decided by ``billing.authority``.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol

from vosd.admin.names import configured
from vosd.base.errors import VosError
from vosd.billing.accounts import ANY_GROUP, Account, AccountType
from vosd.billing.agents import RECORDED_AS, Hierarchy
from vosd.billing.authority import Authority
from vosd.billing.rights import Right
from vosd.cdr.kinds import NAME_LENGTH


class MayNotActError(VosError):
    """The agent is disabled, or its id is too long to be recorded."""


def authority_of(
    accounts: Mapping[str, Account], hierarchy: Hierarchy, agent: str, *, was_agent: bool = False
) -> Authority:
    """Return what an agent sees and may do; ``hierarchy`` has all accounts, or all from the agent upwards.

    ``was_agent``: it may have no account below it any more.

    Raises:
        UnknownAccountError: it is not configured.
        NoAgentError: it is none.
        MayNotActError: it is disabled, or one above it is; or it cannot be recorded.
    """
    chain = _enabled_chain(accounts, hierarchy, agent, "agent")
    if len(recorded_as(agent)) > NAME_LENGTH:
        longest = NAME_LENGTH - len(RECORDED_AS)
        message = f"agent {agent} may not act: an id of more than {longest} characters cannot be recorded with its acts"
        raise MayNotActError(message)
    return Authority.of(agent, hierarchy, {name: accounts[name].rights for name in chain}, was_agent=was_agent)


def authority_of_customer(accounts: Mapping[str, Account], hierarchy: Hierarchy, customer: str) -> Authority:
    """Return what a customer sees: its own account; it changes none.

    Raises:
        UnknownAccountError: it is not configured.
        MayNotActError: it is disabled, or an agent above it is.
    """
    _enabled_chain(accounts, hierarchy, customer, "customer")
    return Authority(customer, frozenset({Right.OWN_PAYMENTS}), called="customer")


def _enabled_chain(accounts: Mapping[str, Account], hierarchy: Hierarchy, account: str, called: str) -> tuple[str, ...]:
    configured(accounts, account)
    chain = (account, *hierarchy.above(account))
    disabled = next((name for name in chain if not accounts[name].enabled), None)
    if disabled is not None:
        who = "it" if disabled == account else f"agent {disabled} above it"
        raise MayNotActError(f"{called} {account} may not act: {who} is disabled (enabled: no)")
    return chain


def rate_groups_of(
    accounts: Mapping[str, Account], hierarchy: Hierarchy, agent: str, named: "NamedGroups"
) -> frozenset[str] | None:
    """Return the rate groups that an agent may give to accounts below it; None = any.

    Without ``sub_rate_groups`` these are its own and those of its tree, as far as the agents above it may give them.
    """
    given: frozenset[str] | None = None
    groups_of_trunks: Mapping[str, Collection[str]] | None = None  # reads all phones: once, and only where it is asked
    for each in (agent, *hierarchy.above(agent)):
        own = frozenset(accounts[each].sub_rate_groups)
        if ANY_GROUP in own:
            continue
        if not own and groups_of_trunks is None:
            groups_of_trunks = named.groups_of_trunks()()
        those = own or _groups_in_tree(accounts, each, hierarchy, groups_of_trunks or {})
        given = those if given is None else given & those
    return given


def _groups_in_tree(
    accounts: Mapping[str, Account], agent: str, hierarchy: Hierarchy, groups_of_trunks: Mapping[str, Collection[str]]
) -> frozenset[str]:
    """Return the rate group of an agent, and those that accounts below it have, with their gateways and phones."""
    found: set[str | None] = {accounts[agent].rate_group}
    for name in hierarchy.all_below(agent):
        account = accounts[name]
        found.update((account.rate_group, account.private_rate_group))
        found.update(account.sub_rate_groups, groups_of_trunks.get(name, ()))
    return frozenset(group for group in found if group is not None and group != ANY_GROUP)


class NamedGroups(Protocol):
    """The rate groups that the configuration names."""

    def rate_groups_by_list(self) -> Mapping[str, frozenset[str]]:
        """Return the rate groups that gateways and phones name, as theirs or as private ones, by the list of these."""

    def groups_of_trunks(self) -> Callable[[], Mapping[str, Collection[str]]]:
        """Return what finds, here or in a thread, the rate groups that mapping gateways and phones name, by account.

        They name them as theirs or as private ones.
        """

    def groups_priced_by(self, groups: Iterable[str], period_rates: Iterable[str]) -> frozenset[str]:
        """Return rate groups, those of their origins and periods, and those of ``period_rates``."""


def groups_of_vendors(accounts: Mapping[str, Account], named: NamedGroups) -> frozenset[str]:
    """Return the rate groups by which vendors alone are paid: an agent that gave one could read what calls cost."""
    by_list = named.rate_groups_by_list()
    buy, sell = by_list["routing_gateways"], by_list["mapping_gateways"] | by_list["phones"]
    vendors = [each for each in accounts.values() if each.type is AccountType.CLEARING]
    customers = [each for each in accounts.values() if each.type is not AccountType.CLEARING]
    return _groups_of(vendors, buy, named) - _groups_of(customers, sell, named)


def _groups_of(accounts: Sequence[Account], trunks: frozenset[str], named: NamedGroups) -> frozenset[str]:
    """Return the groups that price calls of these accounts; ``trunks`` are those that their trunks name."""
    own = (name for each in accounts for name in (each.rate_group, each.private_rate_group) if name is not None)
    periods = {each.period_rates for each in accounts if each.period_rates is not None}
    return named.groups_priced_by(trunks.union(own), periods)


def recorded_as(agent: str) -> str:
    """Return the operator that the ledger and overrides name for an agent."""
    return f"{RECORDED_AS}{agent}"


def visible_above(
    accounts: Mapping[str, Account], hierarchy: Hierarchy, agent: str, account: str
) -> dict[str, Account]:
    """Return an account that an agent sees, and the agents above it up to that one."""
    chain = (account, *hierarchy.above(account))
    return {name: accounts[name] for name in chain[: chain.index(agent) + 1]}
