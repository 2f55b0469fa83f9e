"""Rate groups, and their areas: which prefixes each has, and between which prices its rates are."""

from decimal import Decimal

import msgspec

from vosd.base.money import format_amount
from vosd.base.prefixes import ANY
from vosd.billing.rate_group import RateGroup
from vosd.billing.rates import AppliedRate


class RateGroupSheet(msgspec.Struct, frozen=True):
    """One rate group, as ``vosd rates groups`` prints it."""

    name: str
    currency: str
    price_per: str
    """The unit of its prices: ``minute``, ``cycle`` and so on."""
    rates: int
    """Number of its rates."""
    rates_from: str | msgspec.UnsetType = msgspec.UNSET
    """The key that says where its rates are: ``derive``, ``deck``, ``rates_file`` or ``rates``; for operators alone."""
    base: str | msgspec.UnsetType | None = msgspec.UNSET
    """The rate group that it is derived from."""
    accounts: int | msgspec.UnsetType = msgspec.UNSET
    """Number of those that name it, as theirs or as private one."""
    gateways: int | msgspec.UnsetType = msgspec.UNSET
    """Number of gateways and phones that name it so."""
    memo: str | msgspec.UnsetType | None = msgspec.UNSET


class Area(msgspec.Struct, frozen=True):
    """One area, as ``vosd rates areas`` prints it; of rates in force."""

    area: str
    """Empty for rates without area."""
    rates: int
    """Prefixes with a price."""
    closed: int
    """Prefixes that are locked, so that calls to them are refused."""
    lowest: str | None
    """Price of a minute, without tax and beside a first period; None = every prefix is closed."""
    highest: str | None
    """Highest price of a minute; None = every prefix is closed."""
    prefixes: list[str]
    """Prefixes of the area."""


def areas_of(group: RateGroup, wall_ms: int) -> list[Area]:
    """Return the areas of the rates in force at ``wall_ms`` (UTC), in the order of the alphabet."""
    prefixes: dict[str, list[str]] = {}
    prices: dict[str, list[Decimal]] = {}
    for prefix in group.table.prefixes():
        number = "" if prefix == ANY else prefix
        rate = group.table.find(number, wall_ms)
        if rate is None or rate.prefix != prefix:  # not in force at that moment
            continue
        prefixes.setdefault(rate.area, []).append(prefix)
        if not rate.locked:
            applied = AppliedRate(group.name, group.rate_version, group.currency, rate, group.policy)
            prices.setdefault(rate.area, []).append(applied.price_per_minute)
    return [_area(name, sorted(found), prices.get(name, [])) for name, found in sorted(prefixes.items())]


def _area(name: str, prefixes: list[str], prices: list[Decimal]) -> Area:
    lowest, highest = (format_amount(min(prices)), format_amount(max(prices))) if prices else (None, None)
    return Area(name, len(prices), len(prefixes) - len(prices), lowest, highest, prefixes)
