"""The configuration, its files and the objects of the database, as the source of the catalogue."""

from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from typing import Any, Final, NamedTuple, TypeVar

from vosd.base.iso4217 import CODES
from vosd.billing.accounts import Account
from vosd.billing.currencies import FeeDecimals
from vosd.billing.destinations import DestinationClass
from vosd.catalogue.parameters import CallParameters
from vosd.catalogue.problems import ProblemList
from vosd.catalogue.source import CatalogueSource, Definition, Definitions, Origin, References
from vosd.config.assembly.access import access_rules
from vosd.config.assembly.accounts import Accounts
from vosd.config.assembly.calendars import calendar
from vosd.config.assembly.callers import MappingGateways, caller_limits, phone
from vosd.config.assembly.conversion import full_conversion
from vosd.config.assembly.currencies import ReadCurrencies, default_decimals
from vosd.config.assembly.inventory import Inventory, Items, Written
from vosd.config.assembly.lookups import portability_terms, redirect_terms
from vosd.config.assembly.media import media_parameters
from vosd.config.assembly.number_lists import number_list, number_pool
from vosd.config.assembly.period_rates import period_rates
from vosd.config.assembly.rate_groups import ReadGroup
from vosd.config.assembly.remembered import ReadItems
from vosd.config.assembly.routing_plans import routing_plan
from vosd.config.assembly.sockets import reach_of
from vosd.config.assembly.sounds import check_played, read_sounds
from vosd.config.assembly.special_numbers import free_policy, special_numbers
from vosd.config.assembly.vendors import routing_gateway
from vosd.config.keys.accounts import AccountKeys
from vosd.config.keys.alarms import ShortCallKeys
from vosd.config.keys.calendars import CalendarKeys
from vosd.config.keys.dids import DidKeys
from vosd.config.keys.groups import AddressGroupKeys, GatewayGroupKeys
from vosd.config.keys.installation import InstallationKeys
from vosd.config.keys.number_lists import NumberListKeys, NumberPoolKeys
from vosd.config.keys.parameters import ParameterKeys, StartBilling
from vosd.config.keys.period_rates import PeriodRatesKeys
from vosd.config.keys.routing_plans import RoutingPlanKeys
from vosd.config.keys.trunks import MappingGatewayKeys, PhoneKeys, RoutingGatewayKeys
from vosd.config.reader.items import names_file
from vosd.media.sounds import ANNOUNCEMENT_MS_MAX
from vosd.radius.settings import RadiusUsers
from vosd.routing.false_answers import ShortCallTerms
from vosd.sip.digest.settings import DigestSettings, LockOutSettings
from vosd.stir.settings import StirTerms
from vosd.trunks.dids import Did
from vosd.trunks.gateways import HostName, HostPattern, RoutingGateway
from vosd.trunks.groups import AddressGroup, GatewayGroup

_SHORT_CALLS: Final = full_conversion(ShortCallKeys, ShortCallTerms)

Read = TypeVar("Read")
Made = TypeVar("Made")


did_of: Final = full_conversion(DidKeys, Did)
"""Returns an entry of the inventory."""


_ADDRESS_GROUP: Final = full_conversion(AddressGroupKeys, AddressGroup, by_hand={"hosts": "hosts"})
_GATEWAY_GROUP: Final = full_conversion(GatewayGroupKeys, GatewayGroup, by_hand={"gateways": "gateways"})


def address_group(keys: AddressGroupKeys) -> AddressGroup:
    """Return a group of addresses."""
    hosts = tuple(each for each in keys.hosts if isinstance(each, HostPattern))
    return _ADDRESS_GROUP(
        keys, hosts=hosts, named_hosts=tuple(each for each in keys.hosts if isinstance(each, HostName))
    )


def gateway_group(keys: GatewayGroupKeys) -> GatewayGroup:
    """Return a group of routing gateways."""
    return _GATEWAY_GROUP(keys, gateways=frozenset(keys.gateways))


