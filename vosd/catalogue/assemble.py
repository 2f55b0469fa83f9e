"""From sources to the snapshot: sources merged, references checked, what depends on others settled, indexes built."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from vosd.billing.accounts import Account, AccountType
from vosd.billing.currencies import Currencies
from vosd.billing.ports import RateTable
from vosd.billing.rate_choice import JoinedTables
from vosd.billing.rate_group import RateGroup
from vosd.catalogue.agents import agents_by_account
from vosd.catalogue.catalogue import CallParameters, Catalogue
from vosd.catalogue.exchange import Exchange
from vosd.catalogue.merge import Merged, merge
from vosd.catalogue.number_rules import number_rules, sections_of
from vosd.catalogue.problems import ProblemList
from vosd.catalogue.rate_choices import RateChoices, RateChooser, currency_from
from vosd.catalogue.rate_references import check_choices
from vosd.catalogue.references import (
    check_currencies,
    check_currency,
    check_offline_gateway,
    check_partner,
    check_payer,
    check_phone,
    check_plan,
    check_references_of_broken,
    check_routes,
    check_vendor,
)
from vosd.catalogue.reused import Reused
from vosd.catalogue.source import (
    CURRENCY_OF_RATE_GROUP,
    DEFAULT_CURRENCY,
    PREFIXES_FROM_RATES,
    CatalogueSource,
    Definition,
    Definitions,
)
from vosd.catalogue.users import by_username, check_dynamic_names, check_names, check_networks, check_numbers
from vosd.catalogue.versions import version_of
from vosd.routing.identify import SourceConflict, SourceIndex
from vosd.routing.plan import NO_PLAN, RoutingPlan
from vosd.routing.route_table import RouteTable
from vosd.trunks.gateways import MappingGateway, RoutingGateway, registering_half
from vosd.trunks.phone import Phone
from vosd.trunks.scope import Limit, Scope


def assemble(
    sources: Sequence[CatalogueSource], problems: ProblemList, reused: Reused | None = None, now_ms: int | None = None
) -> Catalogue:
    """Build the catalogue of at least one source; it may only be used if ``problems`` has no errors afterwards.

    ``reused`` has parts of an earlier catalogue, and is renewed. ``now_ms`` is the present (UTC), at which exchange
    rates must be in force; None = it is not looked at.
    """
    reused = reused or Reused()
    reused.begin()
    merged = merge(sources, problems)
    parameters = CallParameters() if merged.parameters is None else merged.parameters.value
    groups = merged.rate_groups.values()
    currencies = Currencies(
        merged.exchange_rates.values().values(),
        parameters.currency_decimals,
        parameters.fee_decimals,
        parameters.max_call_seconds,
    )
    exchange = Exchange(currencies, problems, now_ms)
    accounts = {
        name: _settled_account(each, merged, exchange, problems, reused) for name, each in merged.accounts.sound.items()
    }
    for account in merged.accounts.sound.values():
        check_plan(account.value.routing_plan, account, merged, problems)
    agents = agents_by_account(merged.accounts, accounts, problems)
    customers = merged.mapping_gateways.values()
    for each in merged.mapping_gateways.sound.values():
        check_payer(each.value, each, merged, accounts, problems)
    phones = {name: _settled_phone(each, merged, accounts, problems) for name, each in merged.phones.sound.items()}
    vendors = {name: _settled_vendor(each, merged, problems) for name, each in merged.routing_gateways.sound.items()}
    check_choices(merged, accounts, exchange, problems)
    check_offline_gateway(merged.offline_gateway, merged.routing_gateways, problems)
    check_references_of_broken(merged, problems)
    check_names(merged.phones, (merged.mapping_gateways, merged.routing_gateways), problems)
    check_numbers(merged.phones, problems)
    check_dynamic_names(merged.routing_gateways, merged.mapping_gateways, problems)
    callers: list[tuple[MappingGateway, Definition[object]]] = [
        *((each.value, each) for each in merged.mapping_gateways.sound.values()),
        *((each.value.gateway, each) for each in merged.phones.sound.values()),
    ]
    check_currencies(callers, merged.routing_gateways, merged.routing_plans.values(), accounts, exchange, problems)
    trunks_and_phones = {**customers, **{name: phone.gateway for name, phone in phones.items()}}
    domains = _users(trunks_and_phones.values(), vendors.values(), merged, problems)
    rules = number_rules(callers, merged, problems)
    plans = {name: _settled_plan(each, merged, problems) for name, each in merged.routing_plans.sound.items()}
    versions = {name: group.version for name, group in groups.items()}
    lists = {name: numbers.version for name, numbers in rules.lists.items()}
    calendars = merged.calendars.values() if parameters.uses_calendars else {}
    has_periods = parameters.uses_period_rates and parameters.uses_calendars
    choices = RateChooser(
        groups, merged.period_rates.values(), calendars if has_periods else None, parameters.free_time_scope, currencies
    ).choices(accounts, trunks_and_phones.values(), vendors.values())
    routes = RouteTable(
        vendors.values(),
        phones.values(),
        msgspec.structs.replace(NO_PLAN, loss_guard=parameters.loss_guard, calendar_strict=parameters.calendar_strict),
        {name: calendars[each.calendar] for name, each in vendors.items() if each.calendar in calendars},
        _rates_by_gateway(vendors, accounts, groups, choices),
        calendars,
    )
    source_index = reused.sources(customers) or _source_index(merged.mapping_gateways, problems)
    if not problems.has_errors:
        reused.keep(customers, source_index)
    return Catalogue(
        version=version_of(
            reused.digest("accounts", accounts),
            versions,
            reused.digest("mapping gateways", customers),
            list(vendors.values()),
            phones,
            parameters,
            lists,
            rules.pools,
            calendars,
            plans,
            merged.period_rates.values(),
            merged.exchange_rates.values(),
        ),
        accounts=accounts,
        rate_groups=groups,
        mapping_gateways=trunks_and_phones,
        routing_gateways=vendors,
        sources=source_index,
        routes=routes,
        parameters=parameters,
        phones=phones,
        calendars=calendars,
        plans={name: routes.by_plan(plan) for name, plan in plans.items()},
        users=domains.pop(""),
        domains=domains,
        number_lists=rules.lists,
        number_pools=rules.pools,
        incoming=rules.incoming,
        outgoing=rules.outgoing,
        sections=sections_of(accounts, agents),
        agents=agents,
        period_rates=merged.period_rates.values(),
        currencies=currencies,
        customer_rates=choices.customers,
        account_rates=choices.accounts,
        vendor_rates=choices.vendors,
    )


def settled(account: Account, group_currency: str | None) -> Account:
    """Return an account with its currency; ``group_currency`` is None where it has no rate group."""
    if account.currency != CURRENCY_OF_RATE_GROUP:
        return account
    return msgspec.structs.replace(account, currency=group_currency or DEFAULT_CURRENCY)


def _settled_account(
    definition: Definition[Account], merged: Merged, exchange: Exchange, problems: ProblemList, reused: Reused
) -> Account:
    account = definition.value
    if account.calendar is not None:
        merged.calendars.find(account.calendar, definition, "calendar", problems)
    priced_by = currency_from(account)
    if priced_by is None:
        return reused.settled(account, None, settled)
    key, name = priced_by
    group = merged.rate_groups.sound.get(name)
    if key == "rate_group":
        group = merged.rate_groups.find(name, definition, key, problems)
    if group is None:
        return reused.settled(account, None, settled)
    if not check_currency(definition, group.value.currency, exchange, problems):
        return msgspec.structs.replace(account, currency=group.value.currency)  # so that this is the one mistake
    return reused.settled(account, group.value.currency, settled)


def _settled_phone(
    definition: Definition[Phone], merged: Merged, accounts: Mapping[str, Account], problems: ProblemList
) -> Phone:
    phone = definition.value
    check_payer(phone.gateway, definition, merged, accounts, problems)
    check_phone(definition, merged, problems)
    if phone.offline_gateway is None and merged.offline_gateway is not None:
        return msgspec.structs.replace(phone, offline_gateway=merged.offline_gateway.value)
    return phone


def _settled_vendor(definition: Definition[RoutingGateway], merged: Merged, problems: ProblemList) -> RoutingGateway:
    """Return a vendor with what it has from its account: whether it earns, the partner, limits that are shared."""
    vendor = definition.value
    check_vendor(definition, merged, problems)
    found = merged.accounts.sound.get(vendor.account or "")
    if found is None:
        return vendor
    account = found.value
    if account.type is AccountType.PARTNER:
        check_partner(definition, problems)
        vendor = msgspec.structs.replace(vendor, earns=True)
    limit = Limit(Scope.VENDOR, account.id, account.max_concurrent, account.max_cps)
    is_limited = account.max_concurrent is not None or account.max_cps is not None
    if not is_limited and (account.partner is None or vendor.partner is not None):
        return vendor
    return msgspec.structs.replace(
        vendor, partner=vendor.partner or account.partner, account_limit=limit if is_limited else None
    )


def _settled_plan(definition: Definition[RoutingPlan], merged: Merged, problems: ProblemList) -> RoutingPlan:
    check_routes(definition, merged, problems)
    return definition.value


def _rates_by_gateway(
    vendors: Mapping[str, RoutingGateway],
    accounts: Mapping[str, Account],
    groups: Mapping[str, RateGroup],
    choices: RateChoices,
) -> dict[str, RateTable | JoinedTables]:
    """Return the buy rates of the gateways that take their prefixes from them."""
    found: dict[str, RateTable | JoinedTables] = {}
    for vendor in vendors.values():
        if vendor.prefixes != PREFIXES_FROM_RATES:
            continue
        account = accounts.get(vendor.account or "")
        name = None if account is None else account.rate_group
        rates = choices.vendors.get(vendor.name) or groups.get(name or "")
        if rates is not None:
            found[vendor.name] = rates.tables[0] if len(rates.tables) == 1 else JoinedTables(rates.tables)
    return found


def _users(
    callers: Iterable[MappingGateway], vendors: Iterable[RoutingGateway], merged: Merged, problems: ProblemList
) -> dict[str, dict[str, MappingGateway]]:
    """Index everything with credentials by domain and user name."""
    definitions: dict[str, Definition[object]] = {
        **merged.routing_gateways.sound,
        **merged.mapping_gateways.sound,
        **merged.phones.sound,
    }
    registering = [registering_half(vendor) for vendor in vendors if vendor.credentials is not None]
    domains = by_username((*callers, *registering), definitions, problems)
    users = [user for each in domains.values() for user in each.values()]
    check_networks(merged.mapping_gateways.values().values(), users, definitions, problems)
    return domains


def _source_index(gateways: Definitions[MappingGateway], problems: ProblemList) -> SourceIndex:
    """Index source addresses; of two gateways with the same pattern the later is reported and left out."""
    remaining = gateways.values()
    while True:
        try:
            return SourceIndex(remaining.values())
        except SourceConflict as conflict:
            first, second = gateways.sound[conflict.first], gateways.sound[conflict.second]
            expected = f"hosts or a tech_prefix that differ from {conflict.first!r} at {first.origin.place}: {conflict}"
            problems.error(*second.at("hosts"), expected)
            del remaining[conflict.second]
