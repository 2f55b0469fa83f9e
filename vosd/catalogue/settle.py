"""Single definitions: each checked with what it names, and completed by what it has from others.

All that is checked here depends on one definition, on those that it names and on the agents above these, so
``by_difference`` looks again only at what has changed. What definitions may not have in common is checked elsewhere.
"""

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Final, TypeVar

import msgspec

from vosd.base.parts import in_parts
from vosd.billing.accounts import Account, AccountType
from vosd.catalogue.doubtful_trunks import (
    check_denied,
    check_sources,
    warn_of_late_protection,
    warn_of_separators,
    warn_of_unlimited,
)
from vosd.catalogue.exchange import Exchange
from vosd.catalogue.groups import check_own_groups, groups_of, with_groups
from vosd.catalogue.overrides import destination_name
from vosd.catalogue.problems import ProblemList
from vosd.catalogue.rate_choices import currency_from
from vosd.catalogue.rate_references import check_rates_of_account, check_rates_of_trunk
from vosd.catalogue.references import check_currency, check_partner, check_payer, check_phone, check_plan, check_vendor
from vosd.catalogue.reused import Reused
from vosd.catalogue.source import CURRENCY_OF_RATE_GROUP, DEFAULT_CURRENCY, CatalogueSource, Definition, report_unknown
from vosd.cdr.kinds import NAME_LENGTH
from vosd.trunks.gateways import MappingGateway, RoutingGateway
from vosd.trunks.phone import Phone
from vosd.trunks.scope import LimitScope, SharedLimit

Thing = TypeVar("Thing")
Made = TypeVar("Made")

_LOOKED_AT_ONCE: Final = 100


def each_of(
    definitions: Mapping[str, Definition[Thing]],
    look: Callable[[Definition[Thing]], Made],
    problems: ProblemList,
    warned: set[str],
) -> dict[str, Made]:
    """Look at definitions and return what is found, by name; names of those with problems are added to ``warned``."""
    found: dict[str, Made] = {}
    number_of_problems = problems.count
    before = number_of_problems()
    for name, definition in chain.from_iterable(in_parts(definitions.items(), _LOOKED_AT_ONCE)):
        found[name] = look(definition)
        if number_of_problems() > before:
            warned.add(name)
            before = number_of_problems()
    return found


def settled(account: Account, group_currency: str | None) -> Account:
    """Return an account with its currency; ``group_currency`` is None where it has no rate group."""
    if account.currency != CURRENCY_OF_RATE_GROUP:
        return account
    return msgspec.structs.replace(account, currency=group_currency or DEFAULT_CURRENCY)


def settled_account(
    definition: Definition[Account], source: CatalogueSource, exchange: Exchange, problems: ProblemList, reused: Reused
) -> Account:
    """Return an account with its currency."""
    account = definition.value
    if account.calendar is not None:
        source.calendars.find(account.calendar, definition, "calendar", problems)
    if account.destination_limits:
        _check_destinations(definition, source, problems)
    priced_by = currency_from(account)
    if priced_by is None:
        return reused.settled(account, None, settled)
    key, name = priced_by
    group = source.rate_groups.sound.get(name)
    if key == "rate_group":
        group = source.rate_groups.find(name, definition, key, problems)
    if group is None:
        return reused.settled(account, None, settled)
    if not check_currency(definition, group.value.currency, exchange, problems):
        return msgspec.structs.replace(account, currency=group.value.currency)  # so that this is the one mistake
    return reused.settled(account, group.value.currency, settled)


def _check_destinations(definition: Definition[Account], source: CatalogueSource, problems: ProblemList) -> None:
    """Report classes of destinations that do not exist, and a name that does not fit an override."""
    classes = () if source.parameters is None else source.parameters.value.destination_classes
    known = [each.name for each in classes]
    for index, limit in enumerate(definition.value.destination_limits):
        key = f"destination_limits[{index}].destination"
        if limit.destination not in known:
            report_unknown("destination class", limit.destination, known, definition, key, problems)
        name = destination_name(definition.value.id, limit.destination)
        if len(name) > NAME_LENGTH:
            expected = f"at most {NAME_LENGTH} characters with the id of the account and a slash, for a block has both"
            problems.error(*definition.at(key), expected, name)


