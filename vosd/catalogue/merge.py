"""Several sources as one: the same definition in two of them is an error that names both places."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from vosd.billing.accounts import Account
from vosd.billing.exchange import ExchangeRate
from vosd.billing.period_rates import PeriodRates
from vosd.billing.rate_group import RateGroup
from vosd.catalogue.problems import ProblemList
from vosd.catalogue.source import CatalogueSource, Definition, Definitions
from vosd.routing.calendar import Calendar
from vosd.routing.number_lists import NumberList
from vosd.routing.plan import RoutingPlan
from vosd.routing.pools import NumberPool
from vosd.trunks.dids import Did
from vosd.trunks.gateways import MappingGateway, RoutingGateway
from vosd.trunks.groups import AddressGroup, GatewayGroup
from vosd.trunks.phone import Phone

if TYPE_CHECKING:
    from vosd.catalogue.parameters import CallParameters

CHANGING: Final = ("accounts", "mapping_gateways", "routing_gateways", "phones")
"""Fields of ``Merged`` with definitions that are compared one by one with those of the last catalogue (ADR 60)."""

Thing = TypeVar("Thing")


class Merged(NamedTuple):
    """The definitions of all sources together."""

    accounts: Definitions[Account]
    rate_groups: Definitions[RateGroup]
    mapping_gateways: Definitions[MappingGateway]
    routing_gateways: Definitions[RoutingGateway]
    phones: Definitions[Phone]
    number_lists: Definitions[NumberList]
    number_pools: Definitions[NumberPool]
    dids: Definitions[Did]
    address_groups: Definitions[AddressGroup]
    gateway_groups: Definitions[GatewayGroup]
    calendars: Definitions[Calendar]
    routing_plans: Definitions[RoutingPlan]
    rates: Definitions[None]
    period_rates: Definitions[PeriodRates]
    exchange_rates: Definitions[ExchangeRate]
    parameters: "Definition[CallParameters] | None"
    offline_gateway: Definition[str] | None


def merge(sources: Sequence[CatalogueSource], problems: ProblemList) -> Merged:
    """Return the definitions of all sources; of two with the same name the later is reported and left out."""

    def lists(of: Callable[[CatalogueSource], Definitions[Thing]]) -> Definitions[Thing]:
        return _joined([(source.name, of(source)) for source in sources], problems)

    def single(key: str, of: Callable[[CatalogueSource], Definition[Thing] | None]) -> Definition[Thing] | None:
        return _only(key, [(source.name, of(source)) for source in sources], problems)

    return Merged(
        lists(lambda source: source.accounts),
        lists(lambda source: source.rate_groups),
        lists(lambda source: source.mapping_gateways),
        lists(lambda source: source.routing_gateways),
        lists(lambda source: source.phones),
        lists(lambda source: source.number_lists),
        lists(lambda source: source.number_pools),
        lists(lambda source: source.dids),
        lists(lambda source: source.address_groups),
        lists(lambda source: source.gateway_groups),
        lists(lambda source: source.calendars),
        lists(lambda source: source.routing_plans),
        lists(lambda source: source.rates),
        lists(lambda source: source.period_rates),
        lists(lambda source: source.exchange_rates),
        single("parameters", lambda source: source.parameters),
        single("offline_gateway", lambda source: source.offline_gateway),
    )


def _joined(parts: Sequence[tuple[str, Definitions[Thing]]], problems: ProblemList) -> Definitions[Thing]:
    begins, first = next(((source, part) for source, part in parts if part.sound or part.broken), parts[0])
    if not any(part.sound or part.broken for _, part in parts if part is not first):
        return first
    whole = Definitions(first.kind, first.name_key, dict(first.in_order().sound), dict(first.broken))
    defined_by = dict.fromkeys([*whole.sound, *whole.broken], begins)
    for source, part in parts:
        if part is first:
            continue
        for name, definition in part.sound.items():
            if not _is_taken(name, definition, whole, defined_by, problems):
                whole.add(name, definition)
                defined_by[name] = source
        for name, broken in part.broken.items():
            if not _is_taken(name, broken, whole, defined_by, problems):
                whole.broken[name] = broken
                defined_by[name] = source
    return whole


def _is_taken(
    name: str,
    definition: Definition[object],
    whole: Definitions[Thing],
    defined_by: dict[str, str],
    problems: ProblemList,
) -> bool:
    earlier = whole.sound.get(name) or whole.broken.get(name)
    if earlier is None:
        return False
    place = earlier.origin.place_of(whole.name_key)
    expected = f"each {whole.kind} in one source only; {defined_by[name]} defines it too, at {place}"
    problems.error(*definition.at(whole.name_key), expected, name)
    return True


def _only(
    key: str, parts: Sequence[tuple[str, Definition[Thing] | None]], problems: ProblemList
) -> Definition[Thing] | None:
    """Return the definition of what exists once, under ``key`` of a source."""
    found = [(source, definition) for source, definition in parts if definition is not None]
    for _, later in found[1:]:
        source, first = found[0]
        expected = f"this key in one source only; {source} defines it too, at {first.origin.place_of(key)}"
        problems.error(*later.at(key), expected)
    return found[0][1] if found else None
