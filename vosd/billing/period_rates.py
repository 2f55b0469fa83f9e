"""Period rates: other rates while a calendar says so, such as a table for the day and one for the night (ADR 58).

The moment is that at which the call arrives, as for the rates themselves; the period holds for the whole call.
"""

from collections.abc import Sequence
from decimal import Decimal
from enum import Enum
from typing import NamedTuple

import msgspec

from vosd.base.calendar_use import CalendarUse
from vosd.base.money import EXACT
from vosd.billing.ports import Rates, RateTable, WorkCalendar
from vosd.billing.rates import AppliedRate, Rate

_BY_NO_CALENDAR = 6
"""Tier of a period without calendar: behind those whose calendar says so by no entry."""
_SHARED_MAX = 1_024


class When(Enum):
    """The part of a calendar that a period is."""

    WORKING = "working"
    REST = "rest"
    """All that is not working time."""


class Period(msgspec.Struct, frozen=True):
    """One period, as configured: either a rate group or a multiplier."""

    name: str
    calendar: str | None = None
    """None = at any time that is in no other period."""
    when: When = When.WORKING
    calendar_use: CalendarUse | None = None
    """In place of ``when``; None = that says it."""
    rate_group: str | None = None
    multiplier: Decimal | None = None
    """Factor of the prices of the main rate group; connection fee, minimum charge and tax rate are not."""

    @property
    def use(self) -> CalendarUse:
        """The part of the calendar that it is."""
        by_when = CalendarUse.WORKING if self.when is When.WORKING else CalendarUse.NOT_WORKING
        return self.calendar_use or by_when


class PeriodRates(msgspec.Struct, frozen=True):
    """Named period rates, to which accounts and rate groups are bound."""

    name: str
    periods: tuple[Period, ...]


class _Bound(NamedTuple):
    """A period with what it names."""

    period: Period
    calendar: WorkCalendar | None
    rates: Rates
    factor: Decimal | None

    def tier(self, wall_ms: int) -> int | None:
        """Return how closely the period fits a moment, the closest being 1; None = it does not."""
        if self.calendar is None:
            return _BY_NO_CALENDAR
        standing, use = self.calendar.standing(wall_ms), self.period.use
        return standing.tier if use.holds(is_listed=standing.is_listed, is_working=standing.is_working) else None


class PeriodTable:
    """Period rates with their calendars and rate groups (implements ``Rates``)."""

    __slots__ = ("_bound", "_shared", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._bound: list[_Bound] = []
        self._shared: dict[tuple[str, AppliedRate], AppliedRate] = {}
        """By period and rate of its group: the calls of a period share the rate with its name."""

    def add(self, period: Period, calendar: WorkCalendar | None, rates: Rates) -> None:
        """Add a period behind the others; ``rates`` are those of its group, or those that it multiplies."""
        self._bound.append(_Bound(period, calendar, rates, period.multiplier))

    @property
    def depends_on_caller(self) -> bool:
        """Return whether the rate of a number is another one for some callers."""
        return any(each.rates.depends_on_caller for each in self._bound)

    def tables_at(self, wall_ms: int) -> tuple[RateTable, ...]:
        """Return the tables of the period of ``wall_ms`` (UTC); none = it is in no period."""
        bound = self._at(wall_ms)
        return () if bound is None else bound.rates.tables_at(wall_ms)

    @property
    def is_empty(self) -> bool:
        """Whether there is no period."""
        return not self._bound

    def at(self, wall_ms: int) -> Period | None:
        """Return the period of a moment (UTC milliseconds), None = in no period.

        Of those that fit, the one by the closest entry of its calendar: a date, dates, week days, hours, none of these;
        of the same, the first.
        """
        bound = self._at(wall_ms)
        return None if bound is None else bound.period

    @property
    def has_multipliers(self) -> bool:
        """Whether prices are multiplied in some period."""
        return any(each.factor is not None for each in self._bound)

    def multiplies(self, wall_ms: int) -> bool:
        """Return whether prices are multiplied in the period of ``wall_ms`` (UTC)."""
        bound = self._at(wall_ms)
        return bound is not None and bound.factor is not None

    def find(self, number: str, wall_ms: int, caller: str = "", forward_prefix: str = "", /) -> AppliedRate | None:
        """Return the rate that the period of ``wall_ms`` has for ``number``; None = it has none, or there is none."""
        bound = self._at(wall_ms)
        rate = None if bound is None else bound.rates.find(number, wall_ms, caller, forward_prefix)
        if bound is None or rate is None:
            return None
        key = (bound.period.name, rate)
        shared = self._shared.get(key)
        if shared is None:
            if len(self._shared) >= _SHARED_MAX:
                self._shared.clear()
            priced = rate.rate if bound.factor is None else multiplied(rate.rate, bound.factor)
            source = f"period {bound.period.name}"
            shared = msgspec.structs.replace(
                rate, rate=priced, source=f"{source}, {rate.source}" if rate.source else source
            )
            self._shared[key] = shared
        return shared

    def _at(self, wall_ms: int) -> _Bound | None:
        closest, tier = None, _BY_NO_CALENDAR + 1
        for each in self._bound:
            fits = each.tier(wall_ms)
            if fits is not None and fits < tier:
                closest, tier = each, fits
        return closest


class UnmultipliedRates:
    """Rates while no period multiplies them (implements ``Rates``): else the cheapest would ignore a surcharge."""

    __slots__ = ("_periods", "_rates")

    def __init__(self, rates: Rates, periods: PeriodTable) -> None:
        self._rates = rates
        self._periods = periods

    @property
    def name(self) -> str:
        """Return what messages call it."""
        return self._rates.name

    @property
    def depends_on_caller(self) -> bool:
        """Return whether the rate of a number is another one for some callers."""
        return self._rates.depends_on_caller

    def tables_at(self, wall_ms: int) -> tuple[RateTable, ...]:
        """Return the tables of these rates; none while a period multiplies them."""
        return () if self._periods.multiplies(wall_ms) else self._rates.tables_at(wall_ms)

    def find(self, number: str, wall_ms: int, caller: str = "", forward_prefix: str = "", /) -> AppliedRate | None:
        """Return the rate that is in force at ``wall_ms`` (UTC) without multiplier; None = there is none."""
        if self._periods.multiplies(wall_ms):
            return None
        return self._rates.find(number, wall_ms, caller, forward_prefix)


def multiplied(rate: Rate, factor: Decimal) -> Rate:
    """Return a rate with its prices multiplied, every digit kept: so the fee is that of the multiplied amount.

    What is not a price of time (connection fee, minimum charge, tax rate) stays as it is.
    """

    def times(price: Decimal) -> Decimal:
        return EXACT.multiply(price, factor)

    return msgspec.structs.replace(
        rate,
        billing_rate=times(rate.billing_rate),
        first_rate=None if rate.first_rate is None else times(rate.first_rate),
        sections=tuple(each._replace(amount=times(each.amount)) for each in rate.sections),
    )


def missing_prefixes(tables: Sequence[RateTable], most: int) -> tuple[tuple[str, ...], int]:
    """Return prefixes that some of the tables have and others have not, at most ``most``, and how many there are."""
    every = {prefix for table in tables for prefix in table.prefixes()}
    gone = sorted(prefix for prefix in every if not all(table.has(prefix) for table in tables))
    return tuple(gone[:most]), len(gone)
