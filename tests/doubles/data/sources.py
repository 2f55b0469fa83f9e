"""Sources of the catalogue in memory: every object stands in its row of a table."""

from collections.abc import Mapping
from typing import Any

from vosd.billing.accounts import Account
from vosd.billing.exchange import ExchangeRate
from vosd.billing.period_rates import PeriodRates
from vosd.billing.rate_group import RateGroup
from vosd.catalogue.parameters import CallParameters
from vosd.catalogue.problems import SourceLine
from vosd.catalogue.source import CatalogueSource, Definition, Definitions, exchange_name
from vosd.routing.calendar import Calendar
from vosd.routing.number_lists import NumberList
from vosd.routing.plan import RoutingPlan
from vosd.routing.pools import NumberPool
from vosd.trunks.dids import Did
from vosd.trunks.gateways import MappingGateway, RoutingGateway
from vosd.trunks.groups import AddressGroup, GatewayGroup
from vosd.trunks.phone import Phone

Defined = (
    Account
    | RateGroup
    | MappingGateway
    | RoutingGateway
    | Phone
    | NumberPool
    | Calendar
    | RoutingPlan
    | PeriodRates
    | ExchangeRate
    | Did
    | AddressGroup
    | GatewayGroup
)


class Row:
    """A row of a table, as a place."""

    def __init__(self, table: str, number: int) -> None:
        self.place = SourceLine(table, number)

    def place_of(self, _key: str) -> SourceLine:
        """Return the row: a key has no place of its own."""
        return self.place


def source(
    name: str,
    *objects: Defined,
    parameters: CallParameters | None = None,
    offline_gateway: str | None = None,
    number_lists: Mapping[str, NumberList] | None = None,
) -> CatalogueSource:
    """Make a source whose table has its name; ``number_lists`` are by name."""
    settings = Row(name, 0)
    made = CatalogueSource(
        parameters=None if parameters is None else Definition(parameters, "", settings),
        offline_gateway=None if offline_gateway is None else Definition(offline_gateway, "", settings),
    )
    for row, each in enumerate(objects, 1):
        definitions, key = _list_for(made, each)
        definitions.add(key, Definition(each, f"{definitions.kind} {key}", Row(name, row)))
    for key, numbers in (number_lists or {}).items():
        made.number_lists.add(key, Definition(numbers, f"number list {key}", settings))
    return made


def _list_for(made: CatalogueSource, each: Defined) -> tuple[Definitions[Any], str]:
    lists: Mapping[type, tuple[Definitions[Any], str]] = {
        Account: (made.accounts, "id"),
        RateGroup: (made.rate_groups, "name"),
        MappingGateway: (made.mapping_gateways, "name"),
        RoutingGateway: (made.routing_gateways, "name"),
        Phone: (made.phones, "number"),
        NumberPool: (made.number_pools, "name"),
        Did: (made.dids, "number"),
        AddressGroup: (made.address_groups, "name"),
        GatewayGroup: (made.gateway_groups, "name"),
        Calendar: (made.calendars, "name"),
        RoutingPlan: (made.routing_plans, "name"),
        PeriodRates: (made.period_rates, "name"),
        ExchangeRate: (made.exchange_rates, ""),
    }
    definitions, key = lists[type(each)]
    return definitions, exchange_name(each) if isinstance(each, ExchangeRate) else getattr(each, key)
