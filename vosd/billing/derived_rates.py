"""Rates derived from those of another group: multiplied, with an amount added, rounded (ADR 58).

Computed when a number is looked up, and kept for the calls that follow: a derived group of a million rates needs no
memory of its own, and it changes with its base, whatever the base is kept in.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

import msgspec

from vosd.base.money import EXACT, PLACES, ROUNDING_MODE, ZERO, Rounding
from vosd.base.prefixes import ANY, each_once
from vosd.billing.ports import RateTable
from vosd.billing.rates import Rate

_KEPT_MAX: Final = 4_096
_MINUTE: Final = Decimal(60)


class Derivation(msgspec.Struct, frozen=True):
    """Changes that are made to each rate of the base."""

    factor: Decimal = Decimal(1)
    """Factor of every price, also connection fee and minimum charge."""
    offset: Decimal = ZERO
    """Added to the price of a minute, or of a cycle where the base has prices of cycles; not negative."""
    decimals: int = PLACES
    """To how many decimals prices are rounded then; one that is above zero stays so."""
    rounding: Rounding = Rounding.HALF_UP

    def rate(self, base: Rate) -> Rate:
        """Return the derived rate. Area, type, cycle, periods and tax rate are those of the base."""
        per_s = Decimal(base.billing_cycle) if base.per_cycle else _MINUTE
        return msgspec.structs.replace(
            base,
            billing_rate=self._price(base.billing_rate, self.offset),
            first_rate=None if base.first_rate is None else self._of_time(base.first_rate, base.first_duration, per_s),
            connection_fee=self._price(base.connection_fee, ZERO),
            minimum_charge=self._price(base.minimum_charge, ZERO),
            sections=tuple(
                each._replace(amount=self._of_time(each.amount, each.until_s, per_s)) for each in base.sections
            ),
        )

    def _of_time(self, amount: Decimal, seconds: int, per_s: Decimal) -> Decimal:
        """Return the price of a stretch of time: the offset is added for as long as it is."""
        return self._price(amount, EXACT.divide(EXACT.multiply(self.offset, seconds), per_s))

    def _price(self, price: Decimal, offset: Decimal) -> Decimal:
        exact = EXACT.add(EXACT.multiply(price, self.factor), offset)
        smallest = Decimal(1).scaleb(-self.decimals)
        rounded = exact.quantize(smallest, ROUNDING_MODE[self.rounding], EXACT)
        return smallest if exact and not rounded else rounded  # too few decimals must not make calls free


class DerivedTable:
    """The rates of a base, each derived, and rates of its own before them (implements ``billing.ports.RateTable``)."""

    __slots__ = ("_base", "_derivation", "_kept", "own", "version")

    def __init__(self, base: RateTable, derivation: Derivation, own: RateTable, version: str) -> None:
        self.own = own
        """Rates that are not derived: of two that fit a number the longer prefix holds, of equal ones the own rate."""
        self.version = version
        self._base = base
        self._derivation = derivation
        self._kept: dict[str, tuple[Rate, Rate]] = {}
        """The latest rate of the base and what was derived from it, by prefix."""

    @property
    def size(self) -> int:
        """The number of rates of both tables."""
        return self._base.size + self.own.size

    def find(self, number: str, wall_ms: int) -> Rate | None:
        """Return the rate in force at ``wall_ms`` (UTC) of the longest prefix that fits ``number``, or None."""
        base = self._base.find(number, wall_ms)
        if self.own.size:
            own = self.own.find(number, wall_ms)
            if own is not None and (base is None or _length(own) >= _length(base)):
                return own
        if base is None:
            return None
        kept = self._kept.get(base.prefix)
        if kept is not None and kept[0] is base:
            return kept[1]
        if len(self._kept) >= _KEPT_MAX:
            self._kept.clear()
        derived = self._derivation.rate(base)
        self._kept[base.prefix] = (base, derived)
        return derived

    def has(self, prefix: str) -> bool:
        """Return whether a rate of exactly this prefix exists, in force or not."""
        return self.own.has(prefix) or self._base.has(prefix)

    def prefixes(self, first: str = "", /) -> Iterator[str]:
        """Yield every prefix that has a rate, each once and in order, from ``first`` on."""
        return each_once(self.own.prefixes(first), self._base.prefixes(first))


def _length(rate: Rate) -> int:
    return 0 if rate.prefix == ANY else len(rate.prefix)
