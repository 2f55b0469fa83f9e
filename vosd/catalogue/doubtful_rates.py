"""Prices that are right one by one, and together probably not what is meant: sold below cost, or without a type.

The tables may be large and many, so some prices of each are compared; a warning says how many.
"""

from collections.abc import Iterable, Mapping, Set
from decimal import Decimal
from itertools import islice
from operator import attrgetter
from typing import Final, NamedTuple

from vosd.base.money import EXACT
from vosd.base.parts import give_way, in_parts
from vosd.base.prefixes import ANY
from vosd.billing.accounts import Account, AccountType
from vosd.billing.currencies import Currencies
from vosd.billing.rate_group import RateGroup
from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.problems import ProblemList
from vosd.catalogue.source import CatalogueSource, Definition

_COMPARED: Final = 50
"""Prefixes of a group whose sell prices are compared with what vendors cost."""
_PRICES_MAX: Final = 50_000
"""Prices of vendors that are looked up in all."""
_DIRECT: Final = AccountType.DIRECT  # access to enum members is slow
_RATE_GROUP: Final = attrgetter("rate_group")
_TYPED_MAX: Final = 5_000
"""Rates of a group that are searched for one of a certain type."""


class _Sold(NamedTuple):
    """A price of a minute, and what the cheapest vendor asks for it."""

    prefix: str
    price: Decimal
    cost: Decimal


def has_rate_types(definition: Definition[Account]) -> bool:
    """Return whether an account asks for rates of certain types."""
    return bool(definition.value.rate_types)


def warn_of_rates(
    catalogue: Catalogue,
    source: CatalogueSource,
    typed: Iterable[Definition[Account]],
    now_ms: int,
    problems: ProblemList,
) -> None:
    """Warn of rate groups that are sold below the cost of each vendor, and of types of rates that no rate has.

    ``typed`` are the accounts of ``source`` that ``has_rate_types`` chooses.

    Nothing is compared where there are errors: what is wrong with prices may follow from them.
    """
    if problems.has_errors:
        return
    _warn_of_losses(catalogue, source, now_ms, problems)
    _warn_of_types(catalogue, typed, now_ms, problems)


def _warn_of_losses(catalogue: Catalogue, source: CatalogueSource, now_ms: int, problems: ProblemList) -> None:
    bought = _bought(catalogue)
    left = _PRICES_MAX
    for name in sorted(_sold(catalogue, catalogue.rate_groups.keys() - bought.keys())):
        group, definition = catalogue.rate_groups[name], source.rate_groups.sound.get(name)
        if definition is None or left <= 0:
            continue
        compared = [*_compared(group, bought, catalogue.currencies, now_ms)]
        left -= _COMPARED * len(bought)
        give_way()
        if compared and all(each.price < each.cost for each in compared):
            prefix, price, cost = compared[0]
            expected = (
                f"prices above what vendors cost: each of {len(compared)} prefixes that were compared is sold below "
                f"the cheapest vendor, such as {prefix}: sold for {price:f} a minute, bought for {cost.normalize():f}; "
                "compare the rate groups of accounts and vendors, price_per and currency"
            )
            problems.warning(definition.origin.place, definition.label, expected)


def _sold(catalogue: Catalogue, groups: Set[str]) -> set[str]:
    """Return those of some rate groups by which customers are charged; mostly the first of all accounts show it."""
    left, found = set(groups), set[str]()
    for accounts in in_parts(catalogue.accounts.values()):
        named = left.intersection(map(_RATE_GROUP, accounts))
        if named:
            found |= {each.rate_group or "" for each in accounts if each.type is _DIRECT and each.rate_group in named}
            left -= found
        if not left:
            return found
    for gateways in in_parts(catalogue.mapping_gateways.values()):
        found |= left.intersection(map(_RATE_GROUP, gateways))
        left -= found
        if not left:
            break
    return found


def _bought(catalogue: Catalogue) -> dict[str, RateGroup]:
    """Return the rate groups by which vendors are paid, by name; none where some vendor's cost is not known."""
    found = {}
    for vendor in catalogue.routing_gateways.values():
        account = catalogue.accounts.get(vendor.account or "")
        name = vendor.rate_group or (None if account is None else account.rate_group)
        if vendor.private_rate_group or (account is not None and (account.private_rate_group or account.period_rates)):
            return {}
        if name is not None and name in catalogue.rate_groups:
            found[name] = catalogue.rate_groups[name]
    return found


def _compared(group: RateGroup, bought: Mapping[str, RateGroup], currencies: Currencies, now_ms: int) -> list[_Sold]:
    """Return some prices of a group, each with the lowest that vendors ask for the same prefix."""
    found = []
    for prefix in islice(group.table.prefixes(), _COMPARED):
        price = None if prefix == ANY else _price(group, prefix, now_ms)
        if not price:
            continue
        costs = []
        for vendor in bought.values():
            cost = _price(vendor, prefix, now_ms)
            rate = currencies.rate(vendor.currency, group.currency, now_ms)
            if cost is not None and rate is not None:
                costs.append(EXACT.multiply(cost, rate))
        if costs:
            found.append(_Sold(prefix, price, min(costs)))
    return found


def _price(group: RateGroup, prefix: str, now_ms: int) -> Decimal | None:
    rate = group.find(prefix, now_ms)
    return None if rate is None else rate.price_per_minute


def _warn_of_types(
    catalogue: Catalogue, typed: Iterable[Definition[Account]], now_ms: int, problems: ProblemList
) -> None:
    types: dict[str, frozenset[str]] = {}
    for definition in typed:
        account = definition.value
        name = account.rate_group or ""
        if name not in catalogue.rate_groups:
            continue
        if name not in types:
            types[name] = _types_of(catalogue.rate_groups[name], now_ms)
            give_way()
        found = types[name]
        is_whole = catalogue.rate_groups[name].table.size <= _TYPED_MAX
        if not found & account.rate_types and account.private_rate_group is None and (is_whole or not found):
            what = "no rate of it" if is_whole else f"none of {_TYPED_MAX} rates of it"
            has = f"its rates are {', '.join(sorted(found))}" if found else f"{what} has a type"
            expected = f"a rate_type that rates of rate group {name!r} have: {has}; calls of other types are refused"
            problems.warning(*definition.at("rate_types"), expected, ", ".join(sorted(account.rate_types)))


def _types_of(group: RateGroup, now_ms: int) -> frozenset[str]:
    """Return the types of the rates of a group, of a large one those of the first rates."""
    prefixes = islice(group.table.prefixes(), _TYPED_MAX)
    rates = (group.table.find("" if prefix == ANY else prefix, now_ms) for prefix in prefixes)
    return frozenset(rate.rate_type for rate in rates if rate is not None and rate.rate_type)