class ReadObjects(NamedTuple):
    """Everything that a call is decided by, as read; items of long lists are read when they are defined."""

    rate_groups: Inventory[ReadGroup]
    accounts: Items[AccountKeys]
    mapping_gateways: Items[MappingGatewayKeys]
    routing_gateways: Items[RoutingGatewayKeys]
    phones: Items[PhoneKeys]
    number_lists: Inventory[NumberListKeys]
    number_pools: Inventory[NumberPoolKeys]
    dids: Inventory[DidKeys]
    address_groups: Inventory[AddressGroupKeys]
    gateway_groups: Inventory[GatewayGroupKeys]
    calendars: Inventory[CalendarKeys]
    routing_plans: Inventory[RoutingPlanKeys]
    period_rates: Inventory[PeriodRatesKeys]


def source_of(
    objects: ReadObjects,
    parameters: ParameterKeys,
    keys: InstallationKeys,
    currencies: ReadCurrencies,
    settings: Origin,
    problems: ProblemList,
    items: ReadItems,
    *,
    zone_variable: str = "",
    stir: StirTerms | None = None,
    destination_classes: tuple[DestinationClass, ...] = (),
) -> CatalogueSource:
    """Return the definitions.

    ``settings`` is where the keys of the installation stand, ``items`` has the definitions of earlier loads, and
    ``zone_variable`` is the environment variable TZ, ``stir`` is made of the files of that section.

    Raises:
        DoubtfulError: with what is known of earlier loads, a name stands twice.
    """
    sounds = read_sounds(keys.media.sounds or {}, settings, problems)
    items.note_long_sounds({name for name, each in sounds.items() if each.duration_ms > ANNOUNCEMENT_MS_MAX})
    call_parameters = replace(
        _call_parameters(keys, parameters, currencies.decimals),
        destination_classes=destination_classes,
        sounds=sounds,
        stir=stir,
    )
    check_played(call_parameters, settings, problems)
    codes = CODES | currencies.decimals.keys()
    for group in objects.rate_groups.written.values():
        check_code(group, group.thing.group.currency, codes, problems)
    source = CatalogueSource(
        exchange_rates=currencies.exchange_rates,
        parameters=Definition(call_parameters, "", settings),
        offline_gateway=None if keys.offline_gateway is None else Definition(keys.offline_gateway, "", settings),
    )
    _define(source.rate_groups, objects.rate_groups, lambda each: each.thing.group)
    accounts = Accounts(parameters)

    def account(written: Written[AccountKeys]) -> Account:
        if written.thing.currency:
            check_code(written, written.thing.currency, codes, problems)
        return accounts.account(written.thing)

    def vendor(written: Written[RoutingGatewayKeys]) -> RoutingGateway:
        made = routing_gateway(written, parameters, keys.routing, call_parameters, keys.stir, problems)
        items.reaches_read[made.name] = reach_of(written)
        return made

    def define_items(
        name: str, definitions: Definitions[Made], read: Items[Read], make: Callable[[Written[Read]], Made]
    ) -> Definitions[Made]:
        return _define_items(name, definitions, read, make, items, problems)

    source = replace(
        source,
        accounts=define_items("accounts", source.accounts, objects.accounts, account),
        mapping_gateways=define_items(
            "mapping_gateways",
            source.mapping_gateways,
            objects.mapping_gateways,
            MappingGateways(parameters, call_parameters, keys.stir, problems).gateway,
        ),
        routing_gateways=define_items("routing_gateways", source.routing_gateways, objects.routing_gateways, vendor),
        phones=define_items(
            "phones", source.phones, objects.phones, lambda each: phone(each, parameters, call_parameters, problems)
        ),
    )
    plans = objects.routing_plans
    for name, written in plans.written.items():
        source.routing_plans.add(name, routing_plan(written, keys.routing, problems))
    for name, broken in plans.broken.items():
        source.routing_plans.broken[name] = broken.defines(_references(broken))
    _define(source.number_lists, objects.number_lists, lambda each: number_list(each, problems))
    _define(source.number_pools, objects.number_pools, lambda each: number_pool(each, problems))
    _define(source.dids, objects.dids, lambda each: did_of(each.thing))
    _define(source.address_groups, objects.address_groups, lambda each: address_group(each.thing))
    _define(source.gateway_groups, objects.gateway_groups, lambda each: gateway_group(each.thing))
    _define(source.period_rates, objects.period_rates, lambda each: period_rates(each.thing))
    _define(source.calendars, objects.calendars, lambda each: calendar(each, zone_variable, problems))
    return source


