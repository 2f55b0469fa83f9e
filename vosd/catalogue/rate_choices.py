"""Choose the rates of accounts, gateways and phones, where more than one rate group may price a call (ADR 58).

Settled here once, so that a call looks its number up and nothing else; so is an account's own rounding. What one rate
group prices alone, as it says, is left out: such calls are the rule, and cost no comparison.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec.structs import replace

from vosd.base.parts import in_parts
from vosd.billing.account_rates import AccountRounding, FreeTimeScope
from vosd.billing.accounts import Account, AccountType
from vosd.billing.currencies import Currencies, rates_for
from vosd.billing.origin_rates import OriginRates
from vosd.billing.period_rates import PeriodRates, PeriodTable, UnmultipliedRates
from vosd.billing.ports import Rates, WorkCalendar
from vosd.billing.rate_choice import RateCandidate, RateChoice, RateSource
from vosd.billing.rate_group import RateGroup
from vosd.trunks.gateways import MappingGateway, RoutingGateway

if TYPE_CHECKING:
    from vosd.catalogue.parameters import CallParameters

CURRENCY_KEYS: Final = ("rate_group", "private_rate_group")
"""Keys of an account that name the rate group by which it has its currency: the first one that it has."""
_AS_THE_GROUP_SAYS: Final = AccountRounding()
_CHOSEN_AT_ONCE: Final = 100


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
        currencies: Currencies | None = None,
    ) -> None:
        """``calendars``: None = period rates are switched off. ``currencies``: None = there is one."""
        self._in_currency = currencies or Currencies()
        self._free_time_scope = free_time_scope
        self._groups = groups
        self._periods = period_rates
        self._calendars = calendars

    def choices(
        self, accounts: Mapping[str, Account], callers: Iterable[MappingGateway], vendors: Iterable[RoutingGateway]
    ) -> RateChoices:
        """Return the rates of everything that one rate group of its account does not price alone."""
        by_account = self.of_accounts(accounts.values())
        trunks = partial(self.of_trunks, accounts=accounts, by_account=by_account)
        return RateChoices(trunks(callers), by_account, trunks(vendors))

    def of_accounts(self, accounts: Iterable[Account]) -> dict[str, Rates]:
        """Return the rates of those accounts that not one rate group prices alone, by id."""
        found: dict[str, Rates] = {}
        for account in chain.from_iterable(in_parts(accounts, _CHOSEN_AT_ONCE)):
            choice = self._choice(account, is_vendor=account.type is AccountType.CLEARING)
            if choice is not None:
                found[account.id] = choice
        return found

    def rates_of(self, account: Account, *, is_vendor: bool = False) -> Rates | None:
        """Return the rates of an account by itself, as a customer or a vendor; None = it has none."""
        return self._choice(account, is_vendor=is_vendor) or self._groups.get(account.rate_group or "")

    def of_trunks(
        self,
        trunks: Iterable[MappingGateway | RoutingGateway],
        accounts: Mapping[str, Account],
        by_account: Mapping[str, Rates],
    ) -> dict[str, Rates]:
        """Return the rates of those trunks that not one rate group of their account prices alone, by name.

        ``by_account`` are the rates of accounts for which that holds.
        """
        found: dict[str, Rates] = {}
        for trunk in chain.from_iterable(in_parts(trunks, _CHOSEN_AT_ONCE)):
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
        if is_vendor and account.type is AccountType.PARTNER:
            # The rates of a partner's account price what it pays; what it is paid is priced by its gateways alone.
            account = replace(account, rate_group=None, private_rate_group=None, period_rates=None)
        own, own_main = (None, None) if trunk is None else (trunk.private_rate_group, trunk.rate_group)
        main = self._groups.get(own_main or account.rate_group or "")
        rounding = account.rounding(without_free_time=is_vendor and self._free_time_scope is FreeTimeScope.CUSTOMER)
        is_plain = main is None or (main.currency == account.currency and not (main.period_rates or main.origins))
        has_others = own or account.private_rate_group or account.period_rates
        if is_plain and not has_others and rounding == _AS_THE_GROUP_SAYS:
            return None  # as of almost every account
        charged = partial(self._charged, account.currency, rounding)
        rates, periods = charged(main), self._period_table(account, main, charged)
        if rates is not None and periods is not None and periods.has_multipliers:
            rates = UnmultipliedRates(rates, periods)
        before = [
            (RateSource.TRUNK, charged(self._groups.get(own or ""))),
            (RateSource.ACCOUNT, charged(self._groups.get(account.private_rate_group or ""))),
            (RateSource.PERIOD, periods),
        ]
        candidates = [RateCandidate(source, each) for source, each in before if each is not None]
        if not candidates:
            return None if rates is main else rates
        if rates is not None:
            candidates.append(RateCandidate(RateSource.MAIN, rates))
        return RateChoice(candidates, account.rate_selection, account.advance_s)

    def _charged(self, currency: str, rounding: AccountRounding, group: RateGroup | None) -> Rates | None:
        """Return the rates of a group as an account is charged by them, with those of its origins."""
        if group is None:
            return None
        rates = rates_for(group, currency, rounding, self._in_currency)
        if not group.origins:
            return rates
        others = [(origin, self._groups.get(origin.rate_group)) for origin in group.origins]
        by_origin = [
            (origin, rates_for(each, currency, rounding, self._in_currency))
            for origin, each in others
            if each is not None
        ]
        return OriginRates(rates, by_origin)

    def _period_table(
        self, account: Account, main: RateGroup | None, charged: Callable[[RateGroup | None], Rates | None]
    ) -> PeriodTable | None:
        """Return the period rates of an account, if there is one, else of the main rate group; None = there are none.

        ``charged`` returns the rates of a group as the account is charged by them.
        """
        name = account.period_rates or (None if main is None else main.period_rates)
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


def chooser_of(
    parameters: "CallParameters",
    groups: Mapping[str, RateGroup],
    period_rates: Mapping[str, PeriodRates],
    calendars: Mapping[str, WorkCalendar],
    currencies: Currencies,
) -> RateChooser:
    """Return what makes the choices of a catalogue; ``calendars`` are empty where they are switched off."""
    has_periods = parameters.uses_period_rates and parameters.uses_calendars
    in_force = calendars if has_periods else None
    return RateChooser(groups, period_rates, in_force, parameters.free_time_scope, currencies)


def currency_from(account: Account) -> tuple[str, str] | None:
    """Return the key and the name of the rate group by which an account has its currency; None = by none."""
    for key in CURRENCY_KEYS:
        name = getattr(account, key)
        if name is not None:
            return key, name
    return None
