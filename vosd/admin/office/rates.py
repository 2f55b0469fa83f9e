"""Use cases of rates: rate groups, their areas, and the price of a call that is not made."""

import asyncio
from collections.abc import Collection
from typing import Annotated, Final

import msgspec

from vosd.admin.account_rates import PriceSheet, prices_of
from vosd.admin.agents import groups_of_vendors, rate_groups_of, visible_above
from vosd.admin.names import UnknownNameError, configured
from vosd.admin.office.office import Office, needs
from vosd.admin.office.principal import OrderError, Permission, Principal, Role
from vosd.admin.rate_areas import Area, RateGroupSheet, areas_of
from vosd.admin.rating import FreeNumbers, NoRateError, RateExplanation, explain_rate as explained, rates_named_by
from vosd.billing.accounts import Account, AccountType

DURATION_MAX_MS: Final = 10**12 - 1
"""Longest duration of a call that is not made: nine digits of seconds, as on the command line."""


class ListRateGroups(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rate groups; of an agent those that it may give, of a customer its own."""

    containing: str = ""
    """Only those with this in name or memo, whether letters are capital or small; agents and customers: in the name."""


@needs(Permission.RATES_SEE, by_account=True, without_database=True)
async def list_rate_groups(office: Office, who: Principal, order: ListRateGroups) -> list[RateGroupSheet]:
    """Return them in the order of the configuration; raises ConfigError where a rate group has mistakes."""
    agent, definitions = office.scope_of(who).agent, office.definitions
    groups, part = await definitions.rate_groups(), order.containing.lower()
    if agent is None:
        return [each for each in groups if part in f"{each.name}\n{each.memo or ''}".lower()]
    accounts = definitions.accounts()
    given: Collection[str] | None = [accounts[agent].rate_group or ""]
    if who.role is not Role.CUSTOMER:
        given = rate_groups_of(accounts, definitions.hierarchy(), agent, definitions.named_groups())
    hidden = groups_of_vendors(accounts, definitions.named_groups()) if given is None else ()
    return [
        RateGroupSheet(each.name, each.currency, each.price_per, each.rates)
        for each in groups
        if each.name not in hidden and (given is None or each.name in given) and part in each.name.lower()
    ]


class ListAreas(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The areas of one rate group."""

    rate_group: str


class AreasSheet(msgspec.Struct, frozen=True):
    """The areas of the rates in force."""

    rate_group: str
    currency: str
    areas: list[Area]
    """Areas, in the order of their names."""


@needs(Permission.RATES_SEE, without_database=True)
async def list_areas(office: Office, who: Principal, order: ListAreas) -> AreasSheet:
    """Return prefixes, the lowest and the highest price of each area.

    Raises:
        UnknownNameError: there is no such rate group.
        ConfigError: it has mistakes.
    """
    group = office.definitions.rate_group(order.rate_group)
    if group is None:
        raise UnknownNameError(f"no rate group {order.rate_group!r} is configured; vosd rates groups lists them")
    areas = await asyncio.to_thread(areas_of, group, office.now())  # of 100,000 rates it takes some 0.3 s
    return AreasSheet(group.name, group.currency, areas)


class ListPrices(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Prices of an account's calls as they are now."""

    account: str
    prefix: str = ""
    """Only prefixes that begin so."""
    after: str | None = None
    """Prefix behind which the list begins; None = at the first."""
    limit: int | None = None
    """None = all."""


@needs(Permission.RATES_SEE, by_account=True, without_database=True)
async def list_prices(office: Office, who: Principal, order: ListPrices) -> list[PriceSheet]:
    """Return what calls of an account cost, by prefix; agents and customers see those of their own accounts.

    Of a ``clearing`` account it is what it is paid for calls.

    Raises:
        NoRateError: it has no rate group.
        ConfigError: a rate group has mistakes.
    """
    scope, definitions = office.scope_of(who), office.definitions
    if scope.agent is not None:
        scope.require_visible(order.account)
    account = configured(definitions.accounts(), order.account)
    is_paid = scope.agent is None and account.type is AccountType.CLEARING
    rates = rates_named_by(account, lambda each: definitions.rates_of(each, is_vendor=is_paid))
    return await asyncio.to_thread(prices_of, account, rates, office.now(), order.prefix, order.after, order.limit)


class ExplainRate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call that is not made."""

    account: str
    callee: str
    duration_ms: Annotated[int, msgspec.Meta(ge=0, le=DURATION_MAX_MS)]
    """From answer to end."""
    caller: str = ""
    at: int | None = None
    """Moment of the call; None = now."""
    buy: bool = False
    """The account is a vendor's: the rate is what its calls cost. Operators need not say it of a ``clearing`` one: it
    makes no calls."""


@needs(Permission.RATES_SEE, by_account=True, without_database=True)
async def explain_rate(office: Office, who: Principal, order: ExplainRate) -> RateExplanation:
    """Return which rate the call has, which seconds are billed, and each rounding.

    Raises:
        OrderError: an agent or a customer asks for costs, or anyone for those of an account that is no vendor's.
        NoRateError: there is no rate for the number.
        ConfigError: a rate group has mistakes.
    """
    scope, definitions = office.scope_of(who), office.definitions
    accounts = definitions.accounts()
    if scope.agent is not None:
        if order.buy:
            raise OrderError("buy", "is not for agents and customers")
        scope.require_visible(order.account)
        accounts = visible_above(accounts, definitions.hierarchy(), scope.agent, order.account)
    named = accounts.get(order.account)
    is_paid = scope.agent is None and named is not None and named.type is AccountType.CLEARING
    is_buy = order.buy or is_paid
    account = named if is_buy else None
    if account is not None and account.type is AccountType.PARTNER:
        raise NoRateError(
            f"account {account.id} is a partner: each of its routing gateways names the rate_group that it is paid by"
        )
    if account is not None and account.type is not AccountType.CLEARING:
        of_gateways = await asyncio.to_thread(definitions.accounts_of("routing_gateways"))
        if account.id not in of_gateways.values():  # one that is paid may be `direct`
            raise OrderError("buy", f"is for vendors, and account {account.id} is a customer's", "leave it out")
    found = explained(
        accounts,
        lambda each: definitions.rates_of(each, is_vendor=is_buy),
        order.account,
        order.callee,
        order.duration_ms,
        office.now() if order.at is None else order.at,
        order.caller,
        free=None if is_buy else FreeNumbers(*definitions.free_numbers()),
    )
    if is_buy:
        return found
    return msgspec.structs.replace(found, trunk_groups=await groups_of_trunks(office, accounts[order.account]))


async def groups_of_trunks(office: Office, account: Account) -> tuple[str, ...]:
    """Return the rate groups that gateways and phones of an account name: their calls may cost otherwise."""
    of_trunks = await asyncio.to_thread(office.definitions.named_groups().groups_of_trunks())
    return tuple(sorted({*of_trunks.get(account.id, ())} - {account.rate_group}))
