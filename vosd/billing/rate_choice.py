"""The choice between several rates that may price a call: private ones, those of a period, the main one (ADR 58).

Inside each rate group the longest prefix decides. Between groups the cheapest does, or their order. What is chosen from
has been settled when the catalogue was built, so a call looks its number up in each group and compares.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Final

import msgspec

from vosd.base.number import for_matching
from vosd.billing.ports import Rates, RateTable
from vosd.billing.rater import total_at
from vosd.billing.rates import AppliedRate, Rate

_SHARED_MAX: Final = 4_096


class RateSelection(Enum):
    """Rules by which one of several rates is chosen."""

    CHEAPEST = "cheapest"
    """The one by which the call costs least, at admission and again at its end."""
    PRIORITY = "priority"
    """The first that has a rate for the number, in the order of ``RateSource``."""


class RateSource(Enum):
    """Origins of a rate, in order of preference."""

    TRUNK = "trunk"
    """Private rates of the gateway or phone."""
    ACCOUNT = "account"
    """Private rates of the account."""
    PERIOD = "period"
    """Rates of the period in which the call begins."""
    MAIN = "main"
    """The rate group of the gateway or phone, else of the account."""


class RateCandidate(msgspec.Struct, frozen=True):
    """Rates that may price a call."""

    source: RateSource
    rates: Rates


class RateChoice:
    """Several rate groups of which one prices a call; it is used where a ``RateGroup`` is (implements ``Rates``)."""

    __slots__ = ("_advance_s", "_candidates", "_chosen", "_selection", "name")

    def __init__(self, candidates: Sequence[RateCandidate], selection: RateSelection, advance_s: int) -> None:
        """``candidates`` are in order of preference; ``advance_s`` are the seconds whose price is compared first."""
        self._candidates = tuple(candidates)
        self._selection = selection
        self._advance_s = advance_s
        self._chosen: dict[tuple[AppliedRate | None, ...], AppliedRate] = {}
        """By what each candidate has: calls that find the same rates share the choice."""
        self.name: Final = ", ".join(each.rates.name for each in candidates)
        """Name of the choice in messages."""

    @property
    def depends_on_caller(self) -> bool:
        """Return whether the rate of a number is another one for some callers."""
        return any(each.rates.depends_on_caller for each in self._candidates)

    def tables_at(self, wall_ms: int) -> tuple[RateTable, ...]:
        """Return the tables in which numbers are looked up at ``wall_ms`` (UTC)."""
        return tuple(table for each in self._candidates for table in each.rates.tables_at(wall_ms))

    def find(self, number: str, wall_ms: int, caller: str = "", forward_prefix: str = "", /) -> AppliedRate | None:
        """Return the rate of a call from ``caller`` to ``number`` that arrives at ``wall_ms`` (UTC); None = none fits.

        A group without a rate for the number is no candidate. The rate contains the others as its ``candidates`` where
        the cheapest counts.
        """
        is_first_enough = self._selection is RateSelection.PRIORITY
        found: list[AppliedRate | None] = []
        for each in self._candidates:
            rate = each.rates.find(number, wall_ms, caller, forward_prefix)
            found.append(rate)
            if rate is not None and is_first_enough:
                break
        key = tuple(found)
        chosen = self._chosen.get(key)
        return self._settled(key) if chosen is None else chosen

    def found(self, number: str, wall_ms: int, caller: str = "", /) -> tuple[AppliedRate, ...]:
        """Return the rates of all candidates, in order of preference, for explanations."""
        return self._named([each.rates.find(number, wall_ms, caller) for each in self._candidates])

    def _settled(self, found: tuple[AppliedRate | None, ...]) -> AppliedRate | None:
        """Return the choice of what the candidates have found, and keep it."""
        named = self._named(found)
        if not named:
            return None
        chosen = min(named, key=lambda each: total_at(each, self._advance_s))
        if len(named) > 1:
            chosen = msgspec.structs.replace(chosen, candidates=named)
        if len(self._chosen) >= _SHARED_MAX:
            self._chosen.clear()
        self._chosen[found] = chosen
        return chosen

    def _named(self, found: Sequence[AppliedRate | None]) -> tuple[AppliedRate, ...]:
        """Return the rates that were found, each with its source; that of a period says so itself."""
        return tuple(
            rate if each.source is RateSource.PERIOD and rate.source else _from(each.source.value, rate)
            for each, rate in zip(self._candidates, found, strict=False)
            if rate is not None
        )


def _from(source: str, rate: AppliedRate) -> AppliedRate:
    """Return a rate with its source, and behind it what that says itself: the caller's origin."""
    return msgspec.structs.replace(rate, source=f"{source}, {rate.source}" if rate.source else source)


def of_types(rate: AppliedRate, types: frozenset[str]) -> AppliedRate | None:
    """Return a rate without the candidates that are of none of the types; None = it is of none itself.

    So a call that is allowed by its rate is not priced by one that would have forbidden it. A rate without type is of
    none of them.
    """
    if rate.rate.rate_type not in types:
        return None
    allowed = tuple(each for each in rate.candidates if each.rate.rate_type in types)
    if len(allowed) == len(rate.candidates):
        return rate
    return msgspec.structs.replace(rate, candidates=allowed if len(allowed) > 1 else ())


def locked_prefix(rates: Rates, number: str, wall_ms: int) -> str | None:
    """Return the locked prefix that bars a number at ``wall_ms`` (UTC), of any of the tables; None = none does."""
    bare = for_matching(number)
    found = (table.find(bare, wall_ms) for table in rates.tables_at(wall_ms))
    return next((rate.prefix for rate in found if rate is not None and rate.locked), None)


class PricedPrefixes:
    """The prefixes for which rates have a price, for a gateway that takes the numbers which they price."""

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._depends_on_caller = rates.depends_on_caller

    def find(self, number: str, wall_ms: int, caller: str) -> Rate | None:
        """Return the rate in force at ``wall_ms`` (UTC) with the longest prefix of ``number``, or None.

        A table in which that prefix is locked has none. Where rates depend on the caller, return the one that prices a
        call: another origin's longer prefix says nothing of it.
        """
        if self._depends_on_caller:
            priced = self._rates.find(number, wall_ms, caller)
            return None if priced is None else priced.rate
        tables = self._rates.tables_at(wall_ms)
        found = [rate for table in tables if (rate := table.find(number, wall_ms)) is not None and not rate.locked]
        return max(found, key=lambda rate: 0 if rate.prefix == "*" else len(rate.prefix), default=None)
