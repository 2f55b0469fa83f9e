"""Check that the objects that rates name exist, and that every rate can be converted into the account's currency."""

from collections.abc import Mapping
from typing import Any

from vosd.billing.accounts import ANY_GROUP, Account
from vosd.billing.rate_group import RateGroup
from vosd.catalogue.exchange import Exchange
from vosd.catalogue.problems import ProblemList
from vosd.catalogue.source import CatalogueSource, Definition, Definitions
from vosd.trunks.gateways import MappingGateway, RoutingGateway


def check_rates_of_account(
    definition: Definition[Account],
    account: Account,
    source: CatalogueSource,
    exchange: Exchange,
    problems: ProblemList,
) -> None:
    """Check the rates of an account beside its ``rate_group``; ``account`` is the settled one."""
    defined = definition.value
    _find(defined.period_rates, source.period_rates, definition, "period_rates", problems)
    _find(defined.private_rate_group, source.rate_groups, definition, "private_rate_group", problems)
    for group in defined.sub_rate_groups:
        if group != ANY_GROUP:
            _find(group, source.rate_groups, definition, "sub_rate_groups", problems)
        elif ANY_GROUP in source.rate_groups.sound:
            expected = f"another name for the rate group {ANY_GROUP!r}, which means every rate group here"
            problems.error(*definition.at("sub_rate_groups"), expected, group)
    check = _CurrencyCheck(account, source, exchange)
    if defined.private_rate_group is not None:
        check.group(defined.private_rate_group, definition, "private_rate_group")
    check.main(defined.rate_group)


def check_rates_of_trunk(
    trunk: MappingGateway | RoutingGateway,
    definition: Definition[Any],
    source: CatalogueSource,
    accounts: Mapping[str, Account],
    exchange: Exchange,
    problems: ProblemList,
) -> None:
    """Check the rates of a gateway or phone; ``accounts`` are the settled ones."""
    if trunk.private_rate_group is None and trunk.rate_group is None:
        return
    _find(trunk.private_rate_group, source.rate_groups, definition, "private_rate_group", problems)
    if isinstance(trunk, RoutingGateway):  # that of callers: ``references.check_payer``
        _find(trunk.rate_group, source.rate_groups, definition, "rate_group", problems)
    payer = accounts.get(trunk.account or "")
    if payer is None:
        return
    check = _CurrencyCheck(payer, source, exchange)
    check.group(trunk.private_rate_group, definition, "private_rate_group")
    if trunk.rate_group is not None:
        check.group(trunk.rate_group, definition, "rate_group")
        check.main(trunk.rate_group)


def _find(
    name: str | None, definitions: Definitions[Any], named_by: Definition[Any], key: str, problems: ProblemList
) -> None:
    if name is not None:
        definitions.find(name, named_by, key, problems)


def check_named_rates(source: CatalogueSource, problems: ProblemList) -> None:
    """Check what period rates and rate groups name."""
    groups, periods = source.rate_groups, source.period_rates

    def find(name: str | None, definitions: Definitions[Any], named_by: Definition[Any], key: str) -> None:
        _find(name, definitions, named_by, key, problems)

    for definition in periods.sound.values():
        for index, period in enumerate(definition.value.periods):
            find(period.calendar, source.calendars, definition, f"periods[{index}].calendar")
            find(period.rate_group, groups, definition, f"periods[{index}].rate_group")
    for group in groups.sound.values():
        find(group.value.period_rates, periods, group, "period_rates")
        for index, origin in enumerate(group.value.origins):
            find(origin.rate_group, groups, group, f"origins[{index}].rate_group")


class _CurrencyCheck:
    """Looks for the exchange rates that the rates of one account need."""

    def __init__(self, account: Account, source: CatalogueSource, exchange: Exchange) -> None:
        self._account = account
        self._source = source
        self._exchange = exchange

    def group(self, name: str | None, named_by: Definition[Any], key: str) -> None:
        """Check a rate group that ``key`` names, and those by which it prices calls of some callers."""
        group = self._source.rate_groups.sound.get(name or "")
        if group is None:
            return
        self._exchange.check_group(group, self._account, named_by, key)
        self._origins(group)

    def main(self, name: str | None) -> None:
        """Check what a rate group of the account or of its trunk brings with it: origins, and period rates."""
        group = self._source.rate_groups.sound.get(name or "")
        if group is not None:
            self._origins(group)
        own = self._account.period_rates
        periods = own or (None if group is None else group.value.period_rates)
        found = self._source.period_rates.sound.get(periods or "")
        for index, period in enumerate(found.value.periods if found is not None else ()):
            if period.rate_group is not None and found is not None:
                self.group(period.rate_group, found, f"periods[{index}].rate_group")

    def _origins(self, group: Definition[RateGroup]) -> None:
        for index, origin in enumerate(group.value.origins):
            other = self._source.rate_groups.sound.get(origin.rate_group)
            if other is not None:
                self._exchange.check_group(other, self._account, group, f"origins[{index}].rate_group")
