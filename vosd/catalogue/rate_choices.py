"""Which rates price the calls of accounts, gateways and phones, where more than one rate group may (ADR 58).

Settled here once, so that a call looks its number up and nothing else; so is an account's own rounding. What one rate
group prices alone, as it says, is left out: such calls are the rule, and cost no comparison.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from vosd.billing.account_rates import FreeTimeScope, for_account
from vosd.billing.accounts import Account, AccountType
from vosd.billing.origin_rates import OriginRates
from vosd.billing.period_rates import PeriodRates, PeriodTable
from vosd.billing.ports import Rates, WorkCalendar
from vosd.billing.rate_choice import Candidate, RateChoice, RateSource
from vosd.billing.rate_group import RateGroup
from vosd.catalogue.merge import Merged
from vosd.catalogue.problems import ProblemList
from vosd.catalogue.source import Definition
from vosd.trunks.gateways import MappingGateway, RoutingGateway


class RateChoices(NamedTuple):
    """The rates that are a choice, or those of a gateway instead of its account's."""

    customers: Mapping[str, Rates]
    """By name of the mapping gateway or phone."""
    accounts: Mapping[str, Rates]
    vendors: Mapping[str, Rates]
    """By name of the routing gateway."""


class RateChooser:
    """Makes the choices of one catalogue."""

    def __init__(
        self,
        groups: Mapping[str, RateGroup],
        period_rates: Mapping[str, PeriodRates],
        calendars: Mapping[str, WorkCalendar] | None,
        free_time_scope: FreeTimeScope = FreeTimeScope.ALL,
    ) -> None:
        """``calendars``: None = period rates are switched off."""
        self._free_time_scope = free_time_scope
        self._groups = groups
        self._periods = period_rates
        self._calendars = calendars

    def choices(
        self,
        accounts: Mapping[str, Account],
        callers: Iterable[MappingGateway],
        vendors: Iterable[RoutingGateway],
    ) -> RateChoices:
        """Return the rates of everything that one rate group of its account does not price alone."""
        by_account: dict[str, Rates] = {}
        for name, account in accounts.items():
            choice = self._choice(account, is_vendor=account.type is AccountType.CLEARING)
            if choice is not None:
                by_account[name] = choice
        trunks = partial(self._of_trunks, accounts=accounts, by_account=by_account)
        return RateChoices(trunks(callers), by_account, trunks(vendors))

    def rates_of(self, account: Account, *, is_vendor: bool = False) -> Rates | None:
        """Return the rates of an account by itself, as a customer or a vendor; None = it has none."""
        return self._choice(account, is_vendor=is_vendor) or self._groups.get(account.rate_group or "")

    def _of_trunks(
        self,
        trunks: Iterable[MappingGateway | RoutingGateway],
        accounts: Mapping[str, Account],
        by_account: Mapping[str, Rates],
    ) -> dict[str, Rates]:
        found: dict[str, Rates] = {}
        for trunk in trunks:
            account = accounts.get(trunk.account or "")
            if account is None:
                continue
            is_vendor = isinstance(trunk, RoutingGateway)
            has_own = trunk.private_rate_group is not None or trunk.rate_group is not None
            if not has_own and is_vendor is (account.type is AccountType.CLEARING):
                rates = by_account.get(account.id)
            else:
                rates = self._choice(account, trunk, is_vendor=is_vendor)
                if rates is None and is_vendor:  # the steps of a call know those of callers
                    rates = self._groups.get(trunk.rate_group or "")
            if rates is not None:
                found[trunk.name] = rates
        return found

    def _choice(
        self, account: Account, trunk: MappingGateway | RoutingGateway | None = None, *, is_vendor: bool
    ) -> Rates | None:
        """Return the rates of the calls of an account or of one of its trunks; None = one rate group, as it is."""
        own = None if trunk is None else trunk.private_rate_group
        # The rates of a partner's account price what it pays; what it is paid is priced by its gateways alone.
        general = None if is_vendor and account.type is AccountType.PARTNER else account
        main = self._groups.get((trunk and trunk.rate_group) or (general and general.rate_group) or "")
        rounding = account.rounding(without_free_time=is_vendor and self._free_time_scope is FreeTimeScope.CUSTOMER)

        def charged(group: RateGroup | None) -> Rates | None:
            if group is None:
                return None
            rates = for_account(group, group.policy, rounding)
            if not group.origins:
                return rates
            others = ((origin, self._groups.get(origin.rate_group)) for origin in group.origins)
            return OriginRates(
                rates,
                [(origin, for_account(each, each.policy, rounding)) for origin, each in others if each is not None],
            )

        found = [
            (RateSource.TRUNK, charged(self._groups.get(own or ""))),
            (RateSource.ACCOUNT, charged(self._groups.get((general and general.private_rate_group) or ""))),
            (RateSource.PERIOD, self._period_table(general, main, charged)),
            (RateSource.MAIN, charged(main)),
        ]
        candidates = [Candidate(source, rates) for source, rates in found if rates is not None]
        if all(each.source is RateSource.MAIN for each in candidates):
            return next((each.rates for each in candidates if each.rates is not main), None)
        return RateChoice(candidates, account.rate_selection, account.advance_s)

    def _period_table(
        self, account: Account | None, main: RateGroup | None, charged: Callable[[RateGroup | None], Rates | None]
    ) -> PeriodTable | None:
        """Return the period rates of an account, if there is one, else of the main rate group; None = there are none.

        ``charged`` returns the rates of a group as the account is charged by them.
        """
        name = (account and account.period_rates) or (None if main is None else main.period_rates)
        period_rates = self._periods.get(name or "")
        if period_rates is None or self._calendars is None:
            return None
        table = PeriodTable(period_rates.name)
        for period in period_rates.periods:
            calendar = None if period.calendar is None else self._calendars.get(period.calendar)
            rates = charged(main if period.rate_group is None else self._groups.get(period.rate_group))
            if rates is not None and (calendar is not None or period.calendar is None):
                table.add(period, calendar, rates)
        return None if table.is_empty else table


