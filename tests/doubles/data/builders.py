"""Rates, policies and gateways with defaults, so that a test names only the fields that it is about."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

from doubles.data.sources import source
from vosd.base.credentials import Credentials
from vosd.base.money import Rounding
from vosd.base.secret import Secret
from vosd.billing.accounts import Account, AccountType
from vosd.billing.exchange import ExchangeRate
from vosd.billing.period_rates import PeriodRates
from vosd.billing.rate_group import RateGroup
from vosd.billing.rate_rows import RateRows
from vosd.billing.rates import AppliedRate, Rate, RatingPolicy
from vosd.billing.sections import parse_sections
from vosd.catalogue.assemble import assemble
from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.overrides import Override, Setting, Target
from vosd.catalogue.parameters import CallParameters
from vosd.catalogue.problems import ConfigError, ProblemList
from vosd.engine.settings import Settings
from vosd.routing.calendar import Calendar
from vosd.routing.number_lists import NumberList, packed
from vosd.routing.plan import RoutingPlan
from vosd.routing.pools import NumberPool
from vosd.sip.digest.hashing import ha1_of
from vosd.sip.digest.settings import DigestSettings
from vosd.sip.settings import SipSettings
from vosd.trunks.dids import Did
from vosd.trunks.gateways import Address, CallerNumbers, HostPattern, MappingGateway, RoutingGateway
from vosd.trunks.groups import AddressGroup, GatewayGroup
from vosd.trunks.phone import Phone

NOWHERE: Final = Address("192.0.2.99", 5060)
"""Default address of a trunk."""


def rating_policy(
    *,
    hold_time_precision_ms: int = 50,
    free_time_s: int = 0,
    fee_precision: int = 6,
    fee_unit: str | Decimal | None = None,
    rounding: Rounding = Rounding.HALF_UP,
    nonzero_floor: bool = False,
    section_cap: bool = True,
    tax_exempt: bool = False,
) -> RatingPolicy:
    """Make a policy with vosd's own defaults; the unit follows the precision unless given."""
    unit = Decimal(1).scaleb(-fee_precision) if fee_unit is None else Decimal(fee_unit)
    return RatingPolicy(
        hold_time_precision_ms, free_time_s, fee_precision, unit, rounding, nonzero_floor, section_cap, tax_exempt
    )


def applied_rate(
    billing_rate: str | Decimal = "0.60",
    billing_cycle: int = 1,
    *,
    prefix: str = "44",
    area: str = "",
    per_cycle: bool = False,
    first_rate: str | Decimal | None = None,
    first_duration: int = 0,
    tax_rate: str | Decimal = "0",
    rate_type: str = "",
    policy: RatingPolicy | None = None,
    connection_fee: str | Decimal = "0",
    minimum_charge: str | Decimal = "0",
    sections: str = "",
    locked: bool = False,
) -> AppliedRate:
    """Make a rate as a call carries it; the default costs one cent a second."""
    rate = Rate(
        prefix=prefix,
        area=area,
        billing_rate=Decimal(billing_rate),
        billing_cycle=billing_cycle,
        per_cycle=per_cycle,
        first_rate=None if first_rate is None else Decimal(first_rate),
        first_duration=first_duration,
        tax_rate=Decimal(tax_rate),
        locked=locked,
        rate_type=rate_type,
        connection_fee=Decimal(connection_fee),
        minimum_charge=Decimal(minimum_charge),
        sections=parse_sections(sections) if sections else (),
    )
    return AppliedRate("sell", "v1", "USD", rate, policy or rating_policy())


def host_pattern(text: str) -> HostPattern:
    """Read ``network`` or ``network@port``: ``10.0.0.0/8``, ``10.0.0.1@5062``, ``2001:db8::/32``."""
    network, _, port = text.partition("@")
    return HostPattern(ip_network(network), int(port) if port else None)


def mapping_gateway(name: str, *hosts: str, **terms: Any) -> MappingGateway:
    """Make a customer's trunk whose account has the trunk's name; ``terms`` are any other fields."""
    return MappingGateway(name, **{"account": name, "hosts": tuple(map(host_pattern, hosts)), **terms})


def switch_settings(state_dir: Path, **terms: Any) -> Settings:
    """Make the settings of a switch that opens neither sockets nor a database; ``terms`` are any other fields."""
    return Settings(
        node="sw1",
        listen=(),
        advertise=(),
        sip=SipSettings(),
        database_url=Secret(""),
        state_dir=state_dir,
        control_socket=state_dir / "unused",
        **terms,
    )


