"""Check references between definitions: names that must exist, currencies that must agree, rates that are needed."""

from collections.abc import Iterable, Mapping
from typing import Any

from vosd.billing.accounts import Account
from vosd.catalogue.agents import check_rate_groups
from vosd.catalogue.exchange import Exchange
from vosd.catalogue.groups import check_gateways_named, check_rows_of_groups, members
from vosd.catalogue.problems import ProblemList
from vosd.catalogue.source import PREFIXES_FROM_RATES, CatalogueSource, Definition, Definitions, row_key
from vosd.routing.plan import RoutingPlan
from vosd.trunks.dialect import Redirects
from vosd.trunks.gateways import MappingGateway, RoutingGateway
from vosd.trunks.phone import Phone


def check_currency(
    account: Definition[Account], group_currency: str, exchange: Exchange, problems: ProblemList
) -> bool:
    """Return whether fees by its rate group can be converted into the currency that an account states; report it."""
    stated = account.value.currency
    missing = exchange.missing(group_currency, stated) if stated else ""
    if missing:
        name = account.value.rate_group or account.value.private_rate_group
        expected = f"{group_currency}, the currency of rate group {name!r}, or {missing}"
        problems.error(*account.at("currency"), expected, stated)
    return not missing


def check_payer(
    gateway: MappingGateway,
    definition: Definition[object],
    source: CatalogueSource,
    accounts: Mapping[str, Account],
    problems: ProblemList,
) -> None:
    """Check the account that pays for a customer's calls, and the rate group of the gateway or phone.

    ``accounts`` are the settled ones.
    """
    source.accounts.find(gateway.account, definition, "account", problems)
    if gateway.rate_group is not None:
        source.rate_groups.find(gateway.rate_group, definition, "rate_group", problems)
    check_plan(gateway.routing_plan, definition, source, problems)
    check_selection(gateway, definition, source, problems)
    account = accounts.get(gateway.account)
    if account is not None and account.agent is not None:
        named = {"rate_group": gateway.rate_group, "private_rate_group": gateway.private_rate_group}
        check_rate_groups(named, account, accounts, definition, problems)
    if account is not None and not _is_priced(account) and not _is_priced(gateway):
        expected = f"a rate_group here or on account {account.id!r}: without one every call is refused"
        problems.warning(definition.origin.place, definition.label, expected)


def _is_priced(each: Account | MappingGateway | RoutingGateway) -> bool:
    """Return whether an account or trunk names rates."""
    if isinstance(each, Account):
        return each.names_rates
    return each.rate_group is not None or each.private_rate_group is not None


def check_plan(
    name: str | None, definition: Definition[object], source: CatalogueSource, problems: ProblemList
) -> None:
    """Check the routing plan that an account, a mapping gateway or a phone names."""
    if name is not None:
        source.routing_plans.find(name, definition, "routing_plan", problems)


def check_routes(plan: Definition[RoutingPlan], source: CatalogueSource, problems: ProblemList) -> None:
    """Check the routing gateways that a plan and the lines of its own routes name."""
    wanted = plan.value.gateways
    check_gateways_named(wanted or (), plan, "gateways", source, problems)
    check_rows_of_groups(plan, source, problems)
    used = None if wanted is None else frozenset(each for name in wanted for each in members(name, source))
    for index, row in enumerate(plan.value.routes or ()):
        key = f"{row_key(index)}.gateway"
        check_gateways_named([row.gateway], plan, key, source, problems)
        if row.calendar is not None:
            source.calendars.find(row.calendar, plan, f"{row_key(index)}.calendar", problems)
        if used is not None and not members(row.gateway, source) <= used:
            problems.error(*plan.at(key), "one of the gateways of the plan", row.gateway)


def check_selection(
    gateway: MappingGateway, definition: Definition[object], source: CatalogueSource, problems: ProblemList
) -> None:
    """Check the routing gateways that the calls of a mapping gateway or phone use or do not use."""
    for key, names in (("gateways_allow", gateway.gateways_allow), ("gateways_deny", gateway.gateways_deny)):
        if names:
            check_gateways_named(names, definition, key, source, problems)


def check_phone(phone: Definition[Phone], source: CatalogueSource, problems: ProblemList) -> None:
    """Check the gateways that a phone names."""
    offline, redirect = phone.value.offline_gateway, phone.value.redirect_server
    if offline is not None:
        source.routing_gateways.find(offline, phone, "offline_gateway", problems)
    if phone.value.voicemail is not None:
        source.routing_gateways.find(phone.value.voicemail, phone, "voicemail", problems)
    if redirect is None:
        return
    found = source.routing_gateways.find(redirect, phone, "redirect_server", problems)
    if found is not None and found.value.dialect.redirects is not Redirects.FOLLOW:
        expected = "a routing gateway with redirects: follow"
        problems.error(*phone.at("redirect_server"), expected, redirect)