def check_account(
    definition: Definition[Account],
    account: Account,
    source: CatalogueSource,
    exchange: Exchange,
    problems: ProblemList,
) -> None:
    """Check what an account names; ``account`` is the settled one."""
    check_plan(definition.value.routing_plan, definition, source, problems)
    check_rates_of_account(definition, account, source, exchange, problems)


def check_gateway(
    definition: Definition[MappingGateway],
    source: CatalogueSource,
    accounts: Mapping[str, Account],
    exchange: Exchange,
    problems: ProblemList,
) -> None:
    """Check what a mapping gateway names; ``accounts`` are the settled ones."""
    gateway = definition.value
    check_payer(gateway, definition, source, accounts, problems)
    warn_of_unlimited(gateway, definition, accounts, problems)
    check_rates_of_trunk(gateway, definition, source, accounts, exchange, problems)
    for name in gateway.address_groups:
        source.address_groups.find(name, definition, "address_groups", problems)
    if gateway.groups:
        check_own_groups(definition, source, problems)
    check_sources(with_groups(gateway, source) if gateway.address_groups else gateway, definition, problems)
    if gateway.numbers is not None:
        check_denied(gateway, definition, problems)


def settled_phone(
    definition: Definition[Phone],
    source: CatalogueSource,
    accounts: Mapping[str, Account],
    exchange: Exchange,
    problems: ProblemList,
) -> Phone:
    """Return a phone with the gateway for calls while it is offline, checked with what it names."""
    phone = definition.value
    check_payer(phone.gateway, definition, source, accounts, problems)
    warn_of_unlimited(phone.gateway, definition, accounts, problems)
    check_rates_of_trunk(phone.gateway, definition, source, accounts, exchange, problems)
    check_phone(definition, source, problems)
    check_denied(phone.gateway, definition, problems)
    if phone.offline_gateway is None and source.offline_gateway is not None:
        return msgspec.structs.replace(phone, offline_gateway=source.offline_gateway.value)
    return phone


def settled_vendor(
    definition: Definition[RoutingGateway],
    source: CatalogueSource,
    accounts: Mapping[str, Account],
    exchange: Exchange,
    problems: ProblemList,
) -> RoutingGateway:
    """Return a vendor with what it has from its account: whether it earns, the partner, limits that are shared.

    It is checked with what it names.
    """
    vendor = definition.value
    check_vendor(definition, source, problems)
    if vendor.numbers is not None:
        warn_of_separators(vendor.numbers, definition, problems)
    check_own_groups(definition, source, problems)
    if vendor.protect_ms is not None and source.parameters is not None:
        own = (each.value.search_ms or 0 for each in source.routing_plans.sound.values())
        warn_of_late_protection(vendor, definition, (source.parameters.value.search_ms, *own), problems)
    check_rates_of_trunk(vendor, definition, source, accounts, exchange, problems)
    groups, limits = groups_of(vendor.name, source)
    if groups:
        vendor = msgspec.structs.replace(vendor, groups=groups, shared_limits=limits)
    found = source.accounts.sound.get(vendor.account or "")
    if found is None:
        return vendor
    account = found.value
    if account.type is AccountType.PARTNER:
        check_partner(definition, problems)
        vendor = msgspec.structs.replace(vendor, earns=True)
    if account.max_concurrent is not None or account.max_cps is not None:
        limits = (SharedLimit(LimitScope.VENDOR, account.id, account.max_concurrent, account.max_cps), *limits)
    partner = vendor.partner or account.partner
    if (limits, partner) == (vendor.shared_limits, vendor.partner):
        return vendor
    return msgspec.structs.replace(vendor, partner=partner, shared_limits=limits)