def credentials(username: str, password: str, digest: DigestSettings | None = None, domain: str = "") -> Credentials:
    """Make the credentials of a user, with the given or default digest settings, in a domain or in none."""
    settings = digest or DigestSettings()
    realm = domain or settings.realm
    ha1 = {each.value: ha1_of(each, username, realm, password) for each in settings.algorithms}
    return Credentials(username, ha1, realm, domain)


def phone(
    number: str, *hosts: str, password: str = "secret", digest: DigestSettings | None = None, **terms: Any
) -> Phone:
    """Make a telephone whose account is ``acme``; ``terms`` are any other fields, mostly of its calling half."""
    called = {name: terms.pop(name) for name in Phone.__struct_fields__ if name in terms}
    known = {
        "account": "acme",
        "caller_numbers": CallerNumbers(number),
        "credentials": credentials(number, password, digest),
    }
    return Phone(number, mapping_gateway(number, *hosts, **{**known, **terms}), **called)


def routing_gateway(name: str, *prefixes: str, **terms: Any) -> RoutingGateway:
    """Make a vendor's trunk whose account has the trunk's name; ``terms`` are any other fields."""
    return RoutingGateway(name, **{"account": name, "addresses": (NOWHERE,), "prefixes": prefixes or ("*",), **terms})


def account(name: str, **terms: Any) -> Account:
    """Make a customer's account that may not go below zero; ``terms`` are any other fields."""
    defaults = {"type": AccountType.DIRECT, "rate_group": "sell", "overdraft_limit": Decimal(0), "currency": "USD"}
    return Account(name, **{**defaults, **terms})


def rate_group(name: str, *rates: AppliedRate) -> RateGroup:
    """Make a group of rates, with the rounding of its first."""
    table = RateRows((applied.rate for applied in rates), f"{name}-1")
    return RateGroup(name, "USD", rates[0].policy, table, table.version)


def rates_in(group: RateGroup) -> tuple[Rate, ...]:
    """Return the rates of a small group that are in force at time 0, as look-ups find them."""
    found = (group.find(prefix, 0) for prefix in group.table.prefixes())
    return tuple(applied.rate for applied in found if applied is not None)


def override(target: Target, name: str, setting: Setting = Setting.BLOCKED, value: str = "", **terms: Any) -> Override:
    """Make an operational override, by default a block by ``ann``; ``terms`` are any other fields."""
    return Override(target, name, setting, value, **{"operator": "ann", "since": 0, **terms})


def number_list(*patterns: str) -> NumberList:
    """Make a list of numbers and prefixes."""
    lines = packed(patterns)
    return NumberList(lines.numbers, lines.others, ",".join(patterns))


def catalogue(
    gateways: Sequence[MappingGateway | RoutingGateway],
    *,
    phones: Sequence[Phone] = (),
    accounts: Iterable[Account] = (),
    rate_groups: Iterable[RateGroup] = (),
    number_lists: Mapping[str, Iterable[str]] | None = None,
    number_pools: Iterable[NumberPool] = (),
    calendars: Iterable[Calendar] = (),
    plans: Iterable[RoutingPlan] = (),
    period_rates: Iterable[PeriodRates] = (),
    exchange_rates: Iterable[ExchangeRate] = (),
    dids: Iterable[Did] = (),
    groups: Iterable[AddressGroup | GatewayGroup] = (),
    **parameters: Any,
) -> Catalogue:
    """Make a catalogue of gateways; what they refer to and is not given is made up.

    Customers pay by ``sell`` (44 for one cent a second) and may not go below zero, vendors are paid by ``buy``
    (44 for half a cent) and are postpaid. ``number_lists`` are patterns by name of the list.
    """
    mapping = [*(each for each in gateways if isinstance(each, MappingGateway)), *(each.gateway for each in phones)]
    routing = [each for each in gateways if isinstance(each, RoutingGateway)]
    rated = {
        "sell": rate_group("sell", applied_rate("0.60")),
        "buy": rate_group("buy", applied_rate("0.30")),
        **{group.name: group for group in rate_groups},
    }
    payers = {each.account: account(each.account) for each in mapping}
    vendors = {
        each.account: account(each.account, type=AccountType.CLEARING, rate_group="buy", overdraft_limit=None)
        for each in routing
        if each.account is not None
    }
    all_accounts = {**vendors, **payers, **{each.id: each for each in accounts}}
    made = source(
        "test", *rated.values(), *all_accounts.values(), *gateways, *phones, *number_pools, *calendars, *plans,
        *period_rates, *exchange_rates, *dids, *groups,
        parameters=CallParameters(**parameters),
        number_lists={name: number_list(*patterns) for name, patterns in (number_lists or {}).items()},
    )  # fmt: skip
    problems = ProblemList()
    whole = assemble(made, problems)
    if problems.has_errors:
        raise ConfigError(problems.in_order())
    return replace(whole, version="1")