def check_vendor(vendor: Definition[RoutingGateway], source: CatalogueSource, problems: ProblemList) -> None:
    """Check the account of a vendor, that it has buy rates, and its calendar."""
    gateway = vendor.value
    if gateway.calendar is not None:
        source.calendars.find(gateway.calendar, vendor, "calendar", problems)
    account = source.accounts.find(gateway.account or "", vendor, "account", problems)
    if account is None or _is_priced(account.value) or _is_priced(gateway):
        return
    if not gateway.allow_unrated:
        expected = (
            f"a rate_group on account {gateway.account!r}, or allow_unrated: yes; "
            "without a buy rate the gateway takes no call"
        )
        problems.warning(vendor.origin.place_of("account"), vendor.label, expected)
    if gateway.prefixes == PREFIXES_FROM_RATES:
        expected = f"a rate_group on account {gateway.account!r} to take prefixes from"
        problems.error(*vendor.at("prefixes"), expected, PREFIXES_FROM_RATES[0])


def check_partner(vendor: Definition[RoutingGateway], problems: ProblemList) -> None:
    """Check that a gateway of a partner names what the partner is paid: its account has what it pays."""
    if not _is_priced(vendor.value):
        expected = f"what partner {vendor.value.account!r} is paid: rate_group of its account is what it pays"
        problems.error(*vendor.at("rate_group"), expected)


def check_offline_gateway(
    named: Definition[str] | None, gateways: Definitions[RoutingGateway], problems: ProblemList
) -> None:
    """Check the gateway that takes the calls to unregistered phones, where the installation names one."""
    if named is not None:
        gateways.find(named.value, named, "offline_gateway", problems)


def check_references_of_broken(source: CatalogueSource, problems: ProblemList) -> None:
    """Check the references of definitions with mistakes, so that all mistakes are reported at once."""
    lists: Iterable[Definitions[Any]] = (
        source.accounts,
        source.mapping_gateways,
        source.routing_gateways,
        source.phones,
    )
    for broken in (each for definitions in lists for each in definitions.broken.values()):
        if broken.value.account:
            source.accounts.find(broken.value.account, broken, "account", problems)
        if broken.value.rate_group:
            source.rate_groups.find(broken.value.rate_group, broken, "rate_group", problems)


Sold = Mapping[tuple[str, str | None], tuple[MappingGateway, Definition[object]]]
"""Currencies in which calls are sold by some routing plan, with the first customer of each."""


def sold_by_plan(
    customers: Iterable[tuple[MappingGateway, Definition[object]]], accounts: Mapping[str, Account]
) -> Sold:
    """Return the currencies in which customers' calls are sold, by routing plan; those that are disabled do not count.

    ``accounts`` are the settled ones.
    """
    sold: dict[tuple[str, str | None], tuple[MappingGateway, Definition[object]]] = {}
    for gateway, definition in customers:
        account = accounts.get(gateway.account)
        if account is not None and gateway.enabled:
            plan = gateway.routing_plan or account.routing_plan
            sold.setdefault((account.currency, plan), (gateway, definition))
    return sold


def check_currencies(
    sold: Sold,
    vendors: Definitions[RoutingGateway],
    plans: Mapping[str, RoutingPlan],
    accounts: Mapping[str, Account],
    exchange: Exchange,
    problems: ProblemList,
) -> None:
    """Report each routing gateway whose cost cannot be compared with what some customer's calls are sold for.

    A customer's call may be routed to any gateway of its plan; ``plans`` name gateways, not their groups. Gateways that
    are disabled or without buy rates do not count.
    """
    used = {name: plan.names for name, plan in plans.items()}
    for vendor in vendors.sound.values():
        account = accounts.get(vendor.value.account or "")
        is_rated = account is not None and (_is_priced(account) or _is_priced(vendor.value))
        if account is None or not is_rated or not vendor.value.enabled:
            continue
        for (currency, plan), (gateway, customer) in sold.items():
            names = used.get(plan or "")
            missing = exchange.missing(account.currency, currency)
            if missing and (names is None or vendor.value.name in names):
                expected = (
                    f"an account in {currency}, or {missing}: calls of {customer.label} ({customer.origin.place}, "
                    f"account {gateway.account!r}, {currency}) may go out here, and account {account.id!r} is paid in "
                    f"{account.currency}"
                )
                problems.error(*vendor.at("account"), expected, account.id)