def _define(definitions: Definitions[Made], read: Inventory[Read], make: Callable[[Written[Read]], Made]) -> None:
    for name, written in read.written.items():
        definitions.add(name, written.defines(make(written)))
    for name, broken in read.broken.items():
        definitions.broken[name] = broken.defines(_references(broken))


def _define_items(
    name: str,
    definitions: Definitions[Made],
    read: Items[Read],
    make: Callable[[Written[Read]], Made],
    items: ReadItems,
    problems: ProblemList,
) -> Definitions[Made]:
    """Return the definitions of a long list, and remember those of items without any problem."""
    defined: dict[str, Definition[Made]] = {}
    number_of_problems = problems.count
    before = number_of_problems()
    for each, written, own in read.each():
        value = make(written)
        has_problems = number_of_problems() > before
        is_apart = has_problems or names_file(written.section)  # which has the keys of its template, too
        defined[each] = Definition(value, written.label, items.origin(name, each, own, is_apart=is_apart))
        if has_problems:
            before = number_of_problems()
    for each, broken in read.broken.items():
        definitions.broken[each] = broken.defines(_references(broken))
    whole = items.together(name, defined, read.broken.keys())
    return replace(definitions, sound=whole.sound, change=whole.change)


def _references(broken: Written[Any]) -> References:
    return References(broken.text("account"), broken.text("rate_group"))


def _call_parameters(
    keys: InstallationKeys, parameters: ParameterKeys, decimals: Mapping[str, FeeDecimals]
) -> CallParameters:
    return CallParameters(
        max_call_seconds=keys.limits.max_call_seconds,
        record_server_hang_up=parameters.record_server_hang_up,
        record_zero_hold_time=parameters.record_zero_hold_time,
        record_illegal_calls=parameters.record_illegal_call,
        special_numbers=special_numbers(keys, parameters),
        local_domains=frozenset(keys.routing.local_domains),
        free_policy=free_policy(parameters),
        uses_calendars=parameters.work_calendar,
        uses_period_rates=parameters.period_rate,
        verdicts_one_in=keys.routing.verdicts_one_in,
        calendar_strict=keys.routing.calendar_strict,
        dead_call_billing=keys.limits.dead_call_billing,
        charges_ringing=parameters.start_billing is StartBilling.INVITE,
        free_time_scope=keys.billing.free_time_scope,
        fee_decimals=default_decimals(parameters),
        currency_decimals=decimals,
        digest=DigestSettings(
            realm=keys.sip.realm,
            algorithms=keys.sip.digest.algorithms,
            status=parameters.challenge_code,
            nonce_life_ms=1_000 * parameters.challenge_timeout,
            phones_are_remote=keys.radius.authenticate in {RadiusUsers.PHONES, RadiusUsers.ALL},
            gateways_are_remote=keys.radius.authenticate in {RadiusUsers.GATEWAYS, RadiusUsers.ALL},
        ),
        lock_out=LockOutSettings(parameters.lock_out_retry, 1_000 * parameters.lock_out_suspend),
        challenges_max=parameters.challenge_retry,
        quality_slice_ms=60_000 * parameters.quality_slice,
        quality_slices=parameters.quality_slices,
        away_cap=keys.database.away_cap,
        cdr_pending=parameters.cdr_pending,
        dynamic_blacklist=caller_limits(keys.dynamic_blacklist),
        max_attempts=parameters.switch_limit + 1,
        number_portability=portability_terms(keys.number_portability),
        redirect_server=redirect_terms(keys.redirect_server),
        loss_guard=keys.routing.loss_guard,
        typical_seconds=keys.routing.typical_seconds,
        media=media_parameters(keys, parameters),
        access=access_rules(keys.access),
        short_calls=_SHORT_CALLS(keys.alarms.short_calls),
    )


def check_code(written: Written[Any], code: str | None, known: Set[str], problems: ProblemList) -> None:
    """Report a currency that is neither in ISO 4217 nor in ``currencies``; ``known`` are those that are."""
    if code and code not in known:
        expected = "a code of ISO 4217 such as USD, or one that stands in currencies"
        problems.error(written.section.place_of("currency"), f"{written.label}.currency", expected, code)
