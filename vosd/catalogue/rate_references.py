"""What rates name: that it exists, and that all which may price a call can be converted into the account's currency."""

from collections.abc import Iterator, Mapping
from typing import Any

from vosd.billing.accounts import Account
from vosd.billing.rate_group import RateGroup
from vosd.catalogue.exchange import Exchange
from vosd.catalogue.merge import Merged
from vosd.catalogue.problems import ProblemList
from vosd.catalogue.source import Definition, Definitions
from vosd.trunks.gateways import MappingGateway, RoutingGateway


def check_choices(merged: Merged, accounts: Mapping[str, Account], exchange: Exchange, problems: ProblemList) -> None:
    """Check the rates of accounts, gateways and phones beside ``rate_group`` of accounts and of callers.

    ``accounts`` are the settled ones.
    """
    _check_names(merged, problems)
    currencies = {group.value.currency for group in merged.rate_groups.sound.values()}
    currencies.update(account.currency for account in accounts.values())
    if len(currencies) < 2:
        return
    for name, account in merged.accounts.sound.items():
        check = _CurrencyCheck(accounts[name], merged, exchange)
        check.group(account.value.private_rate_group, account, "private_rate_group")
        check.main(account.value.rate_group)
    for trunk, definition in _trunks(merged):
        payer = accounts.get(trunk.account or "")
        if payer is None:
            continue
        check = _CurrencyCheck(payer, merged, exchange)
        check.group(trunk.private_rate_group, definition, "private_rate_group")
        if trunk.rate_group is not None:
            check.group(trunk.rate_group, definition, "rate_group")
            check.main(trunk.rate_group)


def _trunks(merged: Merged) -> Iterator[tuple[MappingGateway | RoutingGateway, Definition[Any]]]:
    yield from ((each.value, each) for each in merged.mapping_gateways.sound.values())
    yield from ((each.value.gateway, each) for each in merged.phones.sound.values())
    yield from ((each.value, each) for each in merged.routing_gateways.sound.values())


def _check_names(merged: Merged, problems: ProblemList) -> None:
    groups, periods = merged.rate_groups, merged.period_rates

    def find(name: str | None, definitions: Definitions[Any], named_by: Definition[Any], key: str) -> None:
        if name is not None:
            definitions.find(name, named_by, key, problems)

    for definition in periods.sound.values():
        for index, period in enumerate(definition.value.periods):
            find(period.calendar, merged.calendars, definition, f"periods[{index}].calendar")
            find(period.rate_group, groups, definition, f"periods[{index}].rate_group")
    for group in groups.sound.values():
        find(group.value.period_rates, periods, group, "period_rates")
        for index, origin in enumerate(group.value.origins):
            find(origin.rate_group, groups, group, f"origins[{index}].rate_group")
    for account in merged.accounts.sound.values():
        find(account.value.period_rates, periods, account, "period_rates")
        find(account.value.private_rate_group, groups, account, "private_rate_group")
    for trunk, named_by in _trunks(merged):
        find(trunk.private_rate_group, groups, named_by, "private_rate_group")
        if isinstance(trunk, RoutingGateway):  # that of callers: ``references.check_payer``
            find(trunk.rate_group, groups, named_by, "rate_group")


class _CurrencyCheck:
    """Looks for the exchange rates that the rates of one account need."""

    def __init__(self, account: Account, merged: Merged, exchange: Exchange) -> None:
        self._account = account
        self._merged = merged
        self._exchange = exchange

    def group(self, name: str | None, named_by: Definition[Any], key: str) -> None:
        """Check a rate group that ``key`` names, and those by which it prices calls of some callers."""
        group = self._merged.rate_groups.sound.get(name or "")
        if group is None:
            return
        self._exchange.check_group(group, self._account, named_by, key)
        self._origins(group)

    def main(self, name: str | None) -> None:
        """Check what a rate group of the account or of its trunk brings with it: origins, and period rates."""
        group = self._merged.rate_groups.sound.get(name or "")
        if group is not None:
            self._origins(group)
        own = self._account.period_rates
        periods = own or (None if group is None else group.value.period_rates)
        found = self._merged.period_rates.sound.get(periods or "")
        for index, period in enumerate(found.value.periods if found is not None else ()):
            if period.rate_group is not None and found is not None:
                self.group(period.rate_group, found, f"periods[{index}].rate_group")

    def _origins(self, group: Definition[RateGroup]) -> None:
        for index, origin in enumerate(group.value.origins):
            other = self._merged.rate_groups.sound.get(origin.rate_group)
            if other is not None:
                self._exchange.check_group(other, self._account, group, f"origins[{index}].rate_group")
