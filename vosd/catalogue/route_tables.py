"""The route tables of a catalogue: that of calls without a routing plan, and one for each plan."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from vosd.base.calendar_use import CalendarUse
from vosd.billing.accounts import Account
from vosd.billing.ports import Rates
from vosd.billing.rate_choice import PricedPrefixes
from vosd.billing.rate_group import RateGroup
from vosd.catalogue.parameters import CallParameters
from vosd.catalogue.source import PREFIXES_FROM_RATES
from vosd.routing.calendar import BoundCalendar, Calendar
from vosd.routing.plan import NO_PLAN, RoutingPlan
from vosd.routing.route_table import Binding, RouteTable
from vosd.trunks.gateways import RoutingGateway
from vosd.trunks.phone import Phone


class RouteTables(NamedTuple):
    """Route tables of calls without and with a plan."""

    routes: RouteTable
    """Calls without a routing plan."""
    plans: Mapping[str, RouteTable]
    """Calls with one, by its name."""


def route_tables(
    vendors: Mapping[str, RoutingGateway],
    phones: Mapping[str, Phone],
    plans: Iterable[RoutingPlan],
    parameters: CallParameters,
    calendars: Mapping[str, Calendar],
    rates: Mapping[str, PricedPrefixes],
) -> RouteTables:
    """Build the tables; ``rates`` are those of ``prefixes_of_rates``."""
    bindings = _bindings(calendars)
    routes = RouteTable(
        vendors.values(),
        phones.values(),
        msgspec.structs.replace(NO_PLAN, loss_guard=parameters.loss_guard, calendar_strict=parameters.calendar_strict),
        {
            name: bindings[gateway.calendar, gateway.calendar_use]
            for name, gateway in vendors.items()
            if gateway.calendar in calendars
        },
        rates,
        bindings,
    )
    return RouteTables(routes, {plan.name: routes.by_plan(plan) for plan in plans})


def _bindings(calendars: Mapping[str, Calendar]) -> dict[Binding, Calendar | BoundCalendar]:
    """Return calendars by name and by the part of them that counts; what uses one alike shares the object."""
    found: dict[Binding, Calendar | BoundCalendar] = {}
    for name, calendar in calendars.items():
        found[name, None] = calendar
        for use in CalendarUse:
            found[name, use] = BoundCalendar(calendar, use)
    return found


def prefixes_of_rates(
    vendors: Mapping[str, RoutingGateway],
    accounts: Mapping[str, Account],
    groups: Mapping[str, RateGroup],
    vendor_rates: Mapping[str, Rates],
) -> dict[str, PricedPrefixes]:
    """Return the buy rates of the gateways that take their prefixes from them, by name of the gateway.

    Gateways with the same rates share them, so that a number is looked up once for all of these.
    """
    found: dict[str, PricedPrefixes] = {}
    shared: dict[int, PricedPrefixes] = {}
    for vendor in vendors.values():
        if vendor.prefixes != PREFIXES_FROM_RATES:
            continue
        account = accounts.get(vendor.account or "")
        name = None if account is None else account.rate_group
        rates = vendor_rates.get(vendor.name) or groups.get(name or "")
        if rates is not None:
            found[vendor.name] = shared.setdefault(id(rates), PricedPrefixes(rates))
    return found
