"""Rates by the caller's origin: another rate group for calls from other numbers, as vendors surcharge them (ADR 58).

The calling number is that which routing sees: as the mapping gateway's rules have rewritten it.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final, NamedTuple, TypeVar

import msgspec

from vosd.base.number import for_matching
from vosd.base.prefixes import ANY
from vosd.billing.ports import Rates, RateTable
from vosd.billing.rate_choice import locked_prefix
from vosd.billing.rater import total_at
from vosd.billing.rates import AppliedRate

COMPARED_S: Final = 60
"""Seconds by whose price the dearest rate is found where the origin is undetermined."""
_SHARED_MAX: Final = 1_024
_DIGITS_MIN: Final = 7
_DIGITS_MAX: Final = 15
Found = TypeVar("Found")
_WITHHELD: Final = frozenset({"", "anonymous", "unavailable", "restricted", "unknown"})


class CallerKind(Enum):
    """Kinds of calling numbers that no prefix can fit."""

    MISSING = "missing"
    """There is none, or the caller withholds it."""
    INVALID = "invalid"
    """It is no international number: seven to fifteen digits, the first of which is not 0."""


class RateOrigin(msgspec.Struct, frozen=True):
    """Calling numbers whose calls another rate group prices, as configured."""

    name: str
    rate_group: str
    prefixes: tuple[str, ...] = ()
    """Prefixes of calling numbers; ``*`` = every number that is valid."""
    callers: tuple[CallerKind, ...] = ()
    """Calls without valid calling number that are of this origin."""
    areas: tuple[tuple[str, ...], ...] = ()
    """Prefixes by area: calls within one of them are of this origin, before all others. At most one origin has some."""


class _Bound(NamedTuple):
    name: str
    rates: Rates


def kind_of(caller: str) -> CallerKind | None:
    """Return what a calling number without leading plus sign is instead of valid; None = it is valid."""
    if caller.lower() in _WITHHELD:
        return CallerKind.MISSING
    is_number = caller.isascii() and caller.isdigit() and not caller.startswith("0")
    return None if is_number and _DIGITS_MIN <= len(caller) <= _DIGITS_MAX else CallerKind.INVALID


def longest(by_prefix: Mapping[str, Found], number: str) -> Found | None:
    """Return what the longest prefix of a number stands for, or None."""
    for length in range(len(number), -1, -1):
        found = by_prefix.get(number[:length])
        if found is not None:
            return found
    return None


class OriginRates:
    """A rate group with other rates for some callers (implements ``Rates``)."""

    __slots__ = ("_areas", "_base", "_bound", "_by_kind", "_by_prefix", "_shared", "_within")

    def __init__(self, base: Rates, origins: Sequence[tuple[RateOrigin, Rates]]) -> None:
        """``base`` prices the calls of no origin, and numbers that the group of their origin does not price."""
        self._base = base
        self._bound = tuple(_Bound(origin.name, rates) for origin, rates in origins)
        self._by_prefix = {
            "" if prefix == ANY else prefix: bound
            for (origin, _), bound in zip(origins, self._bound, strict=True)
            for prefix in origin.prefixes
        }
        self._by_kind = {
            kind: bound for (origin, _), bound in zip(origins, self._bound, strict=True) for kind in origin.callers
        }
        self._areas: dict[str, int] = {}
        """Area by prefix, as numbers."""
        self._within: _Bound | None = None
        """The origin of calls within an area."""
        for (origin, _), bound in zip(origins, self._bound, strict=True):
            if origin.areas:
                self._areas = {prefix: area for area, prefixes in enumerate(origin.areas) for prefix in prefixes}
                self._within = bound
        self._shared: dict[tuple[str, AppliedRate], AppliedRate] = {}
        """By origin and rate of its group: the calls of an origin share the rate with its name."""

    @property
    def name(self) -> str:
        """Name of the origin in messages."""
        return self._base.name

    @property
    def depends_on_caller(self) -> bool:
        """Return whether the rate of a number is another one for some callers."""
        return True

    def tables_at(self, wall_ms: int) -> tuple[RateTable, ...]:
        """Return the tables of the group and of its origins."""
        bases = (self._base, *(bound.rates for bound in self._bound))
        return tuple(table for rates in bases for table in rates.tables_at(wall_ms))

    def find(self, number: str, wall_ms: int, caller: str = "", forward_prefix: str = "", /) -> AppliedRate | None:
        """Return the rate of a call from ``caller`` to ``number`` that arrives at ``wall_ms`` (UTC); None = none fits.

        A caller without valid number, where no origin names that kind, has the dearest rate of all origins, and none
        where one of them locks the number.
        """
        bare = for_matching(caller)
        kind = kind_of(bare)
        if kind is None:
            area = longest(self._areas, bare) if self._areas else None
            if area is not None and area == longest(self._areas, for_matching(number).removeprefix(forward_prefix)):
                return self._of(self._within, number, wall_ms)
            return self._of(longest(self._by_prefix, bare), number, wall_ms)
        bound = self._by_kind.get(kind)
        return self._dearest(number, wall_ms) if bound is None else self._of(bound, number, wall_ms)

    def _of(self, bound: _Bound | None, number: str, wall_ms: int) -> AppliedRate | None:
        rate = None if bound is None else bound.rates.find(number, wall_ms)
        if bound is None or rate is None:
            return None if _locks(bound, number, wall_ms) else self._base.find(number, wall_ms)
        key = (bound.name, rate)
        shared = self._shared.get(key)
        if shared is None:
            if len(self._shared) >= _SHARED_MAX:
                self._shared.clear()
            shared = self._shared[key] = msgspec.structs.replace(rate, source=f"origin {bound.name}")
        return shared

    def _dearest(self, number: str, wall_ms: int) -> AppliedRate | None:
        if any(_locks(bound, number, wall_ms) for bound in self._bound):
            return None
        found = (self._of(bound, number, wall_ms) for bound in (*self._bound, None))
        rates = [rate for rate in found if rate is not None]
        return max(rates, key=lambda rate: (total_at(rate, COMPARED_S), rate.price_per_minute), default=None)


def _locks(bound: _Bound | None, number: str, wall_ms: int) -> bool:
    """Return whether the group of an origin bars a number: then the other group's rate is no way around it."""
    return bound is not None and locked_prefix(bound.rates, number, wall_ms) is not None
