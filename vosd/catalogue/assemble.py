"""From definitions to the snapshot: references checked, what depends on others settled, indexes built."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from vosd.billing.currencies import Currencies
from vosd.billing.destinations import Destinations
from vosd.catalogue.agents import agents_by_account
from vosd.catalogue.by_difference import assemble_changes
from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.dids import did_table
from vosd.catalogue.exchange import Exchange
from vosd.catalogue.groups import check_groups, with_groups, with_members, with_named_groups
from vosd.catalogue.mailboxes import mailboxes_of
from vosd.catalogue.number_rules import number_rules, sections_of
from vosd.catalogue.parameters import CallParameters
from vosd.catalogue.problems import ProblemList
from vosd.catalogue.rate_choices import chooser_of
from vosd.catalogue.rate_references import check_named_rates
from vosd.catalogue.references import (
    check_currencies,
    check_offline_gateway,
    check_references_of_broken,
    check_routes,
    sold_by_plan,
)
from vosd.catalogue.reused import WATCHED, Assembled, Reused, Watched
from vosd.catalogue.route_tables import prefixes_of_rates, route_tables
from vosd.catalogue.settle import check_account, check_gateway, each_of, settled_account, settled_phone, settled_vendor
from vosd.catalogue.source import CHANGING, CatalogueSource, Definition, Definitions
from vosd.catalogue.users import (
    by_username,
    check_dynamic_names,
    check_names,
    check_networks,
    check_numbers,
    user_sources,
    wide_networks,
)
from vosd.catalogue.versions import Rest, rest_of, version_of
from vosd.routing.identify import SourceConflict, SourceIndex
from vosd.routing.plan import RoutingPlan
from vosd.trunks.gateways import MappingGateway, RoutingGateway, registering_half


def assemble(
    source: CatalogueSource, problems: ProblemList, reused: Reused | None = None, now_ms: int | None = None
) -> Catalogue:
    """Build the catalogue; it may only be used if ``problems`` has no errors afterwards.

    ``reused`` has parts of an earlier catalogue; its ``renew`` makes them those of this one. ``now_ms`` is the present
    (UTC), at which exchange rates must be in force; None = it is not looked at.
    """
    reused = reused or Reused()
    reused.begin()
    source = with_named_groups(source)
    parameters = CallParameters() if source.parameters is None else source.parameters.value
    rest = rest_of(source)
    currencies = Currencies(
        source.exchange_rates.values().values(),
        parameters.currency_decimals,
        parameters.fee_decimals,
        parameters.max_call_seconds,
    )
    exchange = Exchange(currencies, problems, now_ms)
    if reused.last is not None:
        changed = assemble_changes(reused.last, source, rest, exchange, problems, reused)
        if changed is not None:
            return changed
        reused.begin()
    in_order = {field: getattr(source, field).in_order() for field in CHANGING}
    return _whole(replace(source, **in_order), parameters, rest, currencies, exchange, problems, reused)


def _whole(
    source: CatalogueSource,
    parameters: CallParameters,
    rest: Rest,
    currencies: Currencies,
    exchange: Exchange,
    problems: ProblemList,
    reused: Reused,
) -> Catalogue:
    """Build the catalogue of all definitions."""
    groups, definitions = source.rate_groups.values(), source.accounts.sound
    warned: dict[str, set[str]] = {kind: set() for kind in WATCHED}
    accounts = each_of(
        definitions,
        lambda each: settled_account(each, source, exchange, problems, reused),
        problems,
        warned["accounts"],
    )
    each_of(
        definitions,
        lambda each: check_account(each, accounts[each.value.id], source, exchange, problems),
        problems,
        warned["accounts"],
    )
    customers = {name: with_groups(each, source) for name, each in source.mapping_gateways.values().items()}
    check_groups(source, problems)
    each_of(
        source.mapping_gateways.sound,
        lambda each: check_gateway(each, source, accounts, exchange, problems),
        problems,
        warned["mapping_gateways"],
    )
    phones = each_of(
        source.phones.sound,
        lambda each: settled_phone(each, source, accounts, exchange, problems),
        problems,
        warned["phones"],
    )
    vendors = each_of(
        source.routing_gateways.sound,
        lambda each: settled_vendor(each, source, accounts, exchange, problems),
        problems,
        warned["routing_gateways"],
    )
    found = len(problems)
    agents = agents_by_account(source.accounts, accounts, problems)
    if len(problems) > found:
        warned["agents"].update(agents)
    check_named_rates(source, problems)
    check_offline_gateway(source.offline_gateway, source.routing_gateways, problems)
    check_references_of_broken(source, problems)
    check_names(source.phones, (source.mapping_gateways, source.routing_gateways), problems)
    check_numbers(source.phones, parameters.special_numbers, problems)
    check_dynamic_names(source.routing_gateways, source.mapping_gateways, problems)
    callers: list[tuple[MappingGateway, Definition[object]]] = [
        *((each.value, each) for each in source.mapping_gateways.sound.values()),
        *((each.value.gateway, each) for each in source.phones.sound.values()),
    ]
    plans = {name: _settled_plan(each, source, problems) for name, each in source.routing_plans.sound.items()}
    sold = sold_by_plan(callers, accounts)
    check_currencies(sold, source.routing_gateways, plans, accounts, exchange, problems)
    trunks_and_phones = {**customers, **{name: phone.gateway for name, phone in phones.items()}}
    domains = _users(trunks_and_phones.values(), vendors.values(), source, problems)
    wide = {name: gateway for name, gateway in customers.items() if wide_networks(gateway)}
    users = [user for each in domains.values() for user in each.values()]
    found = len(problems)
    check_networks(wide.values(), users, source.mapping_gateways.sound, problems)
    if len(problems) > found:
        warned["networks"].update(wide)
    rules, shared = number_rules(callers, source, problems)
    calendars = source.calendars.values() if parameters.uses_calendars else {}
    choices = chooser_of(parameters, groups, source.period_rates.values(), calendars, currencies).choices(
        accounts, trunks_and_phones.values(), vendors.values()
    )
    rates = prefixes_of_rates(vendors, accounts, groups, choices.vendors)
    tables = route_tables(vendors, phones, plans.values(), parameters, calendars, rates)
    dids, called_trunks = did_table(source, problems)
    others = version_of([*vendors.values()], phones)
    catalogue = Catalogue(
        version=version_of(
            reused.digest("accounts", accounts), reused.digest("mapping gateways", customers), *rest, others
        ),
        accounts=accounts,
        rate_groups=groups,
        mapping_gateways=trunks_and_phones,
        routing_gateways=vendors,
        sources=reused.sources(customers) or _source_index(customers, source.mapping_gateways, problems),
        routes=tables.routes,
        parameters=parameters,
        phones=phones,
        mailboxes=mailboxes_of(phones.values()),
        calendars=calendars,
        dids=dids,
        called_trunks=called_trunks,
        gateway_groups=source.gateway_groups.values(),
        limits_codecs=any(each.media.codecs for each in trunks_and_phones.values())
        or any(each.media.codecs for each in vendors.values()),
        plans=tables.plans,
        user_sources=user_sources(users, (each.gateway for each in phones.values())),
        users=domains.pop(""),
        domains=domains,
        number_lists=rules.lists,
        number_pools=rules.pools,
        incoming=rules.incoming,
        outgoing=rules.outgoing,
        sections=sections_of(accounts.values(), agents),
        agents=agents,
        period_rates=source.period_rates.values(),
        currencies=currencies,
        destinations=Destinations(parameters.destination_classes),
        customer_rates=choices.customers,
        account_rates=choices.accounts,
        vendor_rates=choices.vendors,
    )
    names = {kind: frozenset(each) for kind, each in warned.items()}
    watched = Watched(names, frozenset(wide), frozenset(sold))
    reused.keep(Assembled(catalogue, source, rest, others, watched, shared))
    return catalogue


def _settled_plan(definition: Definition[RoutingPlan], source: CatalogueSource, problems: ProblemList) -> RoutingPlan:
    check_routes(definition, source, problems)
    return with_members(definition.value, source)


def _users(
    callers: Iterable[MappingGateway], vendors: Iterable[RoutingGateway], source: CatalogueSource, problems: ProblemList
) -> dict[str, dict[str, MappingGateway]]:
    """Index everything with credentials by domain and user name."""
    definitions: dict[str, Definition[object]] = {
        **source.routing_gateways.sound,
        **source.mapping_gateways.sound,
        **source.phones.sound,
    }
    registering = [registering_half(vendor) for vendor in vendors if vendor.credentials is not None]
    return by_username((*callers, *registering), definitions, problems)


def _source_index(
    gateways: Mapping[str, MappingGateway], definitions: Definitions[MappingGateway], problems: ProblemList
) -> SourceIndex:
    """Index source addresses; of two gateways with the same pattern the later is reported."""

    def report(conflict: SourceConflict) -> None:
        first, second = definitions.sound[conflict.first], definitions.sound[conflict.second]
        expected = f"hosts or a tech_prefix that differ from {conflict.first!r} at {first.origin.place}: {conflict}"
        problems.error(*second.at("hosts"), expected)

    return SourceIndex(gateways.values(), report)
