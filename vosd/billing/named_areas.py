"""Areas of rates that have none: the name that another table, such as the price list, has for the number."""

from collections.abc import Iterator
from typing import Final

import msgspec

from vosd.base.prefixes import ANY
from vosd.billing.ports import RateTable
from vosd.billing.rates import Rate

BY_NUMBER: Final = "+areas"
"""End of the version of rates of which calls by one prefix may have several areas: sums of calls go by each of them."""
_KEPT_MAX: Final = 4_096


class NamedTable:
    """Rates of a table, with areas of another one where they have none (implements ``billing.ports.RateTable``).

    An area is that of the longest prefix of the number which has one. A rate whose area is digits, as those of an
    ``area_prefix`` without name, has the area of these digits.
    """

    __slots__ = ("_kept", "_names", "own", "version")

    def __init__(self, rates: RateTable, names: RateTable, version: str) -> None:
        self.version = version
        self.own = rates
        """The rates, as they are without these areas."""
        self._names = names
        self._kept: dict[tuple[str, str], tuple[Rate, Rate]] = {}
        """The latest rate of the table and what was made of it, by prefix and area."""

    @property
    def size(self) -> int:
        """The number of rates."""
        return self.own.size

    def find(self, number: str, wall_ms: int) -> Rate | None:
        """Return the rate in force at ``wall_ms`` (UTC) of the longest prefix that fits ``number``, or None."""
        rate = self.own.find(number, wall_ms)
        if rate is None:
            return None
        area = rate.area
        if area and not area.isdecimal():
            return rate
        area = area_in(self._names, area or number, wall_ms)
        if not area:
            return rate
        kept = self._kept.get((rate.prefix, area))
        if kept is not None and kept[0] is rate:
            return kept[1]
        if len(self._kept) >= _KEPT_MAX:
            self._kept.clear()
        named = msgspec.structs.replace(rate, area=area)
        self._kept[rate.prefix, area] = rate, named
        return named

    def has(self, prefix: str) -> bool:
        """Return whether a rate of exactly this prefix exists, in force or not."""
        return self.own.has(prefix)

    def prefixes(self, first: str = "", /) -> Iterator[str]:
        """Yield every prefix that has a rate, each once and in order, from ``first`` on."""
        return self.own.prefixes(first)


def area_in(names: RateTable, number: str, wall_ms: int) -> str:
    """Return the area of the longest prefix of a number that has one in force; empty = none has."""
    named = names.find(number, wall_ms)
    while named is not None and not named.area and named.prefix != ANY:
        named = names.find(named.prefix[:-1], wall_ms)
    return "" if named is None else named.area
