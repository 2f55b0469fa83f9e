"""Make the owners of rate tables in the next catalogue, made of the last one and of what has changed (ADR 60).

Where rates have changed, each choice between several rate groups is made again, and the route tables where a gateway
has the prefixes of its buy rates. Which accounts and gateways have a choice does not depend on rates.
"""

from collections.abc import Mapping, Set
from typing import NamedTuple

from vosd.base.edited import edited
from vosd.billing.accounts import Account
from vosd.billing.ports import Rates
from vosd.billing.rate_group import RateGroup
from vosd.catalogue.rate_choices import chooser_of
from vosd.catalogue.reused import Assembled
from vosd.catalogue.route_tables import RouteTables, prefixes_of_rates, route_tables
from vosd.catalogue.source import CatalogueSource
from vosd.catalogue.versions import Rest
from vosd.trunks.gateways import MappingGateway


class Looked(NamedTuple):
    """Accounts or gateways that are not as they were."""

    at: Set[str]
    """New ones, and those that have changed or name one that has."""
    gone: Set[str]


class NextRates(NamedTuple):
    """Fields of the next catalogue."""

    groups: Mapping[str, RateGroup]
    accounts: Mapping[str, Rates]
    customers: Mapping[str, Rates]
    vendors: Mapping[str, Rates]
    tables: RouteTables


def next_rates(
    last: Assembled,
    source: CatalogueSource,
    rest: Rest,
    accounts: Mapping[str, Account],
    gateways: Mapping[str, MappingGateway],
    changed_accounts: Looked,
    changed_gateways: Looked,
) -> NextRates:
    """Return what holds rates; of ``rest``, only the rates may differ from those of the last catalogue.

    ``accounts`` and ``gateways`` are those of the next catalogue; of vendors and phones, none has changed.
    """
    before, are_same = last.catalogue, rest == last.rest
    groups = before.rate_groups if are_same else _with_changed(before.rate_groups, source)
    chooser = chooser_of(before.parameters, groups, before.period_rates, before.calendars, before.currencies)

    def again(choices: Mapping[str, Rates], changed: Looked) -> Set[str]:
        """Return whose choice is to be made."""
        return changed.at if are_same else (changed.at | choices.keys()) - changed.gone

    names = again(before.account_rates, changed_accounts)
    of_accounts = chooser.of_accounts(accounts[name] for name in names)
    account_rates = edited(before.account_rates, names | changed_accounts.gone, of_accounts)
    names = again(before.customer_rates, changed_gateways)
    of_trunks = chooser.of_trunks([gateways[name] for name in names], accounts, account_rates)
    customer_rates = edited(before.customer_rates, names | changed_gateways.gone, of_trunks)
    if are_same:
        tables = RouteTables(before.routes, before.plans)
        return NextRates(groups, account_rates, customer_rates, before.vendor_rates, tables)
    vendors = before.routing_gateways
    vendor_rates = chooser.of_trunks([vendors[name] for name in before.vendor_rates], accounts, account_rates)
    prefixes = prefixes_of_rates(vendors, accounts, groups, vendor_rates)
    tables = RouteTables(before.routes, before.plans)
    if prefixes:
        plans = (table.plan for table in before.plans.values())
        tables = route_tables(vendors, before.phones, plans, before.parameters, before.calendars, prefixes)
    return NextRates(groups, account_rates, customer_rates, vendor_rates, tables)


def _with_changed(before: Mapping[str, RateGroup], source: CatalogueSource) -> dict[str, RateGroup]:
    """Return the rate groups with those that have other rates; of the same names, as the rest is the same."""
    return {
        name: before[name] if before[name].has_the_rates_of(each) else each
        for name, each in source.rate_groups.values().items()
    }