def currency_from(account: Account) -> tuple[str, str] | None:
    """Return the key and the name of the rate group by which an account has its currency; None = by none."""
    for key in ("rate_group", "private_rate_group"):
        name = getattr(account, key)
        if name is not None:
            return key, name
    return None


def check_choices(merged: Merged, accounts: Mapping[str, Account], problems: ProblemList) -> None:
    """Check what period rates name, and that all rates which may price a call are in one currency.

    ``accounts`` are the settled ones.
    """
    for definition in merged.period_rates.sound.values():
        for index, period in enumerate(definition.value.periods):
            if period.calendar is not None:
                merged.calendars.find(period.calendar, definition, f"periods[{index}].calendar", problems)
            if period.rate_group is not None:
                merged.rate_groups.find(period.rate_group, definition, f"periods[{index}].rate_group", problems)
    for group in merged.rate_groups.sound.values():
        _check_periods(group.value.period_rates, group, group.value.currency, merged, problems)
        for index, origin in enumerate(group.value.origins):
            key = f"origins[{index}].rate_group"
            _check_group(origin.rate_group, group, key, group.value.currency, merged, problems)
    for name, account in merged.accounts.sound.items():
        currency = accounts[name].currency
        _check_group(account.value.private_rate_group, account, "private_rate_group", currency, merged, problems)
        _check_periods(account.value.period_rates, account, currency, merged, problems)
    trunks: Iterable[tuple[MappingGateway | RoutingGateway, Definition[Any]]] = [
        *((each.value, each) for each in merged.mapping_gateways.sound.values()),
        *((each.value.gateway, each) for each in merged.phones.sound.values()),
        *((each.value, each) for each in merged.routing_gateways.sound.values()),
    ]
    for trunk, definition in trunks:
        payer = accounts.get(trunk.account or "")
        paid_in = None if payer is None else payer.currency
        _check_group(trunk.private_rate_group, definition, "private_rate_group", paid_in, merged, problems)
        if isinstance(trunk, RoutingGateway):
            _check_group(trunk.rate_group, definition, "rate_group", paid_in, merged, problems)


def _check_group(
    name: str | None, definition: Definition[Any], key: str, currency: str | None, merged: Merged, problems: ProblemList
) -> None:
    """Check that a rate group exists and has the currency of the account that pays or is paid."""
    group = None if name is None else merged.rate_groups.find(name, definition, key, problems)
    if group is not None and currency is not None and group.value.currency != currency:
        problems.error(*definition.at(key), f"a rate group in {currency}, as the others that may price the call", name)


def _check_periods(
    name: str | None, definition: Definition[Any], currency: str, merged: Merged, problems: ProblemList
) -> None:
    """Check that period rates exist, with rate groups in one currency."""
    found = None if name is None else merged.period_rates.find(name, definition, "period_rates", problems)
    for period in () if found is None else found.value.periods:
        group = merged.rate_groups.sound.get(period.rate_group or "")
        if group is not None and group.value.currency != currency:
            expected = f"period rates in {currency}; rate group {group.value.name!r} of period {period.name!r} is not"
            problems.error(*definition.at("period_rates"), expected, name)
